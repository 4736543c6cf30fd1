"""
Goals as they are stored and sent: checked, and made ready to be measured by.

`read` is called when a flow is saved, over REST and in the admin, and when its published revision
is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from personalize import conditions
from personalize.goals.types import (
    AMOUNTS,
    COMMERCE,
    MICROS,
    MOST,
    RATIOS,
    Goal,
    Kind,
    Meant,
    ReadAmount,
    Unit,
)
from personalize.statistics.types import Direction

VIEW: Final = "VIEW"
MOST_HOURS: Final = 90 * 24
MOST_STEPS: Final = 10
MOST_DAYS: Final = 90


class GoalInvalid(ValueError):
    """
    A goal that cannot be measured by: the text says why, and what to do.

    part: which part of the document is at fault, where it is one alone.
    """

    def __init__(self, message: str, part: str = "") -> None:
        super().__init__(message)
        self.part = part


class MeantEvent(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which events are meant: of one type, for whose data all of `where` holds."""

    type: str
    where: list[dict[str, Any]] = []


class GoalCap(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """No guest counts for more than a value, or than a percentile of those who count at all."""

    value: float | None = None
    percentile: float | None = None


class GoalParts(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a goal says. What its kind does not use has to be left out."""

    name: str
    kind: Kind
    unit: Unit = Unit.SESSION
    direction: Direction = Direction.INCREASE
    is_guardrail: bool = False
    #: None: within the visit of the exposure.
    window_hours: float | None = None
    event: MeantEvent | None = None
    #: Path of the property that is added up.
    value: str | None = None
    base: MeantEvent | None = None
    base_value: str | None = None
    steps: list[MeantEvent] = []
    #: From which day to which after the first exposure.
    days: Annotated[list[int], Meta(min_length=2, max_length=2)] | None = None
    cap: GoalCap | None = None
    quantile: float | None = None


class GoalBody(GoalParts, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A goal as it is published: named by a ref."""

    ref: UUID


def read(document: object) -> Goal:
    """Check a stored goal and make it ready. Raises GoalInvalid."""
    return goal_of(parsed(document))


def parsed(document: object) -> GoalBody:
    """Return a stored goal by its parts, before they are checked together. Raises GoalInvalid."""
    try:
        return msgspec.convert(document, GoalBody)
    except msgspec.ValidationError as error:
        raise GoalInvalid(str(error)) from None


def goal_of(body: GoalBody) -> Goal:
    """Make a goal ready. Raises GoalInvalid with a sentence that says what to change."""
    if not body.name.strip():
        raise GoalInvalid("A goal needs a name.", "name")
    _check_parts(body)
    _check_numbers(body)
    unit = Unit.GUEST if _is_of_guests(body) else body.unit
    cap = body.cap or GoalCap()
    return Goal(
        ref=body.ref,
        name=body.name.strip(),
        kind=body.kind,
        unit=unit,
        direction=body.direction,
        is_guardrail=body.is_guardrail,
        window=timedelta(hours=body.window_hours) if body.window_hours is not None else None,
        events=_events(body),
        base=_meant(body.base, body.base_value, "base") if body.base else None,
        returns=_returns(body),
        cap=None if cap.value is None else _micros(cap.value),
        cap_percentile=cap.percentile,
        quantile=body.quantile,
    )


def _is_of_guests(body: GoalParts) -> bool:
    """What goes by time from the first exposure has no visits to be told of."""
    return body.window_hours is not None or body.kind is Kind.RETENTION


#: Kind -> the parts that it needs, of those that not every kind has; then those it may have.
NEEDS: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.PAGE_VIEW: frozenset({"event"}),
    Kind.EVENT: frozenset({"event"}),
    Kind.COUNT: frozenset({"event"}),
    Kind.SUM: frozenset({"event", "value"}),
    Kind.MEAN: frozenset({"event", "value"}),
    Kind.RATIO: frozenset({"event", "base"}),
    Kind.FUNNEL: frozenset({"steps"}),
    Kind.RETENTION: frozenset({"event", "days"}),
}
MAY: Final[Mapping[Kind, frozenset[str]]] = {Kind.RATIO: frozenset({"value", "baseValue"})}
_WORDS: Final[Mapping[str, str]] = {
    "event": "which event it is about",
    "value": "which property of the event is added up",
    "base": "the event that it is divided by",
    "baseValue": "a property of the event that it is divided by",
    "steps": "two steps or more, in their order",
    "days": "from which day to which after the first exposure somebody has to be back",
}


def _check_parts(body: GoalBody) -> None:
    name, kind = body.name, body.kind
    given = {
        name
        for name, value in (
            ("event", body.event),
            ("value", body.value),
            ("base", body.base),
            ("baseValue", body.base_value),
            ("steps", body.steps),
            ("days", body.days),
        )
        if value
    }
    needed = NEEDS.get(kind, frozenset())
    for part in sorted(needed - given):
        raise GoalInvalid(f"Goal “{name}” has to say {_WORDS[part]}.", part)
    for part in sorted(given - needed - MAY.get(kind, frozenset())):
        raise GoalInvalid(
            f"Goal “{name}” is of the kind {kind}, which does not use {part}: "
            "leave it out, or choose another kind.",
            part,
        )
    if kind is Kind.PAGE_VIEW and body.event and body.event.type != VIEW:
        raise GoalInvalid(f"Goal “{name}” is about pages, so its event is {VIEW}.", "event")
    if kind is Kind.FUNNEL and not 2 <= len(body.steps) <= MOST_STEPS:
        raise GoalInvalid(f"Funnel “{name}” needs 2 to {MOST_STEPS} steps.", "steps")
    if kind is Kind.BOUNCE and (body.window_hours is not None or body.unit is Unit.GUEST):
        raise GoalInvalid(
            f"Goal “{name}”: a bounce is of a visit; leave unit and time out.", "windowHours"
        )
    if kind is Kind.RETENTION and body.window_hours is not None:
        raise GoalInvalid(
            f"Goal “{name}”: who is back goes by days; leave windowHours out.", "windowHours"
        )


def _check_numbers(body: GoalBody) -> None:
    name, hours, days = body.name, body.window_hours, body.days
    if hours is not None and not 0 < hours <= MOST_HOURS:
        raise GoalInvalid(
            f"Goal “{name}”: windowHours is more than 0 and at most {MOST_HOURS}.", "windowHours"
        )
    if days is not None and not 0 <= days[0] < days[1] <= MOST_DAYS:
        raise GoalInvalid(
            f"Goal “{name}”: days go up, from 0 to {MOST_DAYS}, such as 1 to 7.",
            "days",
        )
    if body.cap is not None:
        _check_cap(body, body.cap)
    if body.quantile is not None:
        _check_quantile(body, body.quantile)


def _check_cap(body: GoalBody, cap: GoalCap) -> None:
    name, value, percentile = body.name, cap.value, cap.percentile
    if (value is None) == (percentile is None):
        raise GoalInvalid(f"Goal “{name}”: a cap is either a value or a percentile.", "cap")
    if value is not None and not 0 < value * MICROS <= MOST:
        raise GoalInvalid(f"Goal “{name}”: a cap is more than 0.", "cap")
    if percentile is not None and not 50 <= percentile < 100:
        raise GoalInvalid(f"Goal “{name}”: a percentile to cap at is 50 to less than 100.", "cap")
    if body.kind not in AMOUNTS:
        raise GoalInvalid(f"Goal “{name}”: only revenue, counts and sums can be capped.", "cap")


def _check_quantile(body: GoalBody, quantile: float) -> None:
    name = body.name
    if not 0 < quantile < 1:
        raise GoalInvalid(f"Goal “{name}”: a quantile is between 0 and 1, such as 0.9.", "quantile")
    if body.kind not in AMOUNTS:
        raise GoalInvalid(f"Goal “{name}”: quantiles are of revenue, counts and sums.", "quantile")
    if not _is_of_guests(body) and body.unit is not Unit.GUEST:
        raise GoalInvalid(
            f"Goal “{name}”: quantiles are of guests: count it per guest (unit GUEST).", "quantile"
        )


def _events(body: GoalBody) -> tuple[Meant, ...]:
    if body.kind in COMMERCE or body.kind is Kind.BOUNCE:
        return ()
    if body.kind is Kind.FUNNEL:
        return tuple(_meant(step, None, "steps") for step in body.steps)
    assert body.event is not None
    return (_meant(body.event, body.value, "event"),)


def _returns(body: GoalBody) -> tuple[timedelta, timedelta] | None:
    if body.days is None:
        return None
    return timedelta(days=body.days[0]), timedelta(days=body.days[1])


def _meant(body: MeantEvent, value: str | None, part: str) -> Meant:
    try:
        passes = conditions.event_test(body.type, body.where)
    except conditions.ConditionError as error:
        told = " ".join(problem.message for problem in error.problems)
        raise GoalInvalid(told, part) from None
    return Meant(body.type, passes, _amount_at(value) if value else None)


def _amount_at(path: str) -> ReadAmount:
    values: Callable[[object], tuple[object, ...]] = conditions.values_at(path)

    def amount(data: Mapping[str, object]) -> int | None:
        numbers = [conditions.as_number(each) for each in values(data)]
        found = [_micros(number) for number in numbers if number is not None]
        return sum(found) if found else None

    return amount


def measures_alike(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Say whether two stored goals measure the same, whatever they are called and wanted for."""
    return _measuring(left) == _measuring(right)


def _measuring(document: Mapping[str, Any]) -> object:
    kept = {name: value for name, value in document.items() if name not in _JUDGING}
    cap = kept.pop("cap", None) or {}
    try:
        # What is left out and what is said as it is anyway are one.
        parts = msgspec.convert({**kept, "name": "-"}, GoalParts)
    except msgspec.ValidationError:
        return {**kept, "cap": cap.get("value")}
    if not has_unit(parts):
        parts.unit = Unit.SESSION
    return msgspec.to_builtins(parts), cap.get("value")


#: What says how a goal's numbers are judged, and not what they are.
_JUDGING: Final = frozenset({"ref", "name", "direction", "isGuardrail", "quantile"})


def has_unit(body: GoalParts) -> bool:
    """Say whether it is told per visit or per guest: not of ratios, nor by time."""
    return body.kind not in RATIOS and not _is_of_guests(body)


def _micros(value: float) -> int:
    # Bounded first: what is multiplied may be too large for a float.
    most = MOST // MICROS
    return round(max(-most, min(most, value)) * MICROS)
