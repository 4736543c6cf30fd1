"""Orders by REST: made, found, changed and read by line, by a client's own server."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.api import Api
from tests.conftest import Database
from tests.factories import ClientFactory, GuestFactory
from tracking.models import Client, Guest, Order

pytestmark = pytest.mark.django_db(transaction=True)

LINE = {"productId": "TRAIL-42", "name": "Trail shoe", "quantity": 2, "price": 59.95}


@pytest.fixture
def ada(shop: Client) -> Guest:
    return GuestFactory.create(client=shop, customer=True)


def create(api: Api, guest: Guest, **fields: Any) -> dict[str, Any]:
    body = {"guestRef": str(guest.ref), "referenceId": "ORDER-1", "orderItems": [LINE]}
    order: dict[str, Any] = api.json(api.post("/v2.1/orders", body | fields, basic=True))
    return order


def patch(api: Api, path: str, body: dict[str, Any]) -> Any:
    response = api.http.patch(
        path, json.dumps(body), content_type="application/json", HTTP_AUTHORIZATION=api.basic
    )
    return api.json(response)


def refusal(api: Api, body: Any, path: str = "/v2.1/orders") -> tuple[int, str, str]:
    response = api.post(path, body, basic=True)
    told = json.loads(response.content)
    return response.status_code, told["error"], told["message"]


def test_order__that_is_made__is_read_back_with_its_lines(
    database: Database, api: Api, ada: Guest
) -> None:
    made = create(
        api,
        ada,
        orderedAt="2026-01-10T18:07:59.247Z",
        currencyCode="eur",
        paymentType="Card",
        channel="call_center",
        pointOfSale="myretailsite/germany",
        extensions=[{"name": "ext", "key": "default", "gift": True}],
    )

    read = api.read(f"/v2.1/orders/{made['ref']}")
    assert read == made
    assert (made["price"], made["currencyCode"], made["status"]) == (119.9, "EUR", "PURCHASED")
    assert made["orderedAt"] == "2026-01-10T18:07:59.247Z"
    assert (made["channel"], made["pointOfSale"]) == ("CALL_CENTER", "myretailsite/germany")
    assert (made["extensions"], made["currencyAssumed"]) == ({"gift": True}, False)
    (item,) = api.read(f"/v2.1/orders/{made['ref']}/items")["items"]
    assert (item["productId"], item["quantity"], item["price"]) == ("TRAIL-42", 2, 59.95)
    assert api.read(f"/v2.1/orderitems/{item['ref']}") == item


def test_orders__are_found_by_what_they_are(on_sqlite: Database, api: Api, ada: Guest) -> None:
    other = GuestFactory.create(client=ada.client)
    create(api, ada, orderedAt="2026-01-10T00:00:00Z")
    create(api, other, referenceId="ORDER-2", status="confirmed", orderedAt="2026-02-10T00:00:00Z")
    create(api, other, referenceId="ORDER-3", orderItems=[{"productId": "x", "price": 1}])

    def found(**query: Any) -> list[str]:
        return [order["referenceId"] for order in api.read("/v2.1/orders", **query)["items"]]

    assert found() == ["ORDER-3", "ORDER-2", "ORDER-1"]
    assert found(guestRef=ada.ref) == ["ORDER-1"]
    assert found(referenceId="ORDER-2") == ["ORDER-2"]
    assert found(status="CONFIRMED") == ["ORDER-2"]
    assert found(productId="x") == ["ORDER-3"]
    assert found(since="2026-02-01T00:00:00Z", until="2026-03-01T00:00:00Z") == ["ORDER-2"]
    assert found(limit=1, offset=1) == ["ORDER-2"]
    assert api.get("/v2.1/orders", basic=True, guestRef="nobody").status_code == 400


def test_orders__of_a_merged_guest__are_the_survivors(
    on_sqlite: Database, api: Api, ada: Guest
) -> None:
    merged = GuestFactory.create(client=ada.client, root=ada, type="RETIRED")

    made = create(api, merged)

    assert made["guestRef"] == str(ada.ref)
    (found,) = api.read("/v2.1/orders", guestRef=ada.ref)["items"]
    assert found["ref"] == made["ref"]


def test_change__of_fields_and_lines__leaves_the_rest(
    database: Database, api: Api, ada: Guest
) -> None:
    made = create(api, ada, paymentType="Card")

    changed = patch(api, f"/v2.1/orders/{made['ref']}", {"status": "shipped"})
    assert (changed["status"], changed["paymentType"], changed["price"]) == (
        "SHIPPED",
        "Card",
        119.9,
    )

    added = api.json(
        api.post(f"/v2.1/orders/{made['ref']}/items", {"productId": "S", "price": 0.1}, basic=True)
    )
    patch(api, f"/v2.1/orderitems/{added['ref']}", {"quantity": 3})
    assert api.read(f"/v2.1/orders/{made['ref']}")["price"] == 120.2

    changed = patch(api, f"/v2.1/orders/{made['ref']}", {"price": 100, "orderItems": [LINE]})
    assert changed["price"] == 100
    assert [item["productId"] for item in changed["orderItems"]["items"]] == ["TRAIL-42"]


def test_what_a_server_states__stays_whatever_events_say(
    database: Database, api: Api, shop: Client
) -> None:
    def completed(**properties: Any) -> None:
        body = {"userId": "7", "event": "Order Completed", "properties": properties}
        api.json(api.post("/v1/track", body | {"writeKey": api.client_key}))

    completed(order_id="O-1", total=10, coupon="A", products=[{"product_id": "x", "price": 10}])
    (order,) = api.read("/v2.1/orders")["items"]
    patch(api, f"/v2.1/orders/{order['ref']}", {"price": 12.5, "status": "SHIPPED"})

    completed(order_id="O-1", total=11, coupon="B", products=[{"product_id": "x", "price": 11}])

    (order,) = api.read("/v2.1/orders")["items"]
    assert (order["price"], order["status"], order["coupon"]) == (12.5, "SHIPPED", "B")


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"referenceId": None}, "reference_id_missing", "referenceId"),
        ({"guestRef": None}, "guest_ref_missing", "guestRef"),
        ({"guestRef": "x"}, "order_invalid", "guestRef"),
        ({"price": "12,50"}, "order_invalid", "price: 12,50 is not an amount"),
        ({"price": -1}, "order_invalid", "price is less than nothing"),
        ({"price": 1e17}, "order_invalid", "larger than any"),
        ({"currencyCode": "EURO"}, "order_invalid", "EURO is not a currency"),
        ({"orderedAt": "soon"}, "order_invalid", "orderedAt is not an ISO 8601 time"),
        ({"pointOfSale": "moon"}, "order_invalid", "pointOfSale"),
        ({"status": ""}, "order_invalid", "status"),
        ({"extensions": {"a": []}}, "order_invalid", "extensions.a"),
        ({"extensions": {f"a{n}": n for n in range(51)}}, "order_invalid", "more than 50"),
        ({"orderItems": [{**LINE, "quantity": 0}]}, "order_item_invalid", "orderItems[0].quantity"),
        ({"orderItems": [{**LINE, "price": 9e16}]}, "order_item_invalid", "orderItems[0].price"),
        ({"orderItems": [{"name": "x"}]}, "product_id_missing", "orderItems[0].productId"),
        ({"orderItems": [{**LINE, "price": 4e16}] * 2}, "price_invalid", "more than any amount"),
        ({"orderItems": [{**LINE, "itemType": 0}]}, "order_item_invalid", "itemType"),
    ],
)
def test_order__that_cannot_be__is_refused_in_the_callers_terms(
    on_sqlite: Database, api: Api, ada: Guest, fields: dict[str, Any], code: str, said: str
) -> None:
    body = {"guestRef": str(ada.ref), "referenceId": "ORDER-1", "orderItems": [LINE]} | fields

    status, told, message = refusal(api, body)

    assert (status, told) == (400, code)
    assert said in message
    assert not Order.objects.exists()


def test_order__of_a_number_that_is_taken__is_refused(
    database: Database, api: Api, ada: Guest
) -> None:
    create(api, ada)

    status, code, _ = refusal(api, {"guestRef": str(ada.ref), "referenceId": "ORDER-1"})

    assert (status, code) == (400, "order_exists")
    assert Order.objects.get().items.count() == 1


def test_orders__of_another_client__are_unknown(on_sqlite: Database, api: Api, ada: Guest) -> None:
    stranger = GuestFactory.create(client=ClientFactory.create(key="x" * 32, token="y" * 32))
    made = create(api, ada)
    elsewhere = Api("x" * 32, "y" * 32)

    assert elsewhere.get(f"/v2.1/orders/{made['ref']}", basic=True).status_code == 404
    item = made["orderItems"]["items"][0]["ref"]
    assert elsewhere.get(f"/v2.1/orderitems/{item}", basic=True).status_code == 404
    assert elsewhere.read("/v2.1/orders")["items"] == []
    body = {"guestRef": str(stranger.ref), "referenceId": "ORDER-9"}
    assert api.post("/v2.1/orders", body, basic=True).status_code == 404


def test_orders__by_their_older_addresses__are_the_same(
    on_sqlite: Database, api: Api, ada: Guest
) -> None:
    made = create(api, ada)
    item = made["orderItems"]["items"][0]

    (found,) = api.read("/v2/orders", guestRef=ada.ref)["items"]
    assert found["ref"] == made["ref"]
    assert api.read(f"/v2/orders/{made['ref']}/orderItems")["items"] == [item]
    assert api.read(f"/v2/orderitems/{item['ref']}") == item
    assert api.get(f"/v2.1/orders/{uuid4()}", basic=True).status_code == 404
    assert api.get("/v2.1/orders/1/items/2", basic=True).status_code == 404
