"""
PURE. One column of a table, compiled: facts -> the rows whose cell in it holds.

Sets of rows are bits of a number. Where the column has a scale the set is looked up, however
many rows there are; else each different comparison is asked once. Either way the comparisons'
own tests of the condition language say what holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from personalize.conditions import Ask, Condition, Facts, Leaf, Recalled, compile_condition
from personalize.conditions.parts import value_test
from personalize.decisions.scales import Scale, scale_of
from personalize.decisions.types import Input

#: The rows that hold, as bits.
Rows = int


@dataclass(frozen=True)
class Column:
    """
    rows: the rows that hold for these facts. of_value: those that hold for a value of the
    column's field; None for a column of whole conditions, and for one that asks what time it
    is. recall: the rows that held for what was read of facts that are gone; raises NotKept.
    free: the rows without a cell. asks: what its cells read.
    """

    input: Input
    leaves: tuple[Leaf | None, ...]
    rows: Callable[[Facts], Rows]
    of_value: Callable[[object], Rows] | None
    recall: Callable[[Recalled], Rows]
    free: Rows
    asks: tuple[Ask, ...]


def compile_column(input: Input, cells: Sequence[Condition | None]) -> Column:
    """Compile the cells of a column; the first one is bit 0."""
    free = sum(1 << bit for bit, cell in enumerate(cells) if cell is None)
    if input.field is None or _asks_the_time(input, cells):
        return _of_conditions(input, cells, free)
    leaves = tuple(cell if isinstance(cell, Leaf) else None for cell in cells)
    tests = _by_tests(leaves, free)
    scale = scale_of([leaf for leaf in leaves if leaf is not None])
    of_value = tests if scale is None else _by_scale(scale, tests)
    read, name = input.field.reader(), input.field.name
    first = next((leaf for leaf in leaves if leaf is not None), None)
    return Column(
        input,
        leaves,
        lambda facts: of_value(read(facts)),
        of_value,
        lambda recalled: of_value(recalled.value(name)),
        free,
        () if first is None else compile_condition(first).asks,
    )


def _asks_the_time(input: Input, cells: Sequence[Condition | None]) -> bool:
    """Say whether the same value may hold now, and not tomorrow."""
    if input.field is not None and input.field.needs == "time":
        return True
    return any(isinstance(cell, Leaf) and cell.operator.span is not None for cell in cells)


def _by_tests(leaves: Sequence[Leaf | None], free: Rows) -> Callable[[object], Rows]:
    asked: dict[tuple[str, str, object], tuple[Callable[[object], bool], Rows]] = {}
    for bit, leaf in enumerate(leaves):
        if leaf is None:
            continue
        key = (leaf.operator.type, leaf.operator.name, leaf.operand)
        test, rows = asked.get(key) or (value_test(leaf), 0)
        asked[key] = (test, rows | 1 << bit)
    tests = tuple(asked.values())

    def of_value(value: object) -> Rows:
        found = free
        for test, rows in tests:
            if test(value):
                found |= rows
        return found

    return of_value


def _by_scale(scale: Scale, of_value: Callable[[object], Rows]) -> Callable[[object], Rows]:
    # Filled as classes are met: to try all of a large table's at once would make callers wait.
    held: dict[int, Rows] = {}
    place, classes = scale.place, scale.classes

    def look_up(value: object) -> Rows:
        at = place(value)
        rows = held.get(at)
        if rows is None:
            rows = held[at] = of_value(classes[at])
        return rows

    return look_up


def _of_conditions(input: Input, cells: Sequence[Condition | None], free: Rows) -> Column:
    compiled = [
        (compile_condition(cell), 1 << bit) for bit, cell in enumerate(cells) if cell is not None
    ]
    tests = tuple((condition.matches, row) for condition, row in compiled)

    def rows(facts: Facts) -> Rows:
        found = free
        for matches, row in tests:
            if matches(facts):
                found |= row
        return found

    def recall(recalled: Recalled) -> Rows:
        held = (row for condition, row in compiled if condition.recall(recalled).matched)
        return free | sum(held)

    asks = {ask.subject: ask for condition, _ in compiled for ask in condition.subjects}
    return Column(input, (), rows, None, recall, free, tuple(asks.values()))
