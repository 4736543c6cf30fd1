"""The shop's five live experiences and experiments, as bodies for the REST API."""

from typing import Any

from project.demo import comeback
from project.demo.api import Answer, Api

ORDERED: dict[str, Any] = {"name": "Ordered", "kind": "CONVERSION"}
REVENUE: dict[str, Any] = {"name": "Revenue", "kind": "REVENUE", "unit": "GUEST"}
BOUNCED: dict[str, Any] = {
    "name": "Left after one page",
    "kind": "BOUNCE",
    "direction": "DECREASE",
    "isGuardrail": True,
}

HERO: dict[str, Any] = {
    "name": "Hero banner",
    "description": "Greets a known guest by name, and answers the campaign they came from.",
    "tags": ["home"],
    "goals": [
        {
            "name": "Looked at running shoes",
            "kind": "PAGE_VIEW",
            "event": {
                "type": "VIEW",
                "where": [{"field": "page", "operator": "contains", "value": "running-shoes"}],
            },
        },
        BOUNCED,
    ],
    "variants": [
        {
            "name": "Greeting",
            "content": {
                "title": "{% if guest.firstName %}Welcome back, {{ guest.firstName }}"
                "{% else %}Every run starts here{% endif %}",
                "text": "{% if request.params.utm.campaign %}"
                "You came for “{{ request.params.utm.campaign }}”: here it is."
                "{% else %}New shoes, old roads.{% endif %}",
                "action": "See running shoes",
            },
        }
    ],
}

POPUP: dict[str, Any] = {
    "name": "Running shoes popup 02",
    "description": "Nudges a guest with something in the cart while they look at running shoes.",
    "tags": ["product page"],
    "pageTargeting": {"all": [{"field": "page", "operator": "contains", "value": "running-shoes"}]},
    "audience": {"all": [{"event": "ADD", "at_least": 1, "within": "session"}]},
    "goals": [ORDERED, REVENUE],
    "variants": [
        {
            "name": "Ten percent",
            "content": {
                "title": "Still deciding, {{ guest.firstName | default: 'runner' }}?",
                "text": "Ten percent off every pair of running shoes, today only.",
                "code": "RUN10",
                "discount": 10,
            },
        }
    ],
}

#: From the shelf to the till.
TO_THE_TILL: dict[str, Any] = {
    "name": "To the till",
    "kind": "FUNNEL",
    "steps": [{"type": "ADD", "where": []}, {"type": "CHECKOUT", "where": []}],
}

#: Two with one name, as regions of an organisation would have them: the second gets `_2`.
RECOMMENDER_FR: dict[str, Any] = {
    "name": "Product Recommender",
    "description": "For visitors who read French.",
    "subtype": "EXPERIMENT",
    "audience": {"all": [{"field": "request.language", "operator": "is", "value": "FR"}]},
    "goals": [TO_THE_TILL, REVENUE, BOUNCED],
    "variants": [
        {
            "name": "Meilleures ventes",
            "isControl": True,
            "content": {
                "title": "Les meilleures ventes",
                "products": ["SHOE-SWIFT", "SHIRT-BREEZE", "BOTTLE-BROOK"],
            },
        },
        {
            "name": "Nouveautés",
            "content": {
                "title": "Les nouveautés",
                "products": ["SHOE-RIDGE", "SHIRT-HARBOUR", "CAP-DUSK"],
            },
        },
    ],
}

RECOMMENDER: dict[str, Any] = {
    "name": "Product Recommender",
    "description": "For everybody else: do newcomers sell better than bestsellers?",
    "subtype": "EXPERIMENT",
    "goals": [TO_THE_TILL, REVENUE, BOUNCED],
    "variants": [
        {
            "name": "Bestsellers",
            "isControl": True,
            "content": {
                "title": "Runners also bought",
                "products": ["SHOE-SWIFT", "SHIRT-BREEZE", "BOTTLE-BROOK"],
            },
        },
        {
            "name": "Newcomers",
            "content": {
                "title": "New on the shelf",
                "products": ["SHOE-RIDGE", "SHIRT-HARBOUR", "CAP-DUSK"],
            },
        },
    ],
}

#: friendlyId -> definition, of what the shop's pages show. The ids are those that the names give,
#: in this order.
SHOP = {
    "hero_banner": HERO,
    "running_shoes_popup_02": POPUP,
    "product_recommender": RECOMMENDER_FR,
    "product_recommender_2": RECOMMENDER,
}
#: With the one that needs a segment and a decision.
ALL = {**SHOP, "comeback_offer": comeback.EXPERIENCE}

#: What else has to be as it is defined -> what it is where a definition does not say.
_COMPARED: dict[str, Any] = {"pageTargeting": {}, "audience": {}, "decisionModel": None}


def put_live(api: Api, friendly_id: str, definition: dict[str, Any]) -> tuple[Answer, str]:
    """Make the flow, or put it back as the demo needs it. Returns the answer, and what was done."""
    body = {**definition, "status": "LIVE"}
    found = api.read(f"/v2/flowDefinitions/{friendly_id}")
    if found.status == 404:
        return api.post("/v2/flowDefinitions", body, basic=True), "made"
    if found.status == 200 and _is_as_defined(found.body, body):
        return found, "there already"
    if found.status == 200:
        refs = {goal["name"]: goal["ref"] for goal in found.body["goals"]}
        body["goals"] = [
            {**goal, **({"ref": refs[goal["name"]]} if goal["name"] in refs else {})}
            for goal in body["goals"]
        ]
        body["variants"] = [
            {**variant, "ref": known["ref"]}
            for variant, known in zip(body["variants"], found.body["variants"], strict=False)
        ] or body["variants"]
        return api.put(f"/v2/flowDefinitions/{friendly_id}", body), "put back"
    return found, "not readable"


def _is_as_defined(document: dict[str, Any], body: dict[str, Any]) -> bool:
    contents = [variant["content"] for variant in document["variants"]]
    return (
        document["status"] == "LIVE"
        and not document["archived"]
        and not document["deleted"]
        and document["traffic"]["allocation"] == 100
        and document["channels"] == []
        and _has_goals(document["goals"], body["goals"])
        and contents == [variant["content"] for variant in body["variants"]]
        and all(document[name] == body.get(name, default) for name, default in _COMPARED.items())
    )


def _has_goals(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> bool:
    """Say whether these are the goals, whatever goes without saying beside what is wanted."""
    return len(found) == len(wanted) and all(
        {name: goal.get(name) for name in each} == each
        for goal, each in zip(found, wanted, strict=True)
    )
