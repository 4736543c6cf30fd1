"""
How an optimized flow's weights stand, and how they moved: `weights.html` shows what `shown` says.

The page of a flow has it beside its traffic, and a page of its results may include it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from personalize import conf
from personalize.analytics import bandits, results
from personalize.analytics.types import Divided, Optimized, OptimizedVariant
from personalize.goals.types import RATES, Goal
from personalize.models import Flow
from personalize.statistics.comparisons import Comparison

_MOST_PERIODS: Final = 30
#: Chances that are nearer to none or to all than this are not told apart.
_LEAST_CHANCE: Final = 0.001


def rendered(flow: Flow, *, now: datetime) -> SafeString:
    """Return the section as HTML, of the flow as it runs."""
    optimized = results.optimized_of(flow, now=now) if flow.published_id else None
    shown_as = shown(flow, optimized, now=now)
    return SafeString(render_to_string("personalize/admin/weights.html", {"weights": shown_as}))


def shown(flow: Flow, optimized: Optimized | None, *, now: datetime) -> dict[str, Any]:
    """Return what the template shows as `weights`; None: it does not run optimized."""
    if optimized is None:
        starts = _("Once published, it begins with even weights; then these follow the results.")
        return {"sentence": starts, "variants": []}
    periods = optimized.periods[-_MOST_PERIODS:]
    refs = [each.ref for each in optimized.variants]
    goal = optimized.variants[0].goals[0].goal if optimized.variants[0].goals else None
    return {
        "sentence": _next(flow, optimized, now=now),
        "note": optimized.note,
        "goal": goal.name if goal else "",
        "has_mismatch": optimized.has_mismatch,
        "variants": [_variant(each) for each in optimized.variants],
        "names": [each.name for each in optimized.variants],
        "bars": [_bar(each, refs, at) for at, each in enumerate(periods)],
        "height": 8 * len(periods) - 3,
        "pixels": 18 * len(periods),
        "periods": [_period(each, refs) for each in reversed(periods)],
        "more": len(optimized.periods) - len(periods),
    }


def _next(flow: Flow, optimized: Optimized, *, now: datetime) -> str:
    """Say when weights may move next, or why they do not."""
    hours = conf.settings().BANDIT_HOURS
    if not hours:
        return _('Weights stay as they are: PERSONALIZE["BANDIT_HOURS"] is 0.')
    if not flow.is_live(now) or flow.weighed_at is None:
        return _("It does not run now, so its weights stay as they are.")
    at = max(flow.weighed_at + timedelta(hours=hours), now)
    when = date_format(timezone.localtime(at), "DATETIME_FORMAT")
    told = _("Next look at the results: %(when)s") % {"when": when}
    fewest = min(each.guests for each in optimized.variants)
    if fewest >= bandits.MIN_GUESTS:
        return told
    waits = _(
        "Weights are even until each variant has %(n)d guests; the fewest so far: %(fewest)d."
    )
    return f"{waits % {'n': bandits.MIN_GUESTS, 'fewest': fewest}} {told}"


def _variant(variant: OptimizedVariant) -> dict[str, Any]:
    primary = variant.goals[0] if variant.goals else None
    return {
        "name": variant.name,
        "is_control": variant.is_control,
        "weight": percent(variant.share),
        "chance": _chance(variant.chance_to_be_best),
        "guests": variant.guests,
        "mean": _mean(primary.goal, primary.mean) if primary else "–",
        "effect": _effect(primary.goal, primary.comparison) if primary else "–",
    }


def _bar(period: Divided, refs: Sequence[UUID], at: int) -> list[dict[str, str]]:
    """Return a period's parts of a bar; numbers of a drawing have a point everywhere."""
    reached, parts = 0.0, []
    for ref in refs:
        share = 100 * period.shares.get(ref, 0.0)
        title = f"{period.names.get(ref, '')} {percent(share / 100)}, {_since(period)}"
        x, width = f"{reached:.3f}", f"{share:.3f}"
        parts.append({"x": x, "y": str(8 * at), "width": width, "title": title})
        reached += share
    return parts


def _period(period: Divided, refs: Sequence[UUID]) -> dict[str, Any]:
    return {
        "phase": period.phase,
        "since": period.since,
        "until": period.until,
        "is_off": period.mismatch is not None and period.mismatch.found,
        "cells": [
            {"weight": percent(period.shares.get(ref, 0.0)), "guests": period.guests.get(ref, 0)}
            for ref in refs
        ],
    }


def _since(period: Divided) -> str:
    return date_format(timezone.localtime(period.since), "SHORT_DATETIME_FORMAT")


def percent(share: float) -> str:
    """Write a share of 1: `33.3 %`."""
    return f"{round(100 * share, 1):g} %"


def _chance(chance: float | None) -> str:
    if chance is None:
        return "–"
    if chance < _LEAST_CHANCE:
        return _("under %(least)s") % {"least": percent(_LEAST_CHANCE)}
    if chance > 1 - _LEAST_CHANCE:
        return _("over %(most)s") % {"most": percent(1 - _LEAST_CHANCE)}
    return percent(chance)


def _mean(goal: Goal, mean: float | None) -> str:
    if mean is None:
        return "–"
    return f"{100 * mean:.2f} %" if goal.kind in RATES else f"{mean:,.2f}"


def _effect(goal: Goal, comparison: Comparison | None) -> str:
    """Write the lift, or the difference where the lift may be anything, and its interval."""
    if comparison is None:
        return "–"
    view = comparison.shown
    value, interval = view.effect.estimate, view.sequential
    if value is None or interval.low is None or interval.high is None:
        return _("too little is known")
    if comparison.is_relative or goal.kind in RATES:
        unit = "%" if comparison.is_relative else _("points")
        low, value, high = (100 * each for each in (interval.low, value, interval.high))
        return f"{value:+.1f} {unit} ({low:+.1f} to {high:+.1f})"
    return f"{value:+.3g} ({interval.low:+.3g} to {interval.high:+.3g})"
