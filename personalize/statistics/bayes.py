"""
The Bayesian view of an effect: how likely a variant is the better one, and what a mistake costs.

Called by `comparisons`. With the flat prior it says what the classical view says, in other words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from personalize.statistics.distributions import normal_density, normal_quantile, normal_survival
from personalize.statistics.effects import Effect
from personalize.statistics.types import Direction, Prior


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """
    What is believed of an effect, in the effect's units; all None where it has no error.

    chance_to_win: that the treatment is the better one, whichever direction is. low, high: the
    credible interval. loss: what is lost on average by taking the treatment (its risk), and
    control_loss by keeping the control.
    """

    mean: float | None = None
    deviation: float | None = None
    chance_to_win: float | None = None
    low: float | None = None
    high: float | None = None
    loss: float | None = None
    control_loss: float | None = None


def posterior(
    effect: Effect,
    *,
    alpha: float = 0.05,
    prior: Prior | None = None,
    direction: Direction = Direction.INCREASE,
    scale: float = 1.0,
) -> Posterior:
    """
    Join a normal prior (None: flat) with the normal likelihood of an effect.

    Precisions add up: 1/s^2 = 1/error^2 + 1/prior^2, the mean is weighted by them; chance to win
    = P(N(m, s) > 0); expected loss E max(-delta, 0) = s phi(m/s) - m P(Z > m/s) (Gelman et al.,
    Bayesian Data Analysis, 2.5; Stucchio 2015, Bayesian A/B testing at VWO). `scale` turns the
    prior on the lift into the effect's units: 1 for a lift, the control's mean for a difference.
    """
    if effect.estimate is None or effect.error is None:
        return Posterior()
    mean, deviation = effect.estimate, effect.error
    if prior is not None and scale:
        believed = prior.deviation * abs(scale)
        # Weights of the two that never square anything tiny.
        weight = 1.0 / (1.0 + (effect.error / believed) ** 2)
        mean = weight * effect.estimate + (1.0 - weight) * prior.mean * abs(scale)
        deviation = effect.error * math.sqrt(weight)
    score = mean / deviation
    above, below = normal_survival(-score), normal_survival(score)
    # What is lost by staying below 0, and by staying above.
    falls = max(0.0, deviation * normal_density(score) - mean * below)
    rises = max(0.0, deviation * normal_density(score) + mean * above)
    is_up = direction is Direction.INCREASE
    reach = normal_quantile(1 - alpha / 2) * deviation
    return Posterior(
        mean=mean,
        deviation=deviation,
        chance_to_win=above if is_up else below,
        low=mean - reach,
        high=mean + reach,
        loss=falls if is_up else rises,
        control_loss=rises if is_up else falls,
    )
