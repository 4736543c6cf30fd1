"""
PURE. How the values of a field fall into classes that a set of comparisons treats alike.

`country is DE`, `country is one of FR, AT` tell four kinds of values apart: DE, FR, AT and every
other. With one value of each class all of them are tried, by the comparisons' own tests; so a
table is looked up instead of searched, and its overlaps and gaps are found without guessing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, floor
from typing import Any

from personalize.conditions import Leaf
from personalize.conditions.operators import as_boolean, as_datetime, as_number, as_text

#: The first two classes of every scale.
MISSING, UNREADABLE = 0, 1

#: Comparisons of texts that ask for nothing but the whole text, whatever its case.
WHOLE_TEXT = frozenset({"is", "is_not", "is_one_of", "is_not_one_of"})


class Nothing:
    """Stands for a class that has no values, such as the numbers between 1 and 1."""


NOTHING = Nothing()


@dataclass(frozen=True)
class Scale:
    """
    classes: one value of each class; that of MISSING is None, that of UNREADABLE an object.
    place: any value -> the index of its class.
    """

    classes: tuple[object, ...]
    place: Callable[[object], int]


def scale_of(leaves: Sequence[Leaf]) -> Scale | None:
    """Return the scale of these comparisons of one field, or None when there is no exact one."""
    if any(leaf.field.has_alternatives for leaf in leaves):
        return None
    # `exists` and `is_missing` fit every scale: its first classes tell.
    comparing = [leaf for leaf in leaves if leaf.operator.type != "any"]
    kinds = {leaf.operator.type for leaf in comparing}
    if kinds <= {"text"} and all(leaf.operator.name in WHOLE_TEXT for leaf in comparing):
        return _of_texts(comparing)
    if kinds == {"number"}:
        return _of_numbers(comparing)
    if kinds == {"datetime"}:
        return _of_moments(comparing)
    if kinds == {"boolean"}:
        return _of_booleans()
    return None


def _of_texts(leaves: Sequence[Leaf]) -> Scale:
    named: dict[str, str] = {}
    for leaf in leaves:
        for text in leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,):
            if isinstance(text, str):
                named.setdefault(text.casefold(), text)
    other = "something else"
    while other in named:
        other += "!"
    places = {key: index for index, key in enumerate(named, start=3)}

    def place(value: object) -> int:
        if value is None:
            return MISSING
        text = value if isinstance(value, str) else as_text(value)
        return UNREADABLE if text is None else places.get(text.casefold(), 2)

    return Scale((None, {}, other, *named.values()), place)


def _of_booleans() -> Scale:
    def place(value: object) -> int:
        if value is None:
            return MISSING
        truth = as_boolean(value)
        return UNREADABLE if truth is None else 2 + truth

    return Scale((None, {}, False, True), place)


def _of_numbers(leaves: Sequence[Leaf]) -> Scale:
    points: list[int | float] = sorted(
        {
            number
            for leaf in leaves
            for number in (leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,))
            if isinstance(number, int | float)
        }
    )
    classes: list[object] = [None, {}, floor(points[0]) - 1]
    for low, high in zip(points, [*points[1:], None], strict=True):
        classes += [low, ceil(low) + 1 if high is None else _between(low, high)]

    def place(value: object) -> int:
        if value is None:
            return MISSING
        number = value if type(value) is int else as_number(value)
        return UNREADABLE if number is None else _step(points, number)

    return Scale(tuple(classes), place)


def _between(low: int | float, high: int | float) -> object:
    """Return a number between two others, a whole one if there is one."""
    whole = floor(low) + 1
    if whole < high:
        return whole
    middle = low + (high - low) / 2
    return middle if low < middle < high else NOTHING


def _of_moments(leaves: Sequence[Leaf]) -> Scale:
    points = sorted({leaf.operand for leaf in leaves if isinstance(leaf.operand, datetime)})
    classes: list[object] = [None, {}, _before(points[0])]
    for low, high in zip(points, [*points[1:], None], strict=True):
        classes += [low, _after(low) if high is None else low + (high - low) / 2]
        if high is not None and not low < low + (high - low) / 2 < high:
            classes[-1] = NOTHING

    def place(value: object) -> int:
        if value is None:
            return MISSING
        moment = as_datetime(value)
        return UNREADABLE if moment is None else _step(points, moment)

    return Scale(tuple(classes), place)


def _before(moment: datetime) -> object:
    try:
        return moment - timedelta(days=1)
    except OverflowError:
        first = datetime.min.replace(tzinfo=UTC)
        return first if first < moment else NOTHING


def _after(moment: datetime) -> object:
    try:
        return moment + timedelta(days=1)
    except OverflowError:
        last = datetime.max.replace(tzinfo=UTC)
        return last if last > moment else NOTHING


def _step(points: Sequence[Any], value: Any) -> int:
    """Return the class on a line cut at these points: below the first, on it, between, ..."""
    at = bisect_left(points, value)
    return 2 + 2 * at + int(at < len(points) and points[at] == value)
