"""
Semantic events: those whose name and properties have an agreed meaning.

The names are those of Segment's spec, which Customer.io and RudderStack keep.
`describe` reads an event by the table; it refuses nothing, and what is stored
stays as it was sent. Pure: no clock, no database, no words but those marked
for translation.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tracking.semantics import kinds, table
from tracking.semantics.kinds import Kind, Remark
from tracking.semantics.table import SemanticEvent

#: More would say no more: whoever sent that many has one mistake in all of them.
MOST_REMARKS: Final = 10

#: What other families' events have beside their own attributes, which are in `ext`.
_FRAME: Final = frozenset({"type", "channel"})
_PLACE: Final = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True)
class Value:
    """A property's value, typed, with what it is."""

    kind: Kind
    value: Any


@dataclass(frozen=True, slots=True)
class Telling:
    """
    A sentence to translate and fill in, and what it leaves unsaid.

    `places` has a value for each `%(place)s`; `rest` the other properties.
    """

    sentence: str
    places: Mapping[str, Value]
    rest: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Semantic:
    """A recognised event. `properties` are typed; what is not of its type is in `remarks` alone."""

    event: SemanticEvent
    properties: Mapping[str, Any]
    remarks: Sequence[Remark]

    def tell(self) -> Telling:
        """Return the most telling sentence of the event that its properties fill."""
        for sentence in self.event.sentences:
            said = {place: self._named(place) for place in _PLACE.findall(sentence)}
            if all(said.values()):
                break
        used = {name for names in said.values() for name in names}
        places = {place: self._value(place, names) for place, names in said.items()}
        rest = {
            name: Value(kind, self.properties[name])
            for name, kind in self.event.properties.items()
            if name in self.properties and name not in used
        }
        return Telling(sentence, places, rest)

    def _named(self, place: str) -> Sequence[str]:
        """Return the properties that fill a place; none where it cannot be filled."""
        if place == table.PROGRESS:
            return () if self._progress() is None else ("position", "total_length")
        names = table.WORDS.get(place, (place,))
        return [name for name in names if name in self.properties][:1]

    def _value(self, place: str, names: Sequence[str]) -> Value:
        if place == table.PROGRESS:
            return Value(kinds.PERCENT, self._progress())
        return Value(self.event.properties[names[0]], self.properties[names[0]])

    def _progress(self) -> int | None:
        position: int = self.properties.get("position", -1)
        # A live stream has none: nobody knows its end.
        total: int = self.properties.get("total_length", 0)
        return 100 * position // total if 0 <= position <= total and total else None


def describe(type: str, data: object) -> Semantic | None:
    """
    Return what an event means by the table, or None where its name is not there.

    A name counts whatever its case and with `_` for spaces: `product_added` is
    Product Added. Names of properties count as they are documented. `data` is
    the event's payload, in which the attributes are at the top or in `ext`.
    Never raises, whatever the payload.
    """
    event = named(type)
    if event is None:
        return None
    properties: dict[str, Any] = {}
    remarks: list[Remark] = []
    sent = own(type, data)
    for name, kind in event.properties.items():
        value = kinds.read(kind, sent.get(name), name, remarks)
        if value is not None:
            properties[name] = value
    return Semantic(event, properties, tuple(remarks[:MOST_REMARKS]))


def events() -> Iterator[SemanticEvent]:
    """Yield every event of the table, in its order."""
    yield from table.EVENTS


def named(type: str) -> SemanticEvent | None:
    """Return the event of the table that goes by this name, whatever its case."""
    return _BY_NAME.get(_folded(type))


def own(type: str, data: object) -> Mapping[str, Any]:
    """Return an event's own attributes, wherever in its payload its family has them."""
    if not isinstance(data, Mapping):
        return {}
    ext = data.get("ext")
    if isinstance(ext, Mapping):
        return {**{name: data[name] for name in data if name not in _FRAME}, **ext}
    # The event's own name stands under `type`, unless a property of that name does.
    return data if data.get("type") != type else {**data, "type": None}


def _folded(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


_BY_NAME: Final = {_folded(event.name): event for event in table.EVENTS}
