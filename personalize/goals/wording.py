"""
A goal in words: "Visits with VIEW (where page contains “thanks”)".

Called by the admin, on a flow's page and where revisions are compared; whatever is stored is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from personalize import conditions
from personalize.goals import document as documents
from personalize.goals.document import GoalBody, GoalInvalid, MeantEvent
from personalize.goals.types import Kind, Unit
from personalize.statistics.types import Direction


def sentence(document: Mapping[str, Any]) -> str:
    """Say what a stored goal measures, and how it is judged; or why it cannot be read."""
    try:
        body = documents.parsed({"ref": str(UUID(int=0)), "name": "-", **document})
        documents.goal_of(body)
        return "; ".join([_measured(body), *_judged(body)])
    except GoalInvalid as error:
        return str(error)


def _measured(body: GoalBody) -> str:
    return ", ".join([_KINDS[body.kind](body), *_conditions_of(body)])


def _conditions_of(body: GoalBody) -> Iterator[str]:
    if body.window_hours is not None:
        hours = f"{body.window_hours:g}"
        unit = "hour" if hours == "1" else "hours"
        yield f"within {hours} {unit} of the first exposure"
    if body.cap is not None and body.cap.value is not None:
        yield f"at most {body.cap.value:g} counted of a guest"
    if body.cap is not None and body.cap.percentile is not None:
        yield f"capped at percentile {body.cap.percentile:g}"


def _judged(body: GoalBody) -> Iterator[str]:
    if body.quantile is not None:
        yield f"compared by quantile {body.quantile:g} of the guests"
    if body.direction is Direction.DECREASE:
        yield "better when it goes down"
    if body.is_guardrail:
        yield "a guardrail"


def _who(body: GoalBody) -> str:
    is_of_visits = documents.has_unit(body) and body.unit is Unit.SESSION
    return "Visits" if is_of_visits else "Guests"


def _per(body: GoalBody) -> str:
    return "per visit" if _who(body) == "Visits" else "per guest"


def _event(meant: MeantEvent | None) -> str:
    if meant is None:
        return ""
    try:
        return conditions.event_words(meant.type, meant.where)
    except conditions.ConditionError as error:
        told = " ".join(problem.message for problem in error.problems)
        raise GoalInvalid(told) from None


def _happened(body: GoalBody) -> str:
    return f"{_who(body)} with {_event(body.event)}"


def _amount(meant: MeantEvent | None, value: str | None) -> str:
    return f"{value} of {_event(meant)}" if value else f"number of {_event(meant)}"


def _ratio(body: GoalBody) -> str:
    above, below = _amount(body.event, body.value), _amount(body.base, body.base_value)
    return f"{above[:1].upper()}{above[1:]} divided by {below}"


def _funnel(body: GoalBody) -> str:
    return f"{_who(body)} with {', then '.join(map(_event, body.steps))}"


def _back(body: GoalBody) -> str:
    first, last = body.days or (0, 0)
    return f"Guests back with {_event(body.event)}, {first} to {last} days after the first exposure"


_KINDS: Final[Mapping[Kind, Callable[[GoalBody], str]]] = {
    Kind.PAGE_VIEW: _happened,
    Kind.EVENT: _happened,
    Kind.CONVERSION: lambda body: f"{_who(body)} with an order",
    Kind.REVENUE: lambda body: f"Revenue {_per(body)}",
    Kind.AVERAGE_ORDER_VALUE: lambda body: "Revenue per order",
    Kind.COUNT: lambda body: f"Number of {_event(body.event)} {_per(body)}",
    Kind.SUM: lambda body: f"Sum of {_amount(body.event, body.value)} {_per(body)}",
    Kind.MEAN: lambda body: f"Average {_amount(body.event, body.value)}",
    Kind.RATIO: _ratio,
    Kind.FUNNEL: _funnel,
    Kind.RETENTION: _back,
    Kind.BOUNCE: lambda body: "Visits that end after one page",
}
