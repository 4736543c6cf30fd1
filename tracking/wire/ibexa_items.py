"""
Ibexa's items as XML: read and written for its content API, and read from files.

Prices count the currency's minor unit, unlike those of its events; times name
no zone and are the client's. Of what an item has, the title stands for its name.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

from tracking import items
from tracking.items import CatalogueItem, ItemAttribute, NotAnItem
from tracking.types import ClientConfig, ItemKey
from tracking.wire import xml
from tracking.wire.flaws import Flaw
from tracking.wire.items import moment
from tracking.wire.xml import Element

_VERSION: Final = "1"
_LARGEST_ID: Final = 2**31 - 1
_DEFAULT_CURRENCY: Final = "EUR"
_TITLE: Final = "title"
#: Where an item's name is looked for: its contents, then its attributes.
_NAMES: Final = (_TITLE, "name")
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
# Characters that JSON has and XML has not.
_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
#: Element -> what may be in it. Ids of categories follow from their paths, and are passed over.
_PLACES: Final = {
    "item": frozenset(
        {
            "description", "price", "validfrom", "validto", "categorypaths", "categoryids",
            "content", "attributes", "imageurls", "deeplinkurl",
        }
    ),
    "categorypaths": frozenset({"categorypath"}),
    "categoryids": frozenset({"categoryid"}),
    "content": frozenset({"content-data"}),
    "attributes": frozenset({"attribute"}),
    "imageurls": frozenset({"imageurl"}),
    "transfer": frozenset({"sourceitem", "targetitem"}),
}  # fmt: skip


# --- items -----------------------------------------------------------------------------


def read_items(pieces: Iterable[bytes], client: ClientConfig) -> Iterator[CatalogueItem | Flaw]:
    """Yield items, and a flaw for each that is none; where the XML breaks off, a last flaw."""
    try:
        elements = xml.elements(pieces)
        for root in elements:
            if root.name != "items" or root.attributes.get("version") != _VERSION:
                yield Flaw(root.line, f'The document is not <items version="{_VERSION}">.')
                return
            break
        for element in elements:
            try:
                yield _item(element, client)
            except NotAnItem as error:
                yield Flaw(element.line, _told(element, error))
    except xml.Unreadable as error:
        yield Flaw(error.line, str(error))


def _told(element: Element, error: NotAnItem) -> str:
    named = element.attributes.get("id", "")[:40]
    return f"Item {named}: {error}" if named else str(error)


def _item(element: Element, client: ClientConfig) -> CatalogueItem:
    if element.name != "item":
        raise NotAnItem(f"<items> has no <{element.name[:40]}>.")
    key = key_of(element.attributes.get("type", ""), element.attributes.get("id", ""), client)
    parts = _parts(element)
    price, currency = _price(parts.get("price"))
    attributes = tuple(_attribute(each) for each in _listed(parts, "attributes"))
    contents = _listed(parts, "content")
    content = {_key(each): each.text.strip() for each in contents}
    if len(content) < len(contents):
        raise NotAnItem("<content> has one key twice.")
    images = [each.text.strip() for each in _listed(parts, "imageurls")]
    if len(images) > 1:
        raise NotAnItem("An item has one <imageurl> at most.")
    return items.checked(
        CatalogueItem(
            key=key,
            name=_name(content, attributes)[: items.LONGEST_NAME],
            price=price,
            currency=currency,
            url=_text(parts, "deeplinkurl"),
            image="".join(images),
            description=_text(parts, "description"),
            categories=tuple(each.text for each in _listed(parts, "categorypaths")),
            attributes=attributes,
            content=content,
            valid_from=moment(_text(parts, "validfrom"), client),
            valid_to=moment(_text(parts, "validto"), client),
        )
    )


def key_of(item_type: str, item_id: str, client: ClientConfig) -> ItemKey:
    """Read an item's type and id, the id a number unless the client has text. Raises NotAnItem."""
    kind, number = _number(item_type), _number(item_id)
    if kind is None or not 1 <= kind <= items.LARGEST_TYPE:
        raise NotAnItem(f"The type is a number from 1 to {items.LARGEST_TYPE}.")
    key = ItemKey(kind, item_id)
    if number is not None and 1 <= number <= _LARGEST_ID:
        return key
    if not client.allows_text_item_ids:
        raise NotAnItem(f"The id is a number from 1 to {_LARGEST_ID}.")
    if not items.is_key(key):
        raise NotAnItem(f"The id has 1 to {items.LONGEST_ID} characters.")
    return key


def _parts(element: Element) -> dict[str, Element]:
    """Return what is in an element by name. Raises NotAnItem for what has no place there."""
    parts: dict[str, Element] = {}
    _check_text(element)
    for child in element.children:
        if child.name not in _PLACES[element.name]:
            raise NotAnItem(f"<{element.name}> has no <{child.name[:40]}>.")
        if child.name in parts:
            raise NotAnItem(f"<{element.name}> has <{child.name}> twice.")
        _check_text(child)
        for inner in child.children:
            if inner.name not in _PLACES.get(child.name, ()) or inner.children:
                raise NotAnItem(f"<{child.name}> has no <{inner.name[:40]}>, or not so.")
        parts[child.name] = child
    return parts


def _check_text(element: Element) -> None:
    if element.name in _PLACES and element.text.strip():
        raise NotAnItem(f"<{element.name}> has text of its own: {element.text.strip()[:40]}.")


def _listed(parts: dict[str, Element], name: str) -> list[Element]:
    return parts[name].children if name in parts else []


def _text(parts: dict[str, Element], name: str) -> str:
    return parts[name].text.strip() if name in parts else ""


def _price(element: Element | None) -> tuple[int | None, str]:
    if element is None or not element.text.strip():
        return None, ""
    price = _number(element.text.strip())
    if price is None:
        raise NotAnItem("The price is a whole number of the currency's minor unit: 1234 is 12.34.")
    return price, element.attributes.get("currency", _DEFAULT_CURRENCY)


def _attribute(element: Element) -> ItemAttribute:
    value = element.attributes.get("value", element.text.strip())
    return ItemAttribute(_key(element), value, element.attributes.get("type", "NOMINAL"))


def _key(element: Element) -> str:
    key = element.attributes.get("key", "")
    if not key.strip():
        raise NotAnItem(f"<{element.name}> has no key.")
    return key


def _name(content: dict[str, str], attributes: Iterable[ItemAttribute]) -> str:
    said = {each.key: each.value for each in reversed([*attributes])}
    places = [content.get(_TITLE, ""), *(said.get(name, "") for name in _NAMES)]
    return next((text for text in places if text.strip()), "")


def _number(given: str) -> int | None:
    return int(given) if given.isascii() and _DIGITS.fullmatch(given) else None


# --- renames ---------------------------------------------------------------------------


def read_transfers(body: bytes, client: ClientConfig) -> list[tuple[ItemKey, ItemKey]]:
    """Read renames of items, old and new. Raises NotAnItem and xml.Unreadable."""
    elements = xml.elements([body])
    for root in elements:
        if root.name != "transfers":
            raise NotAnItem("The document is not <transfers>.")
        break
    return [_transfer(element, client) for element in elements]


def _transfer(element: Element, client: ClientConfig) -> tuple[ItemKey, ItemKey]:
    if element.name != "transfer":
        raise NotAnItem(f"<transfers> has no <{element.name[:40]}>.")
    parts = _parts(element)
    if len(parts) != 2:
        raise NotAnItem(f"Line {element.line}: <transfer> needs <sourceitem> and <targetitem>.")
    keys = []
    for name in ("sourceitem", "targetitem"):
        named = parts[name].attributes
        try:
            keys.append(key_of(named.get("type", ""), named.get("id", ""), client))
        except NotAnItem as error:
            raise NotAnItem(f"Line {element.line}: <{name}>: {error}") from None
    return keys[0], keys[1]


# --- answers ---------------------------------------------------------------------------


def write(item: CatalogueItem, client: ClientConfig) -> bytes:
    """Write an item as a document that can be sent back as it is."""
    root = ElementTree.Element("items", version=_VERSION)
    element = ElementTree.SubElement(root, "item", id=_plain(item.key.id), type=str(item.key.type))

    def add(name: str, text: str, parent: ElementTree.Element = element, **named: str) -> None:
        ElementTree.SubElement(parent, name, named).text = _plain(text)

    if item.description:
        add("description", item.description)
    if item.price is not None:
        add("price", str(item.price), currency=item.currency)
    for name, at in (("validfrom", item.valid_from), ("validto", item.valid_to)):
        if at is not None:
            add(name, _local(at, client))
    if item.categories:
        paths = ElementTree.SubElement(element, "categorypaths")
        for path in item.categories:
            add("categorypath", path, paths)
    if item.image:
        add("imageurl", item.image, ElementTree.SubElement(element, "imageurls"))
    if item.url:
        add("deeplinkurl", item.url)
    titled = {_TITLE: item.name, **item.content} if item.name else item.content
    if titled:
        content = ElementTree.SubElement(element, "content")
        for key, text in titled.items():
            add("content-data", text, content, key=_plain(key))
    if item.attributes:
        attributes = ElementTree.SubElement(element, "attributes")
        for each in item.attributes:
            named = {"key": each.key, "value": each.value, "type": each.type}
            plain = {name: _plain(text) for name, text in named.items()}
            ElementTree.SubElement(attributes, "attribute", plain)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _local(at: datetime, client: ClientConfig) -> str:
    local = at.astimezone(ZoneInfo(client.time_zone)).replace(tzinfo=None)
    return local.isoformat(timespec="milliseconds")


def _plain(text: str) -> str:
    return _NO_XML.sub(" ", text)
