"""
An experiment's results, all of them, from its sums: `analyse` is the package's front door.

Called by analytics with what it read of the database, and by simulations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from personalize.statistics import planning
from personalize.statistics.comparisons import (
    Comparison,
    Measured,
    comparison,
    conversions_of,
    corrected,
)
from personalize.statistics.mismatch import Mismatch, mismatch
from personalize.statistics.samples import Sample
from personalize.statistics.sequences import reach
from personalize.statistics.types import Direction, GoalRule, Settings
from personalize.statistics.verdicts import Evidence, Verdict, verdict

_NOBODY = Sample.of([])
#: A mean is not 0 where its square is so many times its variance.
_CLEAR = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantData:
    """
    A variant as it was measured.

    guests: those who saw it first. samples: by the goal's ref, of all of them or of those of whom
    that goal is still known; one that is absent has no guests.
    weight: its share of the traffic, relative to the others'. guests_at_weights: those of the
    guests who came at these weights, where they have been others before; None: all of them.
    """

    ref: str
    name: str
    guests: int
    samples: Mapping[str, Measured]
    weight: float = 1.0
    guests_at_weights: int | None = None
    is_control: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    All results. comparisons: by goal, in the order given, and within it by variant.

    guests: of the variant with the fewest, those of whom the primary goal is known, on which the
    verdict rests. planned: guests per variant, as one look at the end would need them. enough: as
    the default view needs them, which may be looked at whenever. power: the chance that as many
    guests as there are show what the plan looks for, by the default view. days_left: until all
    variants have the planned guests; None: not known.
    """

    verdict: Verdict
    comparisons: tuple[Comparison, ...]
    mismatch: Mismatch
    guests: int
    planned: int
    enough: int
    power: float
    days_left: int | None


def analyse(
    *,
    variants: Sequence[VariantData],
    goals: Sequence[GoalRule],
    settings: Settings | None = None,
    guests_a_day: float = 0.0,
    mixed_share: float = 0.0,
    earlier_guests: Sequence[Sequence[int]] = (),
) -> Report:
    """
    Judge an experiment.

    guests_a_day: new ones, of all variants. mixed_share: of all guests, those who saw several
    variants. earlier_guests: how many guests (at these weights) each variant had had by the end of
    earlier days, in the variants' order. Raises ValueError unless there are two variants or more
    and exactly one control, and exactly one primary goal.
    """
    settings = settings or Settings()
    control, treatments = _told_apart(variants)
    primary = _primary(goals)
    counts = [_sample(variant, primary).n for variant in variants]
    plan = _plan(primary, _sample(control, primary), settings)
    size = settings.planned_guests or plan.size(alpha=settings.alpha, power=settings.power)
    planned = max(size, settings.min_guests)

    def reach_of(guests: int) -> float:
        return reach(
            2 * guests, alpha=settings.alpha, tuning=settings.tuning, comparisons=len(treatments)
        )

    enough = planned
    # Who says how many guests there will be says when it ends.
    if settings.planned_guests is None:
        enough = plan.size_by(reach_of, power=settings.power, least=planned)
    evidence = Evidence(
        names={variant.ref: variant.name for variant in variants},
        counts=counts,
        conversions=conversions_of([_sample(variant, primary) for variant in variants]),
        planned=planned,
        enough=enough,
        days_left=_days_left(variants, counts, planned, guests_a_day),
        days_to_enough=_days_left(variants, counts, enough, guests_a_day),
        mixed_share=mixed_share,
        mismatch=mismatch(
            weights=[variant.weight for variant in variants],
            counts=[_at_weights(variant) for variant in variants],
            earlier=earlier_guests,
            alpha=settings.mismatch_alpha,
        ),
        comparisons=_compared(control, treatments, goals, settings),
    )
    return Report(
        verdict=verdict(evidence, settings),
        comparisons=evidence.comparisons,
        mismatch=evidence.mismatch,
        guests=min(counts),
        planned=planned,
        enough=enough,
        power=plan.power(guests=min(counts), reach=reach_of(max(1, min(counts)))),
        days_left=evidence.days_left,
    )


def _told_apart(variants: Sequence[VariantData]) -> tuple[VariantData, list[VariantData]]:
    controls = [variant for variant in variants if variant.is_control]
    treatments = [variant for variant in variants if not variant.is_control]
    if len(controls) != 1 or not treatments:
        raise ValueError("an experiment has one control, and at least one variant beside it")
    if len({variant.ref for variant in variants}) != len(variants):
        raise ValueError("two variants have the same ref")
    return controls[0], treatments


def _primary(goals: Sequence[GoalRule]) -> GoalRule:
    found = [goal for goal in goals if goal.is_primary]
    if len(found) != 1:
        raise ValueError(f"exactly one goal is the primary one, not {len(found)}")
    return found[0]


def _at_weights(variant: VariantData) -> int:
    since = variant.guests_at_weights
    return variant.guests if since is None else since


def _sample(variant: VariantData, goal: GoalRule) -> Measured:
    return variant.samples.get(goal.ref, _NOBODY)


def _compared(
    control: VariantData,
    treatments: Sequence[VariantData],
    goals: Sequence[GoalRule],
    settings: Settings,
) -> tuple[Comparison, ...]:
    return corrected(
        comparison(
            variant=treatment.ref,
            goal=goal,
            control=_sample(control, goal),
            treatment=_sample(treatment, goal),
            settings=settings,
            variants=len(treatments),
        )
        for goal in goals
        for treatment in treatments
    )


def _days_left(
    variants: Sequence[VariantData], counts: Sequence[int], planned: int, guests_a_day: float
) -> int | None:
    total = sum(variant.weight for variant in variants)
    return planning.days_left(
        counts=counts,
        shares=[variant.weight / total if total else 0.0 for variant in variants],
        planned=planned,
        guests_a_day=guests_a_day,
    )


def _plan(goal: GoalRule, control: Measured, settings: Settings) -> planning.Plan:
    mde = settings.mde if goal.direction is Direction.INCREASE else -settings.mde
    mean, variance = control.mean, control.variance
    has_enough = control.n >= settings.min_guests and control.conversions > 0
    # Of amounts and ratios nothing is known beforehand: they are planned for as they come in. A
    # change relative to what may be nothing cannot be.
    is_amount = has_enough and not control.is_binary
    if is_amount and mean and variance and mean * mean > _CLEAR * variance / control.n:
        return planning.for_mean(mean=mean, variance=variance, mde=mde)
    return planning.for_rate(base_rate=settings.base_rate, mde=mde)
