"""
A goal as the values of inputs and back: what a form shows of it, and what it stores.

`goal_forms` calls it. What a kind has no use for is left out, whatever stands in its input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from personalize.admin import goal_events
from personalize.admin.condition_rows import Row
from personalize.admin.goal_events import EventLine
from personalize.goals import document as documents
from personalize.goals.document import MAY, NEEDS, VIEW, GoalBody, GoalInvalid
from personalize.goals.types import AMOUNTS, RATIOS, Kind, Unit

#: Comparisons of pages that have an input of their own.
PAGE_OPERATORS: Final = ("contains", "is", "starts_with", "matches_regex")
#: Inputs that hold events.
EVENTS: Final = ("event", "base", "steps")
_PAGE: Final = "page"
#: Values of the input that says when something counts, and of the one for caps.
VISIT, HOURS = "visit", "hours"
VALUE, PERCENTILE = "value", "percentile"


def uses(kind: Kind) -> frozenset[str]:
    """Return the inputs that a kind has a use for, beside those that all have."""
    found = {*NEEDS.get(kind, ()), *MAY.get(kind, ())}
    if kind is Kind.PAGE_VIEW:
        found.add("page")
    if kind not in RATIOS and kind is not Kind.RETENTION:
        found.add("unit")
    if kind not in (Kind.BOUNCE, Kind.RETENTION):
        found.add("within")
    if kind in AMOUNTS:
        found |= {"cap", "quantile"}
    return frozenset(found)


def events_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return all events that a stored goal names."""
    named = [document.get("event"), document.get("base"), *(document.get("steps") or ())]
    return [event for event in named if isinstance(event, Mapping)]


def shown(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """
    Return what inputs show of a stored goal, None where they cannot hold it.

    By the names of the inputs; events are lists of EventLine.
    """
    body = _parsed(document)
    values = _shown(body, document) if body is not None else None
    if values is None:
        return None
    known = goal_events.known_nodes(events_of(document))
    events = {
        name: [goal_events.stored_of(line, known) for line in values[name]] for name in EVENTS
    }
    return values if _parsed(document_of(values, events, known)) == body else None


def same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Say whether two stored goals say the same, however much goes without saying."""
    found = _parsed(left)
    return found is not None and found == _parsed(right)


def _parsed(document: Mapping[str, Any]) -> GoalBody | None:
    try:
        body = documents.parsed({**document, "ref": str(UUID(int=0)), "name": "-"})
    except GoalInvalid:
        return None
    if not documents.has_unit(body):
        body.unit = Unit.SESSION
    return body


def _shown(body: GoalBody, document: Mapping[str, Any]) -> dict[str, Any] | None:
    event = document.get("event")
    lines = {
        "event": [goal_events.shown(event)] if event else [],
        "base": [goal_events.shown(document["base"])] if body.base else [],
        "steps": [goal_events.shown(step) for step in document.get("steps") or ()],
    }
    if not all(all(found) for found in lines.values()):
        return None
    values: dict[str, Any] = {
        "kind": body.kind.value,
        **lines,
        "value": body.value or "",
        "base_value": body.base_value or "",
        "days_from": body.days[0] if body.days else None,
        "days_to": body.days[1] if body.days else None,
        "unit": body.unit.value,
        "direction": body.direction.value,
        "is_guardrail": body.is_guardrail,
        "within": VISIT if body.window_hours is None else HOURS,
        "hours": _short(body.window_hours),
        "quantile": body.quantile,
        "page_operator": PAGE_OPERATORS[0],
        "page": "",
        "cap_kind": "",
        "cap": None,
    }
    if body.cap is not None:
        is_value = body.cap.value is not None
        values["cap_kind"] = VALUE if is_value else PERCENTILE
        values["cap"] = _short(body.cap.value if is_value else body.cap.percentile)
    if body.kind is Kind.PAGE_VIEW:
        _show_page(values)
    return values


def _short(number: float | None) -> float | None:
    """Return a whole number as one, as it is typed."""
    return int(number) if number is not None and number == int(number) else number


def _show_page(values: dict[str, Any]) -> None:
    """Show the first comparison of the page in the input that is there for it."""
    (line,) = values["event"] or [EventLine(VIEW)]
    if line.rows and line.rows[0].detail == _PAGE and line.rows[0].operator in PAGE_OPERATORS:
        values["page_operator"], values["page"] = line.rows[0].operator, line.rows[0].value
        line = EventLine(line.type, line.rows[1:])
    # Its type is the one that there is for pages.
    values["event"] = [EventLine("", line.rows)] if line.rows else []


def document_of(
    values: Mapping[str, Any],
    events: Mapping[str, list[dict[str, Any]]],
    known: Mapping[Row, Any],
) -> dict[str, Any]:
    """
    Return the goal that inputs stand for. Whether it is a good one, `documents.read` says.

    events: those of the inputs EVENTS, as they are stored. known: the comparisons that there were.
    """
    kind = Kind(values["kind"])
    used = uses(kind)
    is_by_hours = "within" in used and values.get("within") == HOURS
    found: dict[str, Any] = {
        "kind": kind.value,
        "unit": values.get("unit") if "unit" in used and not is_by_hours else None,
        "direction": values.get("direction"),
        "isGuardrail": bool(values.get("is_guardrail")),
        "windowHours": values.get("hours") if is_by_hours else None,
        "event": _event(values, events["event"], known) if "event" in used else None,
        "value": str(values.get("value") or "").strip() if "value" in used else None,
        "base": next(iter(events["base"]), None) if "base" in used else None,
        "baseValue": str(values.get("base_value") or "").strip() if "baseValue" in used else None,
        "steps": events["steps"] if "steps" in used else None,
        "days": [values.get("days_from"), values.get("days_to")] if "days" in used else None,
        "cap": _cap(values) if "cap" in used else None,
        "quantile": values.get("quantile") if "quantile" in used else None,
    }
    return {name: value for name, value in found.items() if value not in (None, [], "")}


def _event(
    values: Mapping[str, Any], events: list[dict[str, Any]], known: Mapping[Row, Any]
) -> dict[str, Any] | None:
    event = next(iter(events), None)
    if values["kind"] != Kind.PAGE_VIEW:
        return event
    page = str(values.get("page") or "").strip()
    operator = str(values.get("page_operator") or PAGE_OPERATORS[0])
    rows = (Row("", _PAGE, operator, page),) if page else ()
    made = goal_events.stored_of(EventLine(VIEW, rows), known)
    where = [*made.get("where", ()), *((event or {}).get("where") or ())]
    return {"type": VIEW, **({"where": where} if where else {})}


def _cap(values: Mapping[str, Any]) -> dict[str, Any] | None:
    kind, cap = values.get("cap_kind"), values.get("cap")
    return {kind: cap} if kind in (VALUE, PERCENTILE) and cap is not None else None
