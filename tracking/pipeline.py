"""
The event walk: accepted requests become guests, sessions and events. Read this first.

`walk` is the list of steps, top to bottom. Around it: `process_batch` claims
entries and walks them in ONE transaction, so that a crash undoes the claim
together with its effects; a batch that fails is walked again in halves until
the message at fault stands alone and is quarantined; and entries that a dead
worker left behind are walked message by message, so that a message that kills
its worker cannot do so for ever.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import InterfaceError, OperationalError

from tracking import (
    clients,
    conf,
    db,
    followers,
    identity,
    liveness,
    quarantine,
    recording,
    sessionization,
    wire,
)
from tracking.event_models import seen, sifting
from tracking.models import InboxEntry, WalkNote
from tracking.types import Entry, Locked, Message, Recorded, Refused

logger = logging.getLogger("tracking")

# A deadlock, a lost connection, a full disk: the batch is not at fault and is walked again.
_TRANSIENT = (OperationalError, InterfaceError)
_CLAIM_BYTES = 8 * 1024 * 1024
_LONGEST_WALK = timedelta(minutes=15)


def walk(messages: Sequence[Message], locked: Locked, *, now: datetime) -> Recorded:
    """Take a locked batch of messages through every step."""
    fresh = recording.drop_known(Locked(messages, locked.known, locked.statements))
    identified = identity.identify(fresh, now=now)
    sessionized = sessionization.sessionize(identified, now=now)
    recorded = recording.record(sessionized, now=now)
    followers.note(recorded, now=now)
    seen.note(fresh.messages, recorded)
    return recorded


@dataclass(frozen=True, slots=True)
class Walked:
    """What one batch came to: entries taken out of the inbox, events, messages set aside."""

    entries: int = 0
    events: int = 0
    quarantined: int = 0


def process_batch(*, now: datetime) -> Walked | None:
    """
    Walk the oldest entries nobody else is walking. Returns None when there are none.

    Raises OperationalError when the database is at fault; nothing is lost
    then, and the entries can be claimed again.
    """
    note = _note(now=now)
    if note is None:
        return None
    if note.position is not None:
        return _walk_alone(note, now=now)

    def walk_and_settle() -> Walked:
        walked = _walk_entries(_claim(note.entries), now=now)
        WalkNote.objects.filter(pk=note.pk).delete()
        return walked

    try:
        return db.retried(walk_and_settle)
    except BaseException:
        WalkNote.objects.filter(pk=note.pk).delete()
        raise


def process_entries(refs: Sequence[UUID], *, now: datetime) -> Walked:
    """Walk just these entries: those that a request has accepted, when it walks its own."""
    return db.retried(lambda: _walk_entries(_claim([str(ref) for ref in refs]), now=now))


# --- claiming --------------------------------------------------------------------------


def _note(*, now: datetime) -> WalkNote | None:
    """Choose what to walk next and commit a note of it, before anything can go wrong."""
    with db.write():
        notes = list(WalkNote.objects.all())
        left = _left_behind(notes, now=now)
        taken = {ref for note in notes if note not in left for ref in note.entries}
        free = [ref for ref in _oldest() if ref not in taken]
        suspects = {ref: note for note in left for ref in note.entries}
        suspect = next((ref for ref in free if ref in suspects), None)
        if suspect is not None:
            return _note_suspect(suspect, suspects[suspect], now=now)
        WalkNote.objects.filter(pk__in=[note.pk for note in left]).delete()
        if not free:
            return None
        return WalkNote.objects.create(worker=liveness.mark(), entries=free, noted_at=now)


def _left_behind(notes: Iterable[WalkNote], *, now: datetime) -> list[WalkNote]:
    """
    Name the notes of workers that are gone.

    Behind a connection pool a dead worker's connection lives on, so an old
    note counts as left too. A worker that is only slow loses nothing by it:
    it holds the locks of its entries.
    """
    return [
        note
        for note in notes
        if note.noted_at < now - _LONGEST_WALK or not liveness.is_alive(note.worker)
    ]


def _note_suspect(suspect: str, before: WalkNote, *, now: datetime) -> WalkNote:
    """Take one entry over from a dead worker. Where it died in a batch, any message may be it."""
    others = [ref for ref in before.entries if ref != suspect]
    if others:
        before.entries = others
        before.save(update_fields=["entries"])
    else:
        before.delete()
    return WalkNote.objects.create(
        worker=liveness.mark(),
        entries=[suspect],
        position=before.position or 0,
        deaths=before.deaths + 1,
        noted_at=now,
    )


def _oldest() -> list[str]:
    """Name the oldest entries that no transaction holds, up to a batch's rows and bytes."""
    sql = f'SELECT ref, length(body) FROM "{InboxEntry._meta.db_table}" ORDER BY ref LIMIT %s'
    if db.is_postgres():
        sql += " FOR UPDATE SKIP LOCKED"
    with db.cursor() as cursor:
        cursor.execute(sql, [conf.settings().BATCH_ROWS])
        rows = cursor.fetchall()
    refs: list[str] = []
    size = 0
    for ref, length in rows:
        size += length
        if refs and size > _CLAIM_BYTES:
            break
        refs.append(str(db.loaded_uuid(ref)))
    return refs


def _claim(refs: Sequence[str]) -> list[Entry]:
    """Take these entries out of the inbox, as far as they are still there and free."""
    table = InboxEntry._meta.db_table
    among, values = db.in_list("ref", [UUID(ref) for ref in refs])
    if db.is_postgres():
        free = f'SELECT ref FROM "{table}" WHERE {among} ORDER BY ref FOR UPDATE SKIP LOCKED'
        among = f"ref = ANY(ARRAY({free}))"
    with db.cursor() as cursor:
        cursor.execute(
            f'DELETE FROM "{table}" WHERE {among} '
            "RETURNING ref, client_id, dialect, body, headers, received_at",
            values,
        )
        rows = cursor.fetchall()
    entries = [_entry(row) for row in rows]
    return sorted((entry for entry in entries if entry), key=lambda entry: entry.ref)


def _entry(row: Sequence[Any]) -> Entry | None:
    ref, client_id, dialect, body, headers, received_at = row
    client = clients.by_id(client_id)
    if client is None:
        # The client was deleted with everything of its own; so is this.
        return None
    headers = headers if isinstance(headers, dict) else msgspec.json.decode(headers)
    ref = db.loaded_uuid(ref)
    return Entry(
        ref=ref,
        origin=UUID(headers["origin-ref"]) if "origin-ref" in headers else ref,
        first_index=int(headers.get("origin-index", 0)),
        client=client,
        dialect=dialect,
        body=bytes(body),
        headers=headers,
        received_at=db.loaded_time(received_at),
    )


# --- walking ---------------------------------------------------------------------------


def _walk_entries(entries: Sequence[Entry], *, now: datetime) -> Walked:
    messages, refused = _parse(entries)
    events, bad = _walk_messages(messages, now=now)
    refused += bad
    quarantine.hold(refused, now=now)
    if refused:
        logger.warning("message.quarantined", extra={"count": len(refused)})
    return Walked(len(entries), events, len(refused))


def _parse(entries: Iterable[Entry]) -> tuple[list[Message], list[Refused]]:
    messages: list[Message] = []
    refused: list[Refused] = []
    for entry in entries:
        try:
            for item in wire.parse(entry):
                if isinstance(item, Message):
                    messages.append(item)
                else:
                    refused.append(item)
        except Exception as error:
            logger.exception("entry.unreadable", extra={"entry": str(entry.ref)})
            refused.append(_unreadable(entry, error))
    return messages, refused


def _unreadable(entry: Entry, error: Exception) -> Refused:
    return Refused(
        entry=entry,
        index=entry.first_index,
        code="unreadable",
        reason=f"{type(error).__name__}: {error}",
        raw=entry.body,
    )


def _walk_messages(messages: Sequence[Message], *, now: datetime) -> tuple[int, list[Refused]]:
    """Sift, lock once for all, walk in batches; return the number of events and the refused."""
    messages, refused = sifting.sift(messages)
    if not messages:
        return 0, refused
    locked, unwelcome = identity.lock(messages, now=now)
    refused += unwelcome
    events = 0
    size = conf.settings().BATCH_MESSAGES
    for start in range(0, len(locked.messages), size):
        done, bad = _bisect(locked.messages[start : start + size], locked, now=now)
        events += done
        refused += bad
    return events, refused


def _bisect(
    messages: Sequence[Message], locked: Locked, *, now: datetime
) -> tuple[int, list[Refused]]:
    """Walk under a savepoint; on failure walk each half, until the one at fault stands alone."""
    try:
        with db.atomic():
            return len(walk(messages, locked, now=now).events), []
    except _TRANSIENT:
        raise
    except Exception as error:
        if len(messages) == 1:
            logger.exception("message.poison", extra={"event": str(messages[0].ref)})
            return 0, [quarantine.poison(messages[0], error)]
    middle = len(messages) // 2
    left, left_bad = _bisect(messages[:middle], locked, now=now)
    right, right_bad = _bisect(messages[middle:], locked, now=now)
    return left + right, left_bad + right_bad


def _walk_alone(note: WalkNote, *, now: datetime) -> Walked:
    """
    Walk one entry that a dead worker left, one message at a time, each with its own note.

    The entry stays in the inbox until all its messages are through: walking
    one of them again changes nothing.
    """
    ref = note.entries[0]
    entry = _peek(ref)
    messages, refused = _parse([entry]) if entry else ([], [])
    events = 0
    for position, message in enumerate(messages):
        if position < (note.position or 0):
            continue
        if position != note.position:
            note.position, note.deaths = position, 1
            note.save(update_fields=["position", "deaths"])
        if note.deaths >= conf.settings().MAX_DEATHS:
            refused.append(quarantine.killer(message, note.deaths))
            continue
        with db.write():
            done, bad = _walk_messages([message], now=now)
        events += done
        refused += bad
    with db.write():
        quarantine.hold(refused, now=now)
        InboxEntry.objects.filter(ref=ref).delete()
        WalkNote.objects.filter(pk=note.pk).delete()
    return Walked(1 if entry else 0, events, len(refused))


def _peek(ref: str) -> Entry | None:
    row = (
        InboxEntry.objects.filter(ref=ref)
        .values_list("ref", "client_id", "dialect", "body", "headers", "received_at")
        .first()
    )
    return _entry(row) if row else None
