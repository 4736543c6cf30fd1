"""Traffic over HTTP: definitions say who is let in, and calls and events say that it is so."""

from collections import Counter
from typing import Any

import pytest

from personalize.bucketing import universal_bucket
from personalize.models import Execution
from tests.api import Api
from tests.conftest import Database
from tests.factories import BrowserFactory
from tests.journeys.test_call_flows import make_flow
from tracking.models import Client, Event

pytestmark = pytest.mark.django_db(transaction=True)

EXPERIMENT: dict[str, Any] = {
    "subtype": "EXPERIMENT",
    "variants": [
        {"name": "A", "isControl": True, "weight": 2, "content": {"v": "A"}},
        {"name": "B", "weight": 1, "content": {"v": "B"}},
    ],
}
NOTHING = {"message": "No flow executed"}


def put(api: Api, path: str, body: dict[str, Any]) -> Any:
    return api.http.put(
        path, body, content_type="application/json", headers={"Authorization": api.basic}
    )


def test_definition__in_universal_buckets__is_read_back_with_each_variants_own(
    database: Database, api: Api
) -> None:
    coupled = {"coupled": True, "allocationLow": 31, "allocationHigh": 60, "holdout": 5}
    made = make_flow(api, traffic=coupled, **EXPERIMENT)

    refs = [variant["ref"] for variant in made["variants"]]
    assert made["traffic"] == {
        "type": "simpleTraffic",
        "weightingAlgorithm": "USER_DEFINED",
        "allocation": 100,
        "coupled": True,
        "allocationLow": 31,
        "allocationHigh": 60,
        "splits": [
            {"ref": refs[0], "split": 2, "lowSplit": 31, "highSplit": 50},
            {"ref": refs[1], "split": 1, "lowSplit": 51, "highSplit": 60},
        ],
        "exclusionGroup": None,
        "holdout": 5,
    }
    assert (made["phase"], made["warnings"]) == (1, [])
    again = api.json(put(api, "/v2/flowDefinitions/hero_banner", {**EXPERIMENT, **_sent(made)}))
    assert again["traffic"] == made["traffic"]
    assert (again["revision"], again["phase"]) == (2, 1)


def test_definition__with_other_weights__begins_a_phase_that_its_runs_name(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()
    made = make_flow(api, **EXPERIMENT)
    api.call_flows("hero_banner", browserId=browser["ref"])
    sent = _sent(made)
    sent["traffic"]["splits"][0]["split"] = 1

    again = api.json(put(api, "/v2/flowDefinitions/hero_banner", {**EXPERIMENT, **sent}))
    api.call_flows("hero_banner", browserId=browser["ref"])

    assert again["phase"] == 2
    runs = Event.objects.filter(type="TRACKING").order_by("ref")
    assert [run.data["decision"]["phase"] for run in runs] == [1, 2]


@pytest.mark.parametrize(
    ("traffic", "code"),
    [
        ({"coupled": True, "allocationLow": 0}, "buckets_invalid"),
        ({"coupled": True, "allocationLow": 9, "allocationHigh": 3}, "buckets_invalid"),
        ({"coupled": True, "allocationLow": 9, "allocationHigh": 9}, "buckets_too_few"),
        ({"allocationLow": 9}, "buckets_uncoupled"),
        ({"holdout": -1}, "holdout_invalid"),
        ({"allocation": 101}, "allocation_invalid"),
        ({"exclusionGroup": {"name": "Nowhere"}}, "group_unknown"),
        ({"exclusionGroup": {}}, "group_unnamed"),
        ({"exclusionGroup": {"name": "Checkout", "low": 9, "high": 9}}, "group_range_invalid"),
        ({"exclusionGroup": {"name": "Checkout"}, "coupled": True}, "group_and_buckets"),
    ],
)
def test_definition__of_impossible_traffic__is_refused(
    on_sqlite: Database, api: Api, traffic: dict[str, Any], code: str
) -> None:
    api.json(api.post("/v2/exclusionGroups", {"name": "Checkout"}, basic=True))
    body = {"name": "Hero", "status": "LIVE", "traffic": traffic, **EXPERIMENT}

    answer = api.post("/v2/flowDefinitions", body, basic=True)

    assert (answer.status_code, answer.json()["error"]) == (400, code), answer.json()
    assert api.read("/v2/flowDefinitions")["items"] == []


def test_definition__with_buckets_that_its_shares_do_not_give__is_refused(
    on_sqlite: Database, api: Api
) -> None:
    made = make_flow(api, traffic={"coupled": True}, **EXPERIMENT)
    sent = _sent(made)
    sent["traffic"]["splits"][0]["split"] = 1

    answer = put(api, "/v2/flowDefinitions/hero_banner", {**EXPERIMENT, **sent})

    assert answer.status_code == 400
    assert "“A” gets 1 to 60, not 1 to 80." in answer.json()["message"]


def test_universal__of_two_flows_side_by_side__shows_each_guest_one_of_them(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    make_flow(api, "One", traffic={"coupled": True, "allocationHigh": 60}, **EXPERIMENT)
    make_flow(api, "Two", traffic={"coupled": True, "allocationLow": 61}, **EXPERIMENT)
    warned = make_flow(api, "Across", traffic={"coupled": True}, **EXPERIMENT)["warnings"]

    for browser in BrowserFactory.create_batch(20, guest__client=shop):
        answers = {
            name: api.json(api.call_flows(name, browserId=browser.value)) for name in ("one", "two")
        }
        number = universal_bucket(str(browser.guest.bucket_ref))
        assert [name for name in answers if answers[name] != NOTHING] == [
            "one" if number <= 60 else "two"
        ]
    runs = Event.objects.filter(type="TRACKING")
    assert all(
        run.data["decision"]["universalBucket"] == universal_bucket(str(run.guest.bucket_ref))
        for run in runs.select_related("guest")
        if run.guest
    )
    assert [line.split(" takes ")[0] for line in warned] == ["“One”", "“Two”"]


def test_group__of_two_flows__lets_each_guest_into_one(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    group = api.json(api.post("/v2/exclusionGroups", {"name": "Checkout"}, basic=True))
    for name, low in (("One", 0), ("Two", 50)):
        part = {"ref": group["ref"], "low": low, "high": low + 50}
        make_flow(api, name, traffic={"exclusionGroup": part})

    entered: Counter[str] = Counter()
    for browser in BrowserFactory.create_batch(20, guest__client=shop):
        ran = [
            name
            for name in ("one", "two")
            if api.json(api.call_flows(name, browserId=browser.value)) != NOTHING
        ]
        entered.update(ran)
        assert len(ran) == 1
    assert sum(entered.values()) == Execution.objects.count() == 20
    assert min(entered["one"], entered["two"]) > 0


def test_group__over_rest__says_who_has_which_part_and_stays_while_it_is_used(
    database: Database, api: Api
) -> None:
    api.json(api.post("/v2/exclusionGroups", {"name": "Checkout"}, basic=True))
    part = {"name": "Checkout", "low": 20, "high": 50}
    flow = make_flow(api, "One", traffic={"exclusionGroup": part})
    draft = {"exclusionGroup": {**part, "high": 90}}
    make_flow(api, "Two", status="DRAFT", traffic=draft)
    path = "/v2/exclusionGroups/Checkout"

    group = api.read(path)
    taken = api.post("/v2/flowDefinitions/two/status", {"status": "LIVE"}, basic=True)
    kept = api.http.delete(path, headers={"Authorization": api.basic})

    parts = [
        (each["friendlyId"], each["low"], each["high"], each["running"]) for each in group["flows"]
    ]
    assert parts == [("one", 20, 50, True), ("two", 20, 90, False)]
    assert group["free"] == [{"low": 0, "high": 20}, {"low": 50, "high": 100}]
    assert flow["traffic"]["exclusionGroup"] == {
        "ref": group["ref"], "name": "Checkout", "low": 20, "high": 50,
    }  # fmt: skip
    assert taken.status_code == 400
    assert taken.json()["message"] == (
        "“One” has 20 to 50 % of the exclusion group “Checkout” already; "
        "free is 0 to 20 and 50 to 100 %."
    )
    assert (kept.status_code, kept.json()["error"]) == (400, "group_in_use")


def _sent(made: dict[str, Any]) -> dict[str, Any]:
    """Return what a program sends that read a flow and changes one thing."""
    return {"name": made["name"], "traffic": made["traffic"], "variants": made["variants"]}
