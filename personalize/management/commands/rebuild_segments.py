"""`manage.py rebuild_segments`: judge all guests anew, while somebody waits for it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from personalize.management import choosing
from personalize.management.progress import Progress
from personalize.models import Segment
from personalize.segments import rebuilds


class Command(BaseCommand):
    help = (
        "Judge all guests by the conditions of segments, and say who entered and left them. "
        "Events do so all the time: it is needed after rows were changed past them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "names",
            nargs="*",
            metavar="NAME",
            help="Friendly IDs, refs or names; unless given: all that have a condition.",
        )
        choosing.add_client_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        names, client = options["names"], options["client"]
        every = choosing.segments_of(client).filter(kind=Segment.Kind.LIVE)
        segments = [choosing.segment(name, client) for name in names] if names else list(every)
        progress = Progress(self.stderr)
        self._done = 0

        def judged(guests: int) -> None:
            self._done += guests
            progress.show(f"{self._done:,} guests judged")

        rebuilt = rebuilds.rebuild(segments, now=timezone.now(), progress=judged)
        progress.clear()
        for each in rebuilt:
            note = " It is a list, and was left alone." if each.segment.kind == "LIST" else ""
            self.stdout.write(
                f"{each.segment.name}: {each.entered:,} entered, {each.left:,} left, "
                f"{each.members:,} are in it.{note}"
            )
        if not rebuilt:
            self.stdout.write("There is no segment that has a condition.")
