"""
PURE. The words that every family's commerce is told in: verbs, items, lines, orders.

Readers of the families make `Act`s of events; carts, orders and whoever counts
what people do with items read nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from tracking.types import ItemKey

#: The most of one item that a line may have.
MOST_QUANTITY = 1_000_000


class Verb(StrEnum):
    """What somebody did with items."""

    VIEW = "VIEW"
    #: Looked at a list of items; `text` names it.
    LIST = "LIST"
    #: `text` is what was asked for.
    SEARCH = "SEARCH"
    ADD = "ADD"
    REMOVE = "REMOVE"
    CLEAR = "CLEAR"
    WISH = "WISH"
    UNWISH = "UNWISH"
    #: Said which lines of the cart will be bought; without lines, all of them.
    CONFIRM = "CONFIRM"
    #: Bought what is confirmed in the cart; where nothing is, the whole cart.
    CHECKOUT = "CHECKOUT"
    PAY = "PAY"
    #: Bought these lines. With `facts` they are a whole order, else one purchase of several.
    BUY = "BUY"
    #: An order is other than it was.
    CHANGE = "CHANGE"
    #: Gave lines back; without lines, the whole order.
    REFUND = "REFUND"
    CANCEL = "CANCEL"
    RATE = "RATE"
    #: Read, heard or watched; `percentage` of it.
    CONSUME = "CONSUME"
    DISLIKE = "DISLIKE"
    #: Has it, and did not buy it here: counts in no revenue.
    OWN = "OWN"


#: What fills and empties a cart.
CART_VERBS = frozenset({Verb.ADD, Verb.REMOVE, Verb.CLEAR, Verb.CONFIRM, Verb.CHECKOUT})
#: What makes and changes orders.
ORDER_VERBS = frozenset({Verb.CHECKOUT, Verb.PAY, Verb.BUY, Verb.CHANGE, Verb.REFUND, Verb.CANCEL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """
    So many of an item at a price.

    `price` is that of one, in the minor unit of `currency`; None: it was not
    told. `line_id` is how its own family names the line of a cart.
    """

    item: ItemKey
    quantity: int = 1
    price: int | None = None
    currency: str = ""
    is_currency_assumed: bool = False
    line_id: str = ""
    name: str = ""
    kind: str = ""
    categories: tuple[str, ...] = ()
    url: str = ""
    image_url: str = ""

    @property
    def amount(self) -> int:
        """What the line comes to, as far as its price is known."""
        return (self.price or 0) * self.quantity


class Facts(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is told of a whole order. Amounts are in the minor unit of `currency`."""

    currency: str = ""
    is_currency_assumed: bool = False
    total: int | None = None
    revenue: int | None = None
    shipping: int | None = None
    tax: int | None = None
    discount: int | None = None
    coupon: str = ""
    affiliation: str = ""
    status: str = ""
    ordered_at: str = ""
    payment_type: str = ""
    card_type: str = ""
    contact: Mapping[str, Any] = {}
    attributes: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that somebody did with items, in the one form that every family is read to."""

    verb: Verb
    lines: tuple[Line, ...] = ()
    cart_id: str = ""
    order_id: str = ""
    facts: Facts | None = None
    rating: float | None = None
    percentage: int | None = None
    text: str = ""


class Unusable(ValueError):
    """An event's commerce cannot be counted: a sentence says why, in the sender's terms."""
