"""
What is known of guests, in the form that conditions and templates read it.

Of one guest the flow walk asks, in `context`; of many at once, who are not here now, segments do.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from personalize import sources
from personalize.conditions import Facts, Needs
from personalize.models import GuestGoal, SegmentMembership
from tracking import db, events, guests, purchases
from tracking.guests import GuestFacts
from tracking.purchases import CartContents, Purchases
from tracking.types import ClientConfig

#: The field that makes reading orders cost more: the items have to be looked up.
CATEGORIES: Final = "orders.categories"

#: A guest of whom nothing is known.
STRANGER: Mapping[str, Any] = {
    "type": "visitor",
    "attributes": {},
    "identifiers": [],
    "segments": [],
}


def of(guest: GuestFacts, segments: Collection[str] | None = None) -> dict[str, Any]:
    """
    Return a guest as conditions and templates read it. What is not known is absent.

    `segments`: those the guest is in, by friendly id; None: nobody asked.
    """
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
    if segments is not None:
        found["segments"] = list(segments)
    return {name: value for name, value in found.items() if value != ""}


def segments_of(guest_ids: Collection[int]) -> dict[int, list[str]]:
    """Return the friendly ids of the segments that guests are in now, in one query."""
    found: dict[int, list[str]] = {pk: [] for pk in guest_ids}
    rows = SegmentMembership.objects.current().filter(db.Among("guest", guest_ids))
    kept = rows.filter(segment__deleted_at__isnull=True)
    for guest_id, name in kept.values_list("guest", "segment__friendly_id"):
        found[guest_id].append(name)
    return found


def goals_of(
    guest_ids: Collection[int], flows: Collection[str]
) -> dict[int, dict[str, dict[str, Any]]]:
    """
    Return the goals that guests reached, of flows by friendly id, in one query.

    Guest -> flow -> name of the goal, as it is published now -> when first, or true where nothing
    tells when. Flows that were deleted count as well.
    """
    rows = GuestGoal.objects.filter(db.Among("guest", guest_ids), flow__friendly_id__in=flows)
    # A guest and a flow of one client are all there ever is in a row.
    told = rows.exclude(y=0).values_list(
        "guest", "flow__friendly_id", "measure", "reached_at", "flow__published__definition__goals"
    )
    found: dict[int, dict[str, dict[str, Any]]] = {}
    for guest_id, flow, measure, at, goals in told:
        for goal in goals or ():
            if goal["ref"] == str(measure):
                of_flow = found.setdefault(guest_id, {}).setdefault(flow, {})
                of_flow[goal["name"]] = _earlier(of_flow.get(goal["name"]), at or True)
    return found


def _earlier(known: Any, other: Any) -> Any:
    """Two goals may have one name: the one that was reached first tells when."""
    times = [each for each in (known, other) if isinstance(each, datetime)]
    return min(times, default=other)


def orders(bought: Purchases) -> dict[str, Any]:
    """Return what a guest bought."""
    return {
        "count": bought.count,
        "revenue": float(bought.revenue),
        "averageValue": None if bought.average is None else float(bought.average),
        "lastAt": bought.last_at,
        "products": list(bought.products),
        "categories": list(bought.categories),
    }


def cart(contents: CartContents) -> dict[str, Any]:
    """Return what is in a cart."""
    return {
        "value": float(contents.value),
        "items": contents.pieces,
        "products": list(contents.products),
    }


def of_many(
    guest_ids: Collection[int],
    needs: Needs,
    fields: frozenset[str],
    *,
    client: ClientConfig,
    now: datetime,
    segments: Mapping[int, Collection[str]] | None = None,
) -> dict[int, Facts]:
    """
    Load the facts of guests who are not on a call now: no request, no visit.

    Takes a fixed number of queries, whatever the number of guests, and only
    those for what `needs` names. Who is merged away or gone is left out.
    `segments`: those that guests are in, if the caller has read them already.
    A source of the site's that failed is in `Facts.site_faults` of everybody.
    """
    known = {guest.id: guest for guest in guests.by_ids(guest_ids)}
    reads_deeds = bool(needs.history) or needs.orders or needs.cart
    members = guests.members_of(known) if known and reads_deeds else {}
    since = {
        type: None if days is None else now - timedelta(days=days)
        for type, days in needs.history.items()
    }
    history = events.of_guests(members, since)
    bought = {}
    if needs.orders and members:
        bought = purchases.of_guests(members, client, categories=CATEGORIES in fields)
    carts = purchases.carts_of(members, client) if needs.cart and members else {}
    if segments is None and needs.segments:
        segments = segments_of(known)
    reached = goals_of(known, needs.goals) if needs.goals else {}
    profiles = {
        pk: of(guest, None if segments is None else segments.get(pk, ()))
        for pk, guest in known.items()
    }
    asked = [sources.SiteGuest(pk, known[pk].ref, profile) for pk, profile in profiles.items()]
    site = sources.load(needs.site, asked, client)
    return {
        pk: Facts(
            now=now,
            time_zone=client.time_zone,
            request={},
            guest=profile,
            history=history.get(pk, ()),
            orders=orders(bought.get(pk, Purchases())) if needs.orders else None,
            cart=cart(carts.get(pk, CartContents())) if needs.cart else None,
            goals=reached.get(pk, {}),
            site=site.values.get(pk, {}),
            site_faults=site.faults,
        )
        for pk, profile in profiles.items()
    }
