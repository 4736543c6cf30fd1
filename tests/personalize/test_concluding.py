"""What is done once results are in, and by what an experiment is planned: over REST."""

from typing import Any

import pytest

from personalize import flows, sample_size
from personalize.models import Flow
from tests.api import Api
from tests.conftest import Database
from tests.personalize import measured
from tests.personalize.test_admin import experience
from tracking.models import Client

pytestmark = pytest.mark.django_db(transaction=True)


def conclude(api: Api, flow: Flow, **body: Any) -> Any:
    return api.post(f"/v2/flowDefinitions/{flow.friendly_id}/conclude", body, basic=True)


def published(flow: Flow) -> dict[str, float]:
    flow.refresh_from_db()
    assert flow.published is not None
    return {each["name"]: each["weight"] for each in flow.published.definition["variants"]}


def test_ship__of_a_variant__sends_all_traffic_there_as_a_new_revision(
    database: Database, api: Api, shop: Client
) -> None:
    flow = measured.experiment(shop)
    green = flow.variants.get(name="Green")

    answer = api.json(conclude(api, flow, action="SHIP", variant=str(green.ref)))

    assert published(flow) == {"Blue": 0, "Green": 100}
    assert answer["revision"] == 2
    assert {each["name"]: each["weight"] for each in answer["variants"]} == published(flow)
    for _ in range(4):
        browser = api.create_browser()["ref"]
        api.json(api.call_flows(flow.friendly_id, browserId=browser))
    ran = api.read("/v2/executions", flowRef=flow.ref)["items"]
    assert {each["variantRef"] for each in ran} == {str(green.ref)}


def test_control__after_a_variant_was_shipped__gets_all_traffic_back(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    flow = measured.experiment(shop)
    api.json(conclude(api, flow, action="SHIP", variant=str(flow.variants.get(name="Green").ref)))

    api.json(conclude(api, flow, action="CONTROL"))

    assert published(flow) == {"Blue": 100, "Green": 0}
    again = conclude(api, flow, action="CONTROL")
    assert (again.status_code, again.json()["error"]) == (400, "already_so")


def test_complete__ends_the_flow(on_sqlite: Database, api: Api, shop: Client) -> None:
    flow = measured.experiment(shop)

    assert api.json(conclude(api, flow, action="COMPLETE"))["status"] == "COMPLETED"

    refused = conclude(api, flow, action="CONTROL")
    assert (refused.status_code, refused.json()["error"]) == (400, "flow_completed")


def test_ship__with_unpublished_changes__is_refused_and_changes_nothing(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    flow = measured.experiment(shop)
    flow.allocation = 10
    flows.save(flow)

    refused = conclude(api, flow, action="CONTROL")

    assert refused.json()["error"] == "unpublished_changes"
    assert published(flow) == {"Blue": 50, "Green": 50}


def test_conclude__of_what_cannot_be__is_refused_in_the_callers_terms(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    flow = measured.experiment(shop)
    draft = measured.experiment(shop, "Draft", status=None)
    alone = experience(shop, status="LIVE")

    refusals = [
        conclude(api, flow, action="SHIP"),
        conclude(api, flow, action="SHIP", variant=str(flow.ref)),
        conclude(api, draft, action="CONTROL"),
        conclude(api, alone, action="CONTROL"),
        conclude(api, flow, action="WIN"),
    ]

    assert [each.json()["error"] for each in refusals] == [
        "variant_missing", "variant_unknown", "never_published", "experiment_needed",
        "flow_invalid",
    ]  # fmt: skip
    assert {each.status_code for each in refusals} == {400}


# --- the plan -----------------------------------------------------------------------------


def test_sample_size__is_kept_read_back_and_fixed_once_it_runs(
    database: Database, api: Api, shop: Client
) -> None:
    flow = measured.experiment(shop, status=None)
    path = f"/v2/flowDefinitions/{flow.ref}"
    body = api.read(path)
    assert body["sampleSizeConfig"] == sample_size.whole({})
    body["sampleSizeConfig"] = {"baseValue": 0.05, "minimumDetectableDifference": 0.1}

    kept = api.json(api.put(path, body | {"status": "LIVE"}))

    plan = {"baseValue": 0.05, "minimumDetectableDifference": 0.1} | {
        "confidenceLevel": 0.95, "power": 0.8,
    }  # fmt: skip
    assert kept["sampleSizeConfig"] == plan
    assert api.read(f"{path}/results")["plan"]["guestsPerVariant"] == 31231
    assert api.put(path, kept).status_code == 200
    refused = api.put(path, kept | {"sampleSizeConfig": {"baseValue": 0.1}})
    assert (refused.status_code, refused.json()["error"]) == (400, "sample_size_fixed")
    assert api.read(path)["sampleSizeConfig"] == plan


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("baseValue", 0.001),
        ("minimumDetectableDifference", 0.6),
        ("confidenceLevel", 1.0),
        ("power", "much"),
    ],
)
def test_sample_size__out_of_range__is_refused_by_its_name(
    on_sqlite: Database, api: Api, shop: Client, name: str, value: object
) -> None:
    flow = measured.experiment(shop, status=None)
    path = f"/v2/flowDefinitions/{flow.ref}"

    refused = api.put(path, api.read(path) | {"sampleSizeConfig": {name: value}})

    assert refused.status_code == 400
    assert name in refused.json()["message"]


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ([], "an object"),
        ({"mde": 0.1}, "has no mde"),
        ({"power": True}, "power is a number from 0.5 to 0.99"),
        ({"baseValue": float("nan")}, "baseValue is a number"),
    ],
)
def test_sample_size__that_makes_no_sense__says_why(stated: object, problem: str) -> None:
    with pytest.raises(sample_size.SampleSizeInvalid, match=problem):
        sample_size.check(stated)


def test_sample_size__of_the_defaults__is_what_the_textbook_says() -> None:
    # (1.95996 + 0.84162)^2 (0.02 * 0.98 + 0.024 * 0.976) / 0.004^2
    assert sample_size.guests_per_variant({}) == 21106
    assert sample_size.guests_per_variant({"power": 0.9}) > 21106
