"""A visitor's events arrive over HTTP and become a guest with sessions and a profile."""

from typing import Any

import pytest

from tests.api import Api
from tests.conftest import Database

pytestmark = pytest.mark.django_db(transaction=True)


def test_stream_event__of_a_known_browser__is_read_back_as_documented(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()

    accepted = api.json(api.send("VIEW", browser["ref"], ext={"shoe": 43, "sale": True}))

    event = api.read(f"/v2/events/{accepted['ref']}")
    assert accepted["status"] == "OK"
    assert accepted["version"] == "1.2"
    assert event["type"] == "VIEW"
    assert event["status"] == "PROCESSED"
    assert event["browserRef"] == browser["ref"]
    assert event["pointOfSale"] == "myretailsite/ireland"
    assert event["arbitraryData"]["ext"] == {"shoe": 43, "sale": True}
    assert event["sessionRef"] == api.read("/v2/sessions")["items"][0]["ref"]


def test_stream_event__of_an_unknown_browser__is_not_found_and_stores_nothing(
    database: Database, api: Api
) -> None:
    answers = [
        api.json(api.send("VIEW", browser_id))
        for browser_id in ("", "undefined", "56860bff-94ba-4d84-aa37-2b5a83d5411b")
    ]

    assert {answer["status"] for answer in answers} == {"NOT_FOUND"}
    assert {answer["error_msg"] for answer in answers} == {"Invalid browser id/ref specified"}
    assert api.read("/v2/events")["items"] == []


def test_identity__by_a_rule__promotes_the_visitor_and_fills_the_profile(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()

    api.identify(
        browser["ref"], ("EMAIL", "Ada@Example.com"), firstname="Ada", email="Ada@Example.com"
    )

    guest = api.read(f"/v2.1/guests/{browser['customer_ref']}")
    assert guest["guestType"] == "customer"
    assert guest["firstName"] == "Ada"
    assert guest["identifiers"] == [
        {"provider": "EMAIL", "id": "ada@example.com", "expiryDate": None}
    ]


def test_identity__on_a_second_browser__joins_the_first_guest(database: Database, api: Api) -> None:
    phone, laptop = api.create_browser(), api.create_browser()
    api.send("VIEW", laptop["ref"], page="shoes")
    api.identify(phone["ref"], ("EMAIL", "ada@example.com"))

    api.identify(laptop["ref"], ("EMAIL", "ada@example.com"), lastname="Lovelace")

    assert api.json(api.show(laptop["ref"]))["customer"]["ref"] == phone["customer_ref"]
    retired = api.read(f"/v2.1/guests/{laptop['customer_ref']}")
    assert retired["guestType"] == "retired"
    assert retired["mergedInto"] == phone["customer_ref"]
    survivor = api.read(f"/v2.1/guests/{phone['customer_ref']}")
    assert survivor["lastName"] == "Lovelace"
    events = api.read("/v2/events", guestRef=phone["customer_ref"])["items"]
    assert [event["type"] for event in events] == ["IDENTITY", "IDENTITY", "VIEW"]


def test_batch__with_a_bad_event__takes_the_others_and_says_which(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"deeper": deep}

    answer = api.json(
        api.batch(
            {"type": "VIEW", "browserId": browser["ref"], "messageId": "m-1"},
            {"type": "VIEW", "browserId": browser["ref"], "messageId": "m-2", "ext": deep},
            {"type": "TRACKING", "browserId": browser["ref"], "messageId": "m-3"},
            {"type": "ADD", "browserId": browser["ref"], "messageId": "m-4"},
        )
    )

    assert [verdict["status"] for verdict in answer["events"]] == [
        "OK",
        "REJECTED",
        "REJECTED",
        "OK",
    ]
    events = api.read("/v2/events")["items"]
    assert [event["type"] for event in events] == ["ADD", "VIEW"]
    again = api.json(api.batch({"type": "ADD", "browserId": browser["ref"], "messageId": "m-4"}))
    assert again["accepted"] == 1
    assert len(api.read("/v2/events")["items"]) == 2


def test_batch__with_older_events__moves_the_guests_first_visit_back(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()

    api.batch(
        {"type": "VIEW", "browserId": browser["ref"], "occurredAt": "2026-01-31T12:00:00Z"},
        {"type": "VIEW", "browserId": browser["ref"], "occurredAt": "2026-01-30T12:00:00Z"},
    )

    guest = api.read(f"/v2.1/guests/{browser['customer_ref']}")
    assert guest["firstSeen"] == "2026-01-30T12:00:00.000Z"
    assert guest["lastSeen"] > "2026-01-31"
