"""
What may happen to a flow: saved, published, moved from status to status, deleted.

The admin and the REST API both come here, so that a rule holds for both.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser

from personalize import catalogs, friendly_ids, rendering, stored_conditions
from personalize.goals import document as goal_documents
from personalize.models import Flow, FlowRevision, Goal, Variant
from tracking import db

MAX_FRIENDLY_ID = friendly_ids.MAX_LENGTH
MAX_GOALS = 20

Status = Flow.Status
#: Status -> those it may become. COMPLETED is the end.
MOVES: Mapping[str, frozenset[str]] = {
    Status.DRAFT: frozenset({Status.SCHEDULED, Status.LIVE, Status.COMPLETED}),
    Status.SCHEDULED: frozenset({Status.DRAFT, Status.LIVE, Status.PAUSED, Status.COMPLETED}),
    Status.LIVE: frozenset({Status.PAUSED, Status.COMPLETED}),
    Status.PAUSED: frozenset({Status.LIVE, Status.COMPLETED}),
    Status.COMPLETED: frozenset(),
}


class FlowError(ValueError):
    """A change that a flow does not take; the text says why, and `code` names the rule."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def friendly_id_from(name: str, *, subtype: str = Flow.Subtype.EXPERIENCE) -> str:
    """Make an id from any name; one that leaves nothing gives the kind of flow."""
    return friendly_ids.from_name(name, fallback=str(subtype).lower())


def free_friendly_id(client_id: int, wanted: str) -> str:
    """Return the id, or the first free of `_2`, `_3`, ...: ids of deleted flows stay taken."""
    taken = set(
        Flow.objects.filter(client=client_id, friendly_id__startswith=wanted).values_list(
            "friendly_id", flat=True
        )
    )
    return friendly_ids.first_free(wanted, taken)


def check_friendly_id(flow: Flow, wanted: str) -> None:
    """Check an id that was chosen by hand. Raises FlowError."""
    if not friendly_ids.is_valid(wanted):
        raise FlowError("friendly_id_invalid", friendly_ids.RULE)
    if flow.pk and flow.published_id and _stored_friendly_id(flow) != wanted:
        raise FlowError(
            "friendly_id_fixed", "The friendly ID is fixed since the flow was first published."
        )
    other = Flow.objects.filter(client=flow.client_id, friendly_id=wanted).exclude(pk=flow.pk)
    owner = other.first()
    if owner is not None:
        state = (
            "belongs to a deleted flow and is never used again"
            if owner.deleted_at
            else (f"belongs to “{owner.name}”")
        )
        raise FlowError("friendly_id_taken", f"The friendly ID “{wanted}” {state}.")


def save(flow: Flow, *, by: AbstractBaseUser | None = None) -> Flow:
    """
    Store a flow's draft. Raises FlowError when a condition or the id is not valid.

    What runs does not change before it is published.
    """
    for name, tree in (("Pages", flow.page_targeting), ("Audience", flow.audience)):
        problems = stored_conditions.problems_of(flow.client_id, tree)
        if problems:
            raise FlowError("condition_invalid", f"{name}: {problems[0]}")
    _check_decision_model(flow)
    with db.write():
        # Under the lock, so that two who ask for one id at once are told apart.
        catalogs.lock(flow.client_id)
        if flow.friendly_id:
            check_friendly_id(flow, flow.friendly_id)
        else:
            wanted = friendly_id_from(flow.name, subtype=flow.subtype)
            flow.friendly_id = free_friendly_id(flow.client_id, wanted)
        flow.modified_by = by  # type: ignore[assignment]
        flow.save()
    return flow


def check_content(variant: Variant) -> None:
    """Check a variant's content. Raises FlowError with the line at fault."""
    try:
        rendering.compile_content(variant.content_type, variant.content)
    except rendering.TemplateInvalid as error:
        raise FlowError("content_invalid", f"Variant “{variant.name}”: {error}") from None


def check_goal(goal: Goal) -> None:
    """Check a goal. Raises FlowError with what to change."""
    try:
        goal_documents.read(goal_document(goal))
    except goal_documents.GoalInvalid as error:
        raise FlowError("goal_invalid", str(error)) from None


def goal_document(goal: Goal) -> dict[str, Any]:
    """Return a goal whole, as it is published and sent."""
    return {**goal.document, "ref": str(goal.ref), "name": goal.name}


def renew_goal(goal: Goal, before: Mapping[str, Any]) -> None:
    """Give a goal that measures something else now a ref of its own: its numbers begin anew."""
    if not goal_documents.measures_alike(goal.document, before):
        goal.ref = uuid.uuid4()


def publish(flow: Flow, *, by: AbstractBaseUser | None = None, now: datetime) -> FlowRevision:
    """
    Make the draft what runs: a new revision, which nothing changes any more.

    Raises FlowError when the draft cannot run.
    """
    variants = list(flow.variants.order_by("position", "pk"))
    goals = list(flow.goals.order_by("position", "pk"))
    _check_runnable(flow, variants, goals)
    with db.write():
        version = catalogs.next_version(flow.client_id)
        last = flow.revisions.order_by("-number").values_list("number", flat=True).first() or 0
        revision = FlowRevision.objects.create(
            flow=flow,
            number=last + 1,
            definition=definition_of(flow, variants, goals),
            published_at=now,
            published_by=by,  # type: ignore[misc]
        )
        if flow.published is not None and _measures(flow.published) != _measures(revision):
            # What was seen before is measured by the new goals too.
            flow.measured_to = 0
        flow.published, flow.catalog_version = revision, version
        Flow.objects.filter(pk=flow.pk).update(
            published=revision, catalog_version=version, measured_to=flow.measured_to
        )
    return revision


def transition(flow: Flow, to: str, *, by: AbstractBaseUser | None = None, now: datetime) -> Flow:
    """
    Move a flow to another status, publishing a draft on the way. Raises FlowError.

    A start that lies ahead turns LIVE into SCHEDULED. The guarded update
    decides between two people who act at once.
    """
    if flow.deleted_at is not None:
        raise FlowError("flow_deleted", "The flow was deleted.")
    if to not in Status.values:
        raise FlowError("status_unknown", f"There is no status {to}: {', '.join(Status.values)}.")
    if to not in MOVES[flow.status]:
        raise FlowError("move_refused", f"A flow that is {flow.status} cannot become {to}.")
    if to == Status.LIVE and flow.starts_at and flow.starts_at > now:
        to = Status.SCHEDULED
    if to == Status.SCHEDULED and not (flow.starts_at and flow.starts_at > now):
        raise FlowError("start_missing", "A scheduled flow needs a start that lies ahead.")
    if to == flow.status:
        return flow
    with db.write():
        if flow.published is None and to != Status.COMPLETED:
            publish(flow, by=by, now=now)
        version = catalogs.next_version(flow.client_id)
        moved = Flow.objects.filter(pk=flow.pk, status=flow.status).update(
            status=to, catalog_version=version, modified_at=now
        )
        if not moved:
            raise FlowError("flow_changed", "Somebody else has just changed this flow's status.")
    flow.status, flow.catalog_version = to, version
    return flow


def archive(flow: Flow, *, archived: bool) -> None:
    """Put a flow out of sight, or back. An archived flow answers no calls."""
    with db.write():
        version = catalogs.next_version(flow.client_id)
        Flow.objects.filter(pk=flow.pk).update(is_archived=archived, catalog_version=version)
    flow.is_archived = archived


def reschedule(flow: Flow) -> None:
    """Let the running processes see the flow's start and end as they are now."""
    with db.write():
        version = catalogs.next_version(flow.client_id)
        Flow.objects.filter(pk=flow.pk).update(
            starts_at=flow.starts_at, ends_at=flow.ends_at, catalog_version=version
        )


def delete(flow: Flow, *, now: datetime) -> None:
    """Stop a flow answering for good. Its id, name and history stay and can be looked up."""
    with db.write():
        version = catalogs.next_version(flow.client_id)
        Flow.objects.filter(pk=flow.pk, deleted_at__isnull=True).update(
            deleted_at=now, catalog_version=version
        )
    flow.deleted_at = now


def catch_up(*, now: datetime) -> int:
    """Make stored statuses follow the clock: starts that have come, ends that have passed."""
    moved = 0
    started = Flow.objects.kept().filter(status=Status.SCHEDULED, starts_at__lte=now)
    ended = Flow.objects.kept().filter(
        status__in=[Status.LIVE, Status.PAUSED, Status.SCHEDULED], ends_at__lte=now
    )
    for rows, status in ((started, Status.LIVE), (ended, Status.COMPLETED)):
        for flow in rows:
            with db.write():
                version = catalogs.next_version(flow.client_id)
                moved += Flow.objects.filter(pk=flow.pk, status=flow.status).update(
                    status=status, catalog_version=version
                )
    return moved


def draft_of(flow: Flow) -> dict[str, Any]:
    """Return the draft in the form of a published definition."""
    variants = list(flow.variants.order_by("position", "pk"))
    return definition_of(flow, variants, list(flow.goals.order_by("position", "pk")))


def _measures(revision: FlowRevision) -> set[str]:
    return {goal["ref"] for goal in revision.definition.get("goals", ())}


def definition_of(flow: Flow, variants: list[Variant], goals: list[Goal]) -> dict[str, Any]:
    """Return everything that decides how the flow runs, as plain JSON."""
    return {
        "name": flow.name,
        "friendlyId": flow.friendly_id,
        "type": flow.type,
        "subtype": flow.subtype,
        # Salting by the flow, not by the revision, keeps every guest where they are.
        "salt": str(flow.ref),
        "channels": list(flow.channels),
        "pageTargeting": flow.page_targeting,
        "audience": flow.audience,
        "allocation": flow.allocation,
        **({"decisionModel": flow.decision_model.friendly_id} if flow.decision_model else {}),
        "variants": [
            {
                "ref": str(variant.ref),
                "name": variant.name,
                "isControl": variant.is_control,
                "weight": variant.weight,
                "contentType": variant.content_type,
                "content": variant.content,
            }
            for variant in variants
        ],
        "goals": [goal_document(goal) for goal in goals],
    }


def _check_runnable(flow: Flow, variants: list[Variant], goals: list[Goal]) -> None:
    if flow.deleted_at is not None:
        raise FlowError("flow_deleted", "The flow was deleted.")
    if flow.status == Status.COMPLETED:
        raise FlowError("flow_completed", "A completed flow cannot be published again.")
    if not variants:
        raise FlowError("variant_missing", "The flow shows nothing yet: add a variant.")
    if flow.subtype == Flow.Subtype.EXPERIMENT:
        if len(variants) < 2:
            raise FlowError("variant_missing", "An experiment compares two variants or more.")
        if not any(variant.is_control for variant in variants):
            raise FlowError("control_missing", "Mark one variant of the experiment as control.")
    elif len(variants) > 1:
        raise FlowError("variants_too_many", "An experience has one variant; use an experiment.")
    _check_decision_model(flow)
    if flow.decision_model is not None and flow.decision_model.published_id is None:
        raise FlowError(
            "decision_unpublished",
            f"The decision model “{flow.decision_model.name}” was never published: publish it "
            "first, or choose another one.",
        )
    if not any(variant.weight > 0 for variant in variants):
        raise FlowError("weights_missing", "No variant has a share of the traffic.")
    for variant in variants:
        check_content(variant)
    if len(goals) > MAX_GOALS:
        raise FlowError("goals_too_many", f"A flow has {MAX_GOALS} goals at most.")
    for goal in goals:
        check_goal(goal)


def _check_decision_model(flow: Flow) -> None:
    model = flow.decision_model
    if model is None:
        return
    if model.client_id != flow.client_id:
        raise FlowError("decision_unknown", "The decision model belongs to another client.")
    if model.deleted_at is not None:
        raise FlowError(
            "decision_deleted", f"The decision model “{model.name}” was deleted: choose another."
        )


def _stored_friendly_id(flow: Flow) -> str | None:
    return Flow.objects.filter(pk=flow.pk).values_list("friendly_id", flat=True).first()
