"""
What keeps the site's own code from breaking or delaying a page: `ask` never raises.

A source that took too long rests for a while: calls that come meanwhile do not wait for it. Its
query is cut off where the database can do so (PostgreSQL and SQLite).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from personalize import conf
from personalize.sources.guests import SiteGuest
from personalize.sources.registry import Source

logger = logging.getLogger("personalize")

Values = Mapping[int, Mapping[str, object]]

# Virtual machine steps between two looks at the clock.
_STEPS = 1000

_rests_until: dict[str, float] = {}


def ask(
    source: Source, guests: Sequence[SiteGuest], *, deadline_ms: int | None
) -> tuple[Values, str]:
    """
    Return what a source knows of these guests, and why it is nothing where it failed.

    deadline_ms: how long somebody waits for it; None: as long as it takes.
    """
    began = time.monotonic()
    if deadline_ms is not None and began < _rests_until.get(source.name, began):
        return {}, f"“{source.name}” was too slow a moment ago."
    found: Values = {}
    fault = ""
    try:
        with _savepoints(), _limited(source, deadline_ms):
            found = source.ask(guests)
    # A host's code may raise anything, and its page must stand all the same.
    except Exception as error:
        logger.exception("source.failed", extra={"source": source.name})
        fault = f"“{source.name}” raised {type(error).__name__}."
    spent_ms = int((time.monotonic() - began) * 1000)
    if deadline_ms is not None and spent_ms >= deadline_ms:
        logger.warning("source.slow", extra={"source": source.name, "spent_ms": spent_ms})
        _rests_until[source.name] = time.monotonic() + conf.settings().SOURCE_REST_SECONDS
        fault = fault or f"“{source.name}” took longer than {deadline_ms} ms."
    return ({}, fault) if fault else (found, "")


@contextmanager
def _savepoints() -> Iterator[None]:
    """Keep a query that fails from breaking the transactions that the caller is in."""
    with ExitStack() as stack:
        for connection in connections.all(initialized_only=True):
            if connection.in_atomic_block:
                stack.enter_context(transaction.atomic(using=connection.alias))
        yield


@contextmanager
def _limited(source: Source, deadline_ms: int | None) -> Iterator[None]:
    alias = source.database if deadline_ms is not None else ""
    connection = connections[alias] if alias else None
    if connection is None or not deadline_ms:
        yield
    elif connection.vendor == "postgresql":
        with _statement_timeout(connection, deadline_ms):
            yield
    elif connection.vendor == "sqlite":
        with _progress_handler(connection, deadline_ms):
            yield
    else:
        yield


@contextmanager
def _statement_timeout(connection: BaseDatabaseWrapper, deadline_ms: int) -> Iterator[None]:
    is_inside = connection.in_atomic_block
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('statement_timeout'), "
            "set_config('statement_timeout', %s, true)",
            [str(deadline_ms)],
        )
        (before, _) = cursor.fetchone()
        yield
        if is_inside:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])


@contextmanager
def _progress_handler(connection: BaseDatabaseWrapper, deadline_ms: int) -> Iterator[None]:
    connection.ensure_connection()
    database = connection.connection
    end = time.monotonic() + deadline_ms / 1000
    database.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        yield
    finally:
        database.set_progress_handler(None, _STEPS)
