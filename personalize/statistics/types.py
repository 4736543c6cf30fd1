"""
What an experiment's statistics are asked with, goals and settings, and why an answer is absent.

Built by whoever reads the sums (analytics, simulations); used by every module of this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Where a goal's number should go."""

    INCREASE = "INCREASE"
    DECREASE = "DECREASE"


class Reason(StrEnum):
    """
    Why a number is None.

    TOO_FEW_GUESTS: a variant has fewer than two guests, so nothing tells how much they vary.
    NO_DENOMINATOR: a ratio whose denominators add up to nothing. NO_VARIANCE: all guests have the
    same value. CONTROL_IS_ZERO: there is nothing to be relative to. CONTROL_NEAR_ZERO: maybe there
    is nothing. TOO_FEW_VALUES: no ranks are far enough out for a quantile's interval.
    """

    TOO_FEW_GUESTS = "TOO_FEW_GUESTS"
    NO_DENOMINATOR = "NO_DENOMINATOR"
    NO_VARIANCE = "NO_VARIANCE"
    CONTROL_IS_ZERO = "CONTROL_IS_ZERO"
    CONTROL_NEAR_ZERO = "CONTROL_NEAR_ZERO"
    TOO_FEW_VALUES = "TOO_FEW_VALUES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """From where to where, and how surprising no effect would be; None with the reason why."""

    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """A normal belief about the relative lift (0.1: ten percent) before any data."""

    mean: float = 0.0
    deviation: float = 0.3

    def __post_init__(self) -> None:
        if not self.deviation > 0:
            raise ValueError(f"a prior's standard deviation is above 0, not {self.deviation}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalRule:
    """How a goal counts. `ref` is the key of its samples."""

    ref: str
    name: str
    is_primary: bool = False
    is_guardrail: bool = False
    direction: Direction = Direction.INCREASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    How results are judged.

    alpha: the share of experiments without any effect in which one may be claimed. power, mde
    (relative), base_rate, planned_guests (a variant; None: reckoned from the others): the plan.
    tuning: the number of guests (of both variants) at which a confidence sequence is tightest.
    prior: None is flat. min_guests and min_conversions, of a variant: below, nothing is claimed.
    max_mixed_share: of guests who saw several variants. mismatch_alpha: of sample-ratio mismatch.
    Raises ValueError for what is out of range.
    """

    alpha: float = 0.05
    power: float = 0.80
    mde: float = 0.20
    base_rate: float = 0.02
    planned_guests: int | None = None
    tuning: float = 5000.0
    prior: Prior | None = None
    uses_cuped: bool = True
    min_guests: int = 100
    min_conversions: int = 10
    max_mixed_share: float = 0.01
    mismatch_alpha: float = 0.001

    def __post_init__(self) -> None:
        for name in ("alpha", "power", "base_rate", "mismatch_alpha"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} is between 0 and 1, not {getattr(self, name)}")
        for name in ("mde", "tuning"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is above 0, not {getattr(self, name)}")
        if self.base_rate * (1.0 + self.mde) > 1:
            raise ValueError(f"no base_rate of {self.base_rate:g} can grow by {self.mde:.0%}")
        if self.planned_guests is not None and self.planned_guests < 1:
            raise ValueError(f"planned_guests is 1 or more, not {self.planned_guests}")
