"""
What guests have bought and have in the cart, as other apps read it: of one, or of many at once.

Amounts are of the client's own currency, in whole units: what is in others is
not in them, for nothing is converted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Prefetch, QuerySet, prefetch_related_objects

from tracking import catalogue, db, money
from tracking.commerce import folding
from tracking.items import CatalogueItem
from tracking.models import Cart, Order, OrderItem
from tracking.types import ClientConfig, ItemKey

#: So many orders of a guest count, the newest, and none in this status.
MOST_ORDERS = 1000
UNCOUNTED_STATUS = folding.CANCELLED
#: What is read of an order.
_COLUMNS = ("id", "guest", "ordered_at", "currency", "total", "refunded")


@dataclass(frozen=True, slots=True)
class Purchases:
    """
    The orders of a guest and of everybody merged into it, without those cancelled.

    `revenue` is less what was given back; `average` None: no order has a total.
    """

    count: int = 0
    revenue: Decimal = Decimal(0)
    average: Decimal | None = None
    last_at: datetime | None = None
    products: Sequence[str] = ()
    categories: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CartContents:
    """What is in the cart of a visit, else in the one that the guest changed last."""

    value: Decimal = Decimal(0)
    pieces: int = 0
    products: Sequence[str] = ()


def of_guest(guest_id: int, client: ClientConfig, *, categories: bool = False) -> Purchases:
    """Return what a guest has bought: two queries, and those of the catalogue for categories."""
    orders = list(_newest(Order.objects.of_guest(guest_id))[:MOST_ORDERS])
    found = _sum_up({guest_id: orders} if orders else {}, client, categories=categories)
    return found.get(guest_id, Purchases())


def of_guests(
    members: Mapping[int, int], client: ClientConfig, *, categories: bool = False
) -> dict[int, Purchases]:
    """
    Return what many guests have bought, in as many queries as one takes.

    `members` says through whom each speaks: id -> survivor. The answer is by
    survivor, and names those who have bought anything.
    """
    by_guest: dict[int, list[Order]] = {}
    newest = _newest(Order.objects.all())
    sql, params = db.first_of_each(newest, "guest", members, _COLUMNS, limit=MOST_ORDERS)
    for order in Order.objects.raw(sql, params):
        by_guest.setdefault(members[order.guest_id], []).append(order)
    for of_guest in by_guest.values():
        of_guest.sort(key=lambda order: (order.ordered_at, order.pk), reverse=True)
        del of_guest[MOST_ORDERS:]
    return _sum_up(by_guest, client, categories=categories)


def _newest(orders: QuerySet[Order]) -> QuerySet[Order]:
    return orders.exclude(status=UNCOUNTED_STATUS).order_by("-ordered_at", "-pk")


def _sum_up(
    by_guest: Mapping[int, Sequence[Order]], client: ClientConfig, *, categories: bool
) -> dict[int, Purchases]:
    items = Prefetch("items", OrderItem.objects.only("order", "item_type", "item_id"))
    prefetch_related_objects([order for each in by_guest.values() for order in each], items)
    bought = {guest: _keys(orders) for guest, orders in by_guest.items()}
    keys = {key for each in bought.values() for key in each} if categories else ()
    catalog = catalogue.find(client.id, keys)
    return {
        guest: _purchases(orders, bought[guest], client, catalog)
        for guest, orders in by_guest.items()
    }


def _purchases(
    orders: Sequence[Order],
    keys: Sequence[ItemKey],
    client: ClientConfig,
    catalog: Mapping[ItemKey, CatalogueItem],
) -> Purchases:
    kept = [
        order.total - order.refunded
        for order in orders
        if order.total is not None and order.currency == client.currency
    ]
    revenue = money.major(sum(kept), client.currency)
    return Purchases(
        count=len(orders),
        revenue=revenue,
        average=revenue / len(kept) if kept else None,
        last_at=orders[0].ordered_at,
        products=list(dict.fromkeys(key.id for key in keys)),
        categories=_categories(catalog[key] for key in keys if key in catalog),
    )


def _keys(orders: Iterable[Order]) -> list[ItemKey]:
    lines = (line for order in orders for line in order.items.all())
    return list(dict.fromkeys(ItemKey(line.item_type, line.item_id) for line in lines))


def _categories(items: Iterable[CatalogueItem]) -> list[str]:
    """Return the category paths of items, and those above them: Shoes/Trail, and Shoes."""
    found: dict[str, None] = {}
    for item in items:
        for path in item.categories:
            steps = path.split("/")
            found |= {"/".join(steps[:length]): None for length in range(1, len(steps) + 1)}
    return list(found)


def cart_of(guest_id: int, session_id: int | None, client: ClientConfig) -> CartContents:
    """Return what is in a guest's cart: that of this visit, if there is one."""
    rows = Cart.objects.of_guest(guest_id).order_by("-changed_at", "-pk")
    newest = list(rows[:10])
    cart = next((row for row in newest if session_id and row.session_id == session_id), None)
    cart = cart or next(iter(newest), None)
    return CartContents() if cart is None else _contents(cart, client)


def carts_of(members: Mapping[int, int], client: ClientConfig) -> dict[int, CartContents]:
    """Return what is in the carts that guests changed last, by survivor, in one query."""
    rows = Cart.objects.filter(guest__in=members).order_by("changed_at", "pk")
    newest = {members[cart.guest_id]: cart for cart in rows}
    return {survivor: _contents(cart, client) for survivor, cart in newest.items()}


def _contents(cart: Cart, client: ClientConfig) -> CartContents:
    lines: list[dict[str, Any]] = cart.lines
    return CartContents(
        value=money.major(cart.values.get(client.currency, 0), client.currency),
        pieces=sum(line["quantity"] for line in lines),
        products=[line["id"] for line in lines],
    )
