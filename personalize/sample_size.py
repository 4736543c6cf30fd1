"""
By what an experiment is planned, and how many guests that takes: checked, and made ready.

Called where flows are saved (`flows`), read (`analytics`) and shown. Shares are from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from personalize.statistics import planning
from personalize.statistics.types import Settings


class SampleSizeInvalid(ValueError):
    """A plan that cannot be: the text says why."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a plan: what it is unless stated, and between what it lies."""

    default: float
    least: float
    most: float


#: The numbers of a plan, by the names under which they are stored and sent.
NUMBERS: Final[Mapping[str, Number]] = {
    "baseValue": Number(0.02, 0.005, 0.5),
    "minimumDetectableDifference": Number(0.2, 0.01, 0.5),
    "confidenceLevel": Number(0.95, 0.8, 0.99),
    "power": Number(0.8, 0.5, 0.99),
}


def check(stated: object) -> None:
    """Check what is stated of a plan. Raises SampleSizeInvalid."""
    if not isinstance(stated, Mapping):
        raise SampleSizeInvalid("The sample size is an object of numbers.")
    for name, value in stated.items():
        if name not in NUMBERS:
            raise SampleSizeInvalid(f"A sample size has no {name}: {', '.join(NUMBERS)}.")
        number = NUMBERS[name]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not number.least <= value <= number.most:
            raise SampleSizeInvalid(f"{name} is a number from {number.least:g} to {number.most:g}.")


def whole(stated: Mapping[str, Any] | None) -> dict[str, float]:
    """Return a plan with what is not stated at its defaults."""
    defaults = {name: number.default for name, number in NUMBERS.items()}
    return defaults | {name: float(value) for name, value in (stated or {}).items()}


def settings_of(stated: Mapping[str, Any] | None) -> Settings:
    """Return how results are judged that were planned so."""
    plan = whole(stated)
    return Settings(
        base_rate=plan["baseValue"],
        mde=plan["minimumDetectableDifference"],
        alpha=1 - plan["confidenceLevel"],
        power=plan["power"],
    )


def guests_per_variant(stated: Mapping[str, Any] | None) -> int:
    """Return how many guests each variant needs, of a goal that is a rate."""
    settings = settings_of(stated)
    plan = planning.for_rate(base_rate=settings.base_rate, mde=settings.mde)
    return max(plan.size(alpha=settings.alpha, power=settings.power), settings.min_guests)
