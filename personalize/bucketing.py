"""
Who is let in and which variant they get: arithmetic on a hash, the same anywhere, for ever.

Nothing is drawn and nothing remembered. The number depends on the salt and the guest alone, so
a browser, a worker and a replay a year later agree.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Reason = Literal["ASSIGNED", "NOT_ALLOCATED", "NO_VARIANT"]


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


@dataclass(frozen=True, kw_only=True)
class Split:
    """A variant's share; shares are relative to each other."""

    variant_ref: str
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """
    How a flow's guests are divided.

    salt: fixed for the flow's life (its ref). percent: the share of guests let in, 0 to 100.
    splits: the variants in a fixed order; reordering or reweighting them moves guests.
    Raises ValueError for a percent or weight that is none.
    """

    salt: str
    splits: Sequence[Split]
    percent: float = 100.0

    def __post_init__(self) -> None:
        if not 0 <= self.percent <= 100:
            raise ValueError(f"the share of guests let in is 0 to 100 percent, not {self.percent}")
        for split in self.splits:
            if not (math.isfinite(split.weight) and split.weight >= 0):
                raise ValueError(f"a weight is 0 or more, not {split.weight}")


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """
    The answer, with the two numbers it rests on.

    variant_ref is None unless reason is ASSIGNED. NO_VARIANT: let in, but there is no variant
    with a share.
    """

    allocated: bool
    variant_ref: str | None
    allocation_bucket: float
    split_bucket: float
    reason: Reason


def assign(*, traffic: Traffic, bucket_ref: str) -> Assignment:
    """
    Choose the guest's variant, or say why there is none.

    Widening the allocation never moves a guest from one variant to another: who is let in and
    which variant they get are decided by two independent numbers.
    """
    allocation_bucket = bucket(f"{traffic.salt}:allocation", bucket_ref)
    split_bucket = bucket(f"{traffic.salt}:split", bucket_ref)
    is_in = allocation_bucket < traffic.percent / 100
    variant_ref = _choose(traffic.splits, split_bucket) if is_in else None
    reason: Reason = "ASSIGNED"
    if not is_in:
        reason = "NOT_ALLOCATED"
    elif variant_ref is None:
        reason = "NO_VARIANT"
    return Assignment(
        allocated=is_in,
        variant_ref=variant_ref,
        allocation_bucket=allocation_bucket,
        split_bucket=split_bucket,
        reason=reason,
    )


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
    # An experience has one variant; whatever share it was saved with is all there is.
    if len(splits) == 1:
        return splits[0].variant_ref
    sharing = [split for split in splits if split.weight > 0]
    if not sharing:
        return None
    total = sum(split.weight for split in sharing)
    reached = 0.0
    for split in sharing:
        reached += split.weight
        if split_bucket < reached / total:
            return split.variant_ref
    # The last variant owns the gap: the shares may add up to a hair under 1.
    return sharing[-1].variant_ref
