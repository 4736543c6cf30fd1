"""The grid that a page posted: without what was removed or left blank, in the page's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from personalize.admin.decision_grid import Cell, Grid, GridRow, InColumn, OutColumn, Test
from personalize.decisions import MAX_COLUMNS, MAX_ROWS, OutputType

_MOST_TESTS = 100


def posted(data: Mapping[str, Any], name: str) -> Grid:
    """Return the grid that was posted, without what was removed or left blank."""
    reading = _Posted(data, name)
    inputs = [
        at for at in reading.indices("inputs", MAX_COLUMNS, "i") if reading.text(f"i{at}-field")
    ]
    outputs = [
        at
        for at in reading.indices("outputs", MAX_COLUMNS, "o")
        if reading.text(f"o{at}-name").strip()
    ]
    grid = Grid(
        policy=reading.text("policy") or "FIRST",
        aggregator=reading.text("aggregator") or "LIST",
        inputs=[reading.in_column(at) for at in inputs],
        outputs=[reading.out_column(at) for at in outputs],
    )
    rows = [reading.row(at, inputs, outputs, grid) for at in reading.rows()]
    grid.rows = [row for row in rows if row is not None]
    grid.tests = reading.tests()
    return grid


class _Posted:
    """The inputs of one editor, by their names without its own."""

    def __init__(self, data: Mapping[str, Any], name: str) -> None:
        self.data = data
        self.name = name

    def text(self, key: str) -> str:
        return str(self.data.get(f"{self.name}-{key}") or "")

    def count(self, key: str, most: int) -> int:
        text = self.text(key)
        return min(int(text), 2 * most) if text.isdecimal() else 0

    def indices(self, key: str, most: int, letter: str) -> list[int]:
        every = range(self.count(key, most))
        return [at for at in every if not self.text(f"{letter}{at}-delete")]

    def rows(self) -> list[int]:
        """Return the rows that are left, in the order that the page had them."""
        left = self.indices("rows", MAX_ROWS, "r")
        order = [int(text) for text in self.text("order").split(",") if text.strip().isdecimal()]
        place = {at: position for position, at in enumerate(order)}
        return sorted(left, key=lambda at: (place.get(at, len(place)), at))

    def in_column(self, at: int) -> InColumn:
        chosen = self.text(f"i{at}-field")
        detail = self.text(f"i{at}-detail").strip() if chosen.endswith(".") else ""
        return InColumn(chosen, detail, self.text(f"i{at}-label").strip())

    def out_column(self, at: int) -> OutColumn:
        type_ = self.text(f"o{at}-type") or "TEXT"
        key = "offer" if type_ == OutputType.OFFER else "default"
        return OutColumn(self.text(f"o{at}-name").strip(), type_, self.text(f"o{at}-{key}"))

    def row(
        self, at: int, inputs: Sequence[int], outputs: Sequence[int], grid: Grid
    ) -> GridRow | None:
        cells = [
            Cell(
                self.text(f"r{at}-i{column}-operator"),
                self.text(f"r{at}-i{column}-value"),
                self.text(f"r{at}-i{column}-tree"),
            )
            for column in inputs
        ]
        values = [
            self.text(f"r{at}-o{column}-{'offer' if known.type == OutputType.OFFER else 'value'}")
            for column, known in zip(outputs, grid.outputs, strict=True)
        ]
        is_blank = not any(values) and cells == [Cell()] * len(cells)
        # A row that asks nothing and says nothing still is one, once it was saved so.
        is_new = bool(self.text(f"r{at}-new"))
        row = GridRow(cells, values, self.text(f"r{at}-priority") or "0")
        return None if is_blank and is_new else row

    def tests(self) -> list[Test]:
        found = [
            Test(*(self.text(f"t{at}-{key}").strip() for key in ("name", "facts", "expected")))
            for at in self.indices("tests", _MOST_TESTS, "t")
        ]
        return [test for test in found if test.name or test.facts or test.expected]
