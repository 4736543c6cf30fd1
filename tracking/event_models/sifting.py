"""
Step of the event walk, before anything is locked: messages against their clients' models.

A model that observes has no say here. One that warns adds to an event's
warnings; one that rejects has the message set aside, with what does not fit.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Final, TypeAlias
from uuid import UUID

from tracking import db, suppression
from tracking.event_models import catalog, checking
from tracking.event_models.catalog import Models
from tracking.models import Event, EventModel
from tracking.types import SERVER_TYPES, Message, Refused

logger = logging.getLogger("tracking")

#: Reason under which a message is set aside that its model rejects.
CODE: Final = "event_model"

#: Who asks to be forgotten is, whatever else the event has or lacks.
_ALWAYS_LET_IN: Final = frozenset({suppression.BLOCKS, suppression.UNBLOCKS, suppression.DELETES})

_Read: TypeAlias = Callable[[Collection[int]], Models]
_Problems: TypeAlias = dict[UUID, list[str]]


def sift(messages: Sequence[Message]) -> tuple[list[Message], list[Refused]]:
    """
    Return the messages to walk, some with more warnings, and those to set aside.

    One query, which the next few seconds do without; where something is to be
    set aside, three more.
    """
    models = _models(messages, catalog.of)
    if not models:
        return list(messages), []
    problems = _judge(messages, models)
    rejected = _rejected(messages, problems, models)
    if rejected:
        # The model may have been mended since it was read, and this be the replay.
        models = _models(messages, catalog.fresh)
        problems = _judge(messages, models)
        rejected = _to_refuse(_rejected(messages, problems, models))
    refused = {message.ref: _refused(message, problems[message.ref]) for message in rejected}
    kept = [_warned(each, problems, models) for each in messages if each.ref not in refused]
    return kept, list(refused.values())


def _models(messages: Sequence[Message], read: _Read) -> Models:
    # Runs of flows are the server's own, and most of what there is: they ask for nothing.
    clients = {message.client_id for message in messages if message.type not in SERVER_TYPES}
    return read(clients) if clients else {}


def _judge(messages: Sequence[Message], models: Models) -> _Problems:
    found: _Problems = {}
    for message in messages:
        model = models.get((message.client_id, message.type))
        if model is None or message.type in SERVER_TYPES:
            continue
        try:
            problems = checking.check(message.data, model.node)
        except Exception:
            # A fault of the checking must not keep an event out.
            logger.exception("event_model.failed", extra={"event": str(message.ref)})
            continue
        if problems:
            found[message.ref] = problems
    return found


def _rejected(messages: Sequence[Message], problems: _Problems, models: Models) -> list[Message]:
    return [
        message
        for message in messages
        if problems.get(message.ref) and _mode(message, models) == EventModel.Mode.REJECT
    ]


def _mode(message: Message, models: Models) -> str:
    model = models.get((message.client_id, message.type))
    mode = model.mode if model else EventModel.Mode.OBSERVE
    if mode == EventModel.Mode.REJECT and message.type in _ALWAYS_LET_IN:
        return EventModel.Mode.WARN
    return mode


def _to_refuse(rejected: Sequence[Message]) -> list[Message]:
    """
    Leave out what the walk drops by itself, so that it is not kept in the quarantine instead.

    That is what is said of people of whom nothing may be recorded, and
    repeats of what was recorded before the model had its say.
    """
    if not rejected:
        return []
    among, ids = db.in_list("message_id", [message.message_id for message in rejected])
    among_clients, clients = db.in_list("client_id", sorted({m.client_id for m in rejected}))
    with db.cursor() as cursor:
        cursor.execute(
            f'SELECT client_id, message_id FROM "{Event._meta.db_table}" '
            f"WHERE {among_clients} AND {among}",
            clients + ids,
        )
        recorded = set(cursor.fetchall())
    return [
        message
        for message in suppression.allowed(rejected)
        if (message.client_id, message.message_id) not in recorded
    ]


def _warned(message: Message, problems: _Problems, models: Models) -> Message:
    found = problems.get(message.ref)
    if not found or _mode(message, models) != EventModel.Mode.WARN:
        return message
    return replace(message, warnings=(*message.warnings, *found))


def _refused(message: Message, problems: Sequence[str]) -> Refused:
    return Refused(
        entry=message.entry,
        index=message.index,
        code=CODE,
        reason="\n".join(problems),
        raw=message.raw,
        type=message.type,
    )
