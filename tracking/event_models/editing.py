"""
Saving, deleting, importing and exporting event models: called by the admin and the command.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from tracking import conf, db
from tracking.event_models import catalog, fields, files
from tracking.event_models.files import Mode, ModelDocument
from tracking.models import EventModel

logger = logging.getLogger("tracking")


class Outcome(StrEnum):
    """What an import does with a model."""

    MADE = "made"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of the model of one type."""

    type: str
    outcome: Outcome


def most_extension() -> int:
    """Return how many attributes of `ext` a model may name: as many as an event may have."""
    return conf.settings().MAX_EXT_KEYS


def save(model: EventModel) -> EventModel:
    """Store a model; the walk of this process sees it at once. Raises fields.InvalidModel."""
    fault = fields.type_fault(model.event_type)
    if fault:
        raise fields.InvalidModel([fields.Fault(None, "type", fault)])
    parsed = fields.parse(model.fields, most_extension=most_extension())
    model.fields = fields.plain(parsed)
    with db.atomic():
        model.save()
        db.on_commit(catalog.forget)
    logger.info("event_model.saved", extra={"event_model": model.pk, "mode": model.mode})
    return model


def delete(model: EventModel) -> None:
    """Delete a model: events of its type are no longer judged."""
    with db.atomic():
        model.delete()
        db.on_commit(catalog.forget)


def export(client_id: int) -> str:
    """Return the document of a client's models. Raises fields.InvalidModel for one that is none."""
    rows = EventModel.objects.filter(client=client_id)
    return files.write(_document(row) for row in rows)


def import_models(
    client_id: int, models: Sequence[ModelDocument], *, dry_run: bool = False
) -> list[Change]:
    """
    Make these models, or bring those there are to what is given: all of them or none.

    Models of types that are not given stay as they are. With `dry_run`
    nothing is changed, and what would be is returned.
    """
    with db.write():
        known = {row.event_type: row for row in EventModel.objects.filter(client=client_id)}
        changes = [_change(known.get(model.type), model) for model in models]
        if not dry_run:
            for model, change in zip(models, changes, strict=True):
                if change.outcome is not Outcome.UNCHANGED:
                    _store(client_id, known.get(model.type), model)
    return changes


def _change(row: EventModel | None, model: ModelDocument) -> Change:
    if row is None:
        return Change(model.type, Outcome.MADE)
    try:
        same = _document(row) == model
    except fields.InvalidModel:
        # Written past the form: what is given mends it.
        same = False
    return Change(model.type, Outcome.UNCHANGED if same else Outcome.CHANGED)


def _store(client_id: int, row: EventModel | None, model: ModelDocument) -> None:
    row = row or EventModel(client_id=client_id, event_type=model.type)
    row.mode, row.description = model.mode, model.description
    row.fields = fields.plain(model.fields)
    save(row)


def _document(row: EventModel) -> ModelDocument:
    return ModelDocument(
        type=row.event_type,
        mode=cast(Mode, row.mode),
        description=row.description,
        fields=fields.parse(row.fields, most_extension=fields.MOST_FIELDS),
    )
