"""
Step of the event walk: guest + browser -> session.

Sessions form in the order of receipt, per browser, channel and point of sale:
an event within the storefront's timeout of the open session joins it, a later
one closes it and opens the next. A late event joins the session that covers
its time, else gets a closed one of its own; sessions never merge or split.
The browser's lock, taken by the identity step, makes this safe between
workers; the one-open-session constraint is the safety net.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tracking import db
from tracking.models import Session
from tracking.types import GuestKey, Identified, Sessionized
from tracking.wire.common import DEFAULT_CHANNEL, VIEW_TYPE

_Slot = tuple[int, str, int]
# Requests of one moment are walked in any order: the first to be walked opens the visit.
_JOSTLE = timedelta(minutes=1)
_OPEN = Session.Status.OPEN.value
_CLOSED = Session.Status.CLOSED.value

# The columns that a walk may change on a session that is already a row.
_KEPT_UP = (
    "status",
    "is_forced_closed",
    "ended_at",
    "events_count",
    "views_count",
    "entry_page",
    "last_page",
    "referrer",
    "user_agent",
    "utm",
    "place",
    "language",
    "currency",
)
_COLUMNS = ("id", "ref", "client_id", "guest_id", "browser_id", "channel", "point_of_sale_id")


@dataclass(slots=True)
class _Visit:
    """A session while the batch is walked; `id` is None until it is a row."""

    ref: uuid.UUID
    client_id: int
    guest_id: int
    root_id: int
    browser_id: int | None
    channel: str
    point_of_sale_id: int
    started_at: datetime
    ended_at: datetime
    status: str = _OPEN
    is_forced_closed: bool = False
    events_count: int = 0
    views_count: int = 0
    entry_page: str = ""
    last_page: str = ""
    referrer: str = ""
    user_agent: str = ""
    utm: dict[str, Any] = field(default_factory=dict)
    place: dict[str, Any] = field(default_factory=dict)
    language: str = ""
    currency: str = ""
    id: int | None = None
    is_changed: bool = False

    def covers(self, item: Identified) -> bool:
        at = item.message.occurred_at
        pause = timedelta() if self.is_forced_closed else item.message.point_of_sale.timeout
        same_person = item.guest is not None and self.root_id == item.guest.root_id
        return same_person and self.started_at - _JOSTLE <= at <= self.ended_at + pause

    def join(self, item: Identified) -> None:
        """Take the event into the visit; what it says first about the visit stays."""
        message = item.message
        self.is_changed = True
        self.ended_at = max(self.ended_at, message.occurred_at)
        self.events_count += 1
        if message.type == VIEW_TYPE:
            self.views_count += 1
        if message.page and message.type == VIEW_TYPE:
            self.entry_page = self.entry_page or message.page
            self.last_page = message.page
        self.referrer = self.referrer or message.referrer
        self.user_agent = self.user_agent or message.user_agent
        self.utm = self.utm or dict(message.utm)
        self.place = self.place or dict(message.place)
        self.language = self.language or message.language
        self.currency = self.currency or message.currency
        if message.closes_session:
            self.close()
            self.is_forced_closed = True

    def close(self) -> None:
        self.status = _CLOSED
        self.is_changed = True


def sessionize(items: Sequence[Identified], *, now: datetime) -> list[Sessionized]:
    """Put every event that has a browser into its session, in a fixed number of queries."""
    browsers = sorted({item.browser_id for item in items if item.browser_id is not None})
    visits = _Visits(_read(browsers, items))
    placed = [(item, visits.place(item)) for item in items]
    _store(visits.all(), now=now)
    return [
        Sessionized(item, visit.id if visit else None, visit.channel if visit else _channel(item))
        for item, visit in placed
    ]


class _Visits:
    """The sessions of a batch's browsers: those open, those closed, and those that begin."""

    def __init__(self, known: Sequence[_Visit]) -> None:
        self.open = {_slot(visit): visit for visit in known if visit.status == _OPEN}
        self.latest_channel = {visit.browser_id: visit.channel for visit in self.open.values()}
        self.closed = [visit for visit in known if visit.status == _CLOSED]
        self.begun: list[_Visit] = []
        #: Visits that are a request's own, by its entry.
        self.own: dict[uuid.UUID, _Visit] = {}

    def all(self) -> list[_Visit]:
        known = {id(visit): visit for visit in (*self.open.values(), *self.closed, *self.begun)}
        return list(known.values())

    def place(self, item: Identified) -> _Visit | None:
        if item.guest is None:
            return None
        if item.message.own_session:
            return self._own(item, item.guest)
        if item.browser_id is None:
            return None
        channel = item.message.channel or self.latest_channel.get(item.browser_id, "")
        channel = channel or DEFAULT_CHANNEL
        visit = self._find(item, (item.browser_id, channel, item.message.point_of_sale.id))
        if visit is None:
            visit = self._begin(item, item.guest, channel)
        visit.join(item)
        self.latest_channel[item.browser_id] = visit.channel
        if visit.status == _CLOSED and self.open.get(_slot(visit)) is visit:
            del self.open[_slot(visit)]
            self.closed.append(visit)
        return visit

    def _own(self, item: Identified, guest: GuestKey) -> _Visit:
        """Return the visit that one request is, with all of its messages."""
        origin = item.message.entry.origin
        visit = self.own.get(origin)
        if visit is None:
            visit = self.own[origin] = self._begin(item, guest, _channel(item), closed=True)
        else:
            visit.join(item)
        return visit

    def _find(self, item: Identified, slot: _Slot) -> _Visit | None:
        current = self.open.get(slot)
        if current is not None and current.covers(item):
            return current
        covering = [visit for visit in self.closed if _slot(visit) == slot and visit.covers(item)]
        return max(covering, key=lambda visit: visit.started_at, default=None)

    def _begin(
        self, item: Identified, guest: GuestKey, channel: str, *, closed: bool = False
    ) -> _Visit:
        at = item.message.occurred_at
        visit = _Visit(
            ref=uuid.uuid4(),
            client_id=item.message.client_id,
            guest_id=guest.id,
            root_id=guest.root_id,
            browser_id=None if closed else item.browser_id,
            channel=channel,
            point_of_sale_id=item.message.point_of_sale.id,
            started_at=at,
            ended_at=at,
        )
        self.begun.append(visit)
        if closed:
            visit.join(item)
            visit.close()
            return visit
        current = self.open.get(_slot(visit))
        if current is not None and at < current.started_at:
            # Late, and nothing covers it: a closed visit of its own, behind the open one.
            visit.close()
            self.closed.append(visit)
            return visit
        if current is not None:
            current.close()
            self.closed.append(current)
        self.open[_slot(visit)] = visit
        return visit


def _slot(visit: _Visit) -> _Slot:
    return (visit.browser_id or 0, visit.channel, visit.point_of_sale_id)


def _channel(item: Identified) -> str:
    return item.message.channel or DEFAULT_CHANNEL


def _read(browsers: Sequence[int], items: Sequence[Identified]) -> list[_Visit]:
    """Read the open sessions, and the closed ones near the batch's times: a late event's own."""
    if not browsers:
        return []
    times = [item.message.occurred_at for item in items]
    pause = max(item.message.point_of_sale.timeout for item in items)
    among, values = db.in_list("s.browser_id", browsers)
    columns = ", ".join(f"s.{name}" for name in (*_COLUMNS, "started_at", *_KEPT_UP))
    with db.cursor() as cursor:
        cursor.execute(
            f"SELECT COALESCE(g.root_id, g.id), {columns} FROM tracking_session s "
            f"JOIN tracking_guest g ON g.id = s.guest_id WHERE {among} "
            "AND (s.status = %s OR (s.ended_at >= %s AND s.started_at <= %s))",
            [*values, _OPEN, db.stored(min(times) - pause), db.stored(max(times))],
        )
        return [_visit(row) for row in cursor.fetchall()]


def _visit(row: Sequence[Any]) -> _Visit:
    root_id, *values = row
    given: Mapping[str, Any] = dict(zip((*_COLUMNS, "started_at", *_KEPT_UP), values, strict=True))
    return _Visit(
        **{
            **given,
            "root_id": root_id,
            "ref": db.loaded_uuid(given["ref"]),
            "started_at": db.loaded_time(given["started_at"]),
            "ended_at": db.loaded_time(given["ended_at"]),
            "is_forced_closed": bool(given["is_forced_closed"]),
            "utm": db.loaded_json(given["utm"]),
            "place": db.loaded_json(given["place"]),
        }
    )


def _store(visits: Sequence[_Visit], *, now: datetime) -> None:
    """Write changed sessions before new ones: the one that closes makes room for the next."""
    changed = [visit for visit in visits if visit.id is not None and visit.is_changed]
    db.update_rows(
        Session,
        [
            {"id": visit.id, **{name: getattr(visit, name) for name in _KEPT_UP}}
            for visit in sorted(changed, key=lambda visit: visit.id or 0)
        ],
        key="id",
        sets=", ".join(f'"{name}" = new."{name}"' for name in _KEPT_UP),
    )
    begun = [visit for visit in visits if visit.id is None]
    made = db.insert_rows(
        Session,
        [
            {
                **{name: getattr(visit, name) for name in _COLUMNS[1:]},
                **{name: getattr(visit, name) for name in _KEPT_UP},
                "started_at": visit.started_at,
                "created_at": now,
            }
            for visit in begun
        ],
        returning=("ref", "id"),
    )
    ids = {db.loaded_uuid(ref): pk for ref, pk in made}
    for visit in begun:
        visit.id = ids[visit.ref]
