"""
Step of the flow walk: who is asking, and the facts that the candidates name.

At most three reads: the guest (with the catalog's version), the session, and
the session's events; the last two only when a candidate asks for them.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from personalize import snapshots
from personalize.conditions import Facts
from personalize.devices import device
from personalize.snapshots import Catalog, FlowSnapshot
from personalize.types import FlowRequest
from tracking import events, guests, places, sessions
from tracking.guests import GuestFacts
from tracking.types import BROWSER, ClientConfig, IdentifierKey, PointOfSaleConfig, birth_ref


@dataclass(frozen=True, slots=True)
class Visitor:
    """
    Whom the flow runs for.

    A stranger (`guest` is None) has only a ref, under which the event walk
    will make the guest. `browser_id` is None when the run has no browser.
    """

    ref: UUID
    bucket_ref: UUID
    guest: GuestFacts | None
    browser_id: str | None
    catalog: Catalog

    @property
    def is_stranger(self) -> bool:
        return self.guest is None


def who(request: FlowRequest, client: ClientConfig) -> Visitor:
    """Find the guest that the call names, and the flows as they stand in the same moment."""
    guest = _find(request, client)
    if guest is not None:
        (version,) = guest.riders
        catalog = snapshots.catalog(client, version=version or 0)
        return Visitor(guest.ref, guest.bucket_ref, guest, request.browser_id, catalog)
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
    riders = snapshots.VERSION_RIDER
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
    point_of_sale: PointOfSaleConfig,
    now: datetime,
) -> Facts:
    """Load what the candidates' conditions name, and nothing else."""
    definitions = [flow.definition for flow in candidates]
    event_types = frozenset(t for definition in definitions for t in definition.events)
    needs_session = any(definition.needs_session for definition in definitions)
    needs_page = not request.page and any(definition.needs_page for definition in definitions)
    session = None
    needs_place = any(definition.needs_place for definition in definitions)
    if needs_session or needs_page or needs_place or event_types:
        session = _session(request, visitor, point_of_sale, now=now)
    seen: list[tuple[str, Mapping[str, Any]]] = []
    if session is not None and event_types:
        seen = events.of_session(session.id, event_types)
    return Facts(
        now=now,
        request=_request_facts(request, session, point_of_sale),
        guest=guest_facts(visitor.guest) if visitor.guest else _STRANGER,
        session=_session_facts(session, now) if session else _NO_SESSION,
        events=seen,
    )


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


def guest_facts(guest: GuestFacts) -> dict[str, Any]:
    """Return a guest as conditions and templates read it. What is not known is absent."""
    texts = guest.texts
    found = {
        "ref": str(guest.ref),
        "type": guest.type.lower(),
        "email": texts["email"],
        "firstName": texts["first_name"],
        "lastName": texts["last_name"],
        "title": texts["title"],
        "gender": texts["gender"],
        "country": texts["country"],
        "city": texts["city"],
        "language": texts["language"],
        "phone": texts["phone"],
        "firstSeen": guest.first_seen,
        "lastSeen": guest.last_seen,
        "attributes": guest.attributes,
        "identifiers": guest.providers,
    }
    return {name: value for name, value in found.items() if value != ""}


_STRANGER: Mapping[str, Any] = {"type": "visitor", "attributes": {}, "identifiers": []}
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
