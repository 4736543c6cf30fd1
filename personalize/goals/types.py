"""What a goal is, and what it is measured by: plain values, made by `document`, read by all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from personalize.statistics.samples import MICRO
from personalize.statistics.types import Direction

#: Amounts are kept in millionths, as whole numbers: sums of them are exact in any order.
MICROS: Final = MICRO
#: No amount of one guest is larger, whatever was sent: its square still has a meaning.
MOST: Final = 2**62


def bounded(amount: int) -> int:
    """Return an amount that is no larger than may be kept, either way."""
    return max(-MOST, min(MOST, amount))


class Kind(StrEnum):
    """What is measured."""

    PAGE_VIEW = "PAGE_VIEW"
    EVENT = "EVENT"
    CONVERSION = "CONVERSION"
    REVENUE = "REVENUE"
    AVERAGE_ORDER_VALUE = "AVERAGE_ORDER_VALUE"
    COUNT = "COUNT"
    SUM = "SUM"
    MEAN = "MEAN"
    RATIO = "RATIO"
    FUNNEL = "FUNNEL"
    RETENTION = "RETENTION"
    BOUNCE = "BOUNCE"


class Unit(StrEnum):
    """Per what it is told: of each visit, or of each guest."""

    SESSION = "SESSION"
    GUEST = "GUEST"


#: Kinds that either happen or do not.
RATES: Final = frozenset(
    {Kind.PAGE_VIEW, Kind.EVENT, Kind.CONVERSION, Kind.FUNNEL, Kind.RETENTION, Kind.BOUNCE}
)
#: Kinds that bring what they are divided by: orders, events, or visits that are over.
RATIOS: Final = frozenset({Kind.AVERAGE_ORDER_VALUE, Kind.MEAN, Kind.RATIO, Kind.BOUNCE})
#: Kinds that are as large as they come, so that they have caps and quantiles.
AMOUNTS: Final = frozenset({Kind.REVENUE, Kind.COUNT, Kind.SUM})
#: Kinds that are about orders.
COMMERCE: Final = frozenset({Kind.CONVERSION, Kind.REVENUE, Kind.AVERAGE_ORDER_VALUE})

#: Says of an event's data whether the event is meant.
IsMeant = Callable[[Mapping[str, object]], bool]
#: Reads a number out of an event's data, in millionths; None where it has none.
ReadAmount = Callable[[Mapping[str, object]], "int | None"]


@dataclass(frozen=True, slots=True)
class Meant:
    """Which events are meant: of one type, whose data passes; and what of them is added up."""

    type: str
    is_meant: IsMeant
    #: None: each counts one.
    amount: ReadAmount | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """
    A goal, ready to be measured by.

    window: of the time from a guest's first exposure on; None: of the rest of each visit that has
    an exposure. events: what is counted or added up; a funnel's are its steps. base: what a ratio
    is divided by. returns: between when and when after the first exposure somebody has to be back.
    cap: no guest counts for more, in millionths; cap_percentile: nor for more than this percentile
    of those who count at all. quantile: compared is this quantile of the guests' totals.
    """

    ref: UUID
    name: str
    kind: Kind
    unit: Unit = Unit.SESSION
    direction: Direction = Direction.INCREASE
    is_guardrail: bool = False
    window: timedelta | None = None
    events: tuple[Meant, ...] = ()
    base: Meant | None = None
    returns: tuple[timedelta, timedelta] | None = None
    cap: int | None = None
    cap_percentile: float | None = None
    quantile: float | None = None

    @property
    def types(self) -> frozenset[str]:
        """The types of events that it is about; orders are no events here."""
        base = {self.base.type} if self.base else set()
        return frozenset({meant.type for meant in self.events} | base)

    @property
    def is_commerce(self) -> bool:
        return self.kind in COMMERCE

    @property
    def is_guest_by_guest(self) -> bool:
        """Sums do not tell it: it takes what each single guest came to."""
        return self.quantile is not None or self.cap_percentile is not None

    @property
    def reach(self) -> timedelta | None:
        """How long after the first exposure something still counts; None: within visits."""
        return self.returns[1] if self.returns else self.window


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of a person, as goals read it."""

    type: str
    at: datetime
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Purchase:
    """One order that was not cancelled; `amount` None: it has none, or in another currency."""

    at: datetime
    amount: int | None


@dataclass(frozen=True, slots=True)
class Visit:
    """What of a visit no event tells."""

    views: int = 0
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Amount:
    """
    What something comes to by a goal, in millionths.

    over: what that is divided by, where the goal brings it; None: visits or guests, whoever is
    counted. at: when it was first reached.
    """

    y: int = 0
    over: int | None = None
    at: datetime | None = None


NOTHING: Final = Amount()
