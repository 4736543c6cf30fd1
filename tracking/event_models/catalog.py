"""
The models of clients, compiled and kept for a few seconds. Sifting asks, editing forgets.

A model that another process changed is seen after `CLIENT_CACHE_SECONDS` at most.
"""

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.core.signals import setting_changed

from tracking import conf
from tracking.event_models import checking, fields
from tracking.event_models.checking import Node
from tracking.models import EventModel

logger = logging.getLogger("tracking")

#: Client and type of an event -> its model.
Models = Mapping[tuple[int, str], "Model"]


@dataclass(frozen=True, slots=True)
class Model:
    """A model that has a say: WARN or REJECT."""

    mode: str
    node: Node


#: Client -> its models, and until when they are believed.
_kept: dict[int, tuple[dict[str, Model], float]] = {}


def of(client_ids: Collection[int]) -> Models:
    """Return the models of these clients that have a say: one query at most, often none."""
    now = time.monotonic()
    found = {
        client_id: models
        for client_id in client_ids
        for models, until in [_kept.get(client_id, ({}, 0.0))]
        if until > now
    }
    missing = [client_id for client_id in client_ids if client_id not in found]
    if missing:
        until = now + conf.settings().CLIENT_CACHE_SECONDS
        for client_id, models in _read(missing).items():
            found[client_id] = models
            _kept[client_id] = (models, until)
    return {
        (client_id, type): model
        for client_id, models in found.items()
        for type, model in models.items()
    }


def fresh(client_ids: Collection[int]) -> Models:
    """Return the same as the database has it now."""
    forget()
    return of(client_ids)


def forget() -> None:
    """Drop what is kept in this process: after a change that must be seen at once."""
    _kept.clear()


def _read(client_ids: Collection[int]) -> dict[int, dict[str, Model]]:
    found: dict[int, dict[str, Model]] = {client_id: {} for client_id in client_ids}
    speaking = EventModel.objects.filter(client__in=client_ids).exclude(
        mode=EventModel.Mode.OBSERVE
    )
    for row in speaking:
        try:
            node = checking.compiled(fields.parse(row.fields, most_extension=fields.MOST_FIELDS))
        except fields.InvalidModel:
            # Written past the form: it must not stop the events of its type.
            logger.exception("event_model.unreadable", extra={"event_model": row.pk})
            continue
        found[row.client_id][row.event_type] = Model(row.mode, node)
    return found


def _forget_on_change(**kwargs: object) -> None:
    forget()


setting_changed.connect(_forget_on_change)
