"""Events as they are read back: the documented JSON form, and what a visit has seen."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from tracking import db
from tracking.models import Event
from tracking.types import HOLDOUT_TYPE, TRACKING_TYPE, ClientConfig
from tracking.wire.common import IDENTITY_TYPE, VIEW_TYPE, id_text

#: Types of events that are calls of another kind than track.
_CALLS = {VIEW_TYPE: "page", IDENTITY_TYPE: "identify"}
_IDS = ("userId", "anonymousId", "groupId", "previousId")
#: What an event object has beside its own attributes, and a call elsewhere.
_NOT_OWN = frozenset({"type", "browser_id"})
#: So many events of a guest are read at most, the newest.
MOST_HISTORY = 10_000
#: What `as_document` reads beside the event's own columns.
RELATED = ("browser", "session", "point_of_sale")


def as_document(event: Event, client: ClientConfig) -> dict[str, Any]:
    """
    Return an event in the public JSON form.

    `arbitraryData` is the payload as it was sent. A TRACKING event has the
    run there twice, once under `_bx_arbitraryDataV3ga`, as clients expect it.
    A HOLDOUT event says which run there would have been.
    """
    pos = event.point_of_sale.name if event.point_of_sale else None
    document: dict[str, Any] = {
        "ref": event.ref,
        "clientKey": client.client_key,
        "createdAt": stamp(event.received_at),
        "modifiedAt": stamp(event.recorded_at),
        "type": event.type,
        "status": "PROCESSED",
        "channel": event.channel,
        "pointOfSale": pos,
        "browserRef": event.browser.value if event.browser else None,
        "sessionRef": event.session.ref if event.session else None,
    }
    if event.type == TRACKING_TYPE:
        document["flowExecutionRef"] = event.flow_execution_ref
        document["arbitraryData"] = _tracking_data(event, pos)
    elif event.type == HOLDOUT_TYPE:
        document["flowExecutionRef"] = event.flow_execution_ref
        document["arbitraryData"] = event.data
    else:
        document["arbitraryData"] = event.data
    if event.warnings:
        document["warnings"] = event.warnings
    return document


def as_call(event: Event) -> dict[str, Any]:
    """
    Return an event in the form of a track call, complete with the server's times.

    One that came as such a call has every key that it was sent with. Times:
    `originalTimestamp` and `sentAt` by the sender's clock, `receivedAt` by
    ours, and `timestamp`, when it happened by ours:
    receivedAt - (sentAt - originalTimestamp). Ids are texts, as they are kept.
    """
    sent = dict(event.original) if event.original is not None else _told_as_call(event)
    first = sent.get("originalTimestamp") or sent.get("timestamp")
    defaults: dict[str, Any] = {"integrations": None, "version": 0, "context": {}}
    return {
        **defaults,
        **sent,
        **{name: id_text(sent[name]) for name in _IDS if sent.get(name) is not None},
        "messageId": event.message_id,
        "originalTimestamp": first or stamp(event.occurred_at),
        "sentAt": sent.get("sentAt") or None,
        "receivedAt": stamp(event.received_at),
        "timestamp": stamp(event.occurred_at),
    }


def _told_as_call(event: Event) -> dict[str, Any]:
    """Word an event of another family as a call: a view as a page, all else but who as a track."""
    call: dict[str, Any] = {
        "type": _CALLS.get(event.type, "track"),
        "anonymousId": event.browser.value if event.browser else None,
    }
    own = {name: value for name, value in event.data.items() if name not in _NOT_OWN}
    if call["type"] == "identify":
        call["traits"] = own
    else:
        call["properties"] = own
    if call["type"] == "track":
        call["event"] = event.type
    return call


def _tracking_data(event: Event, pos: str | None) -> dict[str, Any]:
    execution = event.data.get("flowExecution", {})
    return {
        "flowExecution": execution,
        "_bx_arbitraryDataV3ga": {
            "core": {"pointOfSale": pos, "channel": event.channel},
            "bxt": {"flowExecution": execution, "category": "EXECUTED"},
        },
    }


def stamp(moment: datetime) -> str:
    """Write a time in UTC with milliseconds and a Z."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def of_session(
    session_id: int, types: Iterable[str], *, limit: int = 1000
) -> list[tuple[str, Mapping[str, Any]]]:
    """Return (type, payload) of a visit's events of these types, oldest first, `limit` at most."""
    rows = Event.objects.filter(session=session_id, type__in=list(types)).order_by("ref")
    return list(rows.values_list("type", "data")[:limit])


def of_guest(
    guest_id: int,
    since: Mapping[str, datetime | None],
    *,
    session_id: int | None = None,
    session_types: Iterable[str] = (),
    limit: int = MOST_HISTORY,
) -> list[tuple[str, Mapping[str, Any], datetime, int | None]]:
    """
    Return (type, payload, when, session) of what a guest did, the newest first, `limit` at most.

    `since` names the types, each with how far back (None: all there are); the
    types of a session are read along, so that both take one query.
    """
    wanted = _of_types(since)
    if session_id is not None:
        wanted |= Q(session=session_id, type__in=list(session_types))
    rows = Event.objects.of_guest(guest_id).filter(wanted).order_by("-occurred_at")
    return list(rows.values_list("type", "data", "occurred_at", "session")[:limit])


def of_guests(
    members: Mapping[int, int], since: Mapping[str, datetime | None], *, limit: int = MOST_HISTORY
) -> dict[int, list[tuple[str, Mapping[str, Any], datetime]]]:
    """
    Return (type, payload, when) of what many guests did: one query, `limit` of each guest at most.

    `members` says through whom each speaks: id -> survivor; the answer is by survivor.
    """
    found: dict[int, list[tuple[str, Mapping[str, Any], datetime]]] = {}
    if not members or not since:
        return found
    newest = Event.objects.filter(_of_types(since)).order_by("-occurred_at")
    columns = ("guest", "type", "data", "occurred_at")
    sql, params = db.first_of_each(newest, "guest", members, columns, limit=limit)
    with db.cursor() as statement:
        statement.execute(sql, params)
        for guest_id, type, data, at in statement:
            done = (type, db.loaded_json(data), db.loaded_time(at))
            found.setdefault(members[guest_id], []).append(done)
    for of_guest in found.values():
        of_guest.sort(key=_when, reverse=True)
        del of_guest[limit:]
    return found


def _when(done: tuple[str, Mapping[str, Any], datetime]) -> datetime:
    return done[2]


def _of_types(since: Mapping[str, datetime | None]) -> Q:
    wanted = Q(pk__in=())
    by_time: dict[datetime | None, list[str]] = {}
    for type, moment in since.items():
        by_time.setdefault(moment, []).append(type)
    for moment, types in by_time.items():
        of_types = Q(type__in=types)
        wanted |= of_types if moment is None else of_types & Q(occurred_at__gt=moment)
    return wanted


def in_batches(rows: QuerySet[Event], *, size: int = 1000) -> Iterator[list[Event]]:
    """Yield all the events of a query, so many at a time, in the order of their refs."""
    last: UUID | None = None
    ordered = rows.order_by("ref")
    while batch := list((ordered if last is None else ordered.filter(ref__gt=last))[:size]):
        yield batch
        last = batch[-1].ref
