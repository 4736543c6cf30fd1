"""Sample-ratio mismatch: found where guests go missing, at whatever look; else left alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from personalize.statistics import mismatch
from tests.thoroughness import searches


@pytest.mark.parametrize(
    "weights, counts",
    [
        ((1, 1), (10, 12)),
        ((1, 1), (50_000, 50_900)),
        ((9, 1), (900, 100)),
        ((1, 1, 1), (5000, 5100, 4800)),
        ((0.5, 0.25, 0.25), (10**8, 5 * 10**7 + 20_000, 5 * 10**7)),
        ((2, 0, 1), (200, 0, 90)),
    ],
)
def test_mismatch__at_one_look__has_scipys_chi_square(
    weights: tuple[float, ...], counts: tuple[int, ...]
) -> None:
    found = mismatch(weights=weights, counts=counts)

    expected = [weight / sum(weights) * sum(counts) for weight in weights]
    assert found.expected == pytest.approx(expected)
    held = [(count, mean) for count, mean in zip(counts, expected, strict=True) if mean]
    test = stats.chisquare([count for count, _ in held], [mean for _, mean in held])
    assert found.p_value == pytest.approx(test.pvalue, rel=1e-6)


def test_mismatch__a_tenth_of_one_variants_guests_lost__is_found() -> None:
    assert mismatch(weights=(1, 1), counts=(10_000, 9_000)).found
    assert not mismatch(weights=(1, 1), counts=(10_000, 9_900)).found


def test_mismatch__a_variant_that_gets_nobody__is_found_early() -> None:
    assert mismatch(weights=(1, 1), counts=(30, 0)).found


def test_mismatch__guests_of_a_variant_without_weight__is_found_at_once() -> None:
    found = mismatch(weights=(1, 0), counts=(1000, 1))

    assert found.found
    assert found.p_value == found.sequential_p_value == 0


def test_mismatch__one_variant_with_weight__has_nothing_to_be_divided() -> None:
    found = mismatch(weights=(1, 0), counts=(1000, 0))

    assert (found.p_value, found.found) == (1, False)


def test_mismatch__nobody_yet__finds_nothing() -> None:
    found = mismatch(weights=(1, 1), counts=(0, 0))

    assert (found.p_value, found.sequential_p_value, found.found) == (1, 1, False)


def test_mismatch__found_on_an_earlier_day__stays_found() -> None:
    late = {"weights": (1, 1), "counts": (100_000, 99_500)}

    assert not mismatch(weights=(1, 1), counts=(100_000, 99_500)).found
    assert mismatch(**late, earlier=[(10, 9), (10_000, 9_000)]).found  # type: ignore[arg-type]


def test_mismatch__no_fault_and_a_look_every_day__is_seldom_found() -> None:
    draw = np.random.default_rng(11)
    runs = searches(500)
    alarms = {"sequential": 0, "chi-square": 0}
    expected = np.outer(np.arange(1, 101), (250, 150, 100))
    for _ in range(runs):
        days = np.cumsum(draw.multinomial(500, (0.5, 0.3, 0.2), size=100), axis=0)
        looks = days.tolist()
        found = mismatch(weights=(5, 3, 2), counts=looks[-1], earlier=looks[:-1], alpha=0.05)
        alarms["sequential"] += found.found
        every_day = stats.chi2.sf(((days - expected) ** 2 / expected).sum(axis=1), 2)
        alarms["chi-square"] += bool((every_day < 0.05).any())

    assert alarms["sequential"] / runs <= 0.05
    assert alarms["chi-square"] / runs > 0.2


@settings(max_examples=searches(200))
@given(st.lists(st.integers(0, 10**7), min_size=2, max_size=8), st.data())
def test_mismatch__variants_in_another_order__says_the_same(
    counts: list[int], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(counts))))
    weights = [1.0 + at for at in range(len(counts))]

    one = mismatch(weights=weights, counts=counts)
    other = mismatch(weights=[weights[at] for at in order], counts=[counts[at] for at in order])

    assert 0 <= one.sequential_p_value <= 1
    assert other.sequential_p_value == pytest.approx(one.sequential_p_value, rel=1e-6)
    assert other.p_value == pytest.approx(one.p_value, rel=1e-6)


@pytest.mark.parametrize("weights", [(0, 0), (-1, 2), (float("nan"), 1), (float("inf"), 1)])
def test_mismatch__weights_that_divide_nothing__are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="weights are 0 or more"):
        mismatch(weights=weights, counts=(1, 1))


@pytest.mark.parametrize("counts", [(1,), (1, -1), (1, 2, 3)])
def test_mismatch__counts_that_cannot_be__are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="2 variants need as many counts"):
        mismatch(weights=(1, 1), counts=counts)
