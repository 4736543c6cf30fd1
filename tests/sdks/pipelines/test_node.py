"""The Node SDKs of the Data Pipelines family as they are published, against a live server."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command

from tests.api import Api
from tests.conftest import Database, StartServer
from tests.sdks import faults
from tests.sdks.faults import FaultyProxy, faulty_proxy
from tests.sdks.pipelines.reading import ANONYMOUS, USER, assert_stored, moment, said, stored
from tests.services import Service

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

CUSTOMERIO = "@customerio/cdp-analytics-node"
SEGMENT = "@segment/analytics-node"
#: Queues nothing: each call is a request of its own.
PIPELINES = "customerio-node"

Call = tuple[str, Any]
Run = Callable[..., Any]

EVERY_CALL: list[Call] = [
    (
        "identify",
        {
            "userId": USER,
            "anonymousId": ANONYMOUS,
            "traits": {"email": "ada@example.com", "plan": {"name": "pro", "seats": [1, 2]}},
        },
    ),
    (
        "track",
        {
            "userId": USER,
            "event": "Order Completed",
            "properties": {"revenue": 39.95, "products": [{"sku": "G-32"}], "gift": True},
        },
    ),
    (
        "page",
        {
            "anonymousId": ANONYMOUS,
            "category": "Docs",
            "name": "Prices",
            "properties": {"url": "https://shop.example/prices", "title": "Prices"},
        },
    ),
    ("screen", {"userId": USER, "category": "App", "name": "Cart", "properties": {"items": 3}}),
    ("group", {"userId": USER, "groupId": "acme", "traits": {"name": "Acme", "employees": 20}}),
    ("alias", {"previousId": ANONYMOUS, "userId": USER}),
]


@pytest.fixture(params=[CUSTOMERIO, SEGMENT, PIPELINES])
def sdk(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(params=[CUSTOMERIO, SEGMENT])
def queueing_sdk(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def run(node: Callable[..., Any], api: Api) -> Run:
    """Make calls with an SDK and wait until it has nothing left to send; return its report."""

    def make(
        sdk: str, proxy: FaultyProxy, calls: list[Call], *, write_key: str = "", **settings: Any
    ) -> dict[str, Any]:
        report: dict[str, Any] = node(
            "pipelines/calls.mjs",
            sdk=sdk,
            url=proxy.url,
            writeKey=write_key or api.client_key,
            settings=settings,
            calls=calls,
        )
        return report

    return make


def assert_delivered(report: dict[str, Any], calls: list[Call]) -> None:
    """The SDK told its caller of each call that it went well, and of nothing else."""
    assert [outcome for outcome in report["outcomes"] if "error" in outcome] == []
    assert len(report["outcomes"]) == len(calls)
    if "delivered" in report:
        assert (report["delivered"], report["errors"]) == (len(calls), [])
    else:
        assert all(isinstance(outcome["answer"], dict) for outcome in report["outcomes"])


def test_node_sdk__every_call__is_stored_once_as_it_was_said(
    sdk: str, api: Api, proxy: FaultyProxy, run: Run
) -> None:
    report = run(sdk, proxy, EVERY_CALL)

    assert_delivered(report, EVERY_CALL)
    assert proxy.statuses == [200] * (len(EVERY_CALL) if sdk == PIPELINES else 1)
    for exchange in proxy.exchanges:
        assert exchange.answer is not None
        assert isinstance(exchange.answer.json(), dict)
        assert ("sentAt" in exchange.json()) == (sdk == SEGMENT)
    for event in assert_stored(api, said(proxy.exchanges)):
        if sdk != SEGMENT:
            assert moment(event["timestamp"]) == moment(event["originalTimestamp"])


def test_node_sdk__options_of_a_call__reach_the_event(
    sdk: str, api: Api, proxy: FaultyProxy, run: Run
) -> None:
    context = {"ip": "203.0.113.7", "locale": "en-IE", "page": {"url": "https://a.example/"}}
    integrations = {"All": False, "Warehouse": {"sync": True}}
    calls: list[Call] = [
        (
            method,
            given
            | {
                "messageId": f"{method}-{'x' * (99 - len(method))}",
                "timestamp": "2024-02-29T23:59:59.123Z",
                "context": context,
                "integrations": integrations,
            },
        )
        for method, given in EVERY_CALL
    ]

    report = run(sdk, proxy, calls)

    assert_delivered(report, calls)
    events = assert_stored(api, said(proxy.exchanges))
    assert [event["messageId"] for event in events] == [given["messageId"] for _, given in calls]
    for event in events:
        assert event["context"].items() >= context.items()
        assert event["integrations"] == integrations
        assert event["originalTimestamp"] == "2024-02-29T23:59:59.123Z"


def test_node_sdk__numbers_for_ids__are_stored_as_text(
    sdk: str, api: Api, proxy: FaultyProxy, run: Run
) -> None:
    calls: list[Call] = [
        ("group", {"userId": "42", "groupId": 1001}),
        ("alias", {"userId": "42", "previousId": 43}),
    ]

    report = run(sdk, proxy, calls)

    assert_delivered(report, calls)
    assert [message.get("groupId") for message in said(proxy.exchanges)] == [1001, None]
    group, alias = stored(api)
    assert (group["userId"], group["groupId"]) == ("42", "1001")
    assert (alias["userId"], alias["previousId"]) == ("42", "43")


def test_node_sdk__more_calls_than_a_batch_holds__are_stored_in_their_order(
    queueing_sdk: str, api: Api, proxy: FaultyProxy, run: Run
) -> None:
    calls: list[Call] = [("track", {"userId": USER, "event": f"Step {n}"}) for n in range(40)]

    report = run(queueing_sdk, proxy, calls)

    assert_delivered(report, calls)
    # Its requests run beside each other, so that only the calls of one batch have an order.
    assert sorted(len(exchange.json()["batch"]) for exchange in proxy.exchanges) == [10, 15, 15]
    steps = [event["event"] for event in stored(api)]
    batches = [[message["event"] for message in said([sent])] for sent in proxy.exchanges]
    assert sorted(steps) == sorted(step for batch in batches for step in batch)
    for batch in batches:
        assert [step for step in steps if step in batch] == batch


def test_node_sdk__event_beyond_the_limit__loses_no_neighbour(
    queueing_sdk: str, api: Api, proxy: FaultyProxy, run: Run
) -> None:
    large = {"text": "x" * 33_000}
    calls: list[Call] = [
        ("track", {"userId": USER, "event": "Before"}),
        ("track", {"userId": USER, "event": "Large", "properties": large}),
        ("track", {"userId": USER, "event": "After"}),
    ]

    report = run(queueing_sdk, proxy, calls)

    assert_delivered(report, calls)
    assert proxy.statuses == [200]
    events = [event["event"] for event in stored(api)]
    assert [event for event in events if event != "Large"] == ["Before", "After"]


def test_node_sdk__group_without_user__is_stored(
    queueing_sdk: str, api: Api, proxy: FaultyProxy, run: Run
) -> None:
    calls: list[Call] = [("group", {"groupId": "acme", "traits": {"name": "Acme"}})]

    report = run(queueing_sdk, proxy, calls)

    assert_delivered(report, calls)
    (message,) = said(proxy.exchanges)
    assert message.keys().isdisjoint({"userId", "anonymousId"})
    assert_stored(api, [message])


def test_customerio_node__batch__is_stored_in_its_order(
    api: Api, proxy: FaultyProxy, run: Run
) -> None:
    items = [{"type": method} | given for method, given in EVERY_CALL]

    report = run(PIPELINES, proxy, [("batch", items)])

    assert_delivered(report, [("batch", items)])
    assert [exchange.path for exchange in proxy.exchanges] == ["/v1/batch"]
    assert_stored(api, said(proxy.exchanges))


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
def test_customerio_node__batch_with_a_bad_item__keeps_the_others_unless_strict(
    strict: bool, api: Api, proxy: FaultyProxy, run: Run
) -> None:
    items = [
        {"type": "track", "userId": USER, "event": "Good"},
        {"type": "track", "userId": USER},
        {"type": "identify", "traits": {"plan": "pro"}},
    ]

    report = run(PIPELINES, proxy, [("batch", items)], strictMode=strict)

    assert [exchange.headers["X-Strict-Mode"] for exchange in proxy.exchanges] == [
        "1" if strict else None
    ]
    (outcome,) = report["outcomes"]
    if strict:
        assert (outcome["name"], outcome["status"]) == ("CustomerIORequestError", 400)
        assert "event" in outcome["error"]
        assert stored(api) == []
    else:
        assert isinstance(outcome["answer"], dict)
        assert [event["event"] for event in stored(api)] == ["Good"]


def test_node_sdk__wrong_key__hears_of_it_and_nothing_is_stored(
    sdk: str, api: Api, proxy: FaultyProxy, run: Run
) -> None:
    calls: list[Call] = [("track", {"userId": USER, "event": "Lost"})]

    report = run(sdk, proxy, calls, write_key="nobodys-key")

    (outcome,) = report["outcomes"]
    answer = proxy.exchanges[-1].answer
    assert answer is not None
    body = answer.json()
    if sdk == PIPELINES:
        assert (outcome["name"], outcome["status"]) == ("CustomerIORequestError", 401)
        assert body["meta"]["errors"][0] in outcome["error"]
    else:
        assert outcome["error"] == "[401] Unauthorized"
        assert report["errors"] == [{"code": "delivery_failure", "message": "[401] Unauthorized"}]
    # Customer.io's tries again whatever the status, unless that is a 400.
    assert proxy.statuses == [401] * (4 if sdk == CUSTOMERIO else 1)
    assert stored(api) == []


def test_node_sdk__unavailable_then_an_answer_lost__delivers_each_event_once(
    sdk: str, api: Api, proxy: FaultyProxy, run: Run
) -> None:
    # Segment's obeys the header of a 429 only, and would wait for longer after a 503.
    status = 429 if sdk == SEGMENT else 503
    proxy.script(faults.answering(status, Retry_After="1"), faults.losing_the_answer)

    report = run(sdk, proxy, EVERY_CALL)

    assert_delivered(report, EVERY_CALL)
    requests = len(EVERY_CALL) if sdk == PIPELINES else 1
    assert proxy.statuses == [status, None] + [200] * requests
    assert_stored(api, said(proxy.exchanges[2:]))


def test_node_sdk__server_killed_and_started_again__delivers_each_event_once(
    sdk: str,
    api: Api,
    on_postgres: Database,
    mortal: Service,
    http_server: StartServer,
    run: Run,
) -> None:
    patient: dict[str, Any] = {"maxRetries": 20}
    if sdk == PIPELINES:
        patient = {"retry": {"maxRetries": 20, "minTimeoutMs": 50, "maxTimeoutMs": 500}}
    killing = faults.Killing(mortal.kill)
    with faulty_proxy(mortal.url) as proxy, ThreadPoolExecutor(1) as site:
        proxy.script(killing)
        running = site.submit(run, sdk, proxy, EVERY_CALL, **patient)
        killing.wait()
        assert not mortal.running
        http_server(database_url=on_postgres.url, port=urlsplit(mortal.url).port)
        report = running.result()

    assert_delivered(report, EVERY_CALL)
    answered = [exchange for exchange in proxy.exchanges if exchange.answer]
    assert set(proxy.statuses) == {None, 200}
    call_command("process_inbox")
    assert_stored(api, said(answered))
