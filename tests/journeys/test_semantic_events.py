"""A shop sends track calls whose names have a meaning, and reads what its guest did in words."""

from typing import Any

import pytest

from tests.api import Api
from tests.conftest import Database
from tracking.api import examples

pytestmark = pytest.mark.django_db(transaction=True)

DEVICE = "23adfd82-aa0f-45a7-a756-24f2a7a4c895"


def track(api: Api, event: str, **properties: Any) -> None:
    call = {"anonymousId": DEVICE, "event": event, "properties": properties}
    api.json(api.post("/v1/track", call | {"writeKey": api.client_key}))


def timeline_of(api: Api) -> list[dict[str, Any]]:
    (session,) = api.read("/v2/sessions")["items"]
    lines: list[dict[str, Any]] = api.read(f"/v2.1/guests/{session['guestRef']}/timeline")["items"]
    return lines


def test_shopping__by_track_calls__is_told_in_the_timeline(database: Database, api: Api) -> None:
    track(api, "Product Added", **examples.PRODUCT_ADDED["properties"])
    track(api, "Order Completed", **examples.ORDER_COMPLETED["properties"])
    track(api, "Course Started", progress=0)

    own, order, product = timeline_of(api)
    assert product["sentence"] == "Added Cool Shoes to the cart"
    assert product["detail"] == "brand: A Shoe Brand, variant: red, price: €139.99, quantity: 1"
    assert order["sentence"] == "Completed order 50314b8e for $27.50"
    assert order["detail"].startswith("products: 2 × Laces, Shoe Polish, coupon: NEWUSER20")
    assert (order["semantic"], order["remarks"]) == ("ecommerce", [])
    assert (own["sentence"], own["semantic"], own["remarks"]) == ("Course Started", None, [])


def test_properties__of_other_types__are_kept_as_sent_and_remarked(
    database: Database, api: Api
) -> None:
    track(api, "product_added", name="Cool Shoes", price="139.99", quantity="a pair")

    (line,) = timeline_of(api)
    (event,) = api.read("/v2/events", type="product_added")["items"]
    assert line["sentence"] == "Added Cool Shoes to the cart"
    assert line["detail"] == "price: €139.99"
    assert line["remarks"] == ["quantity is not a number."]
    assert event["arbitraryData"]["price"] == "139.99"
    assert event["arbitraryData"]["quantity"] == "a pair"


def test_batch_event__with_its_properties_in_ext__is_told_alike(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()
    added = examples.PRODUCT_ADDED["properties"]

    api.batch({"type": "Product Added", "browserId": browser["ref"], "ext": added})

    (line,) = api.read(f"/v2.1/guests/{browser['customer_ref']}/timeline")["items"]
    assert (line["sentence"], line["semantic"]) == ("Added Cool Shoes to the cart", "ecommerce")
