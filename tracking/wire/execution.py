"""
A flow's run, written by the flow walk into the inbox: it becomes the TRACKING event.

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
from tracking.types import BROWSER, TRACKING_TYPE, Entry, IdentifierKey, Message, Refused
from tracking.wire import common

DIALECT = "execution"


class FlowExecution(msgspec.Struct, kw_only=True, rename="camel"):
    """What ran: the eight fields that the TRACKING event carries, in their order."""

    ref: UUID
    #: Milliseconds since 1970.
    occurred_at: int
    flow_ref: UUID
    flow_friendly_id: str
    flow_variant_ref: UUID
    guest_ref: UUID
    flow_execution_time_ms: int
    status: str


class ExecutionBody(msgspec.Struct, kw_only=True, rename="camel"):
    """A run and the visit it belongs to."""

    flow_execution: FlowExecution
    channel: str
    point_of_sale: str
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
    """Read the one run of an entry."""
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
    run = body.flow_execution
    ref = uuid7.child(entry.origin, entry.first_index)
    yield Message(
        ref=ref,
        message_id=str(run.ref),
        client_id=entry.client.id,
        entry=entry,
        index=entry.first_index,
        raw=entry.body,
        dialect=entry.dialect,
        type=TRACKING_TYPE,
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
        data={
            "flowExecution": msgspec.to_builtins(run),
            "decision": body.decision,
        },
        flow_execution_ref=run.ref,
        flow_ref=run.flow_ref,
        own_session=body.own_session,
        companions={name: bytes(raw) for name, raw in body.companions.items()},
    )
