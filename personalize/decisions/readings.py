"""PURE. Values worth trying where comparisons have no exact scale: what they name, and mixes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from personalize.conditions import Leaf

_MOST_MIXED = 30
#: Each value is compared by all: so many values are tried as take no more comparisons than these.
_MOST_TESTS = 4_000_000
_FEWEST_VALUES, _MOST_VALUES = 2_000, 20_000


def some_values(leaves: Sequence[Leaf]) -> list[object]:
    """
    Return values that some of these comparisons hold for, and None for a missing one.

    Where there are more than can be tried, a text of each comes first, and then those that
    several of them name: for these they hold together.
    """
    texts: dict[str, None] = {}
    values: list[object] = []
    for leaf in leaves:
        for piece in _pieces(leaf):
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
    tried = [*_telling_first(leaves, named), *values, *mixed][: _most(len(leaves))]
    return [None, *_unlike(named), *tried]


def texts_of(leaf: Leaf) -> list[str]:
    """Return the texts that a comparison names, as they are spelled."""
    return [piece for piece in _pieces(leaf) if isinstance(piece, str)]


def _pieces(leaf: Leaf) -> Sequence[object]:
    return leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,)


def _telling_first(leaves: Sequence[Leaf], named: Sequence[str]) -> list[str]:
    ones = {text for leaf in leaves for text in texts_of(leaf)[:1]}
    users = Counter(text for leaf in leaves for text in {t.casefold() for t in texts_of(leaf)})
    return sorted(named, key=lambda text: (text not in ones, users[text.casefold()] < 2))


def _most(comparisons: int) -> int:
    affordable = _MOST_TESTS // max(comparisons, 1)
    return max(_FEWEST_VALUES, min(_MOST_VALUES, affordable))


def _readings(leaf: Leaf, text: str) -> Iterable[str]:
    if leaf.operator.operand != "pattern":
        return (text,)
    return (text.replace("*", "").replace("?", "x"), text.replace("*", "x").replace("?", "x"))


def _unlike(named: Sequence[str]) -> list[str]:
    """Return texts that are none of these, and as a rule contain none of them."""
    return [text for text in ("something else", "~") if text not in named]
