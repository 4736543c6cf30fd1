"""
Paths into an event's data: `ext.score`, `products[].price`, `ext["first.name"]`.

Models name their fields by them, observing and checking write them. A path is
a tuple of steps: the name of a key, or None for every item of a list.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec

Steps: TypeAlias = tuple[str | None, ...]

MOST_STEPS: Final = 10
LONGEST: Final = 250

_STEP: Final = re.compile(r'(?P<dot>\.?)(?P<name>[^.\[\]"]+)|\[(?P<quoted>"(?:[^"\\]|\\.)*")?\]')
_PLAIN: Final = re.compile(r'[^.\[\]"]+')


class BadPath(ValueError):
    """The text is no path; it says why."""


def read(text: str) -> Steps:
    """Return the steps of a path. Raises BadPath."""
    if len(text) > LONGEST:
        raise BadPath(f"A path has at most {LONGEST} characters.")
    steps: list[str | None] = []
    position = 0
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None:
            raise BadPath(f"“{text}” is not a path, such as ext.score or products[].price.")
        steps.append(_step(text, found, is_first=not steps))
        position = found.end()
    if not steps:
        raise BadPath("A field needs a path, such as ext.score.")
    if len(steps) > MOST_STEPS:
        raise BadPath(f"“{text}” leads deeper than {MOST_STEPS} steps.")
    return tuple(steps)


def write(steps: Sequence[str | None]) -> str:
    """Return the path of these steps, as `read` reads it."""
    return "".join("[]" if step is None else after(step) for step in steps).removeprefix(".")


@lru_cache(maxsize=10_000)
def after(name: str) -> str:
    """Return what a path has for a key, after what leads there: `.score`, or `["a.b"]`."""
    if _PLAIN.fullmatch(name) and name == name.strip():
        return f".{name}"
    return f"[{msgspec.json.encode(name).decode()}]"


def _step(text: str, found: re.Match[str], *, is_first: bool) -> str | None:
    name = found["name"]
    if name is not None:
        if bool(found["dot"]) is is_first or name != name.strip():
            raise BadPath(f"“{text}” is not a path: names stand between single dots.")
        return name
    if found["quoted"] is not None:
        try:
            return msgspec.json.decode(found["quoted"], type=str)
        except msgspec.DecodeError:
            raise BadPath(f"“{text}” has a name that is no JSON string.") from None
    if is_first:
        raise BadPath(f"“{text}” begins with []: an event's data is an object.")
    return None
