"""
Who is let in and which variant they get: arithmetic on a hash, the same anywhere, for ever.

Nothing is drawn. The number depends on the salt and the guest alone, so a browser, a worker and a
replay a year later agree. Who has seen a variant keeps it, as long as it has a share, and is not
held out later: the caller says which it was.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal

Reason = Literal["ASSIGNED", "NOT_ALLOCATED", "NO_VARIANT", "HELD_OUT"]
Mode = Literal["UNIQUE", "UNIVERSAL"]

#: The variants that a guest has seen first: flow (the salt of its traffic) -> variant.
Kept = Mapping[str, str]
NOTHING_KEPT: Kept = {}

#: How many buckets there are in universal mode: 2, 3, 4, 5, 6 and 8 equal parts are exact.
BUCKETS = 120


def bucket(salt: str, ref: str) -> float:
    """
    Return where `ref` falls in [0, 1): the first 53 bits of sha256("{salt}:{ref}") / 2**53.

    53 bits are all a double can hold. Dividing all 64 would round the top of the range to 1.0.
    """
    digest = hashlib.sha256(f"{salt}:{ref}".encode("utf-8", "surrogatepass")).digest()
    return float(int.from_bytes(digest[:8], "big") >> 11) / float(1 << 53)


def allocated(salt: str, ref: str, percent: float) -> bool:
    """Say whether `ref` is among the first `percent` of 100. Raising it only ever adds guests."""
    return bucket(salt, ref) < percent / 100


def universal_bucket(bucket_ref: str) -> int:
    """Return the guest's one bucket, 1 to BUCKETS: the same in every flow of every client."""
    return 1 + math.floor(BUCKETS * bucket("universal", bucket_ref))


@dataclass(frozen=True, kw_only=True)
class Split:
    """A variant's share; shares are relative to each other."""

    variant_ref: str
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class BucketRange:
    """
    The universal buckets that a flow takes, from low to high, both included.

    Raises ValueError for a range that is none.
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        if not 1 <= self.low <= self.high <= BUCKETS:
            raise ValueError(f"buckets are 1 to {BUCKETS}, not {self.low} to {self.high}")

    @property
    def size(self) -> int:
        return self.high - self.low + 1

    def has(self, number: int) -> bool:
        return self.low <= number <= self.high


@dataclass(frozen=True, kw_only=True)
class GroupPart:
    """
    The part of an exclusion group that a flow takes: from low to before high, in percent.

    salt: the group's own, so that a guest stands at one place for all of its flows. name: what
    people call the group. Raises ValueError for a part that is none.
    """

    salt: str
    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 100:
            raise ValueError(f"a part is of 0 to 100 percent, not {self.low} to {self.high}")

    def number_of(self, bucket_ref: str) -> float:
        """Return where in [0, 1) the guest stands in the group."""
        return bucket(f"{self.salt}:group", bucket_ref)

    def has(self, number: float) -> bool:
        return self.low / 100 <= number < self.high / 100


@dataclass(frozen=True, kw_only=True)
class SiteHoldout:
    """The guests of a client who are shown nothing at all: the first `percent` of 100."""

    salt: str
    name: str
    percent: float

    def number_of(self, bucket_ref: str) -> float:
        """Return where in [0, 1) the guest stands."""
        return bucket(f"{self.salt}:holdout", bucket_ref)

    def holds(self, bucket_ref: str) -> bool:
        return self.number_of(bucket_ref) < self.percent / 100


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """
    How a flow's guests are divided.

    salt: fixed for the flow's life (its ref). splits: the variants in a fixed order; reordering
    or reweighting them moves those who have seen none. percent: the share of guests let in, 0 to
    100. universal: the buckets that are let in instead, which makes the mode UNIVERSAL. group: the
    part of an exclusion group of which these are. holdout: the percent of those let in who get
    nothing, but for who has seen a variant before.
    Raises ValueError for a percent or weight that is none.
    """

    salt: str
    splits: Sequence[Split]
    percent: float = 100.0
    universal: BucketRange | None = None
    group: GroupPart | None = None
    holdout: float = 0.0

    def __post_init__(self) -> None:
        for what, percent in (("guests let in", self.percent), ("guests held out", self.holdout)):
            if not 0 <= percent <= 100:
                raise ValueError(f"the share of {what} is 0 to 100 percent, not {percent}")
        for split in self.splits:
            if not (math.isfinite(split.weight) and split.weight >= 0):
                raise ValueError(f"a weight is 0 or more, not {split.weight}")

    @property
    def mode(self) -> Mode:
        return "UNIQUE" if self.universal is None else "UNIVERSAL"

    @cached_property
    def ranges(self) -> Mapping[str, BucketRange]:
        """The buckets of each variant that has any; empty in unique mode."""
        return {} if self.universal is None else ranges_of(self.splits, self.universal)


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """
    The answer, with the numbers it rests on; those that were not asked for are None.

    variant_ref is None unless reason is ASSIGNED. NO_VARIANT: let in, but there is no variant
    with a share. HELD_OUT: let in, and kept without one to compare with. Buckets are in [0, 1),
    but for the universal one, which is 1 to BUCKETS. kept: the variant, where the buckets say
    another one, or hold the guest out, and it is had because the guest saw it before.
    """

    allocated: bool
    variant_ref: str | None
    reason: Reason
    allocation_bucket: float | None = None
    split_bucket: float | None = None
    universal_bucket: int | None = None
    group_bucket: float | None = None
    holdout_bucket: float | None = None
    kept: str | None = None

    @property
    def numbers(self) -> dict[str, float]:
        """Return the numbers by their names, as events and records have them."""
        found = {
            "allocationBucket": self.allocation_bucket,
            "splitBucket": self.split_bucket,
            "universalBucket": self.universal_bucket,
            "groupBucket": self.group_bucket,
            "holdoutBucket": self.holdout_bucket,
        }
        return {name: number for name, number in found.items() if number is not None}


def assign(*, traffic: Traffic, bucket_ref: str, kept: Kept = NOTHING_KEPT) -> Assignment:
    """
    Choose the guest's variant, or say why there is none.

    Widening the allocation never moves a guest from one variant to another: who is let in, which
    variant they get and who is held out are decided by independent numbers. Nor do other weights
    or a holdout move who has seen one already, unless it has no share any more.
    """
    group = traffic.group.number_of(bucket_ref) if traffic.group else None
    holdout = bucket(f"{traffic.salt}:holdout", bucket_ref) if traffic.holdout else None
    allocation = split = number = None
    if traffic.universal is None:
        allocation = bucket(f"{traffic.salt}:allocation", bucket_ref)
        split = bucket(f"{traffic.salt}:split", bucket_ref)
        is_in = allocation < traffic.percent / 100
        variant_ref = _choose(traffic.splits, split)
    else:
        number = universal_bucket(bucket_ref)
        is_in = traffic.universal.has(number)
        variant_ref = next((ref for ref, own in traffic.ranges.items() if own.has(number)), None)
    is_held_out = holdout is not None and holdout < traffic.holdout / 100
    seen = kept.get(traffic.salt)
    if seen not in {split.variant_ref for split in _sharing(traffic.splits)} or (
        seen == variant_ref and not is_held_out
    ):
        seen = None
    if seen is not None:
        variant_ref, is_held_out = seen, False
    if traffic.group is not None and group is not None:
        is_in = is_in and traffic.group.has(group)
    reason = _reason(is_in=is_in, has_variant=variant_ref is not None, is_held_out=is_held_out)
    return Assignment(
        allocated=is_in,
        variant_ref=variant_ref if reason == "ASSIGNED" else None,
        reason=reason,
        allocation_bucket=allocation,
        split_bucket=split,
        universal_bucket=number,
        group_bucket=group,
        holdout_bucket=holdout,
        kept=seen if reason == "ASSIGNED" else None,
    )


def _reason(*, is_in: bool, has_variant: bool, is_held_out: bool) -> Reason:
    if not is_in:
        return "NOT_ALLOCATED"
    if not has_variant:
        return "NO_VARIANT"
    return "HELD_OUT" if is_held_out else "ASSIGNED"


def ranges_of(splits: Sequence[Split], whole: BucketRange) -> dict[str, BucketRange]:
    """
    Divide a range among the variants by their weights, in their order.

    Each gets the whole buckets that its share comes to. Those that are left over go one each to
    the variants with the largest remainders, among equal ones to the first. A variant that gets
    none is left out.
    """
    sharing = _sharing(splits)
    total = sum((Fraction(split.weight) for split in sharing), Fraction(0))
    exact = [
        whole.size * Fraction(split.weight) / total if total else Fraction(whole.size)
        for split in sharing
    ]
    sizes = [math.floor(size) for size in exact]
    by_remainder = sorted(range(len(exact)), key=lambda at: sizes[at] - exact[at])
    for at in by_remainder[: whole.size - sum(sizes)]:
        sizes[at] += 1
    found: dict[str, BucketRange] = {}
    low = whole.low
    for split, size in zip(sharing, sizes, strict=True):
        if size:
            found[split.variant_ref] = BucketRange(low=low, high=low + size - 1)
        low += size
    return found


def _sharing(splits: Sequence[Split]) -> Sequence[Split]:
    # An experience has one variant; whatever share it was saved with is all there is.
    if len(splits) == 1:
        return splits
    return [split for split in splits if split.weight > 0]


def span(splits: Sequence[Split], variant_ref: str) -> tuple[float, float]:
    """Return from where to where in [0, 1) a variant's guests stand; (0, 0) where it has none."""
    if len(splits) == 1:
        return (0.0, 1.0) if splits[0].variant_ref == variant_ref else (0.0, 0.0)
    total = sum(split.weight for split in splits)
    reached = 0.0
    for split in splits:
        if split.variant_ref == variant_ref and split.weight > 0:
            return reached / total, (reached + split.weight) / total
        reached += split.weight
    return 0.0, 0.0


def _choose(splits: Sequence[Split], split_bucket: float) -> str | None:
    sharing = _sharing(splits)
    if not sharing:
        return None
    if len(sharing) == 1:
        return sharing[0].variant_ref
    total = sum(split.weight for split in sharing)
    reached = 0.0
    for split in sharing:
        reached += split.weight
        if split_bucket < reached / total:
            return split.variant_ref
    # The last variant owns the gap: the shares may add up to a hair under 1.
    return sharing[-1].variant_ref
