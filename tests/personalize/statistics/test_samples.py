"""Sums of guests: they add up exactly, and their moments are those of the values."""

import statistics as plain
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalize.statistics import MICRO, Sample
from tests.personalize.statistics.samples import converted, values
from tests.thoroughness import searches

Values = tuple[list[float], list[float], list[float]]


@settings(max_examples=searches(200))
@given(values(), values())
def test_sample__two_groups_added__is_the_sample_of_both(left: Values, right: Values) -> None:
    both = [a + b for a, b in zip(left, right, strict=True)]

    assert Sample.of(*left) + Sample.of(*right) == Sample.of(*both)


@settings(max_examples=searches(200))
@given(values(min_size=2))
def test_sample__of_values__has_their_mean_and_variance(given_values: Values) -> None:
    ys, _, xs = given_values
    sample = Sample.of(ys, xs=xs)

    assert sample.mean == pytest.approx(plain.mean(ys))
    assert sample.variance == pytest.approx(plain.variance(ys))
    assert sample.x_mean == pytest.approx(plain.mean(xs))
    assert sample.x_variance == pytest.approx(plain.variance(xs))
    assert sample.x_covariance == pytest.approx(plain.covariance(ys, xs), abs=1e-9)


@settings(max_examples=searches(200))
@given(values(min_size=2))
def test_sample__of_a_ratio__varies_as_its_linearized_values_do(given_values: Values) -> None:
    ys, ds, xs = given_values
    sample = Sample.of(ys, ds, xs)
    ratio = sum(ys) / sum(ds)
    linear = [(y - ratio * d) / plain.mean(ds) for y, d in zip(ys, ds, strict=True)]

    assert sample.mean == pytest.approx(ratio)
    assert sample.variance == pytest.approx(plain.variance(linear), rel=1e-9, abs=1e-9)
    assert sample.x_covariance == pytest.approx(plain.covariance(linear, xs), rel=1e-6, abs=1e-6)


@settings(max_examples=searches(100))
@given(values(min_size=2), st.integers(2, 1000))
def test_sample__values_times_k__vary_by_k_squared(given_values: Values, k: int) -> None:
    ys, ds, _ = given_values
    one, many = Sample.of(ys, ds), Sample.of([y * k for y in ys], ds)

    assert one.mean is not None and one.variance is not None
    assert many.mean == pytest.approx(one.mean * k)
    assert many.variance == pytest.approx(one.variance * k * k)


def test_sample__a_tiny_variance_about_a_huge_mean__is_exact() -> None:
    # In floating point, 1e18 and 1 in the same sum of squares leave nothing.
    ys = [1e9, 1e9 + 1, 1e9 + 2] * 1000

    assert Sample.of(ys).variance == pytest.approx(2000 / 2999, rel=1e-12)


def test_sample__a_hundred_million_guests__has_a_precise_variance() -> None:
    assert converted(10**8, 1).variance == pytest.approx(1e-8, rel=1e-7)


@pytest.mark.parametrize("sample", [Sample.of([]), Sample.of([3.0])], ids=["nobody", "one"])
def test_sample__fewer_than_two_guests__has_no_variance(sample: Sample) -> None:
    assert sample.variance is None
    assert sample.x_variance == sample.x_covariance == 0


def test_sample__nothing_to_count_per__has_no_mean() -> None:
    sample = Sample.of([1, 2], [0, 0])

    assert sample.mean is None
    assert sample.variance is None
    assert sample.is_ratio


def test_sample__each_guest_once_or_not__is_binary() -> None:
    assert Sample.of([1, 0, 0, 1]).is_binary
    assert not Sample.of([1, 0, 2]).is_binary
    assert not Sample.of([1, 0], [1, 2]).is_binary


def test_sample__counted_per_guest__is_no_ratio() -> None:
    assert not Sample.of([1.5, 2.5]).is_ratio
    assert not Sample.of([1.5, 2.5], [1, 1]).is_ratio
    assert Sample.of([1.5, 2.5], [2, 2]).is_ratio


def test_conversions__few_guests_with_most_of_the_value__count_as_few() -> None:
    assert converted(1000, 12).conversions == 12
    assert 1 < Sample.of([0] * 90 + [1] * 9 + [1000]).conversions < 1.1
    assert Sample.of([0, 0]).conversions == 0


def test_sample__sums_that_no_guests_can_have__are_refused() -> None:
    sample = Sample.of([1, 2, 3])

    with pytest.raises(ValueError, match="no 3 guests can have these sums"):
        replace(sample, yy=sample.yy // 2)
    with pytest.raises(ValueError, match="no 0 guests"):
        replace(sample, n=0)
    with pytest.raises(ValueError, match="no -1 guests"):
        replace(Sample.of([]), n=-1)


def test_sample__a_sum_that_is_no_whole_number__is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="yy is a whole number, not Decimal"):
        replace(Sample.of([1, 2]), yy=Decimal(5))  # type: ignore[arg-type]


def test_sample__lists_of_unlike_lengths__are_refused() -> None:
    with pytest.raises(ValueError):
        Sample.of([1, 2], [1])


def test_micro__is_what_values_are_counted_in() -> None:
    assert Sample.of([1.000001]).y == MICRO + 1
