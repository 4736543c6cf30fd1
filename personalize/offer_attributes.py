"""PURE. The attributes of offers: what a template declares, and whether an offer's values fit."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from personalize import html_context

MAX_ATTRIBUTES = 50
MAX_NAME = 50
MAX_TEXT = 4096
MAX_JSON = 16 * 1024
MAX_NUMBER = 10**15
#: What an offer's object has beside its attributes.
RESERVED = frozenset({"ref", "name"})

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ADDRESS = re.compile(r"(https?://|/)\S*")
_KEYS = frozenset({"name", "type", "required"})


class AttributeType(StrEnum):
    TEXT = "TEXT"
    NUMBER = "NUMBER"
    BOOLEAN = "BOOLEAN"
    URL = "URL"
    JSON = "JSON"


_WANTED = {
    AttributeType.TEXT: f"a text of at most {MAX_TEXT} characters",
    AttributeType.NUMBER: f"a number, at most {MAX_NUMBER:,}",
    AttributeType.BOOLEAN: "yes or no: true or false",
    AttributeType.URL: "an address that begins with https://, http:// or /",
    AttributeType.JSON: f"a JSON value of at most {MAX_JSON // 1024} KiB",
}


@dataclass(frozen=True)
class Attribute:
    """One attribute that offers of a template have."""

    name: str
    type: AttributeType
    is_required: bool = False


def read_template(given: object) -> tuple[list[Attribute], list[str]]:
    """Return the declared attributes, and everything that is wrong with them."""
    if not isinstance(given, list | tuple) or len(given) > MAX_ATTRIBUTES:
        return [], [f"Attributes are a list of at most {MAX_ATTRIBUTES}."]
    found: dict[str, Attribute] = {}
    problems: list[str] = []
    for item in given:
        attribute = _read_attribute(item, problems)
        if attribute is None:
            continue
        if attribute.name in found:
            problems.append(f"Two attributes are called “{attribute.name}”: rename one.")
        found[attribute.name] = attribute
    return list(found.values()), problems


def _read_attribute(given: object, problems: list[str]) -> Attribute | None:
    if not isinstance(given, Mapping) or not given.keys() <= _KEYS:
        problems.append("An attribute is an object with “name”, “type” and “required”.")
        return None
    name, kind, required = given.get("name"), given.get("type"), given.get("required", False)
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        problems.append(
            f"“{str(name)[:MAX_NAME]}” cannot be the name of an attribute: use letters, digits "
            f"and underscores, {MAX_NAME} at most, a letter first."
        )
        return None
    if name in RESERVED:
        problems.append(f"“{name}” is every offer's own: choose another name.")
        return None
    if not isinstance(kind, str) or kind not in AttributeType.__members__:
        types = ", ".join(AttributeType)
        problems.append(f"“{name}”: there is no type “{str(kind)[:MAX_NAME]}”; use {types}.")
        return None
    if not isinstance(required, bool):
        problems.append(f"“{name}”: “required” is true or false.")
    return Attribute(name, AttributeType(kind), required is True)


def problems_of(values: object, attributes: Sequence[Attribute]) -> list[str]:
    """Return everything that is wrong with an offer's values, in sentences."""
    if not isinstance(values, Mapping):
        return ["The attributes of an offer are an object of names and values."]
    known = {attribute.name for attribute in attributes}
    problems = [
        f"There is no attribute “{str(name)[:MAX_NAME]}” in the template: remove it."
        for name in values
        if name not in known
    ]
    for attribute in attributes:
        value = values.get(attribute.name)
        if value is None or value == "":
            if attribute.is_required:
                problems.append(f"“{attribute.name}” is required: fill it in.")
        elif not _fits(attribute.type, value):
            problems.append(f"“{attribute.name}” needs {_WANTED[attribute.type]}.")
    return problems


def _fits(kind: AttributeType, value: object) -> bool:
    if kind is AttributeType.BOOLEAN:
        return isinstance(value, bool)
    if kind is AttributeType.NUMBER:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and isinstance(value, int | float) and abs(value) <= MAX_NUMBER
    if kind is AttributeType.JSON:
        return _is_json(value)
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        return False
    is_address = _ADDRESS.fullmatch(value) is not None and html_context.safe_url(value) == value
    return kind is AttributeType.TEXT or is_address


def _is_json(value: object) -> bool:
    try:
        return len(json.dumps(value, allow_nan=False)) <= MAX_JSON
    except (TypeError, ValueError, RecursionError):
        return False
