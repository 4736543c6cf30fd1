"""What is told of one flow and its decision, by whatever explains their conditions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from personalize import bucketing, targeting
from personalize.bucketing import NOTHING_KEPT, Assignment, Kept, SiteHoldout
from personalize.conditions import Compiled, Explanation
from personalize.decisions import CompiledTable, Decider, RowReport
from personalize.snapshots import Definition
from personalize.stories import End, FlowStory, OfferStory, Share, share_of
from personalize.types import OfferState, Reason

Explain = Callable[[Compiled], Explanation]


def flow_story(
    name: str,
    definition: Definition,
    *,
    is_live: bool | None,
    channel: str,
    explain: Explain,
    bucket_ref: str,
    kept: Kept = NOTHING_KEPT,
    segments: Collection[str] | None = None,
    site_holdout: SiteHoldout | None = None,
    is_answered: bool = False,
    is_past: bool = False,
) -> FlowStory:
    """
    Tell one flow: all its gates, or of a past run those that were asked.

    `segments`: the friendly ids of all that there are; None where those that it names were there.
    """
    gates: list[targeting.GateReport] = []
    for gate in targeting.told(
        name,
        definition,
        is_live=is_live,
        channel=channel,
        explain=explain,
        bucket_ref=bucket_ref,
        kept=kept,
        segments=segments,
        site_holdout=site_holdout,
    ):
        gates.append(gate)
        if is_past and not gate.is_open:
            break
    closed = next((gate for gate in gates if not gate.is_open), None)
    end = End.CLOSED if closed else End.NOT_ASKED if is_answered else End.SHOWN
    assignment = bucketing.assign(traffic=definition.traffic, bucket_ref=bucket_ref, kept=kept)
    return FlowStory(
        friendly_id=name,
        name=name_of(definition),
        revision=definition.number,
        end=end,
        reason=closed.reason if closed else Reason.EXECUTED,
        gates=gates,
        share=share(definition, assignment) if end is End.SHOWN else None,
    )


def name_of(definition: Definition) -> str:
    return str(definition.values.get("name") or "")


def share(definition: Definition, assignment: Assignment) -> Share | None:
    names = {
        ref: (variant.name, variant.is_control) for ref, variant in definition.variants.items()
    }
    return share_of(definition, assignment, names)


def rows(decider: Decider | None, numbers: Sequence[int], explain: Explain) -> list[RowReport]:
    return decider.explain_rows(explain, numbers) if isinstance(decider, CompiledTable) else []


def offers(states: Mapping[str, OfferState], names: Mapping[str, str]) -> list[OfferStory]:
    return [OfferStory(ref, names.get(ref, ref), state) for ref, state in states.items()]
