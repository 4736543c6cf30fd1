"""
Step of the flow walk: ask the decision model that a flow names, and turn offers into objects.

An offer is an answer only if it is live, within its dates, and its audience holds for this guest:
a row that names another one is passed by, as its hit policy would have it without that row, and a
default that cannot be had is null. Whatever is broken (a model that is gone or not readable any
more, an offer that was deleted, a callable that raises) leaves the outputs at their defaults; the
flow runs on, and `fault` says what it was.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from personalize import decisions
from personalize.conditions import Facts
from personalize.decisions import Decider, Decision, OutputType
from personalize.snapshots import Catalog, DecisionSnapshot, Definition
from personalize.types import OfferState

logger = logging.getLogger("personalize")

#: What a TRACKING event keeps of a decision: the rest follows from its revision and rows.
_MOST_RECORDED_BYTES = 2048
_MOST_RECORDED_ROWS = 100


@dataclass(frozen=True, slots=True)
class Decided:
    """
    What a flow's decision model said.

    model: its friendly id; empty when the flow names none. outputs: as templates read them,
    offers as objects. decision: the same by reference, with the rows it rests on. offers: by
    ref, of those it asked for, whether the guest could have them. decider: who was asked; None
    where the flow names no model, or one that cannot be read.
    """

    model: str = ""
    revision: int = 0
    outputs: Mapping[str, Any] = field(default_factory=dict)
    decision: Decision = Decision({})
    offers: Mapping[str, OfferState] = field(default_factory=dict)
    decider: Decider | None = None

    @property
    def fault(self) -> str:
        return self.decision.fault

    def summary(self) -> dict[str, Any]:
        """Return what the TRACKING event says of it: at most a few KiB, offers by ref."""
        if not self.model:
            return {}
        recorded: dict[str, Any] = {
            "model": self.model,
            "revision": self.revision,
            "rows": list(self.decision.rows[:_MOST_RECORDED_ROWS]),
        }
        if len(msgspec.json.encode(self.decision.outputs)) <= _MOST_RECORDED_BYTES:
            recorded["outputs"] = dict(self.decision.outputs)
        if self.fault:
            recorded["fault"] = self.fault
        return {"decision": recorded}


def decide(definition: Definition, facts: Facts, catalog: Catalog) -> Decided:
    """Ask the model that the flow names. Never raises: what is broken is a fault."""
    name = definition.decision_model
    if not name:
        return Decided()
    model = catalog.decision_models.get(name)
    if model is None:
        return Decided(model=name, decision=Decision({}, (), f"There is no decision “{name}”."))
    try:
        decider = model.decider
    except decisions.DecisionInvalid as error:
        outputs = decisions.fallback(model.document)
        decision = Decision(outputs, (), f"It cannot be read any more: {error}")
        return Decided(name, model.number, outputs, decision)
    return ask(model, decider, facts, catalog)


def ask(model: DecisionSnapshot, decider: Decider, facts: Facts, catalog: Catalog) -> Decided:
    """Ask one model, with the client's offers as they stand."""
    states: dict[str, OfferState] = {}

    def has_offer(ref: str) -> bool | None:
        if ref not in states:
            offer = catalog.offers.get(ref)
            states[ref] = offer.state(facts) if offer else OfferState.BROKEN
        return states[ref].is_had

    decision = decider.decide(facts, has_offer=has_offer)
    offered = {output.name for output in decider.outputs if output.type is OutputType.OFFER}
    outputs = {
        name: _shown(value, catalog) if name in offered else value
        for name, value in decision.outputs.items()
    }
    return Decided(model.friendly_id, model.number, outputs, decision, states, decider)


def _shown(value: Any, catalog: Catalog) -> Any:
    """Return an offer, or a list of them, as objects; anything else (a count) as it is."""
    if isinstance(value, list):
        return [_shown(item, catalog) for item in value]
    return catalog.offers[value].content if isinstance(value, str) else value
