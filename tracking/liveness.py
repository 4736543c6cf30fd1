"""
Is the worker that left this note still there? Asked by the walk of notes other than its own.

On PostgreSQL a worker is its connection, which the server drops when the
process dies. On SQLite all workers share the machine, so a worker is its
process. Neither answer rests on a clock.
"""

import os
import socket
from pathlib import Path

from tracking import db

# A pid alone may be another connection's by now; the epoch reads alike in every time zone.
_CONNECTION = "pid || '@' || EXTRACT(EPOCH FROM backend_start)"


def mark() -> str:
    """Name this worker so that another one can tell whether it lives."""
    if db.is_postgres():
        with db.cursor() as cursor:
            cursor.execute(
                f"SELECT {_CONNECTION} FROM pg_stat_activity WHERE pid = pg_backend_pid()"
            )
            return f"connection {cursor.fetchone()[0]}"
    return f"process {socket.gethostname()} {os.getpid()} {_started(os.getpid())}"


def is_alive(worker: str) -> bool:
    """Tell whether the worker with this mark still runs. Unknown marks count as gone."""
    kind, _, name = worker.partition(" ")
    if kind == "connection" and db.is_postgres():
        with db.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM pg_stat_activity WHERE {_CONNECTION} = %s", [name])
            return cursor.fetchone() is not None
    if kind == "process":
        host, pid, started = name.split(" ", 2)
        if host != socket.gethostname():
            # A shared SQLite file across machines is not supported: nobody there can be asked.
            return False
        return _runs(int(pid)) and _started(int(pid)) == started
    return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> str:
    """Return when the process began, in the kernel's ticks: a reused pid began at another time."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "unknown"
    return stat.rpartition(")")[2].split()[19]
