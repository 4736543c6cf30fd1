"""Variants whose weights moved, in the views that any other comparison has."""

import pytest

from personalize.statistics.comparisons import (
    Comparison,
    comparison,
    reweighted_comparison,
)
from personalize.statistics.reweighting import Period
from personalize.statistics.samples import Sample
from personalize.statistics.types import GoalRule, Settings

GOAL = GoalRule(ref="g", name="Signed up", is_primary=True)
SETTINGS = Settings(uses_cuped=False)


def rate(guests: int, reached: int) -> Sample:
    return Sample.of([1.0] * reached + [0.0] * (guests - reached))


def compared(
    control: list[tuple[float, Sample]], treatment: list[tuple[float, Sample]], *, variants: int = 1
) -> Comparison:
    return reweighted_comparison(
        variant="b",
        goal=GOAL,
        control=[Period(weight=weight, sample=sample) for weight, sample in control],
        treatment=[Period(weight=weight, sample=sample) for weight, sample in treatment],
        settings=SETTINGS,
        variants=variants,
    )


def test_comparison__of_weights_that_never_moved__is_the_plain_one() -> None:
    control, treatment = rate(1000, 200), rate(1000, 260)

    found = compared([(0.5, control)], [(0.5, treatment)])

    plain = comparison(
        variant="b", goal=GOAL, control=control, treatment=treatment, settings=SETTINGS
    )
    assert found.mean == pytest.approx(plain.mean)
    for own, its in (
        (found.difference.sequential, plain.difference.sequential),
        (found.difference.fixed, plain.difference.fixed),
        (found.lift.sequential, plain.lift.sequential),
    ):
        assert (own.low, own.high, own.p_value) == pytest.approx((its.low, its.high, its.p_value))
    assert found.outcome == plain.outcome == "BETTER"


def test_comparison__of_a_good_day_with_most_guests_in_one_variant__is_not_fooled() -> None:
    """Ten percent sign up on a bad day, half on a good one, whichever variant they see."""
    control = [(0.5, rate(1000, 100)), (0.1, rate(200, 100))]
    treatment = [(0.5, rate(1000, 100)), (0.9, rate(1800, 900))]

    found = compared(control, treatment)

    assert found.mean == pytest.approx(0.3)
    assert found.control_mean == pytest.approx(0.3)
    assert found.outcome == "UNCLEAR"
    summed = comparison(
        variant="b",
        goal=GOAL,
        control=rate(1200, 200),
        treatment=rate(2800, 1000),
        settings=SETTINGS,
    )
    assert summed.outcome == "BETTER"


def test_comparison__of_several_variants__allows_for_their_number() -> None:
    sides = [(0.5, rate(1000, 200))], [(0.5, rate(1000, 240))]

    one, three = compared(*sides), compared(*sides, variants=3)

    assert one.difference.sequential.low is not None
    assert three.difference.sequential.low is not None
    assert three.difference.sequential.low < one.difference.sequential.low


def test_comparison__of_nobody__says_why_there_is_none() -> None:
    found = compared([(0.5, rate(0, 0))], [(0.5, rate(10, 1))])

    assert found.difference.effect.reason == "TOO_FEW_GUESTS"
    assert found.outcome == "UNCLEAR"
