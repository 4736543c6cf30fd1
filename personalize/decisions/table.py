"""
PURE. Decision tables: `compile_table(table).decide(facts)` is the whole of it.

Which rows count. A row hits when all its cells hold and the guest can have every offer it names:
a row whose offer is paused, over, or not for this guest is passed by, under every policy, as if
it were not there.

- UNIQUE: the one row that hits. Two that do are a fault; the check on saving looks for them.
- FIRST: the first that hits. PRIORITY: the one with the highest priority, the first of equals.
- ANY: several may hit if they answer alike; if they do not it is a fault.
- RULE_ORDER and COLLECT as LIST: every output is a list, one value for each row, in their order.
- COLLECT as SUM, MIN, MAX: calculated over each output's numbers. COUNT: how many rows hit.

What is answered. A row's value, or where it has none the column's default. When no row hits: the
defaults, for lists [], for COUNT 0. A default offer that the guest cannot have is null. After a
fault the answer is that of no row hitting.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from personalize.conditions import (
    Compiled,
    Explanation,
    Facts,
    Group,
    Needs,
    Recalled,
    compile_condition,
)
from personalize.decisions.columns import Column, Rows, compile_column
from personalize.decisions.types import (
    Aggregator,
    Decision,
    HasOffer,
    HitPolicy,
    Output,
    OutputType,
    Row,
    RowReport,
    Table,
    every_offer,
)


@dataclass(frozen=True)
class CompiledTable:
    """
    A table, ready to be asked.

    ranked: its rows in the order in which they are preferred; the first one is bit 0.
    """

    table: Table
    ranked: tuple[Row, ...]
    columns: tuple[Column, ...]

    @property
    def outputs(self) -> tuple[Output, ...]:
        return self.table.outputs

    @cached_property
    def offers(self) -> frozenset[str] | None:
        return self.table.offers

    @cached_property
    def needs(self) -> Needs:
        return self._all_cells.needs

    @cached_property
    def fields(self) -> frozenset[str]:
        return self._all_cells.fields

    def rows(self, facts: Facts) -> Rows:
        """Return the rows whose cells all hold, as bits."""
        found = (1 << len(self.ranked)) - 1
        for column in self.columns:
            found &= column.rows(facts)
            if not found:
                return 0
        return found

    def decide(self, facts: Facts, *, has_offer: HasOffer = every_offer) -> Decision:
        """Answer for these facts. Total: whatever they hold, never an error."""
        return self.answer(self.rows(facts), has_offer)

    def answer(self, found: Rows, has_offer: HasOffer) -> Decision:
        """Answer for the rows whose cells all hold."""
        return _Asking(self, has_offer).answer(found)

    @cached_property
    def reads(self) -> Mapping[str, Callable[[Facts], object]]:
        return {ask.subject: ask.read for column in self.columns for ask in column.asks}

    def recall(
        self, recalled: Recalled, *, has_offer: HasOffer = every_offer, cells: Rows | None = None
    ) -> Decision:
        """
        Answer for what was read of facts that are gone. Raises NotKept.

        cells: the rows whose cells all held, where that is kept instead of what was read.
        """
        if cells is None:
            cells = (1 << len(self.ranked)) - 1
            for column in self.columns:
                if cells:
                    cells &= column.recall(recalled)
        return self.answer(cells, has_offer)

    def explain(self, facts: Facts, *, most: int = 100) -> list[RowReport]:
        """Say of each row, in the table's order, whether its cells hold, and why."""
        numbers = [row.number for row in self.table.rows[:most]]
        return self.explain_rows(lambda condition: condition.explain(facts), numbers)

    def explain_rows(
        self, explain: Callable[[Compiled], Explanation], numbers: Collection[int]
    ) -> list[RowReport]:
        """Say the same of some rows, by whatever explains a condition."""
        reports = []
        for row in self.table.rows:
            if row.number in numbers:
                explanation = explain(_condition_of(row))
                because = explanation.because() or ["It holds for everybody"]
                reports.append(RowReport(row.number, explanation.matched, because))
        return reports

    @cached_property
    def _all_cells(self) -> Compiled:
        cells = {id(cell): cell for row in self.ranked for cell in row.cells if cell is not None}
        return compile_condition(Group("all", tuple(cells.values())))

    @cached_property
    def offers_of(self) -> tuple[tuple[str, ...], ...]:
        """The offers that each ranked row names itself."""
        names = [output.name for output in self.outputs if output.type is OutputType.OFFER]
        return tuple(
            tuple(str(row.values[name]) for name in names if row.values.get(name) is not None)
            for row in self.ranked
        )

    @cached_property
    def answers(self) -> tuple[str, ...]:
        """What each ranked row answers, as text: equal texts are equal answers."""
        return tuple(
            json.dumps([row.values.get(o.name, o.default) for o in self.outputs], sort_keys=True)
            for row in self.ranked
        )


def compile_table(table: Table) -> CompiledTable:
    """Make a checked table ready to be asked."""
    ranked = list(table.rows)
    if table.policy is HitPolicy.PRIORITY:
        ranked.sort(key=lambda row: (-row.priority, row.number))
    columns = tuple(
        compile_column(input, [row.cells[at] for row in ranked])
        for at, input in enumerate(table.inputs)
    )
    # A column without a cell holds for every row.
    everything = (1 << len(ranked)) - 1
    asked = tuple(column for column in columns if column.free != everything)
    return CompiledTable(table, tuple(ranked), asked)


def _condition_of(row: Row) -> Compiled:
    return compile_condition(Group("all", tuple(cell for cell in row.cells if cell is not None)))


class _Asking:
    """One question to a table: which rows count, and what they make."""

    def __init__(self, compiled: CompiledTable, has_offer: HasOffer) -> None:
        self.compiled = compiled
        self.table = compiled.table
        self.has_offer = has_offer
        self.faults: list[str] = []

    def answer(self, found: Rows) -> Decision:
        bits = self.choose(self.with_offers(found))
        rows = [self.compiled.ranked[bit] for bit in bits]
        outputs = {output.name: self.value(output, rows) for output in self.table.outputs}
        numbers = tuple(row.number for row in rows)
        return Decision(outputs, numbers, " ".join(dict.fromkeys(self.faults)))

    def with_offers(self, found: Rows) -> Iterator[int]:
        """Yield the bits of the rows that hit, the preferred ones first."""
        offers = self.compiled.offers_of if self.compiled.offers else None
        while found:
            lowest = found & -found
            bit = lowest.bit_length() - 1
            found ^= lowest
            if offers is None or all(self.can_have(ref, bit) for ref in offers[bit]):
                yield bit

    def can_have(self, ref: str, bit: int | None = None) -> bool:
        has = self.has_offer(ref)
        if has is None:
            where = "A default" if bit is None else f"Row {self.compiled.ranked[bit].number}"
            self.faults.append(f"{where} names an offer that is gone or broken.")
        return bool(has)

    def choose(self, hits: Iterator[int]) -> list[int]:
        policy = self.table.policy
        if policy in (HitPolicy.FIRST, HitPolicy.PRIORITY):
            return [bit for bit in (next(hits, None),) if bit is not None]
        bits = list(hits)
        if policy is HitPolicy.UNIQUE and len(bits) > 1:
            return self.refuse(bits, "hit at once, and the hit policy is UNIQUE.")
        if policy is HitPolicy.ANY and len({self.compiled.answers[bit] for bit in bits}) > 1:
            return self.refuse(bits, "hit with different answers, and the hit policy is ANY.")
        return bits

    def refuse(self, bits: Sequence[int], why: str) -> list[int]:
        numbers = sorted(self.compiled.ranked[bit].number for bit in bits)
        listed = ", ".join(map(str, numbers[:-1]))
        self.faults.append(f"Rows {listed} and {numbers[-1]} {why}")
        return []

    def value(self, output: Output, rows: Sequence[Row]) -> object:
        if self.table.gives_lists:
            return [self.value_in(output, row) for row in rows]
        if self.table.policy is HitPolicy.COLLECT:
            return self.collected(output, rows)
        return self.value_in(output, rows[0] if rows else None)

    def value_in(self, output: Output, row: Row | None) -> object:
        value = row.values.get(output.name) if row else None
        if value is not None:
            return value
        default = output.default
        if output.type is OutputType.OFFER and default is not None:
            return default if self.can_have(str(default)) else None
        return default

    def collected(self, output: Output, rows: Sequence[Row]) -> object:
        aggregator = self.table.aggregator
        if aggregator is Aggregator.COUNT:
            return len(rows)
        values = [self.value_in(output, row) for row in rows]
        numbers = [value for value in values if isinstance(value, int | float)]
        return _AGGREGATE[aggregator](numbers) if numbers else output.default


_AGGREGATE: dict[Aggregator, Callable[[list[int | float]], int | float]] = {
    Aggregator.SUM: sum,
    Aggregator.MIN: min,
    Aggregator.MAX: max,
}
