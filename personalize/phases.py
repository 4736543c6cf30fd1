"""
PURE. Phases of a flow: consecutive revisions that divide the same guests among the same variants.

`number_of` is asked when a flow is published; `words` by whoever shows what a phase began with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    mode. group: ref, low, high.
    """

    shares: tuple[_Share, ...]
    control: str
    buckets: tuple[int, int] | None
    group: tuple[str, float, float] | None


def number_of(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> int:
    """Return the phase, 1 or more, of a definition that follows another one, or none."""
    if before is None:
        return 1
    number = int(before.get("phase", 1))
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
    if old.buckets != new.buckets:
        told.append((_buckets(old.buckets), _buckets(new.buckets)))
    if old.group != new.group:
        told.append((_group(before), _group(after)))
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
    )


def _weights(shares: Sequence[_Share]) -> str:
    return "/".join(f"{each.part * 100:.4g}" for each in shares)


def _named(definition: Mapping[str, Any], shares: Sequence[_Share]) -> str:
    names = {each["ref"]: each["name"] for each in definition["variants"]}
    return " + ".join(f"“{names[each.ref]}” {each.part * 100:.4g}" for each in shares) or "none"


def _control(definition: Mapping[str, Any]) -> str:
    names = [f"“{each['name']}”" for each in definition.get("variants", ()) if each["isControl"]]
    return names[0] if names else "none"


def _buckets(buckets: tuple[int, int] | None) -> str:
    return f"buckets {buckets[0]}–{buckets[1]}" if buckets else "unique mode"


def _group(definition: Mapping[str, Any]) -> str:
    group = definition.get("exclusionGroup")
    if not group:
        return "no exclusion group"
    return f"{group['low']:g}–{group['high']:g} % of “{group['name']}”"
