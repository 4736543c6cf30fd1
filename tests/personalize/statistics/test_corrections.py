"""Corrections for many comparisons, and caps for few enormous values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from personalize.statistics import Capped, benjamini_hochberg, cap_rank
from tests.thoroughness import searches

chances = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@settings(max_examples=searches(200))
@given(chances)
def test_benjamini_hochberg__any_p_values__are_scipys(p_values: list[float]) -> None:
    expected = stats.false_discovery_control(p_values).tolist()

    assert benjamini_hochberg(p_values) == pytest.approx(expected)


@settings(max_examples=searches(100))
@given(chances)
def test_benjamini_hochberg__what_is_not_known__counts_for_nothing(p_values: list[float]) -> None:
    gaps = [value for p in p_values for value in (p, None)]

    assert benjamini_hochberg(gaps)[::2] == benjamini_hochberg(p_values)
    assert set(benjamini_hochberg(gaps)[1::2]) == {None}


def test_benjamini_hochberg__nothing__is_nothing() -> None:
    assert benjamini_hochberg([]) == []


@pytest.mark.parametrize(
    "values, percentile, rank",
    [(100, 0.99, 99), (101, 0.99, 100), (1, 0.5, 1), (10, 1, 10), (100, 0.07, 7)],
)
def test_cap_rank__a_percentile__is_of_the_nearest_rank(
    values: int, percentile: float, rank: int
) -> None:
    assert cap_rank(values=values, percentile=percentile) == rank


@given(st.integers(1, 10**9), st.floats(0.001, 1))
def test_cap_rank__any_number_of_values__is_one_of_them(values: int, percentile: float) -> None:
    assert 1 <= cap_rank(values=values, percentile=percentile) <= values


@pytest.mark.parametrize("values, percentile", [(0, 0.9), (10, 0), (10, 1.1)])
def test_cap_rank__no_values_or_no_percentile__is_refused(values: int, percentile: float) -> None:
    with pytest.raises(ValueError, match="no cap at the percentile"):
        cap_rank(values=values, percentile=percentile)


def test_capped__share__is_of_all_values() -> None:
    assert Capped(cap=250.0, above=3, values=300).share == 0.01
    assert Capped(cap=0.0, above=0, values=0).share == 0
