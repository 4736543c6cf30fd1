"""Baskets, purchases and refunds, told through each family, and the carts and orders of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tracking
from tests.api import Api
from tests.conftest import Database
from tests.journeys.test_ibexa import EXAMPLES, guest_of, track
from tests.thoroughness import searches
from tracking import carts, retention, shopping
from tracking.models import Cart, Client, FollowUp, Interaction, Order
from tracking.types import ItemKey

pytestmark = pytest.mark.django_db(transaction=True)


def product(id: str, quantity: int = 1, price: float = 10.0) -> dict[str, Any]:
    """Return a product as the Stream API's ADD events have it."""
    return {
        "name": f"Shoe {id}",
        "type": "SHOE",
        "item_id": id,
        "productId": id,
        "referenceId": id,
        "orderedAt": "2026-01-01T00:00:00Z",
        "quantity": quantity,
        "price": price,
        "currency": "EUR",
    }


def call(api: Api, event: str, device: str = "device-1", **properties: Any) -> None:
    body = {"anonymousId": device, "event": event, "properties": properties}
    api.json(api.post("/v1/track", body | {"writeKey": api.client_key}))


def told(api: Api, order: dict[str, Any]) -> tuple[str, str, float, dict[str, int]]:
    """Return what matters of an order: number, status, total, and how many of what."""
    lines = {item["productId"]: item["quantity"] for item in order["orderItems"]["items"]}
    return order["referenceId"], order["status"], order["price"], lines


# --- the Stream API --------------------------------------------------------------------


def test_cart__left_when_the_visit_ends__is_abandoned_with_its_value(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()["ref"]
    api.json(api.send("ADD", browser, product=product("1", quantity=2, price=19.99)))
    api.json(api.send("ADD", browser, product=product("2", price=5)))
    (session,) = api.read("/v2/sessions")["items"]
    assert (session["cartType"], session["value"], session["currency"]) == ("OPEN", 44.98, "EUR")

    api.json(api.send("FORCE_CLOSE", browser))

    (session,) = api.read("/v2/sessions")["items"]
    assert (session["status"], session["cartType"]) == ("CLOSED", "ABANDONED")
    assert (session["value"], session["currency"]) == (44.98, "EUR")
    assert api.read("/v2.1/orders")["items"] == []


def test_cart__that_was_cleared__is_closed_without_value(database: Database, api: Api) -> None:
    browser = api.create_browser()["ref"]
    api.json(api.send("ADD", browser, product=product("1")))

    api.json(api.send("CLEAR_CART", browser))
    api.json(api.send("FORCE_CLOSE", browser))

    (session,) = api.read("/v2/sessions")["items"]
    assert (session["cartType"], session["value"]) == ("CLOSED", None)


def test_checkout__of_what_is_confirmed__is_an_order_of_the_guest(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()
    api.json(api.send("ADD", browser["ref"], product=product("1", quantity=2, price=19.99)))
    api.json(api.send("ADD", browser["ref"], product=product("2", price=5)))
    api.json(api.send("CONFIRM", browser["ref"], product=[{"item_id": "1"}]))
    api.json(api.send("CHECKOUT", browser["ref"], reference_id="R-1", status="PURCHASED"))
    api.json(api.send("PAYMENT", browser["ref"], pay_type="Card"))

    (order,) = api.read("/v2.1/orders", guestRef=browser["customer_ref"])["items"]
    assert told(api, order) == ("R-1", "PURCHASED", 39.98, {"1": 2})
    assert (order["paid"], order["paymentType"]) == (True, "Card")
    assert order["guestRef"] == browser["customer_ref"]
    assert (order["channel"], order["pointOfSale"]) == ("WEB", "myretailsite/ireland")
    (session,) = api.read("/v2/sessions")["items"]
    assert (session["cartType"], session["value"]) == ("OPEN", 5.0)
    assert order["sessionRef"] == session["ref"]
    assert not FollowUp.objects.exists()


def test_checkout__where_nothing_is_confirmed__takes_the_whole_cart(
    on_sqlite: Database, api: Api
) -> None:
    browser = api.create_browser()["ref"]
    api.json(api.send("ADD", browser, product=[product("1"), product("2")]))

    api.json(api.send("CHECKOUT", browser, reference_id="R-1"))

    (order,) = api.read("/v2.1/orders")["items"]
    assert told(api, order) == ("R-1", "PURCHASED", 20.0, {"1": 1, "2": 1})
    (session,) = api.read("/v2/sessions")["items"]
    assert (session["cartType"], session["value"]) == ("CONVERTED", 20.0)


def order_checkout(**changes: Any) -> dict[str, Any]:
    return {
        "referenceId": "B-7",
        "orderedAt": "2026-01-05T10:00:00Z",
        "status": "PURCHASED",
        "currencyCode": "JPY",
        "price": 3300,
        "paymentType": "Card",
        "cardType": "Visa",
        "extensions": [{"name": "ext", "key": "default", "gift": True}],
        "orderItems": [
            {"type": "SHOE", "productId": "1", "name": "Shoe", "quantity": 2, "price": 1500}
        ],
    } | changes


def test_order_checkout__of_a_customer__is_an_order_and_of_a_visitor_a_warning(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()["ref"]

    api.json(api.send("ORDER_CHECKOUT", browser, order=order_checkout()))
    (event,) = api.read("/v2/events")["items"]
    assert "customer" in event["warnings"][0]
    assert api.read("/v2.1/orders")["items"] == []

    api.json(api.identify(browser, ("EMAIL", "ada@example.com")))
    api.json(api.send("ORDER_CHECKOUT", browser, order=order_checkout()))

    (order,) = api.read("/v2.1/orders")["items"]
    assert told(api, order) == ("B-7", "PURCHASED", 3300.0, {"1": 2})
    assert (order["currencyCode"], order["extensions"]) == ("JPY", {"gift": True})
    assert order["orderedAt"] == "2026-01-05T10:00:00.000Z"


# --- Segment's calls -------------------------------------------------------------------

LACES: dict[str, Any] = {"product_id": "laces", "name": "Laces", "price": 4.0, "quantity": 2}
POLISH: dict[str, Any] = {"product_id": "polish", "name": "Polish", "price": 6.5, "quantity": 1}


def test_order__completed_updated_refunded_cancelled__follows(database: Database, api: Api) -> None:
    def status() -> tuple[float, str, float, dict[str, int]]:
        (order,) = api.read("/v2.1/orders")["items"]
        return (order["refunded"], *told(api, order)[1:])

    call(api, "Order Completed", order_id="o1", currency="EUR", products=[LACES, POLISH])
    assert status() == (0, "PURCHASED", 14.5, {"laces": 2, "polish": 1})

    call(api, "Order Updated", order_id="o1", currency="EUR", shipping=3, revenue=21, total=24)
    assert status() == (0, "PURCHASED", 24.0, {"laces": 2, "polish": 1})

    call(api, "Order Refunded", order_id="o1", products=[{"product_id": "laces", "quantity": 1}])
    assert status() == (4.0, "PARTIALLY_REFUNDED", 24.0, {"laces": 2, "polish": 1})

    call(api, "Order Refunded", order_id="o1")
    assert status() == (24.0, "REFUNDED", 24.0, {"laces": 2, "polish": 1})

    call(api, "Order Cancelled", order_id="o1", products=[LACES])
    assert status()[1] == "CANCELLED"
    (session,) = api.read("/v2/sessions")["items"]
    assert session["value"] is None


SHOPPING: list[tuple[str, dict[str, Any]]] = [
    ("Product Added", {**LACES, "cart_id": "c1", "currency": "EUR"}),
    ("Product Added", {**POLISH, "cart_id": "c1", "currency": "EUR"}),
    ("Product Removed", {**LACES, "quantity": 1, "cart_id": "c1"}),
    ("Order Completed", {"order_id": "o1", "currency": "EUR", "products": [POLISH]}),
    ("Order Refunded", {"order_id": "o1", "total": 2.5, "currency": "EUR"}),
    ("Product Added", {**POLISH, "cart_id": "c1", "quantity": 3, "currency": "EUR"}),
]


@settings(max_examples=searches(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(SHOPPING))), again=st.sampled_from(range(len(SHOPPING))))
def test_shopping__in_any_order_of_arrival__leaves_one_cart_and_one_order(
    on_sqlite: Database, api: Api, order: Sequence[int], again: int
) -> None:
    started = datetime.now(UTC) - timedelta(minutes=10)
    name, number = f"c-{uuid4()}", f"o-{uuid4()}"
    for index in (*order, again):
        event, properties = SHOPPING[index]
        ids = {"cart_id": name} if "cart_id" in properties else {"order_id": number}
        body = {
            "userId": f"user-{name}",
            "messageId": f"{name}-{index}",
            "event": event,
            "timestamp": (started + timedelta(seconds=index)).isoformat(),
            "properties": properties | ids,
        }
        api.json(api.post("/v1/track", body | {"writeKey": api.client_key}))

    (found,) = api.read("/v2.1/orders", referenceId=number)["items"]
    assert told(api, found) == (number, "PARTIALLY_REFUNDED", 6.5, {"polish": 1})
    assert found["refunded"] == 2.5
    cart = Cart.objects.get(cart_id=name)
    lines = {line["id"]: line["quantity"] for line in cart.lines}
    assert lines == {"laces": 1, "polish": 3}
    assert cart.values == {"EUR": 2350}


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"product_id": "a", "price": "abc"}, "price: abc is not an amount"),
        ({"product_id": "a", "price": -1}, "price is less than nothing"),
        ({"product_id": "a", "price": 1e17, "quantity": 2}, "larger than any"),
        ({"product_id": "a", "price": 9e16, "quantity": 2}, "larger than any"),
        ({"product_id": "a", "quantity": -2}, "quantity is -2"),
        ({"product_id": "a", "quantity": 1.5}, "quantity is not a whole number"),
        ({"product_id": "a", "quantity": 10_000_001}, "quantity is 10000001"),
        ({"product_id": "a", "price": 1, "currency": "XXX"}, "XXX is not a currency"),
        ({"name": "Laces"}, "neither product_id nor sku"),
        ({"product_id": "x" * 300}, "product_id is longer than"),
    ],
)
def test_call__that_no_cart_can_count__is_stored_with_a_warning(
    on_sqlite: Database, api: Api, properties: dict[str, Any], reason: str
) -> None:
    call(api, "Product Added", **properties)

    (event,) = api.read("/v2/events")["items"]
    assert event["arbitraryData"].items() >= properties.items()
    (warning,) = event["warnings"]
    assert warning.startswith("Counts in no cart and no order: ")
    assert reason in warning
    assert not Cart.objects.exists()
    assert not Interaction.objects.exists()
    assert not FollowUp.objects.exists()


def test_currency__that_nobody_names__is_the_clients_and_marked_as_assumed(
    on_sqlite: Database, api: Api
) -> None:
    call(api, "Order Completed", order_id="o1", products=[LACES])

    (order,) = api.read("/v2.1/orders")["items"]
    assert (order["currencyCode"], order["currencyAssumed"]) == ("EUR", True)


def test_item__of_a_client_that_prefers_sku__goes_by_it(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    shop.prefers_sku = True
    shop.save()

    call(api, "Product Added", product_id="p-1", sku="S-1", price=1)

    assert Interaction.objects.get().item_id == "S-1"


# --- Ibexa's addresses -----------------------------------------------------------------


def test_tracker__documented_examples__leave_the_order_and_the_rating_of_johndoe(
    database: Database, api: Api, shop: Client
) -> None:
    for address, _ in EXAMPLES:
        assert track(api, address).status_code == 204

    johndoe = guest_of(shop, "johndoe")
    (order,) = api.read("/v2.1/orders", guestRef=johndoe.ref)["items"]
    assert told(api, order)[1:] == ("PURCHASED", 28.87, {"128": 1, "129": 2})
    (rating,) = Interaction.objects.filter(guest=johndoe, verb="RATE")
    assert (rating.item_id, rating.rating) == ("133", 5)
    assert Cart.objects.get().lines == []


def test_purchases__with_something_done_to_the_basket_between__are_two_orders(
    on_sqlite: Database, api: Api
) -> None:
    for address in ("buy/u/1/1?fullprice=1EUR", "buy/u/1/2?fullprice=2EUR", "basket/u/1/3",
                    "buy/u/1/3?fullprice=3EUR"):  # fmt: skip
        track(api, address)

    totals = [order["price"] for order in api.read("/v2.1/orders")["items"]]
    assert totals == [3.0, 3.0]


def test_quantity__of_four__equals_four_purchases(on_sqlite: Database, api: Api) -> None:
    track(api, "buy/one/1/7?fullprice=2.50EUR&quantity=4")
    for _ in range(4):
        track(api, "buy/four/1/7?fullprice=2.50EUR")

    orders = [told(api, order)[1:] for order in api.read("/v2.1/orders")["items"]]
    assert orders == [("PURCHASED", 10.0, {"7": 4})] * 2


def test_owned_and_disliked_items__are_kept_and_are_no_purchase(
    on_sqlite: Database, api: Api
) -> None:
    track(api, "owns/u/1/4?quantity=2&fullprice=5EUR")
    track(api, "blacklist/u/1/5")
    track(api, "wishlist/u/1/6?price=2.50EUR")

    kept = Interaction.objects.order_by("pk").values_list("verb", "item_id", "price")
    assert list(kept) == [("OWN", "4", 500), ("DISLIKE", "5", None), ("WISH", "6", 250)]
    assert api.read("/v2.1/orders")["items"] == []


def test_nobodys_purchase__counts_for_the_item_alone(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    track(api, "buy/not_defined/1/4?fullprice=5EUR")

    (kept,) = Interaction.objects.all()
    assert (kept.guest, kept.item_id, kept.price) == (None, "4", 500)
    assert not Order.objects.exists()


# --- one story, three families ---------------------------------------------------------

PRICES = {"101": "19.99", "102": "4.44", "103": "0.05"}

Step = tuple[str, str, int]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from(sorted(PRICES)), st.integers(1, 3)),
        st.tuples(st.sampled_from(["clear", "buy"]), st.just(""), st.just(0)),
    ),
    min_size=1,
    max_size=7,
)


@dataclass
class Teller:
    """Tells a shopping story by one family's events, and knows what is in the cart meanwhile."""

    api: Api
    name: str = field(default_factory=lambda: str(uuid4()))
    cart: dict[str, int] = field(default_factory=dict)
    orders: int = 0

    def tell(self, story: Sequence[Step]) -> None:
        for verb, item, quantity in story:
            if verb == "add":
                self.cart[item] = self.cart.get(item, 0) + quantity
                self.add(item, quantity)
            elif self.cart:
                if verb == "clear":
                    self.clear()
                else:
                    self.orders += 1
                    self.buy(f"{self.name}-{self.orders}")
                self.cart = {}

    def add(self, item: str, quantity: int) -> None:
        raise NotImplementedError

    def clear(self) -> None:
        raise NotImplementedError

    def buy(self, number: str) -> None:
        raise NotImplementedError

    def guest(self) -> str:
        raise NotImplementedError


class Stream(Teller):
    def add(self, item: str, quantity: int) -> None:
        priced = product(item, quantity, float(PRICES[item]))
        self.api.json(self.api.send("ADD", self.browser, product=priced))

    def clear(self) -> None:
        self.api.json(self.api.send("CLEAR_CART", self.browser))

    def buy(self, number: str) -> None:
        confirmed = [{"item_id": item} for item in self.cart]
        self.api.json(self.api.send("CONFIRM", self.browser, product=confirmed))
        self.api.json(self.api.send("CHECKOUT", self.browser, reference_id=number))

    @property
    def browser(self) -> str:
        if not hasattr(self, "_browser"):
            self._browser = self.api.create_browser()
        return str(self._browser["ref"])

    def guest(self) -> str:
        assert self.browser
        return str(self._browser["customer_ref"])


class Calls(Teller):
    def add(self, item: str, quantity: int) -> None:
        self.call("Product Added", product_id=item, quantity=quantity, price=PRICES[item])

    def clear(self) -> None:
        for item, quantity in self.cart.items():
            self.call("Product Removed", product_id=item, quantity=quantity)

    def buy(self, number: str) -> None:
        lines = [
            {"product_id": item, "quantity": quantity, "price": float(PRICES[item])}
            for item, quantity in self.cart.items()
        ]
        self.call("Order Completed", order_id=number, currency="EUR", products=lines)

    def call(self, event: str, **properties: Any) -> None:
        call(self.api, event, device=self.name, **properties)

    def guest(self) -> str:
        (session,) = self.api.read("/v2/sessions", browserRef=self.name)["items"]
        return str(session["guestRef"])


class Addresses(Teller):
    def add(self, item: str, quantity: int) -> None:
        for _ in range(quantity):
            self.track(f"basket/{self.name}/1/{item}?price={PRICES[item]}EUR")

    def clear(self) -> None:
        for item, quantity in self.cart.items():
            for _ in range(quantity):
                self.track(f"deletefrombasket/{self.name}/1/{item}")

    def buy(self, number: str) -> None:
        for item, quantity in self.cart.items():
            price = PRICES[item]
            self.track(f"buy/{self.name}/1/{item}?quantity={quantity}&fullprice={price}EUR")

    def track(self, address: str) -> None:
        assert track(self.api, address).status_code == 204

    def guest(self) -> str:
        return str(guest_of(Client.objects.get(), self.name).ref)


def left_by(api: Api, guest: str) -> dict[str, Any]:
    """Return the cart and the orders of a guest, without what each family names differently."""
    (session,) = api.read("/v2/sessions", guestRef=guest)["items"]
    orders = api.read("/v2.1/orders", guestRef=guest, limit=100)["items"]
    (cart,) = Cart.objects.filter(guest__ref=guest)
    return {
        "value": session["value"] and (session["value"], session["currency"]),
        "lines": {
            (line["id"], line["quantity"], line["price"], line["currency"]) for line in cart.lines
        },
        "values": cart.values,
        "orders": [
            (
                order["price"],
                order["currencyCode"],
                {
                    (item["productId"], item["itemType"], item["quantity"], item["price"])
                    for item in order["orderItems"]["items"]
                },
            )
            for order in orders
        ],
    }


@settings(
    max_examples=searches(15),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(story=steps.filter(lambda story: any(step[0] == "add" for step in story)))
def test_story__told_by_each_family__leaves_equal_carts_orders_and_totals(
    on_sqlite: Database, api: Api, story: Sequence[Step]
) -> None:
    tellers: list[Teller] = [kind(api) for kind in (Stream, Calls, Addresses)]
    for teller in tellers:
        teller.tell(story)

    by_stream, by_calls, by_addresses = (left_by(api, teller.guest()) for teller in tellers)

    assert by_stream == by_calls
    assert by_stream == by_addresses


def test_batch__of_many_shoppers__takes_a_fixed_number_of_queries(
    database: Database, api: Api, count_queries: Callable[[], CaptureQueriesContext]
) -> None:
    def shop(shoppers: int) -> None:
        calls = [
            {
                "type": "track",
                "anonymousId": name,
                "event": event,
                "properties": {"cart_id": f"cart-{name}", "currency": "EUR", **properties},
            }
            for name in (str(uuid4()) for _ in range(shoppers))
            for event, properties in (
                ("Product Added", LACES),
                ("Product Added", POLISH),
                ("Order Completed", {"order_id": f"order-{name}", "products": [LACES]}),
            )
        ]
        api.json(api.post("/v1/batch", {"writeKey": api.client_key, "batch": calls}))

    shop(2)
    with count_queries() as few:
        shop(3)
    with count_queries() as many:
        shop(30)

    assert Order.objects.count() == Cart.objects.count() == 35
    tables = ("tracking_interaction", "tracking_cart", "tracking_order")
    asked = [
        sum(any(table in query["sql"] for table in tables) for query in queries.captured_queries)
        for queries in (few, many)
    ]
    assert asked[0] == asked[1]


def test_timeline__of_each_family__tells_products_and_money_as_people_write_them(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    def timeline(guest: object) -> list[str]:
        lines = api.read(f"/v2.1/guests/{guest}/timeline", limit=50)["items"]
        return [f"{line['sentence']} | {line['detail']}".removesuffix(" | ") for line in lines]

    browser = api.create_browser()
    api.json(api.send("ADD", browser["ref"], product=product("1", quantity=2, price=19.99)))
    api.json(api.send("CHECKOUT", browser["ref"], reference_id="R-1"))
    for address in (
        *(address for address, _ in EXAMPLES),
        "clicktriggered/johndoe/1/7?triggername=x",
    ):
        assert track(api, address).status_code == 204

    assert timeline(browser["customer_ref"]) == [
        "Checked out order R-1",
        "Added 2 × Shoe 1 to the cart | €19.99",
    ]
    assert timeline(guest_of(shop, "johndoe").ref) == [
        "Followed item 7 in the message “x”",
        "Rated item 133 with 5",
        "Bought 2 × item 129 for €8.88",
        "Bought item 128 for €19.99",
        "Logged in",
        "Added item 129 to the cart",
        "Added item 128 to the cart",
        "Consumed 60 % of item 466",
        "Consumed 100 % of item 452",
        "Followed the recommendation of item 155 | also_bought",
        "Was shown item 155 as a recommendation",
        "Was shown item 129 as a recommendation",
        "Was shown item 128 as a recommendation",
        "Viewed item 123 | Shoes/Children",
    ]


def test_purge__of_what_is_old__keeps_orders_and_what_they_are_made_of(
    database: Database, api: Api
) -> None:
    call(api, "Product Added", **POLISH)
    call(api, "Order Completed", order_id="o1", currency="EUR", products=[LACES])

    retention.purge(now=datetime.now(UTC) + timedelta(days=1000))
    call(api, "Order Refunded", order_id="o1")

    (order,) = api.read("/v2.1/orders")["items"]
    assert told(api, order) == ("o1", "REFUNDED", 8.0, {"laces": 2})
    assert not Cart.objects.exists()
    assert not Interaction.objects.filter(verb="ADD").exists()


# --- a site's own pages ----------------------------------------------------------------


def test_site__that_tells_of_its_own_shop__has_carts_and_orders(
    on_sqlite: Database, api: Api, shop: Client, rf: RequestFactory
) -> None:
    request = rf.get("/cart/")
    request.COOKIES |= {"bid": str(uuid4()), "consent": "yes"}
    tracking.track(request, "Product Added", {**POLISH, "quantity": 2, "currency": "EUR"})
    tracking.track(
        request, "Order Completed", {"order_id": "S-1", "currency": "EUR", "products": [POLISH]}
    )

    (session,) = api.read("/v2/sessions")["items"]
    (order,) = api.read("/v2.1/orders")["items"]
    assert (session["cartType"], session["value"]) == ("OPEN", 6.5)
    assert told(api, order) == ("S-1", "PURCHASED", 6.5, {"polish": 1})


# --- the catalogue ---------------------------------------------------------------------


def stock(api: Api) -> None:
    items = [
        {"type": 1, "id": "7", "name": "Ridge shoe", "price": 149, "currency": "EUR"},
        {"type": 1, "id": "8", "name": "Breeze shirt", "price": 39, "currency": "EUR"},
    ]
    api.json(api.post("/v2.1/items", {"items": items}, basic=True))


def test_cart__of_items_that_nobody_priced__is_worth_what_the_catalogue_says(
    database: Database, api: Api, shop: Client
) -> None:
    stock(api)
    track(api, "basket/u/1/7")
    track(api, "basket/u/1/8")
    track(api, "basket/u/1/9")

    (session,) = api.read("/v2/sessions")["items"]
    assert (session["cartType"], session["value"]) == ("OPEN", 188.0)

    track(api, "buy/u/1/7?fullprice=99.00EUR")
    (order,) = api.read("/v2.1/orders")["items"]
    (line,) = order["orderItems"]["items"]
    assert (line["name"], line["price"]) == ("Ridge shoe", 99.0)
    assert api.read("/v2.1/items/1/7")["price"] == 149
    lines = api.read(f"/v2.1/guests/{guest_of(shop, 'u').ref}/timeline")["items"]
    assert [line["sentence"] for line in lines] == [
        "Bought Ridge shoe for €99.00",
        "Added item 9 to the cart",
        "Added Breeze shirt to the cart",
        "Added Ridge shoe to the cart",
    ]


def test_views__of_each_family__tell_the_catalogue_what_they_know(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()["ref"]
    track(api, "click/u/1/7?categorypath=%2FShoes%2FTrail&title=Ridge%20shoe&price=1EUR")
    call(api, "Product Viewed", product_id="8", name="Breeze shirt", category="Shirts", price=39)
    api.json(api.send("VIEW", browser, product=product("9")))

    told = {
        item["id"]: (item["name"], item["categories"], item["price"])
        for item in api.read("/v2.1/items")["items"]
    }
    assert told == {
        "7": ("Ridge shoe", ["Shoes/Trail"], None),
        "8": ("Breeze shirt", ["Shirts"], None),
        "9": ("Shoe 9", [], None),
    }


def test_items__that_are_renamed__take_their_history_along(
    database: Database, api: Api, shop: Client
) -> None:
    track(api, "basket/u/1/7?price=5EUR")
    track(api, "buy/v/1/7?fullprice=5EUR")

    shopping.transfer_items(shop.pk, [(ItemKey(1, "7"), ItemKey(2, "70"))])

    kept = Interaction.objects.values_list("item_type", "item_id")
    assert set(kept) == {(2, "70")}
    (order,) = api.read("/v2.1/orders", productId="70")["items"]
    assert [(each["itemType"], each["productId"]) for each in order["orderItems"]["items"]] == [
        (2, "70")
    ]
    assert [(line["type"], line["id"]) for line in Cart.objects.get().lines] == [(2, "70")]


# --- what guests have had to do with items -----------------------------------------------


def items_of(api: Api, guest: object) -> dict[str, dict[str, Any]]:
    items = api.read(f"/v2.1/guests/{guest}/items", limit=50)["items"]
    return {item["productId"]: item for item in items}


def test_consumption__told_in_steps__leaves_the_highest(
    database: Database, api: Api, shop: Client
) -> None:
    for percentage in (10, 60, 30):
        track(api, f"consume/u/3/452?percentage={percentage}")
    track(api, "consume/u/3/466")

    items = items_of(api, guest_of(shop, "u").ref)
    assert {id: item["consumed"] for id, item in items.items()} == {"452": 60, "466": 100}


def test_items__of_a_guest__say_what_was_done_with_each(
    database: Database, api: Api, shop: Client
) -> None:
    stock(api)
    for address in (
        "click/u/1/7", "click/u/1/7", "wishlist/u/1/7", "buy/u/1/7?quantity=3&fullprice=1EUR",
        "wishlist/u/1/8", "deletefromwishlist/u/1/8", "rate/u/1/8?rating=20",
        "rate/u/1/8?rating=90", "blacklist/u/1/9", "owns/u/2/9",
    ):  # fmt: skip
        track(api, address)

    items = api.read(f"/v2.1/guests/{guest_of(shop, 'u').ref}/items")["items"]
    told = [(item["itemType"], item["productId"], item["name"]) for item in items]
    owned, disliked, shirt, shoe = items
    assert told == [(2, "9", ""), (1, "9", ""), (1, "8", "Breeze shirt"), (1, "7", "Ridge shoe")]
    assert (shoe["views"], shoe["bought"], shoe["wished"]) == (2, 3, True)
    assert (shirt["rating"], shirt["wished"], shirt["bought"]) == (90, False, 0)
    assert (disliked["disliked"], disliked["owned"]) == (True, False)
    assert (owned["owned"], owned["bought"]) == (True, 0)


def test_items__given_back__are_bought_no_more(database: Database, api: Api) -> None:
    call(api, "Product Viewed", **LACES)
    call(api, "Order Completed", order_id="o1", currency="EUR", products=[LACES])
    call(api, "Order Refunded", order_id="o1", products=[{"product_id": "laces", "quantity": 1}])

    (order,) = api.read("/v2.1/orders")["items"]
    assert items_of(api, order["guestRef"])["laces"]["bought"] == 1

    call(api, "Order Cancelled", order_id="o1")
    assert items_of(api, order["guestRef"])["laces"]["bought"] == 0


def test_rebuild__of_what_was_read_before__comes_to_the_same(
    database: Database, api: Api, shop: Client
) -> None:
    stock(api)
    for event, properties in SHOPPING:
        call(api, event, **properties)
    for address, _ in EXAMPLES:
        track(api, address)

    def left() -> tuple[Any, ...]:
        orders = api.read("/v2.1/orders", limit=50)["items"]
        rows = Cart.objects.order_by("pk").values_list("pk", "lines", "values")
        return [order | {"modifiedAt": ""} for order in orders], list(rows)

    before = left()
    out = StringIO()
    call_command("rebuild_commerce", stdout=out, stderr=StringIO())

    assert left() == before
    assert f"{len(SHOPPING) + 9} events were read again" in out.getvalue()


def test_rebuild__once_items_go_by_another_id__reads_them_so(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    call(api, "Product Added", product_id="p-1", sku="S-1", price=1)
    shop.prefers_sku = True
    shop.save()

    call_command("rebuild_commerce", stdout=StringIO(), stderr=StringIO())

    assert [line["id"] for line in Cart.objects.get().lines] == ["S-1"]


def test_cart__that_a_machine_fills__is_made_again_a_bounded_number_of_times(
    on_sqlite: Database, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carts, "MOST_DEEDS", 3)
    for _ in range(5):
        call(api, "Product Added", **POLISH)

    assert Interaction.objects.count() == 5
    assert [line["quantity"] for line in Cart.objects.get().lines] == [3]
