"""
What other apps have to do by the clock: a registry, looked at after every drain of the inbox.

`register` is called by other apps when they are ready; each chore sees for
itself, in a query or two, whether there is anything to do.
"""

import logging
from collections.abc import Callable
from datetime import datetime

Chore = Callable[[datetime], None]

logger = logging.getLogger("tracking")

_chores: dict[str, Chore] = {}


def register(name: str, chore: Chore) -> None:
    """Have `chore` called with the time, often, by whoever walks the inbox."""
    _chores[name] = chore


def run(*, now: datetime) -> None:
    """Do what is to be done now. A chore that fails is done the next time."""
    for name, chore in _chores.items():
        try:
            chore(now)
        except Exception:
            logger.exception("chore.failed", extra={"chore": name})
