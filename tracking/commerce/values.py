"""
PURE. What an event's payload has, read as the vocabulary's values.

The families' readers call these with a path that the sender knows the value by.
Nothing given reads as nothing; what is given and cannot be meant raises Unusable.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from tracking import money
from tracking.commerce.vocabulary import MOST_QUANTITY, Line, Unusable
from tracking.types import ClientConfig, ItemKey

#: The type of items whose family knows none.
ONLY_TYPE: Final = 1

_LONGEST_ID: Final = 256
_LONGEST_TEXT: Final = 512
_LONGEST_URL: Final = 2048
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}(\.0+)?")
_FRACTION: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_PRODUCT_IDS: Final = ("product_id", "productId")
_SKUS: Final = ("sku", "item_id", "itemId")


def text(value: object, *, longest: int = _LONGEST_TEXT) -> str:
    """Read a text, cut to what is kept; a number is one too. Anything else is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()[:longest]


def name_of(value: object, path: str) -> str:
    """Read what names a cart, an order, an item. Raises Unusable for what is too long to be one."""
    name = text(value, longest=_LONGEST_ID + 1)
    if len(name) > _LONGEST_ID:
        raise Unusable(f"{path} is longer than {_LONGEST_ID} characters.")
    return name


def quantity(value: object, path: str) -> int:
    """Read how many: 1 where nothing is said."""
    if value is None or value == "":
        return 1
    if isinstance(value, bool) or not _WHOLE.fullmatch(str(value)):
        raise Unusable(f"{path} is not a whole number.")
    number = int(float(value)) if isinstance(value, float) else int(str(value).partition(".")[0])
    if not 1 <= number <= MOST_QUANTITY:
        raise Unusable(f"{path} is {number}: it is from 1 to {MOST_QUANTITY}.")
    return number


def amount(value: object, currency: str, path: str) -> int | None:
    """Read an amount of whole units as one of minor units."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Unusable(f"{path} is not an amount.")
    try:
        found = money.minor(value, currency)
    except money.NotMoney as error:
        raise Unusable(f"{path}: {error}") from None
    if found < 0:
        raise Unusable(f"{path} is less than nothing.")
    return found


def currency(value: object, path: str) -> str:
    """Read a currency of ISO 4217, in any case."""
    code = text(value).upper()
    if code:
        try:
            money.exponent(code)
        except money.NotMoney as error:
            raise Unusable(f"{path}: {error}") from None
    return code


def rating(value: object, path: str) -> float | None:
    """Read a rating, on whatever scale."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not _FRACTION.fullmatch(str(value).strip()):
        raise Unusable(f"{path} is not a number of zero or more.")
    return float(value)  # type: ignore[arg-type]


def moment(value: object, path: str) -> str:
    """Read an ISO 8601 time; one without a zone is in UTC."""
    if value is None or value == "":
        return ""
    try:
        at = datetime.fromisoformat(text(value))
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise Unusable(f"{path} is not an ISO 8601 time.") from None


def category(value: object) -> tuple[str, ...]:
    """Read a category path: Shoes/Children, with or without slashes around it."""
    path = "/".join(part.strip() for part in text(value).strip("/").split("/"))
    return (path,) if path else ()


def items(value: object, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the objects of a list, or of one without the list, each with its path."""
    given: Sequence[object] = value if isinstance(value, list) else [value] if value else []
    for index, item in enumerate(given):
        where = f"{path}[{index}]" if isinstance(value, list) else path
        if not isinstance(item, Mapping):
            raise Unusable(f"{where} is not an object.")
        yield where, item


def pairs(value: object) -> dict[str, Any]:
    """Return an object's plain pairs: texts, numbers, booleans."""
    if not isinstance(value, Mapping):
        return {}
    return {key: item for key, item in value.items() if isinstance(item, str | int | float)}


def line(
    product: Mapping[str, Any], client: ClientConfig, *, path: str = "", event_currency: str = ""
) -> Line:
    """
    Read a product as one line.

    Its id is `product_id`, else `sku`; the other way round for a client that
    prefers that. A currency that nobody names is the client's own, and assumed.
    """
    at = f"{path}." if path else ""
    named = currency(product.get("currency") or product.get("currencyCode"), f"{at}currency")
    code = named or event_currency or client.currency
    price = amount(product.get("price"), code, f"{at}price")
    found = Line(
        item=ItemKey(ONLY_TYPE, item_id(product, client, path)),
        quantity=quantity(product.get("quantity"), f"{at}quantity"),
        price=price,
        currency=code if price is not None else "",
        is_currency_assumed=price is not None and not named and not event_currency,
        line_id=name_of(product.get("item_id"), f"{at}item_id"),
        name=text(product.get("name")),
        kind=text(product.get("type"), longest=100),
        categories=category(product.get("category")),
        url=text(product.get("url"), longest=_LONGEST_URL),
        image_url=text(product.get("image_url"), longest=_LONGEST_URL),
    )
    if found.amount > money.MOST:
        raise Unusable(f"{at}price times {at}quantity is larger than any amount that is kept.")
    return found


def has_id(product: Mapping[str, Any]) -> bool:
    """Say whether a product has anything that items go by."""
    return any(product.get(name) for name in (*_PRODUCT_IDS, *_SKUS))


def item_id(product: Mapping[str, Any], client: ClientConfig, path: str = "") -> str:
    """Return the id that the client's items go by. Raises Unusable where there is none."""
    names = (*_SKUS, *_PRODUCT_IDS) if client.prefers_sku else (*_PRODUCT_IDS, *_SKUS)
    for name in names:
        if found := name_of(product.get(name), f"{path}.{name}" if path else name):
            return found
    where = path or "The product"
    raise Unusable(f"{where} has neither product_id nor sku.")
