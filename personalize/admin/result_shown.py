"""
A flow's results as its page shows them: texts, pills and drawings, made of what analytics read.

Called by `result_pages`. Nothing here reads the database or judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal
from uuid import UUID

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from personalize.admin import result_charts, result_words
from personalize.analytics.types import (
    FlowResults,
    GoalResult,
    Moment,
    Slice,
    VariantResult,
)
from personalize.goals.types import Goal, Kind
from personalize.statistics.comparisons import Comparison, Outcome
from personalize.statistics.report import Report
from personalize.statistics.types import Interval
from personalize.statistics.verdicts import Code
from tracking.admin import payloads

View = Literal["always", "fixed"]

_OUTCOMES: Final[dict[Outcome, tuple[str, str]]] = {
    "BETTER": ("better", "▲"),
    "WORSE": ("worse", "▼"),
    "UNCLEAR": ("unclear", ""),
}


def context_of(found: FlowResults, view: View) -> dict[str, Any]:
    """Return what the template of results shows."""
    report = found.report
    is_trusted = report is None or report.verdict.code is not Code.UNHEALTHY
    goals = [each.goal for each in found.variants[0].goals] if found.variants else []
    tables = [_table(found, position, view, is_trusted) for position in range(len(goals))]
    return {
        "verdict": _verdict(report) if report else None,
        "progress": _progress(report) if report else None,
        "mismatch": _mismatch(report) if report and report.mismatch.found else None,
        "is_trusted": is_trusted,
        "primary": tables[0] if tables else None,
        "secondary": [each for each in tables[1:] if not each["goal"].is_guardrail],
        "guardrails": [each for each in tables[1:] if each["goal"].is_guardrail],
        "courses": _courses(found) if is_trusted else [],
        "daily": _daily(found),
        "funnels": [
            _funnel(found, position)
            for position, goal in enumerate(goals)
            if goal.kind is Kind.FUNNEL
        ],
        "runs": [_runs(each) for each in found.variants],
        "attribution": result_words.attribution(found.attributable),
        "guests": sum(each.guests for each in found.variants),
        "is_frozen": any(each.day < found.frozen_before for each in found.by_day),
    }


def _verdict(report: Report) -> dict[str, Any]:
    verdict = report.verdict
    color, label = result_words.PILLS[verdict.code]
    return {
        "pill": payloads.pill(color, label),
        # The pill may say the first words already.
        "sentence": capfirst(verdict.sentence.removeprefix(f"{label}: ")),
        "variant": UUID(verdict.variant) if verdict.variant else None,
    }


def _progress(report: Report) -> dict[str, Any]:
    return {
        # Numbers of a drawing have a point in every language.
        "width": f"{100 * min(1.0, report.guests / report.planned):.1f}",
        "in_words": _("%(there)s of %(planned)s. %(left)s")
        % {
            "there": result_words.count(report.guests),
            "planned": result_words.guests_per_variant(report.planned),
            "left": result_words.days_left(report.days_left),
        },
        "power": result_words.share(report.power),
        "enough": result_words.guests_per_variant(report.enough),
    }


def _mismatch(report: Report) -> dict[str, str]:
    found = report.mismatch
    return {
        "p": result_words.p_value(found.sequential_p_value),
        "guests": " / ".join(map(result_words.count, found.counts)),
        "expected": " / ".join(result_words.count(round(each)) for each in found.expected),
    }


# --- goals ---


def _table(found: FlowResults, position: int, view: View, is_trusted: bool) -> dict[str, Any]:
    results = [(variant, variant.goals[position]) for variant in found.variants]
    goal = results[0][1].goal
    compared = [each.comparison for _variant, each in results if each.comparison is not None]
    reach = _reach(compared, view)
    return {
        "goal": goal,
        "about": result_words.about_goal(goal),
        "has_comparisons": bool(compared),
        "reach": result_words.effect(compared[0], reach).lstrip("+") if compared else "",
        "rows": [_row(variant, each, view, reach, is_trusted) for variant, each in results],
        "capped": _capped(results),
        "is_of_all_guests": not (goal.is_guest_by_guest and found.has_deleted_guests),
        "saved": result_words.share(max((each.saved for each in compared), default=0.0)),
        "is_saved": any(each.saved >= 0.01 for each in compared),
    }


def _capped(results: Sequence[tuple[VariantResult, GoalResult]]) -> str:
    shares = [each.capped for _variant, each in results]
    return result_words.share(max(shares)) if any(shares) else ""


def _row(
    variant: VariantResult, found: GoalResult, view: View, reach: float, is_trusted: bool
) -> dict[str, Any]:
    return {
        "name": variant.name,
        "is_control": variant.is_control,
        "guests": result_words.count(variant.guests),
        "sessions": result_words.count(variant.visits),
        "total": result_words.count(found.total),
        "mean": result_words.mean(found.goal, found.mean),
        **(compared_cells(found.comparison, view, reach, is_trusted) if found.comparison else {}),
    }


def compared_cells(
    compared: Comparison, view: View, reach: float, is_trusted: bool
) -> dict[str, Any]:
    """Return the cells of a variant that is compared. Who is not trusted has no winner."""
    interval = _interval(compared, view)
    outcome = compared.outcome if view == "always" else compared.fixed_outcome
    style, mark = _OUTCOMES[outcome if is_trusted else "UNCLEAR"]
    adjusted = compared.adjusted_p_value if view == "always" else compared.adjusted_fixed_p_value
    estimate = compared.shown.effect.estimate
    return {
        "compared": compared,
        "style": style,
        "mark": mark,
        "effect": result_words.effect(compared, estimate),
        "interval": result_words.interval(compared, interval),
        "bar": result_charts.bar(estimate or 0.0, interval, reach=reach),
        "chance": result_words.share(compared.chance_to_win) if is_trusted else "–",
        "p": result_words.p_value(adjusted),
    }


def _interval(compared: Comparison, view: View) -> Interval:
    return compared.shown.sequential if view == "always" else compared.shown.fixed


def _reach(compared: Sequence[Comparison], view: View) -> float:
    return result_charts.reach_of([_interval(each, view) for each in compared])


def _funnel(found: FlowResults, position: int) -> dict[str, Any]:
    results = [(variant, variant.goals[position]) for variant in found.variants]
    goal = results[0][1].goal
    return {
        "goal": goal,
        "variants": [
            {"name": variant.name, "steps": _steps(goal, each.steps)} for variant, each in results
        ],
    }


def _steps(goal: Goal, steps: Sequence[int]) -> list[dict[str, Any]]:
    first = steps[0] if steps else 0
    return [
        {
            "type": meant.type,
            "count": result_words.count(count),
            "share": result_words.share(count / first if first else None),
            # Numbers of a drawing have a point in every language.
            "width": f"{100 * count / first:.1f}" if first else "0",
        }
        for meant, count in zip(goal.events, steps, strict=False)
    ]


# --- over time ---


def _courses(found: FlowResults) -> list[dict[str, Any]]:
    """Draw the primary goal's effect over time, a chart for each variant that is compared."""
    if not found.over_time:
        return []
    names = {each.ref: each.name for each in found.variants}
    refs = list(found.over_time[-1].comparisons)
    return [
        {"name": names.get(ref, ""), **course}
        for ref in refs
        if (course := _course(found.over_time, ref)) is not None
    ]


def _course(moments: Sequence[Moment], ref: UUID) -> dict[str, Any] | None:
    is_relative = moments[-1].comparisons[ref].is_relative
    points, rows = [], []
    for moment in moments:
        compared = moment.comparisons[ref]
        view = compared.lift if is_relative else compared.difference
        low, high, middle = view.sequential.low, view.sequential.high, view.effect.estimate
        if low is None or high is None or middle is None:
            continue
        points.append(result_charts.Point(moment.day, middle, low, high))
        write = "{:+.1%}" if is_relative else "{:+.3g}"
        rows.append(
            {
                "day": moment.day,
                "guests": result_words.count(sum(moment.guests.values())),
                "effect": write.format(middle),
                "interval": _("%(low)s to %(high)s")
                % {"low": write.format(low), "high": write.format(high)},
            }
        )
    chart = result_charts.over_time(points, share=is_relative)
    return {"chart": chart, "rows": rows} if chart else None


def _daily(found: FlowResults) -> dict[str, Any] | None:
    shown = [each for each in found.variants if any(day.guests[each.ref] for day in found.by_day)]
    counts = {day.day: [day.guests[each.ref] for each in shown] for day in found.by_day}
    chart = result_charts.by_day(counts) if shown else None
    if chart is None:
        return None
    return {
        "chart": chart,
        "names": [each.name for each in shown],
        "rows": [
            {"day": day, "guests": list(map(result_words.count, each))}
            for day, each in counts.items()
        ],
    }


# --- runs, and parts ---


def _runs(variant: VariantResult) -> dict[str, str]:
    runs = variant.runs
    ran = runs.executions
    return {
        "name": variant.name,
        "executions": result_words.count(ran),
        "errors": result_words.count(runs.errors),
        "error_share": result_words.share(runs.errors / ran) if ran else "",
        "attributable": result_words.share(runs.attributable / ran if ran else None),
        "p50": result_words.latency(runs, 0.5),
        "p95": result_words.latency(runs, 0.95),
    }


def parts_of(
    slices: Sequence[Slice], goal: Goal, found: FlowResults, view: View
) -> list[dict[str, Any]]:
    """Return the rows of a breakdown: each part with its variants, the control first."""
    names = {each.ref: each.name for each in found.variants}
    is_trusted = found.report is None or found.report.verdict.code is not Code.UNHEALTHY
    reach = _reach([each for part in slices for each in part.comparisons], view)
    shown = []
    for part in slices:
        compared = {UUID(each.variant): each for each in part.comparisons}
        shown.append(
            {
                "name": part.name,
                "rows": [
                    {
                        "name": names.get(ref, ""),
                        "guests": result_words.count(guests),
                        "mean": _part_mean(part, goal, compared.get(ref)),
                        **(
                            compared_cells(compared[ref], view, reach, is_trusted)
                            if ref in compared
                            else {}
                        ),
                    }
                    for ref, guests in part.guests.items()
                ],
            }
        )
    return shown


def _part_mean(part: Slice, goal: Goal, compared: Comparison | None) -> str:
    first = part.comparisons[0] if part.comparisons else None
    value = compared.mean if compared else first.control_mean if first else None
    return result_words.mean(goal, value)
