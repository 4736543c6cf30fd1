"""`manage.py rebuild_executions`: write the executions again from the TRACKING events."""

from typing import Any

from django.core.management.base import BaseCommand

from personalize import projections


class Command(BaseCommand):
    help = "Write the executions of all TRACKING events that are still there. Run it again at will."

    def handle(self, *args: Any, **options: Any) -> None:
        self.done = 0
        total = projections.rebuild(progress=self._progress)
        if total:
            self.stderr.write("")
        self.stdout.write(f"{total} executions stand as their events say.")

    def _progress(self, count: int) -> None:
        self.done += count
        self.stderr.write(f"\r{self.done} events", ending="")
