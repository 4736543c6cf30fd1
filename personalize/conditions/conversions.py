"""
What the guest reached: a goal of an experience, ever or for the first time in the last days.

Called by `evaluation` for leaves `converted`. Goals reached come in `Facts.goals`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from personalize.conditions.facts import Facts
from personalize.conditions.operators import as_datetime
from personalize.conditions.parts import Ask, Explanation, Part, by_outcome, never
from personalize.conditions.tree import Conversion
from personalize.conditions.wording import show


def part_of(leaf: Conversion) -> Part:
    """Compile a leaf about a goal that was reached, or was not."""
    days = leaf.within.days
    window = None if days is None else timedelta(days=days)

    def read(facts: Facts) -> object:
        of_flow = facts.goals.get(leaf.flow)
        return of_flow.get(leaf.goal) if isinstance(of_flow, Mapping) else None

    def holds(reached: object, now: datetime) -> bool:
        if window is None:
            return (reached is not None) is not leaf.is_never
        moment = as_datetime(reached)
        return (moment is not None and moment > now - window) is not leaf.is_never

    def explain(reached: object, now: datetime) -> Explanation:
        matched = holds(reached, now)
        found = _found(leaf, reached)
        words = found if matched else f"{found}, wanted: {sentence}"
        name = f"goal.{leaf.flow}.{leaf.goal}"
        return Explanation(matched, "event", words, {name: reached}, found=found)

    def until(facts: Facts) -> datetime | None:
        """Whoever reached it a while ago will have reached it before the last days."""
        moment = as_datetime(read(facts))
        if window is None or moment is None or moment <= facts.now - window:
            return None
        with suppress(OverflowError):
            return moment + window
        # Beyond the calendar nobody comes to see.
        return None

    sentence = _sentence(leaf)
    # The names may have any character in them, the space as well.
    subject = f"goal {leaf.flow!r} {leaf.goal!r}"
    ask = Ask(subject, (days, leaf.is_never), read, explain, by_outcome("event", sentence))
    return Part(
        lambda facts: holds(read(facts), facts.now),
        lambda answer: answer(ask),
        sentence,
        never if window is None else until,
        (ask,),
    )


def _sentence(leaf: Conversion) -> str:
    goal, days = _goal(leaf), leaf.within.days
    if days is None:
        return f"Guest never converted on {goal}" if leaf.is_never else f"Guest converted on {goal}"
    lately = "in the last day" if days == 1 else f"in the last {days} days"
    did = "did not convert" if leaf.is_never else "converted"
    return f"Guest {did} on {goal} for the first time {lately}"


def _found(leaf: Conversion, reached: object) -> str:
    if reached is None:
        return f"Guest never converted on {_goal(leaf)}"
    moment = as_datetime(reached)
    when = "" if moment is None else f" for the first time at {show(moment)}"
    return f"Guest converted on {_goal(leaf)}{when}"


def _goal(leaf: Conversion) -> str:
    return f"goal {show(leaf.goal)} of {show(leaf.flow)}"
