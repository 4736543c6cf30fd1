"""What is asked of a flow's results, and what is answered; shown by the admin and the API alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from personalize.goals.types import Goal
from personalize.statistics.comparisons import Comparison
from personalize.statistics.mismatch import Mismatch
from personalize.statistics.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """
    Guests who saw the flow first from one day to another, in one phase; None: no bound.

    earliest: the phases from this one on are taken together, as those of an optimized flow are.
    """

    phase: int
    earliest: int | None = None
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """How often a variant ran, in how many runs a visit was known, and how fast."""

    executions: int = 0
    errors: int = 0
    attributable: int = 0
    duration_ms: int = 0
    #: Runs that took at most so many milliseconds; the key None: longer than any.
    latencies: Mapping[int | None, int] = field(default_factory=dict)

    def latency(self, share: float) -> int | None:
        """Return the milliseconds within which this share of the runs was done; None: longer."""
        wanted, reached = share * self.executions, 0
        for most, count in self.latencies.items():
            reached += count
            if reached >= wanted and reached:
                return most
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalResult:
    """
    What a variant came to by a goal. total: y, in whole units; per: what it is divided by.

    mean: total / per; of a quantile goal the quantile. capped: the share of guests who count for
    less than they came to. steps: of a funnel, how many got as far as each step.
    """

    goal: Goal
    total: float
    per: float
    mean: float | None
    comparison: Comparison | None = None
    capped: float = 0.0
    steps: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult:
    """A variant, or those who were held out: who saw it, and what came of it."""

    ref: UUID
    name: str
    is_control: bool
    weight: float
    guests: int
    visits: int
    runs: Runs
    goals: Sequence[GoalResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The primary goal's effect by all who had come by the end of a day: variant -> comparison."""

    day: date
    guests: Mapping[UUID, int]
    comparisons: Mapping[UUID, Comparison]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayGuests:
    """How many saw a flow first on a day, by variant; those who saw several later among them."""

    day: date
    guests: Mapping[UUID, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """
    A phase in time: the shares of the guests who came in it, of 1, and how many saw each variant.

    until: None, it still runs. mismatch: whether the guests fit the shares; None: not asked.
    """

    phase: int
    since: datetime
    until: datetime | None
    is_optimized: bool
    names: Mapping[UUID, str]
    shares: Mapping[UUID, float]
    guests: Mapping[UUID, int]
    mismatch: Mismatch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reweighted:
    """A variant of an optimized flow by a goal, each guest counted by the weight of their time."""

    goal: Goal
    mean: float | None
    #: With the control; None: it is the control.
    comparison: Comparison | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizedVariant:
    """
    A variant whose weight follows the results.

    share: of the guests who come now, of 1. chance_to_be_best: by the primary goal; None where
    nothing is measured by it. goals: those that sums can tell, the primary one first.
    """

    ref: UUID
    name: str
    is_control: bool
    share: float
    chance_to_be_best: float | None
    guests: int
    goals: Sequence[Reweighted]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimized:
    """What came of a flow whose weights moved. note: why it has no plain report."""

    note: str
    variants: Sequence[OptimizedVariant]
    periods: Sequence[Divided]

    @property
    def has_mismatch(self) -> bool:
        """Say whether the guests of any period do not fit its weights."""
        return any(each.mismatch is not None and each.mismatch.found for each in self.periods)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowResults:
    """
    What came of a flow. mixed: guests who saw several variants, who count for none of them.

    attributable: the share of runs in which the visit was known. report: None where nothing is
    compared. optimized: where results set the weights, which rules a report out. is_measuring:
    goals are new, and what was seen before is still being measured.
    frozen_before: earlier days can not be made again from the events. all_guests_since: goals that
    are read guest by guest count who came on this day or later; of those who came before, visitors
    have been deleted.
    """

    span: Span
    phases: Sequence[int]
    variants: Sequence[VariantResult]
    mixed: int
    attributable: float | None
    report: Report | None
    optimized: Optimized | None
    over_time: Sequence[Moment]
    by_day: Sequence[DayGuests]
    is_measuring: bool
    frozen_before: date
    all_guests_since: date

    @property
    def has_deleted_guests(self) -> bool:
        """Say whether what is read guest by guest leaves out days that sums are of."""
        return any(each.day < self.all_guests_since for each in self.by_day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of the guests, by what they had at their first exposure, and its comparisons."""

    name: str
    guests: Mapping[UUID, int]
    comparisons: Sequence[Comparison]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """The parts of those guests who saw a flow first on a day since when all are still there."""

    parts: Sequence[Slice]
    all_guests_since: date
