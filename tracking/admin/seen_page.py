"""What was seen of a type of event, beside what its model says: rows for the admin's pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tracking.event_models import checking, editing, fields, observing, proposing
from tracking.event_models.fields import Field
from tracking.event_models.proposing import SeenPath
from tracking.models import Event, EventModel, SeenEvent

#: Types of a model -> JSON types that fit. A float may be whole, and then an integer.
_FITTING = {"float": {"float", "integer"}, "integer": {"integer", "float"}}


@dataclass(frozen=True, slots=True)
class PropertyRow:
    """A property on the page. `share` is a percentage of the events; `misfits` counts events."""

    path: str
    count: int
    share: int
    kinds: Sequence[tuple[str, int]]
    examples: Sequence[str]
    field: Field | None
    misfits: int


@dataclass(frozen=True, slots=True)
class Misfit:
    """One of the newest events that does not fit the model, and why."""

    event: Event
    problems: Sequence[str]


def model_of(seen: SeenEvent) -> EventModel | None:
    return EventModel.objects.filter(client=seen.client_id, event_type=seen.event_type).first()


def seen_of(client_id: int, event_type: str) -> SeenEvent | None:
    return SeenEvent.objects.filter(client=client_id, event_type=event_type).first()


def proposal(seen: SeenEvent, model: EventModel | None = None) -> tuple[Field, ...]:
    """Return the fields of a model of what was seen; of those a model lacks, where there is one."""
    return proposing.propose(
        _paths(seen),
        events=seen.count,
        known=_fields(model) if model else (),
        most_extension=editing.most_extension(),
    )


def rows(
    seen: SeenEvent, model: EventModel | None, events: Sequence[Event]
) -> tuple[list[PropertyRow], list[Field]]:
    """Return a row for each property, and the fields of the model that were never seen."""
    modelled = {field.path: field for field in _fields(model)} if model else {}
    examples = observing.examples(event.data for event in events)
    found = _paths(seen)
    listed = [
        PropertyRow(
            path=each.path,
            count=min(sum(each.kinds.values()), seen.count),
            share=round(100 * each.share_of(seen.count)),
            kinds=sorted(each.kinds.items(), key=lambda item: (-item[1], item[0])),
            examples=examples.get(each.path, ()),
            field=modelled.get(each.path),
            misfits=_misfits(each, modelled.get(each.path)),
        )
        for each in found
    ]
    paths = {each.path for each in found}
    return listed, [field for path, field in modelled.items() if path not in paths]


def newest(seen: SeenEvent) -> list[Event]:
    """Return the newest events of the type that are still there, the newest first."""
    refs = [UUID(ref) for ref in seen.samples]
    return list(Event.objects.filter(ref__in=refs).order_by("-ref"))


def misfits(model: EventModel, events: Sequence[Event]) -> list[Misfit]:
    """Return those of the events that do not fit the model, whatever its mode."""
    node = checking.compiled(_fields(model))
    judged = [Misfit(event, checking.check(event.data, node)) for event in events]
    return [each for each in judged if each.problems]


def _paths(seen: SeenEvent) -> list[SeenPath]:
    kinds: dict[str, dict[str, int]] = {}
    for path, kind, count in seen.properties.order_by("path").values_list("path", "kind", "count"):
        kinds.setdefault(path, {})[kind] = count
    return [SeenPath(path, counts) for path, counts in kinds.items()]


def _fields(model: EventModel) -> tuple[Field, ...]:
    try:
        return fields.parse(model.fields, most_extension=fields.MOST_FIELDS)
    except fields.InvalidModel:
        return ()


def _misfits(seen: SeenPath, field: Field | None) -> int:
    if field is None or field.type == "any":
        return 0
    fitting: Any = _FITTING.get(field.type, {field.type})
    return _others(seen.kinds, fitting | {"null"})


def _others(kinds: Mapping[str, int], fitting: set[str]) -> int:
    return sum(count for kind, count in kinds.items() if kind not in fitting)
