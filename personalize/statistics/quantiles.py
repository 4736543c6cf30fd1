"""
Quantiles of a goal's values, the median say, without any assumption about how they are spread.

Called by analytics: it asks for `ranks`, fetches the values there, and gives them to `Quantile`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

from personalize.statistics.distributions import binomial_cdf, normal_quantile
from personalize.statistics.effects import Contrast, Effect, Estimate, difference, lift
from personalize.statistics.types import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """
    Which of n values to fetch, from 1 of the smallest.

    middle: the quantile itself. lower, upper: the ends of its interval of the given level; None
    where there are too few values for one.
    """

    n: int
    level: float
    lower: int | None
    middle: int | None
    upper: int | None


def ranks(*, n: int, quantile: float = 0.5, level: float = 0.95) -> Ranks:
    """
    Choose the ranks of a quantile and of its interval.

    With K binomial of n and the quantile, the values at l and u have it between them with the
    chance P(l <= K < u): l is the largest with P(K < l) <= (1 - level) / 2, u the smallest with
    P(K >= u) <= (1 - level) / 2 (David & Nagaraja, Order Statistics, 3rd ed., 7.1).
    Raises ValueError unless quantile and level are between 0 and 1.
    """
    if not (0 < quantile < 1 and 0 < level < 1):
        raise ValueError(f"no quantile {quantile:g} at the level {level:g}")
    tail = (1.0 - level) / 2.0
    reached = range(n)

    def at_most(k: int) -> float:
        return binomial_cdf(k, n, quantile)

    # The number of k with P(K <= k) <= tail is the largest rank below; the one with
    # P(K <= k) >= 1 - tail comes just before the smallest above.
    lower = bisect_left(reached, True, key=lambda k: at_most(k) > tail)
    upper = bisect_left(reached, True, key=lambda k: at_most(k) >= 1.0 - tail) + 1
    return Ranks(
        n=n,
        level=level,
        lower=lower if lower >= 1 else None,
        middle=min(n, max(1, math.ceil(quantile * n))) if n else None,
        upper=upper if upper <= n else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """The values found at a variant's ranks; None for a rank that is None."""

    ranks: Ranks
    lower: float | None
    middle: float | None
    upper: float | None

    @property
    def n(self) -> int:
        return self.ranks.n

    @property
    def mean(self) -> float | None:
        """The quantile: what is compared, as the mean of other goals is."""
        return self.middle

    @property
    def variance(self) -> float | None:
        """
        n times the squared standard error: the interval's longer arm by that of a normal one.

        Woodruff (1952, JASA 47) takes half of its length, as of the mean of n values. Where many
        values are the same, counts and prices say, one arm may be 0 and the other a whole step.
        """
        if self.lower is None or self.middle is None or self.upper is None:
            return None
        reach = normal_quantile((1.0 + self.ranks.level) / 2.0)
        error = max(self.upper - self.middle, self.middle - self.lower) / reach
        return self.n * error * error

    @property
    def conversions(self) -> float:
        """Each value counts."""
        return float(self.n)

    @property
    def is_binary(self) -> bool:
        return False


def compare_quantiles(*, control: Quantile, treatment: Quantile) -> Contrast:
    """Compare two variants' quantiles: their difference, and lift by the delta method."""
    c, t = _estimate(control), _estimate(treatment)
    means = {"control": control.middle, "treatment": treatment.middle}
    if c is None or t is None:
        nothing = Effect(n=control.n + treatment.n, reason=Reason.TOO_FEW_VALUES)
        return Contrast(**means, difference=nothing, lift=nothing, saved=0.0)
    return Contrast(**means, difference=difference(c, t), lift=lift(c, t), saved=0.0)


def _estimate(found: Quantile) -> Estimate | None:
    variance = found.variance
    if found.middle is None or variance is None:
        return None
    return Estimate(found.middle, variance / found.n, found.n)
