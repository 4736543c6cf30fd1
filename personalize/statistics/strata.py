"""
Variants compared within periods alone, in each of which their shares of the traffic stood still.

Called by `bandits`, once weights have moved: added up over periods, a variant that had most of the
guests of good days would look good itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from personalize.statistics.effects import Estimate
from personalize.statistics.samples import MICRO, Sample

Matrix = list[list[float]]

#: A variance that stands for a variant is no less than this share of what its differences have.
_LEAST = 1e-6


def stratified(strata: Sequence[Sequence[Sample]]) -> list[Estimate] | None:
    """
    Return each variant's mean less that of the first one, as if in one period; None: not known.

    strata: of each period, a sample of each variant, always in the same order. What is estimated
    is e in y_pv / d_pv = m_p + e_v by least squares, each mean weighted by its d, with the
    variance that all guests together have. Of two variants that is Mantel and Haenszel's weighted
    difference (1959). Spreads are quasi-variances (Firth & de Menezes 2004, Biometrika 91): those
    of two variants add up to the variance of their difference; of one period they are exact.
    """
    count = len(strata[0]) if strata else 0
    everybody = sum((sample for stratum in strata for sample in stratum), Sample.of([]))
    variance = everybody.variance
    if count < 2 or not variance:
        return None
    weights: Matrix = [[0.0] * count for _ in range(count)]
    totals = [0.0] * count
    for stratum in strata:
        _add(stratum, weights, totals)
    # Only differences are known, so the first one's effect is 0.
    inverse = _inverted([row[1:] for row in weights[1:]])
    if inverse is None:
        return None
    effects = [0.0, *(_dot(row, totals[1:]) for row in inverse)]
    a_denominator = variance * everybody.d / (everybody.n * MICRO)
    spreads = _quasi_variances(inverse)
    guests = [sum(stratum[at].n for stratum in strata) for at in range(count)]
    return [
        Estimate(effect, spread * a_denominator, n)
        for effect, spread, n in zip(effects, spreads, guests, strict=True)
    ]


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(left, right, strict=True))


def _add(stratum: Sequence[Sample], weights: Matrix, totals: list[float]) -> None:
    """Add a period to the normal equations, with its own mean solved for."""
    ds = [sample.d / MICRO for sample in stratum]
    ys = [sample.y / MICRO for sample in stratum]
    whole = math.fsum(ds)
    if not whole > 0:
        return
    mean = math.fsum(ys) / whole
    for row, (d, y) in enumerate(zip(ds, ys, strict=True)):
        totals[row] += y - d * mean
        weights[row][row] += d
        for column, other in enumerate(ds):
            weights[row][column] -= d * other / whole


def _inverted(matrix: Matrix) -> Matrix | None:
    """Invert by Gauss and Jordan's elimination; None where nothing ties some variant to another."""
    size = len(matrix)
    rows = [[*row, *(float(at == own) for at in range(size))] for own, row in enumerate(matrix)]
    largest = max(abs(value) for row in matrix for value in row)
    for at in range(size):
        pivot = max(range(at, size), key=lambda row: abs(rows[row][at]))
        if abs(rows[pivot][at]) <= largest * 1e-12:
            return None
        rows[at], rows[pivot] = rows[pivot], rows[at]
        rows[at] = [value / rows[at][at] for value in rows[at]]
        for other in range(size):
            if other != at:
                factor = rows[other][at]
                rows[other] = [
                    value - factor * own for value, own in zip(rows[other], rows[at], strict=True)
                ]
    return [row[size:] for row in rows]


def _quasi_variances(inverse: Matrix) -> list[float]:
    """Return variances of which any two add up, as nearly as can be, to that of the difference."""
    count = len(inverse) + 1

    def of_difference(a: int, b: int) -> float:
        own = [0.0 if at == 0 else inverse[at - 1][at - 1] for at in (a, b)]
        common = inverse[a - 1][b - 1] if a and b else 0.0
        return own[0] + own[1] - 2.0 * common

    others = [[of_difference(a, b) for b in range(count) if b != a] for a in range(count)]
    if count == 2:
        return [others[0][0] / 2.0] * 2
    whole = math.fsum(map(math.fsum, others)) / (2.0 * (count - 1))
    return [max((math.fsum(own) - whole) / (count - 2), _LEAST * min(own)) for own in others]
