"""Results as the doors answer them: made of what `personalize.analytics` read."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from personalize.analytics.days import DayNumbers
from personalize.analytics.types import (
    Breakdown,
    FlowResults,
    GoalResult,
    Moment,
    Optimized,
    Runs,
    Slice,
    VariantResult,
)
from personalize.goals.folding import HELD_OUT
from personalize.models import Flow
from personalize.statistics.comparisons import Comparison, View
from personalize.statistics.report import Report
from personalize.statistics.types import Interval


def told(flow: Flow, found: FlowResults) -> dict[str, Any]:
    """Tell a flow's results: a ResultsDocument."""
    report = found.report
    return {
        "flowRef": flow.ref,
        "friendlyId": flow.friendly_id,
        "name": flow.name,
        "phase": found.span.phase,
        "phases": list(found.phases),
        "since": found.span.since,
        "until": found.span.until,
        "verdict": _verdict(report) if report else None,
        "plan": _plan(report) if report else None,
        "srm": _mismatch(report) if report else None,
        "optimized": _optimized(found.optimized) if found.optimized else None,
        "variants": [_variant(each) for each in found.variants],
        "mixedGuests": found.mixed,
        "attributableShare": found.attributable,
        "overTime": [_moment(each) for each in found.over_time],
        "guestsByDay": [
            {"day": each.day, "guests": {str(ref): n for ref, n in each.guests.items()}}
            for each in found.by_day
        ],
        "isMeasuring": found.is_measuring,
        "frozenBefore": found.frozen_before,
        "allGuestsSince": found.all_guests_since,
    }


def _verdict(report: Report) -> dict[str, Any]:
    verdict = report.verdict
    return {
        "code": verdict.code,
        "sentence": verdict.sentence,
        "variant": verdict.variant,
        "daysLeft": verdict.days_left,
    }


def _plan(report: Report) -> dict[str, Any]:
    return {
        "guestsPerVariant": report.planned,
        "enoughGuestsPerVariant": report.enough,
        "power": report.power,
        "daysLeft": report.days_left,
    }


def _mismatch(report: Report) -> dict[str, Any]:
    found = report.mismatch
    return {
        "found": found.found,
        "p": found.p_value,
        "sequentialP": found.sequential_p_value,
        "guests": list(found.counts),
        "expected": list(found.expected),
    }


def _optimized(found: Optimized) -> dict[str, Any]:
    return {
        "note": found.note,
        "hasMismatch": found.has_mismatch,
        "variants": [
            {
                "variantRef": each.ref,
                "name": each.name,
                "isControl": each.is_control,
                "share": each.share,
                "chanceToBeBest": each.chance_to_be_best,
                "guests": each.guests,
                "goals": [
                    {
                        "goalRef": told.goal.ref,
                        "name": told.goal.name,
                        "mean": told.mean,
                        "comparison": _comparison(told.comparison),
                    }
                    for told in each.goals
                ],
            }
            for each in found.variants
        ],
    }


def _variant(variant: VariantResult) -> dict[str, Any]:
    runs = variant.runs
    return {
        "variantRef": variant.ref,
        "name": variant.name,
        "isControl": variant.is_control,
        "isHeldOut": variant.ref == HELD_OUT,
        "weight": variant.weight,
        "guests": variant.guests,
        "sessions": variant.visits,
        "executions": runs.executions,
        "errors": runs.errors,
        "attributableShare": runs.attributable / runs.executions if runs.executions else None,
        **latencies(runs),
        "goals": [
            _goal(each, is_primary=position == 0) for position, each in enumerate(variant.goals)
        ],
    }


def latencies(runs: Runs) -> dict[str, int | None]:
    """Tell within how many milliseconds half of the runs, and nearly all of them, were done."""
    return {"latencyP50": runs.latency(0.5), "latencyP95": runs.latency(0.95)}


def _goal(found: GoalResult, *, is_primary: bool) -> dict[str, Any]:
    goal = found.goal
    return {
        "goalRef": goal.ref,
        "name": goal.name,
        "kind": goal.kind,
        "unit": goal.unit,
        "direction": goal.direction,
        "isPrimary": is_primary,
        "isGuardrail": goal.is_guardrail,
        "total": found.total,
        "per": found.per,
        "mean": found.mean,
        "cappedShare": found.capped,
        "funnelSteps": list(found.steps),
        "comparison": _comparison(found.comparison),
    }


def _comparison(found: Comparison | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "outcome": found.outcome,
        "lift": _effect(found.lift),
        "difference": _effect(found.difference),
        "controlMean": found.control_mean,
        "chanceToWin": found.chance_to_win,
        "pValue": found.difference.sequential.p_value,
        "adjustedPValue": found.adjusted_p_value,
        "fixedPValue": found.difference.fixed.p_value,
        "adjustedFixedPValue": found.adjusted_fixed_p_value,
        "cupedSaved": found.saved,
    }


def _effect(view: View) -> dict[str, Any]:
    believed = view.posterior
    return {
        "estimate": view.effect.estimate,
        "always": _interval(view.sequential),
        "fixed": _interval(view.fixed),
        "credible": {
            "low": believed.low,
            "high": believed.high,
            "expectedLoss": believed.loss,
        },
    }


def _interval(found: Interval) -> dict[str, Any]:
    return {
        "low": found.low,
        "high": found.high,
        "pValue": found.p_value,
        "reason": found.reason,
    }


def _moment(moment: Moment) -> dict[str, Any]:
    return {
        "day": moment.day,
        "variants": [
            {
                "variantRef": ref,
                "lift": _effect(found.lift),
                "difference": _effect(found.difference),
            }
            for ref, found in moment.comparisons.items()
        ],
    }


def told_breakdown(by: str, goal: UUID | None, found: Breakdown) -> dict[str, Any]:
    """Tell results by parts of the guests: a BreakdownDocument."""
    return {
        "by": by,
        "goalRef": goal,
        "parts": [_slice(each) for each in found.parts],
        "allGuestsSince": found.all_guests_since,
    }


def _slice(part: Slice) -> dict[str, Any]:
    compared = {each.variant: each for each in part.comparisons}
    return {
        "part": part.name,
        "variants": [_in_slice(ref, guests, compared, part) for ref, guests in part.guests.items()],
    }


def _in_slice(
    ref: UUID, guests: int, compared: Mapping[str, Comparison], part: Slice
) -> dict[str, Any]:
    found = compared.get(str(ref))
    of_control = part.comparisons[0].control_mean if part.comparisons else None
    return {
        "variantRef": ref,
        "guests": guests,
        "comparison": _comparison(found),
        "mean": found.mean if found else of_control,
    }


def told_day(row: DayNumbers, flow: Flow) -> dict[str, Any]:
    """Tell the numbers of a day: a DayNumbersDocument."""
    return {
        "day": row.day,
        "flowRef": flow.ref,
        "friendlyId": flow.friendly_id,
        "phase": row.phase,
        "variantRef": row.variant,
        "variantName": row.variant_name,
        "goalRef": row.goal,
        "goalName": row.goal_name,
        "step": row.step,
        "guests": row.guests,
        "sessions": row.visits,
        "total": row.total,
        "per": row.per,
    }
