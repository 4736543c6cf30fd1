"""
PURE. The record of one decision: what the flow walk knew, and what it made of that.

`encode` is called by the flow walk for every run; `decode` by the replay and by whoever explains
a run. What was read stands there by its subject, once for all conditions that read it, as JSON
that gives it back exactly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec

from personalize.bucketing import NOTHING_KEPT, Assignment, Kept, Traffic
from personalize.conditions import Ask, Compiled, Facts, Recalled, Unkeepable, pack, unpack
from personalize.decisions import CompiledTable, Decider, Decision
from personalize.targeting import Gated
from personalize.types import Gate, OfferState, Reason

#: The name under which a run's TRACKING event brings its record along.
COMPANION = "decision"
#: How large a record may be.
MAX_BYTES = 8 * 1024
#: Of how many flows before it is kept that they were passed by; of the others, how many.
MOST_PASSED = 50
_VERSION = 2
#: The last version whose records name only the leaves that held.
_HELD_ALONE = 1
_MOST_ROWS = 100
_MOST_OUTPUT_BYTES = 2048
_LONGEST_FAULT = 500
#: Gates that close before a condition is asked.
_UNASKED = frozenset({Reason.NOT_LIVE, Reason.UNREADABLE, Reason.CHANNEL})
_SCALARS = frozenset({type(None), bool, int, float})


# --- as it is kept ---------------------------------------------------------------------


class PassedFlow(msgspec.Struct, frozen=True, array_like=True):
    """A flow that was asked before and did not run: its revision, and the gate that closed."""

    flow: str
    revision: int
    reason: str


class RecordedDecision(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"
):
    """
    What the decision model said.

    rows: those that the answer rests on, the first hundred of row_count. outputs: packed; where
    they are too long their digest. offers: state by ref, of those it asked for. cells: the rows
    whose cells held, as bits in hexadecimal, where not all that they read was kept.
    """

    model: str
    revision: int
    rows: list[int] = []
    row_count: int = 0
    outputs: Any = None
    digest: str = ""
    fault: str = ""
    offers: dict[str, OfferState] = {}
    cells: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """
    One decision.

    Buckets: those that the flow's traffic asks for. kept: the variant, where the guest had seen it
    before and the buckets say another one or none. readings: packed values by subject. held,
    not_held: of subjects whose value was not kept, the keys of the asked leaves that did, or did
    not, hold. passed: the flows before, but for `passed_more` further ones. is_bare: there was too
    much to keep what was read at all.
    """

    version: int
    now: datetime
    time_zone: str
    channel: str
    flow: str
    revision: int
    bucket_ref: str
    variant: str
    allocation_bucket: float | None = None
    split_bucket: float | None = None
    universal_bucket: int | None = None
    group_bucket: float | None = None
    holdout_bucket: float | None = None
    kept: str = ""
    passed: list[PassedFlow] = []
    passed_more: int = 0
    readings: dict[str, Any] = {}
    held: dict[str, list[str]] = {}
    not_held: dict[str, list[str]] = {}
    decision: RecordedDecision | None = None
    is_bare: bool = False

    def kept_of(self, traffic: Traffic) -> Kept:
        """Return what the guest had seen before of the flow that ran."""
        return {traffic.salt: self.kept} if self.kept else NOTHING_KEPT

    def recalled(self) -> Recalled:
        """Return what was read, to ask conditions of it again."""
        return Recalled(
            now=self.now,
            time_zone=self.time_zone,
            values={subject: unpack(value) for subject, value in self.readings.items()},
            held=self.held,
            not_held=None if self.version <= _HELD_ALONE else self.not_held,
        )


def decode(body: str | bytes) -> Record:
    """Read a record. Raises msgspec.ValidationError for what is none."""
    return _decoder.decode(body)


_decoder = msgspec.json.Decoder(Record)


# --- how it is made --------------------------------------------------------------------


class Published(Gated, Protocol):
    """A flow's revision, as far as its record needs it."""

    @property
    def number(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """
    A decision that the walk has made, with what it was made of.

    flow: the friendly id of the one that runs; gates: those that closed before, in their order.
    asked: the flow and the first MOST_PASSED of those, by friendly id. decider is None where the
    flow names no model, or none that can be read. audiences: of the offers that were asked for,
    where that was what decided.
    """

    facts: Facts
    channel: str
    bucket_ref: str
    flow: str
    gates: Sequence[Gate]
    asked: Mapping[str, Published]
    assignment: Assignment
    model: str = ""
    model_revision: int = 0
    decider: Decider | None = None
    decision: Decision = Decision({})
    offers: Mapping[str, OfferState]
    audiences: Sequence[Compiled] = ()


@dataclass(frozen=True, slots=True)
class _Level:
    """How much is kept: values up to so many bytes, flows before with readings, and by name."""

    longest: int
    passed_read: int
    passed_named: int
    is_bare: bool = False


#: Tried in this order until the record fits; the last one always does.
_LEVELS = (
    _Level(1024, 20, MOST_PASSED),
    _Level(128, 20, MOST_PASSED),
    _Level(128, 0, 20),
    _Level(0, 0, 20),
    _Level(0, 0, 20, is_bare=True),
)


def encode(made: Made) -> bytes:
    """Return the record of a decision as JSON, of at most MAX_BYTES."""
    body = b""
    for level in _LEVELS:
        body = msgspec.json.encode(_record(made, level))
        if len(body) <= MAX_BYTES:
            break
    return body


def _record(made: Made, level: _Level) -> Record:
    notes = _Notes(made.facts, level.longest)
    decision = _decision(made, notes, level) if made.model else None
    if not level.is_bare:
        for condition in _asked_conditions(made, level):
            notes.ask(condition)
    assignment, chosen = made.assignment, made.asked[made.flow]
    named = made.gates[: level.passed_named]
    return Record(
        version=_VERSION,
        now=made.facts.now,
        time_zone=made.facts.time_zone,
        channel=made.channel,
        flow=made.flow,
        revision=chosen.number,
        bucket_ref=made.bucket_ref,
        allocation_bucket=assignment.allocation_bucket,
        split_bucket=assignment.split_bucket,
        universal_bucket=assignment.universal_bucket,
        group_bucket=assignment.group_bucket,
        holdout_bucket=assignment.holdout_bucket,
        kept=assignment.kept or "",
        variant=assignment.variant_ref or "",
        passed=[
            PassedFlow(gate.flow, made.asked[gate.flow].number, gate.reason.value) for gate in named
        ],
        passed_more=len(made.gates) - len(named),
        readings=notes.values,
        held=notes.outcomes[True],
        not_held=notes.outcomes[False],
        decision=decision,
        is_bare=level.is_bare,
    )


def _asked_conditions(made: Made, level: _Level) -> Iterator[Compiled]:
    """Yield the conditions that the walk has asked, those that matter most first."""
    chosen = made.asked[made.flow]
    yield chosen.page_targeting
    yield chosen.audience
    yield from made.audiences
    for gate in made.gates[: level.passed_read]:
        if gate.reason in _UNASKED:
            continue
        flow = made.asked[gate.flow]
        yield flow.page_targeting
        if gate.reason is not Reason.PAGE:
            yield flow.audience


def _decision(made: Made, notes: _Notes, level: _Level) -> RecordedDecision:
    decision, decider = made.decision, made.decider
    outputs, outputs_digest = _outputs(decision.outputs)
    cells = ""
    if decider is not None and not level.is_bare and not notes.read(decider.reads):
        cells = f"{decider.rows(made.facts):x}" if isinstance(decider, CompiledTable) else ""
    return RecordedDecision(
        model=made.model,
        revision=made.model_revision,
        rows=list(decision.rows[:_MOST_ROWS]),
        row_count=len(decision.rows),
        outputs=outputs,
        digest=outputs_digest,
        fault=decision.fault[:_LONGEST_FAULT],
        offers={} if level.is_bare else dict(made.offers),
        cells=cells,
    )


def _outputs(outputs: Mapping[str, object]) -> tuple[Any, str]:
    try:
        packed = pack(dict(outputs))
    except Unkeepable:
        # A callable may answer with objects whose keys are no texts.
        return None, hashlib.sha256(repr(outputs).encode("utf-8", "replace")).hexdigest()
    text = msgspec.json.encode(packed, order="sorted")
    if len(text) <= _MOST_OUTPUT_BYTES:
        return packed, ""
    return None, hashlib.sha256(text).hexdigest()


def is_same_answer(recorded: RecordedDecision, decision: Decision) -> dict[str, bool]:
    """Say of rows, outputs and fault whether a decision is the recorded one."""
    outputs, outputs_digest = _outputs(decision.outputs)
    written = [msgspec.json.encode(each, order="sorted") for each in (recorded.outputs, outputs)]
    return {
        "rows": recorded.rows == list(decision.rows[:_MOST_ROWS])
        and recorded.row_count == len(decision.rows),
        "outputs": written[0] == written[1] and recorded.digest == outputs_digest,
        "fault": recorded.fault == decision.fault[:_LONGEST_FAULT],
    }


class _Notes:
    """What was read, each subject once; what is too long by how each leaf came out."""

    def __init__(self, facts: Facts, longest: int) -> None:
        self.facts = facts
        self.longest = longest
        self.values: dict[str, Any] = {}
        self.outcomes: dict[bool, dict[str, list[str]]] = {True: {}, False: {}}
        self._too_long: dict[str, object] = {}

    def ask(self, condition: Compiled) -> None:
        for ask in condition.asks:
            subject = ask.subject
            if subject not in self.values and not self._note(subject, ask.read):
                self._note_outcome(ask)

    def read(self, reads: Mapping[str, Callable[[Facts], object]]) -> bool:
        """Note these readings, and say whether all of them were kept as values."""
        kept = [
            subject in self.values or self._note(subject, read) for subject, read in reads.items()
        ]
        return all(kept)

    def _note(self, subject: str, read: Callable[[Facts], object]) -> bool:
        if subject in self._too_long:
            return False
        value = read(self.facts)
        try:
            packed = pack(value)
        except Unkeepable:
            self._too_long[subject] = value
            return False
        if not self._fits(value, packed):
            self._too_long[subject] = value
            return False
        self.values[subject] = packed
        return True

    def _fits(self, value: object, packed: object) -> bool:
        if type(value) in _SCALARS:
            return self.longest > 0
        # No character is longer than this in JSON.
        if isinstance(value, str) and 6 * len(value) + 2 <= self.longest:
            return True
        return len(msgspec.json.encode(packed)) <= self.longest

    def _note_outcome(self, ask: Ask) -> None:
        explanation = ask.explain(self._too_long[ask.subject], self.facts.now)
        keys = self.outcomes[explanation.matched].setdefault(ask.subject, [])
        if ask.key not in keys:
            keys.append(ask.key)
