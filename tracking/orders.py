"""
Orders, made again from all that was told of them whenever one thing more is.

`shopping` calls `rebuild` and `rebuild_grouped`; the order doors call `create`
and `change`. What a client's server states stays, whatever events say.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from tracking import catalogue, interactions
from tracking.commerce import folding
from tracking.commerce.folding import Deed
from tracking.commerce.vocabulary import CART_VERBS, ORDER_VERBS, Line, Verb
from tracking.models import Event, Interaction, Order, OrderItem
from tracking.types import ItemKey

Taken = Mapping[UUID, tuple[Line, ...]]

#: Fields of an order that what was told of it fills: as it was told, and all of them.
_OF_FACTS = (
    "revenue", "shipping", "tax", "discount", "coupon", "affiliation", "payment_type",
    "card_type", "contact", "attributes",
)  # fmt: skip
_FIELDS = (
    "status", "is_paid", "ordered_at", "currency", "is_currency_assumed", "total", "refunded",
    *_OF_FACTS,
)  # fmt: skip
_WRITTEN = (
    *_FIELDS, "reference_id", "guest", "session", "channel", "point_of_sale", "modified_at",
)  # fmt: skip
_ITEM_FIELDS = (
    "position", "line_id", "name", "kind", "quantity", "refunded_quantity", "price", "currency",
)  # fmt: skip
_LONGEST_STATUS = 40


def number_of(order_id: str, event_ref: UUID) -> str:
    """Return what an order goes by: the shop's number, else the event that made it."""
    return order_id or str(event_ref)


def checkouts(client_id: int, numbers: Collection[str]) -> list[Deed]:
    """Return the checkouts of these orders: what they took is in their carts."""
    rows = Interaction.objects.filter(client=client_id, verb=Verb.CHECKOUT)
    return interactions.deeds(rows.filter(_numbered(numbers)))


def paid_in(visits: Collection[int]) -> list[str]:
    """Return the orders that were checked out in these visits: a payment may name none."""
    rows = Interaction.objects.filter(session__in=visits, verb=Verb.CHECKOUT)
    return [number_of(*row) for row in rows.values_list("order_id", "event_ref")]


def _numbered(numbers: Collection[str]) -> Q:
    refs = [ref for ref in map(_ref, numbers) if ref is not None]
    return Q(order_id__in=list(numbers)) | Q(order_id="", event_ref__in=refs)


def _ref(number: str) -> UUID | None:
    try:
        return UUID(number)
    except ValueError:
        return None


def rebuild(client_id: int, numbers: Collection[str], taken: Taken) -> set[int]:
    """
    Make one client's orders of these numbers of what is recorded now.

    Returns the guests whose they were, and whose they are: anybody may tell of an order.
    """
    rows = Interaction.objects.filter(client=client_id, verb__in=ORDER_VERBS)
    deeds = interactions.deeds(rows.filter(_numbered(numbers)))
    statements: dict[str, list[folding.Statement]] = {}
    for deed in (*deeds, *_payments(deeds)):
        number = number_of(deed.act.order_id, deed.event_ref)
        lines = taken.get(deed.event_ref, ()) if deed.act.verb is Verb.CHECKOUT else deed.act.lines
        statements.setdefault(number, []).append((deed, lines))
    known = {
        row.reference_id: row
        for row in Order.objects.select_for_update().filter(
            client=client_id, reference_id__in=numbers
        )
    }
    return _store(
        client_id,
        [
            (known.get(number), number, folding.fold_order(told))
            for number, told in sorted(statements.items())
        ],
    )


def _payments(deeds: Sequence[Deed]) -> list[Deed]:
    """Return payments that name no order, each as one of the checkout before it."""
    visits = {deed.session_id for deed in deeds if deed.act.verb is Verb.CHECKOUT}
    if not visits - {None}:
        return []
    rows = Interaction.objects.filter(
        Q(verb=Verb.PAY, order_id="") | Q(verb=Verb.CHECKOUT), session__in=visits - {None}
    )
    wanted = {deed.event_ref for deed in deeds}
    last: dict[int | None, Deed] = {}
    found = []
    for deed in interactions.deeds(rows):
        if deed.act.verb is Verb.CHECKOUT:
            last[deed.session_id] = deed
        elif (checkout := last.get(deed.session_id)) and checkout.event_ref in wanted:
            number = number_of(checkout.act.order_id, checkout.event_ref)
            found.append(folding.named(deed, number))
    return found


def rebuild_grouped(client_id: int, visits: Collection[int], guests: Collection[int]) -> set[int]:
    """
    Make the orders of single purchases: of these visits, and of guests who have none.

    Returns the guests whose they were, and whose they are.
    """
    asked = Q(session__in=visits) | Q(session__isnull=True, guest__in=guests)
    rows = Interaction.objects.filter(asked, verb__in=[*CART_VERBS, Verb.BUY])
    deeds = sorted(interactions.deeds(rows), key=_scope)
    runs = [run for _, scope in groupby(deeds, _scope) for run in folding.runs(scope)]
    known = list(
        Order.objects.select_for_update()
        .filter(Q(session__in=visits) | Q(session__isnull=True, guest__in=guests))
        .filter(client=client_id, is_grouped=True)
        .order_by("ordered_at", "pk")
    )
    by_number = {row.reference_id: row for row in known}
    numbered = [(str(run[0].event_ref), run) for run in runs]
    numbers = {number for number, _ in numbered}
    # An earlier purchase that came late begins its order: the row stays, and its ref.
    spare = [row for row in known if row.reference_id not in numbers]
    told = []
    for number, run in numbered:
        row = by_number.get(number) or (spare.pop(0) if spare else None)
        order = folding.fold_order([(deed, deed.act.lines) for deed in run])
        told.append((row, number, order))
    Order.objects.filter(pk__in=[row.pk for row in spare], stated=[]).delete()
    owners = {row.guest_id for row in known}
    return owners | _store(client_id, told, is_grouped=True)


def _scope(deed: Deed) -> tuple[int, int]:
    return (deed.person, deed.session_id or 0)


def rename_items(client_id: int, old: ItemKey, new: ItemKey) -> None:
    """Let the lines of one item be another's."""
    OrderItem.objects.filter(order__client=client_id, item_type=old.type, item_id=old.id).update(
        item_type=new.type, item_id=new.id
    )


def sums_of_visits(visits: Collection[int]) -> dict[int, dict[str, int]]:
    """Return what was bought in each visit, by currency, less what was given back."""
    rows = Order.objects.filter(session__in=visits, total__isnull=False).exclude(
        status=folding.CANCELLED
    )
    found: dict[int, dict[str, int]] = {}
    for visit, currency, total, refunded in rows.values_list(
        "session", "currency", "total", "refunded"
    ):
        sums = found.setdefault(visit or 0, {})
        sums[currency] = sums.get(currency, 0) + (total or 0) - refunded
    return found


# --- rows ------------------------------------------------------------------------------


def _store(
    client_id: int,
    told: Iterable[tuple[Order | None, str, folding.Order]],
    *,
    is_grouped: bool = False,
) -> set[int]:
    """Write orders as they were told; return the guests whose they were, and whose they are."""
    now = timezone.now()
    new: list[Order] = []
    changed: list[Order] = []
    lines: list[tuple[Order, Sequence[folding.OrderLine]]] = []
    told = list(told)
    owners = {row.guest_id for row, _, _ in told if row is not None}
    places = _places([order.first for _, _, order in told if order.first])
    for row, number, order in told:
        if order.first is None:
            continue
        if row is None:
            row = Order(client_id=client_id, is_grouped=is_grouped, created_at=now)
            new.append(row)
        else:
            changed.append(row)
        row.reference_id = number
        row.modified_at = now
        _fill(row, order, order.first, places.get(order.first.event_ref))
        if order.lines is not None:
            lines.append((row, order.lines))
    Order.objects.bulk_create(new)
    Order.objects.bulk_update(changed, _WRITTEN)
    _store_items(lines, _names(client_id, lines))
    return owners | {row.guest_id for row in (*new, *changed)}


def _names(
    client_id: int, told: Iterable[tuple[Order, Sequence[folding.OrderLine]]]
) -> Mapping[ItemKey, str]:
    """Return what the catalogue calls the items that nobody named."""
    unnamed = [each.line.item for _, lines in told for each in lines if not each.line.name]
    return {key: item.name for key, item in catalogue.find(client_id, unnamed).items()}


def _places(first: Iterable[Deed]) -> dict[UUID, tuple[str, int | None]]:
    rows = Event.objects.filter(ref__in=[deed.event_ref for deed in first])
    columns = rows.values_list("ref", "channel", "point_of_sale")
    return {ref: (channel, point_of_sale) for ref, channel, point_of_sale in columns}


def _fill(
    row: Order, order: folding.Order, first: Deed, place: tuple[str, int | None] | None
) -> None:
    facts = order.facts
    at = datetime.fromisoformat(facts.ordered_at) if facts.ordered_at else order.ordered_at
    values: dict[str, Any] = {
        "status": order.status[:_LONGEST_STATUS],
        "is_paid": order.is_paid,
        "ordered_at": at or first.at,
        "currency": order.currency,
        "is_currency_assumed": _is_assumed(order),
        "total": order.total,
        "refunded": order.refunded,
        **{name: getattr(facts, name) for name in _OF_FACTS},
    }
    for name, value in values.items():
        if name not in row.stated:
            setattr(row, name, value)
    if "guest" not in row.stated:
        row.guest_id, row.session_id = first.guest_id, first.session_id
    if place is not None and "place" not in row.stated:
        row.channel, row.point_of_sale_id = place


def _is_assumed(order: folding.Order) -> bool:
    if order.facts.currency:
        return order.facts.is_currency_assumed
    return any(each.line.is_currency_assumed for each in order.lines or ())


def _store_items(
    told: Sequence[tuple[Order, Sequence[folding.OrderLine]]], names: Mapping[ItemKey, str]
) -> None:
    rows = OrderItem.objects.filter(order__in=[order for order, _ in told])
    known: dict[int, list[OrderItem]] = {}
    for row in rows.select_for_update():
        known.setdefault(row.order_id, []).append(row)
    new: list[OrderItem] = []
    changed: list[OrderItem] = []
    gone: list[int] = []
    for order, lines in told:
        mine = known.get(order.pk, [])
        if any(row.is_stated for row in mine):
            continue
        for position, each in enumerate(lines):
            row = _pick(mine, each.line)
            (changed if row.pk else new).append(row)
            row.order, row.position = order, position
            _fill_item(row, each, names)
        gone += [row.pk for row in mine]
    OrderItem.objects.filter(pk__in=gone).delete()
    OrderItem.objects.bulk_create(new)
    OrderItem.objects.bulk_update(changed, _ITEM_FIELDS)


def _pick(rows: list[OrderItem], line: Line) -> OrderItem:
    """Take the row of a line out of those that are left; a new one where there is none."""
    for row in rows:
        if (row.item_type, row.item_id) == (line.item.type, line.item.id):
            rows.remove(row)
            return row
    return OrderItem(item_type=line.item.type, item_id=line.item.id)


def _fill_item(row: OrderItem, each: folding.OrderLine, names: Mapping[ItemKey, str]) -> None:
    line = each.line
    row.line_id, row.kind = line.line_id, line.kind
    row.name = line.name or names.get(line.item, "")
    row.quantity, row.refunded_quantity = line.quantity, each.refunded
    row.price, row.currency = line.price, line.currency
