"""
How a bandit divides its guests: each variant by the chance that it is the best.

Called by the chore that shifts a bandit's traffic. Guests who came while weights moved are no
plain A/B sample: show what they did by `reweighting`, never by the intervals of `report`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from personalize.statistics.distributions import (
    beta_cdf,
    beta_density,
    normal_density,
    normal_survival,
)
from personalize.statistics.samples import MICRO, Sample
from personalize.statistics.strata import stratified
from personalize.statistics.types import Direction

#: Panels end so many standard deviations from each mean; a Beta's tail may be as long.
_STEPS = (0.0, 1.0, 2.0, 3.0, 4.5, 6.5, 10.0, 18.0, 40.0)
#: A density, of one standard deviation, that adds nothing.
_NOTHING = 1e-15
#: Gauss and Legendre's eight points between -1 and 1, and their weights.
_POINTS = (0.1834346424956498, 0.5255324099163290, 0.7966664774136267, 0.9602898564975363)
_WEIGHTS = (0.3626837833783620, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763)
_NODES = [
    *zip(_POINTS, _WEIGHTS, strict=True),
    *((-point, weight) for point, weight in zip(_POINTS, _WEIGHTS, strict=True)),
]


@dataclass(frozen=True)
class _Belief:
    """What is believed of a variant's mean."""

    mean: float
    deviation: float
    density: Callable[[float], float]
    below: Callable[[float], float]
    low: float = -math.inf
    high: float = math.inf


def bandit_weights(
    periods: Sequence[Sequence[Sample]],
    *,
    direction: Direction = Direction.INCREASE,
    floor: float = 0.01,
    min_guests: int = 100,
) -> list[float]:
    """
    Return each variant's share of the guests to come; they add up to 1.

    periods: of each time in which weights stood still, a sample of each variant, in one order.
    floor + (1 - variants * floor) * P(best), so that no variant is ever given up; even where there
    are more variants than the floor allows, and until each has min_guests.

    Thompson's sampling (1933, Biometrika 25) draws a mean of each posterior, for each guest, and
    gives the variant with the best draw: so a guest gets a variant with the chance that it is the
    best. Weights that are this chance give the same in expectation, without drawing anything.
    """
    variants = list(zip(*periods, strict=True))
    count = len(variants)
    guests = [sum(sample.n for sample in variant) for variant in variants]
    if count * floor >= 1 or any(n < min_guests for n in guests):
        return _even(count)
    chances = chances_to_be_best(periods, direction=direction)
    return [floor + (1.0 - count * floor) * chance for chance in chances]


def _even(count: int) -> list[float]:
    return [1.0 / count] * count if count else []


def chances_to_be_best(
    periods: Sequence[Sequence[Sample]], *, direction: Direction = Direction.INCREASE
) -> list[float]:
    """
    Return the chance that each variant's mean is the best one: they add up to 1.

    periods: as of `bandit_weights`. Variants are compared within each (`strata`): on good days the
    variant with most of the traffic has most of the guests who would have converted anyway.

    The integral of f_k(x) product of F_j(x), j not k, by Gauss and Legendre's rule over panels that
    follow each posterior: Beta(1 + conversions, 1 + others) where each guest converts or not
    (Scott 2010, Appl. Stochastic Models Bus. Ind. 26) in one period alone, else normal about the
    mean. All alike where nothing is known of one.
    """
    beliefs = _beliefs(periods)
    if not beliefs:
        return _even(len(periods[0]) if periods else 0)
    chances = [0.0] * len(beliefs)
    for low, high in pairwise(_edges(beliefs)):
        middle, half = (low + high) / 2.0, (high - low) / 2.0
        for point, weight in _NODES:
            heights = _heights(beliefs, middle + half * point, direction)
            for at, height in enumerate(heights):
                chances[at] += half * weight * height
    whole = math.fsum(chances)
    return [chance / whole for chance in chances]


def _heights(beliefs: Sequence[_Belief], x: float, direction: Direction) -> list[float]:
    densities = [belief.density(x) for belief in beliefs]
    held = [at for at, belief in enumerate(beliefs) if densities[at] * belief.deviation > _NOTHING]
    heights = [0.0] * len(beliefs)
    if not held:
        return heights
    behind = [belief.below(x) for belief in beliefs]
    if direction is Direction.DECREASE:
        behind = [1.0 - chance for chance in behind]
    for at in held:
        heights[at] = densities[at] * math.prod(behind[:at] + behind[at + 1 :])
    return heights


def _edges(beliefs: Iterable[_Belief]) -> list[float]:
    edges = {
        min(belief.high, max(belief.low, belief.mean + sign * step * belief.deviation))
        for belief in beliefs
        for step in _STEPS
        for sign in (-1.0, 1.0)
    }
    return sorted(edges)


def _beliefs(periods: Sequence[Sequence[Sample]]) -> list[_Belief]:
    held = [period for period in periods if any(sample.n for sample in period)]
    if len(held) > 1:
        found = stratified(held) or []
        return [_normal(each.mean, math.sqrt(each.spread)) for each in found]
    return _beliefs_of_one(held[0] if held else ())


def _beliefs_of_one(samples: Sequence[Sample]) -> list[_Belief]:
    if all(sample.is_binary for sample in samples):
        return [_beta(sample) for sample in samples]
    known = [
        (sample.mean, sample.variance, sample.n)
        for sample in samples
        if sample.mean is not None and sample.variance is not None
    ]
    # A variant whose guests are all the same so far is as uncertain as guests of all variants are.
    spread = sum(variance for _, variance, _ in known)
    if len(known) < len(samples) or not spread:
        return []
    return [
        _normal(mean, math.sqrt((variance or spread / len(known)) / n))
        for mean, variance, n in known
    ]


def _beta(sample: Sample) -> _Belief:
    a = 1.0 + sample.y / MICRO
    b = 2.0 + sample.n - a
    mean = a / (a + b)
    return _Belief(
        mean,
        math.sqrt(mean * (1.0 - mean) / (a + b + 1.0)),
        density=lambda x: beta_density(x, a, b),
        below=lambda x: beta_cdf(x, a, b),
        low=0.0,
        high=1.0,
    )


def _normal(mean: float, deviation: float) -> _Belief:
    return _Belief(
        mean,
        deviation,
        density=lambda x: normal_density((x - mean) / deviation) / deviation,
        below=lambda x: normal_survival((mean - x) / deviation),
    )
