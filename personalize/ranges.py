"""PURE. Parts of a whole of 100 percent: which overlap, what is free? `traffic` asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """From low to before high, in percent; `owner` is whose it is, in words."""

    low: float
    high: float
    owner: str = ""

    def overlaps(self, other: Part) -> bool:
        return self.low < other.high and other.low < self.high


def overlapping(part: Part, others: Iterable[Part]) -> Sequence[Part]:
    """Return those of the others that share something with a part, in the order of the whole."""
    return sorted(other for other in others if part.overlaps(other))


def free(taken: Iterable[Part]) -> Sequence[Part]:
    """Return what nobody has, in order."""
    found: list[Part] = []
    reached = 0.0
    for part in sorted(taken):
        if part.low > reached:
            found.append(Part(reached, part.low))
        reached = max(reached, part.high)
    if reached < 100:
        found.append(Part(reached, 100.0))
    return found


def words(parts: Sequence[Part]) -> str:
    """Say which parts these are: `0 to 20 and 50 to 100 %`, or `nothing`."""
    told = [f"{part.low:g} to {part.high:g}" for part in parts]
    if not told:
        return "nothing"
    return f"{', '.join(told[:-1])} and {told[-1]} %" if len(told) > 1 else f"{told[0]} %"
