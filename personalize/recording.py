"""
Step of the flow walk: what a call came to -> one row in the inbox that all other events enter by.

A run becomes its TRACKING event there, with the record of why; each flow that held the guest out
becomes a HOLDOUT event.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from personalize import records
from personalize.bucketing import Assignment
from personalize.choosing import Chosen, HeldOut
from personalize.conditions import Facts
from personalize.context import Visitor
from personalize.deciding import Decided
from personalize.snapshots import FlowSnapshot
from personalize.types import FlowRequest, Gate, OfferState
from tracking import inbox
from tracking.types import BOT, ClientConfig, PointOfSaleConfig
from tracking.wire import execution as wire
from tracking.wire.common import BOT_CHANNEL

SUCCESS, ERROR, HELD_OUT = "SUCCESS", "ERROR", "HELD_OUT"


@dataclass(frozen=True, slots=True)
class Call:
    """A call as its row tells it: what was asked, by and for whom, and the flows held out of."""

    request: FlowRequest
    client: ClientConfig
    visitor: Visitor
    point_of_sale: PointOfSaleConfig
    held_out: Sequence[HeldOut]
    now: datetime


def record(
    call: Call,
    chosen: Chosen,
    decided: Decided,
    facts: Facts,
    gates: Sequence[Gate],
    *,
    has_failed: bool,
    spent_ms: int,
) -> wire.FlowExecution:
    """Record a run, with why it ran and with the flows that held the guest out before."""
    run = _execution(
        call, chosen.flow, ERROR if has_failed else SUCCESS, chosen.variant.ref, spent_ms=spent_ms
    )
    body = msgspec.structs.replace(
        _body(call, spent_ms=spent_ms),
        flow_execution=run,
        decision={
            **_numbers(chosen.flow, chosen.assignment),
            "variant": chosen.variant.name,
            **decided.summary(),
        },
        companions=_why_it_ran(call, chosen, decided, facts, gates),
    )
    _accept(call, body)
    return run


def record_held_out(call: Call, *, spent_ms: int) -> None:
    """Record a call that ran nothing, where it held the guest out; of others nothing is kept."""
    if call.held_out:
        _accept(call, _body(call, spent_ms=spent_ms))


def _accept(call: Call, body: wire.ExecutionBody) -> None:
    inbox.accept(
        client=call.client,
        dialect=wire.DIALECT,
        body=msgspec.json.encode(body),
        received_at=call.now,
    )


def _body(call: Call, *, spent_ms: int) -> wire.ExecutionBody:
    """Return the call's row without a run."""
    request, visitor = call.request, call.visitor
    return wire.ExecutionBody(
        held_out=[
            wire.HeldOut(
                flow_execution=_execution(call, each.flow, HELD_OUT, None, spent_ms=spent_ms),
                decision=_numbers(each.flow, each.assignment),
            )
            for each in call.held_out
        ],
        channel=request.channel,
        point_of_sale=call.point_of_sale.name,
        browser_id=visitor.browser_id,
        births=request.births,
        is_stranger=visitor.is_stranger,
        own_session=visitor.browser_id is None,
        language=request.language,
        currency=request.currency,
        page=request.page,
        user_agent=request.user_agent[:1024],
    )


def _execution(
    call: Call, flow: FlowSnapshot, status: str, variant_ref: UUID | None, *, spent_ms: int
) -> wire.FlowExecution:
    return wire.FlowExecution(
        ref=uuid.uuid4(),
        occurred_at=int(call.now.timestamp() * 1000),
        flow_ref=flow.ref,
        flow_friendly_id=flow.friendly_id,
        flow_variant_ref=variant_ref,
        guest_ref=call.visitor.ref,
        flow_execution_time_ms=spent_ms,
        status=status,
    )


def _numbers(flow: FlowSnapshot, assignment: Assignment) -> dict[str, Any]:
    definition = flow.definition
    return {"revision": definition.number, "phase": definition.phase, **assignment.numbers}


def _why_it_ran(
    call: Call, chosen: Chosen, decided: Decided, facts: Facts, gates: Sequence[Gate]
) -> dict[str, msgspec.Raw]:
    """Return the decision's record, to come along with the event. None is made for crawlers."""
    request, visitor = call.request, call.visitor
    is_bot = visitor.guest is not None and visitor.guest.type == BOT
    if is_bot or request.channel == BOT_CHANNEL:
        return {}
    catalog, name = visitor.catalog, chosen.flow.friendly_id
    passed = [gate.flow for gate in gates[: records.MOST_PASSED]]
    body = records.encode(
        records.Made(
            facts=facts,
            channel=request.channel,
            bucket_ref=str(visitor.bucket_ref),
            flow=name,
            gates=gates,
            asked={each: catalog.flows[each].definition for each in (*passed, name)},
            assignment=chosen.assignment,
            model=decided.model,
            model_revision=decided.revision,
            decider=decided.decider,
            decision=decided.decision,
            offers=decided.offers,
            audiences=[
                catalog.offers[ref].audience
                for ref, state in decided.offers.items()
                if state in (OfferState.HAD, OfferState.AUDIENCE)
            ],
        )
    )
    return {records.COMPANION: msgspec.Raw(body)}
