"""
What a guest has bought and has in the cart, as other apps read it: plain values, one query each.

Amounts are of the client's own currency, in whole units: what is in others is
not in them, for nothing is converted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Prefetch

from tracking import catalogue, money
from tracking.commerce import folding
from tracking.models import Cart, Order, OrderItem
from tracking.types import ClientConfig, ItemKey

_MOST_ORDERS = 1000


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
    items = Prefetch("items", OrderItem.objects.only("order", "item_type", "item_id"))
    rows = Order.objects.of_guest(guest_id).exclude(status=folding.CANCELLED)
    orders = list(rows.prefetch_related(items).order_by("-ordered_at", "-pk")[:_MOST_ORDERS])
    if not orders:
        return Purchases()
    kept = [
        order.total - order.refunded
        for order in orders
        if order.total is not None and order.currency == client.currency
    ]
    revenue = money.major(sum(kept), client.currency)
    keys = [ItemKey(item.item_type, item.item_id) for o in orders for item in o.items.all()]
    keys = list(dict.fromkeys(keys))
    return Purchases(
        count=len(orders),
        revenue=revenue,
        average=revenue / len(kept) if kept else None,
        last_at=orders[0].ordered_at,
        products=list(dict.fromkeys(key.id for key in keys)),
        categories=_categories(client, keys) if categories else (),
    )


def _categories(client: ClientConfig, keys: Sequence[ItemKey]) -> list[str]:
    """Return the category paths of items, and those above them: Shoes/Trail, and Shoes."""
    found: dict[str, None] = {}
    for item in catalogue.find(client.id, keys).values():
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
    if cart is None:
        return CartContents()
    lines: list[dict[str, Any]] = cart.lines
    return CartContents(
        value=money.major(cart.values.get(client.currency, 0), client.currency),
        pieces=sum(line["quantity"] for line in lines),
        products=[line["id"] for line in lines],
    )
