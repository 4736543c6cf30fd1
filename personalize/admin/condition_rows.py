"""
Condition trees as rows and back: what the row editor shows of a tree, and the tree rows stand for.

A tree that rows cannot show without loss (deeper, negated, or with conditions on an event's
properties) has no rows; the editor then shows its JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from personalize import conditions
from personalize.conditions import Field, Operator, default_registry, operators_for
from personalize.conditions.operators import as_number, as_text, find_operators

#: The kind of rows about what the guest did, and the "field" of one about this visit.
EVENT = "event"
_SAW = "saw"
#: What else a row's "field" may be: something done, or an experience seen, and within when.
WINDOWS: Mapping[str, tuple[str, Any]] = {
    EVENT: (EVENT, "session"),
    **{f"{EVENT}:{days}": (EVENT, {"days": days}) for days in (1, 7, 30, 90, 365)},
    f"{EVENT}:ever": (EVENT, "ever"),
    f"{_SAW}:session": (_SAW, "session"),
    **{f"{_SAW}:{days}": (_SAW, {"days": days}) for days in (1, 7, 30)},
    f"{_SAW}:ever": (_SAW, "ever"),
}
AT_LEAST, EXACTLY, AT_MOST = "times_at_least", "times_exactly", "times_at_most"
BETWEEN, NEVER = "times_between", "times_never"
TIMES = (AT_LEAST, EXACTLY, AT_MOST, BETWEEN, NEVER)

_RANGE = re.compile(r"\s*(\S+)\s*(?:,|;|\bto\b|\band\b|–)\s*(\S+)\s*", re.IGNORECASE)
_BEHAVIOUR_KEYS = {EVENT, _SAW, "at_least", "at_most", "within", "where"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the editor; `detail` is the rest of a field's path, or the type of an event."""

    field: str = ""
    detail: str = ""
    operator: str = ""
    value: str = ""


@dataclass(slots=True)
class RowGroup:
    """Rows of which all, or any, have to hold."""

    kind: str = "all"
    rows: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class Rows:
    """Groups of which all, or any, have to hold; none: everybody."""

    kind: str = "all"
    groups: list[RowGroup] = field(default_factory=list)


def rows_of(tree: object) -> Rows | None:
    """Return the rows that show this tree, or None when rows cannot."""
    if not tree:
        return Rows()
    if not isinstance(tree, Mapping) or conditions.validate(tree):
        return None
    kind = _kind(tree)
    if kind is None:
        row = row_of(tree)
        return Rows(groups=[RowGroup(rows=[row])]) if row else None
    flat = _flat_group(tree)
    if flat is not None:
        return Rows(groups=[flat] if flat.rows else [])
    return _nested(kind, tree[kind])


def row_of(node: object) -> Row | None:
    """Return the row that shows this leaf, or None when no row can."""
    if not isinstance(node, Mapping):
        return None
    row = _event_row(node) if EVENT in node or _SAW in node else _field_row(node)
    # An input holds one line, and the browser would drop the rest.
    is_line = row is not None and not re.search(r"[\x00-\x1f\x7f]", row.detail + row.value)
    return row if is_line else None


def node_of(row: Row) -> dict[str, Any]:
    """Return the leaf a row stands for. Whether it is a good one, `conditions.validate` says."""
    if row.field in WINDOWS:
        kind, within = WINDOWS[row.field]
        return {kind: row.detail.strip(), **_counts(row), "within": within}
    name = row.field + row.detail.strip() if row.field.endswith(".") else row.field
    node: dict[str, Any] = {"field": name, "operator": row.operator}
    kind = _operand(name, row.operator)
    if kind != "none":
        node["value"] = _value(kind, row.value.strip())
    return node


def has_counts(row: Row) -> bool:
    """Say whether a row about behaviour names how often, in whole numbers."""
    wanted = {BETWEEN: 2, EXACTLY: 2}.get(row.operator, 1)
    counts = _counts(row)
    return len(counts) == wanted and all(isinstance(count, int) for count in counts.values())


def tree_of(kind: str, groups: Iterable[tuple[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    """Return the tree of groups of leaves."""
    filled: list[dict[str, Any]] = [{group_kind: nodes} for group_kind, nodes in groups if nodes]
    if len(filled) > 1:
        return {kind: filled}
    return filled[0] if filled else {}


def originals(tree: object) -> dict[Row, dict[str, Any]]:
    """Return the stored leaves by the row that shows each: a row nobody touched keeps its leaf."""
    found: dict[Row, dict[str, Any]] = {}
    for node in _leaves(tree):
        row = row_of(node)
        if row is not None:
            found[row] = dict(node)
    return found


def resolve(row: Row) -> Field | None:
    """Return the field that a row names, complete with its path."""
    name = row.field + row.detail.strip() if row.field.endswith(".") else row.field
    return default_registry.resolve(name)


# --- trees to rows ---------------------------------------------------------------------


def _kind(node: Mapping[str, Any]) -> str | None:
    return next((kind for kind in ("all", "any", "not") if kind in node), None)


def _flat_group(node: object) -> RowGroup | None:
    kind = _kind(node) if isinstance(node, Mapping) else None
    if kind not in ("all", "any") or not isinstance(node, Mapping):
        return None
    rows = [row_of(child) for child in node[kind]]
    return RowGroup(kind, [row for row in rows if row]) if all(rows) else None


def _nested(kind: str, children: Any) -> Rows | None:
    if kind == "not":
        return None
    loose: list[Row] = []
    groups: list[RowGroup] = []
    for child in children:
        row = row_of(child)
        group = None if row else _flat_group(child)
        if row:
            loose.append(row)
        elif group and group.rows:
            groups.append(group)
        else:
            return None
    # Leaves beside groups are a group of their parent's kind: it says the same.
    return Rows(kind, ([RowGroup(kind, loose)] if loose else []) + groups)


def _leaves(node: object) -> Iterable[Mapping[str, Any]]:
    if not isinstance(node, Mapping):
        return
    kind = _kind(node)
    if kind is None:
        yield node
        return
    members = node[kind]
    for child in members if isinstance(members, list) else [members]:
        yield from _leaves(child)


def _field_row(node: Mapping[str, Any]) -> Row | None:
    name, operator = node.get("field"), node.get("operator")
    split = _split(name) if isinstance(name, str) else None
    if split is None or not isinstance(name, str) or not isinstance(operator, str):
        return None
    shown = _shown(_operand(name, operator), node.get("value"))
    return None if shown is None else Row(split[0], split[1], operator, shown)


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


def _shown(kind: str, value: Any) -> str | None:
    if kind == "none":
        return ""
    if not isinstance(value, list):
        return as_text(value)
    texts = [as_text(item) for item in value]
    if kind == "range":
        return " to ".join(text or "" for text in texts)
    if any(not text or "," in text or text != text.strip() for text in texts):
        return None
    return ", ".join(text for text in texts if text)


def _event_row(node: Mapping[str, Any]) -> Row | None:
    if set(node) - _BEHAVIOUR_KEYS or node.get("where"):
        return None
    kind = EVENT if EVENT in node else _SAW
    window = (kind, node.get("within", "session" if kind == EVENT else "ever"))
    name = next((name for name, known in WINDOWS.items() if known == window), None)
    if name is None:
        return None
    least, most = node.get("at_least"), node.get("at_most")
    operator, value = AT_LEAST, str(1 if least is None else least)
    if most is not None:
        least = least or 0
        if most == 0:
            operator, value = NEVER, ""
        elif least == most:
            operator, value = EXACTLY, str(most)
        elif least == 0:
            operator, value = AT_MOST, str(most)
        else:
            operator, value = BETWEEN, f"{least} to {most}"
    return Row(name, str(node[kind]), operator, value)


# --- rows to trees ---------------------------------------------------------------------


def _operand(name: str, operator: str) -> str:
    named = find_operators(operator)
    known = default_registry.resolve(name)
    fitting: tuple[Operator, ...] = operators_for(known.type) if known else ()
    chosen = next((op for op in named if op in fitting), named[0] if named else None)
    return chosen.operand if chosen else "text"


def _value(kind: str, text: str) -> Any:
    if kind == "texts":
        return [piece.strip() for piece in text.split(",") if piece.strip()]
    if kind in ("number", "days"):
        number = as_number(text)
        return text if number is None else number
    if kind == "range":
        match = _RANGE.fullmatch(text)
        pieces = list(match.groups()) if match else [text]
        return [piece if (n := as_number(piece)) is None else n for piece in pieces]
    return text


def _counts(row: Row) -> dict[str, Any]:
    if row.operator == NEVER:
        return {"at_most": 0}
    if row.operator == BETWEEN:
        pieces = _value("range", row.value.strip())
        return dict(zip(("at_least", "at_most"), pieces, strict=False))
    count = _value("number", row.value.strip())
    if row.operator == EXACTLY:
        return {"at_least": count, "at_most": count}
    return {"at_most" if row.operator == AT_MOST else "at_least": count}
