"""The Python SDKs of the Data Pipelines family as they are published, against a live server."""

import atexit
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

import customerio.analytics.client as customerio  # type: ignore[import-untyped]
import customerio.analytics.request as customerio_request  # type: ignore[import-untyped]
import psycopg
import pytest
import rudderstack.analytics.client as rudderstack  # type: ignore[import-untyped]
import rudderstack.analytics.request as rudderstack_request  # type: ignore[import-untyped]
import segment.analytics.client as segment  # type: ignore[import-untyped]
import segment.analytics.request as segment_request  # type: ignore[import-untyped]
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from tests.api import Api
from tests.conftest import Database, StartServer
from tests.sdks import faults
from tests.sdks.faults import Exchange, FaultyProxy, faulty_proxy
from tests.sdks.pipelines.reading import ANONYMOUS, USER, assert_stored, stored
from tests.services import Service, database_url
from tracking.models import Client, Key

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    # What later Pythons discourage: Customer.io's own clock, and how two of them try again.
    pytest.mark.filterwarnings(r"ignore:datetime\.datetime\.utcnow:DeprecationWarning"),
    pytest.mark.filterwarnings(r"ignore:'asyncio\.iscoroutinefunction':DeprecationWarning"),
]


@dataclass(frozen=True)
class Sdk:
    """One of the SDKs, all of which descend from the same code."""

    name: str
    client: type[Any]
    error: type[Exception]


CUSTOMERIO = Sdk("customerio", customerio.Client, customerio_request.APIError)
SEGMENT = Sdk("segment", segment.Client, segment_request.APIError)
RUDDERSTACK = Sdk("rudderstack", rudderstack.Client, rudderstack_request.APIError)


@pytest.fixture(params=[CUSTOMERIO, SEGMENT, RUDDERSTACK], ids=lambda sdk: sdk.name)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    chosen: Sdk = request.param
    return chosen


class Source:
    """A client of an SDK, and what it told its caller."""

    def __init__(self, sdk: Sdk, url: str, write_key: str, **options: Any) -> None:
        self.failures: list[Exception] = []
        self.client = sdk.client(
            write_key,
            host=url,
            on_error=lambda error, batch: self.failures.append(error),
            # Attempts end within a minute whatever happens, and so do the tests.
            **{"upload_interval": 0.1, "max_retries": 6} | options,
        )

    def call(self, kind: str, /, **given: Any) -> dict[str, Any]:
        """Make a call; return the message that the SDK says it took."""
        taken, message = getattr(self.client, kind)(**given)
        assert taken
        assert isinstance(message, dict)
        return message


@contextmanager
def source(sdk: Sdk, url: str, write_key: str, **options: Any) -> Iterator[Source]:
    """Open a client, and have all that was given to it sent when the block ends."""
    opened = Source(sdk, url, write_key, **options)
    sender = opened.client.consumers[0] if opened.client.consumers else None
    try:
        yield opened
        if sender:
            opened.client.shutdown()
    finally:
        # After a failure nothing is waited for: not here, and not when the interpreter ends.
        atexit.unregister(opened.client.join)
        if sender:
            sender.pause()


EVERY_CALL: list[tuple[str, dict[str, Any]]] = [
    (
        "identify",
        {
            "user_id": USER,
            "anonymous_id": ANONYMOUS,
            "traits": {"email": "ada@example.com", "plan": {"name": "pro", "seats": [1, 2]}},
        },
    ),
    (
        "track",
        {
            "user_id": USER,
            "event": "Order Completed",
            "properties": {"revenue": 39.95, "products": [{"sku": "G-32"}], "gift": True},
        },
    ),
    (
        "page",
        {
            "anonymous_id": ANONYMOUS,
            "category": "Docs",
            "name": "Prices",
            "properties": {"url": "https://shop.example/prices", "title": "Prices"},
        },
    ),
    ("screen", {"user_id": USER, "category": "App", "name": "Cart", "properties": {"items": 3}}),
    ("group", {"user_id": USER, "group_id": "acme", "traits": {"name": "Acme", "employees": 20}}),
    ("alias", {"previous_id": ANONYMOUS, "user_id": USER}),
]


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_python_sdk__every_call_in_sync_mode__is_stored_once_as_it_was_said(
    sdk: Sdk, gzip: bool, api: Api, proxy: FaultyProxy
) -> None:
    with source(sdk, proxy.url, api.client_key, sync_mode=True, gzip=gzip) as opened:
        sent = [opened.call(name, **given) for name, given in EVERY_CALL]

    assert proxy.statuses == [200] * len(EVERY_CALL)
    for exchange in proxy.exchanges:
        assert exchange.answer is not None
        assert isinstance(exchange.answer.json(), dict)
        assert (exchange.headers["Content-Encoding"] == "gzip") == gzip
    assert_stored(api, sent)


def test_python_sdk__calls_from_its_own_thread__are_stored_in_their_order(
    sdk: Sdk, api: Api, proxy: FaultyProxy
) -> None:
    with source(sdk, proxy.url, api.client_key) as opened:
        sent = [opened.call(name, **given) for name, given in EVERY_CALL]

    assert opened.failures == []
    assert set(proxy.statuses) == {200}
    assert_stored(api, sent)
    of_the_browser = api.read("/v2/events", browserRef=ANONYMOUS)["items"]
    assert [event["type"] for event in reversed(of_the_browser)] == ["IDENTITY", "VIEW"]


def test_python_sdk__flush_of_250_calls__stores_each_of_them(
    sdk: Sdk, api: Api, proxy: FaultyProxy
) -> None:
    # Its thread waits so long for a batch to become full.
    with source(sdk, proxy.url, api.client_key, upload_interval=0.5) as opened:
        sent = [opened.call("track", user_id=USER, event=f"Step {n}") for n in range(250)]

    assert opened.failures == []
    assert [len(exchange.json()["batch"]) for exchange in proxy.exchanges] == [100, 100, 50]
    assert set(proxy.statuses) == {200}
    assert [event["event"] for event in stored(api)] == [message["event"] for message in sent]


def test_python_sdk__largest_events_that_it_lets_through__are_stored(
    sdk: Sdk, api: Api, proxy: FaultyProxy
) -> None:
    with source(sdk, proxy.url, api.client_key, upload_interval=0.5) as opened:
        # Not one letter over and over, which would be compressed to nothing.
        letters = [secrets.token_hex(16_150) for _ in range(20)]
        sent = [
            opened.call("track", user_id=USER, event="Letter", properties={"text": letter})
            for letter in letters
        ]

    assert opened.failures == []
    assert set(proxy.statuses) == {200}
    assert max(len(exchange.json()["batch"]) for exchange in proxy.exchanges) > 14
    assert_stored(api, sent)


def test_python_sdk__options_of_a_call__reach_the_event(
    sdk: Sdk, api: Api, proxy: FaultyProxy
) -> None:
    long_ago = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=timezone(timedelta(hours=5.5)))
    options: dict[str, Any] = {
        "context": {"ip": "203.0.113.7", "locale": "en-IE", "page": {"url": "https://a.example/"}},
        "integrations": {"All": False, "Warehouse": {"sync": True}},
    }
    with source(sdk, proxy.url, api.client_key) as opened:
        sent = [
            opened.call(
                name,
                timestamp=long_ago,
                message_id=f"{name}-{'x' * (99 - len(name))}",
                **given | {key: dict(value) for key, value in options.items()},
            )
            for name, given in EVERY_CALL
        ]

    assert opened.failures == []
    for event in assert_stored(api, sent):
        assert len(event["messageId"]) == 100
        assert event["context"].items() >= options["context"].items()
        assert event["integrations"] == options["integrations"]
        assert event["originalTimestamp"].startswith("2024-02-29T")


def test_python_sdk__numbers_for_ids__are_stored_as_text(
    sdk: Sdk, api: Api, proxy: FaultyProxy
) -> None:
    with source(sdk, proxy.url, api.client_key) as opened:
        opened.call("track", user_id=42, anonymous_id=7, event="Counted")
        opened.call("group", user_id=42, group_id=1001)
        opened.call("alias", user_id=42, previous_id=43)

    assert opened.failures == []
    (batch,) = [exchange.json()["batch"] for exchange in proxy.exchanges]
    assert (batch[1]["groupId"], batch[2]["previousId"]) == (1001, 43)
    track, group, alias = stored(api)
    assert (track["userId"], track["anonymousId"]) == ("42", "7")
    assert (group["userId"], group["groupId"]) == ("42", "1001")
    assert (alias["userId"], alias["previousId"]) == ("42", "43")


def test_python_sdk__values_that_cannot_be_stored__hurt_no_neighbour(
    sdk: Sdk, api: Api, proxy: FaultyProxy
) -> None:
    odd = {"nan": float("nan"), "far": float("inf"), "nul": "a\x00b", "half": "\ud83d"}
    with source(sdk, proxy.url, api.client_key) as opened:
        opened.call("track", user_id=USER, event="Before")
        opened.call("track", user_id=USER, event="Odd", properties=odd)
        opened.call("track", user_id=USER, event="Huge", properties={"count": 2**70})
        opened.call("track", user_id=USER, event="After")

    assert opened.failures == []
    (exchange,) = proxy.exchanges
    assert exchange.answer is not None
    assert exchange.answer.status == 200
    reported = [rejected["index"] for rejected in exchange.answer.json()["rejected"]]
    assert [exchange.json()["batch"][index]["event"] for index in reported] == ["Huge"]
    assert [event["event"] for event in stored(api)] == ["Before", "Odd", "After"]


def test_customerio_python__group_without_user__is_stored(api: Api, proxy: FaultyProxy) -> None:
    with source(CUSTOMERIO, proxy.url, api.client_key, sync_mode=True) as opened:
        sent = [opened.call("group", group_id="acme", traits={"name": "Acme"})]

    assert (sent[0]["userId"], sent[0]["anonymousId"]) == (None, None)
    assert_stored(api, sent)


def test_customerio_python__regional_key__is_sent_as_bearer_and_known(
    api: Api, proxy: FaultyProxy
) -> None:
    key = "pk_us_0123456789abcdefghijklmn"
    Key.objects.create(client=Client.objects.get(), kind="PUBLIC", value=key, prefix=key[:6])
    # As it comes from a mounted file.
    with source(CUSTOMERIO, proxy.url, f"{key}\n", sync_mode=True) as opened:
        sent = [opened.call(name, **given) for name, given in EVERY_CALL]

    assert {exchange.headers["Authorization"] for exchange in proxy.exchanges} == {f"Bearer {key}"}
    assert proxy.statuses == [200] * len(EVERY_CALL)
    assert_stored(api, sent)


def test_rudderstack_python__traits_of_identify__make_the_guest_known(
    api: Api, proxy: FaultyProxy
) -> None:
    with source(RUDDERSTACK, proxy.url, api.client_key) as opened:
        message = opened.call(
            "identify", user_id=USER, traits={"firstName": "Ada", "email": "ada@example.com"}
        )

    assert "traits" not in message
    (event,) = assert_stored(api, [message])
    assert event["context"]["traits"] == {"firstName": "Ada", "email": "ada@example.com"}
    (guest,) = api.read("/v2.1/guests", email="ada@example.com")["items"]
    assert api.read(urlsplit(guest["href"]).path)["firstName"] == "Ada"


def test_python_sdk__wrong_key__hears_why_after_one_request(
    sdk: Sdk, api: Api, proxy: FaultyProxy
) -> None:
    with source(sdk, proxy.url, "nobodys-key") as opened:
        opened.call("track", user_id=USER, event="Lost")
        opened.call("track", user_id=USER, event="Lost as well")

    assert proxy.statuses == [401]
    (error,) = opened.failures
    assert isinstance(error, sdk.error)
    assert_refused(error, 401, proxy)

    with (
        source(sdk, proxy.url, "nobodys-key", sync_mode=True) as blocking,
        pytest.raises(sdk.error) as raised,
    ):
        blocking.call("identify", user_id=USER)

    assert proxy.statuses == [401, 401]
    assert_refused(raised.value, 401, proxy)
    assert stored(api) == []


def assert_refused(error: Any, status: int, proxy: FaultyProxy) -> None:
    """The SDK read the answer as an error with a code and a message, not as a broken one."""
    answer = proxy.exchanges[-1].answer
    assert answer is not None
    body = answer.json()
    assert (answer.status, error.status) == (status, status)
    assert (error.code, error.message) == (body["code"], body["message"])
    assert error.code not in {"", "unknown"}
    assert error.message
    assert all(isinstance(reason, str) for reason in body["meta"]["errors"])
    assert body["meta"]["errors"]


def test_python_sdk__unavailable_then_an_answer_lost__delivers_each_event_once(
    sdk: Sdk, api: Api, proxy: FaultyProxy
) -> None:
    proxy.script(faults.answering(503, Retry_After="1"), faults.losing_the_answer)
    with source(sdk, proxy.url, api.client_key) as opened:
        sent = [opened.call(name, **given) for name, given in EVERY_CALL]

    assert opened.failures == []
    assert proxy.statuses == [503, None, 200]
    bodies = [exchange.json() for exchange in proxy.exchanges]
    assert all(body["batch"] == bodies[0]["batch"] for body in bodies)
    assert len({body["sentAt"] for body in bodies}) == len(bodies)
    assert_stored(api, sent)


def test_python_sdk__overload_and_broken_balancer__delivers_each_event_once(
    sdk: Sdk, api: Api, proxy: FaultyProxy
) -> None:
    proxy.script(
        faults.answering(429, Retry_After="1"), faults.answering(502, b"<html>Bad gateway</html>")
    )
    with source(sdk, proxy.url, api.client_key) as opened:
        sent = [opened.call("track", user_id=USER, event=f"Step {n}") for n in range(3)]

    assert opened.failures == []
    assert proxy.statuses == [429, 502, 200]
    assert_stored(api, sent)


def test_python_sdk__answer_lost_in_sync_mode__can_be_called_again(
    sdk: Sdk, api: Api, proxy: FaultyProxy
) -> None:
    proxy.script(faults.losing_the_answer, faults.answering(503, Retry_After="1"))
    call = {"user_id": USER, "event": "Paid", "message_id": "order-4711"}
    with source(sdk, proxy.url, api.client_key, sync_mode=True) as opened:
        with pytest.raises(OSError, match="Connection aborted"):
            opened.call("track", **call)
        with pytest.raises(sdk.error, match="Try again"):
            opened.call("track", **call)
        opened.call("track", **call)

    assert proxy.statuses == [None, 503, 200]
    (event,) = stored(api)
    assert event["messageId"] == "order-4711"


# Segment's obeys Retry-After, and the tests would wait for as long.
@pytest.mark.parametrize("sdk", [CUSTOMERIO, RUDDERSTACK], ids=lambda sdk: sdk.name, indirect=True)
def test_python_sdk__database_that_is_gone__is_asked_to_come_again_and_loses_nothing(
    sdk: Sdk, api: Api, on_postgres: Database, http_server: StartServer
) -> None:
    outage = Outage(on_postgres)
    # Every thread has a connection of its own to lose.
    server = http_server(database_url=on_postgres.url, threads=1)
    with faulty_proxy(server.url) as proxy:
        proxy.script(outage)
        with source(sdk, proxy.url, api.client_key) as opened:
            sent = [opened.call(name, **given) for name, given in EVERY_CALL]

    assert opened.failures == []
    assert proxy.statuses == [503, 200]
    answer = proxy.exchanges[0].answer
    assert answer is not None
    assert 0 < int(answer.headers["retry-after"]) < 30
    body = answer.json()
    assert body["code"]
    assert body["message"]
    assert all(isinstance(reason, str) for reason in body["meta"]["errors"])
    assert_stored(api, sent)


class Outage:
    """PostgreSQL lets nobody in while a request is answered, and drops who came in since."""

    def __init__(self, database: Database) -> None:
        place = connections[database.alias].settings_dict
        self._name = place["NAME"]
        self._elsewhere = database_url({**place, "NAME": "postgres"})
        with psycopg.connect(self._elsewhere) as outside:
            self._spared = self._backends(outside)

    def __call__(self, exchange: Exchange) -> None:
        allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        name = sql.Identifier(self._name)
        with psycopg.connect(self._elsewhere, autocommit=True) as outside:
            outside.execute(allow.format(name, sql.SQL("false")))
            try:
                for pid in self._backends(outside) - self._spared:
                    outside.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
                faults.passing(exchange)
            finally:
                outside.execute(allow.format(name, sql.SQL("true")))

    def _backends(self, outside: psycopg.Connection) -> set[int]:
        find = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
        return {pid for (pid,) in outside.execute(find, [self._name])}


@pytest.mark.parametrize(
    ("sdk", "at_work"),
    [(CUSTOMERIO, False), (CUSTOMERIO, True), (SEGMENT, False), (RUDDERSTACK, False)],
    ids=["customerio", "customerio_at_work", "segment", "rudderstack"],
    indirect=["sdk"],
)
def test_python_sdk__server_killed_and_started_again__delivers_each_event_once(
    sdk: Sdk,
    at_work: bool,
    api: Api,
    on_postgres: Database,
    mortal: Service,
    http_server: StartServer,
) -> None:
    killing = faults.Killing(mortal.kill, at_work=at_work)
    with faulty_proxy(mortal.url) as proxy:
        proxy.script(killing)
        with source(sdk, proxy.url, api.client_key) as opened:
            sent = [opened.call(name, **given) for name, given in EVERY_CALL]
            killing.wait()
            assert not mortal.running
            http_server(database_url=on_postgres.url, port=urlsplit(mortal.url).port)

    assert opened.failures == []
    assert proxy.statuses[-1] == 200
    assert set(proxy.statuses[:-1]) == {None}
    # What the dead server had taken in and not walked is walked now, and adds nothing.
    call_command("process_inbox")
    assert_stored(api, sent)
