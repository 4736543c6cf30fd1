"""
The way in. `accept` commits one row; everything after that can fail and be done again.

Called by every door, by `tracking.track` and by the flow walk for its runs.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

import msgspec
from django.utils import timezone

from tracking import (
    chores,
    conf,
    db,
    followers,
    issued,
    pipeline,
    suppression,
    tasks,
    uuid7,
)
from tracking.doorbell import Doorbell
from tracking.models import Identifier, InboxEntry
from tracking.types import BROWSER, RETURNS, ClientConfig

logger = logging.getLogger("tracking")


class UnknownBrowser(LookupError):
    """The client has no such browser, and gave out no such id; nothing was stored."""


def accept(
    *,
    client: ClientConfig,
    dialect: str,
    body: bytes,
    received_at: datetime,
    headers: Mapping[str, str] | None = None,
    browser_id: str | None = None,
) -> UUID:
    """
    Store a judged request for the walk, and return its ref.

    Committed when the caller's transaction is; outside of one, on return.
    With `browser_id` the request is only stored if that browser exists, else
    UnknownBrowser is raised: one statement, so that no check can go stale. A
    browser that we gave its id, and whose guest was purged since, begins anew.
    """
    ref = uuid7.at(received_at)
    row = [db.stored(ref), client.id, dialect, body, _json(headers), db.stored(received_at)]
    with db.cursor() as cursor:
        if browser_id is None:
            cursor.execute(_INSERT, row)
        else:
            insert = _INSERT_IF_KNOWN[db.connection().vendor]
            cursor.execute(insert, [*row, client.id, BROWSER, browser_id])
            if cursor.rowcount < 1:
                if not _returns(client, browser_id):
                    raise UnknownBrowser(browser_id)
                row[4] = _json({**(headers or {}), RETURNS: "1"})
                cursor.execute(_INSERT, row)
    _have_walked(lambda: _walk_own(ref))
    return ref


def _json(headers: Mapping[str, str] | None) -> str:
    return msgspec.json.encode(headers or {}).decode()


def _returns(client: ClientConfig, browser_id: str) -> bool:
    return issued.is_ours(client, browser_id) and not suppression.is_forgotten(
        client.id, browser_id
    )


_COLUMNS = "ref, client_id, dialect, body, headers, received_at"
_INTO = f'INSERT INTO "{InboxEntry._meta.db_table}" ({_COLUMNS})'
_INSERT = f"{_INTO} VALUES (%s, %s, %s, %s, %s, %s)"
_KNOWN = (
    f'SELECT 1 FROM "{Identifier._meta.db_table}" '
    "WHERE client_id = %s AND provider = %s AND value = %s"
)
# A SELECT takes its literals for text, which PostgreSQL does not turn into JSON unasked.
_INSERT_IF_KNOWN = {
    "postgresql": f"{_INTO} SELECT %s, %s, %s, %s, %s::jsonb, %s WHERE EXISTS ({_KNOWN})",
    "sqlite": f"{_INTO} SELECT %s, %s, %s, %s, %s, %s WHERE EXISTS ({_KNOWN})",
}


def announce() -> None:
    """Have looked after what came by another way than `accept`: a replay, a chore to do soon."""
    _have_walked(tasks.drain)


def _have_walked(walk: Callable[[], object]) -> None:
    """Once the transaction has committed, walk here or ring for whoever walks, as DISPATCH says."""
    mode = conf.settings().DISPATCH
    if mode == "inline":
        db.on_commit(lambda: _walk_safely(walk))
    elif mode == "celery":
        db.on_commit(_bell.ring)


def _walk_safely(walk: Callable[[], object]) -> None:
    """Walk what is stored: whatever fails here, the sweep does again."""
    try:
        walk()
    except Exception:
        logger.exception("inbox.inline_failed")


def _walk_own(ref: UUID) -> None:
    pipeline.process_entries([ref], now=timezone.now())
    followers.run_due(now=timezone.now())
    chores.run(now=timezone.now())


def _publish() -> None:
    tasks.process_inbox.apply_async(retry=False, ignore_result=True)


_bell = Doorbell(_publish)
