"""
Winsorizing: a few guests with enormous values are counted with the most that is usual.

Called by analytics, which fetches the value at the rank and counts the values above it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


def cap_rank(*, values: int, percentile: float) -> int:
    """
    Return the rank, from 1 of the smallest, of the value that all above it are cut down to.

    The nearest rank, ceil(percentile * values), of all variants' values together: a cap for each
    variant would cut away a part of the effect. percentile: 0.99, say. Raises ValueError unless
    there are values and it is above 0 and at most 1.
    """
    if values < 1 or not 0 < percentile <= 1:
        raise ValueError(f"no cap at the percentile {percentile:g} of {values} values")
    # 0.99 * 100 is 99.00000000000001 or 99 by luck: what is within rounding is that rank.
    return min(values, max(1, math.ceil(percentile * values * (1 - 1e-12))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Capped:
    """What a cap did: how many of the values were above it, and were cut."""

    cap: float
    above: int
    values: int

    @property
    def share(self) -> float:
        """The share of the values that were cut: 0 to 1."""
        return self.above / self.values if self.values else 0.0
