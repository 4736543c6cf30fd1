"""
Means of variants whose weights moved while guests came: each guest counts by its chance.

Called by analytics for bandits. Added up plainly, days on which a variant had many guests would
count the most in its mean, and so the weather of those days would.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from personalize.statistics.effects import Contrast, Effect, Estimate, difference, lift, shrunk
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
    """
    Compare two variants of a bandit; the effects go into the same views as any other.

    Where a variant had few guests, the few who would count for many may not have converted yet:
    the cautious effects take each variance for what guests vary by everywhere, as those of
    `effects.compare` do, where that is more.
    """
    c, t = reweighted(control), reweighted(treatment)
    means = {"control": c.mean if c else None, "treatment": t.mean if t else None}
    if c is None or t is None:
        n = sum(period.sample.n for period in (*control, *treatment))
        nothing = Effect(n=n, reason=Reason.TOO_FEW_GUESTS)
        return Contrast(**means, difference=nothing, lift=nothing, saved=0.0)
    everybody = pooled((*control, *treatment))
    cautious = _cautious(c, control, everybody), _cautious(t, treatment, everybody)
    return Contrast(
        **means,
        difference=replace(difference(c, t), cautious=difference(*cautious)),
        lift=replace(lift(c, t), cautious=lift(*cautious)),
        saved=0.0,
    )


def pooled(periods: Iterable[Period]) -> Sample:
    """Take all guests together, whatever their weights were."""
    return sum((period.sample for period in periods), Sample.of([]))


def _cautious(found: Estimate, periods: Sequence[Period], everybody: Sample) -> Estimate:
    held = [period for period in periods if period.sample.n]
    whole = math.fsum(period.sample.d / period.weight for period in held)
    squares = math.fsum(period.sample.d / period.weight**2 for period in held)
    # What one denominator, of everybody's, varies by: 1 for each guest, of a mean.
    each = (everybody.variance or 0.0) * everybody.d / everybody.n
    usual = each * squares / whole**2
    return shrunk(found, usual=usual, conversions=_conversions(held))


def _conversions(periods: Sequence[Period]) -> float:
    """Kish's effective number, of guests who count by their weights (`Sample.conversions`)."""
    y = math.fsum(period.sample.y / period.weight for period in periods)
    yy = math.fsum(period.sample.yy / period.weight**2 for period in periods)
    return y * y / yy if yy else 0.0
