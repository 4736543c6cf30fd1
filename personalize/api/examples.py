"""Requests and answers as they are sent: what the documentation shows."""

from tracking.api.schema import Example

CLIENT_KEY = "pqsPERS3lw12v5a9rrHPW1c4hET73GxQ"

CALL = {
    "clientKey": CLIENT_KEY,
    "channel": "WEB",
    "language": "EN",
    "currencyCode": "EUR",
    "pointOfSale": "myretailsite/ireland",
    "browserId": "a38b230c-11eb-4cf9-8d5d-274e9f344925",
    "friendlyId": "hero_banner",
    "params": {"utm": {"campaign": "content_promotion", "source": "bing"}, "page": "/shoes"},
}
CALLS = {
    "browser": Example(
        summary="By browser id",
        description="The best way: what the guest does next is attributed to this visit.",
        value=CALL,
    ),
    "email": Example(
        summary="By e-mail address",
        value={"clientKey": CLIENT_KEY, "friendlyId": "hero_banner", "email": "ada@example.com"},
    ),
    "identifiers": Example(
        summary="By an identifier",
        value={
            "clientKey": CLIENT_KEY,
            "friendlyId": "hero_banner",
            "identifiers": {
                "provider": "ProfileSystem",
                "id": "B7524AE6-CF1C-440F-B1A2-0C9D42F5CB41",
            },
        },
    ),
    "prefix": Example(
        summary="The first flow that fits, of those whose id begins so",
        value=CALL | {"friendlyId": "product_recommender*"},
    ),
}
ANSWERS = {
    "content": Example(
        summary="A flow ran: the content of its variant", value={"title": "Hello Ada"}
    ),
    "html": Example(
        summary="A flow ran: content that is not JSON", value={"html": "<h1>Hello Ada</h1>"}
    ),
    "nothing": Example(summary="No flow ran", value={"message": "No flow executed"}),
    "failed": Example(
        summary="A flow ran, and its content could not be made",
        value={"message": "Templating transformation failed"},
    ),
}

#: A name, a variant, LIVE: less does not run.
SMALLEST_LIVE_FLOW = {
    "name": "Hero banner",
    "status": "LIVE",
    "variants": [{"name": "Greeting", "content": {"title": "Hello {{ guest.firstName }}"}}],
}
TARGETED_FLOW = {
    "name": "Running shoes popup",
    "status": "LIVE",
    "channels": ["WEB", "MOBILE_WEB"],
    "schedule": {"startDate": "2026-01-10T00:00:00Z"},
    "pageTargeting": {
        "any": [
            {"field": "page", "operator": "starts_with", "value": "/shoes"},
            {"field": "request.params.category", "operator": "is", "value": "shoes"},
        ]
    },
    "audience": {
        "all": [
            {"field": "guest.type", "operator": "is", "value": "customer"},
            {
                "field": "guest.attributes.loyalty.tier",
                "operator": "is_one_of",
                "value": ["gold", "silver"],
            },
            {"field": "session.views", "operator": "at_least", "value": 2},
            {"not": {"event": "ADD", "at_least": 1, "within": "session"}},
        ]
    },
    "variants": [
        {
            "name": "Offer",
            "content": {"offer": "{{ request.params.category }} at half price"},
        }
    ],
}
EXPERIMENT = {
    "name": "Button color",
    "subtype": "EXPERIMENT",
    "status": "LIVE",
    "traffic": {"allocation": 50},
    "sampleSizeConfig": {"baseValue": 0.05, "minimumDetectableDifference": 0.1},
    "variants": [
        {"name": "Blue", "isControl": True, "weight": 50, "content": {"color": "blue"}},
        {"name": "Green", "weight": 50, "content": {"color": "green"}},
    ],
}
BUCKETS = {
    "name": "Checkout steps",
    "subtype": "EXPERIMENT",
    "status": "LIVE",
    "traffic": {"coupled": True, "allocationLow": 1, "allocationHigh": 60, "holdout": 10},
    "variants": [
        {"name": "Two steps", "isControl": True, "content": {"steps": 2}},
        {"name": "One step", "content": {"steps": 1}},
    ],
}
GOALS_EXPERIMENT = EXPERIMENT | {
    "name": "Checkout in one step",
    "goals": [
        {
            "name": "Thanked",
            "kind": "PAGE_VIEW",
            "event": {
                "type": "VIEW",
                "where": [{"field": "page", "operator": "contains", "value": "thanks"}],
            },
        },
        {"name": "Revenue", "kind": "REVENUE", "unit": "GUEST", "cap": {"percentile": 99}},
        {
            "name": "Left after one page",
            "kind": "BOUNCE",
            "direction": "DECREASE",
            "isGuardrail": True,
        },
    ],
}
FUNNEL_FLOW = SMALLEST_LIVE_FLOW | {
    "name": "Size guide",
    "goals": [
        {
            "name": "From the shoe to the order",
            "kind": "FUNNEL",
            "windowHours": 48,
            "steps": [
                {
                    "type": "VIEW",
                    "where": [{"field": "page", "operator": "starts_with", "value": "/shoes"}],
                },
                {
                    "type": "ADD",
                    "where": [{"field": "product.type", "operator": "is", "value": "shoes"}],
                },
                {"type": "CHECKOUT"},
            ],
        }
    ],
}
FLOWS = {
    "smallest": Example(summary="The smallest live flow", value=SMALLEST_LIVE_FLOW),
    "targeted": Example(summary="For some pages and some guests", value=TARGETED_FLOW),
    "experiment": Example(summary="An experiment that half of the guests enter", value=EXPERIMENT),
    "buckets": Example(
        summary="An experiment in half of the universal buckets, a tenth of it held out",
        value=BUCKETS,
    ),
    "goals": Example(
        summary="An experiment with goals: a page first, then revenue, and a guardrail",
        description="The first goal is the primary one. A goal counts in the visit that saw the "
        "flow, unless it says `windowHours`.",
        value=GOALS_EXPERIMENT,
    ),
    "funnel": Example(summary="A flow whose goal is a funnel, within two days", value=FUNNEL_FLOW),
}
STATUSES = {
    "pause": Example(summary="Stop it for now", value={"status": "PAUSED"}),
    "live": Example(summary="Let it run", value={"status": "LIVE"}),
}
CONCLUSIONS = {
    "ship": Example(
        summary="Show the variant that won to everybody",
        value={"action": "SHIP", "variant": "5b0b7c54-0d0d-4a1f-9a3e-1f6d2c7b8a90"},
    ),
    "control": Example(summary="Go back to the control", value={"action": "CONTROL"}),
    "complete": Example(summary="Let it run no more", value={"action": "COMPLETE"}),
}
