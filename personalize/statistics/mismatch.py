"""
Sample-ratio mismatch: do the variants have the guests that their weights say?

Called by `report`. If not, something loses guests of one variant, and no result can be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from personalize.statistics.distributions import chi_square_survival

#: How firmly shares are believed to be near the weights: a rough fault shows early by the low
#: ones, a slight fault late by the high one. Their average is a martingale as each of them is.
_CONCENTRATIONS = (1.0, 100.0, 10_000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """
    What the numbers of guests say of the traffic split.

    expected: guests of each variant by its weight. p_value: of the chi-square test, right for one
    look alone. sequential_p_value: valid however often it is looked at; `found` rests on it.
    """

    counts: tuple[int, ...]
    expected: tuple[float, ...]
    p_value: float
    sequential_p_value: float
    found: bool


def mismatch(
    *,
    weights: Sequence[float],
    counts: Sequence[int],
    earlier: Sequence[Sequence[int]] = (),
    alpha: float = 0.001,
) -> Mismatch:
    """
    Test the numbers of guests, a variant each, against weights that are relative to each other.

    earlier: the same numbers as they stood at any moments before, each counted from the start.
    A look that found a mismatch stays: the p-value is the smallest of all looks.
    Raises ValueError where lengths differ, or weights or counts cannot be.
    """
    shares = _shares(weights)
    for look in (*earlier, counts):
        if len(look) != len(weights) or any(count < 0 for count in look):
            raise ValueError(f"{len(weights)} variants need as many counts of 0 or more: {look}")
    expected = tuple(share * sum(counts) for share in shares)
    smallest = min(sequential_p(look, shares) for look in (*earlier, counts))
    return Mismatch(
        counts=tuple(counts),
        expected=expected,
        p_value=chi_square_p(counts, expected),
        sequential_p_value=smallest,
        found=smallest < alpha,
    )


def _shares(weights: Sequence[float]) -> list[float]:
    total = math.fsum(weights)
    if not (math.isfinite(total) and total > 0) or any(weight < 0 for weight in weights):
        raise ValueError(f"weights are 0 or more, and one is above 0: {list(weights)}")
    return [weight / total for weight in weights]


def chi_square_p(counts: Sequence[int], expected: Sequence[float]) -> float:
    """Return P(X > sum of (count - expected)^2 / expected), of Pearson's chi-square (1900)."""
    if _is_impossible(counts, expected):
        return 0.0
    cells = [(count, mean) for count, mean in zip(counts, expected, strict=True) if mean > 0]
    if len(cells) < 2:
        return 1.0
    statistic = math.fsum((count - mean) ** 2 / mean for count, mean in cells)
    return chi_square_survival(statistic, len(cells) - 1)


def sequential_p(counts: Sequence[int], shares: Sequence[float]) -> float:
    """
    Return the p-value of a multinomial against shares, valid at any time.

    One by the Bayes factor of a Dirichlet(c shares) mixture against the shares themselves:
    Gamma(c) / Gamma(c + n) product of Gamma(c s_i + n_i) / Gamma(c s_i) s_i^-n_i
    (Lindon & Malek 2020, arXiv 2011.03567, eq. 9), averaged over three values of c.
    """
    if _is_impossible(counts, shares):
        return 0.0
    cells = [(count, share) for count, share in zip(counts, shares, strict=True) if share > 0]
    logs = [_log_bayes_factor(cells, concentration) for concentration in _CONCENTRATIONS]
    largest = max(logs)
    mean = math.fsum(math.exp(log - largest) for log in logs) / len(logs)
    return math.exp(min(0.0, -largest - math.log(mean)))


def _log_bayes_factor(cells: Sequence[tuple[int, float]], concentration: float) -> float:
    n = sum(count for count, _ in cells)
    terms = [math.lgamma(concentration) - math.lgamma(concentration + n)]
    for count, share in cells:
        prior = concentration * share
        terms.append(math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(share))
    return math.fsum(terms)


def _is_impossible(counts: Sequence[int], expected: Sequence[float]) -> bool:
    # With no guests at all nothing is expected of anybody.
    return sum(expected) > 0 and any(
        count and not mean for count, mean in zip(counts, expected, strict=True)
    )
