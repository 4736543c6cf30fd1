"""
A guest as staff and servers name one, on the visit that is open.

Called by whoever tries or explains: previews, trials of decisions, and `explaining`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from uuid import UUID

from personalize import keeping
from personalize.context import Visitor
from personalize.snapshots import Catalog
from tracking import guests
from tracking.guests import GuestFacts
from tracking.models import Guest, Session
from tracking.types import ClientConfig, PointOfSaleConfig


@dataclass(frozen=True, slots=True)
class Named:
    """A guest, and the browser that it was named by (None: by something else)."""

    guest: GuestFacts
    browser_id: str | None = None


def find_guest(client: ClientConfig, text: str) -> Named | None:
    """Find a guest by a browser's id, by its ref, by e-mail, or by `PROVIDER:value`."""
    text = text.strip()
    try:
        ref = str(UUID(text))
    except ValueError:
        provider, separator, value = text.partition(":")
        if separator:
            found = guests.by_identifier(client, provider.strip(), value.strip())
        else:
            found = guests.by_email(client, text)
        return Named(found) if found else None
    on_browser = guests.by_browser(client, ref)
    return by_ref(client, UUID(ref)) if on_browser is None else Named(on_browser, ref)


def by_ref(client: ClientConfig, ref: UUID) -> Named | None:
    """Find a guest by its ref, through merges."""
    found = guests.by_ref(client, ref)
    return Named(found) if found else None


@dataclass(frozen=True, slots=True)
class Visit:
    """The visit that a guest is on, or begins: session and browser are None then."""

    session: Session | None
    browser_id: str | None
    point_of_sale: PointOfSaleConfig


def visit_of(
    guest: GuestFacts | None, client: ClientConfig, channel: str, *, browser_id: str | None = None
) -> Visit:
    """Return the visit the guest is on, of this browser where it is named: so it can be judged."""
    default = client.default_point_of_sale
    if guest is None:
        return Visit(None, None, default)
    members = Guest.objects.speaking_through(guest.id)
    sessions = Session.objects.open().filter(
        guest__in=members, channel=channel, browser__isnull=False
    )
    if browser_id is not None:
        sessions = sessions.filter(browser__value=browser_id)
    session = sessions.select_related("browser").order_by("-started_at").first()
    if session is None or session.browser is None:
        return Visit(None, browser_id, default)
    points = {point.id: point for point in client.points_of_sale.values()}
    return Visit(session, session.browser.value, points.get(session.point_of_sale_id, default))


def visitor_of(guest: GuestFacts | None, visit: Visit, catalog: Catalog) -> Visitor:
    """Return the guest as a call from this visit would find it; None is somebody new."""
    if guest is None:
        ref = uuid.uuid4()
        return Visitor(ref, ref, None, None, catalog)
    if visit.session is not None:
        guest = replace(guest, browser=visit.session.browser_id)
    return Visitor(
        guest.ref, guest.bucket_ref, guest, visit.browser_id, catalog, keeping.of_guest(guest.id)
    )
