"""`manage.py guest_data`: export or erase all that is kept of one person."""

import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from tracking import clients, privacy
from tracking.models import Client, Guest
from tracking.types import EMAIL
from tracking.wire import common


class Command(BaseCommand):
    help = (
        "Export all that is kept of a person as JSON, or erase it for good: profile, history, "
        "what waits in the inbox, what was set aside, and everything that other apps keep."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["export", "erase"])
        parser.add_argument("--client", required=True, help="The client's name.")
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("--ref", type=_ref, help="The guest's ref.")
        who.add_argument("--email", help="An e-mail address that names the person.")
        who.add_argument(
            "--identifier", nargs=2, metavar=("PROVIDER", "ID"), help="What else names the person."
        )
        parser.add_argument("--output", type=Path, help="File to export to; standard output else.")
        parser.add_argument("--yes", action="store_true", help="Erase without asking.")

    def handle(self, *args: Any, **options: Any) -> None:
        client = Client.objects.filter(name=options["client"]).first()
        if client is None:
            names = ", ".join(Client.objects.order_by("name").values_list("name", flat=True))
            raise CommandError(f"There is no client “{options['client']}”. There are: {names}.")
        subject = _subject(client, options)
        if options["action"] == "export":
            self._export(subject, options["output"])
        else:
            self._erase(subject, asks=not options["yes"])

    def _export(self, subject: privacy.Subject, output: Path | None) -> None:
        if output is None:
            for piece in privacy.export(subject):
                self.stdout.write(piece.decode(), ending="")
            return
        with output.open("wb") as file:
            for piece in privacy.export(subject):
                file.write(piece)
        self.stderr.write(f"Exported to {output}: {output.stat().st_size:,} bytes.")

    def _erase(self, subject: privacy.Subject, *, asks: bool) -> None:
        guests = len(subject.guest_ids)
        known = f"{guests} guest(s)" if guests else "no guest; what waits or was set aside"
        self.stdout.write(f"To erase: {known}, {len(subject.keys)} identifier(s).")
        if asks:
            if not sys.stdin.isatty():
                raise CommandError("Nothing was erased: say --yes where nobody can be asked.")
            if input("This cannot be undone. Erase? [y/N] ").strip().lower() != "y":
                raise CommandError("Nothing was erased.")
        erased = privacy.erase(subject, until=timezone.now(), progress=self._tell)
        self.stdout.write(f"Erased: {erased.total} rows. Nothing of before now comes back.")

    def _tell(self, name: str, count: int) -> None:
        if count:
            self.stdout.write(f"  {name}: {count}")


def _ref(text: str) -> UUID:
    return UUID(text)


def _subject(client: Client, options: dict[str, Any]) -> privacy.Subject:
    if options["ref"] is not None:
        guest = Guest.objects.filter(client=client, ref=options["ref"]).first()
        if guest is None:
            raise CommandError("The client has no guest with this ref.")
        return privacy.subject_of(guest)
    provider, value = options["identifier"] or (EMAIL, options["email"])
    return privacy.subject_named(clients.load(client), common.key(provider.strip(), value.strip()))
