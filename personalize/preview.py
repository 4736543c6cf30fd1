"""
What a draft would show a guest: the same gates, assignment and rendering as the flow walk.

Called by the admin. Nothing is recorded and nothing counted, and the draft need not be live.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from personalize import (
    bucketing,
    choosing,
    context,
    deciding,
    execution,
    flows,
    snapshots,
    targeting,
    visits,
)
from personalize.choosing import Chosen
from personalize.conditions import Facts
from personalize.context import Visitor
from personalize.deciding import Decided
from personalize.models import Flow
from personalize.snapshots import Definition, FlowSnapshot
from personalize.targeting import GateReport
from personalize.types import FlowRequest, Gate
from personalize.visits import Named
from tracking.types import ClientConfig


@dataclass(frozen=True, slots=True)
class VariantReport:
    """What one variant would show this guest."""

    name: str
    content_type: str
    content: Any
    error: str
    is_assigned: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """The whole answer. `closed` is the gate that a real call would end at, None if it runs."""

    guest_ref: UUID | None
    session_ref: UUID | None
    closed: Gate | None
    gates: Sequence[GateReport]
    variants: Sequence[VariantReport]
    decided: Decided
    #: Why values of the site's own are missing, where its sources failed.
    source_faults: Sequence[str] = ()


def preview(
    flow: Flow,
    client: ClientConfig,
    *,
    guest: Named | None,
    page: str = "",
    channel: str = "WEB",
    language: str = "",
    params: Mapping[str, Any] | None = None,
    now: datetime,
) -> Preview:
    """
    Show the draft to a guest; None is a visitor nobody has seen before.

    A stored condition that cannot be read closes the gate, as it does for a call.
    """
    snapshot = _snapshot(flow)
    known = guest.guest if guest else None
    visit = visits.visit_of(known, client, channel, browser_id=guest.browser_id if guest else None)
    catalog = snapshots.catalog(client, version=snapshots.current_version(client.id))
    visitor = visits.visitor_of(known, visit, catalog)
    request = FlowRequest(
        friendly_id=flow.friendly_id,
        browser_id=visitor.browser_id,
        channel=channel,
        language=language,
        page=page,
        params=params or {},
    )
    facts = context.facts(
        request, visitor, [snapshot], client=client, point_of_sale=visit.point_of_sale, now=now
    )
    chosen, closed, _ = choosing.choose(
        [snapshot], facts, visitor, channel=channel, now=now, explain=True
    )
    gates = targeting.told(
        flow.friendly_id,
        snapshot.definition,
        is_live=None,
        channel=channel,
        explain=lambda condition: condition.explain(facts),
        bucket_ref=str(visitor.bucket_ref),
        kept=visitor.kept,
        segments=catalog.segments,
        site_holdout=catalog.holdout,
    )
    decided = deciding.decide(snapshot.definition, facts, catalog)
    return Preview(
        guest_ref=known.ref if known else None,
        session_ref=visit.session.ref if visit.session else None,
        closed=closed[-1] if closed else None,
        gates=list(gates),
        variants=_variants(snapshot, chosen, decided, facts, visitor),
        decided=decided,
        source_faults=list(facts.site_faults.values()),
    )


def _snapshot(flow: Flow) -> FlowSnapshot:
    return FlowSnapshot(
        id=flow.pk,
        ref=flow.ref,
        friendly_id=flow.friendly_id,
        # Whether the flow is live is not what a preview asks.
        status=Flow.Status.LIVE,
        starts_at=None,
        ends_at=None,
        definition=Definition(0, flows.draft_of(flow)),
    )


def _variants(
    snapshot: FlowSnapshot,
    chosen: Chosen | None,
    decided: Decided,
    facts: Facts,
    visitor: Visitor,
) -> list[VariantReport]:
    """Render every variant, as if it had been drawn."""
    definition = snapshot.definition
    assignment = bucketing.assign(
        traffic=definition.traffic, bucket_ref=str(visitor.bucket_ref), kept=visitor.kept
    )
    reports = []
    for variant in definition.variants.values():
        rendered = execution.render(Chosen(snapshot, variant, assignment), decided, facts, visitor)
        reports.append(
            VariantReport(
                name=variant.name,
                content_type=variant.content_type,
                content=rendered.content,
                error=rendered.error,
                is_assigned=chosen is not None and chosen.variant.ref == variant.ref,
            )
        )
    return reports
