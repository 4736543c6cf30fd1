"""
What people did and bought, read for goals: in visits, or in a time. The other steps call it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from personalize.attribution.exposures import visit_of, within
from personalize.attribution.touched import MeasuredFlow, Members
from personalize.goals.types import MICROS, Happening, Purchase
from personalize.models import Exposure
from tracking import db, money, purchases
from tracking.models import Event, Order


def in_visits(rows: Sequence[Exposure], types: Collection[str]) -> dict[int, list[Happening]]:
    """Read what was done in the visits of these exposures, by visit, in one query."""
    if not rows or not types:
        return {}
    since = min(row.exposed_at for row in rows)
    found: dict[int, list[Happening]] = {}
    among = within(row.visit for row in rows)
    events = Event.objects.filter(among, type__in=types, occurred_at__gte=since)
    for guest_id, session_id, type, at, data in events.values_list(
        "guest", "session", "type", "occurred_at", "data"
    ):
        visit = visit_of(session_id, guest_id or 0)
        found.setdefault(visit, []).append(Happening(type, at, data))
    return found


#: From when until when.
Span = tuple[datetime, datetime]


def in_spans(
    spans: Iterable[tuple[int, Span]], types: Collection[str], members: Members
) -> dict[int, list[Happening]]:
    """Read what people did, each in their own spans, by person, in one query."""
    apart = _apart(spans)
    rows = [
        {"guest_id": guest_id, "starts_at": start, "ends_at": end}
        for guest_id, person in members.items()
        for start, end in apart.get(person, ())
    ]
    if not rows or not types:
        return {}
    found: dict[int, list[Happening]] = {}
    for event in Event.objects.raw(*_within_rows(rows, types)).using(db.alias()):
        person = members[event.guest_id or 0]
        found.setdefault(person, []).append(Happening(event.type, event.occurred_at, event.data))
    return found


def _apart(spans: Iterable[tuple[int, Span]]) -> dict[int, list[Span]]:
    """Join the spans of each person that overlap, so that nothing is in two of them."""
    found: dict[int, list[Span]] = {}
    for person, (start, end) in sorted(spans):
        known = found.setdefault(person, [])
        if known and start <= known[-1][1]:
            known[-1] = known[-1][0], max(known[-1][1], end)
        else:
            known.append((start, end))
    return found


def _within_rows(rows: Sequence[db.Row], types: Collection[str]) -> tuple[str, list[str]]:
    """Return the SQL of the events of these types within these spans of guests."""
    columns = {"guest_id": "guest", "starts_at": "occurred_at", "ends_at": "occurred_at"}
    spans, given = db.table_of(Event, columns, rows)
    is_among, listed = db.in_list("event.type", sorted(types))
    # CROSS JOIN: SQLite is to go from the spans to the events, by their index.
    return (
        "SELECT event.ref, event.guest_id, event.type, event.occurred_at, event.data"
        f" FROM {spans} AS span CROSS JOIN {Event._meta.db_table} AS event"
        " WHERE event.guest_id = span.guest_id AND event.occurred_at >= span.starts_at"
        f" AND event.occurred_at < span.ends_at AND {is_among}"
    ), [given, *listed]


@dataclass(frozen=True, slots=True)
class Bought:
    """An order that was not cancelled: what was paid for it, less what was given back."""

    at: datetime
    person: int
    visit: int
    #: In minor units of the currency; None: nobody told.
    paid: int | None
    currency: str


def bought_by(members: Members) -> list[Bought]:
    """Read what people have bought, in one query."""
    kept = Order.objects.filter(db.Among("guest", members)).exclude(
        status=purchases.UNCOUNTED_STATUS
    )
    return [
        Bought(
            at=order.ordered_at,
            person=members[order.guest_id],
            visit=visit_of(order.session_id, order.guest_id),
            paid=None if order.total is None else order.total - order.refunded,
            currency=order.currency,
        )
        for order in kept
    ]


def as_purchases(bought: Iterable[Bought], flow: MeasuredFlow) -> list[Purchase]:
    """Return orders as goals read them: only amounts in the client's currency, nothing converts."""
    return [
        Purchase(order.at, None)
        if order.paid is None or order.currency != flow.currency
        else Purchase(order.at, int(money.major(order.paid, order.currency) * MICROS))
        for order in bought
    ]
