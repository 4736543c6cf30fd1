"""PURE. What the site's code answers with, as plain JSON values: all that conditions ever see."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from enum import Enum
from uuid import UUID

MAX_DEPTH = 8
MAX_ITEMS = 1000


class NotPlain(ValueError):
    """A value that has no form in JSON; the text says which."""


def plain(value: object, *, zone: tzinfo = UTC, depth: int = MAX_DEPTH) -> object:
    """
    Return a value as JSON has it; times as ISO text, those without a zone taken to be of `zone`.

    A number that JSON cannot hold is None, as what is missing. Of lists the first 1,000 items are
    kept. Raises NotPlain.
    """
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        # Of a subclass, such as a safe text, the bare text.
        return str.__str__(value)
    if isinstance(value, int | float | Decimal):
        return _number(value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=zone)
        return aware.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if type(value).__module__ == "django.utils.functional":
        # A lazy translation: the one kind of object that is a text when asked.
        return str(value)
    if depth and isinstance(value, Mapping):
        return {str(key): plain(each, zone=zone, depth=depth - 1) for key, each in value.items()}
    if depth and isinstance(value, Iterable) and not isinstance(value, bytes):
        listed = [each for each, _ in zip(value, range(MAX_ITEMS), strict=False)]
        return [plain(each, zone=zone, depth=depth - 1) for each in listed]
    what = type(value).__name__ if depth else "something nested too deep"
    raise NotPlain(f"{what} is no plain value")


def _number(value: int | float | Decimal) -> int | float | None:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Decimal) and value.is_nan():
        return None
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(value) if isinstance(value, Decimal) and value == int(value) else number
