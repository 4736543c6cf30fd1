"""What may happen to a flow: ids from names, moves between statuses, revisions, deletion."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from personalize import execution, flows, projections, snapshots
from personalize.models import Execution, ExitCount, Flow, FlowRevision
from personalize.types import FlowRequest, Outcome, Reason
from tests.conftest import Database
from tests.factories import BrowserFactory, FlowFactory
from tracking import clients, pipeline
from tracking.models import Client, Identifier

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
EXPERIMENT: dict[str, Any] = {
    "subtype": "EXPERIMENT",
    "variants": [
        {"name": "Control", "is_control": True, "content": '{"v": "control"}'},
        {"name": "Challenger", "content": '{"v": "challenger"}'},
    ],
}


@pytest.fixture
def visitor(shop: Client) -> Identifier:
    return BrowserFactory.create(guest__client=shop)


def run(
    shop: Client, friendly_id: str, visitor: Identifier, *, now: datetime = NOW, **call: Any
) -> Outcome:
    request = FlowRequest(friendly_id=friendly_id, browser_id=visitor.value, **call)
    return execution.execute(request, clients.load(shop), now=now)


@pytest.mark.parametrize(
    ("name", "friendly_id"),
    [
        ("Product Recommender", "product_recommender"),
        ("  Ünïcode & Crème brûlée! ", "unicode_creme_brulee"),
        ("50% off -- today_only", "50_off_today_only"),
        ("Straße", "strasse"),
        ("Don't stop", "dont_stop"),
        ("日本語", "experience"),
        ("!!!", "experience"),
        ("x" * 300, "x" * 100),
    ],
)
def test_friendly_id__made_from_any_name__has_letters_digits_and_underscores(
    name: str, friendly_id: str
) -> None:
    assert flows.friendly_id_from(name) == friendly_id


def test_friendly_id__of_equal_names__gets_the_first_free_number(
    database: Database, shop: Client
) -> None:
    made = [FlowFactory.create(client=shop, name="Product Recommender") for _ in range(3)]
    flows.delete(made[1], now=NOW)
    again = FlowFactory.create(client=shop, name="Product Recommender", **EXPERIMENT)

    ids = [flow.friendly_id for flow in (*made, again)]
    assert ids == [
        "product_recommender",
        "product_recommender_2",
        "product_recommender_3",
        "product_recommender_4",
    ]


def test_friendly_id__asked_for_by_two_at_once__goes_to_one_of_them(
    on_postgres: Database, shop: Client
) -> None:
    start = threading.Barrier(4)
    refused: list[str] = []

    def make() -> None:
        try:
            start.wait(timeout=20)
            FlowFactory.create(client=Client.objects.get(), name="X", friendly_id="wanted")
        except flows.FlowError as error:
            refused.append(error.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused == ["friendly_id_taken"] * 3
    assert Flow.objects.get().friendly_id == "wanted"


def test_friendly_id__set_by_hand__until_the_first_publication(
    on_sqlite: Database, shop: Client
) -> None:
    flow = FlowFactory.create(client=shop, name="Draft")
    flow.friendly_id = "by_hand"
    flows.save(flow)
    flow.name = "Renamed"
    flows.save(flow)
    assert Flow.objects.get().friendly_id == "by_hand"

    flows.publish(flow, now=NOW)
    flow.friendly_id = "too_late"
    with pytest.raises(flows.FlowError, match="fixed since the flow was first published"):
        flows.save(flow)


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        (["LIVE", "PAUSED", "LIVE", "COMPLETED"], None),
        (["COMPLETED"], None),
        (["PAUSED"], "DRAFT cannot become PAUSED"),
        (["LIVE", "DRAFT"], "LIVE cannot become DRAFT"),
        (["LIVE", "COMPLETED", "LIVE"], "COMPLETED cannot become LIVE"),
        (["SCHEDULED"], "needs a start that lies ahead"),
        (["NONSENSE"], "There is no status NONSENSE"),
    ],
)
def test_transition__along_a_path__is_allowed_or_refused_in_words(
    on_sqlite: Database, shop: Client, path: list[str], refused: str | None
) -> None:
    flow = FlowFactory.create(client=shop)

    def go() -> None:
        for status in path:
            flows.transition(flow, status, now=NOW)

    if refused is None:
        go()
        assert Flow.objects.get().status == path[-1]
    else:
        with pytest.raises(flows.FlowError, match=refused):
            go()


def test_transition__by_two_people_at_once__lets_one_of_them(
    on_sqlite: Database, shop: Client
) -> None:
    flow = FlowFactory.create(client=shop, live=True)
    stale = Flow.objects.get(pk=flow.pk)

    flows.transition(flow, "COMPLETED", now=NOW)

    with pytest.raises(flows.FlowError, match="Somebody else"):
        flows.transition(stale, "PAUSED", now=NOW)


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"variants": []}, "add a variant"),
        ({"variants": [{"name": "A", "content": '{"a": "{{ x | nope }}"}'}]}, "A"),
        ({"variants": [{"name": "A", "content": "[1]"}]}, "A"),
        ({"variants": [{"name": "A"}, {"name": "B"}]}, "one variant"),
        ({**EXPERIMENT, "variants": [{"name": "A"}, {"name": "B"}]}, "control"),
        ({**EXPERIMENT, "variants": [{"name": "A", "is_control": True}]}, "two variants"),
    ],
)
def test_publish__of_a_draft_that_cannot_run__says_why(
    on_sqlite: Database, shop: Client, changes: dict[str, Any], refused: str
) -> None:
    flow = FlowFactory.create(client=shop, **changes)

    with pytest.raises(flows.FlowError, match=refused):
        flows.transition(flow, "LIVE", now=NOW)

    assert Flow.objects.get().status == "DRAFT"
    assert not FlowRevision.objects.exists()


def test_pause__once_committed__is_seen_by_the_next_call(
    database: Database, shop: Client, visitor: Identifier
) -> None:
    flow = FlowFactory.create(client=shop, name="Hero", live=True)

    reasons = []
    for status in ("PAUSED", "LIVE", "PAUSED"):
        reasons.append(run(shop, "hero", visitor).reason)
        flows.transition(flow, status, now=NOW)
    reasons.append(run(shop, "hero", visitor).reason)

    assert reasons == [Reason.EXECUTED, Reason.NOT_LIVE, Reason.EXECUTED, Reason.NOT_LIVE]


def test_edit__of_a_live_flow__runs_only_once_it_is_published(
    database: Database, shop: Client, visitor: Identifier
) -> None:
    flow = FlowFactory.create(client=shop, name="Hero", live=True)
    flow.variants.update(content='{"shown": "new"}')

    before = run(shop, "hero", visitor).content
    revision = flows.publish(flow, now=NOW)
    after = run(shop, "hero", visitor).content

    assert (before, after) == ({"shown": True}, {"shown": "new"})
    assert revision.number == 2
    assert FlowRevision.objects.get(number=1).definition["variants"][0]["content"] == (
        '{"shown": true}'
    )


def test_schedule__by_the_clock__starts_and_ends_without_a_task(
    database: Database, shop: Client, visitor: Identifier
) -> None:
    flow = FlowFactory.create(
        client=shop,
        name="Hero",
        starts_at=NOW + timedelta(hours=1),
        ends_at=NOW + timedelta(hours=2),
    )
    flows.transition(flow, "LIVE", now=NOW)
    assert flow.status == "SCHEDULED"

    hours = [0, 1, 1.5, 2]
    reasons = [run(shop, "hero", visitor, now=NOW + timedelta(hours=h)).reason for h in hours]
    moved = [flows.catch_up(now=NOW + timedelta(hours=h)) for h in (0, 1, 2)]

    assert reasons == [Reason.NOT_LIVE, Reason.EXECUTED, Reason.EXECUTED, Reason.NOT_LIVE]
    assert moved == [0, 1, 1]
    assert Flow.objects.get().status == "COMPLETED"


def test_gates__that_close__are_counted_by_flow_reason_and_day(
    database: Database, shop: Client, visitor: Identifier
) -> None:
    sms_only = {"channels": ["SMS"]}
    FlowFactory.create(client=shop, name="a one", live=True, **sms_only)
    pricing = {"all": [{"field": "page.path", "operator": "is", "value": "/pricing"}]}
    FlowFactory.create(client=shop, name="a two", live=True, page_targeting=pricing)
    FlowFactory.create(client=shop, name="a three", live=True, allocation=0)

    outcomes = [run(shop, "a_*", visitor, page="https://x.example/") for _ in range(3)]

    assert [gate.reason for gate in outcomes[0].gates] == ["CHANNEL", "NOT_ALLOCATED", "PAGE"]
    counted = ExitCount.objects.values_list("flow__friendly_id", "reason", "count", "day")
    assert set(counted) == {
        ("a_one", "CHANNEL", 3, NOW.date()),
        ("a_two", "PAGE", 3, NOW.date()),
        ("a_three", "NOT_ALLOCATED", 3, NOW.date()),
    }
    assert not Execution.objects.exists()


def test_experiment__gives_a_guest_the_same_variant_every_time_and_after_a_merge(
    database: Database, shop: Client
) -> None:
    FlowFactory.create(client=shop, name="Test", live=True, **EXPERIMENT)
    shown = {}
    for browser in BrowserFactory.create_batch(30, guest__client=shop):
        shown[browser.value] = {run(shop, "test", browser).content["v"] for _ in range(3)}

    assert all(len(variants) == 1 for variants in shown.values())
    assert {v for variants in shown.values() for v in variants} == {"control", "challenger"}


def test_execution__is_projected_once_and_rebuilt_alike(
    database: Database, shop: Client, visitor: Identifier
) -> None:
    flow = FlowFactory.create(client=shop, name="Hero", live=True)
    outcome = run(shop, "hero", visitor, now=timezone.now())

    row = Execution.objects.get()
    assert (row.ref, row.flow_id, row.status) == (outcome.execution_ref, flow.pk, "SUCCESS")
    assert row.guest_id == visitor.guest_id
    Execution.objects.all().delete()
    assert projections.rebuild() == 1
    assert projections.rebuild() == 1
    assert Execution.objects.get().ref == outcome.execution_ref


def test_call__for_a_known_guest__reads_at_most_three_times_and_writes_once(
    database: Database, shop: Client, visitor: Identifier, settings: Any, count_queries: Any
) -> None:
    settings.TRACKING = {"DISPATCH": "worker"}
    settings.PERSONALIZE = {}
    session_and_events = {
        "all": [
            {"field": "session.views", "operator": "at_most", "value": 100},
            {"event": "ADD", "at_most": 5, "within": "session"},
            {"field": "guest.type", "operator": "is", "value": "visitor"},
        ]
    }
    FlowFactory.create(client=shop, name="Plain", live=True)
    FlowFactory.create(client=shop, name="Full", live=True, audience=session_and_events)
    client = clients.load(shop)
    snapshots.forget()
    for name in ("plain", "full"):
        execution.execute(FlowRequest(friendly_id=name, browser_id=visitor.value), client, now=NOW)
    while pipeline.process_batch(now=NOW):
        continue

    counts = {}
    for name in ("plain", "full"):
        request = FlowRequest(friendly_id=name, browser_id=visitor.value)
        with count_queries() as queries:
            assert execution.execute(request, client, now=NOW).is_executed
        counts[name] = len(queries)

    assert counts["plain"] == 1 + 1
    assert counts["full"] == 3 + 1
