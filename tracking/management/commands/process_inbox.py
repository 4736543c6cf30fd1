"""`manage.py process_inbox`: walk the inbox without Celery, once or for as long as it runs."""

import signal
import time
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, connections
from django.utils import timezone

from tracking import db, pipeline, sessions, tasks
from tracking.models import InboxEntry

# How long an accepted event waits at most where nothing rings; looking costs one small query.
_POLL_SECONDS = 0.03
# Followers' debts come due by the clock.
_PAY_EVERY = 5.0
_CLOSE_IDLE_EVERY = 60.0


class Command(BaseCommand):
    help = "Walk accepted requests into guests, sessions and events. Ends when the inbox is empty."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--follow", action="store_true", help="Go on as requests arrive, until stopped."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["follow"]:
            self._follow()
            return
        total = pipeline.Walked()
        waiting = InboxEntry.objects.count()
        while True:
            walked = tasks.drain(longest=timedelta(seconds=2))
            total = pipeline.Walked(
                total.entries + walked.entries,
                total.events + walked.events,
                total.quarantined + walked.quarantined,
            )
            if not walked.entries:
                break
            self.stderr.write(f"\r{total.entries} of {max(waiting, total.entries)}", ending="")
        if total.entries:
            self.stderr.write("")
        self.stdout.write(
            f"{total.entries} requests walked: {total.events} events, "
            f"{total.quarantined} set aside."
        )
        left = InboxEntry.objects.count()
        if left:
            raise CommandError(
                f"{left} requests are left: another worker holds them, or see the log."
            )

    def _follow(self) -> None:
        self.is_stopped = False
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._stop)
        self.stdout.write("Following the inbox. Stop with Ctrl-C.")
        self.stdout.flush()
        paid_at = closed_at = time.monotonic()
        while not self.is_stopped:
            try:
                if InboxEntry.objects.exists() or time.monotonic() - paid_at > _PAY_EVERY:
                    tasks.drain()
                    paid_at = time.monotonic()
                if time.monotonic() - closed_at > _CLOSE_IDLE_EVERY:
                    sessions.close_idle(now=timezone.now())
                    closed_at = time.monotonic()
            except (OperationalError, InterfaceError) as error:
                # Whatever is wrong with the database, the entries wait there.
                self.stderr.write(f"The database does not answer: {error}")
                connections[db.alias()].close()
                time.sleep(1)
            time.sleep(_POLL_SECONDS)
        self.stdout.write("Stopped.")

    def _stop(self, *args: Any) -> None:
        self.is_stopped = True
