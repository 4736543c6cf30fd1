"""Visit sessions as other apps read them, and the closing of idle ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from tracking import conf, db, followers
from tracking.models import InboxEntry, PointOfSale, Session

_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class OpenSession:
    """The visit that a browser is on, as a decision reads it."""

    id: int
    ref: UUID
    started_at: datetime
    ended_at: datetime
    events_count: int
    views_count: int
    entry_page: str
    last_page: str
    referrer: str
    user_agent: str
    utm: dict[str, str]
    place: dict[str, str]
    is_first: bool


_COLUMNS = (
    "id, ref, started_at, ended_at, events_count, views_count, entry_page, last_page, "
    "referrer, user_agent, utm, place"
)


def find_open(
    *, browser: int, channel: str, point_of_sale: int, now: datetime, timeout: timedelta
) -> OpenSession | None:
    """Return the visit this browser is on here, or None when it has none or paused too long."""
    earlier = "SELECT 1 FROM tracking_session e WHERE e.browser_id = s.browser_id AND e.id <> s.id"
    with db.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS}, NOT EXISTS ({earlier}) FROM tracking_session s "
            "WHERE browser_id = %s AND channel = %s AND point_of_sale_id = %s AND status = 'OPEN'",
            [browser, channel, point_of_sale],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    found = _session(row)
    return found if now <= found.ended_at + timeout else None


def _session(row: Sequence[Any]) -> OpenSession:
    pk, ref, started_at, ended_at, events, views, entry, last, referrer, agent, utm, *rest = row
    place, first = rest
    return OpenSession(
        id=pk,
        ref=db.loaded_uuid(ref),
        started_at=db.loaded_time(started_at),
        ended_at=db.loaded_time(ended_at),
        events_count=events,
        views_count=views,
        entry_page=entry,
        last_page=last,
        referrer=referrer,
        user_agent=agent,
        utm=db.loaded_json(utm),
        place=db.loaded_json(place),
        is_first=bool(first),
    )


def close_idle(*, now: datetime) -> int:
    """
    Close the sessions that paused longer than their storefront allows. Returns how many.

    An event that waits in the inbox may still belong to a session, so none is
    closed that was open when the oldest waiting entry was received.
    """
    waiting = InboxEntry.objects.order_by("ref").values_list("received_at", flat=True).first()
    horizon = min(now, waiting) if waiting else now
    default = conf.settings().SESSION_TIMEOUT_MINUTES
    closed = 0
    for pk, minutes in PointOfSale.objects.values_list("pk", "session_timeout_minutes"):
        idle = Session.objects.open().filter(
            point_of_sale=pk, ended_at__lt=horizon - timedelta(minutes=minutes or default)
        )
        closed += _close(idle, now=now)
    return closed


def _close(idle: QuerySet[Session], *, now: datetime) -> int:
    """Close these sessions, some at a time, and tell who follows whose they were."""
    closed = 0
    while found := dict(idle.order_by("pk").values_list("pk", "guest")[:_AT_ONCE]):
        with db.write():
            still = Session.objects.open().filter(pk__in=found)
            closed += still.update(status=Session.Status.CLOSED)
            followers.note_guests(found.values(), followers.Changed.VISITS, now=now, soon=True)
    return closed
