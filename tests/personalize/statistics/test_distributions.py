"""Distributions, compared with scipy's over all that experiments can ask of them."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from personalize.statistics.distributions import (
    beta_cdf,
    beta_density,
    binomial_cdf,
    chi_square_survival,
    normal_quantile,
    normal_survival,
    t_quantile,
    t_survival,
)
from tests.thoroughness import searches

FREEDOMS = (1, 1.5, 2, 3.7, 10, 100, 1000, 1999.9, 2000.1, 5e4, 1e7, 1e10)


@pytest.mark.parametrize("freedom", FREEDOMS)
@pytest.mark.parametrize("t", [0.001, 0.1, 1, 1.96, 5, 12, 30, 300])
def test_t_survival__any_degrees_of_freedom__is_scipys(t: float, freedom: float) -> None:
    assert t_survival(t, freedom) == pytest.approx(stats.t.sf(t, freedom), rel=1e-8, abs=1e-300)
    assert t_survival(-t, freedom) == pytest.approx(stats.t.sf(-t, freedom), rel=1e-12)


@pytest.mark.parametrize("freedom", FREEDOMS)
@pytest.mark.parametrize("p", [1e-9, 0.001, 0.025, 0.3, 0.5, 0.9, 0.975, 0.9999])
def test_t_quantile__any_level__is_scipys(p: float, freedom: float) -> None:
    assert t_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=1e-8, abs=1e-12)


@settings(max_examples=searches(300))
@given(st.floats(0.5, 1e7), st.floats(1e-6, 1 - 1e-6))
def test_t_quantile__then_survival__leads_back(freedom: float, p: float) -> None:
    assert 1 - t_survival(t_quantile(p, freedom), freedom) == pytest.approx(p, rel=1e-6)


@pytest.mark.parametrize(
    "a, b", list(itertools.product((0.5, 1, 2, 7.5, 40, 1e3, 2e5), (0.5, 1, 3, 25.5, 1e4, 1e6)))
)
def test_beta_cdf__any_shape__is_scipys(a: float, b: float) -> None:
    mean = a / (a + b)
    spread = math.sqrt(mean * (1 - mean) / (a + b + 1))
    for step in (-5, -2, -0.5, 0, 0.5, 2, 5):
        x = mean + step * spread
        if 0 < x < 1:
            assert beta_cdf(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), rel=1e-6, abs=1e-12)
            if a >= 1 and b >= 1:
                assert beta_density(x, a, b) == pytest.approx(stats.beta.pdf(x, a, b), rel=1e-6)


def test_beta__outside_of_its_support__is_nothing() -> None:
    assert (beta_cdf(-0.1, 2, 3), beta_cdf(1.1, 2, 3)) == (0, 1)
    assert beta_density(0, 2, 3) == beta_density(1, 2, 3) == beta_density(1.5, 2, 3) == 0
    assert beta_density(0, 1, 1) == beta_density(1, 1, 1) == 1


@pytest.mark.parametrize("freedom", [1, 2, 3, 9, 50, 400])
@pytest.mark.parametrize("x", [1e-6, 0.5, 1, 3.84, 10, 60, 400, 2000])
def test_chi_square_survival__any_statistic__is_scipys(x: float, freedom: int) -> None:
    expected = stats.chi2.sf(x, freedom)
    assert chi_square_survival(x, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_chi_square_survival__a_perfect_fit__is_certain() -> None:
    assert chi_square_survival(0, 3) == 1


@pytest.mark.parametrize("n, p", [(1, 0.5), (10, 0.3), (1000, 0.95), (10**6, 0.5)])
def test_binomial_cdf__any_number__is_scipys(n: int, p: float) -> None:
    for k in {-1, 0, int(n * p) - 1, int(n * p), int(n * p) + 1, n - 1, n}:
        expected = stats.binom.cdf(k, n, p)
        assert binomial_cdf(k, n, p) == pytest.approx(expected, rel=1e-7, abs=1e-12)


def test_normal__far_out__keeps_its_digits() -> None:
    assert normal_survival(30) == pytest.approx(stats.norm.sf(30), rel=1e-12)
    assert normal_quantile(1e-12) == pytest.approx(stats.norm.ppf(1e-12), rel=1e-12)


@pytest.mark.parametrize("p", [0, 1, -0.1])
def test_normal_quantile__of_what_is_no_chance__is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        normal_quantile(p)
