"""`manage.py event_models`: a client's event models to a file, and from one."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tracking.event_models import editing, fields, files
from tracking.event_models.editing import Change, Outcome
from tracking.models import Client


class Command(BaseCommand):
    help = (
        "Export a client's event models as one JSON document, or import one: its models are made, "
        "or brought to what it says; those of other types stay as they are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["export", "import"])
        parser.add_argument(
            "file", nargs="?", metavar="FILE", type=Path, help="Standard in or out else."
        )
        parser.add_argument("--client", required=True, help="The client's name.")
        parser.add_argument(
            "--dry-run", action="store_true", help="import: say what would be done, and do nothing."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        client = Client.objects.filter(name=options["client"]).first()
        if client is None:
            names = ", ".join(Client.objects.order_by("name").values_list("name", flat=True))
            raise CommandError(f"There is no client “{options['client']}”. There are: {names}.")
        try:
            if options["action"] == "export":
                self._export(client, options["file"])
            else:
                self._import(client, options["file"], dry_run=options["dry_run"])
        except fields.InvalidModel as error:
            raise CommandError(
                f"A stored model cannot be read; save it in the admin: {error}"
            ) from error
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}.") from error

    def _export(self, client: Client, output: Path | None) -> None:
        document = editing.export(client.pk)
        if output is None:
            self.stdout.write(document, ending="")
            return
        output.write_text(document, encoding="utf-8")
        count = client.event_models.count()
        self.stderr.write(f"Exported to {output}: {count} event model(s).")

    def _import(self, client: Client, source: Path | None, *, dry_run: bool) -> None:
        raw = source.read_bytes() if source else sys.stdin.buffer.read()
        try:
            models = files.read(raw, most_extension=editing.most_extension())
        except files.InvalidFile as error:
            raise CommandError(f"Nothing was changed.\n{error}") from error
        changes = editing.import_models(client.pk, models, dry_run=dry_run)
        for change in changes:
            self.stdout.write(f"  {change.type}: {change.outcome}")
        self.stdout.write(_summary(changes, dry_run=dry_run))


def _summary(changes: list[Change], *, dry_run: bool) -> str:
    counts = ", ".join(
        f"{sum(change.outcome is outcome for change in changes)} {outcome}" for outcome in Outcome
    )
    told = "Dry run, nothing was changed. It would be" if dry_run else "Event models"
    return f"{told}: {counts}."
