"""
What a call of flows came to, written by the flow walk into the inbox as one row.

A run becomes the TRACKING event; a flow that the guest qualified for and was held out of
becomes a HOLDOUT event, so that those who saw it can be compared with those who did not.

The flow walk builds the body with `ExecutionBody`; the event walk reads it
with `parse`. The run names its guest itself, so that the event says what ran
for whom even if the guest is merged before the event is recorded.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from tracking import uuid7
from tracking.types import (
    BROWSER,
    HOLDOUT_TYPE,
    TRACKING_TYPE,
    Entry,
    IdentifierKey,
    Message,
    Refused,
)
from tracking.wire import common

DIALECT = "execution"


class FlowExecution(msgspec.Struct, kw_only=True, rename="camel"):
    """
    What ran: the eight fields that the TRACKING event carries, in their order.

    A guest who was held out has no variant; the status is HELD_OUT.
    """

    ref: UUID
    #: Milliseconds since 1970.
    occurred_at: int
    flow_ref: UUID
    flow_friendly_id: str
    flow_variant_ref: UUID | None
    guest_ref: UUID
    flow_execution_time_ms: int
    status: str


class HeldOut(msgspec.Struct, kw_only=True, rename="camel"):
    """A flow that the guest was held out of, and the buckets that say so."""

    flow_execution: FlowExecution
    decision: dict[str, Any]


class ExecutionBody(msgspec.Struct, kw_only=True, rename="camel"):
    """A run, the flows before it that the guest was held out of, and the visit they belong to."""

    channel: str
    point_of_sale: str
    flow_execution: FlowExecution | None = None
    held_out: list[HeldOut] = []
    browser_id: str | None = None
    births: bool = False
    is_stranger: bool = False
    own_session: bool = False
    language: str = ""
    currency: str = ""
    page: str = ""
    user_agent: str = ""
    #: Why this variant, in brief: what the event says of it.
    decision: dict[str, Any] = {}
    #: What other apps keep beside the event, by name, as they wrote it.
    companions: dict[str, msgspec.Raw] = {}


_decoder = msgspec.json.Decoder(ExecutionBody)


def parse(entry: Entry) -> Iterator[Message | Refused]:
    """Read the run of an entry, and whom it held out before."""
    try:
        body = _decoder.decode(entry.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        yield Refused(
            entry=entry,
            index=entry.first_index,
            code="invalid_execution",
            reason=str(error),
            raw=entry.body,
            type=TRACKING_TYPE,
        )
        return
    parts = _parts(body)
    for offset, part in enumerate(parts):
        # Held back and sent round again, a message is alone in its row.
        raw = entry.body if len(parts) == 1 else msgspec.json.encode(part)
        yield _message(part, entry, entry.first_index + offset, raw)


def _parts(body: ExecutionBody) -> list[ExecutionBody]:
    """Return a body of one message for each that this one has: first those that were held out."""
    if not body.held_out or (body.flow_execution is None and len(body.held_out) == 1):
        return [body]
    parts = [
        msgspec.structs.replace(
            body, flow_execution=None, held_out=[each], decision={}, companions={}
        )
        for each in body.held_out
    ]
    if body.flow_execution is not None:
        parts.append(msgspec.structs.replace(body, held_out=[]))
    return parts


def _message(body: ExecutionBody, entry: Entry, index: int, raw: bytes) -> Message:
    """Return the message of a body that has one."""
    run, decision, type = body.flow_execution, body.decision, TRACKING_TYPE
    if run is None:
        (held,) = body.held_out
        run, decision, type = held.flow_execution, held.decision, HOLDOUT_TYPE
    return Message(
        ref=uuid7.child(entry.origin, index),
        message_id=str(run.ref),
        client_id=entry.client.id,
        entry=entry,
        index=index,
        raw=raw,
        dialect=entry.dialect,
        type=type,
        occurred_at=datetime.fromtimestamp(run.occurred_at / 1000, tz=UTC),
        received_at=entry.received_at,
        speaker=IdentifierKey(BROWSER, body.browser_id) if body.browser_id else None,
        births=body.births,
        guest_ref=run.guest_ref,
        is_stranger=body.is_stranger,
        channel=body.channel,
        point_of_sale=common.point_of_sale(entry, body.point_of_sale, []),
        language=body.language,
        currency=body.currency,
        user_agent=body.user_agent,
        data={"flowExecution": msgspec.to_builtins(run), "decision": decision},
        flow_execution_ref=run.ref,
        flow_ref=run.flow_ref,
        own_session=body.own_session,
        companions={name: bytes(raw) for name, raw in body.companions.items()},
    )
