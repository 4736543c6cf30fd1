"""
Condition trees as boxes of lines, and back: what the editor shows of a tree, and what it stores.

What nobody touched is stored as it was: a line or box that still looks as the stored one does
stands for it, whatever an input cannot tell (5 or "5"). A leaf that inputs cannot hold is shown as
its sentence, and kept. Groups become boxes, and a negation the kind of a box.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from personalize import conditions
from personalize.admin import condition_rows
from personalize.admin.condition_rows import Row, is_line
from personalize.conditions import MEASURES

#: What a line is about, where it is no field: something done, an experience seen, a goal reached,
#: or (KEPT) what the editor cannot show.
DID, SAW, CONVERTED, KEPT = "event", "saw", "converted", "kept"
#: What is told by how often, and when.
DEEDS = (DID, SAW, CONVERTED)
SESSION, DAYS, EVER = "session", "days", "ever"
AT_LEAST, EXACTLY, AT_MOST = "times_at_least", "times_exactly", "times_at_most"
BETWEEN, NEVER = "times_between", "times_never"
#: A goal is reached, or it is not.
ONCE = "times_once"
TIMES = (AT_LEAST, EXACTLY, AT_MOST, BETWEEN, NEVER)
#: Kinds of boxes: all hold, any holds, none holds, not all hold.
ALL, ANY, NONE, NOT_ALL = "all", "any", "none", "not_all"
KINDS = (ALL, ANY, NONE, NOT_ALL)


@dataclass(frozen=True, slots=True)
class Line:
    """
    One condition, as its inputs have it.

    detail: the rest of a path, the type of an event, or a friendly id. variant: of what was seen,
    or the name of the goal that was reached.
    measure: what counts of events; empty: how often. of: the property that is measured.
    where: comparisons of properties. was: the number of the stored leaf that it was made of.
    """

    field: str = ""
    detail: str = ""
    variant: str = ""
    measure: str = ""
    of: str = ""
    operator: str = ""
    value: str = ""
    within: str = ""
    days: str = ""
    where: tuple[Row, ...] = ()
    was: int | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """Lines and boxes, and how they hold together."""

    kind: str = ALL
    children: tuple[Line | Box, ...] = ()
    was: int | None = None


@dataclass(slots=True)
class Shown:
    """A stored tree as a box; `nodes` and `stored` are its parts by the number in `was`."""

    tree: Mapping[str, Any]
    root: Box = field(default_factory=Box)
    nodes: list[Line | Box] = field(default_factory=list)
    stored: list[Mapping[str, Any]] = field(default_factory=list)

    def sentence(self, number: int) -> str:
        """Say what a stored part means, or why it cannot be read."""
        try:
            return conditions.compile(self.stored[number]).sentence
        except conditions.ConditionError as error:
            return str(error)


def show(tree: object) -> Shown | None:
    """Return what the editor shows of a tree; None where it is not even made of groups."""
    if not tree:
        return Shown({})
    if not isinstance(tree, Mapping) or not _is_made_of_groups(tree, conditions.MAX_DEPTH):
        return None
    shown = Shown(tree)
    node = _show(tree, shown)
    shown.root = node if isinstance(node, Box) else Box(ALL, (node,))
    return shown


def tree_of(root: Box, shown: Shown) -> dict[str, Any]:
    """Return the tree that a box stands for; boxes with nothing in them stand for nothing."""
    if root == shown.root:
        return dict(shown.tree)
    return _tree_of(root, shown) or {}


def leaf_of(line: Line) -> dict[str, Any]:
    """Return the leaf that a line stands for. Whether it is a good one, `validate` says."""
    if line.field == SAW:
        seen = {"variant": line.variant} if line.variant else {}
        return {"saw": line.detail, **seen, **_counts(line), "within": _window(line)}
    if line.field == CONVERTED:
        never = {"at_most": 0} if line.operator == NEVER else {}
        return {"converted": line.detail, "goal": line.variant, **never, "within": _window(line)}
    if line.field != DID:
        return condition_rows.node_of(Row(line.field, line.detail, line.operator, line.value))
    leaf: dict[str, Any] = {"event": line.detail}
    if line.where:
        leaf["where"] = [_property_node(row) for row in line.where]
    if not line.measure:
        return {**leaf, **_counts(line), "within": _window(line)}
    leaf |= {"measure": line.measure} | ({"of": line.of} if line.of else {})
    type_ = MEASURES[line.measure][1] if line.measure in MEASURES else "number"
    compared = condition_rows.comparison_of(line.operator, line.value, type_)
    return {**leaf, **compared, "within": _window(line)}


def has_counts(line: Line) -> bool:
    """Say whether a line about behaviour names how often, in whole numbers."""
    counts = _counts(line)
    wanted = {BETWEEN: 2, EXACTLY: 2}.get(line.operator, 1)
    return len(counts) == wanted and all(isinstance(count, int) for count in counts.values())


# --- trees to boxes --------------------------------------------------------------------


def _is_made_of_groups(node: object, depth: int) -> bool:
    if not isinstance(node, Mapping):
        return False
    kind = _kind(node)
    if kind is None:
        return bool(node)
    members = node[kind] if kind != "not" else [node[kind]]
    if not isinstance(members, list | tuple) or len(node) > 1 or depth == 0:
        return False
    return all(_is_made_of_groups(member, depth - 1) for member in members)


def _kind(node: Mapping[str, Any]) -> str | None:
    return next((kind for kind in ("all", "any", "not") if kind in node), None)


def _show(node: Mapping[str, Any], shown: Shown) -> Line | Box:
    number = len(shown.nodes)
    kind = _kind(node)
    # A place for it, before those of its parts.
    shown.nodes.append(Box())
    shown.stored.append(node)
    made: Line | Box
    if kind is None:
        made = replace(_line_of(node) or Line(KEPT), was=number)
    else:
        kind, members = _members(kind, node[kind])
        made = Box(kind, tuple(_show(member, shown) for member in members), number)
    shown.nodes[number] = made
    return made


def _members(kind: str, members: Any) -> tuple[str, list[Mapping[str, Any]]]:
    if kind != "not":
        return kind, list(members)
    inner = _kind(members)
    if inner == "all":
        return NOT_ALL, list(members["all"])
    if inner == "any":
        return NONE, list(members["any"])
    return NONE, [members]


def _line_of(node: Mapping[str, Any]) -> Line | None:
    """Return the line that shows a leaf, or None when none can."""
    if conditions.validate(node):
        return None
    if DID in node:
        return _did_line(node)
    if SAW in node:
        return _saw_line(node)
    if CONVERTED in node:
        return _converted_line(node)
    row = condition_rows.row_of(node)
    if row is None:
        return None
    return Line(row.field, row.detail, operator=row.operator, value=row.value)


def _did_line(node: Mapping[str, Any]) -> Line | None:
    where = [condition_rows.property_row_of(each) for each in node.get("where") or ()]
    measure, of = str(node.get("measure") or ""), str(node.get("of") or "")
    if not all(where) or not is_line(node[DID]) or not is_line(of):
        return None
    within, days = _shown_window(node.get("within", SESSION))
    if measure:
        operator = str(node["operator"])
        value = condition_rows.shown(operator, node.get("value"), MEASURES[measure][1])
    else:
        operator, value = _shown_counts(node)
    if value is None:
        return None
    return Line(
        DID,
        node[DID],
        measure=measure,
        of=of,
        operator=operator,
        value=value,
        within=within,
        days=days,
        where=tuple(row for row in where if row),
    )


def _saw_line(node: Mapping[str, Any]) -> Line | None:
    variant = str(node.get("variant") or "")
    if not is_line(node[SAW]) or not is_line(variant):
        return None
    within, days = _shown_window(node.get("within", EVER))
    operator, value = _shown_counts(node)
    return Line(SAW, node[SAW], variant, operator=operator, value=value, within=within, days=days)


def _converted_line(node: Mapping[str, Any]) -> Line | None:
    if not is_line(node[CONVERTED]) or not is_line(node["goal"]):
        return None
    within, days = _shown_window(node.get("within", EVER))
    operator = ONCE if node.get("at_most") is None else NEVER
    return Line(
        CONVERTED, node[CONVERTED], node["goal"], operator=operator, within=within, days=days
    )


def _shown_window(within: Any) -> tuple[str, str]:
    return (DAYS, str(within["days"])) if isinstance(within, Mapping) else (within, "")


def _shown_counts(node: Mapping[str, Any]) -> tuple[str, str]:
    least, most = node.get("at_least"), node.get("at_most")
    if most is None:
        return AT_LEAST, str(1 if least is None else least)
    least = least or 0
    if most == 0:
        return NEVER, ""
    if least == most:
        return EXACTLY, str(most)
    return (AT_MOST, str(most)) if least == 0 else (BETWEEN, f"{least} to {most}")


# --- boxes to trees --------------------------------------------------------------------


def _tree_of(node: Line | Box, shown: Shown) -> dict[str, Any] | None:
    if node.was is not None and _is_as_shown(node, node.was, shown):
        return dict(shown.stored[node.was])
    if isinstance(node, Line):
        return leaf_of(node)
    trees = [tree for child in node.children if (tree := _tree_of(child, shown)) is not None]
    return _group(node.kind, trees) if trees else None


def _is_as_shown(node: Line | Box, number: int, shown: Shown) -> bool:
    if number >= len(shown.nodes):
        return False
    # All that there is of a kept line on the page is which one it is.
    return node == shown.nodes[number] or (isinstance(node, Line) and node.field == KEPT)


def _group(kind: str, trees: list[dict[str, Any]]) -> dict[str, Any]:
    if kind in (ALL, ANY):
        return {kind: trees}
    if len(trees) == 1:
        return {"not": trees[0]}
    return {"not": {"any" if kind == NONE else "all": trees}}


def _property_node(row: Row) -> dict[str, Any]:
    return {
        "field": row.detail.strip(),
        **condition_rows.comparison_of(row.operator, row.value, "any"),
    }


def _window(line: Line) -> Any:
    if line.within != DAYS:
        return line.within
    return {"days": int(line.days) if line.days.isascii() and line.days.isdigit() else line.days}


def _counts(line: Line) -> dict[str, Any]:
    if line.operator == NEVER:
        return {"at_most": 0}
    if line.operator == BETWEEN:
        low_high = condition_rows.range_of(line.value.strip())
        return dict(zip(("at_least", "at_most"), low_high, strict=False))
    count = condition_rows.comparison_of("at_least", line.value, "number")["value"]
    if line.operator == EXACTLY:
        return {"at_least": count, "at_most": count}
    return {"at_most" if line.operator == AT_MOST else "at_least": count}
