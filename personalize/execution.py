"""
The flow walk: run a flow for a guest, and record that it ran. Read this first.

`execute` is the list of steps, top to bottom. Every way out has a reason; a
run writes one row, the TRACKING event, into the inbox that all other events
enter by. So does a call that held its guest out of a flow.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from personalize import choosing, context, deciding, exits, matching, recording, rendering
from personalize.choosing import Chosen
from personalize.conditions import Facts
from personalize.context import Visitor
from personalize.deciding import Decided
from personalize.snapshots import FlowSnapshot
from personalize.types import FlowRequest, Gate, Outcome, Reason
from tracking.types import ClientConfig, PointOfSaleConfig
from tracking.wire.execution import FlowExecution

logger = logging.getLogger("personalize")

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
    chosen, gates, held_out = choosing.choose(
        candidates, facts, visitor, channel=request.channel, now=now
    )
    exits.count(client.id, candidates, gates, now=now)
    call = recording.Call(request, client, visitor, point_of_sale, held_out, now)
    if chosen is None:
        recording.record_held_out(call, spent_ms=_spent_ms(clock))
        return Outcome(reason=gates[-1].reason if gates else Reason.UNKNOWN_FLOW, gates=gates)
    decided = deciding.decide(chosen.definition, facts, visitor.catalog)
    _count_fault(decided, chosen, client, now=now)
    rendered = render(chosen, decided, facts, visitor)
    gate = _not_showable(chosen, rendered, request.variants)
    if gate is not None:
        exits.count(client.id, candidates, [gate], now=now)
        recording.record_held_out(call, spent_ms=_spent_ms(clock))
        return Outcome(reason=gate.reason, gates=[*gates, gate])
    spent_ms = _spent_ms(clock)
    if request.deadline_ms is not None and spent_ms > request.deadline_ms:
        # Who was late is not counted as shown, nor then as held out.
        return Outcome(reason=Reason.LATE, gates=gates)
    run = recording.record(
        call, chosen, decided, facts, gates, has_failed=bool(rendered.error), spent_ms=spent_ms
    )
    return _outcome(run, chosen, decided, rendered, gates, now=now)


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a variant's template gave: its content, or why it failed."""

    content: Any = None
    error: str = ""


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


def _outcome(
    run: FlowExecution,
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
