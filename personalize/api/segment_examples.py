"""Segments as they are sent: what the documentation shows."""

from typing import Final

from tracking.api.schema import Example

NOT_PURCHASED: Final = {
    "name": "Saw the pop-up, has not purchased",
    "condition": {
        "all": [
            {"saw": "running_shoes_popup"},
            {"field": "orders.count", "operator": "is", "value": 0},
        ]
    },
}
LATELY: Final = {
    "name": "Looked around lately",
    "friendlyId": "lately",
    "condition": {"event": "VIEW", "at_least": 3, "within": {"days": 30}},
}
LIST: Final = {"name": "Winter campaign", "kind": "LIST", "description": "From the agency's file."}
SEGMENTS: Final = {
    "condition": Example(summary="Saw an experience and did not buy", value=NOT_PURCHASED),
    "days": Example(summary="Did something in the last days", value=LATELY),
    "list": Example(summary="A list that is kept by hand", value=LIST),
}
MEMBERS: Final = {
    "add": [
        {"guestRef": "9d1f3c55-2a0e-4c3e-8f0b-6a1f2d3c4b5a"},
        {"email": "ada@example.com"},
        {"identifier": {"provider": "CUSTOMER_ID", "id": "K-4711"}},
    ],
    "remove": [{"email": "eve@example.com"}],
}
CHANGED: Final = {
    "named": 4,
    "added": 2,
    "removed": 1,
    "unknown": 1,
    "unknownGuests": [{"where": "add[1]", "value": "ada@example.com"}],
}
CHANGES: Final = {"people": Example(summary="Three on the list, one off it", value=MEMBERS)}
CHANGED_ANSWERS: Final = {"people": Example(summary="One of them is not known", value=CHANGED)}
