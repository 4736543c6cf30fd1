"""How much processor time servers take: neighbours on the machine hardly move it."""

import os
from pathlib import Path


def processor_seconds(*pids: int) -> float:
    """Return what these processes and their children have used so far; 0.0 without a /proc."""
    return sum(_seconds(pid) for pid in pids)


def _seconds(pid: int) -> float:
    process = Path(f"/proc/{pid}")
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        children = [
            int(child)
            for tasks in (process / "task").glob("*/children")
            for child in tasks.read_text().split()
        ]
    except OSError:
        # Not Linux, or the process has just ended.
        return 0.0
    # User and system time, of the process and of those children that have ended.
    ticks = sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK") + sum(_seconds(child) for child in children)
