"""
Who hears of recorded events: a registry, and the debts the walk writes for it.

`register` is called by other apps when they are ready. The walk notes one
debt per batch and follower in its own transaction; `run_due` pays them, each
in the transaction that writes the follower's projection. So a follower that
fails is tried again, and neither undoes nor loses an event. `note_guests` is
the same for what changes of guests without an event: by a server, by staff,
by what another follower made of the events.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from tracking import db
from tracking.models import FollowUp
from tracking.types import Recorded, Told


class Changed(StrEnum):
    """What of a guest is other than before."""

    PROFILE = "profile"
    #: Some of what they seemed to have done was others' doing, or that of others theirs.
    EVENTS = "events"
    PURCHASES = "purchases"
    #: They reached a goal, by what another app makes of their events, or have not after all.
    GOALS = "goals"
    #: A visit is over by the clock alone.
    VISITS = "visits"
    #: Events or carts of theirs were too old to be kept. What was made of them stays.
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What a follower is told: recorded events, or guests of whom something has changed."""

    event_refs: Sequence[UUID] = ()
    guest_ids: Sequence[int] = ()
    changed: Changed | None = None
    now: datetime


Follower = Callable[[Owed], None]

logger = logging.getLogger("tracking")


@dataclass(frozen=True, slots=True)
class _Registered:
    call: Follower
    concerns: Callable[[Told], bool]
    of_guests: frozenset[Changed]


_followers: dict[str, _Registered] = {}
_announce: Callable[[], None] | None = None

_FIRST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(seconds=300)


def register(
    name: str,
    follower: Follower,
    *,
    concerns: Callable[[Told], bool],
    of_guests: Collection[Changed] = (),
) -> None:
    """
    Have `follower` called with the refs of the recorded events that concern it, batch by batch.

    `concerns` is asked of every event, within the walk: it must be quick.
    `of_guests` are changes of guests that no event of theirs shows, and it is told of too.
    The follower must be idempotent: it is called again after it raised. It runs
    inside the transaction that settles the debt, so what it writes there counts once.
    """
    _followers[name] = _Registered(follower, concerns, frozenset(of_guests))


def announce_with(announce: Callable[[], None]) -> None:
    """Set what is called, inside of the transaction, when something is owed soon."""
    global _announce
    _announce = announce


def note(recorded: Recorded, *, now: datetime) -> None:
    """Write what each follower is owed, in the walk's own transaction."""
    _owe(
        [
            _row(name, event_refs=refs, now=now)
            for name, registered in _followers.items()
            if (refs := [str(told.ref) for told in recorded.events if registered.concerns(told)])
        ]
    )


def note_guests(
    guest_ids: Collection[int], changed: Changed, *, now: datetime, soon: bool = False
) -> None:
    """
    Write what followers are owed of guests who changed by no event of their own.

    Called in the transaction that changes them. `soon`: outside of the walk,
    whose worker pays what it owes; have somebody look after it.
    """
    if not guest_ids:
        return
    if soon and _announce is not None:
        _announce()
    _owe(
        [
            _row(name, guest_ids=sorted(set(guest_ids)), changed=changed.value, now=now)
            for name, registered in _followers.items()
            if changed in registered.of_guests
        ]
    )


def _row(
    name: str,
    *,
    event_refs: Sequence[str] = (),
    guest_ids: Sequence[int] = (),
    changed: str = "",
    now: datetime,
) -> db.Row:
    return {
        "follower": name,
        "event_refs": event_refs,
        "guest_ids": guest_ids,
        "changed": changed,
        "attempts": 0,
        "not_before": now,
        "last_error": "",
    }


def _owe(rows: Sequence[db.Row]) -> None:
    if rows:
        db.insert_rows(FollowUp, rows)


def run_due(*, now: datetime, limit: int = 1000) -> int:
    """Pay the debts that are due, oldest first. Returns how many were paid."""
    paid = 0
    tried: set[int] = set()
    while len(tried) < limit:
        due = FollowUp.objects.filter(
            not_before__lte=now, follower__in=_followers, pk__gt=max(tried, default=0)
        )
        pk = due.order_by("pk").values_list("pk", flat=True).first()
        if pk is None:
            break
        tried.add(pk)
        paid += _pay(pk, now=now)
    return paid


def _pay(pk: int, *, now: datetime) -> int:
    try:
        return db.retried(lambda: _pay_in_one_transaction(pk, now=now))
    except Exception as error:
        logger.exception("follower.failed", extra={"follow_up": pk})
        _postpone(pk, error, now=now)
        return 0


def _pay_in_one_transaction(pk: int, *, now: datetime) -> int:
    rows = FollowUp.objects.filter(pk=pk)
    if db.is_postgres():
        rows = rows.select_for_update(skip_locked=True)
    row = rows.first()
    if row is None:
        return 0
    owed = Owed(
        event_refs=[UUID(ref) for ref in row.event_refs],
        guest_ids=row.guest_ids,
        changed=Changed(row.changed) if row.changed else None,
        now=now,
    )
    _followers[row.follower].call(owed)
    row.delete()
    return 1


def _postpone(pk: int, error: Exception, *, now: datetime) -> None:
    row = FollowUp.objects.filter(pk=pk).first()
    if row is not None:
        row.attempts += 1
        row.not_before = now + min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (row.attempts - 1))
        row.last_error = f"{type(error).__name__}: {error}"[:2000]
        row.save(update_fields=["attempts", "not_before", "last_error"])
