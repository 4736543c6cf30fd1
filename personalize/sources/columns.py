"""
What a source makes of the rows of a guest: how many there are, a sum, the newest one's value.

A site names them in the `fields` of `register_source`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Literal

from personalize.conditions.operators import FieldType
from personalize.sources.plain import MAX_ITEMS, plain

Kind = Literal["count", "total", "smallest", "largest", "newest", "values"]


@dataclass(frozen=True, kw_only=True)
class SourceField:
    """One value that is made of the rows of a guest. `column`: a path, such as `product__sku`."""

    kind: Kind
    label: str
    column: str = ""
    type: FieldType = "number"
    choices: tuple[str, ...] = ()

    @property
    def empty(self) -> object:
        """What it is for somebody without rows."""
        if self.kind in ("count", "total"):
            return 0
        return [] if self.kind == "values" else None


def count(label: str) -> SourceField:
    """How many rows there are."""
    return SourceField(kind="count", label=label)


def total(column: str, label: str) -> SourceField:
    """The sum of a column of numbers; without rows it is 0."""
    return SourceField(kind="total", label=label, column=column)


def smallest(column: str, label: str, *, type: FieldType = "number") -> SourceField:
    """The smallest value of a column, or with the type `datetime` the earliest."""
    return SourceField(kind="smallest", label=label, column=column, type=type)


def largest(column: str, label: str, *, type: FieldType = "number") -> SourceField:
    """The largest value of a column, or with the type `datetime` the latest."""
    return SourceField(kind="largest", label=label, column=column, type=type)


def newest(
    column: str, label: str, *, type: FieldType = "text", choices: Sequence[str] = ()
) -> SourceField:
    """The value of a column in the newest row."""
    return SourceField(kind="newest", label=label, column=column, type=type, choices=tuple(choices))


def values(column: str, label: str, *, choices: Sequence[str] = ()) -> SourceField:
    """The different values of a column, the newest first: 1,000 at most."""
    return SourceField(
        kind="values", label=label, column=column, type="list", choices=tuple(choices)
    )


def made_of(field: SourceField, found: Sequence[Any], *, zone: tzinfo) -> object:
    """Return what a field is, made of its column in the rows of a guest, the newest first."""
    given = [value for value in found if value is not None]
    if field.kind == "count":
        return len(found)
    if field.kind == "newest":
        return plain(found[0], zone=zone) if found else None
    if field.kind == "values":
        return plain(list(dict.fromkeys(given))[:MAX_ITEMS], zone=zone)
    return plain(_MADE[field.kind](given), zone=zone) if given else field.empty


_MADE: dict[str, Callable[[list[Any]], object]] = {
    "total": sum,
    "smallest": min,
    "largest": max,
}
