"""
How many guests an experiment needs, what a number of them can show, and how long that takes.

Called by `report`, and by whoever plans an experiment before it starts. Sizes are per variant, of
two variants with as many guests each.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from personalize.statistics.distributions import normal_quantile, normal_survival

#: Who would wait longer waits for something else.
MOST_DAYS = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """
    A goal's two variants as they would be with the effect that should be found.

    effect: the absolute difference. variance: of one guest, added up over both variants.
    """

    effect: float
    variance: float

    def size(self, *, alpha: float = 0.05, power: float = 0.80) -> int:
        """
        Return the guests per variant: (z(1 - alpha/2) + z(power))^2 variance / effect^2.

        Fleiss, Levin & Paik, Statistical Methods for Rates and Proportions, 3rd ed., 4.3.
        """
        reach = normal_quantile(1 - alpha / 2) + normal_quantile(power)
        return max(2, math.ceil(reach * reach * self.variance / (self.effect * self.effect)))

    def power(self, *, guests: int, reach: float) -> float:
        """
        Return the chance that so many guests per variant show the effect, at one look.

        reach: so many standard errors the interval reaches that must leave out 0.
        """
        if guests < 1:
            return 0.0
        if not self.variance:
            return 1.0
        score = abs(self.effect) / math.sqrt(self.variance / guests)
        return normal_survival(reach - score) + normal_survival(reach + score)

    def size_by(self, reach_of: Callable[[int], float], *, power: float, least: int) -> int:
        """Return the guests per variant that have this power by an interval that grows narrower."""

        def has_power(guests: int) -> bool:
            return self.power(guests=guests, reach=reach_of(guests)) >= power

        most = max(2, least)
        while not has_power(most):
            most *= 2
        return bisect_left(range(most), True, lo=min(least, most), key=has_power)


def for_rate(*, base_rate: float = 0.02, mde: float = 0.20) -> Plan:
    """
    Plan for a share of guests that convert.

    mde: the minimum detectable effect, relative: 0.2 looks for 2 % becoming 2.4 %, -0.2 for 1.6 %.
    The variance is p1 (1 - p1) + p2 (1 - p2). Raises ValueError for rates that cannot be.
    """
    treated = base_rate * (1.0 + mde)
    if not (0 < base_rate < 1 and 0 <= treated <= 1) or not mde:
        raise ValueError(f"a rate of {base_rate:g} cannot change by {mde:+.0%} and be one")
    return Plan(treated - base_rate, base_rate * (1 - base_rate) + treated * (1 - treated))


def for_mean(*, mean: float, variance: float, mde: float = 0.20) -> Plan:
    """Plan for a mean, or a ratio, whose variance stays: 2 variance. Raises ValueError for 0."""
    if not mean or not mde or variance < 0:
        raise ValueError(f"no change of {mde:+.0%} can be planned for a mean of {mean:g}")
    return Plan(mean * mde, 2.0 * variance)


def days_left(
    *, counts: Sequence[int], shares: Sequence[float], planned: int, guests_a_day: float
) -> int | None:
    """
    Return the days until each variant has the planned number of guests; 0 where all have.

    guests_a_day: of all variants; shares: of them that each gets. None where one never will, or not
    within MOST_DAYS.
    """
    days = 0.0
    for count, share in zip(counts, shares, strict=True):
        missing = planned - count
        if missing <= 0:
            continue
        if not (guests_a_day > 0 and share > 0):
            return None
        days = max(days, missing / (guests_a_day * share))
    return math.ceil(days) if days <= MOST_DAYS else None
