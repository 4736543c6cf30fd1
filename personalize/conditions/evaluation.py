"""
What a tree means: one pure evaluator, once as a bare answer and once with its reasons.

Evaluation is total: whatever JSON the facts hold, the answer is true or false. `matches`,
`explain(...).matched` and `recall(...).matched` share the test of every leaf, so they cannot
disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from personalize.conditions import behaviour, conversions
from personalize.conditions.facts import Facts, Needs, joined
from personalize.conditions.operators import as_datetime
from personalize.conditions.parts import (
    Answer,
    Ask,
    Explanation,
    Matches,
    Part,
    Until,
    by_outcome,
    comparison,
    earliest,
    found,
    moved,
    never,
    of_leaf,
    outcome,
    show_operand,
    turns,
    value_test,
)
from personalize.conditions.readings import Recalled
from personalize.conditions.registry import SEGMENTS, Registry, default_registry
from personalize.conditions.tree import Behaviour, Condition, Conversion, Group, Leaf, parse
from personalize.conditions.wording import compared


@dataclass(frozen=True)
class Compiled:
    """
    A tree, ready to be asked.

    matches(facts) -> bool; explain(facts) -> Explanation; needs: the facts to load;
    fields: the names of the fields read; segments: the friendly ids of those named;
    sentence: the whole tree in English.
    valid_until(facts): until then time alone changes nothing; None: for ever.
    asks: what its leaves read and how they judge it, in the tree's order.
    """

    condition: Condition
    matches: Matches
    needs: Needs
    fields: frozenset[str]
    segments: frozenset[str]
    sentence: str
    valid_until: Until
    asks: tuple[Ask, ...]
    _explain: Callable[[Answer], Explanation]

    @property
    def is_timed(self) -> bool:
        """Say whether time alone can ever change the answer."""
        return self.valid_until is not never

    def explain(self, facts: Facts) -> Explanation:
        return self._explain(lambda ask: ask.explain(ask.read(facts), facts.now))

    def readings(self, facts: Facts) -> dict[str, object]:
        """Return what every leaf reads, by the subject of the reading."""
        return {ask.subject: ask.read(facts) for ask in self.subjects}

    def recall(self, recalled: Recalled) -> Explanation:
        """Explain it from what was read of facts that are gone. Raises NotKept."""
        return self._explain(recalled.answer)

    @cached_property
    def subjects(self) -> tuple[Ask, ...]:
        """One ask of each subject."""
        return tuple({ask.subject: ask for ask in reversed(self.asks)}.values())[::-1]


def compile(tree: object, registry: Registry = default_registry) -> Compiled:
    """Check a stored tree and make it ready to be asked. Raises ConditionError."""
    return compile_condition(parse(tree, registry))


def compile_condition(condition: Condition) -> Compiled:
    """Make a checked tree ready to be asked."""
    part = _part(condition)
    leaves = list(leaves_of(condition))
    return Compiled(
        condition=condition,
        matches=part.matches,
        needs=joined(map(_needs, leaves)),
        fields=frozenset(leaf.field.name for leaf in leaves if isinstance(leaf, Leaf)),
        segments=segments_in(condition),
        sentence=part.sentence,
        valid_until=part.until,
        asks=part.asks,
        _explain=part.explain,
    )


def _needs(leaf: Leaf | Behaviour | Conversion) -> Needs:
    if isinstance(leaf, Leaf):
        return leaf.field.needed()
    if isinstance(leaf, Conversion):
        return Needs(goals=frozenset({leaf.flow}))
    if leaf.within.in_session:
        return Needs(events=frozenset({leaf.event}))
    return Needs(history={leaf.event: leaf.within.days})


def leaves_of(condition: Condition) -> Iterator[Leaf | Behaviour | Conversion]:
    """Yield the comparisons of a checked tree, in its order."""
    if isinstance(condition, Group):
        for child in condition.children:
            yield from leaves_of(child)
    else:
        yield condition


def segments_in(condition: Condition) -> frozenset[str]:
    """Return the friendly ids of the segments that a checked tree names."""
    named: set[str] = set()
    for leaf in leaves_of(condition):
        if isinstance(leaf, Leaf) and leaf.field.name == SEGMENTS:
            operand = leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,)
            named |= {each.casefold() for each in operand if isinstance(each, str)}
    return frozenset(named)


def _part(condition: Condition) -> Part:
    if isinstance(condition, Leaf):
        return _field_part(condition)
    if isinstance(condition, Behaviour):
        return behaviour.part_of(condition)
    if isinstance(condition, Conversion):
        return conversions.part_of(condition)
    parts = tuple(_part(child) for child in condition.children)
    if condition.kind == "not":
        return _not_part(parts[0])
    return _group_part(condition, parts)


def _group_part(group: Group, parts: tuple[Part, ...]) -> Part:
    tests = tuple(part.matches for part in parts)
    if len(tests) == 1:
        matches = tests[0]
    elif group.kind == "all":
        matches = _all_of(tests)
    else:
        matches = _any_of(tests)
    sentence = _join(group, [part.sentence for part in parts])

    def explain(answer: Answer) -> Explanation:
        children = tuple(part.explain(answer) for part in parts)
        outcomes = [child.matched for child in children]
        matched = all(outcomes) if group.kind == "all" else any(outcomes)
        return Explanation(matched, group.kind, sentence, {}, children)

    asks = tuple(ask for part in parts for ask in part.asks)
    until = _until_of(parts, settles=group.kind == "any")
    return Part(matches, explain, sentence, until, asks)


def _until_of(parts: tuple[Part, ...], *, settles: bool) -> Until:
    """
    When a group could first change, whose answer one part alone settles by holding or failing.

    While there are such parts all of them have to change before the group
    does; when there are none, the first part that changes may change it.
    """
    timed = [part.until for part in parts if part.until is not never]
    if not timed:
        return never

    def until(facts: Facts) -> datetime | None:
        settling = [part for part in parts if part.matches(facts) is settles]
        if not settling:
            return earliest(each(facts) for each in timed)
        last = None
        for part in settling:
            moment = part.until(facts)
            if moment is None:
                return None
            last = moment if last is None else max(last, moment)
        return last

    return until


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


def _not_part(part: Part) -> Part:
    inner = part.matches
    sentence = f"not ({part.sentence})"

    def explain(answer: Answer) -> Explanation:
        child = part.explain(answer)
        return Explanation(not child.matched, "not", sentence, {}, (child,))

    return Part(lambda facts: not inner(facts), explain, sentence, part.until, part.asks)


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


def _field_part(leaf: Leaf) -> Part:
    read = leaf.field.reader()
    compare = comparison(leaf)
    operand = show_operand(leaf)
    sentence = f"{leaf.field.label} {compared(leaf.operator.label, operand)}"

    def explain(value: object, now: datetime) -> Explanation:
        matched = compare(value, now)
        given, shown = value, value
        if leaf.field.has_alternatives and isinstance(value, tuple):
            given = list(value) if leaf.field.has_items else value[0]
            # Show the spelling that decided, or the sentence would not be true.
            shown = next((each for each in value if compare(each, now) is matched), given)
            if leaf.field.has_items and not matched and not leaf.operator.negative:
                shown = given
        words = outcome(leaf, shown, operand, matched)
        there_is = found(leaf, shown)
        return Explanation(matched, "field", words, {leaf.field.name: given}, found=there_is)

    ask = Ask(leaf.field.name, of_leaf(leaf), read, explain, by_outcome("field", sentence))
    if leaf.operator.span is not None:
        return Part(
            lambda facts: compare(read(facts), facts.now),
            lambda answer: answer(ask),
            sentence,
            lambda facts: turns(leaf, read(facts), facts.now),
            (ask,),
        )
    test = value_test(leaf)
    return Part(
        lambda facts: test(read(facts)),
        lambda answer: answer(ask),
        sentence,
        _clock(leaf),
        (ask,),
    )


def _clock(leaf: Leaf) -> Until:
    """When a field of the time reads otherwise: at the next hour, midnight, or its operand."""
    name = leaf.field.name
    if name == "time.now":
        moment = as_datetime(leaf.value)
        # What is after a moment is so just behind it.
        steps = (timedelta(), timedelta(microseconds=1))
        turning = [] if moment is None else [moved(moment, step) for step in steps]
        return lambda facts: earliest(each for each in turning if each and each > facts.now)
    if name == "time.hour":
        return lambda facts: (
            facts.now
            + timedelta(hours=1)
            - timedelta(
                minutes=facts.local.minute,
                seconds=facts.local.second,
                microseconds=facts.local.microsecond,
            )
        )
    if name in ("time.date", "time.weekday"):
        return _midnight
    return never


def _midnight(facts: Facts) -> datetime:
    tomorrow = facts.local.date() + timedelta(days=1)
    midnight = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=facts.local.tzinfo)
    return midnight.astimezone(facts.now.tzinfo)
