"""Plans: the numbers of guests that textbooks and calculators give."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalize.statistics import days_left, for_mean, for_rate
from personalize.statistics.sequences import reach
from tests.thoroughness import searches

#: Standard errors of an interval of 95 percent, looked at once.
ONE_LOOK = 1.959963984540054


def test_for_rate__with_the_defaults__takes_about_21_100_guests_a_variant() -> None:
    assert for_rate().size() == 21_106


@pytest.mark.parametrize(
    "base_rate, mde, alpha, power, guests",
    # By hand: (z + z)^2 (p1 q1 + p2 q2) / (p2 - p1)^2.
    [
        (0.10, 0.10, 0.05, 0.80, 14_749),
        (0.50, 0.02, 0.05, 0.80, 39_237),
        (0.02, 0.20, 0.05, 0.90, 28_255),
        (0.02, 0.20, 0.01, 0.80, 31_405),
        (0.02, -0.20, 0.05, 0.80, 17_339),
    ],
)
def test_for_rate__textbook_cases__take_as_many_guests(
    base_rate: float, mde: float, alpha: float, power: float, guests: int
) -> None:
    assert for_rate(base_rate=base_rate, mde=mde).size(alpha=alpha, power=power) == guests


def test_for_mean__sixteen_variances_over_the_effect_squared__is_about_right() -> None:
    # Lehr's rule of thumb for 80 percent power.
    assert for_mean(mean=50, variance=900, mde=0.1).size() == pytest.approx(16 * 900 / 25, rel=0.02)


@settings(max_examples=searches(200))
@given(st.floats(0.001, 0.6), st.floats(0.01, 0.6), st.floats(0.5, 0.99))
def test_power__of_the_planned_guests__is_what_was_planned(
    base_rate: float, mde: float, power: float
) -> None:
    plan = for_rate(base_rate=base_rate, mde=mde)
    guests = plan.size(power=power)

    assert plan.power(guests=guests, reach=ONE_LOOK) >= power - 1e-9
    if guests > 2:
        assert plan.power(guests=guests - 1, reach=ONE_LOOK) <= power + 1e-3


@settings(max_examples=searches(50))
@given(st.floats(0.01, 0.6), st.floats(0.05, 0.6), st.floats(0.5, 0.99), st.integers(0, 10**6))
def test_size__by_an_interval_that_holds_at_every_look__has_the_power(
    base_rate: float, mde: float, power: float, least: int
) -> None:
    plan = for_rate(base_rate=base_rate, mde=mde)

    def reach_of(guests: int) -> float:
        return reach(2 * guests)

    guests = plan.size_by(reach_of, power=power, least=least)

    assert guests >= least
    assert plan.power(guests=guests, reach=reach_of(guests)) >= power
    if guests > max(2, least):
        assert plan.power(guests=guests - 1, reach=reach_of(guests - 1)) < power


def test_power__of_nobody_or_of_certainty__is_none_or_full() -> None:
    assert for_rate().power(guests=0, reach=ONE_LOOK) == 0
    assert for_mean(mean=1, variance=0).power(guests=1, reach=ONE_LOOK) == 1


@pytest.mark.parametrize("base_rate, mde", [(0, 0.2), (1, 0.2), (0.9, 0.2), (0.1, 0), (0.1, -2)])
def test_for_rate__rates_that_cannot_be__are_refused(base_rate: float, mde: float) -> None:
    with pytest.raises(ValueError, match="cannot change by"):
        for_rate(base_rate=base_rate, mde=mde)


@pytest.mark.parametrize("mean, variance, mde", [(0, 1, 0.2), (1, -1, 0.2), (1, 1, 0)])
def test_for_mean__what_cannot_be_planned__is_refused(
    mean: float, variance: float, mde: float
) -> None:
    with pytest.raises(ValueError, match="can be planned"):
        for_mean(mean=mean, variance=variance, mde=mde)


def test_days_left__the_slowest_variant__says_how_long() -> None:
    left = days_left(counts=(900, 400), shares=(0.7, 0.3), planned=1000, guests_a_day=100)

    assert left == math.ceil(600 / 30)


def test_days_left__all_there__is_zero_even_if_nobody_comes_any_more() -> None:
    assert days_left(counts=(5, 6), shares=(0.5, 0.5), planned=5, guests_a_day=0) == 0


@pytest.mark.parametrize("shares, guests_a_day", [((0.5, 0.5), 0), ((1, 0), 10)])
def test_days_left__a_variant_that_gets_nobody__is_not_known(
    shares: tuple[float, float], guests_a_day: float
) -> None:
    assert days_left(counts=(3, 3), shares=shares, planned=5, guests_a_day=guests_a_day) is None


def test_days_left__years_away__is_not_known() -> None:
    found = [
        days_left(counts=(0, 0), shares=(0.5, 0.5), planned=planned, guests_a_day=2)
        for planned in (1000, 1001)
    ]

    assert found == [1000, None]
