"""
PURE. A past decision made again: from its record, and the revisions that decided, alone.

`replay` asks the same gates, buckets and tables as the walk did, of what was read then instead of
facts, and compares. Called for one run by whoever explains it, and for many by `replay_decisions`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from personalize import bucketing, decisions, records, targeting
from personalize.conditions import Compiled, NotKept, Recalled
from personalize.decisions import CompiledCall, Decider, Decision
from personalize.records import PassedFlow, Record, RecordedDecision
from personalize.targeting import Gated, Standing
from personalize.types import Reason

_BUCKETS = ("allocation", "split", "universal", "group", "holdout")


class Deciding(Protocol):
    """A revision of a decision model."""

    @property
    def decider(self) -> Decider:
        """Raises DecisionInvalid."""


class Revisions(Protocol):
    """The revisions that may have decided, which nothing changes: None for one that is gone."""

    def flow(self, friendly_id: str, number: int) -> Gated | None: ...

    def decision(self, friendly_id: str, number: int) -> Deciding | None: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that comes out otherwise than it was recorded."""

    what: str
    recorded: object
    replayed: object

    @property
    def sentence(self) -> str:
        return f"{self.what}: {self.recorded} was recorded, {self.replayed} comes out"


@dataclass(frozen=True, slots=True)
class Replayed:
    """
    What came of a replay.

    obstacles: why parts could not be made again; what could be is compared all the same.
    by_outcome: parts of which no more than their outcome was kept, so that nothing could differ.
    """

    differences: list[Difference] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)
    by_outcome: list[str] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Say whether all of it was made again, and is the same."""
        return not self.differences and not self.obstacles


def replay(record: Record, revisions: Revisions) -> Replayed:
    """Make a decision again, and say what differs."""
    replayed = Replayed()
    recalled = record.recalled()
    for passed in record.passed:
        _passed(passed, record, recalled, revisions, replayed)
    _chosen(record, recalled, revisions, replayed)
    if record.decision is not None:
        _decision(record.decision, record, recalled, revisions, replayed)
    return replayed


def _passed(
    passed: PassedFlow,
    record: Record,
    recalled: Recalled,
    revisions: Revisions,
    replayed: Replayed,
) -> None:
    what = f"“{passed.flow}”"
    flow = _flow(passed.flow, passed.revision, revisions, replayed)
    if passed.reason == Reason.UNREADABLE or flow is None:
        if flow is not None:
            replayed.by_outcome.append(what)
        return
    standing = _standing(passed.flow, flow, record, recalled)
    if standing is None:
        replayed.by_outcome.append(what)
        return
    reason = standing.gate.reason.value if standing.gate else Reason.EXECUTED.value
    _compare(f"{what} closed at", passed.reason, reason, replayed)


def _chosen(record: Record, recalled: Recalled, revisions: Revisions, replayed: Replayed) -> None:
    flow = _flow(record.flow, record.revision, revisions, replayed)
    if flow is None:
        return
    standing = _standing(record.flow, flow, record, recalled)
    if standing is None:
        replayed.by_outcome.append(f"“{record.flow}”")
    elif standing.assignment is None and standing.gate is not None:
        _compare("gate", Reason.EXECUTED.value, standing.gate.reason.value, replayed)
        return
    assignment = bucketing.assign(
        traffic=flow.traffic, bucket_ref=record.bucket_ref, kept=record.kept_of(flow.traffic)
    )
    for kind in _BUCKETS:
        name = f"{kind}_bucket"
        _compare(f"{kind} bucket", getattr(record, name), getattr(assignment, name), replayed)
    _compare("variant", record.variant, assignment.variant_ref or "", replayed)


def _flow(name: str, number: int, revisions: Revisions, replayed: Replayed) -> Gated | None:
    flow = revisions.flow(name, number)
    if flow is None:
        replayed.obstacles.append(f"Revision {number} of “{name}” is gone.")
    elif flow.problem:
        replayed.obstacles.append(f"Revision {number} of “{name}”: {flow.problem}")
        return None
    return flow


def _standing(name: str, flow: Gated, record: Record, recalled: Recalled) -> Standing | None:
    """Ask the gates of what was read; None where not enough of that was kept."""

    def holds(condition: Compiled) -> bool:
        return condition.recall(recalled).matched

    try:
        return targeting.admit(
            name,
            flow,
            is_live=True,
            channel=record.channel,
            holds=holds,
            bucket_ref=record.bucket_ref,
        )
    except NotKept:
        return None


def _decision(
    recorded: RecordedDecision,
    record: Record,
    recalled: Recalled,
    revisions: Revisions,
    replayed: Replayed,
) -> None:
    what = f"decision “{recorded.model}”"
    if record.is_bare or not recorded.revision:
        replayed.by_outcome.append(what)
        return
    revision = revisions.decision(recorded.model, recorded.revision)
    if revision is None:
        replayed.obstacles.append(f"Revision {recorded.revision} of the {what} is gone.")
        return
    unasked: list[str] = []
    try:
        decider = revision.decider
        decision = decider.recall(
            recalled,
            has_offer=_had(recorded, unasked),
            cells=int(recorded.cells, 16) if recorded.cells else None,
        )
    except decisions.DecisionInvalid as error:
        replayed.obstacles.append(f"The {what} cannot be read any more: {error}")
    except decisions.NotReplayable as error:
        replayed.obstacles.append(f"The {what}: {error}")
    except NotKept as error:
        replayed.obstacles.append(f"The {what}: what it read of “{error}” was not kept.")
    else:
        if isinstance(decider, CompiledCall) and decision.fault and not recorded.fault:
            # Its code has changed since, or reads more than it declares.
            replayed.obstacles.append(f"The {what} fails now: {decision.fault}")
            return
        _compare_decisions(what, recorded, decision, unasked, replayed)


def _compare_decisions(
    what: str,
    recorded: RecordedDecision,
    decision: Decision,
    unasked: list[str],
    replayed: Replayed,
) -> None:
    _compare(f"{what}, offers that were not asked for", [], unasked, replayed)
    for part, is_same in records.is_same_answer(recorded, decision).items():
        if not is_same:
            then, now = _recorded_part(recorded, part), _part(decision, part)
            replayed.differences.append(Difference(f"{what}, {part}", then, now))


def _had(recorded: RecordedDecision, unasked: list[str]) -> Callable[[str], bool | None]:
    def has_offer(ref: str) -> bool | None:
        state = recorded.offers.get(ref)
        if state is None:
            unasked.append(ref)
            return None
        return state.is_had

    return has_offer


def _part(decision: Decision, part: str) -> object:
    return {"rows": list(decision.rows), "outputs": dict(decision.outputs)}.get(
        part, decision.fault
    )


def _recorded_part(recorded: RecordedDecision, part: str) -> object:
    outputs = recorded.digest or recorded.outputs
    return {"rows": recorded.rows, "outputs": outputs}.get(part, recorded.fault)


def _compare(what: str, recorded: object, replayed: object, into: Replayed) -> None:
    if recorded != replayed:
        into.differences.append(Difference(what, recorded, replayed))
