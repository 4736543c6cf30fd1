"""
Step of the flow walk: candidates and facts -> the first flow whose gates are all open.

Asked by the walk, and by whoever shows what it would come to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import methodcaller

from personalize import bucketing, targeting
from personalize.conditions import Compiled, Facts
from personalize.context import Visitor
from personalize.snapshots import Definition, FlowSnapshot, VariantSnapshot
from personalize.types import Gate


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
