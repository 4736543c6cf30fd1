"""
Orders as the REST API writes them: made and changed by a client's server, at once.

What a server states of an order holds, whatever events say of it afterwards.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError

from tracking import db, followers, money
from tracking.models import Guest, Order, OrderItem
from tracking.types import ClientConfig


class OrderExists(ValueError):
    """The client has an order of this number already."""


class TooMuch(ValueError):
    """The lines come to more than any amount that is kept."""


def create(
    client: ClientConfig,
    guest: Guest,
    *,
    fields: Mapping[str, Any],
    items: Sequence[OrderItem],
    now: datetime,
) -> Order:
    """
    Make an order with these lines. Raises OrderExists, TooMuch.

    `fields` are the model's; `reference_id` is among them. Without a total it
    is what the lines in the order's currency come to.
    """
    values: dict[str, Any] = {
        "status": "PURCHASED",
        "currency": client.currency,
        "ordered_at": now,
        **fields,
    }
    order = Order(
        client_id=client.id,
        guest=guest,
        is_currency_assumed="currency" not in fields,
        created_at=now,
        modified_at=now,
        stated=sorted({*fields, "guest", "place", "ordered_at"}),
        **values,
    )
    try:
        with db.write():
            order.save()
            _add(order, items)
            _tell(order, now=now)
    except IntegrityError:
        raise OrderExists(f"There is an order {order.reference_id} already.") from None
    return order


def change(
    order: Order, *, fields: Mapping[str, Any], items: Sequence[OrderItem] | None, now: datetime
) -> Order:
    """Set the given fields of an order; `items` replace its lines. Raises OrderExists, TooMuch."""
    with db.write():
        order = Order.objects.select_for_update().get(pk=order.pk)
        for name, value in fields.items():
            setattr(order, name, value)
        if "currency" in fields:
            order.is_currency_assumed = False
        order.stated = sorted({*order.stated, *fields})
        order.modified_at = now
        order.save()
        if items is not None:
            order.items.all().delete()
            _add(order, items)
        _tell(order, now=now)
        return order


def add_item(order: Order, item: OrderItem, *, now: datetime) -> OrderItem:
    """Add a line to an order. Raises TooMuch."""
    with db.write():
        order = Order.objects.select_for_update().get(pk=order.pk)
        order.modified_at = now
        order.save(update_fields=["modified_at"])
        _add(order, [item])
        _tell(order, now=now)
    return item


def change_item(item: OrderItem, *, fields: Mapping[str, Any], now: datetime) -> OrderItem:
    """Set the given fields of a line. Raises TooMuch."""
    with db.write():
        order = Order.objects.select_for_update().get(pk=item.order_id)
        for name, value in fields.items():
            setattr(item, name, value)
        item.is_stated = True
        item.save()
        order.modified_at = now
        order.save(update_fields=["modified_at"])
        _total(order)
        _tell(order, now=now)
    return item


def _tell(order: Order, *, now: datetime) -> None:
    person = order.guest.root_id or order.guest_id
    followers.note_guests([person], followers.Changed.PURCHASES, now=now, soon=True)


def _add(order: Order, items: Sequence[OrderItem]) -> None:
    first = order.items.count()
    for position, item in enumerate(items, start=first):
        item.order, item.position, item.is_stated = order, position, True
    OrderItem.objects.bulk_create(items)
    _total(order)


def _total(order: Order) -> None:
    """Add the lines up, unless the server has stated the total itself."""
    if "total" in order.stated:
        return
    priced = order.items.filter(price__isnull=False, currency=order.currency)
    amounts = [
        (price or 0) * quantity for price, quantity in priced.values_list("price", "quantity")
    ]
    if sum(amounts) > money.MOST:
        raise TooMuch("The lines come to more than any amount that is kept.")
    order.total = sum(amounts) if amounts else None
    order.save(update_fields=["total"])
