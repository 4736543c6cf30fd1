"""
Who sets a flow's weights: people, or the results where it is optimized.

`flows` and `definitions` ask here which weights are in force; `optimizing` asks which come next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from personalize import phases
from personalize.goals.types import Goal
from personalize.models import Flow, FlowRevision, Variant

#: Weights are percent, by the variant's ref.
Weights = Mapping[str, float]

#: Results move weights by a point or more, or not at all: each move begins a phase.
_LEAST_MOVE: Final = 1.0
_DIGITS = 2
_SAME: Final = 1e-9


def is_optimized(flow: Flow) -> bool:
    """Say whether the draft leaves its weights to the results."""
    return flow.traffic_mode == Flow.TrafficMode.OPTIMIZED


def in_draft(flow: Flow, variants: Sequence[Variant], before: FlowRevision | None) -> Weights:
    """Return the weights that the draft would be published with now."""
    if not is_optimized(flow):
        return {str(variant.ref): variant.weight for variant in variants}
    refs = [str(variant.ref) for variant in variants]
    return _in_force(before.definition if before else None, refs)


def _in_force(before: Mapping[str, Any] | None, refs: Sequence[str]) -> Weights:
    """Return the weights that an optimized flow goes on with: other variants begin even."""
    if before is not None and phases.is_optimized(before):
        known = {each["ref"]: float(each["weight"]) for each in before["variants"]}
        if known.keys() == set(refs):
            return {ref: known[ref] for ref in refs}
    return dict.fromkeys(refs, 100.0 / len(refs)) if refs else {}


def settle(flow: Flow) -> None:
    """Give an optimized flow's variants the weights in force, whatever was typed in."""
    if not is_optimized(flow):
        return
    variants = list(Variant.objects.filter(flow=flow.pk))
    wanted = in_draft(flow, variants, _newest(flow))
    for variant in variants:
        if variant.weight != wanted[str(variant.ref)]:
            Variant.objects.filter(pk=variant.pk).update(weight=wanted[str(variant.ref)])


def problem_of_given(flow: Flow, variants: Sequence[Variant], given: Sequence[float | None]) -> str:
    """Say that weights were given that results set; empty where there are none, or these."""
    if not is_optimized(flow) or all(weight is None for weight in given):
        return ""
    in_force = in_draft(flow, variants, _newest(flow))
    own = list(in_force.values())
    stated = [have if weight is None else weight for weight, have in zip(given, own, strict=True)]
    total = math.fsum(stated)
    if total and all(
        abs(weight / total - have / 100) < _SAME for weight, have in zip(stated, own, strict=True)
    ):
        return ""
    told = ", ".join(
        f"“{variant.name}” {weight:g}" for variant, weight in zip(variants, own, strict=True)
    )
    return (
        "The results set the weights of an optimized experiment; in force are, in percent: "
        f"{told}. Leave weights and splits out, or state these."
    )


def goal_problem(goals: Sequence[Goal]) -> str:
    """Say why results by the primary goal cannot set weights; empty where they can."""
    if not goals:
        return "An optimized experiment needs a goal: the first one sets its weights."
    primary = goals[0]
    if primary.quantile is not None or primary.cap_percentile is not None:
        what = "a quantile" if primary.quantile is not None else "a cap by percentile"
        return (
            f"The primary goal “{primary.name}” has {what}, which single guests alone can tell: "
            "weights are set by sums. Make another goal the first one."
        )
    return ""


# --- what comes next -------------------------------------------------------------------


def from_shares(shares: Mapping[str, float]) -> dict[str, float]:
    """Return shares of 1 as weights, in hundredths of a percent: the largest has the rest."""
    found = {ref: round(100 * share, _DIGITS) for ref, share in shares.items()}
    largest = max(found, key=lambda ref: found[ref])
    found[largest] += 100 - math.fsum(found.values())
    found[largest] = round(found[largest], _DIGITS)
    return found


def is_move(before: Mapping[str, float], after: Weights) -> bool:
    """Say whether any weight moves by a point; `before`: shares of 1."""
    return any(
        abs(weight - 100 * before.get(ref, 0.0)) >= _LEAST_MOVE - _SAME
        for ref, weight in after.items()
    )


def reweighed(definition: Mapping[str, Any], weights: Weights) -> dict[str, Any]:
    """Return what was published with other weights, and nothing else changed but the phase."""
    variants = [
        {**each, "weight": weights.get(each["ref"], each["weight"])}
        for each in definition["variants"]
    ]
    after = {**definition, "variants": variants}
    return {**after, "phase": phases.number_of(definition, after)}


def _newest(flow: Flow) -> FlowRevision | None:
    return FlowRevision.objects.filter(flow=flow.pk).order_by("-number").first()
