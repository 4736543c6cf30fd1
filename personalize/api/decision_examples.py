"""Decision models and offers as they are sent: what the documentation shows."""

from tracking.api.schema import Example

DISCOUNT_TABLE = {
    "name": "Discount",
    "decision": {
        "hitPolicy": "UNIQUE",
        "inputs": [{"field": "guest.type"}, {"field": "session.views", "label": "Views"}],
        "outputs": [{"name": "discount", "type": "NUMBER", "default": 0}],
        "rows": [
            {"when": [{"operator": "is", "value": "customer"}], "then": {"discount": 10}},
            {
                "when": [
                    {"operator": "is", "value": "visitor"},
                    {"operator": "at_least", "value": 3},
                ],
                "then": {"discount": 5},
            },
        ],
        "tests": [
            {
                "name": "A curious visitor",
                "facts": {"guest.type": "visitor", "session.views": 4},
                "expected": {"discount": 5},
            }
        ],
    },
}
OFFER_TABLE = {
    "name": "Next best offer",
    "decision": {
        "inputs": [{"field": "guest.country"}, {"label": "Anything else"}],
        "outputs": [{"name": "offer", "type": "OFFER"}, {"name": "reason", "type": "TEXT"}],
        "rows": [
            {
                "when": [{"operator": "is_one_of", "value": ["IE", "GB"]}, {"event": "ADD"}],
                "then": {
                    "offer": "5b2c8d1e-7f0a-4c3b-9a51-0c1d2e3f4a5b",
                    "reason": "has a basket",
                },
            },
            {"when": [], "then": {"offer": "0f9e8d7c-6b5a-4938-8271-605f4e3d2c1b"}},
        ],
    },
}
CALLABLE = {"name": "Scored offer", "decision": {"callable": "scored_offer"}}
MODELS = {
    "table": Example(summary="A table in which one row hits at most", value=DISCOUNT_TABLE),
    "offers": Example(summary="A table that chooses an offer", value=OFFER_TABLE),
    "callable": Example(summary="A decision of the site's own code", value=CALLABLE),
}
TEMPLATE = {
    "name": "Banner",
    "attributes": [
        {"name": "title", "type": "TEXT", "required": True},
        {"name": "image", "type": "URL"},
        {"name": "percent", "type": "NUMBER"},
    ],
}
TEMPLATES = {"banner": Example(summary="What banners are made of", value=TEMPLATE)}
OFFER = {
    "name": "Spring sale",
    "template": "Banner",
    "status": "LIVE",
    "validTo": "2026-06-01T00:00:00Z",
    "audience": {"all": [{"field": "guest.country", "operator": "is", "value": "IE"}]},
    "attributes": {"title": "Ten percent off", "image": "/static/spring.jpg", "percent": 10},
}
OFFERS = {"offer": Example(summary="An offer to Irish guests until the end of May", value=OFFER)}
