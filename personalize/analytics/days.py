"""
The numbers of single days, in whole units: what the API lists row by row, and what is exported.

A row is of one flow, day, phase and variant, and of its guests or of one measure of a goal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _

from personalize.attribution import numbers
from personalize.goals import measuring
from personalize.goals.document import MOST_STEPS
from personalize.goals.folding import HELD_OUT, MIXED
from personalize.goals.types import MICROS
from personalize.models import DailyNumbers, DailyRuns, Flow
from personalize.snapshots import Definition

#: Rows of whom everybody was counted elsewhere later on.
_EMPTY: Final[Mapping[type[Model], str]] = {
    DailyNumbers: numbers.text([0] * len(numbers.SUMS)),
    DailyRuns: numbers.text([0] * (len(numbers.RUN_SUMS) + len(numbers.LATENCIES) + 1)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DayNumbers:
    """
    What guests who saw a variant first on a day came to.

    goal: None in the row of the guests themselves, which has `visits`; in the others total is what
    was counted, and per what it is divided by where the goal brings that. guests: of a goal, those
    who came to anything. step: of a funnel before its end, counted from 1.
    """

    flow_id: int
    day: date
    phase: int
    variant: UUID
    variant_name: str
    goal: UUID | None
    goal_name: str
    step: int | None
    guests: int
    visits: int | None
    total: float | None
    per: float | None


def rows(flows: Q) -> QuerySet[DailyNumbers]:
    """Return the rows of flows (a condition on rows that leads to them), in a lasting order."""
    found = DailyNumbers.objects.filter(flows).exclude(sums=_EMPTY[DailyNumbers])
    return found.order_by("flow_id", "day", "phase", "variant_ref", "measure")


def run_rows(flows: Q) -> QuerySet[DailyRuns]:
    """Return the rows of runs likewise."""
    found = DailyRuns.objects.filter(flows).exclude(sums=_EMPTY[DailyRuns])
    return found.order_by("flow_id", "day", "variant_ref")


def measures_of_goal(goal: UUID) -> list[UUID]:
    """Name all measures that a goal can have: its own, and those of steps."""
    return [goal, *(measuring.step_ref(goal, step) for step in range(MOST_STEPS))]


class Names:
    """What the variants and measures of a flow are called, as it was published last."""

    def __init__(self, flow: Flow) -> None:
        published = flow.published
        definition = published.definition if published else {"variants": []}
        self._variants: dict[UUID, str] = {HELD_OUT: _("Held out"), MIXED: _("Saw several")}
        for variant in definition["variants"]:
            self._variants[UUID(variant["ref"])] = variant["name"]
        self._measures: dict[UUID, tuple[UUID, str, int | None]] = {}
        for goal in Definition(published.number, definition).goals if published else ():
            *steps, whole = measuring.measures_of(goal)
            self._measures[whole] = (goal.ref, goal.name, None)
            for number, step in enumerate(steps, start=1):
                self._measures[step] = (goal.ref, goal.name, number)

    def variant(self, ref: UUID) -> str:
        """Return a variant's name; empty for one that is gone."""
        return self._variants.get(ref, "")

    def measure(self, ref: UUID) -> tuple[UUID, str, int | None]:
        """Return goal, name and step of a measure; one that is gone is its own, without a name."""
        return self._measures.get(ref, (ref, "", None))


def told(found: Sequence[DailyNumbers]) -> list[DayNumbers]:
    """Put rows into whole units; they have come with their flows, and these as published."""
    names: dict[int, Names] = {}
    for row in found:
        if row.flow_id not in names:
            names[row.flow_id] = Names(row.flow)
    return [whole(row, names[row.flow_id]) for row in found]


def whole(row: DailyNumbers, names: Names) -> DayNumbers:
    """Put a row into whole units."""
    sums = dict(zip(numbers.SUMS, numbers.numbers(row.sums), strict=True))
    of_guests = row.measure == numbers.GUESTS
    goal, name, step = (None, "", None) if of_guests else names.measure(row.measure)
    return DayNumbers(
        flow_id=row.flow_id,
        day=row.day,
        phase=row.phase,
        variant=row.variant_ref,
        variant_name=names.variant(row.variant_ref),
        goal=goal,
        goal_name=name,
        step=step,
        guests=sums["n"],
        visits=sums["y"] // MICROS if of_guests else None,
        total=None if of_guests else sums["y"] / MICROS,
        per=None if of_guests else sums["d"] / MICROS,
    )
