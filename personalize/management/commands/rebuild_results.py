"""`manage.py rebuild_results`: make the results of flows again from the events."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from personalize.attribution import rebuilding
from personalize.management.progress import Progress
from personalize.models import Flow
from personalize.models.flows import FlowQuerySet


class Command(BaseCommand):
    help = (
        "Make again who saw which variant of flows and what came of it, for the days whose events "
        "are all there. Events do so all the time: it is needed after rows were changed past them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "names", nargs="*", metavar="NAME", help="Friendly IDs or refs; unless given: all."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        flows = [_flow(name) for name in options["names"]] or list(_published())
        progress = Progress(self.stderr)
        for flow in flows:
            self._done = 0

            def made(guests: int, name: str = flow.friendly_id) -> None:
                self._done += guests
                progress.show(f"{name}: {self._done:,} guests")

            rebuilt = rebuilding.rebuild(flow, now=timezone.now(), progress=made)
            progress.clear()
            self.stdout.write(
                f"{flow.friendly_id}: {rebuilt.guests:,} guests, days from {rebuilt.since} on. "
                "Earlier days are frozen."
            )
        if not flows:
            self.stdout.write("No flow was ever published.")


def _published() -> FlowQuerySet:
    rows = Flow.objects.filter(published__isnull=False).select_related("client", "published")
    return rows.order_by("client", "friendly_id")


def _flow(name: str) -> Flow:
    found = _published().named(name)[:2]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(f"Several flows are called “{name}”: say the ref of one.")
    known = ", ".join(flow.friendly_id for flow in _published()[:50]) or "none"
    raise CommandError(f"No published flow is called “{name}”. There are: {known}.")
