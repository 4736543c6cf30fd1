"""
What may happen to a flow: saved, published, moved from status to status, deleted.

The admin and the REST API both come here, so that a rule holds for both.
"""

import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser

from personalize import (
    catalogs,
    conditions,
    friendly_ids,
    phases,
    rendering,
    sample_size,
    stored_conditions,
    traffic,
    weighting,
)
from personalize.goals import document as goal_documents
from personalize.goals import types as goal_types
from personalize.models import Flow, FlowRevision, Goal, Segment, Variant
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
    Store a flow's draft. Raises FlowError when a condition, traffic, plan or id is not valid.

    What runs does not change before it is published.
    """
    for name, tree in (("Pages", flow.page_targeting), ("Audience", flow.audience)):
        problems = stored_conditions.problems_of(flow.client_id, tree)
        if problems:
            raise FlowError("condition_invalid", f"{name}: {problems[0]}")
    _check_decision_model(flow)
    _check_traffic(flow)
    with db.write():
        # Under the lock, so that two who ask for one id at once are told apart.
        catalogs.lock(flow.client_id)
        check_sample_size(flow)
        if flow.friendly_id:
            check_friendly_id(flow, flow.friendly_id)
        else:
            wanted = friendly_id_from(flow.name, subtype=flow.subtype)
            flow.friendly_id = free_friendly_id(flow.client_id, wanted)
        flow.modified_by = by  # type: ignore[assignment]
        flow.save()
    return flow


def check_sample_size(flow: Flow) -> None:
    """Check by what a flow is planned, which is fixed once it has started. Raises FlowError."""
    try:
        sample_size.check(flow.sample_size)
    except sample_size.SampleSizeInvalid as error:
        raise FlowError("sample_size_invalid", str(error)) from None
    stored = Flow.objects.filter(pk=flow.pk).values_list("status", "sample_size").first()
    if stored is None or stored[0] == Status.DRAFT:
        return
    if sample_size.whole(stored[1]) != sample_size.whole(flow.sample_size):
        raise FlowError(
            "sample_size_fixed",
            "The sample size can be changed while the flow is a draft: results are read by what "
            "was planned before they were seen.",
        )


def check_content(variant: Variant) -> None:
    """Check a variant's content. Raises FlowError with the line at fault."""
    try:
        rendering.compile_content(variant.content_type, variant.content)
    except rendering.TemplateInvalid as error:
        raise FlowError("content_invalid", f"Variant “{variant.name}”: {error}") from None


def check_goal(goal: Goal) -> goal_types.Goal:
    """Check a goal, and return what it says. Raises FlowError with what to change."""
    try:
        return goal_documents.read(goal_document(goal))
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
        last = _last_revision(flow)
        definition = definition_of(flow, variants, goals, before=last)
        # Read under the lock: somebody else may just have let it run.
        if traffic.running().filter(pk=flow.pk).exists():
            _check_room(flow, definition, now=now)
        revision = FlowRevision.objects.create(
            flow=flow,
            number=last.number + 1 if last else 1,
            definition=definition,
            published_at=now,
            published_by=by,  # type: ignore[misc]
        )
        if flow.published is not None and _measures(flow.published) != _measures(revision):
            # What was seen before is measured by the new goals too.
            flow.measured_to = 0
        if flow.published is not None and _named(flow.published) != _named(revision):
            _judge_anew_who_converted(flow)
        flow.published, flow.catalog_version = revision, version
        Flow.objects.filter(pk=flow.pk).update(
            published=revision, catalog_version=version, measured_to=flow.measured_to
        )
        weighting.settle(flow)
        if last is None or definition["phase"] != last.definition.get("phase", 1):
            _weighed(flow, at=now if weighting.is_optimized(flow) else None)
    return revision


def reweigh(flow: Flow, weights: weighting.Weights, *, now: datetime) -> FlowRevision:
    """
    Let what runs go on with other weights: a new revision, by the bandit.

    It is made of what was published, so that no edits of the draft come along. `flow` has been
    read under the client's lock.
    """
    last = flow.published
    assert last is not None
    with db.write():
        version = catalogs.next_version(flow.client_id)
        revision = FlowRevision.objects.create(
            flow=flow,
            number=last.number + 1,
            definition=weighting.reweighed(last.definition, weights),
            published_at=now,
            is_by_bandit=True,
        )
        flow.published, flow.catalog_version = revision, version
        Flow.objects.filter(pk=flow.pk).update(published=revision, catalog_version=version)
        weighting.settle(flow)
    return revision


def _weighed(flow: Flow, *, at: datetime | None) -> None:
    flow.weighed_at = at
    Flow.objects.filter(pk=flow.pk).update(weighed_at=at)


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
        catalogs.lock(flow.client_id)
        if to in traffic.RUNNING and not flow.is_archived:
            _check_room_to_run(flow, now=now)
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


def archive(flow: Flow, *, archived: bool, now: datetime) -> None:
    """
    Put a flow out of sight, or back. An archived flow answers no calls.

    Raises FlowError where one that comes back has lost its part of an exclusion group.
    """
    with db.write():
        version = catalogs.next_version(flow.client_id)
        if not archived and flow.status in traffic.RUNNING:
            _check_room_to_run(flow, now=now)
        Flow.objects.filter(pk=flow.pk).update(is_archived=archived, catalog_version=version)
    flow.is_archived = archived


def reschedule(flow: Flow, *, now: datetime) -> None:
    """
    Let the running processes see the flow's start and end as they are now.

    Raises FlowError where one that runs again has lost its part of an exclusion group.
    """
    with db.write():
        version = catalogs.next_version(flow.client_id)
        if flow.status in traffic.RUNNING and not flow.is_archived:
            _check_room_to_run(flow, now=now)
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


def _measures(revision: FlowRevision) -> set[str]:
    return {goal["ref"] for goal in revision.definition.get("goals", ())}


def _named(revision: FlowRevision) -> set[tuple[str, str]]:
    return {(goal["name"], goal["ref"]) for goal in revision.definition.get("goals", ())}


def _judge_anew_who_converted(flow: Flow) -> None:
    """Have segments built again that name goals of the flow: the names mean others now."""
    live = Segment.objects.kept().filter(client=flow.client_id, kind=Segment.Kind.LIVE)
    naming = []
    for pk, tree in live.values_list("pk", "condition"):
        # One that can be read no more, for a field of the host's is gone, holds for nobody.
        with suppress(conditions.ConditionError):
            if flow.friendly_id in conditions.compile(tree).needs.goals:
                naming.append(pk)
    if naming:
        Segment.objects.filter(pk__in=naming).update(built_to=0)


def definition_of(
    flow: Flow, variants: list[Variant], goals: list[Goal], *, before: FlowRevision | None
) -> dict[str, Any]:
    """
    Return everything that decides how the flow runs, as plain JSON.

    `before` is the revision that it follows: where that divides guests otherwise, this begins a
    new phase.
    """
    weights = weighting.in_draft(flow, variants, before)
    definition: dict[str, Any] = {
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
        **traffic.in_definition(flow),
        **({"decisionModel": flow.decision_model.friendly_id} if flow.decision_model else {}),
        "variants": [
            {
                "ref": str(variant.ref),
                "name": variant.name,
                "isControl": variant.is_control,
                "weight": weights[str(variant.ref)],
                "contentType": variant.content_type,
                "content": variant.content,
            }
            for variant in variants
        ],
        "goals": [goal_document(goal) for goal in goals],
    }
    phase = phases.number_of(before.definition if before else None, definition)
    return {**definition, "phase": phase}


def draft_of(flow: Flow) -> dict[str, Any]:
    """Return the draft as it would be published now."""
    variants = list(flow.variants.order_by("position", "pk"))
    goals = list(flow.goals.order_by("position", "pk"))
    return definition_of(flow, variants, goals, before=flow.published)


def traffic_warnings(flow: Flow, *, now: datetime) -> list[str]:
    """
    Say what a person should judge of the draft's traffic.

    A split that differs from what runs, and running flows that share universal buckets.
    """
    draft = draft_of(flow)
    told = list(traffic.overlap_warnings(flow, draft, now=now))
    published = flow.published
    if published is None or flow.status not in (*traffic.RUNNING, Status.PAUSED):
        return told
    if draft["phase"] != published.definition.get("phase", 1):
        told.insert(
            0,
            f"Publishing begins phase {draft['phase']}: "
            f"{phases.words(published.definition, draft)}. Who has seen a variant that still has a "
            "share keeps it, all others are divided anew; results of the two phases do not add up.",
        )
    return told


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
    _check_traffic(flow)
    if flow.decision_model is not None and flow.decision_model.published_id is None:
        raise FlowError(
            "decision_unpublished",
            f"The decision model “{flow.decision_model.name}” was never published: publish it "
            "first, or choose another one.",
        )
    has_shares = weighting.is_optimized(flow) or any(variant.weight > 0 for variant in variants)
    if not has_shares:
        raise FlowError("weights_missing", "No variant has a share of the traffic.")
    no_bucket = traffic.bucket_problem(flow, variants)
    if no_bucket:
        raise FlowError("buckets_too_few", no_bucket)
    for variant in variants:
        check_content(variant)
    if len(goals) > MAX_GOALS:
        raise FlowError("goals_too_many", f"A flow has {MAX_GOALS} goals at most.")
    readable = [check_goal(goal) for goal in goals]
    names = Counter(goal.name for goal in goals)
    name, times = max(names.items(), key=lambda item: item[1], default=("", 0))
    if times > 1:
        raise FlowError(
            "goal_name_taken",
            f"Two goals are called “{name}”: conditions tell them by their names.",
        )
    if weighting.is_optimized(flow):
        untold = weighting.goal_problem(readable)
        if untold:
            raise FlowError("goal_not_optimizable", untold)


def _check_traffic(flow: Flow) -> None:
    problem = next(traffic.problems_of(flow), None)
    if problem is not None:
        raise FlowError(problem.code, problem.sentence)


def _check_room(flow: Flow, definition: Mapping[str, Any], *, now: datetime) -> None:
    problem = traffic.room_problem(flow, definition, now=now)
    if problem:
        raise FlowError("group_overlap", problem)


def _check_room_to_run(flow: Flow, *, now: datetime) -> None:
    """Under the client's lock, see that what is going to run has its part of its group."""
    revision = _last_revision(flow)
    _check_room(flow, revision.definition if revision else draft_of(flow), now=now)


def _last_revision(flow: Flow) -> FlowRevision | None:
    return flow.revisions.order_by("-number").first()


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
