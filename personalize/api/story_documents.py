"""Why a flow ran, or did not, in its public form: the types, and what makes them of stories."""

from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from personalize.conditions import plain
from personalize.explaining import Past
from personalize.replaying import Replayed
from personalize.stories import DecisionStory, FlowStory, Share, Story
from personalize.targeting import GateReport
from personalize.types import OfferState
from tracking.api.documents import Stamp
from tracking.events import stamp

ReasonCode: TypeAlias = Annotated[
    Literal[
        "EXECUTED", "NOT_LIVE", "UNREADABLE", "CHANNEL", "PAGE", "AUDIENCE", "NOT_ALLOCATED",
        "NO_VARIANT", "HOLDOUT",
    ],
    Meta(title="ReasonCode", description="The gate that closed; EXECUTED where none did."),
]  # fmt: skip


class ConditionTold(msgspec.Struct, kw_only=True):
    """A condition, or a part of one: whether it held, on what it rests, and its parts."""

    matched: bool
    kind: Literal["all", "any", "not", "field", "event"]
    sentence: Annotated[str, Meta(examples=["Guest country “IE” is “IE”"])]
    facts: Annotated[dict[str, Any] | UnsetType, Meta(description="What was read, by name.")] = (
        UNSET
    )
    children: "list[ConditionTold] | UnsetType" = UNSET


class GateTold(msgspec.Struct, kw_only=True):
    """A gate of a flow: open or closed, because of what; `tree` where it is a condition."""

    name: Literal[
        "Live", "Site holdout", "Conditions", "Channel", "Pages", "Audience", "Traffic", "Holdout"
    ]
    open: bool
    because: list[str]
    tree: ConditionTold | None


class VariantTold(msgspec.Struct, kw_only=True):
    """
    The guest's variant. Buckets are of 100; those that were not asked for are null.

    Whoever stands below `allocation` is let in; the variant has from `low` to before `high`. With
    a `universalBucket`, 1 to 120, the variant has the buckets `low` to `high`, both included.
    """

    ref: str
    name: str
    isControl: bool
    allocationBucket: float | None
    allocation: float
    splitBucket: float | None
    universalBucket: int | None
    groupBucket: float | None
    holdoutBucket: float | None
    low: float
    high: float


class FlowTold(msgspec.Struct, kw_only=True):
    """One flow of those that the call may mean, with the gates that are known."""

    friendlyId: str
    name: str
    revision: int
    outcome: Annotated[
        Literal["SHOWN", "CLOSED", "NOT_ASKED"],
        Meta(description="NOT_ASKED: a flow before it answers."),
    ]
    reason: ReasonCode
    sentence: str
    gates: list[GateTold]
    variant: VariantTold | None


class RowTold(msgspec.Struct, kw_only=True):
    """A row that the answer rests on."""

    number: int
    because: list[str]


class OfferTold(msgspec.Struct, kw_only=True):
    """An offer that the decision asked for: whether the guest could have it, or why not."""

    ref: str
    name: str
    state: OfferState


class DecisionTold(msgspec.Struct, kw_only=True):
    """What the flow's decision model said."""

    decisionModel: str
    revision: int
    rows: list[RowTold]
    outputs: Annotated[dict[str, Any], Meta(description="By name; offers by ref.")]
    offers: list[OfferTold]
    fault: str


class Explained(msgspec.Struct, kw_only=True):
    """The whole of it: in sentences, and as trees."""

    at: Stamp
    sentences: list[str]
    flows: list[FlowTold]
    decision: DecisionTold | None


class DifferenceTold(msgspec.Struct, kw_only=True):
    """What comes out otherwise than it was recorded."""

    what: str
    recorded: Any
    replayed: Any


class ReplayTold(msgspec.Struct, kw_only=True):
    """Whether the decision, made again from its record, is the same."""

    equal: bool
    differences: list[DifferenceTold]
    notReplayable: Annotated[
        list[str], Meta(description="Why parts of it could not be made again.")
    ]
    byOutcome: Annotated[list[str], Meta(description="Parts of which only the outcome was kept.")]


class ExecutionBrief(msgspec.Struct, kw_only=True):
    """One run of a flow for a guest."""

    ref: UUID
    href: str
    clientKey: str
    executedAt: Stamp
    guestRef: UUID
    sessionRef: UUID | None
    flowRef: UUID
    friendlyId: str
    flowName: str
    revision: int
    variantRef: UUID
    status: Literal["SUCCESS", "ERROR"]
    durationMs: int


class ExecutionDocument(ExecutionBrief, kw_only=True):
    """A run with its reasons, as far as its record is still kept."""

    explanation: Annotated[
        Explained | None, Meta(description="null once the record is past its time.")
    ]
    readings: Annotated[
        dict[str, Any],
        Meta(
            description="What was read of the guest, by what was asked: fields by their names, "
            "what was done by event and window.",
            examples=[{"guest.country": "IE", "event.VIEW session": 3}],
        ),
    ]
    replay: ReplayTold | None
    now: Annotated[Explained | None, Meta(description="What the same call would come to now.")]


class ExecutionList(msgspec.Struct, kw_only=True):
    """A page of executions, newest first."""

    items: list[ExecutionBrief]
    next: Annotated[str | None, Meta(description="Address of the next, older page.")]
    previous: Annotated[str | None, Meta(description="Address of the page before.")]


class DecisionsDocument(Explained, kw_only=True):
    """What a call would come to for a guest, and what it would answer."""

    guestRef: UUID
    content: Annotated[
        Any, Meta(description="The answer: an object or a text; null where no flow would run.")
    ]
    contentError: Annotated[str, Meta(description="Why its template fails, where it does.")]


# --- of stories ------------------------------------------------------------------------


def told_past(told: Past) -> dict[str, Any]:
    """Return what is known of a run beyond its row."""
    values = told.record.recalled().values if told.record else {}
    return {
        "explanation": told_story(told.story) if told.story else None,
        "readings": {subject: plain(value) for subject, value in values.items()},
        "replay": _replay(told.replayed) if told.replayed else None,
        "now": told_story(told.now.story) if told.now else None,
    }


def told_story(story: Story) -> dict[str, Any]:
    return {
        "at": stamp(story.at),
        "sentences": story.sentences,
        "flows": [_flow(flow, is_past=story.is_past) for flow in story.flows],
        "decision": _decision(story.decision) if story.decision else None,
    }


def _flow(flow: FlowStory, *, is_past: bool) -> dict[str, Any]:
    return {
        "friendlyId": flow.friendly_id,
        "name": flow.name,
        "revision": flow.revision,
        "outcome": flow.end,
        "reason": flow.reason,
        "sentence": flow.sentence(is_past=is_past),
        "gates": [_gate(gate) for gate in flow.gates],
        "variant": _variant(flow.share) if flow.share else None,
    }


def _gate(gate: GateReport) -> dict[str, Any]:
    return {
        "name": gate.name,
        "open": gate.is_open,
        "because": list(gate.because),
        "tree": gate.explanation.as_dict() if gate.explanation else None,
    }


def _variant(share: Share) -> dict[str, Any]:
    return {
        "ref": share.mine.ref,
        "name": share.mine.name,
        "isControl": share.is_control,
        "allocationBucket": share.allocation_bucket,
        "allocation": share.percent,
        "splitBucket": share.split_bucket,
        "universalBucket": share.universal_bucket,
        "groupBucket": share.group_bucket,
        "holdoutBucket": share.holdout_bucket,
        "low": share.mine.low,
        "high": share.mine.high,
    }


def _decision(decision: DecisionStory) -> dict[str, Any]:
    return {
        "decisionModel": decision.model,
        "revision": decision.revision,
        "rows": [{"number": row.number, "because": list(row.because)} for row in decision.rows],
        "outputs": plain(decision.outputs),
        "offers": [
            {"ref": offer.ref, "name": offer.name, "state": offer.state}
            for offer in decision.offers
        ],
        "fault": decision.fault,
    }


def _replay(replayed: Replayed) -> dict[str, Any]:
    return {
        "equal": replayed.is_equal,
        "differences": [
            {
                "what": each.what,
                "recorded": plain(each.recorded),
                "replayed": plain(each.replayed),
            }
            for each in replayed.differences
        ],
        "notReplayable": replayed.obstacles,
        "byOutcome": replayed.by_outcome,
    }
