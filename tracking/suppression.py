"""
Of whom nothing may be recorded: people who were deleted, and people who were blocked.

The identity step asks `allowed` before it makes anybody; the effects of
deleting and suppressing events write here.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.utils.crypto import salted_hmac

from tracking.models import Suppression
from tracking.types import BROWSER, USER_ID, IdentifierKey, Message, stamped

#: Events that change who is suppressed: they are always let in.
BLOCKS, UNBLOCKS, DELETES = "User Suppressed", "User Unsuppressed", "User Deleted"
_SALT = "tracking.suppression"


def allowed(messages: Sequence[Message]) -> list[Message]:
    """Leave out what is said of people of whom nothing may be recorded."""
    named = {message.ref: _digests(message) for message in messages if message.identifiers}
    wanted = {digest for digests in named.values() for digest in digests}
    if not wanted:
        return list(messages)
    rows = {
        (row.client_id, row.digest): row for row in Suppression.objects.filter(digest__in=wanted)
    }
    return [
        message
        for message in messages
        if not any(
            _stops(rows.get((message.client_id, digest)), message)
            for digest in named.get(message.ref, ())
        )
    ]


def block(client_id: int, user_id: str, *, blocked: bool, at: datetime, by: str) -> None:
    """Record nothing of this user from now on, or something again; the newest word counts."""
    row = _row(client_id, user_id)
    stamp = stamped(at, by)
    if row.stamp <= stamp:
        row.is_blocked, row.stamp = blocked, stamp
        row.save(update_fields=["is_blocked", "stamp"])


def forget(client_id: int, user_id: str, *, until: datetime) -> None:
    """Record nothing of this user that happened until then."""
    row = _row(client_id, user_id)
    if row.deleted_at is None or row.deleted_at < until:
        row.deleted_at = until
        row.save(update_fields=["deleted_at"])


def forget_browsers(client_id: int, browser_ids: Iterable[str], *, now: datetime) -> None:
    """Take none of these browsers up again, though they were given their ids by us."""
    digests = [_digest(client_id, IdentifierKey(BROWSER, each)) for each in browser_ids]
    Suppression.objects.bulk_create(
        [Suppression(client_id=client_id, digest=digest, deleted_at=now) for digest in digests],
        ignore_conflicts=True,
    )


def is_forgotten(client_id: int, browser_id: str) -> bool:
    """Say whether the browser's guest asked to be forgotten."""
    digest = _digest(client_id, IdentifierKey(BROWSER, browser_id))
    return Suppression.objects.filter(client_id=client_id, digest=digest).exists()


def _row(client_id: int, user_id: str) -> Suppression:
    digest = _digest(client_id, IdentifierKey(USER_ID, user_id))
    rows = Suppression.objects.select_for_update()
    return rows.get_or_create(client_id=client_id, digest=digest)[0]


def _digests(message: Message) -> list[str]:
    keys = {item.key for item in message.identifiers if item.key.provider == USER_ID}
    return [_digest(message.client_id, key) for key in keys]


def _digest(client_id: int, key: IdentifierKey) -> str:
    name = f"{client_id}\n{key.provider}\n{key.value}"
    return salted_hmac(_SALT, name, algorithm="sha256").hexdigest()


def _stops(row: Suppression | None, message: Message) -> bool:
    if row is None:
        return False
    if row.deleted_at is not None and message.occurred_at <= row.deleted_at:
        return True
    return row.is_blocked and message.type not in (BLOCKS, UNBLOCKS, DELETES)
