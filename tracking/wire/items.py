"""
Items as JSON: the form of the REST door, of JSON and NDJSON files, and of what CSV is read to.

Prices are decimal numbers in whole units; a time without a zone is the client's.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tracking import items, money
from tracking.items import CatalogueItem, ItemAttribute, NotAnItem
from tracking.types import ClientConfig, ItemKey
from tracking.wire import text
from tracking.wire.common import id_text


class AttributeBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One property of an item; a key that has several values is there several times."""

    key: Annotated[str, Meta(examples=["brand"])]
    value: Annotated[str | int | float | bool, Meta(examples=["Acme"])]
    type: Annotated[
        Literal["NOMINAL", "NUMERIC", "TEXT"] | None,
        Meta(description="NUMERIC of numbers and NOMINAL of all else, unless given."),
    ] = None


class ItemFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is said of an item. Null is the same as nothing."""

    name: Annotated[str | None | UnsetType, Meta(examples=["Red shoe"])] = UNSET
    price: Annotated[
        str | int | float | None | UnsetType,
        Meta(description="In whole units of the currency.", examples=["12.45"]),
    ] = UNSET
    currency: Annotated[
        str | None | UnsetType,
        Meta(description="ISO 4217; the client's unless given.", examples=["EUR"]),
    ] = UNSET
    url: Annotated[str | None | UnsetType, Meta(examples=["https://shop.example/shoes/1"])] = UNSET
    image: Annotated[str | None | UnsetType, Meta(examples=["https://shop.example/1.jpg"])] = UNSET
    description: str | None | UnsetType = UNSET
    categories: Annotated[
        list[str] | None | UnsetType,
        Meta(description="Paths from the root.", examples=[["Shoes/Red", "Sale"]]),
    ] = UNSET
    attributes: list[AttributeBody] | None | UnsetType = UNSET
    content: Annotated[
        dict[str, str] | None | UnsetType,
        Meta(description="Texts by their names.", examples=[{"title": "Red shoe"}]),
    ] = UNSET
    validFrom: Annotated[
        str | None | UnsetType,
        Meta(
            description="ISO 8601; without a zone, in the client's time.",
            examples=["2026-01-10T08:00:00"],
        ),
    ] = UNSET
    validTo: Annotated[
        str | None | UnsetType, Meta(description="The first moment when it is no longer valid.")
    ] = UNSET
    importedAt: Annotated[
        str | None | UnsetType, Meta(description="As it is read. What is sent is not looked at.")
    ] = UNSET


class ItemBody(ItemFields, kw_only=True, forbid_unknown_fields=True):
    """An item as it is imported: what is not said of it is empty."""

    type: Annotated[int, Meta(description="1 unless given.")] = 1
    id: Annotated[str | int, Meta(description="Unique among items of the type.")]


class ChangeBody(ItemFields, kw_only=True, forbid_unknown_fields=True):
    """What is said of an item whose path names it; type and id may repeat that."""

    type: int | UnsetType = UNSET
    id: str | int | UnsetType = UNSET


def item_of(document: Any, client: ClientConfig) -> CatalogueItem:
    """Read an item. Raises NotAnItem, whose text says what is wrong."""
    body = _converted(document, ItemBody)
    return _with(CatalogueItem(key=ItemKey(body.type, id_text(body.id))), body, client)


def item_at(key: ItemKey, document: Any, client: ClientConfig) -> CatalogueItem:
    """Read an item whose key is known otherwise; one in the document must be that. As item_of."""
    return _with(CatalogueItem(key=key), _change(key, document), client)


def changed(item: CatalogueItem, document: Any, client: ClientConfig) -> CatalogueItem:
    """Return an item with the given fields changed; null empties one. Raises NotAnItem."""
    return _with(item, _change(item.key, document), client)


def _change(key: ItemKey, document: Any) -> ChangeBody:
    body: ChangeBody = _converted(document, ChangeBody)
    named = (body.type, UNSET if body.id is UNSET else id_text(body.id))
    if named[0] not in (UNSET, key.type) or named[1] not in (UNSET, key.id):
        raise NotAnItem("type and id in the body differ from those in the path.")
    return body


def _converted(document: Any, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(text.clean(document).value, kind)
    except msgspec.ValidationError as error:
        raise NotAnItem(f"{error}.") from None
    except text.Unstorable as error:
        raise NotAnItem(str(error)) from None


def _with(item: CatalogueItem, body: ItemFields, client: ClientConfig) -> CatalogueItem:
    price, currency = _price(item, body, client)
    said: dict[str, Any] = {
        name: value or empty
        for name, empty in _EMPTY.items()
        if (value := getattr(body, name)) is not UNSET
    }
    if isinstance(body.attributes, list):
        said["attributes"] = tuple(_attribute(each) for each in body.attributes)
    if isinstance(body.categories, list):
        said["categories"] = tuple(body.categories)
    for name, given in (("valid_from", body.validFrom), ("valid_to", body.validTo)):
        if given is not UNSET:
            said[name] = moment(given, client)
    return items.checked(replace(item, price=price, currency=currency, **said))


_EMPTY: dict[str, Any] = {
    "name": "",
    "url": "",
    "image": "",
    "description": "",
    "categories": (),
    "attributes": (),
    "content": {},
}


def _price(item: CatalogueItem, body: ItemFields, client: ClientConfig) -> tuple[int | None, str]:
    if body.price is UNSET and body.currency is UNSET:
        return item.price, item.currency
    currency = body.currency or item.currency or client.currency
    amount: Any = body.price
    if amount is UNSET:
        # Another currency for the price as it is written.
        amount = None if item.price is None else money.major(item.price, item.currency)
    if amount is None or amount == "":
        return None, ""
    try:
        return money.minor(amount, currency), currency
    except money.NotMoney as error:
        raise NotAnItem(f"price: {error}") from None


def _attribute(body: AttributeBody) -> ItemAttribute:
    is_number = isinstance(body.value, int | float) and not isinstance(body.value, bool)
    value = str(body.value).lower() if isinstance(body.value, bool) else str(body.value)
    return ItemAttribute(body.key, value, body.type or ("NUMERIC" if is_number else "NOMINAL"))


def moment(given: str | None, client: ClientConfig) -> datetime | None:
    """Read a time, which is the client's where it names no zone. Raises NotAnItem."""
    if not given or not given.strip():
        return None
    try:
        read = datetime.fromisoformat(given.strip())
        return (
            read if read.tzinfo else read.replace(tzinfo=ZoneInfo(client.time_zone))
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotAnItem(f"{given[:40]} is not an ISO 8601 time.") from None
