"""
PURE. The catalogue's values: an item, what a click tells of one, and what either may be.

Readers of every format make items and pass them through `checked`; the
catalogue stores and finds them; whoever recommends reads them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from tracking import money
from tracking.types import ItemKey

LARGEST_TYPE: Final = 2**31 - 1
LONGEST_ID: Final = 256
LONGEST_NAME: Final = 500
LONGEST_PATH: Final = 500
LONGEST_ADDRESS: Final = 2048
LONGEST_TEXT: Final = 64 * 1024
LONGEST_KEY: Final = 100
LONGEST_VALUE: Final = 4096
MOST_CATEGORIES: Final = 100
MOST_ATTRIBUTES: Final = 300
MOST_CONTENTS: Final = 50

#: A distinct value, a number that may be compared, and words to be read.
ATTRIBUTE_TYPES: Final = ("NOMINAL", "NUMERIC", "TEXT")

# What no database, or not every one, can keep.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
_OUTER: Final = re.compile(r"^[\s/]+|[\s/]+$")
# What a page may link to; anything with another scheme could be a script.
_ADDRESS: Final = re.compile(r"(https?:)?//[^\s/][^\s]*|/[^\s]*", re.IGNORECASE)


class NotAnItem(ValueError):
    """What was given cannot be an item: a sentence says why."""


@dataclass(frozen=True, slots=True)
class ItemAttribute:
    """One property of an item. A key may have several values, each an attribute."""

    key: str
    value: str
    type: str = "NOMINAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueItem:
    """
    An item. `price` counts the currency's minor unit; categories are paths without outer slashes.

    What is not known is empty or None; `imported_at` is None while only clicks know the item.
    """

    key: ItemKey
    name: str = ""
    price: int | None = None
    currency: str = ""
    url: str = ""
    image: str = ""
    description: str = ""
    categories: tuple[str, ...] = ()
    attributes: tuple[ItemAttribute, ...] = ()
    content: Mapping[str, str] = field(default_factory=dict)
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    imported_at: datetime | None = None

    def is_valid(self, at: datetime) -> bool:
        """Say whether it is the item's time: from its first moment to before its last."""
        has_begun = self.valid_from is None or self.valid_from <= at
        return has_begun and (self.valid_to is None or at < self.valid_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a click tells of its item, beside that it was clicked."""

    key: ItemKey
    category: str = ""
    name: str = ""
    url: str = ""
    image: str = ""


def checked(item: CatalogueItem) -> CatalogueItem:
    """Return the item in its one written form. Raises NotAnItem for what cannot be kept."""
    _check_key(item.key)
    if item.price is not None:
        _check_price(item.price, item.currency)
    if item.valid_from and item.valid_to and item.valid_to <= item.valid_from:
        raise NotAnItem("The item is valid to a time that is not after that it is valid from.")
    _check_many("categories", item.categories, MOST_CATEGORIES)
    _check_many("attributes", item.attributes, MOST_ATTRIBUTES)
    _check_many("contents", item.content, MOST_CONTENTS)
    paths = (category_path(path) for path in item.categories)
    return replace(
        item,
        name=_text(item.name, "The name", LONGEST_NAME),
        currency=item.currency if item.price is not None else "",
        url=_address(item.url, "The address"),
        image=_address(item.image, "The image"),
        description=_text(item.description, "The description", LONGEST_TEXT),
        categories=tuple(dict.fromkeys(path for path in paths if path)),
        attributes=tuple(dict.fromkeys(_attribute(each) for each in item.attributes)),
        content={
            _key(key): _text(value, f"The content {key[:40]}", LONGEST_TEXT)
            for key, value in item.content.items()
        },
    )


def usable(sighting: Sighting) -> Sighting:
    """Return what of a sighting can be kept: a click may carry anything."""

    def kept(text: str, is_good: bool) -> str:
        return text if is_good and not _UNSTORABLE.search(text) else ""

    path, name = _trimmed(sighting.category), sighting.name.strip()
    url, image = sighting.url.strip(), sighting.image.strip()
    return Sighting(
        key=sighting.key,
        category=kept(path, len(path) <= LONGEST_PATH and "\\" not in path),
        name=kept(name[:LONGEST_NAME], True),
        url=kept(url, _is_address(url)),
        image=kept(image, _is_address(image)),
    )


def is_key(key: ItemKey) -> bool:
    """Say whether an item can have this type and id."""
    try:
        _check_key(key)
    except NotAnItem:
        return False
    return True


def category_path(given: str) -> str:
    """Return a category's path without outer slashes; empty for none. Raises NotAnItem."""
    if "\\" in given:
        raise NotAnItem("A category path has slashes, and no backslash.")
    return _text(_trimmed(given), "A category path", LONGEST_PATH)


def _trimmed(path: str) -> str:
    return _OUTER.sub("", path)


def _check_key(key: ItemKey) -> None:
    if not 1 <= key.type <= LARGEST_TYPE:
        raise NotAnItem(f"The type is a number from 1 to {LARGEST_TYPE}.")
    if not key.id.strip() or len(key.id) > LONGEST_ID or _UNSTORABLE.search(key.id):
        raise NotAnItem(f"The id has 1 to {LONGEST_ID} characters.")


def _check_price(price: int, currency: str) -> None:
    if not 0 <= price <= money.MOST:
        raise NotAnItem("The price is below zero, or larger than any that is kept.")
    try:
        money.exponent(currency)
    except money.NotMoney as error:
        raise NotAnItem(str(error)) from None


def _check_many(what: str, given: Iterable[object], most: int) -> None:
    if sum(1 for _ in given) > most:
        raise NotAnItem(f"An item has at most {most} {what}.")


def _text(given: str, what: str, longest: int) -> str:
    if _UNSTORABLE.search(given):
        raise NotAnItem(f"{what} has characters that are no text.")
    if len(given) > longest:
        raise NotAnItem(f"{what} is longer than {longest} characters.")
    return given.strip()


def _is_address(given: str) -> bool:
    return len(given) <= LONGEST_ADDRESS and bool(_ADDRESS.fullmatch(given))


def _address(given: str, what: str) -> str:
    text = _text(given, what, LONGEST_ADDRESS)
    if text and not _is_address(text):
        raise NotAnItem(f"{what} begins with http://, https:// or a slash, and has no space.")
    return text


def _attribute(given: ItemAttribute) -> ItemAttribute:
    key = _key(given.key)
    if given.type not in ATTRIBUTE_TYPES:
        types = ", ".join(ATTRIBUTE_TYPES)
        raise NotAnItem(f"The attribute {key} is of no known type. There are: {types}.")
    longest = LONGEST_TEXT if given.type == "TEXT" else LONGEST_VALUE
    value = _text(given.value, f"The attribute {key}", longest)
    if given.type == "NUMERIC" and not _NUMBER.fullmatch(value):
        raise NotAnItem(f"The attribute {key} is NUMERIC, and {value[:40]} is no decimal number.")
    return ItemAttribute(key, value, given.type)


def _key(given: str) -> str:
    key = _text(given, "A key", LONGEST_KEY)
    if not key:
        raise NotAnItem("A key of an attribute or a content is empty.")
    return key
