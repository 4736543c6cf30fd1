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


Span = tuple[datetime, datetime]


def in_spans(
    spans: Collection[Span], types: Collection[str], members: Members
) -> dict[int, list[Happening]]:
    """Read what people did from the first of these times to the last, by person, in one query."""
    if not spans or not types:
        return {}
    rows = Event.objects.filter(
        db.Among("guest", members),
        type__in=types,
        occurred_at__gte=min(start for start, _ in spans),
        occurred_at__lt=max(end for _, end in spans),
    )
    found: dict[int, list[Happening]] = {}
    for guest_id, type, at, data in rows.values_list("guest", "type", "occurred_at", "data"):
        found.setdefault(members[guest_id or 0], []).append(Happening(type, at, data))
    return found


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
