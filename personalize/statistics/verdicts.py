"""
What to do, in one plain sentence and a code.

Called by `report` with the comparisons it made; shown at the top of a flow's results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from personalize.statistics.comparisons import Comparison
from personalize.statistics.mismatch import Mismatch
from personalize.statistics.types import Direction, Settings


class Code(StrEnum):
    """
    COLLECTING: too early to say. UNHEALTHY: what was measured cannot be trusted, so no winner is
    named. SHIP: a variant won. KEEP_CONTROL: the variants are worse, or the winner does harm.
    NO_DIFFERENCE: the planned guests are there, and what was looked for is ruled out, or would have
    shown.
    """

    COLLECTING = "COLLECTING"
    UNHEALTHY = "UNHEALTHY"
    SHIP = "SHIP"
    KEEP_CONTROL = "KEEP_CONTROL"
    NO_DIFFERENCE = "NO_DIFFERENCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do. `variant`: the ref of the one to ship; days_left: where COLLECTING, if known."""

    code: Code
    sentence: str
    variant: str | None = None
    days_left: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    All that a verdict rests on.

    names: by ref, in the order of counts, the guests of each. conversions: by the primary goal, as
    the smallest variant has them (`comparisons.conversions_of`). planned, enough: guests per
    variant (see `report.Report`), and the days until they are there; None: not known. mixed_share:
    of all guests, those who saw several variants. comparisons: one for each goal and variant but
    the control.
    """

    names: Mapping[str, str]
    counts: Sequence[int]
    conversions: float
    planned: int
    enough: int
    days_left: int | None
    days_to_enough: int | None
    mixed_share: float
    mismatch: Mismatch
    comparisons: tuple[Comparison, ...]

    @property
    def primary(self) -> list[Comparison]:
        return [found for found in self.comparisons if found.goal.is_primary]

    @property
    def guardrails(self) -> list[Comparison]:
        return [found for found in self.comparisons if found.goal.is_guardrail]


def verdict(evidence: Evidence, settings: Settings) -> Verdict:
    """
    Say what to do.

    In this order: what makes numbers worthless; too few to say anything; a winner (by the default
    view, so it may be named at any time) that is worse by no guardrail; and, once all variants are
    clear or the planned guests are there: harmful winners, only losers, or no difference, as soon
    as what was looked for is ruled out, or would have shown.
    """
    ill = _illness(evidence, settings)
    if ill:
        return Verdict(code=Code.UNHEALTHY, sentence=ill)
    if _is_below_floor(evidence, settings):
        return _collecting(evidence, settings)
    winners = sorted(
        (found for found in evidence.primary if found.outcome == "BETTER"), key=_gain, reverse=True
    )
    harms = [_harm(found.variant, evidence) for found in winners]
    for found, harm in zip(winners, harms, strict=True):
        if harm is None:
            return _shipped(found, evidence)
    harmful = _harmful(winners[0], harms[0], evidence) if winners and harms[0] else ""
    is_clear = all(found.outcome != "UNCLEAR" for found in evidence.primary)
    if not is_clear and min(evidence.counts) < evidence.planned:
        return _collecting(evidence, settings, harmful)
    if harmful:
        return Verdict(code=Code.KEEP_CONTROL, sentence=f"Keep the control: {harmful}")
    if is_clear:
        return _of_losers(evidence)
    is_ruled_out = all(_is_ruled_out(found, settings) for found in evidence.primary)
    if not is_ruled_out and min(evidence.counts) < evidence.enough:
        return _still_open(evidence, settings)
    return _of_nothing(evidence, settings)


def _illness(evidence: Evidence, settings: Settings) -> str:
    found = evidence.mismatch
    if found.found:
        names = list(evidence.names.values())
        worst = max(
            range(len(names)),
            key=lambda at: abs(found.counts[at] - found.expected[at]),
        )
        return (
            f"Unhealthy: the guests are not divided as the weights say. {names[worst]} has"
            f" {found.counts[worst]:,} where about {found.expected[worst]:,.0f} are expected, so"
            " no result can be trusted until the cause is found."
        )
    is_enough = min(evidence.counts) >= settings.min_guests
    if is_enough and evidence.mixed_share > settings.max_mixed_share:
        return (
            f"Unhealthy: {evidence.mixed_share:.1%} of the guests saw more than one variant, so"
            " no result can be trusted until the cause is found."
        )
    return ""


def _is_below_floor(evidence: Evidence, settings: Settings) -> bool:
    is_small = min(evidence.counts) < settings.min_guests
    return is_small or evidence.conversions < settings.min_conversions


def _collecting(evidence: Evidence, settings: Settings, harmful: str = "") -> Verdict:
    there, planned = min(evidence.counts), evidence.planned
    if there < planned:
        sentence = f"Collecting: {there:,} of about {about(planned)} guests per variant"
    else:
        found, needed = evidence.conversions, settings.min_conversions
        sentence = f"Collecting: {found:,.0f} of at least {needed:,} conversions per variant"
    sentence = f"{sentence}{_left(evidence.days_left)}. {harmful}".rstrip()
    return Verdict(code=Code.COLLECTING, sentence=sentence, days_left=evidence.days_left)


def _left(days: int | None) -> str:
    return f", about {days:,} {'day' if days == 1 else 'days'} left" if days else ""


def _still_open(evidence: Evidence, settings: Settings) -> Verdict:
    days = evidence.days_to_enough
    return Verdict(
        code=Code.COLLECTING,
        sentence=(
            f"Collecting: {min(evidence.counts):,} of about {about(evidence.enough)} guests per"
            f" variant{_left(days)}. More than planned: a change of {settings.mde:.0%} may still"
            " show."
        ),
        days_left=days,
    )


def _shipped(found: Comparison, evidence: Evidence) -> Verdict:
    name = evidence.names[found.variant]
    return Verdict(
        code=Code.SHIP,
        variant=found.variant,
        sentence=f"Ship {name}: {found.goal.name} {change(found)}.",
    )


def _harmful(found: Comparison, harm: Comparison, evidence: Evidence) -> str:
    return (
        f"{evidence.names[found.variant]} is better, {found.goal.name} {change(found)}, but worse"
        f" by a guardrail, {harm.goal.name} {change(harm)}."
    )


def _gain(found: Comparison) -> float:
    estimate = found.difference.effect.estimate or 0.0
    return estimate if found.goal.direction is Direction.INCREASE else -estimate


def _harm(variant: str, evidence: Evidence) -> Comparison | None:
    for found in evidence.guardrails:
        if found.variant == variant and found.outcome == "WORSE":
            return found
    return None


def _of_losers(evidence: Evidence) -> Verdict:
    best = max(evidence.primary, key=_gain)
    name = evidence.names[best.variant]
    subject = f"{name} is" if len(evidence.primary) == 1 else f"all variants, even {name}, are"
    return Verdict(
        code=Code.KEEP_CONTROL,
        sentence=f"Keep the control: {subject} worse, {best.goal.name} {change(best)}.",
    )


def _of_nothing(evidence: Evidence, settings: Settings) -> Verdict:
    best = max(evidence.primary, key=_gain)
    hope = (
        "" if _is_ruled_out(best, settings) else f" A change of {settings.mde:.0%} may still show."
    )
    return Verdict(
        code=Code.NO_DIFFERENCE,
        sentence=(
            f"No difference found with {min(evidence.counts):,} guests per variant:"
            f" {best.goal.name} of {evidence.names[best.variant]} {change(best)}.{hope}"
        ),
    )


def _is_ruled_out(found: Comparison, settings: Settings) -> bool:
    interval = found.shown.sequential
    if found.difference.sequential.low is None:
        # Everybody is alike.
        return True
    if not found.is_relative or interval.low is None or interval.high is None:
        return False
    is_up = found.goal.direction is Direction.INCREASE
    return interval.high < settings.mde if is_up else interval.low > -settings.mde


def change(found: Comparison) -> str:
    """Write an effect and its interval by the default view: “+12.3% (+2.0% to +22.6%)”."""
    effect, interval = found.shown.effect.estimate, found.shown.sequential
    if effect is None or interval.low is None or interval.high is None:
        return "not known"
    if found.is_relative:
        return f"{effect:+.1%} ({interval.low:+.1%} to {interval.high:+.1%})"
    control = f"over a control of {found.control_mean:.3g}"
    return f"{effect:+.3g} ({interval.low:+.3g} to {interval.high:+.3g}) {control}"


def about(guests: int) -> str:
    """Write a number of guests to three digits: what is reckoned is no more precise."""
    rounded = round(guests, 3 - len(str(guests))) if guests > 999 else guests
    return f"{rounded:,}"
