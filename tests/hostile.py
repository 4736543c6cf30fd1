"""
Settings of a worker whose walk dies or hangs on events made for it, as on a real fault.

Started by the tests about processes; an event of type DIE kills the worker
with SIGKILL in the middle of its transaction, one of type HANG stops it there
until it is killed, after saying so on the log.
"""

import os
import signal
import time
from collections.abc import Sequence
from datetime import datetime

from django.apps import AppConfig

from project.settings.base import *  # noqa: F403
from tracking.types import Identified, Sessionized


class Hostile(AppConfig):
    name = "tests"
    label = "hostile"

    def ready(self) -> None:
        from tracking import sessionization

        real = sessionization.sessionize

        def sessionize(items: Sequence[Identified], *, now: datetime) -> list[Sessionized]:
            types = {item.message.type for item in items}
            if "DIE" in types:
                os.kill(os.getpid(), signal.SIGKILL)
            done = real(items, now=now)
            if "HANG" in types:
                print("hanging in mid-batch", flush=True)  # noqa: T201
                time.sleep(600)
            return done

        sessionization.sessionize = sessionize


INSTALLED_APPS = [*INSTALLED_APPS, "tests.hostile.Hostile"]  # noqa: F405
