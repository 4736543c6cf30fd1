"""
How often calls ended at which gate: counted in memory, written now and then.

Called by the flow walk. What a process had not written when it was killed is
lost; these are numbers for marketers, and a write for every call that shows
nothing would cost as much as a run.
"""

import atexit
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime

from django.db import DatabaseError, InterfaceError

from personalize import conf
from personalize.models import ExitCount
from personalize.snapshots import FlowSnapshot
from personalize.types import Gate
from tracking import db

logger = logging.getLogger("personalize")

_Key = tuple[int, int, str, date]

_counts: Counter[_Key] = Counter()
_lock = threading.Lock()
_written_at = time.monotonic()


def count(
    client_id: int, candidates: Iterable[FlowSnapshot], gates: Sequence[Gate], *, now: datetime
) -> None:
    """Count the gates that closed in one call."""
    global _written_at
    if gates:
        ids = {flow.friendly_id: flow.id for flow in candidates}
        day = now.date()
        with _lock:
            _counts.update((client_id, ids[gate.flow], gate.reason.value, day) for gate in gates)
    if _counts and time.monotonic() - _written_at >= conf.settings().EXIT_COUNT_SECONDS:
        _written_at = time.monotonic()
        write()


def write() -> None:
    """Write what was counted since the last time. A database that does not answer costs nothing."""
    with _lock:
        taken = dict(_counts)
        _counts.clear()
    rows = [
        {"client_id": client, "flow_id": flow, "reason": reason, "day": day, "count": count}
        for (client, flow, reason, day), count in sorted(taken.items())
    ]
    table = ExitCount._meta.db_table
    try:
        with db.atomic():
            db.insert_rows(
                ExitCount,
                rows,
                on_conflict=(
                    "(flow_id, reason, day) DO UPDATE SET "
                    f'"count" = "{table}"."count" + excluded."count"'
                ),
            )
    except (DatabaseError, InterfaceError):
        logger.warning("exits.not_written", exc_info=True)


atexit.register(lambda: write() if _counts else None)
