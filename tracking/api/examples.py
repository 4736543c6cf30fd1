"""Requests and answers as they are sent: what the documentation shows."""

from typing import Any

from tracking.api.schema import Example

CLIENT_KEY = "pqsPERS3lw12v5a9rrHPW1c4hET73GxQ"
BROWSER_ID = "a38b230c-11eb-4cf9-8d5d-274e9f344925"

VIEW = {
    "type": "VIEW",
    "client_key": CLIENT_KEY,
    "browser_id": BROWSER_ID,
    "channel": "WEB",
    "pos": "myretailsite/ireland",
    "language": "EN",
    "currency": "EUR",
    "page": "/shoes/running",
    "utm_source": "bing",
}
IDENTITY = {
    "type": "IDENTITY",
    "client_key": CLIENT_KEY,
    "browser_id": BROWSER_ID,
    "channel": "WEB",
    "firstname": "Ada",
    "email": "ada@example.com",
    "identifiers": [{"provider": "EMAIL", "id": "ada@example.com"}],
}
CUSTOM = {
    "type": "Added to wishlist",
    "client_key": CLIENT_KEY,
    "browser_id": BROWSER_ID,
    "channel": "MOBILE_APP",
    "ext": {"sku": "TRAIL-42", "color": "green"},
}
EVENTS = {
    "view": Example(summary="A page was viewed", value=VIEW),
    "identity": Example(
        summary="The guest said who they are",
        description="Guests that share an identifier of the client's identity rules are joined.",
        value=IDENTITY,
    ),
    "custom": Example(summary="Anything else, with attributes of your own", value=CUSTOM),
}

ACCEPTED = {
    "accepted": Example(
        summary="The event is stored",
        value={
            "status": "OK",
            "version": "1.2",
            "client_key": CLIENT_KEY,
            "ref": "019ba9c2-3f1f-7a52-9c39-59e2c1b2a4d1",
        },
    ),
    "unknown_browser": Example(
        summary="The browser id is not known",
        description="Nothing was stored: ask for a new browser id, and send the event with it.",
        value={
            "status": "NOT_FOUND",
            "version": "1.2",
            "client_key": CLIENT_KEY,
            "error_msg": "Invalid browser id/ref specified",
            "moreInfo": "unknown_browser",
        },
    ),
}

BATCH = {
    "batch": Example(
        summary="Several events",
        value={
            "events": [
                {
                    "message_id": "order-1001-viewed",
                    "type": "VIEW",
                    "browser_id": BROWSER_ID,
                    "occurred_at": "2026-01-10T18:07:59.247Z",
                    "page": "/checkout",
                },
                {
                    "message_id": "order-1001-identified",
                    "type": "IDENTITY",
                    "identifiers": [{"provider": "EMAIL", "id": "ada@example.com"}],
                },
                {"type": "VIEW"},
            ]
        },
    ),
    "one": Example(
        summary="One event",
        value={"message_id": "order-1002", "type": "CHECKOUT", "browser_id": BROWSER_ID},
    ),
}
VERDICTS = {
    "verdicts": Example(
        summary="Two events stored, one refused",
        value={
            "status": "OK",
            "ref": "019ba9c2-3f1f-7a52-9c39-59e2c1b2a4d0",
            "accepted": 2,
            "rejected": 1,
            "events": [
                {
                    "status": "OK",
                    "ref": "019ba9c2-3f1f-7a52-9c39-59e2c1b2a4d1",
                    "messageId": "order-1001-viewed",
                },
                {
                    "status": "OK",
                    "ref": "019ba9c2-3f1f-7a52-9c39-59e2c1b2a4d2",
                    "messageId": "order-1001-identified",
                },
                {
                    "status": "REJECTED",
                    "code": "nobody",
                    "message": "The event names nobody: give browserId or identifiers.",
                },
            ],
        },
    )
}

_RUN = {
    "ref": "cd1d1bd4-0d6a-4ebb-9560-ca0c5add7367",
    "occurredAt": 1768068479247,
    "flowRef": "d82b756a-f581-43a8-a857-c2afda9ff119",
    "flowFriendlyId": "running_shoes_popup",
    "flowVariantRef": "bb728433-9507-4ec7-9ba6-7cf7cc7fcccb",
    "guestRef": "456f308b-289f-44e3-8d6c-950afdd0502e",
    "flowExecutionTimeMs": 3,
    "status": "SUCCESS",
}
TRACKING = {
    "ref": "019ba9c2-3f1f-7a52-9c39-59e2c1b2a4d3",
    "clientKey": CLIENT_KEY,
    "createdAt": "2026-01-10T18:07:59.247Z",
    "modifiedAt": "2026-01-10T18:07:59.257Z",
    "type": "TRACKING",
    "status": "PROCESSED",
    "channel": "WEB",
    "pointOfSale": "myretailsite/ireland",
    "browserRef": BROWSER_ID,
    "sessionRef": "a7584ec5-7a5f-443e-a5e3-59106f6e22b3",
    "flowExecutionRef": _RUN["ref"],
    "arbitraryData": {
        "flowExecution": _RUN,
        "_bx_arbitraryDataV3ga": {
            "core": {"pointOfSale": "myretailsite/ireland", "channel": "WEB"},
            "bxt": {"flowExecution": _RUN, "category": "EXECUTED"},
        },
    },
}
_VIEWED = {
    "ref": "019ba9c2-3f1f-7a52-9c39-59e2c1b2a4d1",
    "clientKey": CLIENT_KEY,
    "createdAt": "2026-01-10T18:07:58.101Z",
    "modifiedAt": "2026-01-10T18:07:58.122Z",
    "type": "VIEW",
    "status": "PROCESSED",
    "channel": "WEB",
    "pointOfSale": "myretailsite/ireland",
    "browserRef": BROWSER_ID,
    "sessionRef": "a7584ec5-7a5f-443e-a5e3-59106f6e22b3",
    "arbitraryData": {name: value for name, value in VIEW.items() if name != "client_key"},
}
EVENT = {
    "tracking": Example(
        summary="A TRACKING event: a flow was run for the guest",
        description="Written by the server alone, whenever a flow runs.",
        value=TRACKING,
    ),
    "view": Example(summary="An event that a client sent", value=_VIEWED),
}
EVENT_PAGE = {
    "events": Example(
        summary="Two events, newest first",
        value={"items": [TRACKING, _VIEWED], "next": None, "previous": None},
    )
}

GUEST = {
    "guest": Example(
        summary="A customer",
        value={
            "guestType": "customer",
            "firstName": "Ada",
            "lastName": "Lovelace",
            "email": "ada@example.com",
            "identifiers": [{"provider": "CUSTOMER_ID", "id": "C-1815"}],
            "attributes": {"loyalty": {"tier": "gold"}},
        },
    )
}

EXTENSION = {
    "extension": Example(
        summary="Data of your own, in a group",
        value={"name": "ext1", "key": "default", "loyaltyTier": "gold", "points": 1200},
    )
}

_ITEM = {
    "name": "Trail shoe",
    "price": 89.9,
    "currency": "EUR",
    "url": "https://shop.example/shoes/trail-42",
    "image": "https://shop.example/images/trail-42.jpg",
    "categories": ["Shoes/Trail", "Sale"],
    "attributes": [
        {"key": "brand", "value": "Acme"},
        {"key": "weight", "value": 280, "type": "NUMERIC"},
    ],
    "content": {"text": "A light shoe for stony paths."},
    "validFrom": "2026-01-10T08:00:00",
}
ITEM = {
    "all": Example(summary="All of an item", value=_ITEM),
    "price": Example(summary="Its price alone", value={"price": 79.9}),
}
ITEMS = {
    "items": Example(
        summary="Two items, of which one has a type",
        value={"items": [{"id": "TRAIL-42", **_ITEM}, {"type": 2, "id": "how-to-run"}]},
    )
}

COURSE = {
    "type": "track",
    "userId": "AiUGstSDIg",
    "anonymousId": "23adfd82-aa0f-45a7-a756-24f2a7a4c895",
    "event": "Course Started",
    "properties": {"course_name": "Intro to Data Pipelines", "progress": 0},
    "messageId": "ajs-f8ca1e4de5024d9430b3928bd8ac6b96",
    "timestamp": "2026-01-10T18:07:59.247Z",
    "sentAt": "2026-01-10T18:07:59.301Z",
    "context": {"page": {"path": "/docs/", "title": "Docs"}, "locale": "en-US"},
}
PRODUCT_ADDED: dict[str, Any] = {
    "anonymousId": COURSE["anonymousId"],
    "event": "Product Added",
    "properties": {
        "product_id": "coolshoes-123",
        "sku": "abc-123-xyz",
        "category": "shoes",
        "name": "Cool Shoes",
        "brand": "A Shoe Brand",
        "variant": "red",
        "price": 139.99,
        "quantity": 1,
        "coupon": "NEWUSER20",
        "position": 3,
        "url": "https://www.example.com/product/123",
        "image_url": "https://www.example.com/product/123.jpg",
        "cart_id": "usercart-789",
    },
}
ORDER_COMPLETED: dict[str, Any] = {
    "userId": COURSE["userId"],
    "event": "Order Completed",
    "properties": {
        "order_id": "50314b8e",
        "total": 27.5,
        "shipping": 3,
        "tax": 2,
        "discount": 2.5,
        "coupon": "NEWUSER20",
        "currency": "USD",
        "products": [
            {"product_id": "lace-7", "name": "Laces", "price": 5, "quantity": 2},
            {"product_id": "polish-1", "name": "Shoe Polish", "price": 15, "quantity": 1},
        ],
    },
}
TRACK = {
    "course": Example(summary="Somebody started a course", value=COURSE),
    "product_added": Example(
        summary="A semantic event: a product was put into the cart", value=PRODUCT_ADDED
    ),
    "order_completed": Example(summary="A semantic event: an order", value=ORDER_COMPLETED),
}
CALLS_BATCH = {
    "batch": Example(
        summary="A user, and what they did",
        value={
            "batch": [
                {
                    "type": "identify",
                    "userId": "AiUGstSDIg",
                    "traits": {"email": "ada@example.com", "firstName": "Ada"},
                },
                COURSE,
            ],
            "sentAt": "2026-01-10T18:07:59.301Z",
        },
    ),
}
BROWSER_SETTINGS = {
    "settings": Example(
        summary="Send here",
        value={
            "integrations": {
                "Customer.io Data Pipelines": {
                    "apiKey": CLIENT_KEY,
                    "apiHost": "shop.example/v1",
                    "protocol": "https",
                },
                "Segment.io": {
                    "apiKey": CLIENT_KEY,
                    "apiHost": "shop.example/v1",
                    "protocol": "https",
                },
            },
            "metrics": {"sampleRate": 0},
        },
    ),
}

ORDER_LINE = {
    "productId": "TRAIL-42",
    "name": "Trail shoe",
    "type": "SHOE",
    "quantity": 2,
    "price": 59.95,
}
ORDER_ITEM = {"line": Example(summary="Two of a product", value=ORDER_LINE)}
ORDER = {
    "order": Example(
        summary="An order that was made elsewhere",
        value={
            "guestRef": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
            "referenceId": "ORDER-1001",
            "orderedAt": "2026-01-10T18:07:59.247Z",
            "status": "PURCHASED",
            "currencyCode": "EUR",
            "price": 119.9,
            "paymentType": "Card",
            "channel": "CALL_CENTER",
            "pointOfSale": "myretailsite/ireland",
            "orderItems": [ORDER_LINE],
        },
    )
}
