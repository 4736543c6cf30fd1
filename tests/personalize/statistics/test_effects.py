"""Effects and their views: as scipy has them, symmetric, and never a division by zero."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from personalize.statistics import (
    Direction,
    Effect,
    Estimate,
    Interval,
    Posterior,
    Prior,
    Reason,
    Sample,
    compare,
    fixed,
    posterior,
    sequence,
)
from personalize.statistics.effects import Pair
from tests.personalize.statistics.samples import converted, measured, values
from tests.thoroughness import searched, searches

Values = tuple[list[float], list[float], list[float]]

#: Means that are not 0 within four standard errors.
estimates = st.builds(
    Estimate,
    st.floats(1, 100) | st.floats(-100, -1),
    st.floats(0.0001, 0.05),
    st.just(1000),
)

#: Two variants' values: the shapes that goals have, few guests and many.
SHAPES = [
    ([0, 1], [1, 0]),
    ([1, 2, 3], [2, 2, 2.5]),
    ([5.0] * 9 + [6.0], [5.0] * 9 + [4.0]),
    ([0] * 40 + [1] * 10, [0] * 30 + [1] * 20),
    ([1e6, 1e6 + 1, 1e6 + 2], [1e6 + 1, 1e6 + 2, 1e6 + 4]),
    ([-3, -2, -1, -7], [1, -2, 3, 5, 8]),
]


@pytest.mark.parametrize("seed", searched(range(40)))
def test_fixed__skewed_values_of_unequal_groups__is_scipys_welch_test(seed: int) -> None:
    draw = np.random.default_rng(seed)
    sizes = draw.integers(2, 400, size=2)
    a = np.round(draw.lognormal(1, 1.2, size=sizes[0]), 6)
    b = np.round(draw.lognormal(1.1, 0.8, size=sizes[1]), 6)

    found = fixed(compare(control=measured(a), treatment=measured(b)).difference, alpha=0.1)

    expected = stats.ttest_ind(b, a, equal_var=False)
    low, high = expected.confidence_interval(0.9)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-8)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-8)


@pytest.mark.parametrize("a, b", SHAPES)
def test_fixed__few_and_extreme_values__is_scipys_welch_test(
    a: list[float], b: list[float]
) -> None:
    effect = compare(control=Sample.of(a), treatment=Sample.of(b)).difference

    expected = stats.ttest_ind(b, a, equal_var=False)
    assert fixed(effect).p_value == pytest.approx(expected.pvalue, rel=1e-6)
    assert effect.freedom == pytest.approx(expected.df, rel=1e-6)


@settings(max_examples=searches(200))
@given(values(min_size=2), values(min_size=2))
def test_compare__the_variants_exchanged__turns_the_difference_around(
    left: Values, right: Values
) -> None:
    a, b = Sample.of(*left), Sample.of(*right)
    there, back = compare(control=a, treatment=b), compare(control=b, treatment=a)

    assert (there.difference.estimate or 0) == pytest.approx(-(back.difference.estimate or 0))
    assert there.difference.error == pytest.approx(back.difference.error)
    assert there.difference.freedom == pytest.approx(back.difference.freedom)
    assert there.saved == pytest.approx(back.saved, abs=1e-9)


@settings(max_examples=searches(200))
@given(values(min_size=2), values(min_size=2), st.integers(2, 1000))
def test_compare__all_values_times_k__leaves_the_lift_as_it_was(
    left: Values, right: Values, k: int
) -> None:
    assume(abs(sum(left[0])) > 1)
    samples = [Sample.of(ys, ds) for ys, ds, _ in (left, right)]
    larger = [Sample.of([y * k for y in ys], ds) for ys, ds, _ in (left, right)]

    one = compare(control=samples[0], treatment=samples[1])
    many = compare(control=larger[0], treatment=larger[1])

    assert many.lift.estimate == pytest.approx(one.lift.estimate)
    assert many.lift.error == pytest.approx(one.lift.error)
    assert (many.difference.estimate or 0) == pytest.approx((one.difference.estimate or 0) * k)


@settings(max_examples=searches(300))
@given(values(), values(), st.sampled_from([None, Prior(), Prior(mean=0.1, deviation=0.01)]))
def test_views__of_whatever_was_measured__are_numbers_or_none(
    left: Values, right: Values, prior: Prior | None
) -> None:
    contrast = compare(control=Sample.of(*left), treatment=Sample.of(*right))

    for effect in (contrast.difference, contrast.lift):
        assert (effect.error is None) == (effect.reason is not None)
        always, once = sequence(effect), fixed(effect)
        believed = posterior(effect, prior=prior)
        if effect.error is None:
            assert always == once == Interval(reason=effect.reason)
            assert believed == Posterior()
            continue
        for interval in (always, once):
            ends = [interval.low, interval.high]
            if interval.reason is None:
                assert all(end is not None and math.isfinite(end) for end in ends)
            else:
                assert interval.reason is Reason.CONTROL_NEAR_ZERO
                assert ends == [None, None]
        chances = [always.p_value, once.p_value, believed.chance_to_win]
        assert all(chance is not None and 0 <= chance <= 1 for chance in chances)
        assert believed.loss is not None and believed.control_loss is not None
        assert believed.loss >= 0 and believed.control_loss >= 0


@pytest.mark.parametrize(
    "control, treatment, difference, lift",
    [
        (Sample.of([]), Sample.of([1, 2]), Reason.TOO_FEW_GUESTS, Reason.TOO_FEW_GUESTS),
        (Sample.of([1, 2]), Sample.of([1]), Reason.TOO_FEW_GUESTS, Reason.TOO_FEW_GUESTS),
        (
            Sample.of([1, 2], [0, 0]),
            Sample.of([1, 2], [1, 2]),
            Reason.NO_DENOMINATOR,
            Reason.NO_DENOMINATOR,
        ),
        (Sample.of([1, 1]), Sample.of([2, 2]), Reason.NO_VARIANCE, Reason.NO_VARIANCE),
        (Sample.of([0, 0]), Sample.of([0, 0]), Reason.NO_VARIANCE, Reason.CONTROL_IS_ZERO),
        (Sample.of([0, 0]), Sample.of([0, 1]), None, Reason.CONTROL_IS_ZERO),
        (Sample.of([-1, 1]), Sample.of([0, 1]), None, Reason.CONTROL_IS_ZERO),
    ],
)
def test_compare__what_cannot_be_said__is_none_with_its_reason(
    control: Sample, treatment: Sample, difference: Reason | None, lift: Reason | None
) -> None:
    contrast = compare(control=control, treatment=treatment)

    assert contrast.difference.reason == difference
    assert contrast.lift.reason == lift


def test_compare__all_guests_alike__still_tells_the_difference() -> None:
    assert compare(control=Sample.of([2, 2]), treatment=Sample.of([3, 3])).lift.estimate == 0.5


@settings(max_examples=searches(300))
@given(values(min_size=2), values(min_size=2))
def test_lift__wherever_it_has_an_interval__has_zero_in_it_as_the_difference_has(
    left: Values, right: Values
) -> None:
    contrast = compare(control=Sample.of(*left), treatment=Sample.of(*right))

    for view in (fixed, sequence):
        lift, difference = view(contrast.lift), view(contrast.difference)
        if lift.low is None or lift.high is None:
            continue
        assert difference.low is not None and difference.high is not None
        assert contrast.lift.estimate is not None
        assert lift.low <= contrast.lift.estimate <= lift.high
        assert (lift.low > 0, lift.high < 0) == (difference.low > 0, difference.high < 0)
        assert lift.p_value == difference.p_value


@settings(max_examples=searches(200))
@given(estimates, estimates, st.floats(0, 0.01), st.floats(0.1, 4))
def test_lift__each_end_of_its_interval__is_where_the_means_can_still_go_together(
    control: Estimate, treatment: Estimate, shared: float, reach: float
) -> None:
    bounds = Pair(control, treatment, shared).bounds(reach)
    assert bounds is not None

    for lift in bounds:
        gap = treatment.mean - control.mean - lift * abs(control.mean)
        times = 1 + math.copysign(lift, lift * control.mean)
        error = math.sqrt(treatment.spread + times**2 * control.spread + lift**2 * shared)
        assert abs(gap) == pytest.approx(reach * error, rel=1e-6, abs=1e-9)


def test_lift__over_a_control_with_one_conversion__may_be_anything() -> None:
    contrast = compare(control=converted(100, 1), treatment=converted(100, 80))

    assert sequence(contrast.lift).reason is Reason.CONTROL_NEAR_ZERO
    assert (sequence(contrast.difference).low or 0) > 0.4


def test_lift__of_losses__is_above_zero_where_they_shrink() -> None:
    contrast = compare(control=Sample.of([-10, -12]), treatment=Sample.of([-5, -6]))

    assert contrast.lift.estimate == pytest.approx(0.5)


def test_cuped__a_goal_that_the_past_foretells__is_adjusted_as_by_regression() -> None:
    draw = np.random.default_rng(7)
    n = 4000
    xs = np.round(draw.gamma(2, 10, size=2 * n), 2)
    ys = np.round(xs + draw.normal(0, 5, size=2 * n), 2)
    ys[n:] += 1
    control, treatment = measured(ys[:n], xs=xs[:n]), measured(ys[n:], xs=xs[n:])

    adjusted = compare(control=control, treatment=treatment)
    plain = compare(control=control, treatment=treatment, uses_cuped=False)

    correlation = np.corrcoef(xs, ys)[0, 1]
    assert adjusted.saved == pytest.approx(correlation**2, abs=0.01)
    design = np.column_stack([np.ones(2 * n), np.repeat([0, 1], n), xs])
    solution = np.linalg.lstsq(design, ys, rcond=None)[0]
    assert adjusted.difference.estimate == pytest.approx(solution[1], abs=0.01)
    assert adjusted.difference.error is not None and plain.difference.error is not None
    shrunk = 1 - (adjusted.difference.error / plain.difference.error) ** 2
    assert adjusted.saved == pytest.approx(shrunk)


def test_cuped__a_past_that_is_the_present__leaves_no_variance_and_no_nan() -> None:
    ys = [1.0, 2.0, 3.0, 4.0]

    contrast = compare(control=Sample.of(ys, xs=ys), treatment=Sample.of(ys, xs=ys))

    assert contrast.saved == 1
    assert contrast.difference.reason is Reason.NO_VARIANCE


def test_cuped__without_a_past__changes_nothing() -> None:
    a, b = Sample.of([1, 2, 3]), Sample.of([2, 3, 5])

    assert compare(control=a, treatment=b) == compare(control=a, treatment=b, uses_cuped=False)
    assert compare(control=a, treatment=b).saved == 0


def test_sequence__at_its_own_alpha__leaves_out_zero_where_p_says_so() -> None:
    effect = Effect(n=8000, estimate=1.0, error=1.0)
    alone = sequence(effect)
    assert alone.low is not None
    edge = Effect(n=8000, estimate=1.0 - alone.low, error=1.0)

    assert sequence(edge).low == pytest.approx(0, abs=1e-12)
    assert sequence(edge).p_value == pytest.approx(0.05)
    together = sequence(effect, comparisons=4)
    assert together.p_value == alone.p_value
    assert together.low is not None and together.low < alone.low
    edge = Effect(n=8000, estimate=1.0 - together.low, error=1.0)
    assert sequence(edge).p_value == pytest.approx(0.05 / 4)


def test_sequence__around_its_tuning__is_the_tightest_against_a_fixed_error() -> None:
    def reach(n: int) -> float:
        # Of n guests the error is 1 / sqrt(n), and the law of the iterated logarithm is beaten
        # by as little as can be near the tuning.
        found = sequence(Effect(n=n, estimate=0.0, error=1.0), tuning=5000)
        assert found.high is not None
        return found.high

    assert reach(5000) < reach(500)
    assert reach(5000) < reach(50_000)


def test_sequence__beside_the_classical_interval__is_wider() -> None:
    effect = Effect(n=5000, estimate=0.3, error=0.1, freedom=4990.0)
    always, once = sequence(effect), fixed(effect)

    assert always.low is not None and once.low is not None and always.low < once.low
    assert always.p_value is not None and once.p_value is not None
    assert always.p_value > once.p_value


def test_sequence__an_overwhelming_effect__has_a_p_value_of_zero() -> None:
    assert sequence(Effect(n=10**9, estimate=1.0, error=1e-6)).p_value == 0
    assert sequence(Effect(n=10**9, estimate=0.0, error=1e-6)).p_value == 1


def test_fixed__without_degrees_of_freedom__is_normal() -> None:
    found = fixed(Effect(n=100, estimate=1.0, error=0.5))

    assert found.p_value == pytest.approx(2 * stats.norm.sf(2))
    assert found.high == pytest.approx(1 + 0.5 * stats.norm.ppf(0.975))


def test_posterior__with_a_flat_prior__is_the_likelihood() -> None:
    found = posterior(Effect(n=100, estimate=0.02, error=0.01))

    assert found.chance_to_win == pytest.approx(stats.norm.cdf(2))
    assert (found.low, found.high) == pytest.approx(stats.norm.interval(0.95, 0.02, 0.01))
    draws = np.random.default_rng(1).normal(0.02, 0.01, size=1_000_000)
    assert found.loss == pytest.approx(np.maximum(-draws, 0).mean(), rel=0.03)
    assert found.control_loss == pytest.approx(np.maximum(draws, 0).mean(), rel=0.01)


def test_posterior__with_a_prior__stands_between_the_two() -> None:
    effect = Effect(n=100, estimate=0.4, error=0.1)
    prior = Prior(mean=0.0, deviation=0.1)

    found = posterior(effect, prior=prior)

    assert found.mean == pytest.approx(0.2)
    assert found.deviation == pytest.approx(0.1 / math.sqrt(2))

    def against(x: float) -> float:
        density = stats.norm.logpdf(x, 0, 0.1) + stats.norm.logpdf(x, 0.4, 0.1)
        return -float(density)

    assert found.mean == pytest.approx(optimize.minimize_scalar(against).x, abs=1e-6)


def test_posterior__of_a_difference__has_the_prior_in_its_units() -> None:
    contrast = compare(control=converted(2000, 100), treatment=converted(2000, 130))
    assert contrast.control is not None
    prior = Prior(mean=0.05, deviation=0.1)

    lift = posterior(contrast.lift, prior=prior)
    # The lift's error has the control's as well; of one size, both are the same belief.
    assert contrast.lift.estimate is not None and contrast.lift.error is not None
    as_difference = Effect(
        n=4000,
        estimate=contrast.lift.estimate * contrast.control,
        error=contrast.lift.error * contrast.control,
    )
    difference = posterior(as_difference, prior=prior, scale=contrast.control)

    assert difference.chance_to_win == pytest.approx(lift.chance_to_win)
    assert lift.mean is not None
    assert difference.mean == pytest.approx(lift.mean * contrast.control)


def test_posterior__of_a_number_that_should_fall__turns_around() -> None:
    effect = Effect(n=100, estimate=0.02, error=0.01)
    up, down = posterior(effect), posterior(effect, direction=Direction.DECREASE)

    assert up.chance_to_win is not None
    assert down.chance_to_win == pytest.approx(1 - up.chance_to_win)
    assert (down.loss, down.control_loss) == (up.control_loss, up.loss)
    assert (down.low, down.high) == (up.low, up.high)


def test_prior__without_any_width__is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Prior(deviation=0)
