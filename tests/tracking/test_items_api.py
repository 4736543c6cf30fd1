"""The catalogue over REST: imported, found, changed and deleted by servers."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from tests.api import Api
from tests.conftest import Database
from tests.factories import ClientFactory
from tracking import catalogue, clients
from tracking.items import Sighting
from tracking.models import Client, Item, ItemCategory
from tracking.types import ItemKey

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

pytestmark = pytest.mark.django_db(transaction=True)

SHOE = {
    "id": "sku-42",
    "name": "Trail shoe",
    "price": 89.9,
    "currency": "EUR",
    "url": "https://shop.example/42",
    "image": "/42.jpg",
    "description": "For stony paths.",
    "categories": ["/Shoes/Trail/", "Sale"],
    "attributes": [
        {"key": "brand", "value": "Acme"},
        {"key": "weight", "value": 280},
        {"key": "vegan", "value": True},
    ],
    "content": {"text": "Light"},
    "validFrom": "2026-01-10T08:00:00",
}


def send(api: Api, verb: str, path: str = "", body: Any = None) -> "Response":
    method = getattr(api.http, verb)
    sent: Response = method(
        f"/v2.1/items{path}", body, content_type="application/json", HTTP_AUTHORIZATION=api.basic
    )
    return sent


def put(api: Api, *items: dict[str, Any]) -> None:
    response = send(api, "post", body={"items": list(items)})
    assert response.status_code == 200, response.content


def listed(api: Api, **query: Any) -> list[str]:
    return [item["id"] for item in api.read("/v2.1/items", **query)["items"]]


def test_items__imported__are_read_in_one_form_and_can_be_sent_back(
    database: Database, api: Api
) -> None:
    Client.objects.update(time_zone="Europe/Berlin")
    clients.forget()

    response = send(api, "post", body={"items": [SHOE, {"type": 2, "id": 7}]})
    read = api.read("/v2.1/items/1/sku-42")
    again = send(api, "put", "/1/sku-42", read)

    assert response.json() == {"stored": 2}
    assert read.pop("importedAt").endswith("Z")
    assert read == {
        **SHOE,
        "type": 1,
        "categories": ["Sale", "Shoes/Trail"],
        "attributes": [
            {"key": "brand", "value": "Acme", "type": "NOMINAL"},
            {"key": "weight", "value": "280", "type": "NUMERIC"},
            {"key": "vegan", "value": "true", "type": "NOMINAL"},
        ],
        "validFrom": "2026-01-10T07:00:00.000Z",
        "validTo": None,
    }
    assert again.status_code == 200
    assert {**again.json(), "importedAt": None} == {**read, "importedAt": None}


@pytest.mark.parametrize(
    ("price", "currency", "minor"),
    [("12.45", "EUR", 1245), (12.45, "EUR", 1245), (456, "JPY", 456), ("1.234", "TND", 1234)],
)
def test_price__in_whole_units__is_kept_exactly(
    on_sqlite: Database, api: Api, price: Any, currency: str, minor: int
) -> None:
    put(api, {"id": "1", "price": price, "currency": currency})

    assert Item.objects.values_list("price", "currency").get() == (minor, currency)


def test_price__without_a_currency__is_in_the_clients(on_sqlite: Database, api: Api) -> None:
    Client.objects.update(currency="JPY")
    clients.forget()

    put(api, {"id": "1", "price": 12})

    assert Item.objects.values_list("price", "currency").get() == (12, "JPY")


def test_item__changed__keeps_what_is_not_given_and_empties_what_is_null(
    database: Database, api: Api, shop: Client
) -> None:
    put(api, SHOE)
    seen = Sighting(key=ItemKey(1, "sku-42"), category="Clicked")
    catalogue.supplement(shop.pk, [seen], now=timezone.now())

    changed = send(api, "patch", "/1/sku-42", {"price": 79.9, "image": None}).json()
    dollars = send(api, "patch", "/1/sku-42", {"currency": "USD"}).json()
    free = send(api, "patch", "/1/sku-42", {"price": None}).json()

    assert (changed["price"], changed["image"], changed["name"]) == (79.9, "", "Trail shoe")
    assert changed["categories"] == ["Clicked", "Sale", "Shoes/Trail"]
    assert ItemCategory.objects.get(path="Clicked").source == "CLICK"
    assert (dollars["price"], dollars["currency"]) == (79.9, "USD")
    assert (free["price"], free["currency"]) == (None, None)
    assert send(api, "patch", "/1/other", {"price": 1}).status_code == 404


def test_item__replaced__is_empty_of_what_is_not_given(database: Database, api: Api) -> None:
    put(api, SHOE)

    replaced = send(api, "put", "/1/sku-42", {"name": "Shoe"}).json()
    made = send(api, "put", "/3/new", {"name": "New"})

    assert (replaced["price"], replaced["categories"]) == (None, [])
    assert (made.status_code, made.json()["id"]) == (200, "new")


def test_item__deleted__is_not_found_again(database: Database, api: Api) -> None:
    put(api, SHOE)

    answers = [send(api, "delete", "/1/sku-42").status_code for _ in range(2)]

    assert answers == [204, 404]
    assert send(api, "get", "/1/sku-42").status_code == 404


def test_list__by_each_filter__has_the_items_that_fit(database: Database, api: Api) -> None:
    now = timezone.now()
    past, ahead = (now - timedelta(days=1)).isoformat(), (now + timedelta(days=1)).isoformat()
    put(
        api,
        {"id": "a", "name": "Red shoe", "categories": ["Shoes/Red"], "validTo": past},
        {"id": "b", "name": "Blue SHOE", "categories": ["Shoes", "Sale"], "validFrom": past},
        {"id": "c", "name": "Boot", "categories": ["Shoestrings"], "validFrom": ahead},
        {"id": "a", "type": 2},
    )

    assert listed(api) == ["a", "c", "b", "a"]
    assert listed(api, type=2) == ["a"]
    assert listed(api, id="a") == ["a", "a"]
    assert listed(api, category="/Shoes/") == ["b", "a"]
    assert listed(api, category="shoes") == listed(api, category="Shoes/R") == []
    assert listed(api, name="shoe") == ["b", "a"]
    assert listed(api, valid="true") == ["a", "b"]
    assert listed(api, valid="false") == ["c", "a"]
    assert listed(api, category="Shoes", name="red", type=1) == ["a"]


def test_list__longer_than_a_page__goes_on_where_it_stopped(on_sqlite: Database, api: Api) -> None:
    put(api, *({"id": number} for number in range(1, 6)))

    first = api.read("/v2.1/items", limit=3)
    second = api.json(api.http.get(first["next"], HTTP_AUTHORIZATION=api.basic))

    assert [item["id"] for item in first["items"] + second["items"]] == ["5", "4", "3", "2", "1"]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"type": "x"}, "type_invalid"),
        ({"type": "1.5"}, "type_invalid"),
        ({"type": 2**31}, "type_invalid"),
        ({"valid": "maybe"}, "valid_invalid"),
        ({"cursor": "x"}, "cursor_invalid"),
    ],
)
def test_list__by_what_cannot_be__says_which_parameter(
    on_sqlite: Database, api: Api, query: dict[str, Any], error: str
) -> None:
    response = api.get("/v2.1/items", basic=True, **query)

    assert (response.status_code, response.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({}, "id"),
        ([], "items[1]"),
        ({"id": ""}, "1 to 256"),
        ({"id": "x" * 257}, "1 to 256"),
        ({"id": "1", "type": 0}, "from 1 to 2147483647"),
        ({"id": "1", "type": "1"}, "int"),
        ({"id": "1", "price": "12,45"}, "price: 12,45 is not an amount"),
        ({"id": "1", "price": -1}, "below zero"),
        ({"id": "1", "price": True}, "bool"),
        ({"id": "1", "price": 1, "currency": "EURO"}, "not a currency"),
        ({"id": "1", "price": 1e300}, "not an amount"),
        ({"id": "1", "price": 2**70}, "64 bits"),
        ({"id": "1", "attributes": [{"key": "a", "value": [[[]]]}]}, "array"),
        ({"id": "1", "prize": 1}, "prize"),
        ({"id": "1", "url": "javascript:alert(1)"}, "https://"),
        ({"id": "1", "validFrom": "soon"}, "ISO 8601"),
        ({"id": "1", "validFrom": "2026-01-02", "validTo": "2026-01-01"}, "not after"),
        ({"id": "1", "categories": ["a\\b"]}, "backslash"),
        ({"id": "1", "categories": [str(n) for n in range(101)]}, "at most 100"),
        ({"id": "1", "name": "x" * 501}, "500"),
        ({"id": "1", "attributes": [{"key": "a", "value": "x", "type": "NUMERIC"}]}, "decimal"),
        ({"id": "1", "attributes": [{"key": "", "value": "x"}]}, "empty"),
        ({"id": "1", "attributes": {"a": "x"}}, "array"),
        ({"id": "1", "content": {"text": 1}}, "str"),
    ],
)
def test_items__with_one_that_cannot_be__are_refused_all(
    on_sqlite: Database, api: Api, item: Any, says: str
) -> None:
    response = send(api, "post", body={"items": [SHOE, item]})

    assert response.status_code == 400
    assert "items[1]" in response.json()["message"]
    assert says in response.json()["message"]
    assert Item.objects.count() == 0


@pytest.mark.parametrize(
    "body", [None, [], {}, {"items": {}}, {"items": [], "mode": "full"}, {"items": [SHOE] * 1001}]
)
def test_import__of_what_is_no_list_of_items__is_refused(
    on_sqlite: Database, api: Api, body: Any
) -> None:
    assert send(api, "post", body=body).status_code == 400


def test_item__whose_body_names_another__is_refused(on_sqlite: Database, api: Api) -> None:
    answers = [
        send(api, "put", "/1/sku-42", body).status_code
        for body in ({"id": "sku-43"}, {"type": 2}, {"id": "sku-42", "type": 1})
    ]

    assert answers == [400, 400, 200]


@pytest.mark.parametrize("path", ["/0/a", "/2147483648/a", f"/1/{'x' * 257}", "/1/%00", "/x/a"])
def test_item__that_nobody_can_have__is_refused(on_sqlite: Database, api: Api, path: str) -> None:
    assert send(api, "get", path).status_code in (400, 404)
    assert send(api, "put", path, {"name": "x"}).status_code in (400, 404)


def test_item__with_a_slash_in_its_id__is_reached_with_and_without_one_at_the_end(
    on_sqlite: Database, api: Api
) -> None:
    send(api, "put", "/1/a%2Fb/", {"name": "Shoe"})

    names = [send(api, "get", path).json()["name"] for path in ("/1/a/b", "/1/a%2Fb/")]

    assert names == ["Shoe", "Shoe"]
    assert Item.objects.get().item_id == "a/b"


def test_items__of_another_client__are_neither_seen_nor_touched(
    on_sqlite: Database, api: Api
) -> None:
    put(api, SHOE)
    ClientFactory.create(key="other-key", token="other-token")
    other = Api("other-key", "other-token")

    answers = [
        send(other, "get", "/1/sku-42").status_code,
        send(other, "patch", "/1/sku-42", {"name": "x"}).status_code,
        send(other, "delete", "/1/sku-42").status_code,
    ]

    assert answers == [404, 404, 404]
    assert listed(other) == []
    assert listed(api) == ["sku-42"]


def test_items__without_credentials__are_refused(on_sqlite: Database, api: Api) -> None:
    assert api.http.get("/v2.1/items").status_code == 401


def test_registered_items__are_read_but_not_changed(on_sqlite: Database, api: Api) -> None:
    catalogue.register(1, Client.objects.all(), name="name", id="name")
    try:
        read = send(api, "get", "/1/Shop")
        answers = [
            send(api, "put", "/1/Shop", {"name": "x"}).json()["error"],
            send(api, "patch", "/1/Shop", {"name": "x"}).json()["error"],
        ]
    finally:
        catalogue.unregister(1)

    assert read.json()["name"] == "Shop"
    assert answers == ["item_registered", "item_registered"]
