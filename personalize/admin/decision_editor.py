"""
The editor of a decision: a table on the page, its test cases, or a callable, behind one field.

It works without JavaScript (there are an empty row and empty columns); a script only adds, moves
and removes rows and columns on the spot, and sends large tables as one value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from personalize import decisions, offers
from personalize.admin import decision_grid, decision_posted, decision_shown
from personalize.admin.condition_fields import DescribedSelect, described_fields
from personalize.admin.decision_grid import WHOLE, Cell, Grid, GridRow, InColumn, OutColumn, Test
from personalize.admin.decision_shown import (
    ShownCell,
    ShownInput,
    ShownOutput,
    ShownRow,
    ShownValue,
)
from personalize.decisions import OutputType, Problem

_MOST_JSON = 1024 * 1024
_NEW = "__r__", "__i__", "__o__", "__t__"


class DecisionEditor:
    """A document on the page: unbound it shows what is stored, bound what was posted."""

    def __init__(
        self,
        name: str,
        stored: Any,
        data: Mapping[str, Any] | None = None,
        *,
        client_id: int | None = None,
        as_json: bool = False,
    ) -> None:
        self.name = name
        self.stored = stored or {}
        self.data = data
        self.client_id = client_id
        self.as_json = as_json
        self.problems: list[Problem] = []

    # --- what the template shows ---

    @cached_property
    def mode(self) -> str:
        if self.data is not None:
            return "json" if self.data.get(f"{self.name}-mode") == "json" else "grid"
        if self.as_json or (not self.callable and decision_grid.grid_of(self.stored) is None):
            return "json"
        return "grid"

    @property
    def is_json(self) -> bool:
        return self.mode == "json"

    @property
    def seen(self) -> str:
        if self.data is not None:
            return str(self.data.get(f"{self.name}-seen", ""))
        return _digest(self.stored)

    @property
    def json_text(self) -> str:
        if self.data is not None:
            return str(self.data.get(f"{self.name}-json", ""))
        return json.dumps(self.stored, indent=2, ensure_ascii=False)

    @property
    def callable(self) -> str:
        """The name of the callable that is chosen, or empty for a table."""
        if self.data is not None:
            return str(self.data.get(f"{self.name}-callable", ""))
        return str(self.stored.get("callable") or "")

    @property
    def callables(self) -> list[tuple[str, str]]:
        names = [each.name for each in decisions.registered()]
        chosen = self.callable
        gone = [(chosen, gettext("%s (not registered any more)") % chosen)]
        return [(name, name) for name in names] + (gone if chosen and chosen not in names else [])

    @property
    def callable_outputs(self) -> str:
        return ", ".join(
            f"{each.get('name')} ({each.get('type')})" for each in self.stored.get("outputs", [])
        )

    @cached_property
    def grid(self) -> Grid:
        if self.data is not None:
            return decision_posted.posted(self.data, self.name)
        if self.callable:
            grid = decision_grid.grid_of({}) or Grid()
            grid.tests = decision_grid.tests_of(self.stored, self._callable_types)
            return grid
        return decision_grid.grid_of(self.stored) or Grid()

    @property
    def policies(self) -> list[tuple[str, Any]]:
        return decision_shown.POLICIES

    @property
    def aggregators(self) -> list[tuple[str, Any]]:
        return decision_shown.AGGREGATORS

    @cached_property
    def offers(self) -> dict[str, str]:
        """The offers that can be chosen, by ref."""
        if self.client_id is None:
            return {}
        rows = offers.of_client(self.client_id).values_list("ref", "name")
        return {str(ref): name for ref, name in rows}

    @cached_property
    def inputs(self) -> list[ShownInput]:
        shown = [self.shown_input(at, column) for at, column in enumerate(self.grid.inputs)]
        return [*shown, self.shown_input(len(shown), InColumn(), is_extra=True)]

    @cached_property
    def outputs(self) -> list[ShownOutput]:
        shown = [self.shown_output(at, column) for at, column in enumerate(self.grid.outputs)]
        return [*shown, self.shown_output(len(shown), OutColumn(), is_extra=True)]

    @property
    def rows(self) -> Iterator[ShownRow]:
        wrong = {problem.path.partition(".")[0] for problem in self.problems}
        for at, row in enumerate(self.grid.rows):
            yield self.shown_row(at, row, is_wrong=f"rows[{at}]" in wrong)
        yield self.shown_row(len(self.grid.rows), GridRow(), is_extra=True)

    @property
    def tests(self) -> list[tuple[int, Test, bool]]:
        tests = [(at, test, False) for at, test in enumerate(self.grid.tests)]
        return [*tests, (len(tests), Test(), True)]

    @property
    def blank(self) -> dict[str, Any]:
        """What the script copies to add rows and columns, with placeholders for the numbers."""
        row, column_in, column_out, test = _NEW
        return {
            "input": self.shown_input(column_in, InColumn()),
            "output": self.shown_output(column_out, OutColumn()),
            "cell": self.shown_cell(f"{row}-i{column_in}", Cell(), is_whole=False),
            "value": self.shown_value(f"{row}-o{column_out}", "", is_offer=False),
            "row": row,
            "test": test,
        }

    def shown_input(self, at: object, column: InColumn, *, is_extra: bool = False) -> ShownInput:
        widget = DescribedSelect(described_fields(), choices=decision_shown.field_choices())
        label = gettext("Field of this input")
        attrs = {"class": "pz-in-field", "aria-label": label}
        select = widget.render(f"{self.name}-i{at}-field", column.field, attrs)
        return ShownInput(at, column, select, is_extra)

    def shown_output(self, at: object, column: OutColumn, *, is_extra: bool = False) -> ShownOutput:
        widget = forms.Select(choices=decision_shown.TYPES)
        attrs = {"class": "pz-out-type", "aria-label": gettext("Type of this output")}
        select = widget.render(f"{self.name}-o{at}-type", column.type, attrs)
        chosen = column.default if column.type == OutputType.OFFER else ""
        return ShownOutput(at, column, select, self.offer_options(chosen), is_extra)

    def shown_row(
        self, at: int, row: GridRow, *, is_wrong: bool = False, is_extra: bool = False
    ) -> ShownRow:
        cells = [*row.cells, *[Cell()] * (len(self.inputs) - len(row.cells))]
        values = [*row.values, *[""] * (len(self.outputs) - len(row.values))]
        return ShownRow(
            at,
            at + 1,
            row.priority,
            [
                self.shown_cell(
                    f"{at}-i{shown.at}",
                    cell,
                    is_whole=shown.column.field == WHOLE,
                    is_extra=shown.is_extra,
                )
                for shown, cell in zip(self.inputs, cells, strict=True)
            ],
            [
                self.shown_value(
                    f"{at}-o{shown.at}",
                    text,
                    is_offer=shown.column.type == OutputType.OFFER,
                    is_extra=shown.is_extra,
                )
                for shown, text in zip(self.outputs, values, strict=True)
            ],
            is_wrong,
            is_extra,
        )

    def shown_cell(
        self, key: str, cell: Cell, *, is_whole: bool, is_extra: bool = False
    ) -> ShownCell:
        return ShownCell(key, cell, self.operator_options(cell.operator), is_whole, is_extra)

    def shown_value(
        self, key: str, text: str, *, is_offer: bool, is_extra: bool = False
    ) -> ShownValue:
        options = self.offer_options(text if is_offer else "")
        return ShownValue(key, text, options, is_offer, is_extra)

    # A table has few different ones, and many cells.
    @cached_property
    def _operators(self) -> dict[str, SafeString]:
        return {}

    @cached_property
    def _offers(self) -> dict[str, SafeString]:
        return {}

    def operator_options(self, chosen: str) -> SafeString:
        if chosen not in self._operators:
            self._operators[chosen] = decision_shown.operator_options(chosen)
        return self._operators[chosen]

    def offer_options(self, chosen: str) -> SafeString:
        if chosen not in self._offers:
            self._offers[chosen] = decision_shown.offer_options(self.offers, chosen)
        return self._offers[chosen]

    # --- what was posted ---

    @cached_property
    def document(self) -> Any:
        """Return the posted document. Raises ValidationError."""
        if self.data is None or f"{self.name}-mode" not in self.data:
            # A form that has no editor leaves the decision alone.
            return self.stored
        if self.seen != _digest(self.stored):
            raise ValidationError(
                gettext(
                    "Somebody else changed this decision while you edited it. "
                    "Open the page again and repeat your change."
                )
            )
        if self.is_json:
            return self._posted_json()
        document, problems = self._posted_grid()
        if problems:
            self.problems = problems
            raise ValidationError([problem.message for problem in problems[:20]])
        is_same = self.stored and decision_grid.canonical(document) == decision_grid.canonical(
            self.stored
        )
        return self.stored if is_same and not self.callable else document

    def _posted_grid(self) -> tuple[dict[str, Any], list[Problem]]:
        if not self.callable:
            return decision_grid.document_of(self.grid)
        problems: list[Problem] = []
        tests = decision_grid.tests_document(self.grid.tests, self._callable_types, problems)
        return {"callable": self.callable, **({"tests": tests} if tests else {})}, problems

    @property
    def _callable_types(self) -> dict[str, str]:
        found = decisions.find(self.callable)
        return {each.name: str(each.type) for each in found.outputs} if found else {}

    def _posted_json(self) -> Any:
        text = self.json_text
        if len(text) > _MOST_JSON:
            raise ValidationError(gettext("This is too long for a decision."))
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", 1)
            raise ValidationError(
                gettext("Line %(line)d: this is not JSON: %(error)s")
                % {"line": line, "error": getattr(error, "msg", gettext("nested too deep"))}
            ) from None


def _digest(document: Any) -> str:
    text = json.dumps(document or {}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
