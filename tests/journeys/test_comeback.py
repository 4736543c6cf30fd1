"""
The whole story: a segment fills while events arrive, an experience is for it, its decision table
picks the offer by country and cart, the answer has the offer, and the record explains it.
"""

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client as HttpClient

from project.demo import api as demo
from project.demo import comeback, flows, payloads
from tests.api import Api
from tests.conftest import Database
from tests.factories import API_TOKEN, CLIENT_KEY

pytestmark = pytest.mark.django_db(transaction=True)

SEGMENT = "/v2/segments/saw_popup_not_bought"


class InProcess(demo.Api):
    """The demo's server to server calls, without a server."""

    def __init__(self) -> None:
        super().__init__(host="-", port=0, client_key=CLIENT_KEY, api_token=API_TOKEN)
        self.http = HttpClient()

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> demo.Answer:
        response = self.http.generic(
            method, path, body or b"", content_type="application/json", headers=headers or {}
        )
        return demo.Answer(response.status_code, json.loads(response.content), 0.0)


@pytest.fixture
def story(api: Api) -> list[str]:
    """The demo's segment, offers, table and experiences. Returns what was told of them."""
    told: list[str] = []
    server = InProcess()
    comeback.put(server, told.append)
    for friendly_id in ("running_shoes_popup_02", "comeback_offer"):
        flows.put_live(server, friendly_id, flows.ALL[friendly_id])
    return told


Visit = Callable[[str, float], str]


@pytest.fixture
def visit(api: Api) -> Visit:
    """Have somebody of a country look at shoes, with so much in the cart, and see the popup."""

    def visit(country: str, price: float) -> str:
        browser = str(api.create_browser()["ref"])
        product = {**payloads.ADD_SHOES["product"], "price": price}
        page = payloads.PAGE
        api.json(api.send("VIEW", browser, page=page))
        api.json(api.send("ADD", browser, page=page, product=product))
        api.json(api.identify(browser, ("EMAIL", f"{browser[:8]}@example.com"), country=country))
        assert call(api, "comeback_offer", browser) is None
        assert call(api, "running_shoes_popup_02", browser) is not None
        return browser

    return visit


def call(api: Api, friendly_id: str, browser: str) -> Any:
    params = {"page": payloads.PAGE}
    answer = api.json(api.call_flows(friendly_id, browserId=browser, params=params))
    return None if answer == {"message": "No flow executed"} else answer


def test_comeback_offer__from_the_segment_to_the_reason__is_one_story(
    database: Database, api: Api, story: list[str], visit: Visit
) -> None:
    full, small, german = visit("IE", 129), visit("IE", 40), visit("DE", 129)
    assert api.read(SEGMENT)["members"] == 3

    offers = [call(api, "comeback_offer", each)["offer"] for each in (full, small, german)]
    assert offers == ["Fifteen percent", "Free delivery", "Free delivery"]

    api.json(api.send("CHECKOUT", full, reference_id="R-1"))
    assert api.read(SEGMENT)["members"] == 2
    assert call(api, "comeback_offer", full) is None

    runs = api.read("/v2/executions", friendlyId="comeback_offer")["items"]
    told = api.read(f"/v2/executions/{runs[-1]['ref']}")
    said = " ".join(told["explanation"]["sentences"])
    assert "Segments [“saw_popup_not_bought”] includes “saw_popup_not_bought”" in said
    assert "Guest country “IE” is one of “IE”, “GB”" in said
    assert "Value of the cart 129 is at least 100" in said
    assert told["replay"]["equal"] is True
    assert told["now"]["flows"][0]["outcome"] == "CLOSED"


def test_replay__of_all_that_was_decided__agrees_whatever_was_changed_since(
    database: Database, api: Api, story: list[str], visit: Visit
) -> None:
    for country, price in (("IE", 129), ("IE", 40), ("DE", 129)):
        call(api, "comeback_offer", visit(country, price))
    server = InProcess()
    server.put("/v2/flowDefinitions/comeback_offer", {**comeback.EXPERIENCE, "audience": {}})

    call_command("replay_decisions", "--json", stdout=(said := StringIO()), stderr=StringIO())

    counted = json.loads(said.getvalue().splitlines()[-1])
    assert (counted["checked"], counted["equal"]) == (6, 6)


def test_story__put_in_place_twice__is_there_once(
    on_sqlite: Database, api: Api, story: list[str]
) -> None:
    again: list[str] = []
    comeback.put(InProcess(), again.append)

    assert again == story
    assert len(api.read("/v2/offers")["items"]) == 2
