"""
Which properties events have: counted in memory once they are committed, written now and then.

The walk calls `note` with what it has recorded; `write` is called at the end
of a drain and before the admin shows the counts. Numbers for people: what a
process had not written when it was killed is lost, and nothing here ever
fails a walk.
"""

import atexit
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias

from django.core.signals import setting_changed
from django.db import DatabaseError, InterfaceError
from django.db.models import Count

from tracking import conf, db
from tracking.event_models import observing
from tracking.event_models.observing import Property
from tracking.models import Client, SeenEvent, SeenProperty
from tracking.types import SERVER_TYPES, Message, Recorded

logger = logging.getLogger("tracking")

#: Of a client; who sends more types than that makes them up.
MOST_TYPES: Final = 500
#: Of a type: pairs of a path and a JSON type.
MOST_PROPERTIES: Final = 400
SAMPLES: Final = 20
# Of all clients, between two writes: types, and events. What is held is lost with its process.
_MOST_TALLIES: Final = 2_000
_MOST_HELD: Final = 500

_Key: TypeAlias = tuple[int, str]


@dataclass(slots=True)
class _Tally:
    """What was seen of one client's type since the last write."""

    first_seen: datetime
    last_seen: datetime
    count: int = 0
    properties: Counter[Property] = field(default_factory=Counter)
    samples: deque[str] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    def add(self, message: Message) -> None:
        self.count += 1
        self.first_seen = min(self.first_seen, message.received_at)
        self.last_seen = max(self.last_seen, message.received_at)
        self.samples.append(str(message.ref))
        found = observing.observe(message.data)
        if len(self.properties) + len(found) > MOST_PROPERTIES:
            room = MOST_PROPERTIES - len(self.properties)
            new = sorted(found - self.properties.keys())
            found = (found & self.properties.keys()).union(new[:room])
        self.properties.update(found)


_tallies: dict[_Key, _Tally] = {}
_lock = threading.Lock()
_written_at = float("-inf")


def note(messages: Sequence[Message], recorded: Recorded) -> None:
    """Count those of the messages that are events now, once the transaction has committed."""
    refs = {told.ref for told in recorded.events if told.type not in SERVER_TYPES}
    landed = [message for message in messages if message.ref in refs]
    if landed:
        db.on_commit(lambda: _count(landed))


def _count(messages: Iterable[Message]) -> None:
    with _lock:
        for message in messages:
            key = (message.client_id, message.type)
            tally = _tallies.get(key)
            if tally is None:
                if len(_tallies) >= _MOST_TALLIES or observing.looks_personal(message.type):
                    continue
                tally = _tallies[key] = _Tally(message.received_at, message.received_at)
            tally.add(message)
        held = sum(tally.count for tally in _tallies.values())
    if held >= _MOST_HELD or time.monotonic() - _written_at >= conf.settings().SEEN_COUNT_SECONDS:
        write()


def write() -> None:
    """Write what was counted since the last time. A database that does not answer costs nothing."""
    global _written_at
    _written_at = time.monotonic()
    with _lock:
        taken = dict(_tallies)
        _tallies.clear()
    if not taken:
        return
    try:
        db.retried(lambda: _write(taken))
    except (DatabaseError, InterfaceError):
        logger.warning("seen.not_written", exc_info=True)


def _forget_on_change(**kwargs: object) -> None:
    with _lock:
        _tallies.clear()


atexit.register(write)
setting_changed.connect(_forget_on_change)


def _write(taken: Mapping[_Key, _Tally]) -> None:
    taken = _within_limits(taken)
    samples = _samples(taken)
    # Sorted, so that two processes lock the rows in one order.
    rows = [
        {
            "client_id": client_id,
            "event_type": event_type,
            "count": tally.count,
            "samples": [*samples.get((client_id, event_type), []), *tally.samples][-SAMPLES:],
            "first_seen": tally.first_seen,
            "last_seen": tally.last_seen,
        }
        for (client_id, event_type), tally in sorted(taken.items(), key=lambda item: item[0])
    ]
    written = db.insert_rows(
        SeenEvent,
        rows,
        on_conflict=(
            f'("client_id", "event_type") DO UPDATE SET {_added(SeenEvent)}, '
            '"samples" = excluded."samples"'
        ),
        returning=("id", "client_id", "event_type"),
    )
    tallies = {pk: taken[client_id, event_type] for pk, client_id, event_type in written}
    db.insert_rows(
        SeenProperty,
        _properties(tallies),
        on_conflict=f'("event_id", "path", "kind") DO UPDATE SET {_added(SeenProperty)}',
    )


def _within_limits(taken: Mapping[_Key, _Tally]) -> dict[_Key, _Tally]:
    """Leave out clients that are gone, and new types of those that have too many."""
    clients = {client_id for client_id, _ in taken}
    known = dict(
        Client.objects.filter(pk__in=clients)
        .annotate(types=Count("seen_events"))
        .values_list("pk", "types")
    )
    full = [client_id for client_id, types in known.items() if types >= MOST_TYPES]
    listed: set[_Key] = set()
    if full:
        rows = SeenEvent.objects.filter(client__in=full)
        listed = set(rows.values_list("client_id", "event_type"))
    return {
        key: tally
        for key, tally in taken.items()
        if key[0] in known and (key[0] not in full or key in listed)
    }


def _samples(taken: Mapping[_Key, _Tally]) -> dict[_Key, list[str]]:
    rows = SeenEvent.objects.filter(
        client__in={client_id for client_id, _ in taken},
        event_type__in={event_type for _, event_type in taken},
    )
    return {(row.client_id, row.event_type): row.samples for row in rows}


def _properties(tallies: Mapping[int, _Tally]) -> list[dict[str, Any]]:
    counts = dict(
        SeenEvent.objects.filter(pk__in=tallies)
        .annotate(kept=Count("properties"))
        .values_list("pk", "kept")
    )
    full = [pk for pk, kept in counts.items() if kept >= MOST_PROPERTIES]
    listed: set[tuple[int, str, str]] = set()
    if full:
        kept_rows = SeenProperty.objects.filter(event__in=full)
        listed = set(kept_rows.values_list("event_id", "path", "kind"))
    return [
        {
            "event_id": pk,
            "path": path,
            "kind": kind,
            "count": count,
            "first_seen": tally.first_seen,
            "last_seen": tally.last_seen,
        }
        for pk, tally in sorted(tallies.items(), key=lambda item: item[0])
        for (path, kind), count in sorted(tally.properties.items())
        if pk not in full or (pk, path, kind) in listed
    ]


def _added(model: type[SeenEvent] | type[SeenProperty]) -> str:
    table = model._meta.db_table
    first = db.least(f'"{table}"."first_seen"', 'excluded."first_seen"')
    last = db.greatest(f'"{table}"."last_seen"', 'excluded."last_seen"')
    return (
        f'"count" = "{table}"."count" + excluded."count", '
        f'"first_seen" = {first}, "last_seen" = {last}'
    )
