"""
What is done once results are in: one variant for everybody, back to the control, or the end.

Called by the results page of the admin and by REST. Each is an ordinary publication or move of
`flows`; what these refuse is refused here.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser

from personalize import flows, weighting
from personalize.flows import FlowError
from personalize.models import Flow, Variant
from tracking import db


class Action(StrEnum):
    """
    What can be done. SHIP: all traffic to one variant. CONTROL: all traffic to the control.
    COMPLETE: it runs no more.
    """

    SHIP = "SHIP"
    CONTROL = "CONTROL"
    COMPLETE = "COMPLETE"


def conclude(
    flow: Flow,
    action: Action,
    *,
    variant: UUID | None = None,
    by: AbstractBaseUser | None = None,
    now: datetime,
) -> str:
    """
    Conclude a flow, and say what was done in a sentence. variant: which one to ship.

    Raises FlowError; then nothing was changed.
    """
    if action is Action.COMPLETE:
        flows.transition(flow, Flow.Status.COMPLETED, by=by, now=now)
        return "The flow is completed: it runs no more."
    if action is Action.SHIP and variant is None:
        raise FlowError("variant_missing", "Which variant is to be shipped? Name its ref.")
    with db.write():
        chosen = _chosen(flow, variant if action is Action.SHIP else None)
        number = _send_all_to(chosen, flow, by=by, now=now)
    return f"All traffic goes to “{chosen.name}”, since revision {number}."


def refusal(flow: Flow) -> str:
    """Say why traffic cannot be moved now; nothing where it can."""
    try:
        _check(flow)
    except FlowError as error:
        return str(error)
    return ""


def _check(flow: Flow) -> None:
    """Raises FlowError unless traffic of the flow can be moved, and nothing else along with it."""
    if flow.subtype != Flow.Subtype.EXPERIMENT:
        raise FlowError("experiment_needed", "An experience has one variant: nothing to choose.")
    if flow.published is None:
        raise FlowError("never_published", "The flow was never published: nothing runs yet.")
    if flow.status == Flow.Status.COMPLETED:
        raise FlowError("flow_completed", "The flow is completed: nothing runs any more.")
    if flow.published.definition != flows.draft_of(flow):
        raise FlowError(
            "unpublished_changes",
            "The flow has unpublished changes, which would go live along with this: publish them "
            "first, or take them back.",
        )


def _chosen(flow: Flow, ref: UUID | None) -> Variant:
    _check(flow)
    rows = flow.variants.all()
    found = (rows.filter(is_control=True) if ref is None else rows.filter(ref=ref)).first()
    if found is None:
        raise FlowError(
            "variant_unknown",
            "The flow has no control." if ref is None else "The flow has no variant of this ref.",
        )
    return found


def _send_all_to(
    variant: Variant, flow: Flow, *, by: AbstractBaseUser | None, now: datetime
) -> int:
    others = flow.variants.exclude(pk=variant.pk)
    if variant.weight > 0 and not others.filter(weight__gt=0).exists():
        raise FlowError("already_so", f"All traffic goes to “{variant.name}” already.")
    if weighting.is_optimized(flow):
        # From here on people decide: results set no weights any more.
        flow.traffic_mode, flow.allocation = Flow.TrafficMode.UNIQUE, 100.0
        Flow.objects.filter(pk=flow.pk).update(
            traffic_mode=flow.traffic_mode, allocation=flow.allocation
        )
    others.update(weight=0)
    flow.variants.filter(pk=variant.pk).update(weight=100)
    return flows.publish(flow, by=by, now=now).number
