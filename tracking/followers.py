"""
Who hears of recorded events: a registry, and the debts the walk writes for it.

`register` is called by other apps when they are ready. The walk notes one
debt per batch and follower in its own transaction; `run_due` pays them, each
in the transaction that writes the follower's projection. So a follower that
fails is tried again, and neither undoes nor loses an event.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from tracking import db
from tracking.models import FollowUp
from tracking.types import Recorded, Told

Follower = Callable[[Sequence[UUID]], None]

logger = logging.getLogger("tracking")


@dataclass(frozen=True, slots=True)
class _Registered:
    call: Follower
    concerns: Callable[[Told], bool]


_followers: dict[str, _Registered] = {}

_FIRST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(seconds=300)


def register(name: str, follower: Follower, *, concerns: Callable[[Told], bool]) -> None:
    """
    Have `follower` called with the refs of the recorded events that concern it, batch by batch.

    `concerns` is asked of every event, within the walk: it must be quick. The
    follower must be idempotent: it is called again after it raised. It runs
    inside the transaction that settles the debt, so what it writes there counts once.
    """
    _followers[name] = _Registered(follower, concerns)


def note(recorded: Recorded, *, now: datetime) -> None:
    """Write what each follower is owed, in the walk's own transaction."""
    rows = [
        {
            "follower": name,
            "event_refs": refs,
            "attempts": 0,
            "not_before": now,
            "last_error": "",
        }
        for name, registered in _followers.items()
        if (refs := [str(told.ref) for told in recorded.events if registered.concerns(told)])
    ]
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
        return db.retried(lambda: _pay_in_one_transaction(pk))
    except Exception as error:
        logger.exception("follower.failed", extra={"follow_up": pk})
        _postpone(pk, error, now=now)
        return 0


def _pay_in_one_transaction(pk: int) -> int:
    owed = FollowUp.objects.filter(pk=pk)
    if db.is_postgres():
        owed = owed.select_for_update(skip_locked=True)
    row = owed.first()
    if row is None:
        return 0
    _followers[row.follower].call([UUID(ref) for ref in row.event_refs])
    row.delete()
    return 1


def _postpone(pk: int, error: Exception, *, now: datetime) -> None:
    row = FollowUp.objects.filter(pk=pk).first()
    if row is not None:
        row.attempts += 1
        row.not_before = now + min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (row.attempts - 1))
        row.last_error = f"{type(error).__name__}: {error}"[:2000]
        row.save(update_fields=["attempts", "not_before", "last_error"])
