"""How conditions and facts read in English."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

MAX_SHOWN = 120
MAX_LISTED = 8


def show(value: object) -> str:
    """A value as it stands in a sentence: texts in quotes, numbers plain, cut when long."""
    if isinstance(value, str):
        return f"“{_cut(value)}”"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**30 else "a very large number"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        if not value:
            return "empty"
        shown = ", ".join(show(item) for item in value[:MAX_LISTED] if _is_scalar(item))
        more = len(value) - MAX_LISTED
        return f"[{shown}{f', and {more} more' if more > 0 else ''}]"
    return "an object"


def show_range(low: object, high: object) -> str:
    return f"{show(low)} and {show(high)}"


def show_choices(values: Iterable[str]) -> str:
    listed = list(values)
    shown = ", ".join(show(value) for value in listed[:MAX_LISTED])
    more = len(listed) - MAX_LISTED
    return f"{shown} and {more} more" if more > 0 else shown


def compared(label: str, operand: str) -> str:
    """ "is at least 3"; a label may have a place for its operand: "is in the last … days"."""
    if "…" in label:
        return label.replace("…", operand)
    return f"{label} {operand}" if operand else label


def times(count: int) -> str:
    return f"{count} time" if count == 1 else f"{count} times"


def how_often(at_least: int, at_most: int | None) -> str:
    """ "at least 2 times", "between 1 and 3 times", "never"."""
    if at_most is None:
        return f"at least {times(at_least)}"
    if at_most == 0:
        return "never"
    if at_least == 0:
        return f"at most {times(at_most)}"
    if at_least == at_most:
        return f"exactly {times(at_least)}"
    return f"between {at_least} and {times(at_most)}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
