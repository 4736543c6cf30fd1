"""
PURE. What leaves read, as JSON that gives back exactly what was read, and as an answer to leaves.

`pack` and `unpack` are for whoever keeps readings; `Recalled` answers a tree from kept ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from personalize.conditions.parts import Ask, Explanation

_LARGEST = 2**63 - 1
_MOST_BITS = 1024
#: The only key of an object that stands for what JSON has no word for.
_TIME, _TUPLE, _INTEGER, _FLOAT, _OBJECT = "$time", "$tuple", "$int", "$float", "$object"


class Unkeepable(ValueError):
    """A value that JSON could not give back as it was."""


class NotKept(LookupError):
    """Neither what a leaf read nor its outcome was kept."""


@dataclass(frozen=True, kw_only=True)
class Recalled:
    """
    What was read of facts that are gone.

    now, time_zone: as they were then. values: by subject. held, not_held: of subjects whose value
    was not kept, the keys of the leaves that were asked and did, or did not, hold. not_held is
    None where the latter are all that are not in held.
    """

    now: datetime
    time_zone: str = "UTC"
    values: Mapping[str, object] = field(default_factory=dict)
    held: Mapping[str, Collection[str]] = field(default_factory=dict)
    not_held: Mapping[str, Collection[str]] | None = field(default_factory=dict)

    def answer(self, ask: Ask) -> Explanation:
        """Say whether and why a leaf held. Raises NotKept."""
        if ask.subject in self.values:
            return ask.explain(self.values[ask.subject], self.now)
        if ask.key in self.held.get(ask.subject, ()):
            return ask.outcome(True)
        if self._did_not_hold(ask):
            return ask.outcome(False)
        raise NotKept(ask.subject)

    def _did_not_hold(self, ask: Ask) -> bool:
        if self.not_held is None:
            return ask.subject in self.held
        return ask.key in self.not_held.get(ask.subject, ())

    def value(self, subject: str) -> object:
        """Return what was read. Raises NotKept, also where only outcomes are known."""
        if subject not in self.values:
            raise NotKept(subject)
        return self.values[subject]


def pack(value: object) -> object:
    """Return JSON that `unpack` makes the same value of. Raises Unkeepable."""
    packer = _PACKERS.get(type(value))
    if packer is None:
        raise Unkeepable(f"a {type(value).__name__} is not kept")
    return packer(value)


def unpack(packed: object) -> Any:
    """Return the value that was packed."""
    if isinstance(packed, list):
        return [unpack(item) for item in packed]
    if not isinstance(packed, dict):
        return packed
    if len(packed) == 1:
        ((key, inner),) = packed.items()
        unpacker = _UNPACKERS.get(key)
        if unpacker is not None:
            return unpacker(inner)
    return {key: unpack(item) for key, item in packed.items()}


def _pack_text(value: str) -> object:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unkeepable("half a character is not kept") from None
    return value


def _pack_integer(value: int) -> object:
    if -_LARGEST <= value <= _LARGEST:
        return value
    if value.bit_length() > _MOST_BITS:
        raise Unkeepable("so large a number is not kept")
    return {_INTEGER: str(value)}


def _pack_float(value: float) -> object:
    return value if math.isfinite(value) else {_FLOAT: repr(value)}


def _pack_object(value: dict[object, object]) -> object:
    if not all(type(key) is str for key in value):
        raise Unkeepable("an object's keys are texts")
    packed = {_pack_text(str(key)): pack(item) for key, item in value.items()}
    only = next(iter(value)) if len(value) == 1 else None
    return {_OBJECT: packed} if only in _UNPACKERS else packed


_PACKERS: dict[type, Callable[..., object]] = {
    type(None): lambda value: value,
    bool: lambda value: value,
    str: _pack_text,
    int: _pack_integer,
    float: _pack_float,
    datetime: lambda value: {_TIME: value.isoformat()},
    list: lambda value: [pack(item) for item in value],
    tuple: lambda value: {_TUPLE: [pack(item) for item in value]},
    dict: _pack_object,
}
_UNPACKERS: dict[object, Callable[..., object]] = {
    _TIME: datetime.fromisoformat,
    _TUPLE: lambda items: tuple(unpack(item) for item in items),
    _INTEGER: int,
    _FLOAT: float,
    _OBJECT: lambda items: {key: unpack(item) for key, item in items.items()},
}
