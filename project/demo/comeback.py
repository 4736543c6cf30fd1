"""
The offer that brings a guest back: a segment, offers, a decision table and the experience of them.

Who saw the popup and has not bought is in one segment, who ordered then in another. The table picks
the offer by country and by what is in the cart; the experience answers with it. Bodies for the REST
API, put in place by `put`, also when an earlier run has been there.
"""

from collections.abc import Callable
from typing import Any

from project.demo.api import Answer, Api

SEGMENT: dict[str, Any] = {
    "name": "Saw the running shoes popup, has not bought",
    "friendlyId": "saw_popup_not_bought",
    "condition": {
        "all": [
            {"saw": "running_shoes_popup_02"},
            {"field": "orders.count", "operator": "is", "value": 0},
        ]
    },
}
CONVERTED: dict[str, Any] = {
    "name": "Saw the running shoes popup, and ordered",
    "friendlyId": "ordered_after_popup",
    "condition": {"converted": "running_shoes_popup_02", "goal": "Ordered"},
}
TEMPLATE: dict[str, Any] = {
    "name": "Shop offer",
    "attributes": [
        {"name": "title", "type": "TEXT", "required": True},
        {"name": "percent", "type": "NUMBER"},
    ],
}
FREE_DELIVERY: dict[str, Any] = {
    "name": "Free delivery",
    "template": "Shop offer",
    "status": "LIVE",
    "attributes": {"title": "We bring them to you for nothing"},
}
FIFTEEN_PERCENT: dict[str, Any] = {
    "name": "Fifteen percent",
    "template": "Shop offer",
    "status": "LIVE",
    "attributes": {"title": "Fifteen percent off your cart", "percent": 15},
}
MODEL = "comeback_offer"
EXPERIENCE: dict[str, Any] = {
    "name": "Comeback offer",
    "description": "An offer for those who saw the popup and did not buy, by country and cart.",
    "tags": ["home"],
    "decisionModel": MODEL,
    "audience": {
        "all": [{"field": "guest.segments", "operator": "includes", "value": SEGMENT["friendlyId"]}]
    },
    "goals": [{"name": "Ordered", "kind": "CONVERSION", "windowHours": 72}],
    "variants": [
        {
            "name": "Offer",
            "content": {
                "title": "{{ decision.offer.title }}",
                "percent": "{{ decision.offer.percent }}",
                "offer": "{{ decision.offer.name }}",
            },
        }
    ],
}


class Refused(Exception):
    """The server did not take a part of the story; the text has its answer."""


def put(api: Api, tell: Callable[[str], None]) -> None:
    """Put all but the experience in place, and say so line by line. Raises Refused."""
    for body in (SEGMENT, CONVERTED):
        segment = _put(api, "/v2/segments", body, key="friendlyId")
        tell(f"  segment {segment['friendlyId']:<27} {segment['members']} guests")
    _put(api, "/v2/offerTemplates", TEMPLATE, key="name")
    refs = {}
    for offer in (FREE_DELIVERY, FIFTEEN_PERCENT):
        refs[offer["name"]] = _put_offer(api, offer)["ref"]
        tell(f"  offer {offer['name']:<29} {offer['status']}")
    body = {"name": "Comeback offer", "friendlyId": MODEL, "decision": _decision(refs)}
    model = _put(api, "/v2/decisionModels", body, key="friendlyId")
    if model["published"] != model["decision"]:
        model = _ok(api.post(f"/v2/decisionModels/{MODEL}/publish", {}, basic=True))
    tell(f"  decision {MODEL:<26} revision {model['revision']}")


def _decision(refs: dict[str, Any]) -> dict[str, Any]:
    """Return the table: a full cart is worth more, and delivery is dear from abroad."""
    return {
        "hitPolicy": "FIRST",
        "inputs": [{"field": "guest.country"}, {"field": "cart.value"}],
        "outputs": [{"name": "offer", "type": "OFFER"}],
        "rows": [
            {
                "when": [
                    {"operator": "is_one_of", "value": ["IE", "GB"]},
                    {"operator": "at_least", "value": 100},
                ],
                "then": {"offer": refs["Fifteen percent"]},
            },
            {"when": [], "then": {"offer": refs["Free delivery"]}},
        ],
    }


def _put(api: Api, path: str, body: dict[str, Any], *, key: str) -> Any:
    """Make what has this key, or bring what there is to the body. Returns the document."""
    known = api.read(f"{path}/{body[key]}")
    if known.status == 404:
        return _ok(api.post(path, body, basic=True))
    if known.status == 200 and all(known.body.get(name) == value for name, value in body.items()):
        return known.body
    return _ok(api.put(f"{path}/{body[key]}", body))


def _put_offer(api: Api, offer: dict[str, Any]) -> Any:
    """Make an offer, which has no id but its ref, unless there is one of its name."""
    known = _ok(api.read("/v2/offers", limit=100))["items"]
    found = next((each for each in known if each["name"] == offer["name"]), None)
    if found is None:
        return _ok(api.post("/v2/offers", offer, basic=True))
    return _ok(api.put(f"/v2/offers/{found['ref']}", offer))


def _ok(answer: Answer) -> Any:
    if answer.status not in (200, 201):
        raise Refused(f"{answer.status} {answer.body}")
    return answer.body
