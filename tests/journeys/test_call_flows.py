"""A live experience is run for a guest by its friendlyId, and the run is recorded."""

from typing import Any

import pytest

from tests.api import Api
from tests.conftest import Database

pytestmark = pytest.mark.django_db(transaction=True)

GREETING = {"name": "Greeting", "content": {"title": "Hello {{ guest.firstName }}"}}


def make_flow(api: Api, name: str = "Hero banner", **attributes: Any) -> dict[str, Any]:
    body = {"name": name, "status": "LIVE", "variants": [GREETING]} | attributes
    flow: dict[str, Any] = api.json(api.post("/v2/flowDefinitions", body, basic=True))
    return flow


def test_call_flows__for_a_known_guest__answers_personalised_content_and_tracks_the_run(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()
    api.identify(browser["ref"], ("EMAIL", "ada@example.com"), firstname="Ada")
    flow = make_flow(api)

    answer = api.json(
        api.call_flows("hero_banner", browserId=browser["ref"], pointOfSale="myretailsite/ireland")
    )

    assert answer == {"title": "Hello Ada"}
    events = api.read("/v2/events", type="TRACKING")["items"]
    assert len(events) == 1
    event = events[0]
    execution = event["arbitraryData"]["flowExecution"]
    assert execution == {
        "ref": event["flowExecutionRef"],
        "occurredAt": execution["occurredAt"],
        "flowRef": flow["ref"],
        "flowFriendlyId": "hero_banner",
        "flowVariantRef": flow["variants"][0]["ref"],
        "guestRef": browser["customer_ref"],
        "flowExecutionTimeMs": execution["flowExecutionTimeMs"],
        "status": "SUCCESS",
    }
    assert isinstance(execution["occurredAt"], int)
    assert event["arbitraryData"]["_bx_arbitraryDataV3ga"] == {
        "core": {"pointOfSale": "myretailsite/ireland", "channel": "WEB"},
        "bxt": {"flowExecution": execution, "category": "EXECUTED"},
    }
    assert event == {
        "ref": event["ref"],
        "clientKey": api.client_key,
        "createdAt": event["createdAt"],
        "modifiedAt": event["modifiedAt"],
        "type": "TRACKING",
        "status": "PROCESSED",
        "channel": "WEB",
        "pointOfSale": "myretailsite/ireland",
        "browserRef": browser["ref"],
        "sessionRef": event["sessionRef"],
        "flowExecutionRef": execution["ref"],
        "arbitraryData": event["arbitraryData"],
    }
    assert event["createdAt"].endswith("Z")
    sessions = api.read("/v2/sessions", browserRef=browser["ref"])["items"]
    assert [session["ref"] for session in sessions] == [event["sessionRef"]]


def test_call_flows__when_nothing_matches__says_so_and_tracks_nothing(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()
    make_flow(api, "Paused one")
    api.post("/v2/flowDefinitions/paused_one/status", {"status": "PAUSED"}, basic=True)
    make_flow(api, "For nobody", traffic={"allocation": 0})
    make_flow(api, "Customers only", audience=leaf("guest.type", "is", "customer"))
    make_flow(api, "Draft", status="DRAFT")

    for friendly_id in (
        "paused_one",
        "for_nobody",
        "customers_only",
        "draft",
        "no_such",
        "*",
        "a*b",
    ):
        answer = api.json(api.call_flows(friendly_id, browserId=browser["ref"]))
        assert answer == {"message": "No flow executed"}, friendly_id

    assert api.read("/v2/events", type="TRACKING")["items"] == []


def test_call_flows__by_prefix__falls_through_to_the_first_that_passes(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()
    french = leaf("request.language", "is", "FR")
    make_flow(api, "Product Recommender", audience=french)
    make_flow(api, "Product Recommender", variants=[{"name": "2", "content": {"n": 2}}])
    make_flow(api, "Product Recommender2", variants=[{"name": "3", "content": {"n": 3}}])

    first = api.json(api.call_flows("product_recommender*", browserId=browser["ref"]))
    exact = api.json(api.call_flows("product_recommender", browserId=browser["ref"]))

    # Code-point order: the digit 2 stands before the underscore.
    assert first == {"n": 3}
    assert exact == {"message": "No flow executed"}


def test_call_flows__after_an_event__knows_it_in_the_next_call(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()
    make_flow(api, audience={"all": [{"event": "ADD", "at_least": 1, "within": "session"}]})

    before = api.json(api.call_flows("hero_banner", browserId=browser["ref"]))
    api.send("ADD", browser["ref"], product={"name": "Shoe"})
    after = api.json(api.call_flows("hero_banner", browserId=browser["ref"]))

    assert before == {"message": "No flow executed"}
    assert after == {"title": "Hello "}


@pytest.mark.parametrize(
    "addressee",
    [
        {"email": "stranger@example.com"},
        {"identifiers": {"provider": "EMAIL", "id": "stranger@example.com"}},
        {"browserId": "56860bff-94ba-4d84-aa37-2b5a83d5411b"},
    ],
)
def test_call_flows__for_a_stranger__stores_a_new_visitor_without_the_address(
    database: Database, api: Api, addressee: dict[str, Any]
) -> None:
    make_flow(api)

    answer = api.json(api.call_flows("hero_banner", **addressee))

    assert answer == {"title": "Hello "}
    (event,) = api.read("/v2/events", type="TRACKING")["items"]
    assert event["browserRef"] is None
    assert event["sessionRef"] is not None
    guest = api.read(f"/v2.1/guests/{event['arbitraryData']['flowExecution']['guestRef']}")
    assert guest["guestType"] == "visitor"
    assert guest["identifiers"] == []
    assert guest["email"] == ""


def test_call_flows__by_the_email_of_a_profile__finds_that_guest(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()
    api.identify(browser["ref"], ("OTHER", "7"), firstname="Ada", email="Ada@example.com")
    make_flow(api)

    answer = api.json(api.call_flows("hero_banner", email="ADA@example.com"))

    assert answer == {"title": "Hello Ada"}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"email": "a@b.c"}, "browserId and email"),
        ({"browserId": None}, "none"),
        ({"language": "English"}, "language"),
        ({"currencyCode": "EURO"}, "currencyCode"),
        ({"params": [1]}, "params"),
        ({"pointOfSale": "nowhere"}, "myretailsite/ireland, myretailsite/germany"),
        ({"friendlyID": "other"}, "friendlyID"),
        ({"clientKey": "unknown"}, "client_key"),
    ],
)
def test_call_flows__with_a_bad_field__is_refused_and_names_it(
    on_sqlite: Database, api: Api, wrong: dict[str, Any], named: str
) -> None:
    browser = api.create_browser()
    make_flow(api)

    response = api.call_flows("hero_banner", **({"browserId": browser["ref"]} | wrong))

    assert response.status_code == 400
    assert named in response.json()["message"]
    assert api.read("/v2/events")["items"] == []


def test_call_flows__with_a_template_that_fails__says_so_and_is_no_success(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()
    looping = "{% for a in (1..9999) %}{% for b in (1..9999) %}x{% endfor %}{% endfor %}"
    make_flow(api, variants=[{"name": "Loop", "content": {"title": looping}}])

    answer = api.json(api.call_flows("hero_banner", browserId=browser["ref"]))

    assert answer == {"message": "Templating transformation failed"}
    (event,) = api.read("/v2/events", type="TRACKING")["items"]
    assert event["arbitraryData"]["flowExecution"]["status"] == "ERROR"


def test_call_flows__as_jsonp__calls_the_named_function(on_sqlite: Database, api: Api) -> None:
    browser = api.create_browser()
    make_flow(api)
    message = (
        f'{{"clientKey":"{api.client_key}","friendlyID":"hero_banner",'
        f'"browserId":"{browser["ref"]}"}}'
    )

    response = api.get("/v2/callFlows", message=message, callback="jsonp1")

    assert response["Content-Type"].startswith("application/javascript")
    assert response.content == b'jsonp1({"title":"Hello "})'


def test_friendly_id__of_a_deleted_flow__is_never_used_again(on_sqlite: Database, api: Api) -> None:
    first = make_flow(api, "Product Recommender")
    api.http.delete(f"/v2/flowDefinitions/{first['ref']}", headers={"Authorization": api.basic})
    second = make_flow(api, "Product Recommender")

    by_hand = api.post(
        "/v2/flowDefinitions", {"name": "x", "friendlyId": "product_recommender"}, basic=True
    )

    assert second["friendlyId"] == "product_recommender_2"
    assert by_hand.status_code == 400
    assert "deleted flow" in by_hand.json()["message"]
    assert api.read("/v2/flowDefinitions/product_recommender")["deleted"] is True


def leaf(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"all": [{"field": field, "operator": operator, "value": value}]}
