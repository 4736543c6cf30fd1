"""Bandits: guests go where it is best, as often as Thompson would send them, never drawn."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalize.statistics import (
    Direction,
    Period,
    Reason,
    Sample,
    bandit_weights,
    chances_to_be_best,
    compare_reweighted,
    fixed,
    reweighted,
    sequence,
    stratified,
)
from tests.personalize.statistics.samples import chance_of, converted, measured
from tests.thoroughness import searches


@pytest.mark.parametrize(
    "arms",
    [
        [(100, 3), (100, 5)],
        [(1000, 20), (1000, 24), (5000, 100)],
        [(10, 0), (100_000, 3000), (300, 9), (40, 40)],
        [(10**6, 20_000), (10**6, 20_150)],
    ],
)
@pytest.mark.parametrize("direction", list(Direction))
def test_chances__of_conversions__are_those_of_many_draws(
    arms: list[tuple[int, int]], direction: Direction
) -> None:
    draw = np.random.default_rng(2)
    draws = np.array([draw.beta(1 + k, 1 + n - k, size=200_000) for n, k in arms])
    best = draws.argmax(axis=0) if direction is Direction.INCREASE else draws.argmin(axis=0)

    found = chances_to_be_best([[converted(*arm) for arm in arms]], direction=direction)

    expected = np.bincount(best, minlength=len(arms)) / 200_000
    assert found == pytest.approx(expected.tolist(), abs=0.005)
    assert sum(found) == pytest.approx(1)


def test_chances__of_amounts__are_those_of_many_draws() -> None:
    draw = np.random.default_rng(6)
    samples = [measured(draw.gamma(1, scale, size=500)) for scale in (10, 10.5, 9)]
    means = [sample.mean or 0 for sample in samples]
    errors = [((sample.variance or 0) / sample.n) ** 0.5 for sample in samples]
    draws = draw.normal(means, errors, size=(200_000, 3))

    expected = np.bincount(draws.argmax(axis=1), minlength=3) / 200_000
    assert chances_to_be_best([samples]) == pytest.approx(expected.tolist(), abs=0.005)


def test_chances__of_two__are_exact() -> None:
    # P(B > A) of whole parameters is a finite sum (Miller 2015).
    a, b, c, d = 4, 8, 6, 7
    from_sum = sum(beta_binomial(i, a, b, d) for i in range(c))

    found = chances_to_be_best([[converted(10, 3), converted(11, 5)]])

    assert found[1] == pytest.approx(from_sum, abs=1e-10)


def beta_binomial(i: int, a: int, b: int, d: int) -> float:
    def beta(p: float, q: float) -> float:
        return float(
            np.exp(
                np.sum(np.log(np.arange(1, p)))
                + np.sum(np.log(np.arange(1, q)))
                - np.sum(np.log(np.arange(1, p + q)))
            )
        )

    return beta(a + i, b + d) / ((d + i) * beta(1 + i, d) * beta(a, b))


@settings(max_examples=searches(50))
@given(
    st.lists(st.tuples(st.integers(100, 10**5), st.floats(0, 1)), min_size=2, max_size=5),
    st.data(),
)
def test_weights__of_any_arms__add_up_and_give_nobody_up(
    arms: list[tuple[int, float]], data: st.DataObject
) -> None:
    samples = [converted(n, int(n * share)) for n, share in arms]
    order = data.draw(st.permutations(range(len(samples))))

    weights = bandit_weights([samples])

    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0.01 - 1e-9
    again = bandit_weights([[samples[at] for at in order]])
    assert again == pytest.approx([weights[at] for at in order], abs=1e-6)
    assert bandit_weights([samples]) == weights


def test_weights__at_the_start__are_even() -> None:
    few = [converted(99, 0), converted(5000, 100)]

    assert bandit_weights([few]) == [0.5, 0.5]
    assert bandit_weights([]) == []
    assert bandit_weights([[converted(0, 0)] * 4]) == [0.25] * 4


def test_weights__more_variants_than_the_floor_allows__are_even() -> None:
    assert bandit_weights([[converted(1000, 10)] * 100]) == [0.01] * 100


def test_weights__nothing_bought_by_anybody__are_even() -> None:
    nothing = Sample.of([0.0] * 200, [2.0] * 200)

    assert bandit_weights([[nothing] * 2]) == [0.5, 0.5]


def test_weights__nothing_bought_in_one_variant__does_not_shut_it_out() -> None:
    nothing, little = Sample.of([0.0] * 150), Sample.of([0.0] * 148 + [25.0, 30.0])

    weights = bandit_weights([[nothing, little]])

    assert 0.01 < weights[0] < weights[1]


def test_weights__the_number_should_fall__favor_the_lower() -> None:
    arms = [converted(1000, 50), converted(1000, 80)]

    assert bandit_weights([arms], direction=Direction.DECREASE)[0] > 0.9


def test_bandit__against_even_traffic__loses_far_less() -> None:
    rates = (0.03, 0.05, 0.04, 0.08)
    draw = np.random.default_rng(9)
    lost = {"bandit": 0.0, "even": 0.0}
    for _ in range(searches(10)):
        periods: list[list[Sample]] = [[converted(0, 0)] * 4]
        for _ in range(15):
            weights = bandit_weights(periods)
            guests = draw.multinomial(500, weights)
            lost["bandit"] += float(guests @ (0.08 - np.array(rates)))
            lost["even"] += 500 * (0.08 - sum(rates) / 4)
            periods.append(
                [
                    converted(int(n), int(draw.binomial(n, rate)))
                    for n, rate in zip(guests, rates, strict=True)
                ]
            )

    assert lost["bandit"] < 0.3 * lost["even"]


def test_chances__days_unlike_each_other__are_not_carried_away_by_them() -> None:
    # On good days twice as many convert, and it was on those that B had most of the traffic.
    days = [[converted(10_000, 200), converted(10_000, 200)]]
    alike = [*days, [converted(2_000, 80), converted(18_000, 720)]]
    worse = [*days, [converted(2_000, 80), converted(18_000, 684)]]

    assert chances_to_be_best(alike) == pytest.approx([0.5, 0.5])
    assert chances_to_be_best(worse)[1] < 0.4


@settings(max_examples=searches(50))
@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 2000), st.floats(0, 1)), min_size=3, max_size=3),
        min_size=1,
        max_size=5,
    )
)
def test_stratified__of_any_periods__is_the_regression_on_periods_and_variants(
    stated: list[list[tuple[int, float]]],
) -> None:
    strata = [[converted(n, int(n * share)) for n, share in row] for row in stated]
    found = stratified(strata)
    if found is None:
        everybody = sum((sample for row in strata for sample in row), Sample.of([]))
        assert not everybody.variance
        return
    rows, means, weights = [], [], []
    for at, row in enumerate(strata):
        for variant, sample in enumerate(row):
            period = [float(at == each) for each in range(len(strata))]
            rows.append([*period, float(variant == 1), float(variant == 2)])
            means.append(sample.mean)
            weights.append(sample.n)
    design, root = np.array(rows), np.sqrt(weights)
    expected, *_ = np.linalg.lstsq(design * root[:, None], np.array(means) * root)

    assert [each.mean for each in found] == pytest.approx([0, *expected[-2:]], abs=1e-9)
    covariance = np.linalg.inv((design * root[:, None]).T @ (design * root[:, None]))[-2:, -2:]
    everybody = sum((sample for row in strata for sample in row), Sample.of([]))
    own = (everybody.variance or 0) * np.diag(covariance)
    if len(strata) == 1:
        sums = [found[0].spread + found[at].spread for at in (1, 2)]
        assert sums == pytest.approx(own.tolist())


def test_reweighted__days_unlike_each_other__is_not_carried_away_by_them() -> None:
    # On good days twice as many convert, and it was on those that B had most of the traffic.
    bad, good = 0.02, 0.04
    days = [(0.5, bad), (0.9, good)]
    control = [period(1 - weight, 20_000, rate) for weight, rate in days]
    treatment = [period(weight, 20_000, rate) for weight, rate in days]

    plain = [
        sum((p.sample for p in periods), Sample.of([])).mean for periods in (control, treatment)
    ]
    found = compare_reweighted(control=control, treatment=treatment)

    assert plain[1] is not None and plain[0] is not None and plain[1] / plain[0] > 1.2
    assert found.lift.estimate == pytest.approx(0, abs=1e-9)


def period(weight: float, guests: int, rate: float) -> Period:
    n = round(guests * weight)
    return Period(weight=weight, sample=converted(n, round(n * rate)))


def test_reweighted__weights_that_never_moved__is_the_plain_mean() -> None:
    draw = np.random.default_rng(1)
    samples = [
        measured(draw.gamma(2, 3, size=50), draw.integers(1, 5, size=50).astype(np.float64))
        for _ in range(3)
    ]
    whole = sum(samples, Sample.of([]))

    found = reweighted([Period(weight=0.3, sample=sample) for sample in samples])

    assert found is not None and whole.variance is not None
    assert found.mean == pytest.approx(whole.mean)
    assert found.spread == pytest.approx(whole.variance / whole.n)


def played(
    draw: np.random.Generator,
    *,
    rates: Iterable[float],
    guests: int,
    floor: float = 0.01,
    looks_at: Callable[[Sequence[Sequence[Period]]], bool] = lambda _: False,
) -> tuple[list[list[Period]], bool]:
    """
    Play a bandit over two variants alike, at each of these rates for a while.

    Returns the periods of each variant, and whether a look after any of them saw something.
    """
    history: list[list[Period]] = [[], []]
    saw = False
    for rate in rates:
        periods = [[period.sample for period in pair] for pair in zip(*history, strict=True)]
        weights = bandit_weights(periods, floor=floor) or [0.5, 0.5]
        for at, n in enumerate(draw.multinomial(guests, weights)):
            sample = converted(int(n), int(draw.binomial(n, rate)))
            history[at].append(Period(weight=weights[at], sample=sample))
        saw = saw or looks_at(history)
    return history, saw


def test_reweighted__a_bandit_with_no_effect_looked_at_daily__is_seldom_wrong() -> None:
    # Few of the one percent who see a variant convert, and each of them counts for a hundred.
    draw = np.random.default_rng(10)
    runs = searches(60)

    def claims(history: Sequence[Sequence[Period]]) -> bool:
        effect = compare_reweighted(control=history[0], treatment=history[1]).difference
        p_value = sequence(effect).p_value
        return p_value is not None and p_value <= 0.05

    wrong = sum(
        played(draw, rates=[0.02] * 40, guests=500, looks_at=claims)[1] for _ in range(runs)
    )

    assert wrong / runs <= 0.05 + chance_of(0.05, runs=runs)


def test_reweighted__a_bandit_with_no_effect__has_intervals_that_hold() -> None:
    draw = np.random.default_rng(8)
    runs = searches(80)
    held = 0
    for _ in range(runs):
        history, _ = played(draw, rates=draw.uniform(0.1, 0.3, size=5), guests=800, floor=0.1)
        found = fixed(compare_reweighted(control=history[0], treatment=history[1]).difference)
        assert found.low is not None and found.high is not None
        held += found.low <= 0 <= found.high

    assert held / runs >= 0.95 - chance_of(0.95, runs=runs)


def test_reweighted__too_little_known__is_none_with_its_reason() -> None:
    none = [Period(weight=0.5, sample=Sample.of([]))]

    assert reweighted(none) is None
    found = compare_reweighted(control=none, treatment=[period(0.5, 100, 0.1)])
    assert found.lift.reason is Reason.TOO_FEW_GUESTS


@pytest.mark.parametrize("weight", [0, -0.5, 1.5])
def test_period__guests_at_a_weight_that_cannot_be__is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="impossible"):
        Period(weight=weight, sample=converted(5, 1))
