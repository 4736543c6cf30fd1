"""
What a draft decision would say: for stated facts, or for a guest as a flow would ask it.

Called by the admin. Nothing is recorded and nothing counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from personalize import context, deciding, decisions, snapshots, visits
from personalize.conditions import Facts
from personalize.deciding import Decided
from personalize.decisions import CompiledTable, RowReport
from personalize.models import DecisionModel, Flow
from personalize.snapshots import Catalog, DecisionSnapshot, Definition, FlowSnapshot
from personalize.types import FlowRequest
from personalize.visits import Named
from tracking.types import ClientConfig

_MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Trial:
    """What it would say, and how each row of a table fared; a callable has none."""

    decided: Decided
    rows: Sequence[RowReport]


def with_facts(
    model: DecisionModel, client: ClientConfig, stated: Mapping[str, Any], *, now: datetime
) -> Trial:
    """Ask the draft about these facts. Raises DecisionInvalid when it cannot be read."""
    return _ask(model, _catalog(model, client), decisions.facts_of(stated, now=now))


def as_guest(
    model: DecisionModel,
    client: ClientConfig,
    guest: Named,
    *,
    page: str = "",
    now: datetime,
) -> Trial:
    """Ask the draft about a guest, on the visit that is open. Raises DecisionInvalid."""
    catalog = _catalog(model, client)
    visit = visits.visit_of(guest.guest, client, "WEB", browser_id=guest.browser_id)
    visitor = visits.visitor_of(guest.guest, visit, catalog)
    request = FlowRequest(friendly_id="", browser_id=visitor.browser_id, page=page)
    facts = context.facts(
        request,
        visitor,
        [_asking(model)],
        client=client,
        point_of_sale=visit.point_of_sale,
        now=now,
    )
    return _ask(model, catalog, facts)


def _ask(model: DecisionModel, catalog: Catalog, facts: Facts) -> Trial:
    snapshot = catalog.decision_models[model.friendly_id]
    decider = snapshot.decider
    decided = deciding.ask(snapshot, decider, facts, catalog)
    rows = decider.explain(facts, most=_MOST_ROWS) if isinstance(decider, CompiledTable) else []
    return Trial(decided, rows)


def _catalog(model: DecisionModel, client: ClientConfig) -> Catalog:
    """Return what the client runs, with the draft in place of what was published."""
    current = snapshots.catalog(client, version=snapshots.current_version(client.id))
    draft = DecisionSnapshot(model.friendly_id, model.name, 0, model.draft)
    models = {**current.decision_models, model.friendly_id: draft}
    return replace(current, decision_models=models, _needs={})


def _asking(model: DecisionModel) -> FlowSnapshot:
    """Return a flow that names the model, so that the facts of a run are loaded."""
    values = {"decisionModel": model.friendly_id, "variants": []}
    return FlowSnapshot(
        id=0,
        ref=model.ref,
        friendly_id="",
        status=Flow.Status.LIVE,
        starts_at=None,
        ends_at=None,
        definition=Definition(0, values),
    )
