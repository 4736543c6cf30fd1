"""
PURE. The gates of one flow: does it run for this guest, and if not, which gate closed?

`admit` is asked by the flow walk for each candidate, and by the replay of a run for those that
the walk had asked. `told` tells every gate, open or closed: for previews, and whoever asks why.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from personalize import bucketing
from personalize.bucketing import NOTHING_KEPT, Assignment, Kept, SiteHoldout, Traffic
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
    kept: Kept = NOTHING_KEPT,
    segments: Collection[str] | None = None,
    site_holdout: SiteHoldout | None = None,
    why: Callable[[Compiled], str] | None = None,
) -> Standing:
    """
    Ask the gates in their order. `why` words the reason of a condition that does not hold.

    `kept`: the variants that the guest has seen first. `segments`: the friendly ids of all that
    there are; None where those that it names were there.
    `site_holdout`: who is shown nothing on the whole site; None where nobody is.
    """
    if is_live and site_holdout is not None and site_holdout.holds(bucket_ref):
        held = _site_holdout_gate(site_holdout, bucket_ref)
        return Standing(Gate(name, held.reason, held.because[0]))
    problem = _problem(flow, segments)
    gate = _closed_gate(name, flow, is_live, problem, channel, holds, why)
    if gate is not None:
        return Standing(gate)
    assignment = bucketing.assign(traffic=flow.traffic, bucket_ref=bucket_ref, kept=kept)
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
    if assignment.reason == "ASSIGNED":
        return None
    reports = _traffic_gates(traffic, assignment)
    closed = next((report for report in reports if not report.is_open), None)
    return Gate(name, closed.reason, closed.because[-1]) if closed else None


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
    kept: Kept = NOTHING_KEPT,
    segments: Collection[str] | None = None,
    site_holdout: SiteHoldout | None = None,
) -> Iterator[GateReport]:
    """
    Tell the gates one by one, also those behind a closed one.

    With `is_live` None nothing is said of that: a draft need not be live. The gates of the
    traffic are told of whoever passes the others.
    """
    is_open = True
    if is_live is not None:
        live = "The flow is live." if is_live else _NOT_LIVE
        yield GateReport("Live", Reason.NOT_LIVE, is_live, [live])
        is_open = is_live
    if site_holdout is not None:
        held = _site_holdout_gate(site_holdout, bucket_ref)
        yield held
        is_open = is_open and held.is_open
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
        assignment = bucketing.assign(traffic=flow.traffic, bucket_ref=bucket_ref, kept=kept)
        yield from _traffic_gates(flow.traffic, assignment)


def _condition_gate(name: str, reason: Reason, explanation: Explanation) -> GateReport:
    because = explanation.because() or [explanation.sentence]
    return GateReport(name, reason, explanation.matched, because, explanation)


def _traffic_gates(traffic: Traffic, assignment: Assignment) -> Iterator[GateReport]:
    """Tell who is let in, and of those who are, who is held out."""
    let_in = _let_in(traffic, assignment)
    if not assignment.allocated:
        yield GateReport("Traffic", Reason.NOT_ALLOCATED, False, let_in)
        return
    if assignment.reason == "NO_VARIANT":
        none = "No variant has a share of the traffic."
        yield GateReport("Traffic", Reason.NO_VARIANT, False, [none])
        return
    yield GateReport("Traffic", Reason.NOT_ALLOCATED, True, let_in)
    if assignment.holdout_bucket is not None:
        held = [
            f"{traffic.holdout:g} % of those let in are held out; this guest stands at "
            f"{assignment.holdout_bucket * 100:.2f}."
        ]
        if assignment.kept is not None:
            held.append("The guest has seen a variant before, and keeps it.")
        yield GateReport("Holdout", Reason.HOLDOUT, assignment.reason != "HELD_OUT", held)


def _let_in(traffic: Traffic, assignment: Assignment) -> list[str]:
    """Word who is let in, up to what kept this guest out."""
    told: list[str] = []
    group, number = traffic.group, assignment.group_bucket
    if group is not None and number is not None:
        told.append(
            f"The flow has {group.low:g} to {group.high:g} % of the guests of the exclusion group "
            f"“{group.name}”; this guest stands at {number * 100:.2f}."
        )
        if not group.has(number):
            return told
    if traffic.universal is not None:
        told.append(
            f"Buckets {traffic.universal.low} to {traffic.universal.high} of {bucketing.BUCKETS} "
            f"are let in; this guest has bucket {assignment.universal_bucket}."
        )
    elif assignment.allocation_bucket is not None:
        told.append(
            f"{traffic.percent:g} % of the guests are let in; this guest stands at "
            f"{assignment.allocation_bucket * 100:.2f}."
        )
    return told


def _site_holdout_gate(holdout: SiteHoldout, bucket_ref: str) -> GateReport:
    number = holdout.number_of(bucket_ref)
    held = (
        f"{holdout.percent:g} % of all guests are shown nothing at all (“{holdout.name}”); this "
        f"guest stands at {number * 100:.2f}."
    )
    return GateReport("Site holdout", Reason.HOLDOUT, not holdout.holds(bucket_ref), [held])


_NOT_LIVE = "The flow is not live now."


def _channels(flow: Gated, channel: str) -> str:
    wanted = ", ".join(sorted(flow.channels)) or "any"
    return f"The channel is {channel}, wanted {wanted}."
