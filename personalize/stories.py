"""
PURE. Why a flow ran for a guest, or did not: gate by gate, and in sentences.

Made by `explaining`, of facts for what would be now and of what was read then for a past run; shown
by the command, the API and the admin alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from personalize import bucketing
from personalize.bucketing import Assignment, Split, Traffic
from personalize.conditions.wording import show
from personalize.decisions import RowReport
from personalize.targeting import Gated, GateReport
from personalize.types import OfferState, Reason

_MOST_ROWS_TOLD = 5


class End(StrEnum):
    """How it ended with one flow."""

    SHOWN = "SHOWN"
    CLOSED = "CLOSED"
    NOT_ASKED = "NOT_ASKED"


@dataclass(frozen=True, slots=True)
class VariantShare:
    """
    A variant's weight, and where its guests stand.

    In unique mode from low to before high of 100; in universal mode from bucket low to bucket
    high, both included. Both are 0 where it has no guests.
    """

    ref: str
    name: str
    weight: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Share:
    """
    The variant that a guest has, and the numbers that say so.

    In unique mode buckets are of 100, and who stands below `percent` is let in; in universal mode
    the guest has one bucket, and those two are None. is_kept: buckets say another variant or
    none, but the guest saw this one before.
    """

    mine: VariantShare
    is_control: bool
    percent: float
    shares: Sequence[VariantShare]
    allocation_bucket: float | None = None
    split_bucket: float | None = None
    universal_bucket: int | None = None
    group_bucket: float | None = None
    holdout_bucket: float | None = None
    is_kept: bool = False

    @property
    def stands(self) -> float:
        """Where of 100 the guest stands among the variants."""
        if self.universal_bucket is not None:
            return (self.universal_bucket - 0.5) / bucketing.BUCKETS * 100
        return self.split_bucket or 0.0

    def drawn(self, share: VariantShare) -> tuple[float, float]:
        """Return from where to where of 100 a variant's guests stand."""
        if self.universal_bucket is None or not share.high:
            return share.low, share.high
        return (share.low - 1) / bucketing.BUCKETS * 100, share.high / bucketing.BUCKETS * 100

    @property
    def sentence(self) -> str:
        if len(self.shares) == 1:
            return f"Variant “{self.mine.name}”, the only one."
        if self.is_kept:
            return f"Variant “{self.mine.name}” because the guest has seen it before, and keeps it."
        if self.universal_bucket is not None:
            return (
                f"Variant “{self.mine.name}” because bucket {self.universal_bucket} is one of "
                f"{self.mine.low:g} to {self.mine.high:g}."
            )
        return (
            f"Variant “{self.mine.name}” because bucket {self.split_bucket:.2f} falls in "
            f"{self.mine.low:g} to {self.mine.high:g}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStory:
    """
    One flow: its gates, and how it ended.

    reason: of the gate that closed first, EXECUTED where none did. note: what could not be told.
    """

    friendly_id: str
    name: str
    revision: int
    end: End
    reason: Reason = Reason.EXECUTED
    gates: Sequence[GateReport] = ()
    share: Share | None = None
    note: str = ""

    @property
    def closed(self) -> GateReport | None:
        """The gate that decided against it."""
        return next((gate for gate in self.gates if not gate.is_open), None)

    def sentence(self, *, is_past: bool) -> str:
        name = f"“{self.name or self.friendly_id}”"
        if self.end is End.NOT_ASKED:
            return f"{name} is not asked: a flow before it answers."
        if self.end is End.SHOWN:
            was = "was shown" if is_past else "would be shown"
            return f"{name} {was} {self._because()}."
        was = "was not shown" if is_past else "would not be shown"
        why = "; ".join(self.closed.because) if self.closed else self.note
        return f"{name} {was} ({self.reason}): {why.rstrip('.')}."

    def _because(self) -> str:
        conditions = [gate.explanation for gate in self.gates if gate.explanation]
        because = [
            line for explanation in conditions if explanation for line in explanation.because()
        ]
        if because:
            return "because " + " and ".join(because)
        return "as its conditions held" if self.note else "as it is for everybody"


@dataclass(frozen=True, slots=True)
class OfferStory:
    """An offer that the decision asked for, and whether the guest could have it."""

    ref: str
    name: str
    state: OfferState

    def sentence(self, *, is_past: bool) -> str:
        could = "could" if is_past else "can"
        if self.state is OfferState.HAD:
            return f"Offer “{self.name}”: the guest {could} have it."
        return f"Offer “{self.name}”: the guest {could} not have it, {_WHY_NOT[self.state]}."


_WHY_NOT = {
    OfferState.NOT_LIVE: "for it is not live",
    OfferState.NOT_YET: "for its time has not come",
    OfferState.OVER: "for its time is over",
    OfferState.AUDIENCE: "for its audience does not hold",
    OfferState.BROKEN: "for it is gone or broken",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionStory:
    """What the decision model said. rows: those that its answer rests on, and why they hit."""

    model: str
    name: str
    revision: int
    numbers: Sequence[int] = ()
    rows: Sequence[RowReport] = ()
    outputs: Mapping[str, object] = field(default_factory=dict)
    offers: Sequence[OfferStory] = ()
    fault: str = ""
    note: str = ""

    def called(self, value: object) -> object:
        """Return an output with offers by their names, where they are known."""
        if isinstance(value, list):
            return [self.called(item) for item in value]
        return next((offer.name for offer in self.offers if offer.ref == value), value)

    def sentences(self, *, is_past: bool) -> Iterator[str]:
        named = f"Decision “{self.name or self.model}”, revision {self.revision}"
        because = [
            f"row {row.number} hits because {' and '.join(row.because)}"
            for row in self.rows[:_MOST_ROWS_TOLD]
        ]
        more = len(self.numbers) - len(because)
        if because and more > 0:
            because.append(f"{more} more")
        if not because and self.numbers:
            because = [f"hit by row {', '.join(map(str, self.numbers))}"]
        yield f"{named}: {'; '.join(because) or 'no row hits'}."
        for name, value in self.outputs.items():
            yield f"Its {name} is {'empty' if value is None else show(self.called(value))}."
        for offer in self.offers:
            yield offer.sentence(is_past=is_past)
        if self.fault:
            yield f"It was broken: {self.fault}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All flows that a call may mean, in their order, and the decision of the one that is shown."""

    at: datetime
    is_past: bool
    flows: Sequence[FlowStory]
    decision: DecisionStory | None = None
    more: int = 0

    @property
    def shown(self) -> FlowStory | None:
        return next((flow for flow in self.flows if flow.end is End.SHOWN), None)

    @property
    def sentences(self) -> list[str]:
        """The whole story: what is shown first, its decision last."""
        told = self.about_flows
        return [*told, *self.decision.sentences(is_past=self.is_past)] if self.decision else told

    @property
    def about_flows(self) -> list[str]:
        shown = self.shown
        others = [flow for flow in self.flows if flow is not shown]
        told = [flow.sentence(is_past=self.is_past) for flow in (shown, *others) if flow]
        if self.more:
            told.append(f"{self.more} more flows were asked before.")
        if shown and shown.share:
            told.insert(1, shown.share.sentence)
        return told


def share_of(
    flow: Gated, assignment: Assignment, variants: Mapping[str, tuple[str, bool]]
) -> Share | None:
    """
    Return the share that an assignment came to, or None where it came to none.

    variants: name, and whether it is the control, by ref.
    """
    shares = [_variant_share(split, flow.traffic, variants) for split in flow.traffic.splits]
    mine = next((share for share in shares if share.ref == assignment.variant_ref), None)
    if mine is None:
        return None
    return Share(
        mine=mine,
        is_control=variants[mine.ref][1],
        percent=flow.traffic.percent,
        shares=shares,
        allocation_bucket=_of_100(assignment.allocation_bucket),
        split_bucket=_of_100(assignment.split_bucket),
        universal_bucket=assignment.universal_bucket,
        group_bucket=_of_100(assignment.group_bucket),
        holdout_bucket=_of_100(assignment.holdout_bucket),
        is_kept=assignment.kept is not None,
    )


def _of_100(bucket: float | None) -> float | None:
    return None if bucket is None else bucket * 100


def _variant_share(
    split: Split, traffic: Traffic, variants: Mapping[str, tuple[str, bool]]
) -> VariantShare:
    name, _ = variants[split.variant_ref]
    if traffic.universal is not None:
        own = traffic.ranges.get(split.variant_ref)
        first, last = (own.low, own.high) if own else (0, 0)
        return VariantShare(split.variant_ref, name, split.weight, first, last)
    low, high = bucketing.span(traffic.splits, split.variant_ref)
    return VariantShare(
        split.variant_ref, name, split.weight, round(low * 100, 4), round(high * 100, 4)
    )
