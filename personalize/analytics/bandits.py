"""
Optimized flows: how their weights moved, which are next, and what came of it all the same.

`results` and the REST API read it; `optimizing` asks for the next shares. Guests who came while
weights moved are no plain sample, so nothing here is compared but by reweighting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from personalize import phases
from personalize.analytics import samples
from personalize.analytics.samples import Sums
from personalize.analytics.types import (
    Divided,
    Optimized,
    OptimizedVariant,
    Reweighted,
    Span,
)
from personalize.attribution import numbers
from personalize.goals.types import Goal
from personalize.models import Flow, FlowRevision
from personalize.phases import Period
from personalize.statistics import bandits, reweighting
from personalize.statistics.comparisons import Comparison, corrected, reweighted_comparison
from personalize.statistics.mismatch import mismatch
from personalize.statistics.samples import Sample
from personalize.statistics.types import GoalRule, Settings

#: Until each variant has so many guests, weights stay even.
MIN_GUESTS: Final = 100

ByPhase = Mapping[int, Sums]
Rules = Sequence[tuple[Goal, GoalRule]]


def history(flow: Flow) -> list[Divided]:
    """Return all phases of a flow, the first one first, with those who saw it first in each."""
    revisions = FlowRevision.objects.filter(flow=flow.pk).order_by("number")
    periods = phases.periods_of(revisions.values_list("published_at", "definition"))
    if not periods:
        return []
    whole = Span(phase=periods[-1].phase, earliest=periods[0].phase)
    sums = samples.phases(flow.pk, whole)
    return [_divided(period, sums.get(period.phase, {})) for period in periods]


def next_shares(flow: Flow, run: Sequence[Period], goal: Goal) -> dict[str, float]:
    """Return the shares of 1 that the results by a goal give those who come, by variant's ref."""
    span = Span(phase=run[-1].phase, earliest=run[0].phase)
    by_phase = samples.phases(flow.pk, span)
    refs = list(run[-1].shares)
    weights = bandits.bandit_weights(
        _strata(run, by_phase, goal, [UUID(ref) for ref in refs]),
        direction=goal.direction,
        min_guests=MIN_GUESTS,
    )
    return dict(zip(refs, weights, strict=True))


def _strata(
    run: Sequence[Period], by_phase: ByPhase, goal: Goal, refs: Sequence[UUID]
) -> list[list[Sample]]:
    """Return the guests of each period, variant by variant."""
    return [[_sample(by_phase.get(period.phase, {}), goal, ref) for ref in refs] for period in run]


# --- what came of it -------------------------------------------------------------------


def judged(run: Sequence[Period], by_phase: ByPhase, rules: Rules, settings: Settings) -> Optimized:
    """Judge an optimized flow by the sums of its periods. rules: the primary goal's first."""
    told = [(goal, rule) for goal, rule in rules if not goal.is_guest_by_guest]
    variants = run[-1].definition["variants"]
    control = next((UUID(each["ref"]) for each in variants if each["isControl"]), None)
    compared = _compared(run, by_phase, told, settings, control)
    chances = _chances(run, by_phase, told)
    return Optimized(
        note=_(
            "The weights follow the results, so that guests who came at a good time may be more "
            "often in one variant than in another: each counts by the weight of the time they came."
        ),
        variants=[
            OptimizedVariant(
                ref=ref,
                name=each["name"],
                is_control=ref == control,
                share=run[-1].shares.get(each["ref"], 0.0),
                chance_to_be_best=chances.get(ref),
                guests=sum(_guests(by_phase.get(period.phase, {}), ref) for period in run),
                goals=[
                    Reweighted(
                        goal=goal,
                        mean=_mean(_of_periods(run, by_phase, goal, ref)),
                        comparison=compared.get((ref, goal.ref)),
                    )
                    for goal, _rule in told
                ],
            )
            for each in variants
            for ref in [UUID(each["ref"])]
        ],
        periods=[
            _checked(_divided(period, by_phase.get(period.phase, {})), settings, looks=len(run))
            for period in run
        ],
    )


def _compared(
    run: Sequence[Period],
    by_phase: ByPhase,
    rules: Rules,
    settings: Settings,
    control: UUID | None,
) -> dict[tuple[UUID, UUID], Comparison]:
    refs = [UUID(each["ref"]) for each in run[-1].definition["variants"]]
    others = [ref for ref in refs if ref != control]
    if control is None:
        return {}
    found = {
        (ref, goal.ref): reweighted_comparison(
            variant=str(ref),
            goal=rule,
            control=_of_periods(run, by_phase, goal, control),
            treatment=_of_periods(run, by_phase, goal, ref),
            settings=settings,
            variants=len(others),
        )
        for goal, rule in rules
        for ref in others
    }
    return dict(zip(found, corrected(found.values()), strict=True))


def _of_periods(
    run: Sequence[Period], by_phase: ByPhase, goal: Goal, ref: UUID
) -> list[reweighting.Period]:
    found = []
    for period in run:
        sample = _sample(by_phase.get(period.phase, {}), goal, ref)
        found.append(reweighting.Period(weight=period.shares.get(str(ref), 0.0), sample=sample))
    return found


def _mean(periods: Sequence[reweighting.Period]) -> float | None:
    estimate = reweighting.reweighted(periods)
    return estimate.mean if estimate else None


def _chances(run: Sequence[Period], by_phase: ByPhase, rules: Rules) -> dict[UUID, float]:
    """Return the chances that the weights rest on: by the primary goal, of all guests so far."""
    if not rules or not rules[0][1].is_primary:
        return {}
    goal = rules[0][0]
    refs = [UUID(each["ref"]) for each in run[-1].definition["variants"]]
    chances = bandits.chances_to_be_best(
        _strata(run, by_phase, goal, refs), direction=goal.direction
    )
    return dict(zip(refs, chances, strict=True))


def _sample(sums: Sums, goal: Goal, ref: UUID) -> Sample:
    return samples.sample(goal, sums.get(ref, {}), goal.ref)


def _guests(sums: Sums, ref: UUID) -> int:
    guests = sums.get(ref, {}).get(numbers.GUESTS)
    return guests[0] if guests else 0


# --- periods ---------------------------------------------------------------------------


def _divided(period: Period, sums: Sums) -> Divided:
    variants = {UUID(each["ref"]): str(each["name"]) for each in period.definition["variants"]}
    return Divided(
        phase=period.phase,
        since=period.since,
        until=period.until,
        is_optimized=period.is_optimized,
        names=variants,
        shares={ref: period.shares.get(str(ref), 0.0) for ref in variants},
        guests={ref: _guests(sums, ref) for ref in variants},
    )


def _checked(period: Divided, settings: Settings, *, looks: int) -> Divided:
    """Ask whether the guests of a period fit its shares; every period is one chance to err."""
    found = mismatch(
        weights=list(period.shares.values()),
        counts=list(period.guests.values()),
        alpha=settings.mismatch_alpha / looks,
    )
    return replace(period, mismatch=found)
