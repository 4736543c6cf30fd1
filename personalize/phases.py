"""
PURE. Phases of a flow: consecutive revisions that divide the same guests among the same variants,
and where there is one alone, between it and those held out.

`number_of` is asked when a flow is published; `words` by whoever shows what a phase began with;
`periods_of` and `run_of` by whoever reads what came of an optimized flow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

#: Shares are compared up to rounding: thirds are thirds, however they were written.
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class _Share:
    """A variant that has guests, and its part of 1."""

    ref: str
    part: float


@dataclass(frozen=True, slots=True)
class _Division:
    """
    What makes guests see what they see.

    shares: in their order, which says where each variant's guests stand. buckets: None in unique
    mode. group: ref, low, high. is_optimized: the bandit sets the shares. holdout: in percent, of
    a single variant, which is compared with those held out; several are compared with each other.
    """

    shares: tuple[_Share, ...]
    control: str
    buckets: tuple[int, int] | None
    group: tuple[str, float, float] | None
    is_optimized: bool
    holdout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """
    A phase in time. definition: as it was last published in it. until: None, it still runs.

    shares: of the guests who come, by the variant's ref; they add up to 1.
    """

    phase: int
    since: datetime
    until: datetime | None
    definition: Mapping[str, Any]
    shares: Mapping[str, float]

    @property
    def is_optimized(self) -> bool:
        return is_optimized(self.definition)


def is_optimized(definition: Mapping[str, Any]) -> bool:
    """Say whether results set the weights, and not people."""
    return bool(definition.get("optimized"))


def phase_of(definition: Mapping[str, Any]) -> int:
    """Return the phase that a definition was published in."""
    return int(definition.get("phase", 1))


def periods_of(revisions: Iterable[tuple[datetime, Mapping[str, Any]]]) -> list[Period]:
    """Return the phases of a flow in time, of its revisions as they were published, in order."""
    found: list[Period] = []
    for at, definition in revisions:
        phase = phase_of(definition)
        if found and found[-1].phase == phase:
            found[-1] = replace(found[-1], definition=definition)
            continue
        if found:
            found[-1] = replace(found[-1], until=at)
        shares = {each.ref: each.part for each in _division(definition).shares}
        found.append(
            Period(phase=phase, since=at, until=None, definition=definition, shares=shares)
        )
    return found


def run_of(periods: Sequence[Period]) -> list[Period]:
    """
    Return the periods whose guests add up, up to the last one, where that is optimized.

    Those before it while they were optimized and had the same variants: a variant that joined
    later has none of the guests of before to be compared with.
    """
    found: list[Period] = []
    for period in reversed(periods):
        if not period.is_optimized or _refs(period) != _refs(periods[-1]):
            break
        found.insert(0, period)
    return found


def _refs(period: Period) -> set[str]:
    return {each["ref"] for each in period.definition["variants"]}


def number_of(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> int:
    """Return the phase, 1 or more, of a definition that follows another one, or none."""
    if before is None:
        return 1
    number = phase_of(before)
    return number if _division(before) == _division(after) else number + 1


def words(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say what differs in how guests are divided: `weights 50/50 → 80/20`; empty: nothing."""
    old, new = _division(before), _division(after)
    told: list[tuple[str, str]] = []
    if [each.ref for each in old.shares] != [each.ref for each in new.shares]:
        told.append((f"variants {_named(before, old.shares)}", _named(after, new.shares)))
    elif old.shares != new.shares:
        told.append((f"weights {_weights(old.shares)}", _weights(new.shares)))
    if old.control != new.control:
        told.append((f"control {_control(before)}", _control(after)))
    if old.is_optimized != new.is_optimized:
        told.append((_weighed(old), _weighed(new)))
    if old.buckets != new.buckets:
        told.append((_buckets(old.buckets), _buckets(new.buckets)))
    if old.group != new.group:
        told.append((_group(before), _group(after)))
    if old.holdout != new.holdout:
        told.append((f"held out {old.holdout:g} %", f"{new.holdout:g} %"))
    return ", ".join(f"{was} → {now}" for was, now in told)


def _division(definition: Mapping[str, Any]) -> _Division:
    variants = definition.get("variants", ())
    weights = {each["ref"]: float(each["weight"]) for each in variants}
    if len(weights) == 1:
        weights = dict.fromkeys(weights, 1.0)
    total = sum(weights.values())
    low, high = definition.get("buckets") or (0, 0)
    group = definition.get("exclusionGroup")
    return _Division(
        shares=tuple(
            _Share(ref, round(weight / total, _DIGITS))
            for ref, weight in weights.items()
            if weight > 0
        ),
        control=next((each["ref"] for each in variants if each["isControl"]), ""),
        buckets=(low, high) if low else None,
        group=(group["ref"], group["low"], group["high"]) if group else None,
        is_optimized=is_optimized(definition),
        holdout=float(definition.get("holdout") or 0) if len(variants) == 1 else 0.0,
    )


def _weights(shares: Sequence[_Share]) -> str:
    return "/".join(f"{each.part * 100:.4g}" for each in shares)


def _named(definition: Mapping[str, Any], shares: Sequence[_Share]) -> str:
    names = {each["ref"]: each["name"] for each in definition["variants"]}
    return " + ".join(f"“{names[each.ref]}” {each.part * 100:.4g}" for each in shares) or "none"


def _control(definition: Mapping[str, Any]) -> str:
    names = [f"“{each['name']}”" for each in definition.get("variants", ()) if each["isControl"]]
    return names[0] if names else "none"


def _weighed(division: _Division) -> str:
    return "weights by the results" if division.is_optimized else "weights by hand"


def _buckets(buckets: tuple[int, int] | None) -> str:
    return f"buckets {buckets[0]}–{buckets[1]}" if buckets else "unique mode"


def _group(definition: Mapping[str, Any]) -> str:
    group = definition.get("exclusionGroup")
    if not group:
        return "no exclusion group"
    return f"{group['low']:g}–{group['high']:g} % of “{group['name']}”"
