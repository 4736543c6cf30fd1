"""
Messages that could not be walked: set aside with their bytes, and sent round again.

The walk holds them; the admin's replay action and `replay` put them back into
the inbox under the names they had, so that a replay can never count twice.
"""

from collections.abc import Iterable
from datetime import datetime
from importlib import metadata
from typing import Any

from tracking import db, uuid7
from tracking.models import InboxEntry, QuarantinedMessage
from tracking.types import Message, Refused


def hold(refused: Iterable[Refused], *, now: datetime) -> None:
    """Set messages aside; one that was set aside before counts another attempt."""
    for item in refused:
        values = _values(item, now=now)
        QuarantinedMessage.objects.update_or_create(
            entry_ref=item.entry.origin,
            index=item.index,
            defaults=values,
            create_defaults=values | {"received_at": item.entry.received_at},
        )


def poison(message: Message, error: Exception) -> Refused:
    """Word the refusal of a message that the walk itself stumbled over."""
    return _refused(message, "walk_failed", f"{type(error).__name__}: {error}"[:1000])


def killer(message: Message, deaths: int) -> Refused:
    """Word the refusal of a message that its workers did not survive."""
    return _refused(message, "killed_worker", f"{deaths} workers died while walking this message.")


def _refused(message: Message, code: str, reason: str) -> Refused:
    return Refused(
        entry=message.entry,
        index=message.index,
        code=code,
        reason=reason,
        raw=message.raw,
        type=message.type,
    )


def replay(rows: Iterable[QuarantinedMessage]) -> int:
    """Put held messages back into the inbox. Returns how many; the walk takes it from there."""
    count = 0
    for row in rows:
        with db.atomic():
            held = QuarantinedMessage.objects.filter(
                pk=row.pk, status=QuarantinedMessage.Status.HELD
            )
            # The guarded update decides between two replays of one message.
            if not held.update(status=QuarantinedMessage.Status.REPLAYED):
                continue
            InboxEntry.objects.create(
                ref=uuid7.at(row.received_at),
                client_id=row.client_id,
                dialect=row.dialect,
                body=bytes(row.body),
                headers={
                    **row.headers,
                    "origin-ref": str(row.entry_ref),
                    "origin-index": str(row.index),
                    "origin-attempts": str(row.attempts),
                },
                received_at=row.received_at,
            )
            count += 1
    return count


def _values(item: Refused, *, now: datetime) -> dict[str, Any]:
    entry = item.entry
    return {
        "client_id": entry.client.id,
        "dialect": entry.dialect,
        "headers": {k: v for k, v in entry.headers.items() if not k.startswith("origin-")},
        "type": item.type[:200],
        "code": item.code,
        "reason": item.reason,
        "body": item.raw,
        "attempts": int(entry.headers.get("origin-attempts", "0")) + 1,
        "code_version": _version(),
        "quarantined_at": now,
        "status": QuarantinedMessage.Status.HELD,
    }


def _version() -> str:
    try:
        return metadata.version("django-personalize")
    except metadata.PackageNotFoundError:
        return ""
