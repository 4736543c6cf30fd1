"""
PURE. Commerce as Segment's e-commerce spec tells it, which the site's own calls share.

Properties that the spec has and that mean nothing to a cart or an order are
left to the timeline.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tracking.commerce import values
from tracking.commerce.vocabulary import Act, Facts, Unusable, Verb
from tracking.types import ClientConfig

Properties = Mapping[str, Any]
_AMOUNTS: Final = ("total", "revenue", "shipping", "tax", "discount")


def _of_product(verb: Verb) -> Callable[[Properties, ClientConfig], Act]:
    def read(given: Properties, client: ClientConfig) -> Act:
        return Act(
            verb=verb,
            lines=(values.line(given, client),),
            cart_id=values.name_of(given.get("cart_id"), "cart_id"),
        )

    return read


def _listed(given: Properties, client: ClientConfig) -> Act:
    return Act(
        verb=Verb.LIST, text=values.text(given.get("category")) or values.text(given.get("list_id"))
    )


def _searched(given: Properties, client: ClientConfig) -> Act:
    return Act(verb=Verb.SEARCH, text=values.text(given.get("query")))


def _reviewed(given: Properties, client: ClientConfig) -> Act:
    line = values.line({"product_id": given.get("product_id"), "sku": given.get("sku")}, client)
    return Act(verb=Verb.RATE, lines=(line,), rating=values.rating(given.get("rating"), "rating"))


def _of_order(verb: Verb) -> Callable[[Properties, ClientConfig], Act]:
    def read(given: Properties, client: ClientConfig) -> Act:
        named = values.currency(given.get("currency"), "currency")
        order_id = values.name_of(given.get("order_id"), "order_id")
        if not order_id and verb is not Verb.BUY:
            raise Unusable("order_id is missing.")
        lines = tuple(
            values.line(product, client, path=path, event_currency=named)
            for path, product in values.items(given.get("products"), "products")
        )
        return Act(
            verb=verb,
            # Whoever cancels an order tells what was in it; all of it is cancelled.
            lines=lines if verb is not Verb.CANCEL else (),
            order_id=order_id,
            cart_id=values.name_of(given.get("cart_id"), "cart_id"),
            facts=_facts(given, named, client),
        )

    return read


def _facts(given: Properties, named: str, client: ClientConfig) -> Facts:
    code = named or client.currency
    amounts = {name: values.amount(given.get(name), code, name) for name in _AMOUNTS}
    if amounts["total"] is None and amounts["revenue"] is not None:
        # Revenue is told without what is paid for the way and to the state.
        extra = (amounts["shipping"] or 0) + (amounts["tax"] or 0)
        amounts["total"] = amounts["revenue"] + extra
    return Facts(
        currency=code if named or any(each is not None for each in amounts.values()) else "",
        is_currency_assumed=not named,
        total=amounts["total"],
        revenue=amounts["revenue"],
        shipping=amounts["shipping"],
        tax=amounts["tax"],
        discount=amounts["discount"],
        coupon=values.text(given.get("coupon")),
        affiliation=values.text(given.get("affiliation")),
    )


#: Name of a semantic event -> how its properties are read.
READERS: Final[Mapping[str, Callable[[Properties, ClientConfig], Act]]] = {
    "Product Viewed": _of_product(Verb.VIEW),
    "Product List Viewed": _listed,
    "Products Searched": _searched,
    "Product Added": _of_product(Verb.ADD),
    "Wishlist Product Added to Cart": _of_product(Verb.ADD),
    "Product Removed": _of_product(Verb.REMOVE),
    "Product Added to Wishlist": _of_product(Verb.WISH),
    "Product Removed from Wishlist": _of_product(Verb.UNWISH),
    "Order Completed": _of_order(Verb.BUY),
    "Order Updated": _of_order(Verb.CHANGE),
    "Order Refunded": _of_order(Verb.REFUND),
    "Order Cancelled": _of_order(Verb.CANCEL),
    "Product Reviewed": _reviewed,
}
