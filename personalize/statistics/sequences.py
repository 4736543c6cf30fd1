"""
The default view of an effect: an interval that holds however often, and whenever, it is looked at.

Called by `comparisons`; verdicts rest on it, since nobody is kept from looking every day.
"""

from __future__ import annotations

import math

from personalize.statistics.effects import Effect
from personalize.statistics.types import Interval


def sequence(
    effect: Effect, *, alpha: float = 0.05, tuning: float = 5000.0, comparisons: int = 1
) -> Interval:
    """
    Return the asymptotic confidence sequence, and its always-valid p-value.

    With N guests of both variants, z = estimate / error (the cautious ones) and
    rho^2 = (-2 log alpha + log(1 - 2 log alpha)) / tuning, as `tuning` guests make it tightest:
    estimate ± error sqrt(2 (N rho^2 + 1) / (N rho^2) log(sqrt(N rho^2 + 1) / alpha)), and
    p = min(1, sqrt(N rho^2 + 1) exp(-N rho^2 z^2 / (2 (N rho^2 + 1)))).
    Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2021, arXiv 2103.06476v7), eq. 9, 155 and 161.

    comparisons: so many effects are looked at together; each has alpha by their number
    (Bonferroni). p stays that of this one: where p <= alpha / comparisons, the interval leaves
    out 0.
    """
    if effect.error is None:
        return Interval(reason=effect.reason)
    effect = effect.cautious or effect
    score = effect.score or 0.0
    grown = _grown(effect.n, alpha, tuning)
    log_p = 0.5 * math.log1p(grown) - grown * score * score / (2.0 * (grown + 1.0))
    return effect.interval(
        reach=reach(effect.n, alpha=alpha, tuning=tuning, comparisons=comparisons),
        p_value=math.exp(min(0.0, log_p)),
    )


def reach(
    guests: int, *, alpha: float = 0.05, tuning: float = 5000.0, comparisons: int = 1
) -> float:
    """Return how many standard errors an interval reaches, of so many guests of both variants."""
    grown = _grown(guests, alpha, tuning)
    allowed = 0.5 * math.log1p(grown) - math.log(alpha) + math.log(comparisons)
    return math.sqrt(2.0 * (grown + 1.0) / grown * allowed)


def _grown(guests: int, alpha: float, tuning: float) -> float:
    """N rho^2."""
    log_alpha = math.log(alpha)
    return guests * (-2.0 * log_alpha + math.log1p(-2.0 * log_alpha)) / tuning
