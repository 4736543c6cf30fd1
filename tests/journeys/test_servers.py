"""The doors behind the web servers that sites run: odd, broken and oversized requests, as bytes."""

import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal
from urllib.parse import quote

import pytest
from django.db import connections

from tests import services
from tests.api import Api
from tests.conftest import Database, StartServer, started_services
from tests.connection import Answer, Connection, in_chunks, request
from tests.factories import CLIENT_KEY, FlowFactory
from tests.services import Service, WebServer, wait_until
from tests.tracking.test_doors import ODD_VALUES, UNREADABLE
from tracking import keyed
from tracking.models import Client, Event, Identifier, InboxEntry, QuarantinedMessage

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

KEY = CLIENT_KEY.encode()
CHUNKED = {"Transfer-Encoding": "chunked"}
GZIP = {"Content-Encoding": "gzip"}
# A kept connection must outlast a pause of the machine that the tests run on.
KEEP_ALIVE: dict[WebServer, tuple[str, ...]] = {
    "granian": (),
    "gunicorn": ("--keep-alive", "60"),
    "uvicorn": ("--timeout-keep-alive", "60"),
}


@dataclass(frozen=True)
class Door:
    """A door that takes events or calls, and what one of them looks like to it."""

    path: str
    one: bytes
    limit: int
    family: Literal["own", "segment"] = "own"
    #: What stands around events in a batch.
    batch: bytes = b"%s"
    content_type: str = "application/json"
    is_basic: bool = False

    def body(self, browser: str, *extras: bytes) -> bytes:
        """Write a request of one event for each of these attributes."""
        events = (
            self.one % {b"key": KEY, b"browser": browser.encode(), b"extra": extra}
            for extra in extras or (b'{"n":1}',)
        )
        return self.batch % b",".join(events)

    def refusal(self, status: int) -> int:
        """Return the status that the family has for a refusal: clients tell by it what to do."""
        return 400 if self.family == "segment" else status


VIEW = b'{"type":"VIEW","client_key":"%(key)s","browser_id":"%(browser)s","ext":%(extra)s}'
ITEM = b'{"type":"VIEW","browserId":"%(browser)s","ext":%(extra)s}'
CALL = b'{"friendlyId":"x","clientKey":"%(key)s","browserId":"%(browser)s","params":%(extra)s}'
TRACK = b'{"type":"track","event":"Seen","anonymousId":"%(browser)s","properties":%(extra)s}'
TRACK_ALONE = TRACK.replace(b"{", b'{"writeKey":"%(key)s",', 1)
CALLS = b'{"writeKey":"' + KEY + b'","batch":[%s]}'
KIB = 1024

DOORS = [
    Door("/v1.2/events", VIEW, 32 * KIB),
    Door("/v1/events/v1.2/events", VIEW, 32 * KIB),
    Door("/v2/events", ITEM, 4096 * KIB, batch=b'{"events":[%s]}', is_basic=True),
    Door("/v2/callFlows", CALL, 32 * KIB),
    Door("/v1/personalize", CALL, 32 * KIB),
    Door("/v1/batch", TRACK, 4096 * KIB, "segment", batch=CALLS),
    Door("/v1/b", TRACK, 4096 * KIB, "segment", batch=CALLS, content_type="text/plain"),
    Door("/v1/t", TRACK_ALONE, 64 * KIB, "segment", content_type="text/plain"),
]
BATCH_DOORS = [door for door in DOORS if door.batch != b"%s"]
each_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.path)


class Site:
    """The demo site behind a web server, asked on one kept connection by a page of a shop."""

    def __init__(self, api: Api, connection: Connection, server: Service) -> None:
        self.browser: str = api.create_browser()["ref"]
        self.connection = connection
        self.server: WebServer = server.name  # type: ignore[assignment]
        self._basic = api.basic

    def headers(self, door: Door) -> dict[str, str]:
        basic = {"Authorization": self._basic} if door.is_basic else {}
        return {"Origin": "https://shop.example", "Content-Type": door.content_type, **basic}

    def post(
        self,
        door: Door,
        body: bytes | None,
        *,
        chunks: bytes = b"",
        headers: dict[str, str] | None = None,
        ends: bool = False,
    ) -> Answer | None:
        """Post a body of a stated length, or chunks as they are; an answer is never a fault."""
        coding = CHUNKED if chunks else {}
        asked = {**self.headers(door), **coding, **(headers or {})}
        return self.ask(request(door.path, body, headers=asked) + chunks, ends=ends)

    def ask(self, raw: bytes, *, ends: bool = False) -> Answer | None:
        answer = self.connection.ask(raw, ends=ends)
        assert answer is None or answer.status < 500, (raw[:300], answer)
        return answer


@pytest.fixture(scope="module")
def _servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[WebServer, Database], Service]]:
    """Start each server once: all tests here run on the same database file."""
    running: dict[WebServer, Service] = {}
    with ExitStack() as stack:

        def start(name: WebServer, database: Database) -> Service:
            if name not in running:
                running[name] = services.start_http_server(
                    server=name,
                    database_url=database.url,
                    log=tmp_path_factory.mktemp("servers") / f"{name}.log",
                    args=KEEP_ALIVE[name],
                    env={"DJANGO_SETTINGS_MODULE": "tests.journeys.settings"},
                )
                stack.callback(running[name].kill)
            return running[name]

        yield start


@pytest.fixture(params=services.WEB_SERVERS)
def site(
    request: pytest.FixtureRequest,
    on_sqlite: Database,
    api: Api,
    shop: Client,
    _servers: Callable[[WebServer, Database], Service],
) -> Iterator[Site]:
    if find_spec(request.param) is None:
        pytest.skip(services.SERVER_MISSING.format(request.param))
    FlowFactory.create(client=shop, name="x", live=True)
    server = _servers(request.param, on_sqlite)
    request.node.stash[started_services] = [server]
    logged = len(server.output())
    with Connection(server.url) as connection:
        yield Site(api, connection, server)
    assert "Traceback" not in server.output()[logged:]


def held() -> tuple[int, int]:
    """How many messages are stored as events, and how many lie anywhere else."""
    return Event.objects.count(), InboxEntry.objects.count() + QuarantinedMessage.objects.count()


def expect_refusal(answer: Answer | None, door: Door, *statuses: int) -> None:
    """Check that the caller is told what is wrong as its family is told, and can read it."""
    assert answer is not None
    assert answer.status in {door.refusal(status) for status in statuses}
    said = answer.json()
    if door.family == "segment":
        assert isinstance(said["code"], str)
        assert said["message"] and said["meta"]["errors"]
    else:
        assert said["status"] == said["code"] == answer.status
        assert said["message"] and said["developerMessage"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@each_door
def test_odd_value__at_a_door__is_stored_or_refused_in_words(site: Site, door: Door) -> None:
    for name, (extra, _) in ODD_VALUES.items():
        before = sum(held())

        answer = site.post(door, door.body(site.browser, extra))

        assert answer is not None, name
        if answer.status == 200:
            assert sum(held()) == before + 1, name
        else:
            expect_refusal(answer, door, 400)
            assert sum(held()) == before, name


@pytest.mark.parametrize("door", BATCH_DOORS, ids=lambda door: door.path)
def test_odd_values__in_a_batch_of_a_hundred__cost_none_of_their_neighbours(
    site: Site, door: Door
) -> None:
    # Track calls have no limit of their own on how many properties they carry.
    codes = [code for _, code in ODD_VALUES.values() if code]
    refused = [code for code in codes if door.family == "own" or code != "too_many_ext_keys"]
    odd = iter(extra for extra, _ in ODD_VALUES.values())
    extras = [next(odd, b"{}") if n % 4 == 0 else b"{}" for n in range(100)]

    answer = site.post(door, door.body(site.browser, *extras))

    assert next(odd, None) is None
    assert answer is not None and answer.status == 200
    assert answer.headers["X-Tracking-Rejected"] == str(len(refused))
    assert held() == (100 - len(refused), len(refused))
    assert sorted(QuarantinedMessage.objects.values_list("code", flat=True)) == sorted(refused)


def test_unreadable_body__at_any_door__is_refused_and_stores_nothing(site: Site) -> None:
    for door, body in itertools.product(DOORS, UNREADABLE.values()):
        expect_refusal(site.post(door, body), door, 400)

    assert held() == (0, 0)


def test_chunked_body__plain_or_compressed__is_stored(site: Site) -> None:
    for door in DOORS:
        body = door.body(site.browser)
        packed = gzip.compress(body)

        plain = site.post(door, None, chunks=in_chunks(body, 7))
        compressed = site.post(door, None, chunks=in_chunks(packed, 7), headers=GZIP)
        counted = site.post(door, packed, headers=GZIP)

        for answer in (plain, compressed, counted):
            assert answer is not None and answer.status == 200, door

    assert held() == (3 * len(DOORS), 0)


@each_door
def test_body__over_the_limit__is_refused_for_good_however_it_is_sent(
    site: Site, door: Door
) -> None:
    # It would be taken but for its size.
    body = door.body(site.browser).ljust(door.limit + 5000)

    for sent, chunks in ((body, b""), (None, in_chunks(body, 5000))):
        expect_refusal(site.post(door, sent, chunks=chunks), door, 413)
        # gunicorn hangs up without a word on bodies that were not read to their end.
        site.connection.close()
    fitting = site.post(door, body[: door.limit])

    assert fitting is not None
    # A single call is read to twice its size, so that one too large can be set aside.
    assert (fitting.status, sum(held())) == (200, 1)


def test_compressed_body__that_cannot_be_inflated__is_refused(site: Site) -> None:
    bomb = gzip.compress(b" " * 10_000_000)

    for door in DOORS:
        body = door.body(site.browser)
        packed = gzip.compress(body)
        bad_checksum = packed[:-8] + bytes(4) + packed[-4:]
        for sent, coding, status in [
            (bomb, "gzip", 413),
            (packed[:-9], "gzip", 400),
            (body, "gzip", 400),
            (packed + b"more", "gzip", 400),
            (bad_checksum, "gzip", 400),
            (packed, "identity", 400),
            (body, "br", 415),
            (gzip.compress(packed), "gzip, gzip", 415),
        ]:
            headers = {"Content-Encoding": coding}
            expect_refusal(site.post(door, sent, headers=headers), door, status)
            chunks = in_chunks(sent)
            expect_refusal(site.post(door, None, chunks=chunks, headers=headers), door, status)

    assert held() == (0, 0)


def test_body__that_ends_too_early__is_refused_or_hung_up_on(site: Site) -> None:
    for door in DOORS:
        body = door.body(site.browser)
        chunks = in_chunks(body, len(body) - 5)

        answers = [
            # The event is whole; its sender said that more would come.
            site.post(door, body, headers={"Content-Length": str(len(body) + 50)}, ends=True),
            site.post(door, body[:-5], headers={"Content-Length": str(len(body))}, ends=True),
            site.post(door, None, chunks=chunks[: len(chunks) // 2], ends=True),
            site.post(door, None, chunks=chunks.replace(b"\r\n", b"\r\nZZ\r\n", 1), ends=True),
        ]

        for answer in answers:
            assert answer is None or answer.status == 400, door

    assert held() == (0, 0)


def test_chunks__that_break_off_behind_a_whole_event__are_refused_where_the_server_tells(
    site: Site,
) -> None:
    door = DOORS[0]
    whole = in_chunks(door.body(site.browser), KIB)

    cut = site.post(door, None, chunks=whole.removesuffix(b"0\r\n\r\n"), ends=True)
    bad = site.post(door, None, chunks=whole.replace(b"\r\n0", b"\r\nZZ"), ends=True)

    if site.server == "granian":
        # It ends a broken body as it ends a good one.
        assert [answer and answer.status for answer in (cut, bad)] == [200, 200]
        assert held() == (2, 0)
    else:
        assert all(answer is None or answer.status == 400 for answer in (cut, bad))
        assert held() == (0, 0)


GET_DOORS = {
    f"/v1.2/event/create.json?client_key={CLIENT_KEY}": DOORS[0],
    f"/v1/events/v1.2/event/create.json?client_key={CLIENT_KEY}": DOORS[1],
    f"/v2/callFlows?clientKey={CLIENT_KEY}": DOORS[3],
    f"/v1/personalize?sitecoreContextId={CLIENT_KEY}": DOORS[4],
}


def get(path: str) -> bytes:
    return request(path, None, method="GET")


def test_event_by_get__percent_encoded__is_stored(site: Site) -> None:
    for address, door in GET_DOORS.items():
        answer = site.ask(get(f"{address}&message={quote(door.body(site.browser))}"))
        assert answer is not None and answer.status == 200

    assert held() == (len(GET_DOORS), 0)


def test_event_by_get__as_raw_json__is_stored_where_the_server_takes_quotes(site: Site) -> None:
    taken = site.server != "granian"

    for address, door in GET_DOORS.items():
        answer = site.ask(get(f"{address}&message={door.body(site.browser).decode()}"))
        assert answer is not None
        assert answer.status == (200 if taken else 400)

    assert held() == (len(GET_DOORS) if taken else 0, 0)


def test_tracking_address__with_a_slash_in_an_id__is_told_apart_as_far_as_the_server_hands_it_on(
    site: Site, shop: Client
) -> None:
    answers = [
        site.ask(get(f"/api/{CLIENT_KEY}/click/{user}/1/5?categorypath=%2FShoes%2FTrail"))
        for user in ("a%2Fb", "c")
    ]

    assert [answer and answer.status for answer in answers] == [204, 204]
    users = Identifier.objects.filter(provider="IBEXA").values_list("value", flat=True)
    assert set(users) == {keyed.user(shop.ref, "a/b"), keyed.user(shop.ref, "c")}
    assert {event.data["itemid"] for event in Event.objects.all()} == {"5"}
    assert {event.data["categorypath"] for event in Event.objects.all()} == {"Shoes/Trail"}


def test_tracking_address__with_a_backslash_or_too_long__is_refused(site: Site) -> None:
    for path, status in (
        (f"/api/{CLIENT_KEY}/click/a%5Cb/1/5", 400),
        (f"/api/{CLIENT_KEY}/click/a/1/0", 400),
        (f"/api/{CLIENT_KEY}/click/a/1/5?x={'y' * 8200}", 414),
        (f"/api/{CLIENT_KEY}/dance/a/1/5", 404),
        ("/api/nobody/click/a/1/5", 404),
    ):
        answer = site.ask(get(path))
        # A server may refuse an address of this length itself.
        assert answer is not None
        assert answer.status in (status, 400 if status == 414 else status), path

    assert held() == (0, 0)


def test_event_by_get__of_the_largest_size__is_stored_where_the_server_takes_it(
    site: Site,
) -> None:
    (address, door), *_ = GET_DOORS.items()

    for size in (6000, 30_000):
        message = door.body(site.browser, json.dumps({"a": "x" * size}).encode())
        answer = site.ask(get(f"{address}&message={quote(message)}"))
        assert answer is not None
        # gunicorn reads 8,190 bytes of an address at most, unless it is told to read any number.
        is_taken = size == 6000 or site.server != "gunicorn"
        assert answer.status == (200 if is_taken else 414), size

    assert held() == (1 if site.server == "gunicorn" else 2, 0)


def test_address__of_a_megabyte__is_refused_or_hung_up_on(site: Site) -> None:
    for address in GET_DOORS:
        answer = site.ask(get(f"{address}&message={'x' * 1_000_000}"))
        assert answer is None or answer.status in (400, 414, 431)

    assert held() == (0, 0)


def test_address__with_a_nul__is_refused(site: Site) -> None:
    key = f"client_key={CLIENT_KEY}"
    encoded = [
        "/v1.2/browser/create.json?client_key=%00",
        f"/v1.2/browser/a%00b/show.json?{key}",
        f"/v1.2/event/create.json?{key}&message=%00",
        "/v2/callFlows?message=%00",
    ]

    for path in encoded:
        answer = site.ask(get(path))
        assert answer is not None and answer.status == 400
        assert answer.json()["message"] == "The address has a NUL character."
        raw = site.ask(get(path.replace("%00", "\x00")))
        assert raw is None or raw.status == 400

    assert held() == (0, 0)


def test_head_and_options__of_a_door__act_on_nothing_and_keep_the_connection(site: Site) -> None:
    for door in DOORS:
        headers = site.headers(door)
        head = site.ask(request(door.path, None, method="HEAD", headers=headers))
        asked = {"Origin": headers["Origin"], "Access-Control-Request-Method": "POST"}
        preflight = site.ask(request(door.path, None, method="OPTIONS", headers=asked))

        assert head is not None and preflight is not None
        # Events can be listed there, and so asked about.
        assert head.status == (200 if door.path == "/v2/events" else 405)
        assert preflight.status == 204
        assert preflight.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
        assert not head.is_last and not preflight.is_last

    assert held() == (0, 0)


def test_connection__after_a_refusal__goes_on(site: Site) -> None:
    for door in DOORS:
        for bad in (b"{", b"", gzip.compress(b"{}")):
            refused = site.post(door, bad)
            taken = site.post(door, door.body(site.browser))

            assert refused is not None and refused.status == 400
            assert not refused.is_last
            assert taken is not None and taken.status == 200

    assert held() == (3 * len(DOORS), 0)


def test_connection__after_a_body_over_the_limit__goes_on_or_is_closed(site: Site) -> None:
    for door in DOORS:
        good = door.body(site.browser)

        refused = site.post(door, good.ljust(door.limit + 1))
        taken = site.post(door, good)
        if taken is None and site.server == "gunicorn":
            # It says that the connection goes on, and closes it.
            taken = site.post(door, good)

        assert refused is not None and refused.status == door.refusal(413)
        assert taken is not None and taken.status == 200

    assert held() == (len(DOORS), 0)


def test_database_connections__under_asgi__are_not_left_behind(
    on_postgres: Database, api: Api, http_server: StartServer
) -> None:
    """Each request has a thread of its own there: none finds the connection of another one."""

    def backends() -> set[int]:
        with connections[on_postgres.alias].cursor() as cursor:
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
            return {pid for (pid,) in cursor.fetchall()}

    before = backends()
    server = http_server(server="uvicorn", database_url=on_postgres.url)
    body = DOORS[0].body(api.create_browser()["ref"])

    with Connection(server.url) as connection:
        for _ in range(30):
            answer = connection.ask(request(DOORS[0].path, body))
            assert answer is not None and answer.status == 200

    wait_until(lambda: backends() <= before, what="the server's connections to be closed")
