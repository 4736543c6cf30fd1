"""
What a part of a tree is once it is compiled: its answer, its reasons, its words, its end.

The evaluators of groups, fields and behaviour make them; `compile` joins them. Reasons are given
through `Answer`, one leaf at a time: from facts, or from what was read of facts at another time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from personalize.conditions.facts import Facts
from personalize.conditions.operators import as_datetime
from personalize.conditions.tree import Leaf
from personalize.conditions.wording import compared, show, show_choices, show_range

Matches = Callable[[Facts], bool]
#: When time alone could first change an answer; None: never, as long as the facts stay.
Until = Callable[[Facts], datetime | None]


@dataclass(frozen=True)
class Explanation:
    """
    Why a tree or a part of it did or did not hold.

    kind: "all", "any", "not", "field" or "event". facts: what this part read, by field name
    (the number of events for an event); found: the same in words, of a leaf. Every part is
    evaluated, also those that the answer did not depend on.
    """

    matched: bool
    kind: str
    sentence: str
    facts: Mapping[str, object]
    children: tuple[Explanation, ...] = ()
    found: str = ""

    def leaves(self) -> Iterator[Explanation]:
        if self.kind in ("field", "event"):
            yield self
        for child in self.children:
            yield from child.leaves()

    def because(self, *, is_turned: bool = False) -> list[str]:
        """
        The sentences of the leaves that the answer rests on, whichever way it went.

        `is_turned`: what is wanted is that it does not hold.
        """
        if self.kind in ("field", "event"):
            return [self._turned() if is_turned else self.sentence]
        # One false part is enough against "all", one true part is enough for "any".
        one_is_enough = {"all": False, "any": True}.get(self.kind) is self.matched
        deciding = [
            child for child in self.children if not one_is_enough or child.matched is self.matched
        ]
        is_turned = is_turned is not (self.kind == "not")
        return [each for child in deciding for each in child.because(is_turned=is_turned)]

    def _turned(self) -> str:
        return f"{self.sentence}, which it should not" if self.matched else self.found

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
            shown["facts"] = {name: plain(value) for name, value in self.facts.items()}
        if self.children:
            shown["children"] = [child.as_dict() for child in self.children]
        return shown


@dataclass(frozen=True)
class Ask:
    """
    What one leaf asks: what it reads, and how it judges what was read.

    subject: names what is read; leaves that read the same have the same one, whatever they make
    of it. It is made of stored names alone, never of labels, so that it stays the same for ever.
    of: what tells the leaf from others of its subject. read: fetches the reading: a field's
    value, how often something was done, or what a measure gives. explain: a reading, and now,
    -> whether and why it holds. outcome: the same where all that is known is whether it held.
    """

    subject: str
    of: tuple[object, ...]
    read: Callable[[Facts], object]
    explain: Callable[[object, datetime], Explanation]
    outcome: Callable[[bool], Explanation]

    @cached_property
    def key(self) -> str:
        """A short name of the leaf among those of its subject."""
        return digest(self.of)


#: How a leaf is answered.
Answer = Callable[[Ask], Explanation]


def digest(values: object) -> str:
    """Return eight characters that stand for stored values: the same at any time, anywhere."""
    text = json.dumps(values, sort_keys=True, default=str)
    found = hashlib.blake2b(text.encode(), digest_size=6).digest()
    return base64.urlsafe_b64encode(found).decode()


def of_leaf(leaf: Leaf) -> tuple[object, ...]:
    """Return what tells a comparison from others of its field."""
    return (leaf.operator.type, leaf.operator.name, leaf.operand)


def by_outcome(kind: str, sentence: str) -> Callable[[bool], Explanation]:
    """Return what explains a leaf of which only the outcome is known."""

    def explain(held: bool) -> Explanation:
        words = "It held that" if held else "It did not hold that"
        told = f"{words} {sentence} (the value was not kept)"
        return Explanation(held, kind, told, {}, found=told)

    return explain


@dataclass(frozen=True)
class Part:
    """A compiled part of a tree. asks: those of its leaves, in the tree's order."""

    matches: Matches
    explain: Callable[[Answer], Explanation]
    sentence: str
    until: Until
    asks: tuple[Ask, ...]


def never(facts: Facts) -> None:
    """Time alone changes nothing."""
    return None


def earliest(moments: Iterable[datetime | None]) -> datetime | None:
    """Return the first of the moments that there are."""
    return min((moment for moment in moments if moment is not None), default=None)


def moved(moment: datetime, distance: timedelta) -> datetime | None:
    """Return the moment so far away, in UTC; None beyond the calendar: nobody comes to see it."""
    with suppress(OverflowError):
        return (moment + distance).astimezone(UTC)
    return None


def value_test(leaf: Leaf) -> Callable[[object], bool]:
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


def comparison(leaf: Leaf) -> Callable[[object, datetime], bool]:
    """The test of a leaf at a moment, which only operators that compare with now read."""
    if leaf.operator.span is None:
        test = value_test(leaf)
        return lambda value, now: test(value)
    start, end = leaf.operator.span(leaf.operand)

    def compare(value: object, now: datetime) -> bool:
        return any(now + start < moment <= now + end for moment in _moments(leaf, value))

    return compare


def _moments(leaf: Leaf, value: object) -> Iterator[datetime]:
    given = value if leaf.field.has_alternatives and isinstance(value, tuple) else (value,)
    for each in given:
        moment = as_datetime(each)
        if moment is not None:
            yield moment


def turns(leaf: Leaf, value: object, now: datetime) -> datetime | None:
    """Return when time alone first changes what a comparison with now says of a moment."""
    span = leaf.operator.span
    if span is None:
        return None
    # When the moment passes by the ends of the span around now.
    ends = (moved(moment, -each) for moment in _moments(leaf, value) for each in span(leaf.operand))
    return earliest(end for end in ends if end is not None and end > now)


def show_operand(leaf: Leaf) -> str:
    """Return what a leaf compares with, as it reads in a sentence."""
    operator = leaf.operator
    if operator.operand == "none":
        return ""
    if operator.operand == "range" and isinstance(leaf.operand, tuple):
        return show_range(*leaf.operand)
    if operator.operand == "texts" and isinstance(leaf.operand, tuple):
        return show_choices(leaf.operand)
    return show(leaf.value if operator.operand in ("datetime", "days") else leaf.operand)


def found(leaf: Leaf, value: object) -> str:
    """Say what a comparison read."""
    return f"{leaf.field.label} " + ("is missing" if value is None else f"is {show(value)}")


def outcome(leaf: Leaf, value: object, operand: str, matched: bool) -> str:
    """Say how a comparison came out, with the value that it read."""
    label, operator = leaf.field.label, leaf.operator
    if not matched:
        return f"{found(leaf, value)}, wanted it {compared(operator.wanted, operand)}"
    # "First session is true" and "Guest email is missing" already tell the value.
    tells_value = operator.type == "boolean" or operator.holds_when_missing
    shown = "" if tells_value else show(value)
    return " ".join(filter(None, (label, shown, compared(operator.label, operand))))


def plain(value: object) -> object:
    """Return a value as JSON that people read: what JSON has no word for as text."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return show(value)
