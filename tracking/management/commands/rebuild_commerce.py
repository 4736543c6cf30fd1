"""`manage.py rebuild_commerce`: read again what all events say of items, carts and orders."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from tracking import shopping


class Command(BaseCommand):
    help = (
        "Make carts and orders again from the events that are still there: after a client's "
        "items go by another id, say. What servers have stated stays. Run it again at will."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.done = 0
        total = shopping.rebuild(now=timezone.now(), progress=self._progress)
        if self.done:
            self.stderr.write("")
        self.stdout.write(f"{total} events were read again; carts and orders stand as they say.")

    def _progress(self, count: int) -> None:
        self.done += count
        self.stderr.write(f"\r{self.done} events", ending="")
