"""
Of whom nothing may be recorded: people who were deleted, and people who were blocked.

The identity step asks `allowed` before it makes anybody; erasing somebody, and
the effects of deleting and suppressing events, write here. Only keyed hashes
are kept.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from tracking import db, keyed
from tracking.models import Suppression
from tracking.types import BROWSER, EMAIL, USER_ID, IdentifierKey, Message, stamped

#: Events that change who is suppressed: they are always let in.
BLOCKS, UNBLOCKS, DELETES = "User Suppressed", "User Unsuppressed", "User Deleted"
_PURPOSE = "tracking.suppression"


def allowed(messages: Sequence[Message]) -> list[Message]:
    """Leave out what is said of people, or by devices, of whom nothing may be recorded."""
    named = {message.ref: _digests(message) for message in messages}
    wanted = {digest for digests in named.values() for digest in digests}
    if not wanted:
        return list(messages)
    among, values = db.in_list("digest", sorted(wanted))
    rows = Suppression.objects.raw(
        f'SELECT * FROM "{Suppression._meta.db_table}" WHERE {among}', values
    )
    found = {(row.client_id, row.digest): row for row in rows}
    if not found:
        return list(messages)
    return [
        message
        for message in messages
        if not any(
            _stops(found.get((message.client_id, digest)), message) for digest in named[message.ref]
        )
    ]


def block(client_id: int, user_id: str, *, blocked: bool, at: datetime, by: str) -> None:
    """Record nothing of this user from now on, or something again; the newest word counts."""
    row = _row(client_id, user_id)
    stamp = stamped(at, by)
    if row.stamp <= stamp:
        row.is_blocked, row.stamp = blocked, stamp
        row.save(update_fields=["is_blocked", "stamp"])


def forget(client_id: int, keys: Iterable[IdentifierKey], *, until: datetime) -> None:
    """
    Record nothing of whoever these identifiers name that happened until then.

    Browsers among them are not taken up again either, though we gave them their ids.
    """
    table = Suppression._meta.db_table
    later = db.greatest(
        f'COALESCE("{table}"."deleted_at", excluded."deleted_at")', 'excluded."deleted_at"'
    )
    db.insert_rows(
        Suppression,
        [
            {
                "client_id": client_id,
                "digest": _digest(client_id, key),
                "is_blocked": False,
                "stamp": [],
                "deleted_at": until,
            }
            for key in sorted(set(keys))
        ],
        on_conflict=f'("client_id", "digest") DO UPDATE SET "deleted_at" = {later}',
    )


def is_forgotten(client_id: int, browser_id: str) -> bool:
    """Say whether the browser's guest asked to be forgotten."""
    names = keyed.digests(_PURPOSE, client_id, BROWSER, browser_id)
    return Suppression.objects.filter(client_id=client_id, digest__in=names).exists()


def keys_of(message: Message) -> set[IdentifierKey]:
    """Return everything by which a message names whose it is."""
    keys = {item.key for item in message.identifiers}
    keys |= {key for key in (message.speaker, message.person) if key is not None}
    email = message.traits.get("email")
    if isinstance(email, str) and email:
        keys.add(IdentifierKey(EMAIL, email.lower()))
    return keys


def _row(client_id: int, user_id: str) -> Suppression:
    names = keyed.digests(_PURPOSE, client_id, USER_ID, user_id)
    rows = Suppression.objects.select_for_update().filter(client_id=client_id)
    row = rows.filter(digest__in=names).first()
    return row or rows.get_or_create(client_id=client_id, digest=names[0])[0]


def _digests(message: Message) -> list[str]:
    return [
        digest
        for key in keys_of(message)
        for digest in keyed.digests(_PURPOSE, message.client_id, key.provider, key.value)
    ]


def _digest(client_id: int, key: IdentifierKey) -> str:
    return keyed.digest(_PURPOSE, client_id, key.provider, key.value)


def _stops(row: Suppression | None, message: Message) -> bool:
    if row is None:
        return False
    if row.deleted_at is not None and message.occurred_at <= row.deleted_at:
        return True
    return row.is_blocked and message.type not in (BLOCKS, UNBLOCKS, DELETES)
