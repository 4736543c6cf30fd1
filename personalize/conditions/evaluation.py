"""
What a tree means: one pure evaluator, once as a bare answer and once with its reasons.

Evaluation is total: whatever JSON the facts hold, the answer is true or false. `matches` and
`explain(...).matched` share the test of every leaf, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from personalize.conditions.facts import Facts, Needs, step_reader
from personalize.conditions.operators import Operator
from personalize.conditions.registry import Registry, default_registry
from personalize.conditions.tree import Behaviour, Condition, Group, Leaf, parse
from personalize.conditions.wording import how_often, show, show_choices, show_range, times

Matches = Callable[[Facts], bool]


@dataclass(frozen=True)
class Explanation:
    """
    Why a tree or a part of it did or did not hold.

    kind: "all", "any", "not", "field" or "event". facts: what this part read, by field name
    (the number of events for an event). Every part is evaluated, also those that the answer
    did not depend on.
    """

    matched: bool
    kind: str
    sentence: str
    facts: Mapping[str, object]
    children: tuple[Explanation, ...] = ()

    def leaves(self) -> Iterator[Explanation]:
        if self.kind in ("field", "event"):
            yield self
        for child in self.children:
            yield from child.leaves()

    def because(self) -> list[str]:
        """The sentences of the leaves that the answer rests on, whichever way it went."""
        if self.kind in ("field", "event"):
            return [self.sentence]
        # One false part is enough against "all", one true part is enough for "any".
        one_is_enough = {"all": False, "any": True}.get(self.kind) is self.matched
        deciding = [
            child for child in self.children if not one_is_enough or child.matched is self.matched
        ]
        return [sentence for child in deciding for sentence in child.because()]

    def facts_read(self) -> dict[str, object]:
        """All values the tree read, by field name."""
        return {name: value for leaf in self.leaves() for name, value in leaf.facts.items()}

    def as_dict(self) -> dict[str, object]:
        """The same as plain JSON values."""
        shown: dict[str, object] = {
            "matched": self.matched,
            "kind": self.kind,
            "sentence": self.sentence,
        }
        if self.facts:
            shown["facts"] = {name: _plain(value) for name, value in self.facts.items()}
        if self.children:
            shown["children"] = [child.as_dict() for child in self.children]
        return shown


@dataclass(frozen=True)
class Compiled:
    """
    A tree, ready to be asked.

    matches(facts) -> bool; explain(facts) -> Explanation; needs: the facts to load;
    fields: the names of the fields read; sentence: the whole tree in English.
    """

    condition: Condition
    matches: Matches
    needs: Needs
    fields: frozenset[str]
    sentence: str
    _explain: Callable[[Facts], Explanation]

    def explain(self, facts: Facts) -> Explanation:
        return self._explain(facts)


@dataclass(frozen=True)
class _Part:
    matches: Matches
    explain: Callable[[Facts], Explanation]
    sentence: str


def compile(tree: object, registry: Registry = default_registry) -> Compiled:
    """Check a stored tree and make it ready to be asked. Raises ConditionError."""
    return compile_condition(parse(tree, registry))


def compile_condition(condition: Condition) -> Compiled:
    """Make a checked tree ready to be asked."""
    part = _part(condition)
    leaves = list(_leaves(condition))
    groups = {leaf.field.needs for leaf in leaves if isinstance(leaf, Leaf)}
    return Compiled(
        condition=condition,
        matches=part.matches,
        needs=Needs(
            guest="guest" in groups,
            session="session" in groups,
            events=frozenset(leaf.event for leaf in leaves if isinstance(leaf, Behaviour)),
        ),
        fields=frozenset(leaf.field.name for leaf in leaves if isinstance(leaf, Leaf)),
        sentence=part.sentence,
        _explain=part.explain,
    )


def _leaves(condition: Condition) -> Iterator[Leaf | Behaviour]:
    if isinstance(condition, Group):
        for child in condition.children:
            yield from _leaves(child)
    else:
        yield condition


def _part(condition: Condition) -> _Part:
    if isinstance(condition, Leaf):
        return _field_part(condition)
    if isinstance(condition, Behaviour):
        return _event_part(condition)
    parts = tuple(_part(child) for child in condition.children)
    if condition.kind == "not":
        return _not_part(parts[0])
    return _group_part(condition, parts)


def _group_part(group: Group, parts: tuple[_Part, ...]) -> _Part:
    tests = tuple(part.matches for part in parts)
    if len(tests) == 1:
        matches = tests[0]
    elif group.kind == "all":
        matches = _all_of(tests)
    else:
        matches = _any_of(tests)
    sentence = _join(group, [part.sentence for part in parts])

    def explain(facts: Facts) -> Explanation:
        children = tuple(part.explain(facts) for part in parts)
        outcomes = [child.matched for child in children]
        matched = all(outcomes) if group.kind == "all" else any(outcomes)
        return Explanation(matched, group.kind, sentence, {}, children)

    return _Part(matches, explain, sentence)


def _all_of(tests: tuple[Matches, ...]) -> Matches:
    def matches(facts: Facts) -> bool:
        for test in tests:  # noqa: SIM110 - a generator would cost more than the tests
            if not test(facts):
                return False
        return True

    return matches


def _any_of(tests: tuple[Matches, ...]) -> Matches:
    def matches(facts: Facts) -> bool:
        for test in tests:  # noqa: SIM110 - a generator would cost more than the tests
            if test(facts):
                return True
        return False

    return matches


def _not_part(part: _Part) -> _Part:
    inner = part.matches
    sentence = f"not ({part.sentence})"

    def explain(facts: Facts) -> Explanation:
        child = part.explain(facts)
        return Explanation(not child.matched, "not", sentence, {}, (child,))

    return _Part(lambda facts: not inner(facts), explain, sentence)


def _join(group: Group, sentences: list[str]) -> str:
    if not sentences:
        return "Everybody"
    if len(sentences) == 1:
        return sentences[0]
    word = " and " if group.kind == "all" else " or "
    return word.join(
        f"({sentence})" if isinstance(child, Group) and len(child.children) > 1 else sentence
        for child, sentence in zip(group.children, sentences, strict=True)
    )


def _field_part(leaf: Leaf) -> _Part:
    read = leaf.field.reader()
    test = _value_test(leaf)
    operand = _show_operand(leaf)
    sentence = " ".join(filter(None, (leaf.field.label, leaf.operator.label, operand)))

    def matches(facts: Facts) -> bool:
        return test(read(facts))

    def explain(facts: Facts) -> Explanation:
        value = read(facts)
        matched = test(value)
        given, shown = value, value
        if leaf.field.has_alternatives and isinstance(value, tuple):
            given = value[0]
            # Show the spelling that decided, or the sentence would not be true.
            shown = next((each for each in value if test(each) is matched), given)
        words = _outcome(leaf, shown, operand, matched)
        return Explanation(matched, "field", words, {leaf.field.name: given})

    return _Part(matches, explain, sentence)


def _value_test(leaf: Leaf) -> Callable[[object], bool]:
    """The operator's test, made total: a missing value decides before the operator is asked."""
    operator = leaf.operator
    test = operator.bind(leaf.operand)
    if operator.holds_when_missing:
        return lambda value: value is None
    if not leaf.field.has_alternatives:
        return lambda value: value is not None and test(value)
    quantifier = all if operator.negative else any

    def test_spellings(value: object) -> bool:
        if not isinstance(value, tuple):
            return value is not None and test(value)
        return quantifier(test(spelling) for spelling in value if spelling is not None)

    return test_spellings


def _event_part(leaf: Behaviour) -> _Part:
    holds = tuple((step_reader(_path(each)), _value_test(each)) for each in leaf.where)
    event, at_least, at_most = leaf.event, leaf.at_least, leaf.at_most
    wanted = how_often(at_least, at_most)
    what = " and ".join(
        " ".join(filter(None, (each.field.label, each.operator.label, _show_operand(each))))
        for each in leaf.where
    )
    subject = f"{event} (where {what})" if what else event

    def is_meant(name: str, data: object) -> bool:
        return name == event and all(test(read(data)) for read, test in holds)

    def matches(facts: Facts) -> bool:
        count = 0
        for name, data in facts.events:
            if is_meant(name, data):
                count += 1
                if at_most is None and count >= at_least:
                    return True
                if at_most is not None and count > at_most:
                    return False
        return count >= at_least

    def explain(facts: Facts) -> Explanation:
        count = sum(is_meant(name, data) for name, data in facts.events)
        matched = count >= at_least and (at_most is None or count <= at_most)
        happened = f"{subject} happened {times(count)} in this session"
        words = f"{happened}, wanted {wanted}" if not matched else f"{happened} ({wanted} wanted)"
        return Explanation(matched, "event", words, {f"event.{subject}": count})

    sentence = (
        f"Guest did not do {subject} in this session"
        if at_most == 0
        else f"Guest did {subject} {wanted} in this session"
    )
    return _Part(matches, explain, sentence)


def _path(leaf: Leaf) -> tuple[str, ...]:
    return tuple(leaf.field.name.split("."))


def _show_operand(leaf: Leaf) -> str:
    operator: Operator = leaf.operator
    if operator.operand == "none":
        return ""
    if operator.operand == "range" and isinstance(leaf.operand, tuple):
        return show_range(*leaf.operand)
    if operator.operand == "texts" and isinstance(leaf.operand, tuple):
        return show_choices(leaf.operand)
    return show(leaf.value if operator.operand == "datetime" else leaf.operand)


def _outcome(leaf: Leaf, value: object, operand: str, matched: bool) -> str:
    label, operator = leaf.field.label, leaf.operator
    if not matched:
        state = "is missing" if value is None else f"is {show(value)}"
        return " ".join(filter(None, (f"{label} {state}, wanted it {operator.wanted}", operand)))
    # "First session is true" and "Guest email is missing" already tell the value.
    tells_value = operator.type == "boolean" or operator.holds_when_missing
    shown = "" if tells_value else show(value)
    return " ".join(filter(None, (label, shown, operator.label, operand)))


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
