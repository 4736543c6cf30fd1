"""Real processes: a web server accepts, a Celery worker on a real Redis drains, and parts die."""

import http.client
import json
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from celery import Celery
from django.db import connections
from django.utils import timezone

from personalize import segments
from personalize.attribution import rebuilding
from personalize.models import (
    Assignment,
    DailyNumbers,
    DailyRuns,
    Exposure,
    GuestGoal,
    Segment,
    SegmentMembership,
)
from tests import experiments
from tests.api import Api
from tests.conftest import Database, StartServer, StartWorker
from tests.services import Service, wait_until
from tracking.models import Client, Event, FollowUp, InboxEntry, QuarantinedMessage, WalkNote

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

# A prefork child alone in its pool: what kills the walk kills one process, and is replaced.
WORKER = ("--concurrency", "1", "--pool", "prefork")
HOSTILE = {"DJANGO_SETTINGS_MODULE": "tests.hostile"}


def post(server: Service, path: str, body: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{server.url}{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def event(api: Api, browser: str, **attributes: Any) -> dict[str, Any]:
    return {"type": "VIEW", "browser_id": browser, "client_key": api.client_key} | attributes


def test_worker__on_a_real_broker__drains_what_a_real_server_accepted(
    on_postgres: Database,
    api: Api,
    redis_url: str,
    http_server: StartServer,
    celery_worker: StartWorker,
) -> None:
    browser = api.create_browser()["ref"]
    celery_worker(database_url=on_postgres.url, broker_url=redis_url, args=WORKER)
    server = http_server(database_url=on_postgres.url, broker_url=redis_url)

    refs = {
        post(server, "/v1.2/events", event(api, browser, page=f"p{n}"))["ref"] for n in range(200)
    }

    wait_until(lambda: Event.objects.count() == 200, what="200 events")
    assert {str(ref) for ref in Event.objects.values_list("ref", flat=True)} == refs
    assert InboxEntry.objects.count() == 0


def test_segments__kept_by_four_workers_at_once__end_as_a_rebuild_has_them(
    on_postgres: Database,
    api: Api,
    shop: Client,
    redis_url: str,
    http_server: StartServer,
    celery_worker: StartWorker,
) -> None:
    browsers = [api.create_browser()["ref"] for _ in range(12)]
    for _ in range(2):
        args = ("--concurrency", "2", "--pool", "prefork")
        celery_worker(database_url=on_postgres.url, broker_url=redis_url, args=args)
    server = http_server(database_url=on_postgres.url, broker_url=redis_url)
    bought = {"field": "orders.count", "operator": "at_least", "value": 1}
    for name, condition in (
        ("Searchers", {"event": "SEARCH", "at_least": 3, "within": "ever"}),
        ("Lookers", {"any": [{"event": "VIEW", "within": {"days": 1}}, {"not": bought}]}),
        ("Buyers", bought),
        ("Both", {"field": "guest.segments", "operator": "includes", "value": "buyers"}),
    ):
        segments.save(Segment(client=shop, name=name, condition=condition))

    def act(browser: str) -> None:
        for step in range(12):
            product = {"item_id": "a", "productId": "a", "name": "A", "price": 1, "currency": "EUR"}
            kind = ("VIEW", "SEARCH", "ADD", "CHECKOUT")[(step + browsers.index(browser)) % 4]
            more: dict[str, Any] = {"product": product} if kind == "ADD" else {}
            more |= {"reference_id": f"{browser}-{step}"} if kind == "CHECKOUT" else {}
            post(server, "/v1.2/events", event(api, browser, **{"type": kind, **more}))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(act, browsers))
    wait_until(lambda: not InboxEntry.objects.exists(), what="an empty inbox")
    wait_until(lambda: not FollowUp.objects.exists(), what="no debts")
    wait_until(lambda: not Segment.objects.unbuilt().exists(), what="segments that are built")

    kept = members()
    assert len({name for name, _guest in kept}) == 4
    SegmentMembership.objects.all().delete()
    segments.rebuilds.rebuild(list(Segment.objects.all()), now=timezone.now())
    assert members() == kept


def test_results__kept_by_four_workers_at_once__end_as_a_rebuild_has_them(
    on_postgres: Database,
    api: Api,
    redis_url: str,
    http_server: StartServer,
    celery_worker: StartWorker,
) -> None:
    flow = experiments.experiment(
        api,
        {"name": "Searched", "kind": "EVENT", "event": {"type": "SEARCH"}},
        {"name": "Revenue", "kind": "REVENUE", "unit": "GUEST", "windowHours": 24},
        {"name": "Ordered", "kind": "CONVERSION"},
    )
    browsers = [api.create_browser()["ref"] for _ in range(12)]
    for _ in range(2):
        args = ("--concurrency", "2", "--pool", "prefork")
        celery_worker(database_url=on_postgres.url, broker_url=redis_url, args=args)
    server = http_server(database_url=on_postgres.url, broker_url=redis_url)

    def act(browser: str) -> None:
        at = browsers.index(browser)
        for step in range(12):
            if (step + at) % 3 == 0:
                call = {"friendlyId": flow.friendly_id, "clientKey": api.client_key}
                post(server, "/v2/callFlows", call | {"channel": "WEB", "browserId": browser})
            kind = ("VIEW", "SEARCH", "ADD", "CHECKOUT", "IDENTITY")[(step + at) % 5]
            product = {"item_id": "a", "productId": "a", "name": "A", "price": 1, "currency": "EUR"}
            more: dict[str, Any] = {"product": product} if kind == "ADD" else {}
            more |= {"reference_id": f"{browser}-{step}"} if kind == "CHECKOUT" else {}
            # Some of them turn out to be one person.
            known = [{"provider": "EMAIL", "id": f"{at % 8}@example.com"}]
            more |= {"identifiers": known} if kind == "IDENTITY" else {}
            post(server, "/v1.2/events", event(api, browser, **{"type": kind, **more}))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(act, browsers))
    wait_until(lambda: not InboxEntry.objects.exists(), what="an empty inbox")
    wait_until(lambda: not FollowUp.objects.exists(), what="no debts")

    kept = experiments.state(flow)
    assert len(kept["people"]) == 8
    rebuilding.rebuild(flow, now=timezone.now())
    assert experiments.state(flow) == kept
    for model in (DailyNumbers, DailyRuns, GuestGoal, Assignment, Exposure):
        model.objects.all().delete()
    rebuilding.rebuild(flow, now=timezone.now())
    assert experiments.state(flow) == kept


def members() -> set[tuple[str, int]]:
    current = SegmentMembership.objects.current()
    return set(current.values_list("segment__friendly_id", "guest"))


def test_worker__killed_in_mid_batch__loses_and_doubles_nothing(
    on_postgres: Database, api: Api, redis_url: str, celery_worker: StartWorker, settings: Any
) -> None:
    settings.TRACKING = {"DISPATCH": "worker", "CLIENT_CACHE_SECONDS": 0}
    browser = api.create_browser()["ref"]
    for n in range(50):
        api.send("HANG" if n == 25 else "VIEW", browser, page=f"p{n}")
    hanging = celery_worker(
        database_url=on_postgres.url, broker_url=redis_url, args=("--pool", "solo"), env=HOSTILE
    )
    send_wake_up(redis_url)
    hanging.wait_for_output("hanging in mid-batch")

    hanging.kill()
    celery_worker(database_url=on_postgres.url, broker_url=redis_url, args=WORKER)
    send_wake_up(redis_url)

    wait_until(lambda: not InboxEntry.objects.exists(), what="an empty inbox")
    assert Event.objects.count() == 50
    assert QuarantinedMessage.objects.count() == 0


def test_message__that_kills_its_worker__is_set_aside_after_the_third_time(
    on_postgres: Database, api: Api, redis_url: str, celery_worker: StartWorker, settings: Any
) -> None:
    settings.TRACKING = {"DISPATCH": "worker", "CLIENT_CACHE_SECONDS": 0}
    browser = api.create_browser()["ref"]
    for n in range(9):
        api.send("DIE" if n == 4 else "VIEW", browser, page=f"p{n}")
    deaths = 0

    def drained_or_rung_again() -> bool:
        nonlocal deaths
        if not InboxEntry.objects.exists():
            return True
        worker = celery_worker(
            database_url=on_postgres.url, broker_url=redis_url, args=("--pool", "solo"), env=HOSTILE
        )
        send_wake_up(redis_url)
        wait_until(
            lambda: not worker.running or not InboxEntry.objects.exists(),
            what="a death or an empty inbox",
        )
        deaths += not worker.running
        return False

    wait_until(drained_or_rung_again, timeout=120, what="an empty inbox")

    held = QuarantinedMessage.objects.get()
    assert (held.code, held.type) == ("killed_worker", "DIE")
    assert deaths == 3
    assert Event.objects.count() == 8
    assert not WalkNote.objects.exists()


@pytest.mark.parametrize("fault", ["stopped", "frozen"])
def test_door__with_the_broker_gone__answers_at_once(
    on_postgres: Database, api: Api, private_redis: Service, http_server: StartServer, fault: str
) -> None:
    browser = api.create_browser()["ref"]
    server = http_server(database_url=on_postgres.url, broker_url=private_redis.url)

    def seconds() -> float:
        started = time.perf_counter()
        assert post(server, "/v1.2/events", event(api, browser))["status"] == "OK"
        return time.perf_counter() - started

    if fault == "stopped":
        private_redis.kill()
    else:
        private_redis.pause()
    try:
        waited = sum(seconds() for _ in range(20))
    finally:
        if fault == "frozen":
            private_redis.resume()

    # Twenty publications that waited for the broker would take 12 seconds and more.
    assert waited < 6
    assert InboxEntry.objects.count() + Event.objects.count() == 20


def test_message_id__posted_from_fifty_connections__is_one_event(
    on_postgres: Database,
    api: Api,
    redis_url: str,
    http_server: StartServer,
    celery_worker: StartWorker,
) -> None:
    browser = api.create_browser()["ref"]
    server = http_server(database_url=on_postgres.url, broker_url=redis_url, threads=8)
    for _ in range(2):
        celery_worker(database_url=on_postgres.url, broker_url=redis_url, args=WORKER)
    body = {"events": [{"type": "VIEW", "browserId": browser, "messageId": "one"}]}
    answers: list[Any] = []

    def send() -> None:
        request = urllib.request.Request(
            f"{server.url}/v2/events",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": api.basic},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answers.append((response.status, json.load(response)["accepted"]))

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connections.close_all()

    wait_until(lambda: not InboxEntry.objects.exists(), what="an empty inbox")
    assert answers == [(200, 1)] * 50
    assert Event.objects.count() == 1


def test_chunked_body__of_a_real_server__is_read_to_its_end_or_refused(
    on_sqlite: Database, api: Api, http_server: StartServer
) -> None:
    """WSGI gives a chunked body no length: read as empty, it would be lost behind a 200."""
    browser = api.create_browser()["ref"]
    server = http_server(database_url=on_sqlite.url)
    body = json.dumps(event(api, browser, page="chunked")).encode()

    statuses = {}
    for name, chunks in (("small", [body[:20], body[20:]]), ("large", [b" " * 9000] * 8)):
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)
        connection.request(
            "POST",
            "/v1.2/events",
            iter(chunks),
            {"Transfer-Encoding": "chunked"},
            encode_chunked=True,
        )
        statuses[name] = connection.getresponse().status
        connection.close()

    stored = Event.objects.filter(data__page="chunked").count()
    assert (statuses["small"], stored) in {(200, 1), (411, 0)}
    assert statuses["large"] in (411, 413)


def test_sqlite__with_eight_writers_and_inline_walks__refuses_and_loses_nothing(
    on_sqlite: Database, api: Api, http_server: StartServer
) -> None:
    browsers = [api.create_browser()["ref"] for _ in range(8)]
    server = http_server(database_url=on_sqlite.url, threads=8)
    statuses: list[str] = []

    def write(browser: str) -> None:
        for n in range(10):
            statuses.append(
                post(server, "/v1.2/events", event(api, browser, page=f"p{n}"))["status"]
            )

    threads = [threading.Thread(target=write, args=(browser,)) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == ["OK"] * 80
    assert Event.objects.count() + InboxEntry.objects.count() == 80
    assert QuarantinedMessage.objects.count() == 0


def test_follow_command__without_celery__drains_and_stops_politely(
    on_sqlite: Database, api: Api, settings: Any, follow_inbox: Any
) -> None:
    settings.TRACKING = {"DISPATCH": "worker", "CLIENT_CACHE_SECONDS": 0}
    browser = api.create_browser()["ref"]
    follower: Service = follow_inbox(database_url=on_sqlite.url)

    for n in range(20):
        api.send("VIEW", browser, page=f"p{n}")

    wait_until(lambda: Event.objects.count() == 20, what="20 events")
    follower.stop()
    assert "Stopped." in follower.output()


def send_wake_up(broker_url: str) -> None:
    """Ring for the workers, as the sweep does."""

    with Celery(broker=broker_url) as app:
        app.send_task("tracking.sweep_inbox", ignore_result=True)
