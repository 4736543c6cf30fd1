"""
A flow's results by parts of its guests: by device, by channel, or by who is in a segment.

Called by the admin and the API. The more parts are looked at, the more likely one of them shows
something by chance: p-values are corrected for all of them together.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from django.db.models.expressions import Combinable
from django.utils.translation import gettext as _

from personalize.analytics import arms, guestwise, publications, rules, samples
from personalize.analytics.arms import Arm
from personalize.analytics.guestwise import Gathered
from personalize.analytics.types import Breakdown, Slice
from personalize.attribution import rebuilding
from personalize.goals.types import Goal
from personalize.models import Flow, Segment
from personalize.statistics import report
from personalize.statistics.comparisons import Comparison, Measured, corrected
from personalize.statistics.report import VariantData

COLUMNS: Final = ("device", "channel")


class UnknownPart(ValueError):
    """There is nothing of this name to break down by; the text says what there is."""


class UnknownGoal(ValueError):
    """The flow has no goal of this ref."""


def of(
    flow: Flow,
    by: str,
    *,
    now: datetime,
    goal_ref: UUID | None = None,
    phase: int | None = None,
    since: date | None = None,
    until: date | None = None,
) -> Breakdown:
    """
    Compare the variants within each part of the guests, by one goal (None: the primary one).

    by: "device", "channel", or "segment:" with a friendly id. Of a flow whose weights moved, the
    guests alone are told. Raises UnknownPart, UnknownGoal, and what `publications.of` raises.
    """
    published = publications.of(flow, phase=phase)
    part = _part(flow, by)
    goal = next((each for each in published.goals if goal_ref in (None, each.ref)), None)
    if goal is None and goal_ref is not None:
        raise UnknownGoal("The flow has no goal of this ref.")
    definition = published.definition
    compared = arms.compared_arms(arms.arms_of(definition, has_held_out=True), definition)
    slices: list[Slice] = []
    if goal is not None and compared:
        span = published.span(since=since, until=until)
        parts = guestwise.gather(flow, span, [goal.ref], now=now, by=part)
        slices = [
            Slice(
                name=_named(by, part),
                guests={arm.ref: gathered.count(arm.ref) for arm in compared},
                comparisons=[] if published.run else _compared(gathered, goal, compared, flow),
            )
            for part, gathered in sorted(parts.items(), key=lambda item: str(item[0]))
        ]
    return Breakdown(
        parts=_corrected(slices),
        all_guests_since=rebuilding.first_day_of_all_guests(flow, now=now),
    )


def _part(flow: Flow, by: str) -> Combinable:
    if by in COLUMNS:
        return guestwise.column(by)
    kind, _colon, name = by.partition(":")
    segment = None
    if kind == "segment":
        rows = Segment.objects.kept().filter(client=flow.client_id)
        segment = rows.filter(friendly_id=name).first()
    if segment is None:
        raise UnknownPart(
            f"There is nothing “{by}” to break down by: device, channel, or segment: with the "
            "friendlyId of a segment."
        )
    return guestwise.in_segment(segment)


def _named(by: str, part: Any) -> str:
    if isinstance(part, bool | int):
        return _("in it") if part else _("not in it")
    return str(part) or _("unknown")


def _compared(
    gathered: Gathered, goal: Goal, compared: Sequence[Arm], flow: Flow
) -> Sequence[Comparison]:
    judged = report.analyse(
        variants=[
            VariantData(
                ref=str(arm.ref),
                name=arm.name,
                guests=gathered.count(arm.ref),
                samples={str(goal.ref): _measured(gathered, goal, arm.ref)},
                weight=arm.weight,
                is_control=arm.is_control,
            )
            for arm in compared
        ],
        goals=[rules.rule_of(goal, is_primary=True)],
        settings=rules.settings_of(flow),
    )
    return judged.comparisons


def _measured(gathered: Gathered, goal: Goal, variant: UUID) -> Measured:
    if goal.quantile is not None:
        return guestwise.quantile_of(gathered, goal, variant)
    cap = guestwise.cap_of(gathered, goal)
    return samples.sample(goal, gathered.sums(variant, goal, goal.ref, cap=cap), goal.ref)


def _corrected(slices: Sequence[Slice]) -> list[Slice]:
    found = iter(corrected([each for part in slices for each in part.comparisons]))
    return [
        replace(part, comparisons=[_one_of_many(next(found)) for _ in part.comparisons])
        for part in slices
    ]


def _one_of_many(found: Comparison) -> Comparison:
    """No part was planned for, whatever the goal is to the flow."""
    return replace(found, goal=replace(found.goal, is_primary=False, is_guardrail=False))
