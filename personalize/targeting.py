"""
PURE. The gates of one flow: does it run for these facts, and if not, which gate closed?

Called by the flow walk for each candidate, and with `explain=True` by the
preview and by explain_flow, which want the reason in words.
"""

from collections.abc import Collection
from typing import Protocol

from personalize.conditions import Compiled, Facts
from personalize.types import Gate, Reason


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


def closed_gate(
    name: str,
    flow: Gated,
    *,
    is_live: bool,
    channel: str,
    facts: Facts,
    segments: Collection[str],
    explain: bool = False,
) -> Gate | None:
    """
    Return the first gate that is closed, or None when all are open.

    `segments`: the friendly ids of all that there are.
    """
    if not is_live:
        return Gate(name, Reason.NOT_LIVE, "The flow is not live now.")
    if flow.problem:
        return Gate(name, Reason.UNREADABLE, flow.problem)
    missing = [each for each in flow.segments if each not in segments]
    if missing:
        named = ", ".join(f"“{each}”" for each in sorted(missing))
        return Gate(name, Reason.UNREADABLE, f"There is no segment {named} any more.")
    if flow.channels and channel not in flow.channels:
        wanted = ", ".join(sorted(flow.channels))
        return Gate(name, Reason.CHANNEL, f"The channel is {channel}, wanted {wanted}.")
    if not flow.page_targeting.matches(facts):
        return Gate(name, Reason.PAGE, _why(flow.page_targeting, facts, explain))
    if not flow.audience.matches(facts):
        return Gate(name, Reason.AUDIENCE, _why(flow.audience, facts, explain))
    return None


def _why(condition: Compiled, facts: Facts, explain: bool) -> str:
    return "; ".join(condition.explain(facts).because()) if explain else ""
