"""
What a decision is made of: outputs, a table of rows, and what came of asking it.

`Table` is a checked document; `Decision` is what the flow walk, the admin and
test cases are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from personalize.conditions import Condition, Facts, Field, Needs, Problem, Recalled


class OutputType(StrEnum):
    TEXT = "TEXT"
    NUMBER = "NUMBER"
    BOOLEAN = "BOOLEAN"
    OFFER = "OFFER"
    JSON = "JSON"


class HitPolicy(StrEnum):
    """What counts when several rows hit."""

    UNIQUE = "UNIQUE"
    FIRST = "FIRST"
    ANY = "ANY"
    RULE_ORDER = "RULE_ORDER"
    PRIORITY = "PRIORITY"
    COLLECT = "COLLECT"


class Aggregator(StrEnum):
    """What COLLECT makes of the rows that hit."""

    LIST = "LIST"
    SUM = "SUM"
    MIN = "MIN"
    MAX = "MAX"
    COUNT = "COUNT"


#: The aggregators that calculate: they need numbers.
NUMERIC = (Aggregator.SUM, Aggregator.MIN, Aggregator.MAX)


class NotReplayable(LookupError):
    """A decision cannot be made again from what was kept of it; the text says why."""


class DecisionInvalid(ValueError):
    """A decision cannot be used. `problems` lists everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class Output:
    """A column of answers. An OFFER's values are offers' refs, as text."""

    name: str
    type: OutputType
    default: object = None


@dataclass(frozen=True)
class Input:
    """A column of conditions: on one field, or (None) whole condition trees."""

    label: str
    field: Field | None


@dataclass(frozen=True)
class Row:
    """
    A rule: what has to hold, and what is answered then.

    number: from 1, as people count. cells: one for each input, None for any value.
    values: by output name; where one is absent the column's default stands.
    """

    number: int
    cells: tuple[Condition | None, ...]
    values: Mapping[str, object]
    priority: int = 0


@dataclass(frozen=True)
class Table:
    """A checked decision table."""

    policy: HitPolicy
    aggregator: Aggregator
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    rows: tuple[Row, ...]

    @property
    def gives_lists(self) -> bool:
        """Say whether every output is a list, of one value for each row that hit."""
        if self.policy is HitPolicy.COLLECT:
            return self.aggregator is Aggregator.LIST
        return self.policy is HitPolicy.RULE_ORDER

    @property
    def offers(self) -> frozenset[str]:
        """The refs of the offers that the table can answer with."""
        names = [output.name for output in self.outputs if output.type is OutputType.OFFER]
        defaults = [output.default for output in self.outputs if output.name in names]
        given = [row.values.get(name) for row in self.rows for name in names]
        return frozenset(str(ref) for ref in (*defaults, *given) if ref is not None)


@dataclass(frozen=True)
class Call:
    """A decision that a registered Python callable makes."""

    name: str
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What came of asking.

    outputs: by name, offers by ref. rows: the numbers of those that the answer rests on, best
    first; a callable has none. fault: what was broken, or empty; the outputs are then those of
    no row hitting, or what was left without the broken part.
    """

    outputs: Mapping[str, object]
    rows: tuple[int, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class RowReport:
    """How one row fared, and because of what."""

    number: int
    is_hit: bool
    because: Sequence[str]


#: True: the guest can have the offer of this ref now. False: not now. None: there is none.
HasOffer = Callable[[str], bool | None]


def every_offer(ref: str) -> bool | None:
    """Take every offer as one that can be had: what test cases and tables without offers use."""
    return True


class Decider(Protocol):
    """A table or a callable, compiled: what a flow asks."""

    @property
    def outputs(self) -> tuple[Output, ...]: ...

    @property
    def needs(self) -> Needs:
        """The facts to load before it is asked."""

    @property
    def fields(self) -> frozenset[str]:
        """The names of the fields it reads."""

    @property
    def offers(self) -> frozenset[str] | None:
        """The refs it can answer with; None where only asking tells."""

    @property
    def reads(self) -> Mapping[str, Callable[[Facts], object]]:
        """What it reads of the facts, by subject: what has to be kept for `recall`."""

    def decide(self, facts: Facts, *, has_offer: HasOffer = every_offer) -> Decision:
        """Answer. Total: whatever the facts hold, never an error."""

    def recall(
        self, recalled: Recalled, *, has_offer: HasOffer = every_offer, cells: int | None = None
    ) -> Decision:
        """
        Answer for what was read of facts that are gone. Raises NotKept and NotReplayable.

        cells: of a table, the rows whose cells all held, as bits, where that is kept instead.
        """
