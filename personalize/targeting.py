"""
PURE. The gates of one flow: does it run for this guest, and if not, which gate closed?

`admit` is asked by the flow walk for each candidate, and by the replay of a run for those that
the walk had asked. `told` tells every gate, open or closed: for previews, and whoever asks why.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from personalize import bucketing
from personalize.bucketing import Assignment, Traffic
from personalize.conditions import Compiled, Explanation
from personalize.types import Gate, Reason

#: Says of a condition whether it holds: for facts, or for what was read of them.
Holds = Callable[[Compiled], bool]
Explain = Callable[[Compiled], Explanation]


class Gated(Protocol):
    """What the gates read of a flow."""

    @property
    def problem(self) -> str: ...

    @property
    def channels(self) -> frozenset[str]: ...

    @property
    def segments(self) -> frozenset[str]: ...

    @property
    def page_targeting(self) -> Compiled: ...

    @property
    def audience(self) -> Compiled: ...

    @property
    def traffic(self) -> Traffic: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """
    Where a guest stands with a flow.

    gate: the first that is closed, None when all are open. assignment: the buckets and the
    variant; None where a gate before the traffic's closed.
    """

    gate: Gate | None
    assignment: Assignment | None = None


@dataclass(frozen=True, slots=True)
class GateReport:
    """
    One gate: open or closed, and on what the answer rests.

    explanation: of a gate that is a condition, the whole of its tree.
    """

    name: str
    reason: Reason
    is_open: bool
    because: Sequence[str]
    explanation: Explanation | None = None


def admit(
    name: str,
    flow: Gated,
    *,
    is_live: bool,
    channel: str,
    holds: Holds,
    bucket_ref: str,
    segments: Collection[str] | None = None,
    why: Callable[[Compiled], str] | None = None,
) -> Standing:
    """
    Ask the gates in their order. `why` words the reason of a condition that does not hold.

    `segments`: the friendly ids of all that there are; None where those that it names were there.
    """
    problem = _problem(flow, segments)
    gate = _closed_gate(name, flow, is_live, problem, channel, holds, why)
    if gate is not None:
        return Standing(gate)
    assignment = bucketing.assign(traffic=flow.traffic, bucket_ref=bucket_ref)
    return Standing(not_assigned(name, flow.traffic, assignment), assignment)


def _closed_gate(
    name: str,
    flow: Gated,
    is_live: bool,
    problem: str,
    channel: str,
    holds: Holds,
    why: Callable[[Compiled], str] | None,
) -> Gate | None:
    if not is_live:
        return Gate(name, Reason.NOT_LIVE, _NOT_LIVE)
    if problem:
        return Gate(name, Reason.UNREADABLE, problem)
    if flow.channels and channel not in flow.channels:
        return Gate(name, Reason.CHANNEL, _channels(flow, channel))
    if not holds(flow.page_targeting):
        return Gate(name, Reason.PAGE, why(flow.page_targeting) if why else "")
    if not holds(flow.audience):
        return Gate(name, Reason.AUDIENCE, why(flow.audience) if why else "")
    return None


def not_assigned(name: str, traffic: Traffic, assignment: Assignment) -> Gate | None:
    """Return the gate that kept a guest without a variant, or None."""
    if not assignment.allocated:
        return Gate(
            name,
            Reason.NOT_ALLOCATED,
            f"{traffic.percent:g} % of the guests are let in; this guest stands at "
            f"{assignment.allocation_bucket * 100:.2f}.",
        )
    if assignment.variant_ref is None:
        return Gate(name, Reason.NO_VARIANT, "No variant has a share of the traffic.")
    return None


def _problem(flow: Gated, segments: Collection[str] | None) -> str:
    """Say why the conditions cannot be asked; empty where they can."""
    missing = [] if segments is None else [each for each in flow.segments if each not in segments]
    if flow.problem or not missing:
        return flow.problem
    named = ", ".join(f"“{each}”" for each in sorted(missing))
    return f"There is no segment {named} any more."


def told(
    name: str,
    flow: Gated,
    *,
    is_live: bool | None,
    channel: str,
    explain: Explain,
    bucket_ref: str,
    segments: Collection[str] | None = None,
) -> Iterator[GateReport]:
    """
    Tell the gates one by one, also those behind a closed one.

    With `is_live` None nothing is said of that: a draft need not be live. The traffic's gate is
    told of whoever passes the others.
    """
    is_open = True
    if is_live is not None:
        live = "The flow is live." if is_live else _NOT_LIVE
        yield GateReport("Live", Reason.NOT_LIVE, is_live, [live])
        is_open = is_live
    problem = _problem(flow, segments)
    if problem:
        yield GateReport("Conditions", Reason.UNREADABLE, False, [problem])
        return
    fits = not flow.channels or channel in flow.channels
    yield GateReport("Channel", Reason.CHANNEL, fits, [_channels(flow, channel)])
    pages = _condition_gate("Pages", Reason.PAGE, explain(flow.page_targeting))
    yield pages
    audience = _condition_gate("Audience", Reason.AUDIENCE, explain(flow.audience))
    yield audience
    if is_open and fits and pages.is_open and audience.is_open:
        assignment = bucketing.assign(traffic=flow.traffic, bucket_ref=bucket_ref)
        yield _traffic_gate(name, flow.traffic, assignment)


def _condition_gate(name: str, reason: Reason, explanation: Explanation) -> GateReport:
    because = explanation.because() or [explanation.sentence]
    return GateReport(name, reason, explanation.matched, because, explanation)


def _traffic_gate(name: str, traffic: Traffic, assignment: Assignment) -> GateReport:
    closed = not_assigned(name, traffic, assignment)
    if closed is not None:
        return GateReport("Traffic", closed.reason, False, [closed.explanation])
    let_in = (
        f"{traffic.percent:g} % of the guests are let in; this guest stands at "
        f"{assignment.allocation_bucket * 100:.2f}."
    )
    return GateReport("Traffic", Reason.NOT_ALLOCATED, True, [let_in])


_NOT_LIVE = "The flow is not live now."


def _channels(flow: Gated, channel: str) -> str:
    wanted = ", ".join(sorted(flow.channels)) or "any"
    return f"The channel is {channel}, wanted {wanted}."
