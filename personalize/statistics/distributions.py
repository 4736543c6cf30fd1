"""
Distributions that the standard library lacks: t, chi-square, beta, binomial; and normal tails.

Called by all that turns a statistic into a probability. Checked against scipy by the tests.
"""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()
_TINY = 1e-300
_CLOSE = 1e-16
_MOST_TERMS = 1_000_000
#: Above, the expansion of t is exact to the last digits, and the continued fraction slow.
_MANY_DEGREES = 2000.0


def normal_survival(z: float) -> float:
    """Return P(Z > z) of the standard normal, precise far out in the tail."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def normal_density(z: float) -> float:
    """Return exp(-z^2 / 2) / sqrt(2 pi)."""
    return math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def normal_quantile(p: float) -> float:
    """Return z with P(Z <= z) = p. Raises ValueError unless 0 < p < 1."""
    if not 0 < p < 1:
        raise ValueError(f"a quantile is of a p between 0 and 1, not {p}")
    return _NORMAL.inv_cdf(p)


def beta_cdf(x: float, a: float, b: float) -> float:
    """
    Return the regularized incomplete beta function I_x(a, b): P(B <= x), B of Beta(a, b).

    By its continued fraction, in Lentz's way (Press et al., Numerical Recipes, 3rd ed., 6.4).
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    return _incomplete_beta(x, 1.0 - x, a, b)


def _incomplete_beta(x: float, y: float, a: float, b: float) -> float:
    # y is 1 - x, given apart: where x is close to 1 the difference would have lost its digits.
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(y)
    )
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _beta_fraction(x, a, b) / a
    return 1.0 - front * _beta_fraction(y, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    h = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + step * d)
            c = _away_from_zero(1.0 + step / c)
            h *= c * d
        if abs(c * d - 1.0) <= 4 * _CLOSE:
            return h
    raise ArithmeticError(f"I_x({a}, {b}) did not converge at {x}")


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def beta_density(x: float, a: float, b: float) -> float:
    """Return the density of Beta(a, b) at x, for a and b of at least 1."""
    if not 0 <= x <= 1:
        return 0.0
    if (x == 0 and a > 1) or (x == 1 and b > 1):
        return 0.0
    powers = _times_log(a - 1.0, x) + _times_log(b - 1.0, 1.0 - x)
    return math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + powers)


def _times_log(factor: float, value: float) -> float:
    return factor * math.log(value) if factor else 0.0


def binomial_cdf(k: int, n: int, p: float) -> float:
    """Return P(K <= k), K of n trials of chance p: I_{1-p}(n - k, k + 1)."""
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    return beta_cdf(1.0 - p, n - k, k + 1)


def t_survival(t: float, freedom: float) -> float:
    """
    Return P(T > t) of Student's t, precise far out in the tail.

    I_{v / (v + t^2)}(v / 2, 1/2) / 2 (Numerical Recipes, 6.14.8). With many degrees of freedom v,
    the normal tail at Hill's expansion of t (Hill 1970, Algorithm 395, CACM 13).
    """
    if t < 0:
        return 1.0 - t_survival(-t, freedom)
    if t == 0:
        return 0.5
    if freedom > _MANY_DEGREES:
        return normal_survival(_as_normal(t, freedom))
    whole = freedom + t * t
    return 0.5 * _incomplete_beta(freedom / whole, t * t / whole, freedom / 2.0, 0.5)


def _as_normal(t: float, freedom: float) -> float:
    w2 = (freedom - 0.5) * math.log1p(t * t / freedom)
    w = math.sqrt(w2)
    b = 48.0 * (freedom - 0.5) ** 2
    last = (((4.0 * w2 + 33.0) * w2 + 240.0) * w2 + 855.0) * w
    return w + (w2 + 3.0) * w / b - last / (10.0 * b * (b + 0.8 * w2 * w2 + 100.0))


def t_quantile(p: float, freedom: float) -> float:
    """Return t with P(T <= t) = p, by Newton's steps within a bracket that shrinks."""
    if p == 0.5:
        return 0.0
    if p < 0.5:
        return -_upper_t(p, freedom)
    return _upper_t(1.0 - p, freedom)


def _upper_t(tail: float, freedom: float) -> float:
    low, high = 0.0, max(1.0, -normal_quantile(tail))
    while t_survival(high, freedom) > tail:
        low, high = high, high * 2.0
    t = high
    for _ in range(200):
        over = t_survival(t, freedom) - tail
        low, high = (t, high) if over > 0 else (low, t)
        step = t + over / _t_density(t, freedom)
        following = step if low < step < high else (low + high) / 2.0
        if abs(following - t) <= 4 * _CLOSE * t:
            return following
        t = following
    return t


def _t_density(t: float, freedom: float) -> float:
    half = freedom / 2.0
    # lgamma of large numbers differ by too little to be subtracted.
    scale = math.exp(math.lgamma(half + 0.5) - math.lgamma(half)) if half < 1e6 else half**0.5
    power = math.exp(-(half + 0.5) * math.log1p(t * t / freedom))
    return max(scale * power / math.sqrt(freedom * math.pi), _TINY)


def chi_square_survival(x: float, freedom: float) -> float:
    """
    Return P(X > x) of chi-square: the regularized upper gamma function Q(v / 2, x / 2).

    By its series below, and its continued fraction above v / 2 + 1 (Numerical Recipes, 6.2).
    """
    if x <= 0:
        return 1.0
    a, x = freedom / 2.0, x / 2.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1.0:
        return 1.0 - front * _gamma_series(x, a)
    return front * _gamma_fraction(x, a)


def _gamma_series(x: float, a: float) -> float:
    term = total = 1.0 / a
    for k in range(1, _MOST_TERMS):
        term *= x / (a + k)
        total += term
        if term < total * _CLOSE:
            return total
    raise ArithmeticError(f"P({a}, {x}) did not converge")


def _gamma_fraction(x: float, a: float) -> float:
    b = x + 1.0 - a
    c, d = 1.0 / _TINY, 1.0 / _away_from_zero(b)
    h = d
    for k in range(1, _MOST_TERMS):
        step = -k * (k - a)
        b += 2.0
        d = 1.0 / _away_from_zero(step * d + b)
        c = _away_from_zero(b + step / c)
        h *= c * d
        if abs(c * d - 1.0) <= 4 * _CLOSE:
            return h
    raise ArithmeticError(f"Q({a}, {x}) did not converge")
