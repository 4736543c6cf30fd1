"""
Products that are rows of the site's own: registered once, read when asked for, never copied.

A site calls `register` in its AppConfig's `ready`; finding and writing ask here
whose a type is.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db.models import QuerySet

from tracking import items, money
from tracking.items import CatalogueItem, ItemAttribute, NotAnItem
from tracking.types import ClientConfig, ItemKey

logger = logging.getLogger("tracking")

#: How a value is found in a row: a path of names (`brand__title`), or a function of the row.
Field: TypeAlias = str | Callable[[Any], Any]


class ReadElsewhere(ValueError):
    """Items of this type are rows of the site's own: nothing else writes them."""

    def __init__(self, item_type: int) -> None:
        super().__init__(
            f"Items of type {item_type} are read from the site's own tables: change them there."
        )


@dataclass(frozen=True, slots=True)
class Source:
    """A registered queryset, and how an item's fields are found in its rows."""

    type: int
    queryset: QuerySet[Any]
    id: str
    fields: Mapping[str, Field]
    client_key: str

    def find(self, ids: Sequence[str], client: ClientConfig) -> dict[ItemKey, CatalogueItem]:
        """Return the items of these ids that there are, read in one query."""
        values = [value for each in ids if (value := self._value(each)) is not None]
        rows = self.queryset.filter(**{f"{self.id}__in": values}) if values else ()
        found = (self._item(row, client) for row in rows)
        return {item.key: item for item in found}

    def _value(self, text: str) -> Any:
        """Return an id as the rows have it. None where no row can: 007 is no number's name."""
        meta = self.queryset.model._meta
        field: Any = meta.pk if self.id == "pk" else meta.get_field(self.id)
        try:
            value = field.to_python(text)
        except ValidationError:
            return None
        return value if str(value) == text else None

    def _item(self, row: Any, client: ClientConfig) -> CatalogueItem:
        price, currency = self._price(row, client)
        return CatalogueItem(
            key=ItemKey(self.type, str(getattr(row, self.id))),
            name=self._text(row, "name"),
            price=price,
            currency=currency,
            url=self._text(row, "url"),
            image=self._text(row, "image"),
            description=self._text(row, "description"),
            categories=_paths(self._read(row, "categories")),
            attributes=_attributes(self._read(row, "attributes")),
            valid_from=_moment(self._read(row, "valid_from"), client),
            valid_to=_moment(self._read(row, "valid_to"), client),
        )

    def _price(self, row: Any, client: ClientConfig) -> tuple[int | None, str]:
        price = self._read(row, "price")
        if price is None or price == "":
            return None, ""
        given = self.fields["currency"]
        fixed = given if isinstance(given, str) and given in money.EXPONENTS else ""
        currency = fixed or self._text(row, "currency") or client.currency
        try:
            return money.minor(price, currency), currency
        except money.NotMoney as error:
            logger.warning(
                "item.price_unreadable",
                extra={"type": self.type, "item": str(row.pk), "error": str(error)},
            )
            return None, ""

    def _text(self, row: Any, name: str) -> str:
        value = self._read(row, name)
        return "" if value is None else str(value)

    def _read(self, row: Any, name: str) -> Any:
        given = self.fields[name]
        if not isinstance(given, str):
            return given(row)
        value: Any = row if given else None
        for step in given.split("__"):
            if value is None:
                return None
            value = getattr(value, step)
            # A method such as get_absolute_url; not the manager of related rows.
            value = value() if callable(value) and not hasattr(value, "all") else value
        return value


_sources: dict[tuple[int, str], Source] = {}


def register(
    item_type: int,
    queryset: QuerySet[Any],
    *,
    id: str = "pk",
    name: Field,
    price: Field = "",
    currency: Field = "",
    url: Field = "",
    image: Field = "",
    description: Field = "",
    categories: Field = "",
    attributes: Field = "",
    valid_from: Field = "",
    valid_to: Field = "",
    client_key: str = "",
) -> None:
    """
    Let items of a type be the rows of a queryset, for one client or, without its key, for all.

    Fields are paths of names or functions of a row. `price` is in whole units;
    `currency` may be a code such as EUR, and is the client's where it is not
    given. `categories` gives a path, several, or related rows whose text is
    one; `attributes` a mapping. Raises ImproperlyConfigured for names that the
    model does not have.
    """
    fields = {
        "name": name,
        "price": price,
        "currency": currency,
        "url": url,
        "image": image,
        "description": description,
        "categories": categories,
        "attributes": attributes,
        "valid_from": valid_from,
        "valid_to": valid_to,
    }
    if not 1 <= item_type <= items.LARGEST_TYPE:
        raise ImproperlyConfigured(f"An item type is from 1 to {items.LARGEST_TYPE}.")
    named = {what: given for what, given in fields.items() if isinstance(given, str) and given}
    if named.get("currency") in money.EXPONENTS:
        del named["currency"]
    _check_names(queryset, {"id": id, **named})
    related = {path.rpartition("__")[0] for path in named.values() if "__" in path}
    if related:
        queryset = queryset.select_related(*sorted(related))
    _sources[item_type, client_key] = Source(item_type, queryset, id, fields, client_key)


def unregister(item_type: int, *, client_key: str = "") -> None:
    """Take back a registration, if there is one."""
    _sources.pop((item_type, client_key), None)


def source_of(item_type: int, client: ClientConfig) -> Source | None:
    """Return where items of this type are read from; None where they are in the catalogue."""
    own = _sources.get((item_type, client.client_key))
    return own or _sources.get((item_type, ""))


def refuse_registered(types: Iterable[int], client: ClientConfig) -> None:
    """Raise ReadElsewhere for types whose items are the site's own rows."""
    for item_type in sorted(set(types)):
        if source_of(item_type, client) is not None:
            raise ReadElsewhere(item_type)


def _check_names(queryset: QuerySet[Any], named: Mapping[str, str]) -> None:
    model = queryset.model
    for what, path in named.items():
        first = path.split("__")[0]
        if not hasattr(model, first):
            raise ImproperlyConfigured(
                f"{model.__name__} has no “{first}”, which its {what} is read from."
            )


def _paths(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    listed: Any = given.all() if hasattr(given, "all") else given
    texts = [given] if isinstance(given, str) else [str(each) for each in listed]
    found: dict[str, None] = {}
    for text in texts:
        try:
            found[items.category_path(text)] = None
        except NotAnItem as error:
            logger.warning("item.category_unreadable", extra={"error": str(error)})
    return tuple(path for path in found if path)


def _attributes(given: Any) -> tuple[ItemAttribute, ...]:
    found: list[ItemAttribute] = []
    for key, value in (given or {}).items():
        for each in value if isinstance(value, list | tuple | set) else [value]:
            is_number = isinstance(each, int | float | Decimal) and not isinstance(each, bool)
            kind = "NUMERIC" if is_number else "NOMINAL"
            found.append(ItemAttribute(str(key), str(each), kind))
    return tuple(found)


def _moment(given: Any, client: ClientConfig) -> datetime | None:
    """Return a date or a time; without a zone it is the client's."""
    if not isinstance(given, date):
        return None
    moment = given if isinstance(given, datetime) else datetime.combine(given, time())
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(client.time_zone))
