"""The browser SDKs of Customer.io Data Pipelines and Segment, bundled as a site bundles them."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest
from django.db import connections
from playwright.sync_api import Error, Page

from tests.api import Api
from tests.conftest import Database, StartServer
from tests.sdks import front
from tests.sdks.conftest import HERE
from tests.sdks.front import Fault, Front
from tests.services import Service, wait_until
from tracking.models import Client

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

LOOPBACK = {"localhost", "127.0.0.1"}
#: A page's address, with what it was reached by.
SHOES = "/shoes?utm_source=letter&utm_campaign=autumn"
READABLE = ("access-control-allow-origin", "*")


@dataclass(frozen=True)
class Sdk:
    """One of the two: its package, and what it does otherwise than the other."""

    name: str
    package: str
    #: Its name in the settings document and in a call's `integrations`.
    integration: str
    #: Where its snippet puts it.
    snippet: str
    #: Whether it shows credentials, for which a browser asks first.
    is_preflighted: bool

    def batching(self, **config: int) -> dict[str, Any]:
        """Options of `load` that make it send batches."""
        strategy = {"strategy": "batching", "config": config}
        return {"integrations": {self.integration: {"deliveryStrategy": strategy}}}


CUSTOMERIO = Sdk(
    "customerio",
    package="@customerio/cdp-analytics-browser",
    integration="Customer.io Data Pipelines",
    snippet="cioanalytics",
    is_preflighted=False,
)
SEGMENT = Sdk(
    "segment",
    package="@segment/analytics-next",
    integration="Segment.io",
    snippet="analytics",
    is_preflighted=True,
)
SDKS = (CUSTOMERIO, SEGMENT)
both = pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)


# --- A site with the SDKs in its pages ----------------------------------------------------------


@pytest.fixture(scope="session")
def bundles(node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the SDKs' files, each one with the parts that it loads when it needs them."""
    folder = tmp_path_factory.mktemp("bundles")
    entries = [f"{sdk.name}={sdk.package}" for sdk in SDKS]
    subprocess.run(
        [str(node_modules / ".bin" / "esbuild"), *entries, "--bundle", "--splitting"]
        + ["--format=esm", f"--outdir={folder}", "--log-level=warning"],
        cwd=node_modules.parent,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return folder


class Pages(SimpleHTTPRequestHandler):
    """Serves the SDKs' files, and for any other address a page with the SDK that it begins with."""

    def do_GET(self) -> None:
        if self.path.startswith("/sdk/"):
            self.path = self.path.removeprefix("/sdk")
            super().do_GET()
            return
        _, sdk, path = self.path.split("/", 2)
        name = f"snippet_{sdk}.html" if path.startswith("snippet") else "pipelines_browser.html"
        page = (HERE / name).read_text().replace("SDK.js", f"{sdk}.js")
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def pages(bundles: Path) -> Iterator[str]:
    """The origin of a shop's pages: another one than the API's."""
    handler = partial(Pages, directory=str(bundles))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture
def door(server: Service) -> Iterator[Front]:
    """What the SDKs are pointed at: a proxy before the server."""
    with front.before(server.url) as proxy:
        yield proxy


@pytest.fixture
def database_away(on_postgres: Database) -> Callable[[], AbstractContextManager[None]]:
    """Keep the server from its database for a `with` block."""
    ours = connections[on_postgres.alias]
    ours.ensure_connection()
    name, pid = ours.settings_dict["NAME"], ours.connection.info.backend_pid
    url = on_postgres.url.replace(f"/{name}?", "/postgres?")

    @contextmanager
    def away() -> Iterator[None]:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
            try:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = %s AND pid <> %s",
                    [name, pid],
                )
                yield
            finally:
                connection.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')

    return away


@dataclass
class Visit:
    """A visitor's tab on a page with an SDK: what it asked for, and what its console says."""

    page: Page
    sdk: Sdk
    pages: str
    settings: dict[str, str]
    requested: list[str]
    console: list[str]

    def open(self, path: str = SHOES) -> None:
        self.page.goto(f"{self.pages}/{self.sdk.name}{path}", wait_until="load")

    def open_snippet(self, key: str | None = None) -> None:
        """Open a page that loads the SDK by the vendor's script tag, from our server."""
        given = {"host": self.settings["cdnURL"], "key": key or self.settings["writeKey"]}
        self.open(f"/snippet?{urlencode(given)}")

    def load(self, **options: Any) -> None:
        """Load the SDK as a site does, with only its address changed."""
        self.page.evaluate("(given) => load(...given)", [self.settings, options])

    def call(self, name: str, *args: Any) -> dict[str, Any]:
        """Make a call and return the event, once the SDK says that it is done with it."""
        event: dict[str, Any] = self.page.evaluate("(args) => call(...args)", [name, *args])
        return event

    def reported(self) -> dict[str, list[str]]:
        said: dict[str, list[str]] = self.page.evaluate("reported")
        return said

    def hurry(self) -> None:
        """Make the SDK's pauses short from the next page on: a tenth of what it asks for."""
        self.page.add_init_script(
            "const wait = setTimeout;"
            " window.setTimeout = (call, pause, ...args) => wait(call, (pause ?? 0) / 10, ...args);"
        )

    def hosts(self) -> set[str | None]:
        return {urlsplit(url).hostname for url in self.requested if not url.startswith("data:")}


OpenVisit = Callable[[Sdk, Front], AbstractContextManager[Visit]]


@pytest.fixture
def visit(api: Api, pages: str, browser: Callable[..., Any]) -> OpenVisit:
    """Open a tab on a page with an SDK that is pointed at a door; no query may run meanwhile."""

    @contextmanager
    def open_(sdk: Sdk, door: Front) -> Iterator[Visit]:
        settings = {"writeKey": api.client_key, "cdnURL": door.url}
        requested: list[str] = []
        console: list[str] = []
        with browser() as context:
            page = context.new_page()
            context.on("request", lambda request: requested.append(request.url))
            page.on("console", lambda message: console.append(message.text))
            page.on("pageerror", lambda error: console.append(str(error)))
            yield Visit(page, sdk, pages, settings, requested, console)

    return open_


def stored(api: Api, event: dict[str, Any]) -> dict[str, Any]:
    """Return the one event that was stored of a call, in the form in which it was made."""
    form: dict[str, Any]
    (form,) = api.read("/v2/events", messageId=event["messageId"], form="track")["items"]
    return form


def sent(event: dict[str, Any], door: Front) -> dict[str, Any]:
    """Return what the SDK sent of a call, as an event in that form has it."""
    (message,) = (m for m in door.messages() if m["messageId"] == event["messageId"])
    # What is to be read back as `timestamp` is the time by the server's clock.
    kept = {"originalTimestamp" if k == "timestamp" else k: v for k, v in message.items()}
    del kept["writeKey"]
    return kept


# --- What works with nothing but the address changed --------------------------------------------


@both
def test_browser_sdk__with_only_its_address_changed__delivers_every_call(
    sdk: Sdk, api: Api, door: Front, visit: OpenVisit
) -> None:
    with visit(sdk, door) as tab:
        tab.open()
        tab.load()
        events = [
            tab.call("page", "Shoes", {"shelf": "top"}),
            tab.call("track", "Product Added", {"sku": "abc-123-xyz", "price": 139.99}),
            tab.call("identify", "u-1", {"email": "ada@example.com", "firstName": "Ada"}),
            tab.call("track", "Order Completed", {"total": 80}),
            tab.call("group", "g-1", {"name": "Analytical Engines"}),
            tab.call("screen", "Basket", {"lines": 2}),
            tab.call("alias", "u-1", "u-0"),
        ]
        tab.page.evaluate("analytics.reset()")
        events.append(tab.call("track", "Product Viewed"))
        reported = tab.reported()

    types = [event["type"] for event in events]
    assert types == ["page", "track", "identify", "track", "group", "screen", "alias", "track"]
    assert reported == {"emitted": [*types[:-1], "reset", "track"], "errors": []}
    assert tab.console == []
    assert tab.hosts() == LOOPBACK
    assert [call.path for call in door.posts()] == [f"/v1/{type[0]}" for type in types]
    assert {call.status for call in door.posts()} == {200}
    asked = {f"/v1/{type[0]}": {"authorization"} for type in types}
    assert door.asked() == (asked if sdk.is_preflighted else {})
    for event in events:
        assert stored(api, event).items() >= sent(event, door).items()

    (link,) = api.read("/v2.1/guests", email="ada@example.com")["items"]
    guest = api.read(urlsplit(link["href"]).path)
    assert (guest["guestType"], guest["firstName"]) == ("customer", "Ada")
    theirs = api.read("/v2/events", guestRef=guest["ref"], form="track")["items"]
    until_reset = [event["messageId"] for event in events[:-1]]
    assert [call["messageId"] for call in reversed(theirs)] == until_reset


@both
def test_browser_sdk__batching__delivers_full_batches_and_the_rest_on_leaving(
    sdk: Sdk, api: Api, door: Front, visit: OpenVisit
) -> None:
    with visit(sdk, door) as tab:
        tab.open()
        tab.load(**sdk.batching(size=3, timeout=600_000))
        events = [
            tab.call("page", "Shoes"),
            tab.call("track", "Product Added"),
            tab.call("identify", "u-1", {"email": "ada@example.com"}),
            tab.call("track", "Order Completed", {"total": 80}),
        ]
        door.wait_for_answers(1)
        tab.open("/thanks")
        door.wait_for_answers(2)
        reported = tab.console, tab.hosts()

    assert reported == ([], LOOPBACK)
    assert [call.path for call in door.posts()] == ["/v1/b", "/v1/b"]
    assert [len(call.message_ids) for call in door.posts()] == [3, 1]
    assert door.asked() == ({"/v1/b": {"authorization"}} if sdk.is_preflighted else {})
    for event in events:
        assert stored(api, event).items() >= sent(event, door).items()


@both
def test_browser_sdk__loaded_by_its_snippet__delivers_what_was_called_before_and_after(
    sdk: Sdk,
    api: Api,
    node_modules: Path,
    on_postgres: Database,
    http_server: StartServer,
    visit: OpenVisit,
) -> None:
    files = {
        f"{each.name.upper()}_SDK_FOLDER": str(node_modules / each.package / "dist" / "umd")
        for each in SDKS
    }
    settings = {"DJANGO_SETTINGS_MODULE": "tests.sdks.snippet_settings", **files}
    server = http_server(database_url=on_postgres.url, env=settings)
    with front.before(server.url) as door, visit(sdk, door) as tab:
        tab.open_snippet()
        tab.page.evaluate(f"() => new Promise((ready) => {sdk.snippet}.ready(ready))")
        door.wait_for_answers(1)
        track = f"() => {sdk.snippet}.track('Product Added').then((done) => done.event.messageId)"
        added = tab.page.evaluate(track)
        reported = list(tab.console)
        tab.open_snippet(key="nobodys-key")

    assert reported == []
    assert tab.hosts() == LOOPBACK
    assert [call.path for call in door.posts()] == ["/v1/p", "/v1/t"]
    viewed, last = door.messages()
    assert last["messageId"] == added
    # Bundled ones call themselves npm:next.
    assert viewed["context"]["library"]["version"].startswith("next-")
    assert stored(api, viewed)["type"] == "page"
    assert stored(api, last)["event"] == "Product Added"
    scripts = [call for call in door.calls if call.path.endswith(".js")]
    assert [call.status for call in scripts] == [200, 200, 404]


# --- What goes wrong on the way -----------------------------------------------------------------


UNHEARD = {
    "the answer cannot be read": Fault(cors_lost=True),
    "the answer is lost": Fault(answer_lost=True),
    "the server cannot be reached": Fault(refused=True),
    "the overloaded server cannot be read": Fault(instead=(503, [])),
}
#: What only Segment's takes for a failure.
REFUSED_FOR_NOW = {"the server is overloaded": Fault(instead=(503, [READABLE]))}


@both
def test_browser_sdk__not_told_that_it_was_heard__sends_again_and_counts_once(
    sdk: Sdk, api: Api, door: Front, visit: OpenVisit
) -> None:
    faults = UNHEARD | REFUSED_FOR_NOW if sdk is SEGMENT else UNHEARD
    with visit(sdk, door) as tab:
        tab.hurry()
        tab.open()
        tab.load()
        events = []
        for number, (name, fault) in enumerate(faults.items(), start=1):
            door.faults = [fault]
            events.append(tab.call("track", name))
            door.wait_for_answers(2 * number)
        errors = tab.reported()["errors"]

    assert errors == []
    twice = [event["messageId"] for event in events for _ in range(2)]
    assert [id for call in door.posts() for id in call.message_ids] == twice
    if sdk.is_preflighted:
        assert door.asked() == {"/v1/t": {"authorization", "x-retry-count"}}
        counts = [call.headers.get("x-retry-count") for call in door.posts()]
        assert counts == [None, "1"] * len(faults)
    for event in events:
        assert stored(api, event)["event"] == event["event"]


@both
def test_browser_sdk__server_without_its_database_and_then_killed__counts_each_once(
    sdk: Sdk,
    api: Api,
    server: Service,
    door: Front,
    visit: OpenVisit,
    on_postgres: Database,
    http_server: StartServer,
    database_away: Callable[[], AbstractContextManager[None]],
) -> None:
    restarted = threading.Event()
    with visit(sdk, door) as tab:
        tab.hurry()
        tab.open()
        tab.load()
        known = len(door.calls)
        with database_away():
            events = [tab.call("track", "Product Viewed")]
            # The call itself, or the question whether it may be made.
            wait_until(lambda: door.calls[known:] and door.calls[known].status, timeout=30.0)
        door.wait_for(lambda posts: posts and posts[-1].status == 200, what="an accepted POST")
        refused = {call.status for call in door.calls} - {200, 204}

        posted = len(door.posts())
        server.pause()
        tab.page.evaluate("() => { window.left = call('track', 'Product Added'); }")
        door.wait_for(lambda posts: len(posts) > posted, what="a call in the server's hands")
        door.faults = [Fault(held=restarted)]
        server.kill()
        events.append(tab.page.evaluate("left"))
        door.upstream = http_server(database_url=on_postgres.url).url
        restarted.set()
        door.wait_for_answers(posted + 2)

    assert refused == {503}
    assert [call.status for call in door.posts()[posted:]] == [0, 200]
    for event in events:
        assert stored(api, event)["event"] == event["event"]


@both
def test_browser_sdk__page_left_with_a_call_in_flight__sends_again_and_counts_once(
    sdk: Sdk, api: Api, door: Front, visit: OpenVisit
) -> None:
    arrived = threading.Event()
    door.faults = [Fault(held=arrived), Fault(held=arrived)]
    with visit(sdk, door) as tab:
        tab.hurry()
        tab.open()
        tab.load()
        tab.page.evaluate("() => void call('track', 'Product Added')")
        door.wait_for(lambda posts: len(posts) == 1, what="the first copy")
        tab.open("/basket")
        tab.load()
        door.wait_for(lambda posts: len(posts) == 2, what="the next page's copy")
        # Both reach the server at once.
        arrived.set()
        door.wait_for_answers(2)

    first, second = door.messages()
    assert first["messageId"] == second["messageId"]
    assert first["context"]["page"]["path"] == second["context"]["page"]["path"]
    assert stored(api, first)["event"] == "Product Added"


@both
def test_browser_sdk__batching_in_a_tab_that_is_hidden_and_shown__counts_once(
    sdk: Sdk, api: Api, door: Front, visit: OpenVisit
) -> None:
    with visit(sdk, door) as tab:
        tab.open()
        tab.load(**sdk.batching(size=3, timeout=600_000))
        events = [tab.call("track", "Product Viewed"), tab.call("track", "Product Added")]
        tab.page.evaluate("turn('hidden')")
        door.wait_for_answers(1)
        tab.page.evaluate("turn('visible')")
        events.append(tab.call("track", "Order Completed"))
        door.wait_for_answers(2)

    viewed, added, completed = (event["messageId"] for event in events)
    batches = [call.message_ids for call in door.posts()]
    assert batches == [[viewed, added], [viewed, added, completed]]
    for event in events:
        assert stored(api, event)["event"] == event["event"]


# --- What is refused ----------------------------------------------------------------------------


LOAD = "(settings) => load(settings).then(() => 'loaded', (error) => error.message)"


@both
def test_browser_sdk__not_let_in__is_told_and_asks_no_other_server(
    sdk: Sdk, api: Api, door: Front, visit: OpenVisit
) -> None:
    client = Client.objects.get()
    client.allowed_origins = ["https://shop.example"]
    client.save()
    with visit(sdk, door) as tab:
        tab.open()
        unknown = tab.page.evaluate(LOAD, tab.settings | {"writeKey": "nobodys-key"})
        foreign = tab.page.evaluate(LOAD, tab.settings)

    assert json.loads(unknown)["message"] == "The write key is not known to this server."
    assert unknown in tab.console
    assert foreign == "Failed to fetch"
    assert tab.hosts() == LOOPBACK
    assert door.posts() == []


def test_segment_browser__event_that_is_too_large__reports_it_once_and_goes_on(
    api: Api, door: Front, visit: OpenVisit
) -> None:
    with visit(SEGMENT, door) as tab:
        tab.open()
        tab.load()
        with pytest.raises(Error, match="Non-retryable error: 400"):
            tab.call("track", "Story Told", {"text": "word " * 20_000})
        event = tab.call("track", "Product Added")
        errors = tab.reported()["errors"]

    assert errors == ["delivery_failure: NonRetryableError: Non-retryable error: 400"]
    assert [call.status for call in door.posts()] == [400, 200]
    assert stored(api, event)["event"] == "Product Added"
