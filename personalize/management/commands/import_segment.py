"""`manage.py import_segment`: put the people of a CSV file on a list, or take them off it."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from personalize import segments
from personalize.management import choosing
from personalize.management.progress import Progress
from personalize.segments import SegmentError
from personalize.segments.files import MAX_BYTES, MAX_LINES, FileRefused
from personalize.segments.lists import Changed, Mode
from tracking import clients


class Command(BaseCommand):
    help = (
        "Change a list by a CSV file. Its first line names the columns; one of them says who: "
        "guestRef, a provider of the client's identity rules (such as CUSTOMER_ID), email or "
        f"browserId. At most {MAX_LINES:,} lines and {MAX_BYTES // 1024 // 1024} MiB. Guests that "
        "are not known are told by line, and are not made. A file with a line that cannot be read "
        "changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("list", metavar="LIST", help="Its friendly ID, ref or name.")
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument(
            "--mode",
            choices=[str(mode) for mode in Mode],
            default=str(Mode.ADD),
            help="Put them on the list (unless given), take them off it, or let them be all of it.",
        )
        choosing.add_client_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        segment = choosing.segment(options["list"], options["client"])
        progress = Progress(self.stderr)
        try:
            with options["file"].open("rb") as file:
                changed = segments.lists.import_file(
                    segment,
                    file,
                    clients.load(segment.client),
                    mode=Mode(options["mode"]),
                    now=timezone.now(),
                    progress=lambda done, lines: progress.show(f"{done:,} of {lines:,} lines"),
                )
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from None
        except FileRefused as error:
            raise CommandError("\n".join([*error.flaws, "Nothing was changed."])) from None
        except SegmentError as error:
            raise CommandError(str(error)) from None
        finally:
            progress.clear()
        self._tell(changed)

    def _tell(self, changed: Changed) -> None:
        for named in changed.unknown:
            self.stderr.write(f"{named.where}: no guest has {changed.column} “{named.value}”.")
        untold = changed.unknown_count - len(changed.unknown)
        if untold:
            self.stderr.write(f"... and {untold:,} more.")
        self.stdout.write(
            f"{changed.named:,} lines, by {changed.column}: {changed.added:,} guests added, "
            f"{changed.removed:,} removed, {changed.unknown_count:,} lines name no guest."
        )
