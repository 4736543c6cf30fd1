"""`manage.py demo`: the whole product on one machine, from an empty database to a shop to visit."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import timezone

from project.demo import comeback, flows, history, payloads, server
from project.demo.api import Api
from project.demo.journey import Journey
from project.demo.progress import bar

CLIENT_KEY = str(settings.TRACKING["SITE_CLIENT_KEY"])
# Known to everybody, and good for nothing: the demo's server listens on this machine alone.
API_TOKEN = "demo-api-token-for-this-machine-only"
USER = PASSWORD = "admin"


class Command(BaseCommand):
    help = (
        "Make the demo shop (again), replay a visitor's journey through the HTTP API, print the "
        "TRACKING event and the personalised answer, and serve the shop and the admin."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once",
            action="store_true",
            help="End after the journey; 1 is the exit status if any answer was wrong.",
        )
        parser.add_argument("--port", type=int, help="Where to serve; 8000 or the next free one.")
        parser.add_argument(
            "--fresh", action="store_true", help="Throw away the demo's database first."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Ended politely, by whichever of the two, the server that was started ends too.
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.default_int_handler)
        try:
            self._run(**options)
        except server.ServerFailed as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            self.stdout.write("\nStopped.")

    def _run(self, *, once: bool, port: int | None, fresh: bool, **options: Any) -> None:
        if fresh:
            self._forget()
        self._set_up()
        port = server.any_port() if once and not port else server.find_port(port)
        root = Path(settings.BASE_DIR)
        with server.running(port=port, root=root, log=root / "demo.log") as process:
            api = Api(host=server.HOST, port=port, client_key=CLIENT_KEY, api_token=API_TOKEN)
            self._seed(api)
            journey = self._replay(api)
            if not once:
                self._serve(process, port, journey)
        if journey.wrong:
            raise CommandError(f"{len(journey.wrong)} answers were wrong.")

    def _forget(self) -> None:
        """Delete the demo's own file; a database that somebody named is never touched."""
        name = Path(str(connection.settings_dict["NAME"]))
        if connection.vendor != "sqlite" or name.name != "demo.sqlite3":
            raise CommandError(f"--fresh is for demo.sqlite3, and the database is {name}.")
        connection.close()
        for suffix in ("", "-wal", "-shm"):
            name.with_name(name.name + suffix).unlink(missing_ok=True)

    def _set_up(self) -> None:
        self._heading(f"Setting up the database ({connection.settings_dict['NAME']})")
        call_command("migrate", interactive=False, verbosity=0)
        call_command(
            "create_client",
            "Fleet Foot",
            client_key=CLIENT_KEY,
            api_token=API_TOKEN,
            point_of_sale=[*history.POINTS_OF_SALE, "myretailsite.com"],
            identity_rule=["EMAIL", "ProfileSystem"],
            hashed_provider="ProfileSystem",
            text_item_ids=True,
            stdout=self.stdout,
        )
        users = get_user_model()._default_manager
        if not users.filter(username=USER).exists():
            users.create_superuser(username=USER, password=PASSWORD)
        self.stdout.write(f"admin: user “{USER}”, password “{PASSWORD}”")

    def _seed(self, api: Api) -> None:
        self._heading("Seeding the shop through the API")
        try:
            comeback.put(api, self.stdout.write)
        except comeback.Refused as error:
            raise CommandError(
                f"The comeback offer was refused: {error}. `manage.py demo --fresh` starts again."
            ) from None
        for friendly_id, definition in flows.ALL.items():
            answer, done = flows.put_live(api, friendly_id, definition)
            if answer.status not in (200, 201) or answer.body["friendlyId"] != friendly_id:
                raise CommandError(
                    f"The flow {friendly_id} was refused: {answer.body}. "
                    "`manage.py demo --fresh` starts again."
                )
            kind = answer.body["subtype"].lower()
            self.stdout.write(f"  {kind} {friendly_id:<24} {answer.body['status']}, {done}")
        answer = api.post("/v2.1/items", {"items": payloads.CATALOGUE}, basic=True)
        if answer.status != 200:
            raise CommandError(f"The catalogue was refused: {answer.body}")
        self.stdout.write(f"  {len(payloads.CATALOGUE)} products in the catalogue")
        sent = 0
        for batch in bar(history.batches(now=timezone.now()), "Sixty days of history", self.stdout):
            sent += self._send(api, batch)
        self.stdout.write(f"  {sent} events sent, {history.GUESTS} guests in all")

    def _send(self, api: Api, batch: history.Batch) -> int:
        """Send the batch unless an earlier run did. Returns how many events were taken."""
        stored = api.read("/v2/events", messageId=batch.last_message_id)
        if stored.body["items"]:
            return 0
        browsers = [api.create_browser().body["ref"] for _ in range(history.GUESTS_PER_BATCH)]
        answer = api.batch(batch.addressed(browsers))
        if answer.status != 200 or answer.body["rejected"]:
            raise CommandError(f"Batch {batch.number} was refused: {answer.body}")
        return int(answer.body["accepted"])

    def _replay(self, api: Api) -> Journey:
        self._heading("A visitor's journey, call by call")
        journey = Journey(api, self.stdout.write)
        journey.walk()
        self._heading("The TRACKING event of the popup, as GET /v2/events/{ref} answers it")
        self.stdout.write(json.dumps(journey.tracking_event, indent=2, ensure_ascii=False))
        self._heading("The personalised answer of POST /v2/callFlows")
        self.stdout.write(json.dumps(journey.answer, indent=2, ensure_ascii=False))
        self._heading("Why the offer, as GET /v2/executions/{ref} answers it")
        for sentence in journey.why:
            self.stdout.write(f"  {sentence}")
        self.stdout.write("")
        if journey.wrong:
            self.stderr.write(f"{len(journey.wrong)} answers were wrong:")
            for sentence in journey.wrong:
                self.stderr.write(f"  {sentence}")
        else:
            self.stdout.write(
                self.style.SUCCESS(f"{journey.calls} calls, every answer as it should be.")
            )
        return journey

    def _serve(self, process: subprocess.Popen[bytes], port: int, journey: Journey) -> None:
        root = f"http://{server.HOST}:{port}"
        self._heading("Open now; Ctrl-C ends it")
        self.stdout.write(f"  The shop    {root}/")
        self.stdout.write(f"  The admin   {root}/admin/   ({USER} / {PASSWORD})")
        if settings.HAS_OPENAPI_SIDECAR:
            self.stdout.write(f"  The API     {root}/api/docs/")
        self.stdout.write(f"  Client key  {CLIENT_KEY}")
        self.stdout.write(f"  API token   {API_TOKEN}")
        self.stdout.write(f"  Log         {settings.BASE_DIR / 'demo.log'}")
        self.stdout.write("")
        self.stdout.write("  Why somebody sees what they see, in another terminal:")
        self.stdout.write(
            f"    {_python()} manage.py explain_flow 'product_recommender*' {journey.browser_id}"
        )
        self.stdout.flush()
        if process.wait() != 0:
            raise CommandError("The server ended by itself; see demo.log.")

    def _heading(self, text: str) -> None:
        self.stdout.write("")
        self.stdout.write(self.style.MIGRATE_HEADING(text))
        self.stdout.flush()


def _python() -> str:
    """Return the interpreter as its user would type it here."""
    try:
        return str(Path(sys.executable).relative_to(Path.cwd()))
    except ValueError:
        return sys.executable
