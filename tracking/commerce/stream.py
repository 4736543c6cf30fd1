"""
PURE. Commerce as the Stream API's events tell it.

A cart is filled with ADD; CONFIRM says what of it will be bought, CHECKOUT
buys it, and PAYMENT pays. ORDER_CHECKOUT tells a whole order that was made
elsewhere.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tracking.commerce import values
from tracking.commerce.vocabulary import Act, Facts, Line, Unusable, Verb
from tracking.types import ClientConfig, ItemKey

Payload = Mapping[str, Any]
#: Type of the event whose sender must be a customer already.
ORDER_CHECKOUT: Final = "ORDER_CHECKOUT"
#: What a search is called by its senders: the first of these that it has.
_QUERIES: Final = (
    "query", "search_query", "searchQuery", "search_term", "searchTerm", "keyword", "keywords",
    "term", "search", "q",
)  # fmt: skip


def names_product(given: Payload) -> bool:
    """Say whether the view of a page is an item's: only where it names that."""
    product = given.get("product")
    return isinstance(product, Mapping) and values.has_id(product)


def _viewed(given: Payload, client: ClientConfig) -> Act | None:
    if not names_product(given):
        return None
    return Act(verb=Verb.VIEW, lines=(_line(given["product"], given, client, "product"),))


def _searched(given: Payload, client: ClientConfig) -> Act:
    queries = (values.text(given.get(name)) for name in _QUERIES)
    return Act(verb=Verb.SEARCH, text=next((query for query in queries if query), ""))


def _added(given: Payload, client: ClientConfig) -> Act:
    lines = tuple(
        _line(product, given, client, path)
        for path, product in values.items(given.get("product"), "product")
    )
    if not lines:
        raise Unusable("product is missing.")
    return Act(verb=Verb.ADD, lines=lines)


def _confirmed(given: Payload, client: ClientConfig) -> Act:
    """It may name lines by their item_id alone, whatever else the client's items go by."""
    lines = []
    for path, product in values.items(given.get("product"), "product"):
        line_id = values.name_of(product.get("item_id"), f"{path}.item_id")
        item = line_id or values.item_id(product, client, path)
        lines.append(Line(item=ItemKey(values.ONLY_TYPE, item), line_id=line_id))
    return Act(verb=Verb.CONFIRM, lines=tuple(lines))


def _cleared(given: Payload, client: ClientConfig) -> Act:
    return Act(verb=Verb.CLEAR)


def _checked_out(given: Payload, client: ClientConfig) -> Act:
    return Act(
        verb=Verb.CHECKOUT,
        order_id=values.name_of(
            given.get("reference_id") or given.get("referenceId"), "reference_id"
        ),
        facts=Facts(status=_status(given)),
    )


def _paid(given: Payload, client: ClientConfig) -> Act:
    return Act(
        verb=Verb.PAY,
        order_id=values.name_of(
            given.get("reference_id") or given.get("referenceId"), "reference_id"
        ),
        facts=Facts(
            payment_type=values.text(given.get("pay_type") or given.get("paymentType")),
            card_type=values.text(given.get("card_type") or given.get("cardType")),
        ),
    )


def _ordered(given: Payload, client: ClientConfig) -> Act:
    order = given.get("order")
    if not isinstance(order, Mapping):
        raise Unusable("order is not an object.")
    named = values.currency(order.get("currencyCode"), "order.currencyCode")
    code = named or _currency(given) or client.currency
    lines = tuple(
        values.line(item, client, path=path, event_currency=code)
        for path, item in values.items(order.get("orderItems"), "order.orderItems")
    )
    order_id = values.name_of(order.get("referenceId"), "order.referenceId")
    if not order_id:
        raise Unusable("order.referenceId is missing.")
    return Act(
        verb=Verb.BUY,
        lines=lines,
        order_id=order_id,
        facts=Facts(
            currency=code,
            is_currency_assumed=not named and not _currency(given),
            total=values.amount(order.get("price"), code, "order.price"),
            status=_status(order),
            ordered_at=values.moment(order.get("orderedAt"), "order.orderedAt"),
            payment_type=values.text(order.get("paymentType")),
            card_type=values.text(order.get("cardType")),
            contact=values.pairs(order.get("contact")),
            attributes=_extensions(order.get("extensions")),
        ),
    )


def _extensions(value: object) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for _path, group in values.items(value, "order.extensions"):
        merged |= values.pairs(group)
    return {name: pair for name, pair in merged.items() if name not in ("name", "key")}


def _line(product: Payload, given: Payload, client: ClientConfig, path: str) -> Line:
    return values.line(product, client, path=path, event_currency=_currency(given))


def _currency(given: Payload) -> str:
    return values.currency(given.get("currency"), "currency")


def _status(given: Payload) -> str:
    return values.text(given.get("status"), longest=40).upper()


#: Type of an event -> how its payload is read.
READERS: Final[Mapping[str, Callable[[Payload, ClientConfig], Act | None]]] = {
    "VIEW": _viewed,
    "SEARCH": _searched,
    "ADD": _added,
    "CONFIRM": _confirmed,
    "CLEAR_CART": _cleared,
    "CHECKOUT": _checked_out,
    "PAYMENT": _paid,
    ORDER_CHECKOUT: _ordered,
}
