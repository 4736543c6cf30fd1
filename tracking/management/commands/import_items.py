"""`manage.py import_items`: read a catalogue from a file, however large."""

import os
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.utils import timezone

from tracking import catalogue, clients
from tracking.items import CatalogueItem
from tracking.models import Client
from tracking.types import ClientConfig
from tracking.wire import item_files
from tracking.wire.flaws import Flaw

_BATCH = 1000
_WIDTH = 30
_DRAWN_EVERY = 0.1


class Command(BaseCommand):
    help = (
        "Import items from a file of JSON, NDJSON, CSV or Ibexa's XML. Each overwrites what was "
        "known of it. Rows that are no items are reported by line; the others are in all the same."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--client", required=True, help="The client's name.")
        parser.add_argument(
            "--format", choices=item_files.FORMS, help="As the file's ending says, unless given."
        )
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument(
            "--delete-missing",
            action="store_true",
            help="Delete imported items that the file does not have, of the types that it has. "
            "Items that only clicks know stay. Not done where a row is refused.",
        )
        mode.add_argument("--dry-run", action="store_true", help="Read and check; change nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        client, form = _client(options["client"]), _form(options["file"], options["format"])
        now = timezone.now()
        try:
            with options["file"].open("rb") as file:
                run = _Run(client, now=now, stores=not options["dry_run"])
                self._read(run, file, form)
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from None
        except catalogue.ReadElsewhere as error:
            raise CommandError(f"{error} {run.stored:,} items of before are imported.") from None
        done = "would be imported" if options["dry_run"] else "imported"
        self.stdout.write(f"{run.stored:,} items {done}, {run.refused:,} rows refused.")
        if options["delete_missing"] and not run.refused:
            deleted = catalogue.forget_missing(client.id, run.types, since=now)
            self.stdout.write(f"{deleted:,} items deleted that the file does not have.")
        if run.refused:
            kept = " No item was deleted." if options["delete_missing"] else ""
            raise CommandError(f"{run.refused:,} rows were refused: see above.{kept}")

    def _read(self, run: "_Run", file: BinaryIO, form: str) -> None:
        progress = _Progress(self.stderr, file)
        rows = item_files.read(file, form, run.client)
        while batch := list(islice(rows, _BATCH)):
            for flaw in run.take(batch):
                progress.clear()
                self.stderr.write(str(flaw))
            progress.show(run)
        progress.clear()


class _Run:
    """How far an import is. `types` are those that it has met."""

    def __init__(self, client: ClientConfig, *, now: datetime, stores: bool) -> None:
        self.client = client
        self.types: set[int] = set()
        self.stored = 0
        self.refused = 0
        self._now = now
        self._stores = stores

    def take(self, batch: list[CatalogueItem | Flaw]) -> Iterator[Flaw]:
        """Store the items of a batch. Returns its flaws."""
        items = [row for row in batch if isinstance(row, CatalogueItem)]
        if self._stores:
            catalogue.put(self.client.id, items, now=self._now)
        self.types.update(item.key.type for item in items)
        self.stored += len(items)
        self.refused += len(batch) - len(items)
        return (row for row in batch if isinstance(row, Flaw))


class _Progress:
    """A bar on a terminal, drawn by how much of the file is read; a line now and then elsewhere."""

    def __init__(self, output: OutputWrapper, file: BinaryIO) -> None:
        self._output = output
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._is_terminal = output.isatty()
        self._every = _DRAWN_EVERY if self._is_terminal else 10.0
        # A terminal is told at once, a log only of what takes long.
        self._shown_at = 0.0 if self._is_terminal else time.monotonic()

    def show(self, run: _Run) -> None:
        if time.monotonic() - self._shown_at < self._every:
            return
        self._shown_at = time.monotonic()
        read = min(self._file.tell() / self._size, 1.0) if self._size else 0.0
        counts = f"{run.stored:,} items, {run.refused:,} refused"
        if not self._is_terminal:
            self._output.write(f"{read:.0%} read: {counts}", style_func=str)
            return
        filled = int(_WIDTH * read)
        bar = "#" * filled + "." * (_WIDTH - filled)
        self._draw(f"[{bar}] {read:.0%} {counts}")

    def clear(self) -> None:
        if self._is_terminal:
            self._draw("")

    def _draw(self, line: str) -> None:
        # Plainly: it is no error, though it goes where errors go.
        self._output.write(f"\r\x1b[K{line}", style_func=str, ending="")
        self._output.flush()


def _client(name: str) -> ClientConfig:
    client = Client.objects.filter(name=name).first()
    if client is None:
        names = ", ".join(Client.objects.order_by("name").values_list("name", flat=True))
        raise CommandError(f"There is no client “{name}”. There are: {names}.")
    return clients.load(client)


def _form(file: Path, given: str | None) -> str:
    form = given or file.suffix.lower().removeprefix(".")
    if form not in item_files.FORMS:
        forms = ", ".join(item_files.FORMS)
        raise CommandError(f"What is {file.name}? Say --format, one of {forms}.")
    return form
