"""
PURE. Commerce as Ibexa's tracking addresses tell it: each about one item.

The addresses were judged at the door, so what is here fits, but for legacy
forms of a price, which are read as far as they can be meant.
"""

from collections.abc import Mapping
from typing import Any, Final

from tracking import money
from tracking.commerce import values
from tracking.commerce.vocabulary import Act, Line, Unusable, Verb
from tracking.types import ClientConfig, ItemKey

#: Type of an event -> what it says of its item.
VERBS: Final[Mapping[str, Verb]] = {
    "CLICK": Verb.VIEW,
    "CONSUME": Verb.CONSUME,
    "BUY": Verb.BUY,
    "BASKET": Verb.ADD,
    "DELETEFROMBASKET": Verb.REMOVE,
    "WISHLIST": Verb.WISH,
    "DELETEFROMWISHLIST": Verb.UNWISH,
    "RATE": Verb.RATE,
    "BLACKLIST": Verb.DISLIKE,
    "OWNS": Verb.OWN,
}
#: Whoever is not said to have stopped has consumed all of it.
_WHOLE: Final = 100
_PRICED: Final = frozenset({Verb.BUY, Verb.WISH, Verb.OWN, Verb.ADD})


def read(type: str, given: Mapping[str, Any], client: ClientConfig) -> Act | None:
    """Read an event's data. Raises Unusable."""
    item_type, item_id = given.get("itemtypeid"), given.get("itemid")
    if not isinstance(item_type, int) or not item_id:
        return None
    verb = VERBS[type]
    price, currency, is_assumed = _price(given, client) if verb in _PRICED else (None, "", False)
    return Act(
        verb=verb,
        lines=(
            Line(
                item=ItemKey(item_type, values.name_of(item_id, "itemid")),
                quantity=values.quantity(given.get("quantity"), "quantity"),
                price=price,
                currency=currency,
                is_currency_assumed=is_assumed,
                name=values.text(given.get("title")),
                categories=values.category(given.get("categorypath")),
                url=values.text(given.get("url"), longest=2048),
                image_url=values.text(given.get("image"), longest=2048),
            ),
        ),
        rating=values.rating(given.get("rating"), "rating") if verb is Verb.RATE else None,
        percentage=given.get("percentage", _WHOLE) if verb is Verb.CONSUME else None,
    )


def _price(given: Mapping[str, Any], client: ClientConfig) -> tuple[int | None, str, bool]:
    """Return the price of one, its currency, and whether nobody named that."""
    for name in ("fullprice", "price"):
        try:
            price, currency = money.priced(values.text(given.get(name)))
        except money.NotMoney:
            continue
        return price, currency, False
    try:
        named = values.currency(given.get("currency"), "currency")
        price_of_one = values.amount(given.get("price"), named or client.currency, "price")
    except Unusable:
        # The protocol knows no such parameter: whatever a client means by it.
        return None, "", False
    if price_of_one is None:
        return None, "", False
    return price_of_one, named or client.currency, not named
