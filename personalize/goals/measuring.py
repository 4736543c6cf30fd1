"""
What happened in a visit, or in a time, by a goal: called by `attribution` for what has changed.

Whoever calls has chosen what counts: what happened after an exposure and before the end. The
order in which things are given never matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from uuid import UUID, uuid5

from personalize.goals.types import (
    MICROS,
    NOTHING,
    RATES,
    Amount,
    Goal,
    Happening,
    Kind,
    Meant,
    Purchase,
    Visit,
    bounded,
)


def measure(
    goal: Goal, happened: Sequence[Happening], bought: Sequence[Purchase], visit: Visit
) -> dict[UUID, Amount]:
    """
    Return what this comes to, by the ref of each measure that is not nothing.

    A goal is one measure, of its own ref; a funnel has another for each step before its last,
    of the refs that `step_ref` gives.
    """
    if goal.kind is Kind.FUNNEL:
        return _funnel(goal, happened)
    amount = _MEASURES[goal.kind](goal, happened, bought, visit)
    return {goal.ref: amount} if amount.y or amount.over else {}


def measures_of(goal: Goal) -> list[UUID]:
    """Name all measures of a goal: a funnel's steps in their order, its own ref last."""
    steps = len(goal.events) - 1 if goal.kind is Kind.FUNNEL else 0
    return [*(step_ref(goal.ref, step) for step in range(steps)), goal.ref]


def step_ref(goal_ref: UUID, step: int) -> UUID:
    """Name the measure of one step of a funnel, counted from 0."""
    return uuid5(goal_ref, f"step {step}")


def _once(goal: Goal, happened: Sequence[Happening], *_: object) -> Amount:
    """Did it happen at all?"""
    first = min((each.at for each in _meant(goal.events[0], happened)), default=None)
    return NOTHING if first is None else Amount(MICROS, at=first)


def _count(goal: Goal, happened: Sequence[Happening], *_: object) -> Amount:
    meant = goal.events[0]
    return _told(_total(meant, _meant(meant, happened)))


def _mean(goal: Goal, happened: Sequence[Happening], *_: object) -> Amount:
    meant = goal.events[0]
    assert meant.amount is not None
    having = [each for each in _meant(meant, happened) if meant.amount(each.data) is not None]
    total, at = _total(meant, having)
    return Amount(total, len(having) * MICROS, at)


def _ratio(goal: Goal, happened: Sequence[Happening], *_: object) -> Amount:
    assert goal.base is not None
    meant, base = goal.events[0], goal.base
    total, at = _total(meant, _meant(meant, happened))
    over, _at = _total(base, _meant(base, happened))
    return Amount(total, over, at)


def _bounce(goal: Goal, happened: object, bought: object, visit: Visit) -> Amount:
    if not visit.is_over:
        return NOTHING
    return Amount(MICROS if visit.views == 1 else 0, MICROS)


def _conversion(goal: Goal, happened: object, bought: Sequence[Purchase], *_: object) -> Amount:
    first = min((order.at for order in bought), default=None)
    return NOTHING if first is None else Amount(MICROS, at=first)


def _revenue(goal: Goal, happened: object, bought: Sequence[Purchase], *_: object) -> Amount:
    total, at, _orders = _spent(bought)
    return _told((total, at))


def _order_value(goal: Goal, happened: object, bought: Sequence[Purchase], *_: object) -> Amount:
    total, at, orders = _spent(bought)
    return Amount(total, orders * MICROS, at)


_Measure = Callable[[Goal, Sequence[Happening], Sequence[Purchase], Visit], Amount]
_MEASURES: dict[Kind, _Measure] = {
    Kind.PAGE_VIEW: _once,
    Kind.EVENT: _once,
    Kind.RETENTION: _once,
    Kind.COUNT: _count,
    Kind.SUM: _count,
    Kind.MEAN: _mean,
    Kind.RATIO: _ratio,
    Kind.BOUNCE: _bounce,
    Kind.CONVERSION: _conversion,
    Kind.REVENUE: _revenue,
    Kind.AVERAGE_ORDER_VALUE: _order_value,
}


def _funnel(goal: Goal, happened: Sequence[Happening]) -> dict[UUID, Amount]:
    """
    Walk the steps in the order of time: each has to come after the one before, or with it.

    Two steps of one moment are taken in the funnel's order, so that a clock that is coarse
    breaks no funnel.
    """
    reached: dict[UUID, Amount] = {}
    after: datetime | None = None
    taken: set[int] = set()
    for measure_ref, step in zip(measures_of(goal), goal.events, strict=True):
        found = [
            (each.at, index)
            for index, each in enumerate(happened)
            if index not in taken and (after is None or each.at >= after) and _is(step, each)
        ]
        if not found:
            break
        after, index = min(found)
        # One event is one step.
        taken.add(index)
        reached[measure_ref] = Amount(MICROS, at=after)
    return reached


def _is(meant: Meant, event: Happening) -> bool:
    return event.type == meant.type and meant.is_meant(event.data)


def _meant(meant: Meant, happened: Iterable[Happening]) -> list[Happening]:
    return [each for each in happened if _is(meant, each)]


_Total = tuple[int, datetime | None]


def _total(meant: Meant, events: Iterable[Happening]) -> _Total:
    """Add up what is meant, and say when it first was anything."""
    total, first = 0, None
    for event in events:
        amount = MICROS if meant.amount is None else meant.amount(event.data)
        if amount:
            total += amount
            first = event.at if first is None else min(first, event.at)
    return bounded(total), first


def _told(total: _Total) -> Amount:
    return Amount(total[0], at=total[1])


def _spent(bought: Iterable[Purchase]) -> tuple[int, datetime | None, int]:
    told = [(order.at, order.amount) for order in bought if order.amount is not None]
    total = bounded(sum(amount for _, amount in told))
    return total, min((at for at, _ in told), default=None), len(told)


def is_rate(goal: Goal) -> bool:
    """Say whether a goal either happens or does not."""
    return goal.kind in RATES
