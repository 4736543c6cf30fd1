"""
The flow walk: run a flow for a guest, and record that it ran. Read this first.

`execute` is the list of steps, top to bottom. Every way out has a reason; a
run writes one row, the TRACKING event, into the inbox that all other events
enter by.
"""

import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import methodcaller
from typing import Any
from uuid import UUID

import msgspec

from personalize import (
    bucketing,
    context,
    deciding,
    exits,
    matching,
    records,
    rendering,
    targeting,
)
from personalize.conditions import Compiled, Facts
from personalize.context import Visitor
from personalize.deciding import Decided
from personalize.snapshots import Definition, FlowSnapshot, VariantSnapshot
from personalize.types import FlowRequest, Gate, OfferState, Outcome, Reason
from tracking import inbox
from tracking.types import BOT, ClientConfig, PointOfSaleConfig
from tracking.wire import execution as wire
from tracking.wire.common import BOT_CHANNEL

logger = logging.getLogger("personalize")

SUCCESS, ERROR, HELD_OUT = "SUCCESS", "ERROR", "HELD_OUT"
#: How a page builder names a component as it stands, among its variants.
DEFAULT_SUFFIX = "_default"


class UnknownPointOfSale(LookupError):
    """The client has no such storefront; the text lists those it has."""


def execute(request: FlowRequest, client: ClientConfig, *, now: datetime) -> Outcome:
    """
    Run the first flow that this request may run, and record it, and who was held out before.

    Raises UnknownPointOfSale; every other way out is an Outcome with its reason.
    """
    clock = time.perf_counter()
    point_of_sale = _point_of_sale(request, client)
    visitor = context.who(request, client)
    candidates = matching.match(visitor.catalog, request.friendly_id, now=now)
    facts = context.facts(
        request, visitor, candidates, client=client, point_of_sale=point_of_sale, now=now
    )
    _count_source_faults(candidates, facts, visitor, client, now=now)
    chosen, gates, held_out = choose(candidates, facts, visitor, channel=request.channel, now=now)
    exits.count(client.id, candidates, gates, now=now)
    body = _body(held_out, visitor, request, point_of_sale, spent_ms=_spent_ms(clock), now=now)
    if chosen is None:
        _record_held_out(body, client, now=now)
        return Outcome(reason=gates[-1].reason if gates else Reason.UNKNOWN_FLOW, gates=gates)
    decided = deciding.decide(chosen.definition, facts, visitor.catalog)
    _count_fault(decided, chosen, client, now=now)
    rendered = render(chosen, decided, facts, visitor)
    gate = _not_showable(chosen, rendered, request.variants)
    if gate is not None:
        exits.count(client.id, candidates, [gate], now=now)
        _record_held_out(body, client, now=now)
        return Outcome(reason=gate.reason, gates=[*gates, gate])
    spent_ms = _spent_ms(clock)
    if request.deadline_ms is not None and spent_ms > request.deadline_ms:
        return Outcome(reason=Reason.LATE, gates=gates)
    status = ERROR if rendered.error else SUCCESS
    run = _run(
        chosen.flow, visitor, status, variant_ref=chosen.variant.ref, spent_ms=spent_ms, now=now
    )
    why = _why_it_ran(gates, chosen, decided, facts, visitor, request)
    _record(body, run, why, chosen, decided, client, now=now)
    return _outcome(run, chosen, decided, rendered, gates, now=now)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The flow that runs, the variant that this guest gets, and the buckets that say so."""

    flow: FlowSnapshot
    variant: VariantSnapshot
    assignment: bucketing.Assignment

    @property
    def definition(self) -> Definition:
        return self.flow.definition


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A flow that this guest qualified for and is held out of, and the buckets that say so."""

    flow: FlowSnapshot
    assignment: bucketing.Assignment


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a variant's template gave: its content, or why it failed."""

    content: Any = None
    error: str = ""


def choose(
    candidates: Sequence[FlowSnapshot],
    facts: Facts,
    visitor: Visitor,
    *,
    channel: str,
    now: datetime,
    explain: bool = False,
) -> tuple[Chosen | None, list[Gate], list[HeldOut]]:
    """
    Return the first candidate whose gates are all open, and the gates that closed before it.

    Those that closed because the guest is held out of that flow are told apart.
    """
    closed: list[Gate] = []
    held_out: list[HeldOut] = []
    holds = methodcaller("matches", facts)
    why = partial(_why, facts) if explain else None
    bucket_ref = str(visitor.bucket_ref)
    for flow in candidates:
        standing = targeting.admit(
            flow.friendly_id,
            flow.definition,
            is_live=flow.is_live(now),
            channel=channel,
            holds=holds,
            bucket_ref=bucket_ref,
            kept=visitor.kept,
            segments=visitor.catalog.segments,
            site_holdout=visitor.catalog.holdout,
            why=why,
        )
        assignment = standing.assignment
        if standing.gate is not None:
            closed.append(standing.gate)
            if assignment is not None and assignment.reason == "HELD_OUT":
                held_out.append(HeldOut(flow, assignment))
            continue
        assert assignment is not None and assignment.variant_ref is not None
        variant = flow.definition.variants[assignment.variant_ref]
        return Chosen(flow, variant, assignment), closed, held_out
    return None, closed, held_out


def _why(facts: Facts, condition: Compiled) -> str:
    return "; ".join(condition.explain(facts).because())


def render(chosen: Chosen, decided: Decided, facts: Facts, visitor: Visitor) -> Rendered:
    """Fill the variant's template. One that fails is an answer of its own, never an error."""
    guest = dict(facts.guest or {})
    data = {
        "guest": {**guest, "ref": str(visitor.ref)},
        "session": facts.session,
        "request": facts.request,
        "flow": {"friendlyId": chosen.flow.friendly_id, "ref": str(chosen.flow.ref)},
        "variant": {"name": chosen.variant.name, "ref": str(chosen.variant.ref)},
        "decision": decided.outputs,
        "now": facts.now.isoformat(),
    }
    try:
        return Rendered(content=chosen.variant.template.render(data))
    except (rendering.RenderFailed, rendering.TemplateInvalid) as error:
        logger.warning(
            "variant.render_failed",
            extra={"flow": chosen.flow.friendly_id, "error": str(error)},
        )
        return Rendered(error=str(error))


def _spent_ms(clock: float) -> int:
    return int((time.perf_counter() - clock) * 1000)


def _point_of_sale(request: FlowRequest, client: ClientConfig) -> PointOfSaleConfig:
    found = client.point_of_sale(name=request.point_of_sale, site_id=request.site_id)
    if found is None and request.point_of_sale:
        valid = ", ".join(client.points_of_sale)
        given = request.point_of_sale
        raise UnknownPointOfSale(f"There is no point of sale “{given}”. Valid ones: {valid}.")
    # SDKs must be given a site's name, whether storefronts are named here or not.
    return found or client.default_point_of_sale


def _not_showable(chosen: Chosen, rendered: Rendered, variants: frozenset[str]) -> Gate | None:
    """
    Close the gate when the page says what it can show, and this is not among it.

    Nothing is recorded then: the guest saw the page's default. An id that
    ends in `_default` asks for just that default, which every page can show.
    """
    if not variants or rendered.error:
        return None
    content = rendered.content
    given = content.get("variantId") if isinstance(content, dict) else None
    if isinstance(given, str) and (given in variants or given.endswith(DEFAULT_SUFFIX)):
        return None
    return Gate(
        chosen.flow.friendly_id,
        Reason.NO_MATCHING_VARIANT,
        f"The content's variantId is {given!r}; the page can show {sorted(variants)}.",
    )


def _count_source_faults(
    candidates: Sequence[FlowSnapshot],
    facts: Facts,
    visitor: Visitor,
    client: ClientConfig,
    *,
    now: datetime,
) -> None:
    """Count a source that failed with each flow that names it."""
    if not facts.site_faults:
        return
    faults = [
        Gate(flow.friendly_id, Reason.SOURCE_FAILED)
        for flow in candidates
        if visitor.catalog.sources_of(flow.definition) & facts.site_faults.keys()
    ]
    exits.count(client.id, candidates, faults, now=now)


def _count_fault(decided: Decided, chosen: Chosen, client: ClientConfig, *, now: datetime) -> None:
    if not decided.fault:
        return
    logger.warning(
        "decision.failed",
        extra={
            "flow": chosen.flow.friendly_id,
            "decision_model": decided.model,
            "fault": decided.fault,
        },
    )
    fault = Gate(chosen.flow.friendly_id, Reason.DECISION_FAILED, decided.fault)
    exits.count(client.id, [chosen.flow], [fault], now=now)


def _body(
    held_out: Sequence[HeldOut],
    visitor: Visitor,
    request: FlowRequest,
    point_of_sale: PointOfSaleConfig,
    *,
    spent_ms: int,
    now: datetime,
) -> wire.ExecutionBody:
    """Return the call's row: whose visit it is in, and whom it held out. A run may join them."""
    return wire.ExecutionBody(
        held_out=[
            wire.HeldOut(
                flow_execution=_run(each.flow, visitor, HELD_OUT, spent_ms=spent_ms, now=now),
                decision=_numbers(each.flow, each.assignment),
            )
            for each in held_out
        ],
        channel=request.channel,
        point_of_sale=point_of_sale.name,
        browser_id=visitor.browser_id,
        births=request.births,
        is_stranger=visitor.is_stranger,
        own_session=visitor.browser_id is None,
        language=request.language,
        currency=request.currency,
        page=request.page,
        user_agent=request.user_agent[:1024],
    )


def _run(
    flow: FlowSnapshot,
    visitor: Visitor,
    status: str,
    *,
    variant_ref: UUID | None = None,
    spent_ms: int,
    now: datetime,
) -> wire.FlowExecution:
    return wire.FlowExecution(
        ref=uuid.uuid4(),
        occurred_at=int(now.timestamp() * 1000),
        flow_ref=flow.ref,
        flow_friendly_id=flow.friendly_id,
        flow_variant_ref=variant_ref,
        guest_ref=visitor.ref,
        flow_execution_time_ms=spent_ms,
        status=status,
    )


def _numbers(flow: FlowSnapshot, assignment: bucketing.Assignment) -> dict[str, Any]:
    definition = flow.definition
    return {"revision": definition.number, "phase": definition.phase, **assignment.numbers}


def _why_it_ran(
    gates: Sequence[Gate],
    chosen: Chosen,
    decided: Decided,
    facts: Facts,
    visitor: Visitor,
    request: FlowRequest,
) -> dict[str, msgspec.Raw]:
    """Return the decision's record, to come along with the event. None is made for crawlers."""
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


def _record(
    body: wire.ExecutionBody,
    run: wire.FlowExecution,
    why: dict[str, msgspec.Raw],
    chosen: Chosen,
    decided: Decided,
    client: ClientConfig,
    *,
    now: datetime,
) -> None:
    decision = {
        **_numbers(chosen.flow, chosen.assignment),
        "variant": chosen.variant.name,
        **decided.summary(),
    }
    _accept(
        msgspec.structs.replace(body, flow_execution=run, decision=decision, companions=why),
        client,
        now=now,
    )


def _record_held_out(body: wire.ExecutionBody, client: ClientConfig, *, now: datetime) -> None:
    """Record a call that ran nothing, where it held somebody out; of others nothing is kept."""
    if body.held_out:
        _accept(body, client, now=now)


def _accept(body: wire.ExecutionBody, client: ClientConfig, *, now: datetime) -> None:
    inbox.accept(
        client=client, dialect=wire.DIALECT, body=msgspec.json.encode(body), received_at=now
    )


def _outcome(
    run: wire.FlowExecution,
    chosen: Chosen,
    decided: Decided,
    rendered: Rendered,
    gates: Sequence[Gate],
    *,
    now: datetime,
) -> Outcome:
    return Outcome(
        reason=Reason.RENDER_FAILED if rendered.error else Reason.EXECUTED,
        content=rendered.content,
        content_type=chosen.variant.content_type,
        flow_ref=chosen.flow.ref,
        friendly_id=chosen.flow.friendly_id,
        variant_ref=chosen.variant.ref,
        variant_name=chosen.variant.name,
        decision=decided.outputs,
        execution_ref=run.ref,
        guest_ref=run.guest_ref,
        gates=gates,
        executed_at=now,
    )
