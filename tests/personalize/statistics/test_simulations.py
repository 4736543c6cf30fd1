"""What is promised of many experiments, tried out on many: how often we are wrong."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from personalize.statistics import (
    Code,
    Sample,
    Settings,
    compare,
    fixed,
    for_mean,
    for_rate,
    sequence,
)
from tests.personalize.statistics.reports import CHECKOUT, judged
from tests.personalize.statistics.samples import chance_of, converted, measured
from tests.thoroughness import searches

Whole = NDArray[np.int64]
#: Values of y and d for so many guests, in whole hundredths.
Draw = Callable[[np.random.Generator, int], tuple[Whole, Whole]]

#: So many hundredths are one, so many millionths are a hundredth.
ONE, MILLIONTHS = 100, 10_000
LOOKS = 100


def conversions(draw: np.random.Generator, n: int) -> tuple[Whole, Whole]:
    return draw.binomial(1, 0.1, size=n) * ONE, np.full(n, ONE)


def amounts(draw: np.random.Generator, n: int) -> tuple[Whole, Whole]:
    """Few buy, and what they spend is skewed."""
    spent = draw.lognormal(3, 1, size=n) * draw.binomial(1, 0.1, size=n)
    return (spent * ONE).astype(np.int64), np.full(n, ONE)


def rarely(draw: np.random.Generator, n: int) -> tuple[Whole, Whole]:
    return draw.binomial(1, 0.02, size=n) * ONE, np.full(n, ONE)


def prices(draw: np.random.Generator, n: int) -> tuple[Whole, Whole]:
    """What orders cost, where few order, and there are two prices."""
    ds = draw.binomial(1, 0.02, size=n)
    return ds * draw.choice([20, 50], size=n) * ONE, ds * ONE


def visits(draw: np.random.Generator, n: int) -> tuple[Whole, Whole]:
    """Orders by visits, where guests are unlike each other: the more visits, the fewer orders."""
    ds = draw.geometric(0.3, size=n)
    rates = draw.beta(1, 1 + ds)
    return draw.binomial(ds, rates) * ONE, ds * ONE


def looks(ys: Whole, ds: Whole, every: int) -> list[Sample]:
    """Sums as they stand after each so many guests."""
    sums = [np.cumsum(values)[every - 1 :: every].tolist() for values in (ys, ds)]
    squares = [
        np.cumsum(values)[every - 1 :: every].tolist() for values in (ys * ys, ds * ds, ys * ds)
    ]
    return [
        Sample(
            n=every * (at + 1),
            y=y * MILLIONTHS,
            d=d * MILLIONTHS,
            yy=yy * MILLIONTHS**2,
            dd=dd * MILLIONTHS**2,
            yd=yd * MILLIONTHS**2,
            x=0,
            xx=0,
            xy=0,
            xd=0,
        )
        for at, (y, d, yy, dd, yd) in enumerate(zip(*sums, *squares, strict=True))
    ]


def share_of_alarms(
    shape: Draw,
    *,
    runs: int,
    looks_at: Callable[[Sample, Sample], float | None],
    guests: Sequence[int] = (100, 100),
) -> float:
    """
    In how many experiments without effect a p-value of 0.05 was seen at any of 100 looks.

    guests: of each variant, between two looks.
    """
    draw = np.random.default_rng(31)
    alarms = 0
    for _ in range(runs):
        control, treatment = (looks(*shape(draw, each * LOOKS), every=each) for each in guests)
        # Where nothing can be said yet, nothing is claimed.
        seen = [looks_at(a, b) for a, b in zip(control, treatment, strict=True)]
        alarms += any(p is not None and p <= 0.05 for p in seen)
    return alarms / runs


def by_default(control: Sample, treatment: Sample) -> float | None:
    return sequence(compare(control=control, treatment=treatment).difference).p_value


def classically(control: Sample, treatment: Sample) -> float | None:
    return fixed(compare(control=control, treatment=treatment).difference).p_value


@pytest.mark.parametrize(
    "shape, runs",
    [(conversions, 2000), (amounts, 200), (visits, 200)],
    ids=["conversions", "amounts", "visits"],
)
def test_default_view__no_effect_and_a_hundred_looks__is_seldom_wrong(
    shape: Draw, runs: int
) -> None:
    # No more than promised, by any luck, where it is tried out most.
    allowed = 0.05 + (0 if runs == 2000 else chance_of(0.05, runs=searches(runs)))
    assert share_of_alarms(shape, runs=searches(runs), looks_at=by_default) <= allowed


@pytest.mark.parametrize("guests", [(20, 180), (180, 20), (190, 10)])
@pytest.mark.parametrize("shape", [rarely, amounts, prices])
def test_default_view__of_a_small_variant_without_effect__is_seldom_wrong(
    shape: Draw, guests: Sequence[int]
) -> None:
    # Until somebody in it has converted, nothing tells how much its guests vary.
    runs = searches(150)
    allowed = 0.05 + chance_of(0.05, runs=runs)
    assert share_of_alarms(shape, runs=runs, looks_at=by_default, guests=guests) <= allowed


def test_default_view__of_what_few_orders_cost__is_seldom_wrong() -> None:
    runs = searches(300)
    allowed = 0.05 + chance_of(0.05, runs=runs)
    assert share_of_alarms(prices, runs=runs, looks_at=by_default) <= allowed


def test_classical_view__no_effect_and_a_hundred_looks__is_often_wrong() -> None:
    assert share_of_alarms(conversions, runs=searches(100), looks_at=classically) > 0.2


def test_verdict__no_effect_and_a_look_every_day__seldom_names_anybody() -> None:
    draw = np.random.default_rng(32)
    runs, named = searches(100), 0
    for _ in range(runs):
        days = np.cumsum(draw.binomial(400, 0.05, size=(20, 4)), axis=0).tolist()
        verdicts = (
            judged(*[converted(400 * (day + 1), k) for k in counts]).verdict.code
            for day, counts in enumerate(days)
        )
        named += any(code in (Code.SHIP, Code.UNHEALTHY) for code in verdicts)

    assert named / runs <= 0.05 + chance_of(0.05, runs=runs)


def test_default_view__an_effect_as_planned_for__is_found_sooner_or_later() -> None:
    draw = np.random.default_rng(33)
    planned = for_rate(base_rate=0.1, mde=0.2).size()
    found = []
    for _ in range(searches(500)):
        codes = []
        for share in (0.5, 1, 2, 4):
            n = int(planned * share)
            samples = [converted(n, int(draw.binomial(n, rate))) for rate in (0.1, 0.12)]
            codes.append(judged(*samples).verdict.code)
        found.append([code is Code.SHIP for code in codes])

    shares = np.mean(found, axis=0)
    assert shares[0] < shares[1] < shares[2] < shares[3]
    assert shares[3] > 0.95


@pytest.mark.parametrize("base_rate, mde", [(0.1, 0.2), (0.3, -0.1)])
def test_plan__of_a_rate__has_the_power_that_it_says(base_rate: float, mde: float) -> None:
    draw = np.random.default_rng(34)
    n = for_rate(base_rate=base_rate, mde=mde).size()
    treated = base_rate * (1 + mde)
    counts = draw.binomial(n, [base_rate, treated], size=(2000, 2)).tolist()

    found = [(classically(converted(n, a), converted(n, b)) or 0) <= 0.05 for a, b in counts]

    assert np.mean(found) == pytest.approx(0.80, abs=0.03)


def test_plan__of_a_mean__has_the_power_that_it_says() -> None:
    draw = np.random.default_rng(35)
    n = for_mean(mean=10, variance=100, mde=0.2).size(power=0.9)
    runs = searches(800)

    found = [
        (classically(*(measured(draw.exponential(mean, size=n)) for mean in (10, 12))) or 0) <= 0.05
        for _ in range(runs)
    ]

    # The treatment's variance has grown with its mean; the plan says that it stays.
    grown = for_mean(mean=10, variance=(100 + 144) / 2, mde=0.2).power(guests=n, reach=1.96)
    assert np.mean(found) == pytest.approx(grown, abs=chance_of(grown, runs=runs))


@pytest.mark.parametrize("shape, lift", [(amounts, 0.0), (visits, 0.0), (conversions, 0.25)])
def test_intervals__of_a_true_lift__hold_as_often_as_they_say(shape: Draw, lift: float) -> None:
    draw = np.random.default_rng(36)
    runs = searches(800)
    held = {"fixed": 0, "sequence": 0}
    for _ in range(runs):
        (a, c), (b, d) = shape(draw, 600), shape(draw, 600)
        if lift:
            b = b + draw.binomial(1, 0.1 * lift / 0.9, size=600) * (ONE - b)
        effect = compare(
            control=looks(a, c, every=600)[0], treatment=looks(b, d, every=600)[0]
        ).lift
        for name, found in (("fixed", fixed(effect)), ("sequence", sequence(effect))):
            # What may be anything may be the truth.
            if found.low is None or found.high is None:
                held[name] += found.p_value is not None
            else:
                held[name] += found.low <= lift <= found.high

    assert held["fixed"] / runs == pytest.approx(0.95, abs=0.01 + chance_of(0.95, runs=runs))
    assert held["sequence"] >= held["fixed"]


def test_ratio__visits_taken_for_guests__would_be_too_sure() -> None:
    # Guests with several visits are alike in all of them, which a mean of visits does not see.
    draw = np.random.default_rng(37)
    runs = searches(500)
    wrong = {"by guests": 0, "by visits": 0}
    for _ in range(runs):
        guests, apart = [], []
        for _ in range(2):
            ds = draw.geometric(0.2, size=300)
            ys = draw.binomial(ds, draw.beta(0.3, 0.6, size=300))
            guests.append(looks(ys * ONE, ds * ONE, every=300)[0])
            apart.append(converted(int(ds.sum()), int(ys.sum())))
        wrong["by guests"] += (classically(*guests) or 0) <= 0.05
        wrong["by visits"] += (classically(*apart) or 0) <= 0.05

    assert wrong["by guests"] / runs == pytest.approx(0.05, abs=chance_of(0.05, runs=runs))
    assert wrong["by visits"] / runs > 0.15


def test_cuped__a_goal_that_the_past_foretells__finds_more_and_is_not_wrong_more_often() -> None:
    draw = np.random.default_rng(38)
    runs = searches(300)
    found = {"adjusted": 0, "plain": 0, "wrong": 0}
    for _ in range(runs):
        xs = draw.gamma(2, 5, size=(3, 400))
        ys = xs + draw.normal(5, 4, size=(3, 400))
        ys[2] += 1
        a, same, more = (measured(y, xs=x) for x, y in zip(xs, ys, strict=True))
        adjusted, plain = (
            compare(control=a, treatment=more, uses_cuped=uses).lift for uses in (True, False)
        )
        found["adjusted"] += (fixed(adjusted).p_value or 0) <= 0.05
        found["plain"] += (fixed(plain).p_value or 0) <= 0.05
        found["wrong"] += (fixed(compare(control=a, treatment=same).lift).p_value or 0) <= 0.05

    assert found["adjusted"] > 1.5 * found["plain"]
    assert found["wrong"] / runs <= 0.05 + chance_of(0.05, runs=runs)


def test_cuped__a_large_lift__has_an_interval_that_holds_and_an_error_that_is_true() -> None:
    # Both means are moved by the mean of everybody's past, which a large lift feels.
    draw = np.random.default_rng(40)
    runs, held = searches(800), 0
    estimates, errors = [], []
    for _ in range(runs):
        xs = draw.gamma(2, 5, size=(2, 200))
        ys = xs + draw.normal(5, 2, size=(2, 200))
        ys[1] += 30
        a, b = (measured(y, xs=x) for x, y in zip(xs, ys, strict=True))
        effect = compare(control=a, treatment=b).lift
        estimates.append(effect.estimate or 0)
        errors.append(effect.error or 0)
        found = fixed(effect)
        held += (found.low or 0) <= 2 <= (found.high or 0)

    assert held / runs == pytest.approx(0.95, abs=chance_of(0.95, runs=runs))
    # A standard deviation is itself known to one part in sqrt(2 runs).
    assert np.std(estimates) == pytest.approx(np.mean(errors), rel=3 / (2 * runs) ** 0.5)


def test_verdict__a_guardrail_without_effect__seldom_stands_in_the_way() -> None:
    draw = np.random.default_rng(39)
    bounces = replace(CHECKOUT, ref="bounces", name="Bounces", is_primary=False, is_guardrail=True)
    runs, shipped = searches(200), 0
    for _ in range(runs):
        found = judged(
            converted(5000, 100),
            converted(5000, 250),
            goals=[CHECKOUT, bounces],
            more=[{"bounces": converted(5000, int(draw.binomial(5000, 0.4)))} for _ in range(2)],
            settings=Settings(),
        )
        shipped += found.verdict.code is Code.SHIP

    assert shipped / runs >= 0.95
