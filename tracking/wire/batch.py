"""
The batch door's format: one event, or `{"events": [...]}`, each with its own verdict.

An event is the Stream API's event object with `message_id` and `occurred_at`
beside it; the names of the REST API (`messageId`, `browserId`, `pointOfSale`,
`occurredAt`) are read too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from tracking import conf, uuid7
from tracking.types import ClientConfig, Entry, Message, Refused
from tracking.wire import common, sitecore, text

DIALECT = "batch"

T = TypeVar("T")

#: Names of the REST API -> names of the event object.
_NAMES = {
    "messageId": "message_id",
    "browserId": "browser_id",
    "pointOfSale": "pos",
    "occurredAt": "occurred_at",
    "clientKey": "client_key",
}


class BatchEventBody(sitecore.EventBody, kw_only=True):
    """
    An event of a batch: named by `message_id`, happened at `occurred_at`.

    `messageId`, `browserId`, `pointOfSale` and `occurredAt` are read too.
    """

    message_id: Annotated[
        str | None,
        Meta(description="Yours, 1 to 100 characters: sent again under it, an event counts once."),
    ] = None
    occurred_at: Annotated[
        str | None, Meta(description="An ISO 8601 time; the time of receipt unless given.")
    ] = None


class BatchBody(msgspec.Struct, kw_only=True):
    """Several events in one request."""

    events: Annotated[list[BatchEventBody], Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Item:
    """One event of a request: readable and judged, or refused with a reason."""

    index: int
    raw: bytes
    payload: dict[str, Any]
    body: BatchEventBody | None
    code: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def message_id(self) -> str:
        return self.body.message_id or "" if self.body else ""


class BadEnvelope(ValueError):
    """The request as a whole cannot be taken; the text says why."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The events of one request; `is_single` when it was one event and no list."""

    items: list[Item]
    is_single: bool


def read(raw: bytes, client: ClientConfig) -> Batch:
    """
    Read the events of a request, each judged on its own.

    Raises BadEnvelope when the request is not one event or a list of them, or
    has more than MAX_BATCH_EVENTS.
    """
    events = _events(raw)
    listed = [raw] if events is None else events
    items = [_item(index, event, client) for index, event in enumerate(listed)]
    return Batch(items, is_single=events is None)


def glance(raw: bytes, client: ClientConfig) -> Batch:
    """
    Read a request as `read` does, but leave payloads alone: all that a door needs.

    What is good at first sight is not looked at again.
    """
    events = _events(raw)
    listed = [raw] if events is None else events
    items = []
    for index, event in enumerate(listed):
        body = _plainly_good(event, client)
        items.append(Item(index, event, {}, body) if body else _item(index, event, client))
    return Batch(items, is_single=events is None)


def parse(entry: Entry) -> Iterator[Message | Refused]:
    """Read the stored body of a batch request."""
    for item in read(entry.body, entry.client).items:
        index = entry.first_index + item.index
        if item.body is None:
            yield Refused(
                entry=entry, index=index, code=item.code, reason=item.reason, raw=item.raw
            )
            continue
        warnings = list(item.warnings)
        stated = common.moment(item.body.occurred_at, "occurred_at")
        yield sitecore.message(
            entry,
            item.payload,
            item.body,
            index=index,
            raw=item.raw,
            message_id=item.message_id or str(uuid7.child(entry.origin, index)),
            occurred_at=common.occurred(stated, entry.received_at, warnings),
            warnings=warnings,
            births=False,
        )


def _events(raw: bytes) -> list[bytes] | None:
    """Return the events of a list, or None when the request is one event."""
    try:
        envelope = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _events_tolerantly(raw)
    if "events" not in envelope:
        return None
    try:
        events = msgspec.json.decode(envelope["events"], type=list[msgspec.Raw])
    except msgspec.DecodeError:
        raise BadEnvelope("events is not a list of events.") from None
    return [bytes(event) for event in _counted(events)]


def _events_tolerantly(raw: bytes) -> list[bytes] | None:
    """Read a body with an odd value in it: each event is written again, without that value."""
    try:
        envelope = text.read(raw)
    except text.Unreadable as error:
        raise BadEnvelope(str(error)) from None
    if not isinstance(envelope, dict):
        raise BadEnvelope('The body is one event, or {"events": [...]}.')
    if "events" not in envelope:
        return None
    if not isinstance(envelope["events"], list):
        raise BadEnvelope("events is not a list of events.")
    return [text.rewrite(event) for event in _counted(envelope["events"])]


def _counted(events: list[T]) -> list[T]:
    limit = conf.settings().MAX_BATCH_EVENTS
    if len(events) > limit:
        raise BadEnvelope(f"events has {len(events)} entries; at most {limit} may be sent at once.")
    if not events:
        raise BadEnvelope("events is empty.")
    return events


class _BothNames(BatchEventBody, kw_only=True):
    """An event under the names of either API."""

    messageId: str | None = None
    browserId: str | None = None
    pointOfSale: str | None = None
    occurredAt: str | None = None
    clientKey: str | None = None


def _plainly_good(raw: bytes, client: ClientConfig) -> BatchEventBody | None:
    if len(raw) > conf.settings().MAX_EVENT_BYTES or not text.is_plain(raw):
        return None
    try:
        body = msgspec.json.decode(raw, type=_BothNames)
        for name, field in _NAMES.items():
            given = getattr(body, name)
            if given is not None and getattr(body, field) is not None:
                # Which of the two counts is for `read` to say.
                return None
            if given is not None:
                setattr(body, field, given)
        _check(sitecore.check(body), client)
    except (common.Rejected, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return body


def _item(index: int, raw: bytes, client: ClientConfig) -> Item:
    try:
        if len(raw) > conf.settings().MAX_EVENT_BYTES:
            limit = conf.settings().MAX_EVENT_BYTES
            raise common.Rejected("event_too_large", f"The event is larger than {limit} bytes.")
        cleaned = text.clean_unless_plain(raw)
        payload, body = _judge(cleaned.value, client)
    except (common.Rejected, text.Unstorable) as error:
        return Item(index, raw, {}, None, error.code, str(error))
    except text.Unreadable as error:
        return Item(index, raw, {}, None, "unreadable", str(error))
    return Item(index, raw, payload, body, warnings=tuple(cleaned.warnings))


def _judge(given: Any, client: ClientConfig) -> tuple[dict[str, Any], BatchEventBody]:
    if not isinstance(given, dict):
        raise common.Rejected("not_an_object", "An event is a JSON object.")
    payload: dict[str, Any] = given
    if not _NAMES.keys().isdisjoint(given):
        payload = {}
        for name, value in given.items():
            field = _NAMES.get(str(name), str(name))
            # Of two names for one thing, the one that says something counts.
            if payload.get(field) is None:
                payload[field] = value
    body = sitecore.check(sitecore.converted(payload, BatchEventBody))
    _check(body, client)
    payload.pop("client_key", None)
    return payload, body


def _check(body: BatchEventBody, client: ClientConfig) -> None:
    _check_message_id(body.message_id)
    common.moment(body.occurred_at, "occurred_at")
    _check_addressee(body, client)


def _check_message_id(message_id: str | None) -> None:
    limit = conf.settings().MAX_MESSAGE_ID_LENGTH
    if message_id is not None and not 0 < len(message_id) <= limit:
        raise common.Rejected("message_id_invalid", f"messageId has 1 to {limit} characters.")


def _check_addressee(body: BatchEventBody, client: ClientConfig) -> None:
    if body.browser_id is not None:
        if not common.browser_id(body.browser_id):
            raise common.Rejected("browser_invalid", "browserId is empty or too long.")
        return
    providers = {item.key.provider for item in sitecore.stated(body.identifiers)}
    if not providers:
        raise common.Rejected("nobody", "The event names nobody: give browserId or identifiers.")
    if not providers & set(client.rules):
        rules = ", ".join(client.rules) or "none yet"
        raise common.Rejected(
            "no_identity_rule",
            f"Without browserId an identifier must be of an identity rule's provider ({rules}).",
        )
