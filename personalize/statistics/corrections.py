"""
Many comparisons at once: p-values that allow for how many there are.

Called by `report` over variants and goals, and by whoever breaks results down by groups of guests.
"""

from __future__ import annotations

from collections.abc import Sequence


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """
    Return the p-values, adjusted so that those up to q have a false discovery rate of q at most.

    The i-th smallest of m becomes the minimum, over j >= i, of p_j m / j (Benjamini & Hochberg
    1995, J. R. Stat. Soc. B 57). None stays None and counts for nothing.
    """
    ordered = _ordered(p_values)
    adjusted: list[float | None] = [None] * len(p_values)
    smallest = 1.0
    for rank in range(len(ordered), 0, -1):
        p, at = ordered[rank - 1]
        smallest = min(smallest, p * len(ordered) / rank)
        adjusted[at] = smallest
    return adjusted


def _ordered(p_values: Sequence[float | None]) -> list[tuple[float, int]]:
    return sorted((p, at) for at, p in enumerate(p_values) if p is not None)
