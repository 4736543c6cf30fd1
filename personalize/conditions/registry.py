"""The fields that conditions can name: the built-in ones, and whatever a host adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from personalize.conditions.facts import (
    ANY_ITEM,
    Needs,
    Read,
    dotted_path,
    fact_reader,
    param_path,
    site_reader,
)
from personalize.conditions.operators import FieldType

FactGroup = Literal[
    "request", "time", "guest", "session", "orders", "cart", "events", "segments", "site"
]
_GROUPS: tuple[FactGroup, ...] = ("time", "guest", "session", "orders", "cart")

#: The field that names the segments a guest is in, by friendly id.
SEGMENTS = "guest.segments"

MAX_NAME = 200
MAX_SEGMENTS = 16


@dataclass(frozen=True, kw_only=True)
class Field:
    """
    A named fact.

    name: `guest.email`; ending in a dot it is a prefix, which takes any path: `request.params.`.
    label: how a marketer reads it. choices: the only values that can be, empty when open.
    needs: the group of facts it reads.
    read: fetches the value; by default the name is the path, `guest.email` -> facts.guest["email"].
    split: how the rest of a prefix's name becomes a path.
    has_alternatives: `read` returns a tuple of spellings of one value; any of them may match.
    has_items: these are values of the items of a list, and not spellings.
    source: which of the site's own sources its value comes from; group: what its source is
    called in lists of fields. picker: what offers values, or below a prefix paths, to choose from.
    is_count: only whole numbers from 0 ever stand there.
    """

    name: str
    label: str
    type: FieldType
    needs: FactGroup
    choices: tuple[str, ...] = ()
    read: Read | None = None
    split: Callable[[str], tuple[str, ...]] = dotted_path
    has_alternatives: bool = False
    is_count: bool = False
    has_items: bool = False
    source: str = ""
    group: str = ""
    #: Of a field that was made below a prefix: the prefix's name.
    prefix: str = ""
    picker: str = ""

    @property
    def is_prefix(self) -> bool:
        return self.name.endswith(".")

    def reader(self) -> Read:
        if self.read is not None:
            return self.read
        return site_reader(self.name) if self.source else fact_reader(tuple(self.name.split(".")))

    def needed(self) -> Needs:
        """Return the facts that have to be there to read it."""
        return Needs(
            guest=self.needs == "guest",
            session=self.needs == "session",
            orders=self.needs == "orders",
            cart=self.needs == "cart",
            segments=self.needs == "segments",
            site=frozenset({self.source} if self.source else ()),
        )


class Registry:
    """Fields by name. A prefix answers for every name below it."""

    def __init__(self, fields: Iterable[Field] = ()) -> None:
        self._fields: dict[str, Field] = {}
        for field in fields:
            self.register(field)

    def register(self, field: Field) -> Field:
        """Add a field. Raises ValueError when the name is taken."""
        if field.name in self._fields:
            raise ValueError(f"a field called {field.name!r} is already registered")
        self._fields[field.name] = field
        return field

    def unregister(self, name: str) -> None:
        """Take a field out again: for tests, and for hosts that reload."""
        self._fields.pop(name, None)

    def fields(self) -> tuple[Field, ...]:
        """All fields and prefixes, in the order they were registered."""
        return tuple(self._fields.values())

    def resolve(self, name: str) -> Field | None:
        """
        Return the field of this name, or None.

        Below a prefix a field is made to measure, with the whole name and a label that shows
        the path; two spellings of one path (`utm_source`, `utm.source`) give equal names.
        """
        field = self._fields.get(name)
        if field is not None:
            return None if field.is_prefix else field
        if len(name) > MAX_NAME:
            return None
        parts = name.split(".")
        for length in range(len(parts) - 1, 0, -1):
            prefix = self._fields.get(".".join(parts[:length]) + ".")
            if prefix is not None:
                return _below(prefix, ".".join(parts[length:]))
        return None


def _below(prefix: Field, rest: str) -> Field | None:
    path = prefix.split(rest)
    if not all(path) or len(path) > MAX_SEGMENTS:
        return None
    name = ".".join(path)
    return replace(
        prefix,
        name=prefix.name + name,
        label=f"{prefix.label} “{name}”",
        read=_reader_below(prefix, path),
        has_alternatives=prefix.has_alternatives or ANY_ITEM in path,
        has_items=ANY_ITEM in path,
        prefix=prefix.name,
    )


def _reader_below(prefix: Field, path: tuple[str, ...]) -> Read:
    if prefix.source:
        return site_reader(prefix.name, path)
    return prefix.read or fact_reader((*prefix.name[:-1].split("."), *path))


def _field(
    name: str,
    label: str,
    type_: FieldType = "text",
    *,
    choices: tuple[str, ...] = (),
    read: Read | None = None,
    split: Callable[[str], tuple[str, ...]] = dotted_path,
    has_alternatives: bool = False,
    is_count: bool = False,
    needs: FactGroup | None = None,
    picker: str = "",
) -> Field:
    group = name.partition(".")[0]
    own: FactGroup = next((known for known in _GROUPS if known == group), "request")
    return Field(
        name=name,
        label=label,
        type=type_,
        needs=needs or own,
        choices=choices,
        read=read,
        split=split,
        has_alternatives=has_alternatives,
        is_count=is_count,
        picker=picker,
    )


WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DEVICES = ("mobile", "desktop", "tablet", "bot", "unknown")
GUEST_TYPES = ("visitor", "customer")

BUILT_IN_FIELDS = (
    # A marketer writes "/pricing" and a client may send the whole address: both are the page.
    _field(
        "page",
        "Page",
        read=lambda facts: None if facts.page is None else (facts.page, facts.page_path),
        has_alternatives=True,
    ),
    _field("page.path", "Page path", read=lambda facts: facts.page_path),
    _field("request.params.", "Request parameter", "any", split=param_path),
    _field("request.channel", "Channel"),
    _field("request.language", "Request language"),
    _field("request.currency", "Currency"),
    _field("request.pointOfSale", "Point of sale"),
    _field("request.referrer", "Referrer"),
    _field("request.device", "Device", choices=DEVICES),
    _field("request.geo.city", "City of the visitor"),
    _field("request.geo.region", "Region of the visitor"),
    _field("request.geo.country", "Country of the visitor", picker="countries"),
    _field("time.now", "Date and time", "datetime", read=lambda facts: facts.now),
    _field("time.date", "Date", read=lambda facts: facts.local.date().isoformat()),
    _field(
        "time.weekday",
        "Weekday",
        choices=WEEKDAYS,
        read=lambda facts: WEEKDAYS[facts.local.weekday()],
    ),
    _field(
        "time.hour",
        "Hour of the day",
        "number",
        read=lambda facts: facts.local.hour,
        is_count=True,
    ),
    _field("guest.type", "Guest type", choices=GUEST_TYPES),
    _field("guest.email", "Guest email"),
    _field("guest.firstName", "Guest first name"),
    _field("guest.lastName", "Guest last name"),
    _field("guest.gender", "Guest gender"),
    _field("guest.country", "Guest country", picker="countries"),
    _field("guest.city", "Guest city"),
    _field("guest.language", "Guest language"),
    _field("guest.phone", "Guest phone"),
    _field("guest.firstSeen", "Guest first seen", "datetime"),
    _field("guest.lastSeen", "Guest last seen", "datetime"),
    _field("guest.attributes.", "Guest attribute", "any", picker="attributes"),
    _field("guest.identifiers", "Guest identifiers", "list"),
    _field(SEGMENTS, "Segments", "list", needs="segments", picker="segments"),
    _field("session.entryPage", "Entry page"),
    _field("session.referrer", "Session referrer"),
    _field("session.utm.", "Session UTM", "text"),
    _field("session.views", "Session views", "number", is_count=True),
    _field("session.events", "Session events", "number", is_count=True),
    _field("session.durationSeconds", "Session duration in seconds", "number", is_count=True),
    _field("session.isNew", "First session", "boolean"),
    _field("orders.count", "Number of orders", "number", is_count=True),
    _field("orders.revenue", "Revenue of all orders", "number"),
    _field("orders.averageValue", "Average order value", "number"),
    _field("orders.lastAt", "Last order", "datetime"),
    _field("orders.products", "Products bought", "list"),
    _field("orders.categories", "Categories bought from", "list"),
    _field("cart.value", "Value of the cart", "number"),
    _field("cart.items", "Pieces in the cart", "number", is_count=True),
    _field("cart.products", "Products in the cart", "list"),
)

default_registry = Registry(BUILT_IN_FIELDS)
