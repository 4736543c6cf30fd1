"""`manage.py export_segment`: write who is in a segment into a CSV file."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from personalize import segments
from personalize.management import choosing


class Command(BaseCommand):
    help = (
        "Write the guests who are in a segment now as CSV, with their addresses. Cells that a "
        "spreadsheet would run begin with an apostrophe."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("segment", metavar="SEGMENT", help="Its friendly ID, ref or name.")
        parser.add_argument(
            "file", type=Path, nargs="?", metavar="FILE", help="Unless given: standard output."
        )
        choosing.add_client_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        segment = choosing.segment(options["segment"], options["client"])
        rows = segments.exports.rows(segment)
        if options["file"] is None:
            for row in rows:
                self.stdout.write(row, ending="")
            return
        try:
            with options["file"].open("w", encoding="utf-8", newline="") as file:
                file.writelines(rows)
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be written: {error.strerror}.") from None
        self.stderr.write(f"Written to {options['file']}.", style_func=str)
