"""
Comparisons as lines of text inputs and back: of a field, or of a property of an event.

The condition editor and the cells of decision tables are made of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from personalize.conditions import Field, Operator, default_registry, operators_for
from personalize.conditions.operators import FieldType, as_number, as_text, find_operators

_RANGE = re.compile(r"\s*(\S+)\s*(?:,|;|\bto\b|\band\b|–)\s*(\S+)\s*", re.IGNORECASE)
#: An item of a list between commas; one with a comma in it stands in quotes.
_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*|([^,]*))(?:,|$)')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Row:
    """A comparison; `detail` is the rest of a field's path, or the path of a property."""

    field: str = ""
    detail: str = ""
    operator: str = ""
    value: str = ""

    @property
    def name(self) -> str:
        """The whole name of the field."""
        is_whole = self.field and not self.field.endswith(".")
        return self.field if is_whole else self.field + self.detail.strip()


def row_of(node: object) -> Row | None:
    """Return the row that shows this comparison of a field, or None when none can."""
    name = node.get("field") if isinstance(node, Mapping) else None
    split = _split(name) if isinstance(name, str) else None
    known = default_registry.resolve(name) if isinstance(name, str) else None
    if split is None or known is None or not isinstance(node, Mapping):
        return None
    return _shown_row(node, known.type, *split)


def property_row_of(node: object) -> Row | None:
    """Return the row that shows a comparison of an event's property, or None."""
    name = node.get("field") if isinstance(node, Mapping) else None
    if not isinstance(name, str) or not isinstance(node, Mapping):
        return None
    return _shown_row(node, "any", "", name)


def node_of(row: Row) -> dict[str, Any]:
    """Return the leaf a row stands for. Whether it is a good one, `conditions.validate` says."""
    known = resolve(row)
    type_: FieldType = known.type if known else "any"
    return {"field": row.name, **comparison_of(row.operator, row.value, type_)}


def comparison_of(operator: str, text: str, type_: FieldType) -> dict[str, Any]:
    """Return an operator with the value that was typed, as it compares this type."""
    kind = _operand(type_, operator)
    return {"operator": operator} | (
        {"value": _value(kind, text.strip())} if kind != "none" else {}
    )


def shown(operator: object, value: object, type_: FieldType) -> str | None:
    """Return a stored value as it is typed, or None where an input cannot hold it."""
    kind = _operand(type_, operator) if isinstance(operator, str) else "none"
    text = _text(kind, value)
    return text if text is not None and is_line(text) else None


def resolve(row: Row) -> Field | None:
    """Return the field that a row names, complete with its path."""
    return default_registry.resolve(row.name) if row.field else None


def is_line(text: str) -> bool:
    """Say whether an input gives back just this text: one line, without blanks around it."""
    return not _CONTROL.search(text) and text == text.strip()


def _shown_row(node: Mapping[str, Any], type_: FieldType, field: str, detail: str) -> Row | None:
    operator = node.get("operator")
    value = shown(operator, node.get("value"), type_)
    if value is None or not isinstance(operator, str) or not is_line(detail):
        return None
    return Row(field, detail, operator, value)


def _split(name: str) -> tuple[str, str] | None:
    """Cut a field's name into the choice of the list and the path typed beside it."""
    fields = {known.name: known for known in default_registry.fields()}
    if name in fields and not fields[name].is_prefix:
        return name, ""
    prefixes = [known for known in fields if known.endswith(".") and name.startswith(known)]
    if not prefixes:
        return None
    prefix = max(prefixes, key=len)
    return prefix, name.removeprefix(prefix)


def _text(kind: str, value: object) -> str | None:
    if kind == "none":
        return ""
    if not isinstance(value, list | tuple):
        return as_text(value)
    texts = [as_text(item) for item in value]
    if kind == "range":
        return " to ".join(text or "" for text in texts)
    return None if not all(texts) else ", ".join(_quoted(text) for text in texts if text)


def _quoted(text: str) -> str:
    if text == text.strip() and not text.startswith('"') and "," not in text:
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _items(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _ITEM.match(text, at)
        if match is None:
            return
        quoted, bare = match.groups()
        item = bare.strip() if quoted is None else quoted.replace('""', '"')
        if item:
            yield item
        at = match.end()


def _operand(type_: FieldType, operator: str) -> str:
    named = find_operators(operator)
    fitting: tuple[Operator, ...] = operators_for(type_)
    chosen = next((op for op in named if op in fitting), named[0] if named else None)
    return chosen.operand if chosen else "text"


def _value(kind: str, text: str) -> Any:
    if kind == "texts":
        return list(_items(text))
    if kind in ("number", "days"):
        number = as_number(text)
        return text if number is None else number
    if kind == "range":
        return range_of(text)
    return text


def range_of(text: str) -> list[Any]:
    """Return the two numbers of "1 to 3"; what is none stays as it was typed."""
    match = _RANGE.fullmatch(text)
    pieces = list(match.groups()) if match else [text]
    return [piece if (n := as_number(piece)) is None else n for piece in pieces]
