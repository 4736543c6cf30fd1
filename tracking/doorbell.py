"""
Says "look now" to the workers, from a thread of its own; carries nothing.

A broker that refuses costs 0.6 s a try and a frozen one hangs the caller, so
no request ever publishes. A ring that is lost costs lag until the next sweep.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("tracking")

_PAUSE = 0.1
_FIRST_REST = 1.0
_LONGEST_REST = 30.0


class Doorbell:
    """
    Calls `publish` soon after `ring`: at once when idle, then at most ten times a second.

    After a failure it rests, longer each time, and then rings once for all
    that was missed.
    """

    def __init__(self, publish: Callable[[], None]) -> None:
        self._publish = publish
        self._rung = threading.Event()
        self._lock = threading.Lock()
        self._pid: int | None = None

    def ring(self) -> None:
        """Ask for a publication. Never blocks, never raises."""
        self._rung.set()
        if self._pid != os.getpid():
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            # A forked child has the parent's objects but not its threads.
            self._pid = os.getpid()
            threading.Thread(target=self._run, name="tracking-doorbell", daemon=True).start()

    def _run(self) -> None:
        rest = _FIRST_REST
        while True:
            self._rung.wait()
            self._rung.clear()
            try:
                self._publish()
            # Whatever the broker's client raises, the doorbell goes on.
            except Exception as error:  # noqa: BLE001
                logger.warning("doorbell.failed", extra={"error": str(error), "rest": rest})
                self._rung.set()
                time.sleep(rest)
                rest = min(_LONGEST_REST, rest * 2)
            else:
                rest = _FIRST_REST
                time.sleep(_PAUSE)
