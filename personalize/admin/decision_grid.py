"""
Decision documents as a grid of texts and back: what the table editor shows, and what it posts.

A document that the grid cannot show without loss has no grid; the editor then shows its JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from personalize.admin import condition_rows
from personalize.admin.condition_rows import Row
from personalize.admin.decision_lines import (
    expected_of_lines,
    facts_of_lines,
    lines_of_expected,
    lines_of_facts,
)
from personalize.decisions import MAX_COLUMNS, OutputType, Problem

#: The "field" of a column whose cells are whole conditions.
WHOLE = "*"
#: More rows than these are a burden for a page; they are edited as JSON.
MOST_ROWS = 200
_YES, _NO = ("yes", "true"), ("no", "false")


@dataclass(slots=True)
class InColumn:
    field: str = ""
    detail: str = ""
    label: str = ""

    @property
    def name(self) -> str:
        return self.label or self.detail or self.field


@dataclass(slots=True)
class OutColumn:
    name: str = ""
    type: str = "TEXT"
    default: str = ""


@dataclass(slots=True)
class Cell:
    """A comparison, or in a WHOLE column the JSON of a condition."""

    operator: str = ""
    value: str = ""
    tree: str = ""


@dataclass(slots=True)
class GridRow:
    cells: list[Cell] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    priority: str = "0"


@dataclass(slots=True)
class Test:
    """A test case: facts and expected outputs, one `name = value` a line."""

    name: str = ""
    facts: str = ""
    expected: str = ""


@dataclass(slots=True)
class Grid:
    policy: str = "FIRST"
    aggregator: str = "LIST"
    inputs: list[InColumn] = field(default_factory=list)
    outputs: list[OutColumn] = field(default_factory=list)
    rows: list[GridRow] = field(default_factory=list)
    tests: list[Test] = field(default_factory=list)

    @property
    def types(self) -> dict[str, str]:
        """The types of what is answered, by output."""
        is_count = self.policy == "COLLECT" and self.aggregator == "COUNT"
        return {each.name: "NUMBER" if is_count else each.type for each in self.outputs}


# --- documents to grids ------------------------------------------------------------------


def grid_of(document: Any) -> Grid | None:
    """Return the grid that shows this document, or None when no grid can."""
    if not document:
        return Grid(inputs=[InColumn()], outputs=[OutColumn()])
    try:
        grid = _grid(document)
        shown, problems = document_of(grid)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        # Written past the checks: JSON shows whatever it is.
        return None
    is_same = not problems and canonical(shown) == canonical(document)
    return grid if is_same and len(grid.rows) <= MOST_ROWS else None


def _grid(document: Mapping[str, Any]) -> Grid:
    grid = Grid(
        policy=document.get("hitPolicy") or "FIRST",
        aggregator=document.get("aggregator") or "LIST",
        inputs=[_in_column(each) for each in document.get("inputs", [])],
        outputs=[
            OutColumn(each["name"], each["type"], text_of(each["type"], each.get("default")))
            for each in document["outputs"]
        ],
    )
    for row in document.get("rows", []):
        when = [*(row.get("when") or []), *[None] * MAX_COLUMNS][: len(grid.inputs)]
        then = row.get("then") or {}
        cells = [_cell(column, cell) for column, cell in zip(grid.inputs, when, strict=True)]
        values = [text_of(each.type, then.get(each.name)) for each in grid.outputs]
        grid.rows.append(GridRow(cells, values, str(row.get("priority") or 0)))
    grid.tests = tests_of(document, grid.types)
    return grid


def tests_of(document: Mapping[str, Any], types: Mapping[str, str]) -> list[Test]:
    """Return the test cases of a document as they are edited."""
    return [
        Test(
            each.get("name") or "",
            lines_of_facts(each.get("facts") or {}),
            lines_of_expected(each.get("expected") or {}, types),
        )
        for each in document.get("tests") or []
    ]


def _in_column(given: Mapping[str, Any]) -> InColumn:
    label = given.get("label") or ""
    if not given.get("field"):
        return InColumn(WHOLE, "", label)
    row = condition_rows.row_of({"field": given["field"], "operator": "exists"})
    if row is None:
        raise ValueError(given["field"])
    return InColumn(row.field, row.detail, label)


def _cell(column: InColumn, cell: Any) -> Cell:
    if not cell:
        return Cell()
    if column.field == WHOLE:
        return Cell(tree=json.dumps(cell, ensure_ascii=False))
    name = column.field + column.detail
    row = condition_rows.row_of({"field": name, **cell})
    if row is None:
        raise ValueError(name)
    return Cell(row.operator, row.value)


def text_of(type_: str, value: Any) -> str:
    """Return an output's value as it is typed."""
    if value is None:
        return ""
    if type_ == OutputType.BOOLEAN and isinstance(value, bool):
        return "yes" if value else "no"
    if type_ in (OutputType.TEXT, OutputType.OFFER) and isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def canonical(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with everything said that goes without saying."""
    inputs = document.get("inputs") or []
    return {
        "hitPolicy": document.get("hitPolicy") or "FIRST",
        "aggregator": document.get("aggregator") or "LIST",
        "inputs": [{key: value for key, value in each.items() if value} for each in inputs],
        "outputs": [{"default": None, **each} for each in document.get("outputs") or []],
        "rows": [_canonical_row(row, len(inputs)) for row in document.get("rows") or []],
        "tests": [
            {"name": each.get("name") or "", "facts": each.get("facts") or {},
             "expected": each.get("expected") or {}}
            for each in document.get("tests") or []
        ],
    }  # fmt: skip


def _canonical_row(row: Mapping[str, Any], inputs: int) -> dict[str, Any]:
    cells = [*(row.get("when") or []), *[None] * inputs][:inputs]
    then = row.get("then") or {}
    return {
        "when": [cell or None for cell in cells],
        "then": {name: value for name, value in then.items() if value is not None},
        "priority": row.get("priority") or 0,
    }


# --- grids to documents --------------------------------------------------------------------


def document_of(grid: Grid) -> tuple[dict[str, Any], list[Problem]]:
    """Return the document a grid stands for, and the texts that cannot be read."""
    problems: list[Problem] = []
    document: dict[str, Any] = {
        "hitPolicy": grid.policy,
        "inputs": [_input(column) for column in grid.inputs],
        "outputs": [_output(at, column, problems) for at, column in enumerate(grid.outputs)],
        "rows": [_row(number, row, grid, problems) for number, row in enumerate(grid.rows, 1)],
    }
    if grid.policy == "COLLECT":
        document["aggregator"] = grid.aggregator
    tests = tests_document(grid.tests, grid.types, problems)
    return document | ({"tests": tests} if tests else {}), problems


def tests_document(
    tests: Sequence[Test], types: Mapping[str, str], problems: list[Problem]
) -> list[dict[str, Any]]:
    """Return test cases as they are stored; what cannot be read is noted."""
    found = []
    for at, test in enumerate(tests):
        facts, wrong = facts_of_lines(test.facts)
        expected, also_wrong = expected_of_lines(test.expected, types)
        name = test.name or _("Test %(n)d") % {"n": at + 1}
        problems += [Problem(f"tests[{at}]", f"“{name}”: {each}") for each in (*wrong, *also_wrong)]
        found.append({"name": test.name, "facts": facts, "expected": expected})
    return found


def _input(column: InColumn) -> dict[str, Any]:
    label = {"label": column.label} if column.label else {}
    if column.field == WHOLE:
        return label
    path = column.detail.strip() if column.field.endswith(".") else ""
    return {"field": column.field + path, **label}


def _output(at: int, column: OutColumn, problems: list[Problem]) -> dict[str, Any]:
    where = _("Output “%(name)s”, default") % {"name": column.name}
    value = _value(column.type, column.default, f"outputs[{at}]", where, problems)
    found = {"name": column.name, "type": column.type}
    return found if value is None else {**found, "default": value}


def _row(number: int, row: GridRow, grid: Grid, problems: list[Problem]) -> dict[str, Any]:
    path = f"rows[{number - 1}]"
    when = [
        _when(number, path, column, cell, problems)
        for column, cell in zip(grid.inputs, row.cells, strict=True)
    ]
    then: dict[str, Any] = {}
    for column, text in zip(grid.outputs, row.values, strict=True):
        where = _("Row %(n)d, “%(name)s”") % {"n": number, "name": column.name}
        value = _value(column.type, text, path, where, problems)
        if value is not None:
            then[column.name] = value
    found: dict[str, Any] = {"when": when, "then": then}
    priority = row.priority.strip()
    if priority and priority != "0":
        is_whole = priority.lstrip("-").isdecimal()
        found["priority"] = int(priority) if is_whole else priority
    return found


def _when(
    number: int, path: str, column: InColumn, cell: Cell, problems: list[Problem]
) -> dict[str, Any] | None:
    if column.field == WHOLE:
        return _tree(number, path, column, cell.tree, problems)
    if not cell.operator:
        if cell.value.strip():
            message = _("Row %(n)d, “%(name)s”: choose a comparison.")
            shown = {"n": number, "name": column.name}
            problems.append(Problem(path, message % shown))
        return None
    node = condition_rows.node_of(Row(column.field, column.detail, cell.operator, cell.value))
    return {key: value for key, value in node.items() if key != "field"}


def _tree(
    number: int, path: str, column: InColumn, text: str, problems: list[Problem]
) -> dict[str, Any] | None:
    if not text.strip():
        return None
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict):
        message = _("Row %(n)d, “%(name)s”: this is no JSON object of a condition.")
        problems.append(
            Problem(path, message % {"n": number, "name": column.name or _("condition")})
        )
        return None
    return tree or None


def _value(type_: str, text: str, path: str, where: str, problems: list[Problem]) -> Any:
    """Read what was typed. What is of another type stays as it is: the checks say what it needs."""
    if not text.strip():
        return None
    if type_ == OutputType.BOOLEAN:
        plain = text.strip().lower()
        return True if plain in _YES else False if plain in _NO else text
    if type_ == OutputType.NUMBER:
        try:
            return json.loads(text)
        except ValueError:
            return text
    if type_ == OutputType.JSON:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            message = _('%(where)s: this is not JSON: texts stand in quotes, such as "red".')
            problems.append(Problem(path, message % {"where": where}))
            return None
    return text.strip() if type_ == OutputType.OFFER else text
