"""The next best offer, over HTTP: made, published, called, and recorded."""

from typing import Any

import pytest

from personalize.api.decision_examples import DISCOUNT_TABLE, OFFER, TEMPLATE
from tests.api import Api
from tests.conftest import Database

pytestmark = pytest.mark.django_db(transaction=True)


def make(api: Api, path: str, body: Any) -> Any:
    return api.json(api.post(path, body, basic=True))


def refusal(api: Api, path: str, body: Any) -> tuple[str, str]:
    response = api.post(path, body, basic=True)
    assert response.status_code == 400
    return response.json()["error"], response.json()["message"]


def test_next_best_offer__made_by_a_server__is_what_the_guest_is_called_with(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()["ref"]
    make(api, "/v2/offerTemplates", TEMPLATE)
    offer = make(api, "/v2/offers", {**OFFER, "audience": {}, "validTo": None})
    outputs = [{"name": "offer", "type": "OFFER"}]
    decision = {"outputs": outputs, "rows": [{"then": {"offer": offer["ref"]}}]}
    model = make(api, "/v2/decisionModels", {"name": "Next best", "decision": decision})
    api.json(api.post(f"/v2/decisionModels/{model['friendlyId']}/publish", {}, basic=True))
    variant = {"name": "A", "content": {"banner": "{{ decision.offer }}"}}
    flow = {"name": "Hero", "status": "LIVE", "decisionModel": "next_best", "variants": [variant]}
    assert make(api, "/v2/flowDefinitions", flow)["decisionModel"] == "next_best"

    answer = api.json(api.call_flows("hero", browserId=browser))

    assert answer["banner"] == {
        **OFFER["attributes"],  # type: ignore[dict-item]
        "name": "Spring sale",
        "ref": offer["ref"],
    }
    (tracked,) = api.read("/v2/events", type="TRACKING")["items"]
    assert tracked["ref"]
    paused = {**OFFER, "audience": {}, "validTo": None, "status": "PAUSED"}
    address = f"/v2/offers/{offer['ref']}"
    headers = {"Authorization": api.basic}
    api.json(api.http.put(address, paused, content_type="application/json", headers=headers))
    assert api.json(api.call_flows("hero", browserId=browser))["banner"] is None


def test_decision_model__as_it_is_read__shows_draft_what_decides_and_warnings(
    on_sqlite: Database, api: Api
) -> None:
    made = make(api, "/v2/decisionModels", DISCOUNT_TABLE)

    assert (made["friendlyId"], made["revision"], made["published"]) == ("discount", 0, None)
    assert made["warnings"] == [
        "No row hits when Guest type is “visitor” and Session views is 0: the answer is then the "
        "defaults."
    ]
    published = api.json(api.post("/v2/decisionModels/discount/publish", {}, basic=True))
    assert (published["revision"], published["published"]) == (1, made["decision"])


def test_refusals__say_what_is_wrong_in_the_callers_terms(on_sqlite: Database, api: Api) -> None:
    rows = [{"when": [{"operator": "is", "value": "x"}], "then": {"discount": "five"}}]
    outputs = [{"name": "discount", "type": "NUMBER"}]
    wrong = {"inputs": [{"field": "guest.city"}], "outputs": outputs, "rows": rows}
    meeting = {"hitPolicy": "UNIQUE", "outputs": outputs, "rows": [{}, {}]}
    failing = {
        **DISCOUNT_TABLE["decision"],  # type: ignore[dict-item]
        "tests": [{"facts": {}, "expected": {"discount": 7}}],
    }
    make(api, "/v2/decisionModels", {"name": "Failing", "decision": failing})

    assert refusal(api, "/v2/decisionModels", {"name": "X", "decision": wrong}) == (
        "decision_invalid",
        "Row 1, “discount”: it needs a number, at most 1,000,000,000,000,000.",
    )
    code, message = refusal(api, "/v2/decisionModels", {"name": "X", "decision": meeting})
    assert (code, message[:19]) == ("decision_invalid", "Rows 1 and 2 both h")
    code, message = refusal(api, "/v2/decisionModels/failing/publish", {})
    assert (code, "“discount” is 0, expected 7" in message) == ("tests_failed", True)
    callable_ = {"name": "X", "decision": {"callable": "nobody"}}
    assert "No decision called “nobody”" in refusal(api, "/v2/decisionModels", callable_)[1]
    flow = {"name": "Hero", "decisionModel": "none", "variants": []}
    assert refusal(api, "/v2/flowDefinitions", flow)[0] == "decision_unknown"
    assert refusal(api, "/v2/offers", OFFER) == (
        "template_unknown",
        "There is no offer template “Banner”.",
    )
    assert api.get("/v2/offers/none", basic=True).status_code == 404
    assert api.get("/v2/decisionModels/none", basic=True).status_code == 404


def test_what_is_in_use__is_not_deleted(on_sqlite: Database, api: Api) -> None:
    make(api, "/v2/decisionModels", DISCOUNT_TABLE)
    api.json(api.post("/v2/decisionModels/discount/publish", {}, basic=True))
    flow = {"name": "Hero", "decisionModel": "discount", "variants": [{"name": "A"}]}
    make(api, "/v2/flowDefinitions", flow)

    headers = {"Authorization": api.basic}
    response = api.http.delete("/v2/decisionModels/discount", headers=headers)

    assert response.status_code == 400
    assert "used by “Hero”" in response.json()["message"]
