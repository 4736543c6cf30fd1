"""
What a draft would show a guest: the same gates, assignment and rendering as the flow walk.

Called by the admin. Nothing is recorded and nothing counted, and the draft need not be live.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from personalize import bucketing, context, deciding, execution, flows, snapshots
from personalize.conditions import Compiled, Facts
from personalize.context import Visitor
from personalize.deciding import Decided
from personalize.execution import Chosen
from personalize.models import Flow
from personalize.snapshots import Catalog, Definition, FlowSnapshot
from personalize.types import FlowRequest, Gate
from tracking import guests
from tracking.guests import GuestFacts
from tracking.models import Guest, Session
from tracking.types import ClientConfig, PointOfSaleConfig


@dataclass(frozen=True, slots=True)
class GateReport:
    """One gate: open or closed, and on what the answer rests."""

    name: str
    is_open: bool
    because: Sequence[str]


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


def find_guest(client: ClientConfig, text: str) -> GuestFacts | None:
    """Find a guest by its ref, by e-mail, by `PROVIDER:value`, or by a browser's id."""
    text = text.strip()
    try:
        ref = UUID(text)
    except ValueError:
        provider, separator, value = text.partition(":")
        if separator:
            return guests.by_identifier(client, provider.strip(), value.strip())
        return guests.by_email(client, text)
    return guests.by_ref(client, ref) or guests.by_browser(client, str(ref))


def preview(
    flow: Flow,
    client: ClientConfig,
    *,
    guest: GuestFacts | None,
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
    session, point_of_sale = visit_of(guest, client, channel)
    catalog = snapshots.catalog(client, version=snapshots.current_version(client.id))
    visitor = visitor_of(guest, session, catalog)
    request = FlowRequest(
        friendly_id=flow.friendly_id,
        browser_id=visitor.browser_id,
        channel=channel,
        language=language,
        page=page,
        params=params or {},
    )
    facts = context.facts(
        request, visitor, [snapshot], client=client, point_of_sale=point_of_sale, now=now
    )
    chosen, closed = execution.choose(
        [snapshot], facts, visitor, channel=channel, now=now, explain=True
    )
    decided = deciding.decide(snapshot.definition, facts, catalog)
    return Preview(
        guest_ref=guest.ref if guest else None,
        session_ref=session.ref if session else None,
        closed=closed[-1] if closed else None,
        gates=_gates(snapshot, facts, closed, channel),
        variants=_variants(snapshot, chosen, decided, facts, visitor),
        decided=decided,
        source_faults=list(facts.site_faults.values()),
    )


def _snapshot(flow: Flow) -> FlowSnapshot:
    variants = list(flow.variants.order_by("position", "pk"))
    return FlowSnapshot(
        id=flow.pk,
        ref=flow.ref,
        friendly_id=flow.friendly_id,
        # Whether the flow is live is not what a preview asks.
        status=Flow.Status.LIVE,
        starts_at=None,
        ends_at=None,
        definition=Definition(0, flows.definition_of(flow, variants)),
    )


def visit_of(
    guest: GuestFacts | None, client: ClientConfig, channel: str
) -> tuple[Session | None, PointOfSaleConfig]:
    """Return the visit the guest is on, so that conditions on it can be tried."""
    default = client.default_point_of_sale
    if guest is None:
        return None, default
    members = Guest.objects.speaking_through(guest.id)
    sessions = Session.objects.open().filter(
        guest__in=members, channel=channel, browser__isnull=False
    )
    session = sessions.select_related("browser").order_by("-started_at").first()
    points = {point.id: point for point in client.points_of_sale.values()}
    return session, points.get(session.point_of_sale_id, default) if session else default


def visitor_of(guest: GuestFacts | None, session: Session | None, catalog: Catalog) -> Visitor:
    if guest is None:
        ref = uuid.uuid4()
        return Visitor(ref, ref, None, None, catalog)
    browser = session.browser if session else None
    if browser is not None:
        guest = replace(guest, browser=browser.pk)
    return Visitor(guest.ref, guest.bucket_ref, guest, browser.value if browser else None, catalog)


def _gates(
    snapshot: FlowSnapshot, facts: Facts, closed: Sequence[Gate], channel: str
) -> list[GateReport]:
    definition = snapshot.definition
    if definition.problem:
        return [GateReport("Conditions", False, [definition.problem])]
    wanted = sorted(definition.channels)
    asked = f"The channel is {channel}, wanted {', '.join(wanted) if wanted else 'any'}."
    reports = [
        GateReport("Channel", not wanted or channel in wanted, [asked]),
        _condition_gate("Pages", definition.page_targeting, facts),
        _condition_gate("Audience", definition.audience, facts),
    ]
    share = [gate for gate in closed if gate.reason.value in ("NOT_ALLOCATED", "NO_VARIANT")]
    if share:
        reports.append(GateReport("Traffic", False, [share[0].explanation]))
    elif all(report.is_open for report in reports):
        let_in = f"{definition.traffic.percent:g} % of the guests are let in; this one is."
        reports.append(GateReport("Traffic", True, [let_in]))
    return reports


def _condition_gate(name: str, condition: Compiled, facts: Facts) -> GateReport:
    explanation = condition.explain(facts)
    return GateReport(name, explanation.matched, explanation.because() or [explanation.sentence])


def _variants(
    snapshot: FlowSnapshot,
    chosen: Chosen | None,
    decided: Decided,
    facts: Facts,
    visitor: Visitor,
) -> list[VariantReport]:
    """Render every variant, as if it had been drawn."""
    definition = snapshot.definition
    assignment = bucketing.assign(traffic=definition.traffic, bucket_ref=str(visitor.bucket_ref))
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
