"""What is compared with what: variants as they were published, and those who were held out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from personalize.goals.folding import HELD_OUT


@dataclass(frozen=True, slots=True)
class Arm:
    """A variant as it was published in a phase, or those who were held out."""

    ref: UUID
    name: str
    is_control: bool
    weight: float


def arms_of(definition: Mapping[str, Any], *, has_held_out: bool) -> list[Arm]:
    """Return the variants of a published definition, and those held out if there are any."""
    held_out = float(definition.get("holdout") or 0)
    arms = [
        Arm(UUID(each["ref"]), each["name"], bool(each["isControl"]), float(each["weight"]))
        for each in definition["variants"]
    ]
    if held_out or has_held_out:
        arms.append(Arm(HELD_OUT, _("Held out"), False, 0.0))
    return arms


def compared_arms(arms: Sequence[Arm], definition: Mapping[str, Any]) -> list[Arm]:
    """
    Choose what is compared with what.

    An experiment's variants that have a share, if its control has one. An experience with who was
    held out from it; with nobody held out there is nothing to compare with.
    """
    shown = [arm for arm in arms if arm.ref != HELD_OUT]
    if len(shown) > 1:
        sharing = [arm for arm in shown if arm.weight > 0]
        has_control = any(arm.is_control for arm in sharing)
        return sharing if has_control and len(sharing) > 1 else []
    held_out = [arm for arm in arms if arm.ref == HELD_OUT]
    share = float(definition.get("holdout") or 0)
    if not shown or not held_out or not 0 < share < 100:
        return []
    return [
        replace(held_out[0], is_control=True, weight=share),
        replace(shown[0], is_control=False, weight=100 - share),
    ]
