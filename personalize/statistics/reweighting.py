"""
Means of variants whose weights moved while guests came: each guest counts by its chance.

Called by analytics for bandits. Added up plainly, days on which a variant had many guests would
count the most in its mean, and so the weather of those days would.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from personalize.statistics.effects import Contrast, Effect, Estimate, difference, lift
from personalize.statistics.samples import Sample
from personalize.statistics.types import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The guests of a variant who came while its share of the traffic was `weight`, 0 to 1."""

    weight: float
    sample: Sample

    def __post_init__(self) -> None:
        if self.sample.n and not 0 < self.weight <= 1:
            raise ValueError(f"guests came while the weight was {self.weight:g}: impossible")


def reweighted(periods: Sequence[Period]) -> Estimate | None:
    """
    Return a variant's mean by inverse-probability weighting; None where too little is known.

    Hajek's estimator (1971): R = sum of y / w by sum of d / w; its variance, by linearization, is
    n / (n - 1) sum of ((y - R d) / w)^2 by (sum of d / w)^2. Weights that rest on the past alone
    leave it consistent, and a floor under them keeps it normal (Hadad, Hirshberg, Zhan, Wager &
    Athey 2021, PNAS 118).
    """
    held = [period for period in periods if period.sample.n]
    n = sum(period.sample.n for period in held)
    whole = math.fsum(period.sample.d / period.weight for period in held)
    if n < 2 or not whole:
        return None
    mean = math.fsum(period.sample.y / period.weight for period in held) / whole
    squares = math.fsum(_squares(period.sample, mean) / period.weight**2 for period in held)
    return Estimate(mean, max(0.0, squares) / whole**2 * n / (n - 1), n)


def _squares(sample: Sample, mean: float) -> float:
    return sample.yy - 2.0 * mean * sample.yd + mean * mean * sample.dd


def compare_reweighted(*, control: Sequence[Period], treatment: Sequence[Period]) -> Contrast:
    """Compare two variants of a bandit; the effects go into the same views as any other."""
    c, t = reweighted(control), reweighted(treatment)
    means = {"control": c.mean if c else None, "treatment": t.mean if t else None}
    if c is None or t is None:
        n = sum(period.sample.n for period in (*control, *treatment))
        nothing = Effect(n=n, reason=Reason.TOO_FEW_GUESTS)
        return Contrast(**means, difference=nothing, lift=nothing, saved=0.0)
    return Contrast(**means, difference=difference(c, t), lift=lift(c, t), saved=0.0)
