"""Reports: one plain sentence that says what to do, and the numbers it rests on."""

from dataclasses import replace

import pytest

from personalize.statistics import (
    Code,
    Direction,
    GoalRule,
    Prior,
    Quantile,
    Sample,
    Settings,
    VariantData,
    analyse,
    ranks,
)
from tests.personalize.statistics.reports import CHECKOUT, judged
from tests.personalize.statistics.samples import converted

REFUNDS = GoalRule(ref="refunds", name="Refunds", is_guardrail=True, direction=Direction.DECREASE)


def test_verdict__few_guests__collects_and_says_how_long() -> None:
    found = judged(converted(240, 5), converted(250, 9), guests_a_day=4636)

    assert found.verdict.code is Code.COLLECTING
    assert found.verdict.sentence == (
        "Collecting: 240 of about 21,100 guests per variant, about 10 days left."
    )
    assert found.verdict.days_left == found.days_left == 10


def test_verdict__nobody_yet__collects() -> None:
    found = judged(converted(0, 0), converted(0, 0))

    assert found.verdict.sentence == "Collecting: 0 of about 21,100 guests per variant."


def test_verdict__guests_without_conversions__collects_conversions() -> None:
    found = judged(converted(30_000, 3), converted(30_000, 4))

    assert found.verdict.sentence == "Collecting: 4 of at least 10 conversions per variant."


def test_verdict__a_small_control_that_nobody_converted_in_yet__goes_on() -> None:
    # One in eight controls like this has no conversion at the rate of B, 2 %.
    found = judged(converted(100, 0), converted(900, 18), weights=(1, 9))

    assert found.verdict.code is Code.COLLECTING
    assert [each.outcome for each in found.comparisons] == ["UNCLEAR"]


def test_verdict__one_order_against_a_dozen__goes_on() -> None:
    # One order alone is as expensive as all of them: nothing varies.
    prices = [50, 58, 62, 70, 75, 80, 66, 61, 55, 90, 72, 68]
    one = Sample.of([50.0] + [0.0] * 499, [1.0] + [0.0] * 499)
    dozen = Sample.of([*prices, *[0.0] * 488], [1.0] * 12 + [0.0] * 488)

    found = judged(one, dozen)

    assert found.verdict.code is Code.COLLECTING
    assert found.comparisons[0].outcome == "UNCLEAR"


def test_verdict__fewer_guests_than_the_floor__names_no_winner_however_clear() -> None:
    assert judged(converted(99, 1), converted(99, 80)).verdict.code is Code.COLLECTING
    assert judged(converted(100, 1), converted(100, 80)).verdict.code is Code.SHIP


def test_verdict__a_clear_winner__is_shipped_before_the_planned_guests_are_there() -> None:
    found = judged(converted(5000, 100), converted(5000, 220))

    assert found.verdict.code is Code.SHIP
    assert found.verdict.variant == "b"
    assert found.verdict.sentence == "Ship B: Checkout +120.0% (+52.7% to +241.5%)."
    assert found.planned > 5000


def test_verdict__the_best_of_several_winners__is_shipped() -> None:
    found = judged(converted(5000, 100), converted(5000, 220), converted(5000, 300))

    assert found.verdict.variant == "c"


def test_verdict__several_variants__takes_more_to_name_one() -> None:
    pair = judged(converted(5000, 100), converted(5000, 150))
    many = judged(*[converted(5000, 100)] * 3, converted(5000, 150))

    assert pair.verdict.code is Code.SHIP
    assert many.verdict.code is Code.COLLECTING


def test_verdict__a_winner_that_harms_a_guardrail__is_not_shipped() -> None:
    found = judged(
        converted(5000, 100),
        converted(5000, 220),
        goals=[CHECKOUT, REFUNDS],
        more=[{"refunds": converted(5000, 100)}, {"refunds": converted(5000, 220)}],
    )

    assert found.verdict.code is Code.KEEP_CONTROL
    assert found.verdict.sentence == (
        "Keep the control: B is better, Checkout +120.0% (+52.7% to +241.5%), but worse by a"
        " guardrail, Refunds +120.0% (+52.7% to +241.5%)."
    )


def test_verdict__the_best_harms_a_guardrail_but_the_next_does_not__ships_the_next() -> None:
    refunds = [converted(5000, 100), converted(5000, 90), converted(5000, 250)]
    found = judged(
        converted(5000, 100),
        converted(5000, 220),
        converted(5000, 300),
        goals=[CHECKOUT, REFUNDS],
        more=[{"refunds": sample} for sample in refunds],
    )

    assert (found.verdict.code, found.verdict.variant) == (Code.SHIP, "b")


def test_verdict__a_harmful_winner_beside_an_open_variant__goes_on_and_says_so() -> None:
    refunds = [converted(5000, 100), converted(5000, 250), converted(5000, 100)]
    found = judged(
        converted(5000, 100),
        converted(5000, 220),
        converted(5000, 110),
        goals=[CHECKOUT, REFUNDS],
        more=[{"refunds": sample} for sample in refunds],
    )

    assert found.verdict.code is Code.COLLECTING
    assert found.verdict.sentence.startswith(
        "Collecting: 5,000 of about 21,100 guests per variant. B is better, Checkout +120.0% ("
    )
    assert "but worse by a guardrail, Refunds +150.0% (" in found.verdict.sentence


def test_verdict__a_number_that_should_fall_and_does__is_shipped() -> None:
    bounces = replace(CHECKOUT, name="Bounces", direction=Direction.DECREASE)
    found = judged(converted(5000, 220), converted(5000, 100), goals=[bounces])

    assert found.verdict.code is Code.SHIP
    assert found.comparisons[0].outcome == "BETTER"
    assert (found.comparisons[0].shown.posterior.chance_to_win or 0) > 0.99


def test_verdict__a_clear_loser__keeps_the_control() -> None:
    found = judged(converted(5000, 220), converted(5000, 100))

    assert found.verdict.code is Code.KEEP_CONTROL
    assert found.verdict.sentence == (
        "Keep the control: B is worse, Checkout -54.5% (-70.7% to -34.5%)."
    )


def test_verdict__one_loser_of_two__goes_on() -> None:
    found = judged(converted(5000, 220), converted(5000, 100), converted(5000, 221))

    assert found.verdict.code is Code.COLLECTING
    both = judged(converted(5000, 320), converted(5000, 100), converted(5000, 110))
    assert both.verdict.sentence.startswith("Keep the control: all variants, even C, are worse")


def test_verdict__planned_guests_and_nothing_found__says_so_and_what_may_still_show() -> None:
    early = judged(converted(25_000, 500), converted(25_000, 510), guests_a_day=5000)
    late = judged(converted(50_000, 1000), converted(50_000, 1090))
    clear = judged(converted(100_000, 2000), converted(100_000, 2010))

    # Half of the experiments with the change that was looked for show it later.
    assert early.planned == 21_106 < 25_000 < early.enough
    assert early.verdict.code is Code.COLLECTING
    assert early.verdict.sentence == (
        "Collecting: 25,000 of about 46,700 guests per variant, about 9 days left. More than"
        " planned: a change of 20% may still show."
    )
    assert early.verdict.days_left == 9
    assert late.verdict.code is clear.verdict.code is Code.NO_DIFFERENCE
    assert late.verdict.sentence == (
        "No difference found with 50,000 guests per variant: Checkout of B +9.0%"
        " (-5.7% to +26.1%). A change of 20% may still show."
    )
    assert "may still show" not in clear.verdict.sentence


def test_verdict__a_change_that_may_be_anything__is_not_ruled_out() -> None:
    few = Settings(min_conversions=1)
    found = judged(converted(30_000, 3), converted(30_000, 9), settings=few)

    assert found.verdict.code is Code.COLLECTING
    assert found.verdict.sentence.endswith("a change of 20% may still show.")


def test_planned__of_amounts_that_may_come_to_nothing__is_for_a_rate() -> None:
    # What is won and lost adds up to almost nothing: no multiple of that can be looked for.
    profit = Sample.of([-10.0] * 2500 + [10.02] * 2500)

    assert judged(profit, profit).planned == 21_106


def test_verdict__by_a_goal_that_is_known_of_some_guests__rests_on_these() -> None:
    samples = {"a": converted(300, 15), "b": converted(310, 16)}
    variants = [
        VariantData(
            ref=ref, name=ref, guests=30_000, samples={"checkout": sample}, is_control=ref == "a"
        )
        for ref, sample in samples.items()
    ]

    found = analyse(variants=variants, goals=[CHECKOUT])

    assert found.verdict.sentence == "Collecting: 300 of about 21,100 guests per variant."
    assert (found.guests, found.mismatch.counts) == (300, (30_000, 30_000))


def test_verdict__guests_not_divided_as_the_weights_say__hides_the_winner() -> None:
    found = judged(converted(5000, 100), converted(6000, 300))

    assert found.verdict.code is Code.UNHEALTHY
    assert found.verdict.variant is None
    assert found.verdict.sentence == (
        "Unhealthy: the guests are not divided as the weights say. Control has 5,000 where about"
        " 5,500 are expected, so no result can be trusted until the cause is found."
    )
    weighted = judged(converted(5000, 100), converted(6000, 300), weights=(5, 6))
    assert weighted.verdict.code is Code.SHIP


def test_verdict__weights_that_were_others_before__are_compared_with_the_guests_since() -> None:
    variants = [
        VariantData(
            ref=ref,
            name=ref,
            guests=guests,
            guests_at_weights=since,
            is_control=ref == "a",
            samples={"checkout": converted(guests, 200)},
        )
        for ref, guests, since in [("a", 9000, 1010), ("b", 2000, 990)]
    ]

    assert analyse(variants=variants, goals=[CHECKOUT]).verdict.code is not Code.UNHEALTHY
    forgotten = [replace(variant, guests_at_weights=None) for variant in variants]
    assert analyse(variants=forgotten, goals=[CHECKOUT]).verdict.code is Code.UNHEALTHY


def test_verdict__many_guests_who_saw_several_variants__hides_the_winner() -> None:
    found = judged(converted(5000, 100), converted(5000, 220), mixed_share=0.03)

    assert found.verdict.code is Code.UNHEALTHY
    assert found.verdict.sentence.startswith("Unhealthy: 3.0% of the guests saw more than one")
    few = judged(converted(50, 1), converted(50, 2), mixed_share=0.03)
    assert few.verdict.code is Code.COLLECTING


def test_verdict__a_treatment_that_converts_nobody__keeps_the_control() -> None:
    found = judged(converted(5000, 220), converted(5000, 0))

    assert found.verdict.sentence == (
        "Keep the control: B is worse, Checkout -0.044 (-0.0549 to -0.0331) over a control of"
        " 0.044."
    )


def test_verdict__a_control_of_zero__tells_the_difference_itself() -> None:
    found = judged(converted(500, 0), converted(500, 60))

    assert found.verdict.sentence == (
        "Ship B: Checkout +0.12 (+0.0594 to +0.181) over a control of 0."
    )


def test_verdict__everybody_alike__is_no_difference_once_the_guests_are_there() -> None:
    found = judged(converted(30_000, 30_000), converted(30_000, 30_000))

    assert found.verdict.code is Code.NO_DIFFERENCE
    assert "not known" in found.verdict.sentence


def test_planned__of_amounts__follows_the_control_as_it_comes_in() -> None:
    amounts = Sample.of([0] * 900 + [50, 100] * 50)
    found = judged(amounts, amounts)

    assert amounts.mean is not None and amounts.variance is not None
    expected = 2 * 7.849 * amounts.variance / (0.2 * amounts.mean) ** 2
    assert found.planned == pytest.approx(expected, rel=0.001)


def test_planned__of_a_rate_that_should_fall__is_for_a_fall() -> None:
    bounces = replace(CHECKOUT, direction=Direction.DECREASE)

    assert judged(converted(0, 0), converted(0, 0), goals=[bounces]).planned == 17_339


def test_planned__below_the_floor__is_the_floor() -> None:
    settings = Settings(planned_guests=5)

    assert judged(converted(20, 1), converted(20, 1), settings=settings).planned == 100


def test_planned__by_the_experimenter__stands() -> None:
    settings = Settings(planned_guests=5000)
    found = judged(converted(5000, 100), converted(5000, 101), settings=settings)

    assert found.planned == 5000
    assert found.verdict.code is Code.NO_DIFFERENCE


def test_report__power__grows_with_the_guests() -> None:
    small = judged(converted(5000, 100), converted(5000, 101))
    large = judged(converted(21_106, 400), converted(21_106, 401))

    assert small.power < large.power < 0.5
    enough = judged(converted(large.enough, 400), converted(large.enough, 401))
    assert enough.power == pytest.approx(0.8, abs=0.001)


def test_report__several_variants_and_goals__adjusts_their_p_values() -> None:
    goals = [CHECKOUT, replace(REFUNDS, is_guardrail=False)]
    samples = [converted(5000, 100), converted(5000, 150), converted(5000, 105)]
    more = [{"refunds": converted(5000, count)} for count in (50, 70, 50)]

    found = judged(*samples, goals=goals, more=more)

    assert [(c.goal.ref, c.variant) for c in found.comparisons] == [
        ("checkout", "b"),
        ("checkout", "c"),
        ("refunds", "b"),
        ("refunds", "c"),
    ]
    for comparison in found.comparisons:
        once, always = comparison.shown.fixed.p_value, comparison.shown.sequential.p_value
        assert once is not None and always is not None
        assert (comparison.adjusted_fixed_p_value or 0) >= once
        assert (comparison.adjusted_p_value or 0) >= always


def test_report__one_of_many_goals__is_marked_by_its_corrected_p_value() -> None:
    goals = [CHECKOUT, *(replace(CHECKOUT, ref=f"g{at}", name="", is_primary=False)
                         for at in range(10))]  # fmt: skip
    counts = {f"g{at}": (200, 204) for at in range(1, 10)} | {"g0": (200, 280)}
    more = [{ref: converted(5000, pair[at]) for ref, pair in counts.items()} for at in range(2)]

    def marked(*, is_guardrail: bool) -> str:
        rules = [goals[0], replace(goals[1], is_guardrail=is_guardrail), *goals[2:]]
        found = judged(converted(5000, 200), converted(5000, 205), goals=rules, more=more)
        mark = next(each for each in found.comparisons if each.goal.ref == "g0")
        assert (mark.difference.sequential.p_value or 1) <= 0.05 < (mark.adjusted_p_value or 0)
        return mark.outcome

    assert marked(is_guardrail=False) == "UNCLEAR"
    assert marked(is_guardrail=True) == "BETTER"


def test_report__a_goal_that_a_variant_has_no_guests_of__is_not_known() -> None:
    found = judged(converted(500, 20), converted(500, 30), goals=[CHECKOUT, REFUNDS])

    assert found.comparisons[1].shown.effect.reason == "TOO_FEW_GUESTS"
    assert found.comparisons[1].outcome == "UNCLEAR"
    assert found.comparisons[1].adjusted_p_value is None


def test_report__quantiles_for_a_goal__are_compared_as_means_are() -> None:
    chosen = ranks(n=2000, quantile=0.9)
    slow = Quantile(ranks=chosen, lower=190.0, middle=200.0, upper=210.0)
    fast = Quantile(ranks=chosen, lower=140.0, middle=150.0, upper=160.0)
    goal = GoalRule(ref="p90", name="Time to pay", is_primary=True, direction=Direction.DECREASE)

    found = analyse(
        variants=[
            VariantData(ref="a", name="A", guests=2000, samples={"p90": slow}, is_control=True),
            VariantData(ref="b", name="B", guests=2000, samples={"p90": fast}),
        ],
        goals=[goal],
    )

    assert found.verdict.code is Code.SHIP
    assert found.verdict.sentence.startswith("Ship B: Time to pay -25.0% (")


def test_report__ranks_here_and_no_guests_there__is_not_known() -> None:
    found = analyse(
        variants=ranked_and(Sample.of([])), goals=[GoalRule(ref="g", name="G", is_primary=True)]
    )

    assert found.verdict.code is Code.COLLECTING
    assert found.comparisons[0].shown.effect.reason == "TOO_FEW_GUESTS"
    assert found.comparisons[0].control_mean == 3.0


def test_report__ranks_here_and_sums_there__are_refused() -> None:
    with pytest.raises(ValueError, match="in all variants alike"):
        analyse(
            variants=ranked_and(converted(200, 20)),
            goals=[GoalRule(ref="g", name="G", is_primary=True)],
        )


def ranked_and(other: Sample) -> list[VariantData]:
    found = Quantile(ranks=ranks(n=200), lower=2.0, middle=3.0, upper=4.0)
    return [
        VariantData(ref="a", name="A", guests=200, samples={"g": found}, is_control=True),
        VariantData(ref="b", name="B", guests=200, samples={"g": other}),
    ]


def test_analyse__with_a_prior__believes_less_of_few_guests() -> None:
    flat = judged(converted(500, 10), converted(500, 20))
    doubtful = judged(
        converted(500, 10), converted(500, 20), settings=Settings(prior=Prior(deviation=0.1))
    )

    assert (doubtful.comparisons[0].lift.posterior.mean or 0) < 0.2
    # Of a control of 2 percent, a lift of 0.2 is a difference of 0.004.
    assert (doubtful.comparisons[0].difference.posterior.mean or 0) < 0.004
    assert (flat.comparisons[0].lift.posterior.mean or 0) == pytest.approx(1.0)


def variant(ref: str, *, is_control: bool = False) -> VariantData:
    return VariantData(ref=ref, name=ref, guests=0, samples={}, is_control=is_control)


@pytest.mark.parametrize(
    "variants, goals, message",
    [
        ([variant("a", is_control=True)], [CHECKOUT], "one control, and at least one"),
        ([variant("a"), variant("b")], [CHECKOUT], "one control"),
        ([variant("a", is_control=True), variant("a")], [CHECKOUT], "the same ref"),
        ([variant("a", is_control=True), variant("b")], [], "exactly one goal is the primary"),
        (
            [variant("a", is_control=True), variant("b")],
            [CHECKOUT, replace(CHECKOUT, ref="other")],
            "exactly one goal is the primary",
        ),
    ],
)
def test_analyse__what_is_no_experiment__is_refused(
    variants: list[VariantData], goals: list[GoalRule], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        analyse(variants=variants, goals=goals)


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": 0},
        {"power": 1},
        {"base_rate": 2},
        {"mde": 0},
        {"base_rate": 0.9},
        {"tuning": -1},
        {"planned_guests": 0},
    ],
)
def test_settings__out_of_range__are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)  # type: ignore[arg-type]
