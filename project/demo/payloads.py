"""The payloads of the journey: as the documentation of the clients that send them prints them."""

from typing import Any

from project import goods
from project.demo import history

POINT_OF_SALE = "myretailsite/ireland"
EMAIL = "ada@example.com"
PROFILE = {"provider": "ProfileSystem", "id": "B7524AE6-CF1C-440F-B1A2-0C9D42F5CB41"}
PAGE = "https://myretailsite.com/products/running-shoes-swift"

#: What every event and call of this visitor says.
COMMON: dict[str, Any] = {
    "channel": "WEB",
    "pos": POINT_OF_SALE,
    "language": "EN",
    "currency": "EUR",
}
CALL: dict[str, Any] = {
    "channel": "WEB",
    "language": "EN",
    "currencyCode": "EUR",
    "pointOfSale": POINT_OF_SALE,
    "params": {
        "utm.campaign": "content_promotion",
        "utm.source": "bing",
        "utm.medium": "social",
        "utm.content": "call_to_action",
    },
}

VIEW_HOME: dict[str, Any] = {
    **COMMON,
    "type": "VIEW",
    "page": "home",
    "utm_campaign": "content_promotion",
    "utm_source": "bing",
    "utm_medium": "social",
    "utm_content": "call_to_action",
}
VIEW_SHOES: dict[str, Any] = {**COMMON, "type": "VIEW", "page": PAGE, "ext": {"inStock": True}}
ADD_SHOES: dict[str, Any] = {
    **COMMON,
    **history.added(goods.BY_SLUG["running-shoes-swift"]),
    "page": PAGE,
}
IDENTITY: dict[str, Any] = {
    **COMMON,
    "type": "IDENTITY",
    "page": "account",
    "email": EMAIL,
    "firstname": "Ada",
    "lastname": "Byron",
    "identifiers": [{"provider": "EMAIL", "id": EMAIL}, PROFILE],
}


def identity_of(browser_id: str) -> dict[str, Any]:
    """Return what says who somebody from Ireland is, whom nobody knows yet."""
    email = f"{browser_id[:8]}@example.com"
    identifiers = [{"provider": "EMAIL", "id": email}]
    return {**IDENTITY, "firstname": "Maeve", "lastname": "Daly", "country": "IE",
            "email": email, "identifiers": identifiers}  # fmt: skip


#: As it is printed: two commas are missing, and the dots are no JSON either.
COURSE_AS_PRINTED = b"""{
  "userId": "AiUGstSDIg",
  "type": "track",
  "event": "Course Started",
  "properties": {
    "course_name": "Intro to Customer.io Data Pipelines",
    "courseId": "cdp101",
    "progress": 0,
    "modules": [
        {
            "moduleId": "cdp101-1",
            "moduleName": "track calls",
            "started": false
        },
        {
            "moduleId": "cdp101-2",
            "moduleName": "identifying people"
            "started": true
        }
    ]
  },
  "integrations": null,
  "messageId": "ajs-f8ca1e4de5024d9430b3928bd8ac6b96",
  "receivedAt": "2015-12-12T19:11:01.266Z",
  "sentAt": "2015-12-12T19:11:01.169Z",
  "timestamp": "2015-12-12T19:11:01.249Z",
  "version": 0,
  "context": {
    ...
    },
    "page": {
      "name": "string",
      "path": "/docs/",
      "referrer": null,
      "search": null,
      "title": "Customer.io Docs",
      "url": "https://customer.io/docs",
      "keywords": [
        "string"
      ]
    },
    "library": {
      "name": "analytics.js",
      "version": "2.11.1"
    }
  },
  "anonymousId": "23adfd82-aa0f-45a7-a756-24f2a7a4c895",
  "originalTimestamp": "2015-12-12T19:11:01.152Z"
}
"""
COURSE: dict[str, Any] = {
    "type": "Course Started",
    "messageId": "ajs-f8ca1e4de5024d9430b3928bd8ac6b96",
    "page": "/docs/",
    "ext": {
        "course_name": "Intro to Customer.io Data Pipelines",
        "courseId": "cdp101",
        "progress": 0,
        "modules": [
            {"moduleId": "cdp101-1", "moduleName": "track calls", "started": False},
            {"moduleId": "cdp101-2", "moduleName": "identifying people", "started": True},
        ],
    },
}
PRODUCT_ADDED: dict[str, Any] = {
    "type": "Product Added",
    "messageId": "demo-product-added",
    "ext": {
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

#: What the shop sells, as its own server tells the catalogue.
CATALOGUE: list[dict[str, Any]] = [
    {
        "type": 1,
        "id": product.sku,
        "name": product.name,
        "price": product.price,
        "currency": "EUR",
        "url": f"/products/{product.slug}",
        "description": product.about,
        "categories": [product.kind.capitalize()],
    }
    for product in goods.PRODUCTS
]
SHIRT = goods.BY_SLUG["breeze-shirt"]
CHECKOUT: dict[str, Any] = {**COMMON, "type": "CHECKOUT", "status": "PURCHASED"}
PAYMENT: dict[str, Any] = {**COMMON, "type": "PAYMENT", "pay_type": "Card"}
ADD_SHIRT: dict[str, Any] = {**COMMON, **history.added(SHIRT), "channel": "MOBILE_APP"}
FORCE_CLOSE: dict[str, Any] = {**COMMON, "type": "FORCE_CLOSE", "channel": "MOBILE_APP"}
TWO_SHIRTS: dict[str, Any] = {
    "product_id": SHIRT.sku,
    "name": SHIRT.name,
    "price": float(SHIRT.price),
    "quantity": 2,
}
#: Ibexa's tracker, after the customer: what somebody who has logged in does.
ADDRESSES = (
    f"click/{PROFILE['id']}/1/SHOE-RIDGE?categorypath=%2FShoes%2FTrail",
    f"basket/{PROFILE['id']}/1/SHOE-RIDGE",
    f"rate/{PROFILE['id']}/1/SHOE-SWIFT?rating=90",
)


def orders_of(shirts: str) -> list[dict[str, Any]]:
    """Return the track calls of an order of two shirts, one of which comes back."""
    told = {"order_id": shirts, "currency": "EUR"}
    one = {**TWO_SHIRTS, "quantity": 1}
    return [
        {
            "type": "track",
            "event": "Order Completed",
            "properties": {**told, "shipping": 4.95, "total": 82.95, "products": [TWO_SHIRTS]},
        },
        {
            "type": "track",
            "event": "Order Refunded",
            "properties": {**told, "total": 39.0, "products": [one]},
        },
    ]


_RUN = {
    "ref": str,
    "occurredAt": int,
    "flowRef": str,
    "flowFriendlyId": str,
    "flowVariantRef": str,
    "guestRef": str,
    "flowExecutionTimeMs": int,
    "status": str,
}
#: The documented form of a TRACKING event: its keys, in their order, and the type of each value.
TRACKING_FORM: dict[str, Any] = {
    "ref": str,
    "clientKey": str,
    "createdAt": str,
    "modifiedAt": str,
    "type": str,
    "status": str,
    "channel": str,
    "pointOfSale": str,
    "browserRef": str,
    "sessionRef": str,
    "flowExecutionRef": str,
    "arbitraryData": {
        "flowExecution": _RUN,
        "_bx_arbitraryDataV3ga": {
            "core": {"pointOfSale": str, "channel": str},
            "bxt": {"flowExecution": _RUN, "category": str},
        },
    },
}


def form_of(value: Any) -> Any:
    """Return a document's form: its keys in their order, and the type of each value."""
    if isinstance(value, dict):
        return {name: form_of(inner) for name, inner in value.items()}
    return type(value)
