"""
Step of the flow walk: who is asking, and the facts that the candidates name.

At most three reads: the guest (with the catalog's version), the session, and
what the guest did; the last two only when a candidate asks for them. Orders,
the cart, segments and the site's own sources are read beside them where a
condition is about these.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from personalize import conditions, conf, guest_facts, keeping, snapshots, sources
from personalize.bucketing import Kept
from personalize.conditions import Facts
from personalize.devices import device
from personalize.snapshots import Catalog, FlowSnapshot
from personalize.types import FlowRequest
from tracking import events, guests, places, purchases, sessions
from tracking.guests import GuestFacts
from tracking.types import BROWSER, ClientConfig, IdentifierKey, PointOfSaleConfig, birth_ref


@dataclass(frozen=True, slots=True)
class Visitor:
    """
    Whom the flow runs for.

    A stranger (`guest` is None) has only a ref, under which the event walk
    will make the guest. `browser_id` is None when the run has no browser. `kept` are the variants
    that the guest has seen.
    """

    ref: UUID
    bucket_ref: UUID
    guest: GuestFacts | None
    browser_id: str | None
    catalog: Catalog
    kept: Kept = field(default_factory=dict)

    @property
    def is_stranger(self) -> bool:
        return self.guest is None


def who(request: FlowRequest, client: ClientConfig) -> Visitor:
    """Find the guest that the call names, and the flows as they stand in the same moment."""
    guest = _find(request, client)
    if guest is not None:
        version, seen = guest.riders
        catalog = snapshots.catalog(client, version=version or 0)
        kept = keeping.read(seen)
        return Visitor(guest.ref, guest.bucket_ref, guest, request.browser_id, catalog, kept)
    version = snapshots.current_version(client.id)
    catalog = snapshots.catalog(client, version=version)
    if request.births and request.browser_id:
        # The browser's guest will have the ref that its id gives it, whoever makes it first.
        ref = birth_ref(client_ref=client.ref, key=IdentifierKey(BROWSER, request.browser_id))
        return Visitor(ref, ref, None, request.browser_id, catalog)
    # What was looked up names nobody, and stays so: it was not this visitor who proved it.
    ref = uuid.uuid4()
    return Visitor(ref, ref, None, None, catalog)


def _find(request: FlowRequest, client: ClientConfig) -> GuestFacts | None:
    riders = f"{snapshots.VERSION_RIDER}, {keeping.rider()}"
    if request.identifier is not None:
        provider, value = request.identifier
        return guests.by_identifier(client, provider, value, riders=riders)
    if request.email is not None:
        return guests.by_email(client, request.email, riders=riders)
    if request.browser_id is not None:
        return guests.by_browser(client, request.browser_id, riders=riders)
    return None


def facts(
    request: FlowRequest,
    visitor: Visitor,
    candidates: Iterable[FlowSnapshot],
    *,
    client: ClientConfig,
    point_of_sale: PointOfSaleConfig,
    now: datetime,
) -> Facts:
    """Load what the candidates' conditions and decisions name, and nothing else."""
    definitions = [flow.definition for flow in candidates]
    decided = [visitor.catalog.needs_of(definition) for definition in definitions]
    trees = [tree for d in definitions for tree in (d.page_targeting, d.audience)]
    needs = conditions.joined([*(tree.needs for tree in trees), *(each.facts for each in decided)])
    fields = frozenset[str]().union(
        *(tree.fields for tree in trees), *(each.fields for each in decided)
    )
    needs_session = needs.session or needs.cart or any(d.needs_session for d in definitions)
    names_page = any(d.needs_page for d in definitions) or any(d.page for d in decided)
    needs_page = not request.page and names_page
    needs_place = any(d.needs_place for d in definitions) or any(d.place for d in decided)
    session = None
    if needs_session or needs_page or needs_place or needs.events:
        session = _session(request, visitor, point_of_sale, now=now)
    seen, history = _did(visitor, session, needs, now=now)
    guest_id = visitor.guest.id if visitor.guest else None
    profile = _guest(visitor.guest, needs) if visitor.guest else guest_facts.STRANGER
    site, site_faults = _site(visitor, profile, needs, client) if needs.site else ({}, {})
    return Facts(
        now=now,
        time_zone=client.time_zone,
        request=_request_facts(request, session, point_of_sale),
        guest=profile,
        session=_session_facts(session, now) if session else _NO_SESSION,
        events=seen,
        history=history,
        orders=_orders(guest_id, client, fields) if needs.orders else None,
        cart=_cart(guest_id, session, client) if needs.cart else None,
        goals=_goals(guest_id, needs),
        site=site,
        site_faults=site_faults,
    )


def _guest(guest: GuestFacts, needs: conditions.Needs) -> Mapping[str, Any]:
    segments = guest_facts.segments_of([guest.id])[guest.id] if needs.segments else None
    return guest_facts.of(guest, segments)


_Did = list[tuple[str, Mapping[str, Any]]]
_History = list[tuple[str, Mapping[str, Any], datetime]]


def _did(
    visitor: Visitor,
    session: sessions.OpenSession | None,
    needs: conditions.Needs,
    *,
    now: datetime,
) -> tuple[_Did, _History]:
    """Read what was done in this visit, and what was done in any: in one query."""
    if visitor.guest is None or not needs.history:
        if session is None or not needs.events:
            return [], []
        return events.of_session(session.id, needs.events), []
    since = {
        type: None if days is None else now - timedelta(days=days)
        for type, days in needs.history.items()
    }
    rows = events.of_guest(
        visitor.guest.id,
        since,
        session_id=session.id if session else None,
        session_types=needs.events,
    )
    seen = [
        (type, data)
        for type, data, _, visit in rows
        if session is not None and visit == session.id and type in needs.events
    ]
    return seen, [(type, data, at) for type, data, at, _ in rows if type in since]


def _orders(guest_id: int | None, client: ClientConfig, fields: frozenset[str]) -> dict[str, Any]:
    """Return what the guest bought. Who is not known has bought nothing here."""
    if guest_id is None:
        return guest_facts.orders(purchases.Purchases())
    categories = guest_facts.CATEGORIES in fields
    return guest_facts.orders(purchases.of_guest(guest_id, client, categories=categories))


def _cart(
    guest_id: int | None, session: sessions.OpenSession | None, client: ClientConfig
) -> dict[str, Any]:
    if guest_id is None:
        return guest_facts.cart(purchases.CartContents())
    return guest_facts.cart(purchases.cart_of(guest_id, session.id if session else None, client))


def _goals(guest_id: int | None, needs: conditions.Needs) -> Mapping[str, Mapping[str, Any]]:
    """Return the goals that the guest reached. Who is not known has reached none."""
    if guest_id is None or not needs.goals:
        return {}
    return guest_facts.goals_of([guest_id], needs.goals).get(guest_id, {})


def _site(
    visitor: Visitor, profile: Mapping[str, Any], needs: conditions.Needs, client: ClientConfig
) -> tuple[Mapping[str, object], Mapping[str, str]]:
    """Read the site's own sources. Who is not known has no rows there."""
    if visitor.guest is None:
        return sources.of_nobody(needs.site, client), {}
    asked = sources.SiteGuest(visitor.guest.id, visitor.guest.ref, profile)
    loaded = sources.load(
        needs.site, [asked], client, deadline_ms=conf.settings().SOURCE_DEADLINE_MS
    )
    return loaded.values.get(visitor.guest.id, {}), loaded.faults


def _session(
    request: FlowRequest, visitor: Visitor, pos: PointOfSaleConfig, *, now: datetime
) -> sessions.OpenSession | None:
    if visitor.guest is None or visitor.guest.browser is None or visitor.browser_id is None:
        return None
    return sessions.find_open(
        browser=visitor.guest.browser,
        channel=request.channel,
        point_of_sale=pos.id,
        now=now,
        timeout=pos.timeout,
    )


def _request_facts(
    request: FlowRequest, session: sessions.OpenSession | None, pos: PointOfSaleConfig
) -> dict[str, Any]:
    return {
        "page": request.page or (session.last_page if session else "") or request.referrer or None,
        "params": request.params,
        "channel": request.channel,
        "language": request.language or None,
        "currency": request.currency or None,
        "pointOfSale": pos.name,
        "referrer": request.referrer or None,
        "device": device(request.user_agent),
        "geo": _place(request, session),
    }


def _place(request: FlowRequest, session: sessions.OpenSession | None) -> dict[str, str]:
    """Return where the guest is: as the call says, else a proxy, else the visit so far."""
    stated = request.params.get("geo")
    return (
        places.cut(stated if isinstance(stated, Mapping) else {})
        or dict(request.place)
        or (session.place if session else {})
    )


#: The visit that this very call begins.
_NO_SESSION: Mapping[str, Any] = {
    "views": 0,
    "events": 0,
    "durationSeconds": 0,
    "isNew": True,
    "utm": {},
}


def _session_facts(session: sessions.OpenSession, now: datetime) -> dict[str, Any]:
    return {
        "entryPage": session.entry_page or None,
        "referrer": session.referrer or None,
        "utm": session.utm,
        "views": session.views_count,
        "events": session.events_count,
        "durationSeconds": max(0, int((now - session.started_at).total_seconds())),
        "isNew": session.is_first,
    }
