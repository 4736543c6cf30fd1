"""
What an event's data has: the path and the type of every property, within bounds.

`seen` counts them for each recorded event, so this is on the walk's way: it
does a bounded amount whatever was sent. The admin reads examples with `examples`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from tracking.event_models import paths
from tracking.event_models.fields import kind_of, shown

#: A path and the JSON type of a value found there.
Property: TypeAlias = tuple[str, str]

MOST_PROPERTIES: Final = 200
MOST_STEPS: Final = 8
MOST_ITEMS: Final = 20
MOST_EXAMPLES: Final = 5
LONGEST_EXAMPLE: Final = 60

_EMAIL: Final = re.compile(r"[^\s@]@[^\s@]")
# A telephone's, a card's or an account's number, whatever stands between the digits.
_LONG_NUMBER: Final = re.compile(r"(?:\d[ ()./-]{0,2}){7}")
_ADDRESS: Final = re.compile(r"^\d{1,3}(?:\.\d{1,3}){3}$|^[0-9a-f]{0,4}:[0-9a-f:]+$", re.I)
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}|[0-9a-f]{16}|\d{6}", re.I)
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
#: Words in the name of a property that holds something of a person.
_PERSONAL: Final = frozenset(
    {
        "account", "address", "age", "anonymous", "bic", "bid", "birth", "birthday",
        "birthdate", "browser", "card", "city", "comment", "cookie", "customer", "device",
        "dob", "email", "emails", "firstname", "fullname", "gender", "guest", "iban",
        "identifier", "identifiers", "ip", "lastname", "lat", "latitude", "lng", "lon",
        "longitude", "mail", "message", "mobile", "msisdn", "passport", "password", "phone",
        "postal", "postcode", "secret", "session", "ssn", "street", "surname", "tel",
        "telephone", "token", "user", "userid", "username", "visitor", "zip",
    }
)  # fmt: skip
#: Words that make `name` a person's.
_NAMING: Final = frozenset({"family", "first", "full", "given", "last", "maiden", "middle", "nick"})


def observe(data: Mapping[str, Any]) -> set[Property]:
    """
    Return each path with the types that it has in this event.

    Keys that look like personal data or like ids name no property: they and
    what is below them are left out. Of lists the first items are looked at.
    """
    found: set[Property] = set()
    _observe(data, "", MOST_STEPS, found)
    return found


def _observe(value: Any, path: str, steps: int, found: set[Property]) -> None:
    if isinstance(value, dict):
        places = [(there, item) for name, item in value.items() if (there := _below(path, name))]
    else:
        places = [(path + "[]", item) for item in value[:MOST_ITEMS]]
    for there, item in places:
        if len(found) >= MOST_PROPERTIES:
            return
        found.add((there, kind_of(item)))
        if steps > 1 and isinstance(item, dict | list):
            _observe(item, there, steps - 1, found)


@lru_cache(maxsize=10_000)
def _below(path: str, name: str) -> str:
    """Return the path of a key below a path; empty where it names no property."""
    if looks_personal(name) or _ID.search(name):
        return ""
    there = path + paths.after(name) if path else paths.after(name).removeprefix(".")
    # Lists may add to it.
    return there if len(there) <= paths.LONGEST - 2 * MOST_STEPS else ""


def looks_personal(text: str) -> bool:
    """Say whether a text reads like an e-mail address, a long number or a network address."""
    return bool(_EMAIL.search(text) or _LONG_NUMBER.search(text) or _ADDRESS.search(text))


def examples(events: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """
    Return up to MOST_EXAMPLES different values of each path, as JSON writes them.

    What looks personal is none, nor is anything in a property named like
    something personal.
    """
    found: dict[str, list[str]] = {}
    for data in events:
        for path, value in _leaves(data, "", MOST_STEPS):
            kept = found.setdefault(path, [])
            if len(kept) < MOST_EXAMPLES and not _is_personal(value):
                text = shown(value, longest=LONGEST_EXAMPLE)
                if text not in kept:
                    kept.append(text)
    return {path: kept for path, kept in found.items() if kept}


def _leaves(value: Any, path: str, steps: int) -> Iterator[tuple[str, Any]]:
    """Yield the scalars that may be shown, where their names do not say that they are personal."""
    if isinstance(value, dict) and steps:
        for name, item in value.items():
            there = _below(path, name)
            if there and not _names_personal(name):
                yield from _leaves(item, there, steps - 1)
    elif isinstance(value, list) and steps:
        for item in value[:MOST_ITEMS]:
            yield from _leaves(item, f"{path}[]", steps - 1)
    elif value is not None and not isinstance(value, dict | list):
        yield path, value


def _names_personal(name: str) -> bool:
    words = {word.lower() for word in _WORD.findall(name)}
    return bool(words & _PERSONAL or ("name" in words and words & _NAMING))


def _is_personal(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return looks_personal(value if isinstance(value, str) else str(value))
