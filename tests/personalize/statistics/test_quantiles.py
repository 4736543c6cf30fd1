"""Quantiles: which values to fetch, and what can be said of them whatever their shape."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from personalize.statistics import Quantile, Reason, compare_quantiles, fixed, ranks, sequence
from tests.personalize.statistics.samples import Floats, chance_of
from tests.thoroughness import searches


def quantile(values: Floats, share: float) -> Quantile:
    """Fetch the values at their ranks, as a database would."""
    ordered = np.sort(values).tolist()
    chosen = ranks(n=len(ordered), quantile=share)

    def at(rank: int | None) -> float | None:
        return None if rank is None else ordered[rank - 1]

    return Quantile(
        ranks=chosen, lower=at(chosen.lower), middle=at(chosen.middle), upper=at(chosen.upper)
    )


@settings(max_examples=searches(200))
@given(st.integers(0, 5000), st.floats(0.01, 0.99), st.floats(0.5, 0.999))
def test_ranks__of_any_quantile__are_the_closest_that_keep_the_level(
    n: int, share: float, level: float
) -> None:
    found = ranks(n=n, quantile=share, level=level)
    tail = (1 - level) / 2

    if found.lower is not None:
        assert 1 <= found.lower <= n
        assert stats.binom.cdf(found.lower - 1, n, share) <= tail * (1 + 1e-9)
        assert stats.binom.cdf(found.lower, n, share) >= tail * (1 - 1e-9)
    if found.upper is not None:
        assert 1 <= found.upper <= n
        assert stats.binom.sf(found.upper - 1, n, share) <= tail * (1 + 1e-9)
    if found.lower is not None and found.upper is not None:
        assert found.middle is not None
        assert found.lower <= found.middle <= found.upper


def test_ranks__of_a_hundred_million_values__are_near_the_middle() -> None:
    found = ranks(n=10**8, quantile=0.5)

    assert found.middle == 5 * 10**7
    assert found.lower == pytest.approx(5 * 10**7 - 9800, abs=2)
    assert found.upper == pytest.approx(5 * 10**7 + 9801, abs=2)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_ranks__of_few_values__have_no_interval(n: int) -> None:
    found = ranks(n=n)

    assert (found.lower, found.upper) == (None, None)
    assert found.middle == ((n + 1) // 2 or None)


@pytest.mark.parametrize("share, level", [(0, 0.95), (1, 0.95), (0.5, 0), (0.5, 1)])
def test_ranks__of_no_quantile_or_level__are_refused(share: float, level: float) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        ranks(n=10, quantile=share, level=level)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_quantile__of_skewed_values__is_covered_as_often_as_promised(share: float) -> None:
    draw = np.random.default_rng(3)
    truth = float(stats.lognorm.ppf(share, 1))
    runs = searches(2000)

    held = 0
    for _ in range(runs):
        found = quantile(draw.lognormal(0, 1, size=200), share)
        assert found.lower is not None and found.upper is not None
        held += found.lower <= truth <= found.upper

    assert held / runs >= 0.95 - chance_of(0.95, runs=runs)


def test_quantile__an_interval_as_long_as_a_normal_one__has_its_error() -> None:
    reach = float(stats.norm.ppf(0.975))
    found = Quantile(ranks=ranks(n=400), lower=5 - reach, middle=5.0, upper=5 + reach)

    assert found.variance == pytest.approx(400)


def counts(draw: np.random.Generator, n: int) -> Floats:
    return draw.poisson(2.674, size=n).astype(np.float64)


def prices(draw: np.random.Generator, n: int) -> Floats:
    """Few buy, at one of three prices: many values are the same."""
    return draw.choice([0.0, 19.0, 29.0, 99.0], p=[0.85, 0.05, 0.05, 0.05], size=n)


@pytest.mark.parametrize("shape, share", [(counts, 0.5), (prices, 0.9)])
def test_compare_quantiles__of_values_that_are_often_the_same__is_seldom_significant(
    shape: Callable[[np.random.Generator, int], Floats], share: float
) -> None:
    draw = np.random.default_rng(6)
    runs = searches(400)
    alarms = {"fixed": 0, "sequence": 0}
    for _ in range(runs):
        a, b = (quantile(shape(draw, 2000), share) for _ in range(2))
        effect = compare_quantiles(control=a, treatment=b).difference
        alarms["fixed"] += (fixed(effect).p_value or 1) < 0.05
        alarms["sequence"] += (sequence(effect).p_value or 1) < 0.05

    assert alarms["fixed"] / runs <= 0.05 + chance_of(0.05, runs=runs)
    assert alarms["sequence"] / runs <= 0.05


def test_compare_quantiles__no_effect__is_seldom_significant() -> None:
    draw = np.random.default_rng(4)
    runs = searches(1000)

    alarms = 0
    for _ in range(runs):
        a, b = (quantile(draw.lognormal(0, 1, size=400), 0.75) for _ in range(2))
        alarms += (fixed(compare_quantiles(control=a, treatment=b).lift).p_value or 0) < 0.05

    assert alarms / runs <= 0.05 + chance_of(0.05, runs=runs)


def test_compare_quantiles__all_times_two__is_a_lift_of_one() -> None:
    values = np.random.default_rng(5).lognormal(0, 1, size=1000)
    a, b = quantile(values, 0.5), quantile(values * 2, 0.5)

    found = compare_quantiles(control=a, treatment=b)

    assert found.lift.estimate == pytest.approx(1)
    assert found.control is not None
    assert found.difference.estimate == pytest.approx(found.control)
    assert found.difference.error == pytest.approx(
        np.hypot(*[(q.variance / q.n) ** 0.5 for q in (a, b) if q.variance])
    )


def test_compare_quantiles__too_few_values_or_all_the_same__is_none_with_its_reason() -> None:
    few, same = quantile(np.arange(4.0), 0.5), quantile(np.ones(50), 0.5)

    assert compare_quantiles(control=few, treatment=same).lift.reason is Reason.TOO_FEW_VALUES
    assert compare_quantiles(control=same, treatment=same).lift.reason is Reason.NO_VARIANCE
