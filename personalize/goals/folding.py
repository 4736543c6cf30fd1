"""
One person's standing with a flow: which variant, since when, and what came of it by each goal.

`attribution` gives all that the person's guests saw and did; the answer depends on nothing else,
so whatever comes late, twice or after a merge leads to the same numbers as if it had come in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from uuid import UUID

from personalize.goals.measuring import is_rate, measures_of
from personalize.goals.types import MICROS, NOTHING, RATIOS, Amount, Goal, Unit, bounded

#: Stands for the variant of whoever was held out, and for that of whoever saw more than one.
HELD_OUT: Final = UUID(int=1)
MIXED: Final = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """
    That a visit saw a flow: since when and which variant. What came of it in the visit, by measure.

    is_mixed: it saw another variant too.
    """

    variant: UUID
    phase: int
    at: datetime
    is_mixed: bool = False
    channel: str = ""
    device: str = ""
    amounts: Mapping[UUID, Amount] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Total:
    """
    What a guest comes to by a measure, in millionths; `d` is what `y` is divided by.

    x: what the guest came to in the time before the first exposure.
    """

    y: int = 0
    d: int = 0
    x: int = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """
    A person's standing with a flow. Who saw two variants counts for neither.

    day: that of the first exposure where the client is: the numbers of that day have it in them.
    """

    variant: UUID
    phase: int
    first_at: datetime
    day: date
    is_mixed: bool
    visits: int
    channel: str
    device: str
    totals: Mapping[UUID, Total] = field(default_factory=dict)


def first_of(exposures: Iterable[Exposure]) -> Exposure:
    """Return the exposure that decides which variant somebody is counted for: the first in time."""
    return min(exposures, key=lambda each: (each.at, each.variant))


def fold(
    exposures: Sequence[Exposure],
    goals: Iterable[Goal],
    *,
    day: date,
    in_time: Mapping[UUID, Amount],
    before: Mapping[UUID, int],
    known: Mapping[UUID, Total],
) -> Standing:
    """
    Add up what one person saw of a flow and what came of it.

    exposures: one of each visit, one at least. day: that of the first of them. in_time: by measure,
    of the goals that go by time. before: by measure, what the person came to before. known: totals
    until now: those that none of these goals is about stay, for one may not be readable now.
    """
    first = first_of(exposures)
    variants = {exposure.variant for exposure in exposures}
    totals = dict(known)
    for goal in goals:
        for measure in measures_of(goal):
            totals.pop(measure, None)
            total = _total(goal, measure, exposures, in_time, before)
            if total.y or total.d or total.x:
                totals[measure] = total
    return Standing(
        variant=first.variant,
        phase=first.phase,
        first_at=first.at,
        day=day,
        is_mixed=len(variants) > 1 or any(exposure.is_mixed for exposure in exposures),
        visits=len(exposures),
        channel=first.channel,
        device=first.device,
        totals=totals,
    )


def _total(
    goal: Goal,
    measure: UUID,
    exposures: Sequence[Exposure],
    in_time: Mapping[UUID, Amount],
    before: Mapping[UUID, int],
) -> Total:
    if goal.reach is not None:
        amounts = [in_time.get(measure, NOTHING)]
    else:
        amounts = [each.amounts.get(measure, NOTHING) for each in exposures]
    y = sum(amount.y for amount in amounts)
    if is_rate(goal) and goal.unit is Unit.GUEST:
        y = min(y, MICROS)
    y = bounded(y if goal.cap is None else min(y, goal.cap))
    ats = [amount.at for amount in amounts if amount.at is not None]
    # Where it is of guests, each is one; of visits, the visits are known beside it.
    d = sum(amount.over or 0 for amount in amounts) if goal.kind in RATIOS else 0
    return Total(y, bounded(d), before.get(measure, 0), min(ats, default=None))


def divided_by(goal: Goal, total: Total, visits: int) -> int:
    """Return what a guest's total is divided by, in millionths: own, visits, or the guest."""
    if goal.kind in RATIOS:
        return total.d
    return visits * MICROS if goal.unit is Unit.SESSION else MICROS
