"""Guests who are held out: shown nothing, and kept in the books to compare with."""

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from personalize import exits, explaining, projections
from personalize.models import DecisionRecord, Execution, ExitCount
from tests.api import Api
from tests.conftest import Database
from tests.journeys.test_call_flows import leaf, make_flow
from tracking import clients, tasks, wire
from tracking.models import Event, InboxEntry, Session
from tracking.types import Entry, Message

pytestmark = pytest.mark.django_db(transaction=True)

NOTHING = {"message": "No flow executed"}
#: Everybody is held out, so that no test depends on where a guest happens to stand.
EVERYBODY = {"holdout": 100}


def test_call_flows__for_a_guest_held_out__answers_nothing_and_leaves_a_holdout_event(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()
    flow = make_flow(api, traffic=EVERYBODY)

    answer = api.json(api.call_flows("hero_banner", browserId=browser["ref"]))

    assert answer == NOTHING
    assert api.read("/v2/events", type="TRACKING")["items"] == []
    (event,) = api.read("/v2/events", flowRef=flow["ref"])["items"]
    run, decision = event["arbitraryData"]["flowExecution"], event["arbitraryData"]["decision"]
    assert event["type"] == "HOLDOUT"
    assert event["browserRef"] == browser["ref"]
    assert run == {
        "ref": event["flowExecutionRef"],
        "occurredAt": run["occurredAt"],
        "flowRef": flow["ref"],
        "flowFriendlyId": "hero_banner",
        "flowVariantRef": None,
        "guestRef": browser["customer_ref"],
        "flowExecutionTimeMs": run["flowExecutionTimeMs"],
        "status": "HELD_OUT",
    }
    assert (decision["revision"], decision["phase"]) == (1, 1)
    assert set(decision) == {
        "revision", "phase", "allocationBucket", "splitBucket", "holdoutBucket",
    }  # fmt: skip
    assert not Execution.objects.exists()
    assert projections.rebuild() == 0
    timeline = api.read(f"/v2.1/guests/{browser['customer_ref']}/timeline")
    assert "Was held out of “hero_banner”, and shown nothing" in json.dumps(
        timeline, ensure_ascii=False
    )


def test_call_flows__by_prefix_past_a_holdout__writes_both_in_one_row(
    database: Database, api: Api, count_queries: Callable[[], CaptureQueriesContext]
) -> None:
    browser = api.create_browser()
    held = make_flow(api, "Offer 1", traffic=EVERYBODY)
    shown = make_flow(api, "Offer 2")
    with override_settings(TRACKING={"DISPATCH": "worker"}):
        api.call_flows("offer*", browserId=browser["ref"])
        tasks.drain()
        with count_queries() as queries:
            answer = api.json(api.call_flows("offer*", browserId=browser["ref"]))
        rows = [each for each in queries if 'INSERT INTO "tracking_inboxentry"' in each["sql"]]
        assert (len(rows), InboxEntry.objects.count()) == (1, 1)
        Event.objects.all().delete()
        tasks.drain()

    assert answer == {"title": "Hello "}
    events = Event.objects.order_by("ref").values_list("type", "flow_ref", "guest__ref")
    guest = browser["customer_ref"]
    assert [(type, str(flow), str(ref)) for type, flow, ref in events] == [
        ("HOLDOUT", held["ref"], guest),
        ("TRACKING", shown["ref"], guest),
    ]
    record = DecisionRecord.objects.latest("decided_at")
    assert record.ref == Event.objects.get(type="TRACKING").flow_execution_ref
    assert json.loads(record.body)["passed"] == [["offer_1", 1, "HOLDOUT"]]


def test_execution__past_a_holdout__is_explained_and_replays_alike(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()
    make_flow(api, "Offer 1", traffic=EVERYBODY)
    make_flow(api, "Offer 2")
    api.call_flows("offer*", browserId=browser["ref"])

    (run,) = api.read("/v2/executions")["items"]
    told = api.read(f"/v2/executions/{run['ref']}")
    past = explaining.past(Execution.objects.get())

    passed, shown = told["explanation"]["flows"]
    assert (passed["outcome"], passed["reason"]) == ("CLOSED", "HOLDOUT")
    assert passed["gates"][-1]["name"] == "Holdout"
    assert passed["gates"][-1]["because"][0].startswith("100 % of those let in are held out; ")
    assert shown["outcome"] == "SHOWN"
    assert told["replay"]["equal"] is True
    assert past.replayed is not None and past.replayed.is_equal


def test_call_flows__for_a_stranger_held_out__makes_one_guest_in_one_visit(
    database: Database, api: Api
) -> None:
    make_flow(api, "Offer 1", traffic=EVERYBODY)
    make_flow(api, "Offer 2")

    api.json(api.call_flows("offer*", email="nobody@example.com"))

    held, shown = Event.objects.order_by("ref")
    assert (held.type, shown.type) == ("HOLDOUT", "TRACKING")
    assert held.guest_id == shown.guest_id
    assert held.session_id == shown.session_id == Session.objects.get().pk


def test_holdout__is_asked_only_of_those_whom_audience_and_allocation_let_in(
    on_sqlite: Database, api: Api
) -> None:
    browser = api.create_browser()
    make_flow(api, "Not for you", audience=leaf("guest.type", "is", "customer"), traffic=EVERYBODY)
    make_flow(api, "Nobody", traffic={"allocation": 0, "holdout": 100})

    for name in ("not_for_you", "nobody"):
        assert api.json(api.call_flows(name, browserId=browser["ref"])) == NOTHING

    assert not Event.objects.filter(type="HOLDOUT").exists()
    exits.write()
    assert set(ExitCount.objects.values_list("reason", flat=True)) == {"AUDIENCE", "NOT_ALLOCATED"}


def test_call_flows__that_the_page_cannot_show__still_keeps_who_was_held_out(
    on_sqlite: Database, api: Api
) -> None:
    browser = api.create_browser()
    make_flow(api, "Offer 1", traffic=EVERYBODY)
    make_flow(api, "Offer 2", variants=[{"name": "A", "content": {"variantId": "blue"}}])

    api.json(api.call_flows("offer*", browserId=browser["ref"], variants=["red"]))

    assert [event.type for event in Event.objects.all()] == ["HOLDOUT"]


def test_holdout_event__sent_by_a_client__is_refused(on_sqlite: Database, api: Api) -> None:
    browser = api.create_browser()

    answer = api.send("HOLDOUT", browser["ref"])

    assert answer.status_code == 400
    assert "written by the server alone" in answer.json()["message"]


def test_row__of_two_events__gives_each_a_row_of_its_own_to_be_sent_round_again(
    on_sqlite: Database, api: Api
) -> None:
    browser = api.create_browser()
    make_flow(api, "Offer 1", traffic=EVERYBODY)
    make_flow(api, "Offer 2")
    with override_settings(TRACKING={"DISPATCH": "worker"}):
        api.call_flows("offer*", browserId=browser["ref"])
        row = InboxEntry.objects.select_related("client").get()
    entry = Entry(
        ref=row.ref,
        origin=row.ref,
        first_index=0,
        client=clients.load(row.client),
        dialect=row.dialect,
        body=bytes(row.body),
        headers={},
        received_at=row.received_at,
    )

    messages = [each for each in wire.parse(entry) if isinstance(each, Message)]

    assert [message.type for message in messages] == ["HOLDOUT", "TRACKING"]
    for message in messages:
        alone = replace(entry, ref=uuid.uuid4(), first_index=message.index, body=message.raw)
        (again,) = wire.parse(alone)
        assert isinstance(again, Message)
        assert replace(again, entry=entry, raw=message.raw) == message


# --- On the whole site --------------------------------------------------------------------------


def hold_out(api: Api, percent: float = 100, **values: Any) -> dict[str, Any]:
    body = {"name": "Everything", "percent": percent, "active": True, **values}
    made: dict[str, Any] = api.json(api.post("/v2/holdouts", body, basic=True))
    return made


def test_site_holdout__while_active__shows_nothing_and_leaves_no_event(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()
    make_flow(api, "Offer 1", audience=leaf("guest.type", "is", "customer"))
    make_flow(api, "Offer 2")
    make_flow(api, "Offer 3", status="DRAFT")
    holdout = hold_out(api)

    during = api.json(api.call_flows("offer*", browserId=browser["ref"]))
    path = f"/v2/holdouts/{holdout['ref']}"
    api.http.put(
        path,
        json.dumps({"name": "Everything", "percent": 100, "active": False}),
        content_type="application/json",
        headers={"Authorization": api.basic},
    )
    after = api.json(api.call_flows("offer*", browserId=browser["ref"]))

    assert (during, after) == (NOTHING, {"title": "Hello "})
    assert [event.type for event in Event.objects.all()] == ["TRACKING"]
    exits.write()
    counts = ExitCount.objects.filter(reason="HOLDOUT")
    assert sorted(counts.values_list("flow__friendly_id", "count")) == [
        ("offer_1", 1), ("offer_2", 1),
    ]  # fmt: skip


def test_site_holdout__is_told_to_whoever_asks_why(database: Database, api: Api) -> None:
    browser = api.create_browser()
    api.send("VIEW", browser["ref"])
    make_flow(api)
    hold_out(api)

    told = api.read(f"/v2/guests/{browser['customer_ref']}/decisions", friendlyId="hero_banner")

    (flow,) = told["flows"]
    assert (flow["outcome"], flow["reason"]) == ("CLOSED", "HOLDOUT")
    closed = next(gate for gate in flow["gates"] if not gate["open"])
    assert closed["name"] == "Site holdout"
    assert closed["because"][0].startswith(
        "100 % of all guests are shown nothing at all (“Everything”); this guest stands at "
    )
    assert "would not be shown (HOLDOUT)" in told["sentences"][0]


def test_site_holdout__costs_a_call_no_query(
    database: Database, api: Api, count_queries: Callable[[], CaptureQueriesContext]
) -> None:
    browser = api.create_browser()
    make_flow(api)
    counts = []
    with override_settings(TRACKING={"DISPATCH": "worker"}):
        for percent in (None, 0):
            if percent is not None:
                hold_out(api, percent)
            api.call_flows("hero_banner", browserId=browser["ref"])
            tasks.drain()
            with count_queries() as queries:
                assert api.json(api.call_flows("hero_banner", browserId=browser["ref"]))
            counts.append(len(queries))

    assert counts[0] == counts[1]
