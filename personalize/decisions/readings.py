"""PURE. Values worth trying where comparisons have no exact scale: what they name, and mixes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from personalize.conditions import Leaf

_MOST_MIXED = 30
_MOST_VALUES = 2000


def some_values(leaves: Sequence[Leaf]) -> list[object]:
    """Return values that some of these comparisons hold for, and None for a missing one."""
    texts: dict[str, None] = {}
    values: list[object] = []
    for leaf in leaves:
        pieces = leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,)
        for piece in pieces:
            if isinstance(piece, str):
                texts.update(dict.fromkeys(_readings(leaf, piece)))
            elif isinstance(piece, int | float):
                values += [piece, piece - 1, piece + 1]
            elif isinstance(piece, datetime):
                values.append(piece)
    named = list(texts)
    mixed = [one + other for one in named[:_MOST_MIXED] for other in named[:_MOST_MIXED]]
    kinds = {leaf.operator.type for leaf in leaves}
    if "list" in kinds:
        values += [[], *([text] for text in named)]
        values += [[one, other] for one in named[:_MOST_MIXED] for other in named[:_MOST_MIXED]]
    if "boolean" in kinds:
        values += [True, False]
    return [None, *_unlike(named), *_first(named, values, mixed)]


def _readings(leaf: Leaf, text: str) -> Iterable[str]:
    if leaf.operator.operand != "pattern":
        return (text,)
    return (text.replace("*", "").replace("?", "x"), text.replace("*", "x").replace("?", "x"))


def _unlike(named: Sequence[str]) -> list[str]:
    """Return texts that are none of these, and as a rule contain none of them."""
    return [text for text in ("something else", "~") if text not in named]


def _first(*groups: Sequence[object]) -> list[object]:
    return [value for group in groups for value in group][:_MOST_VALUES]
