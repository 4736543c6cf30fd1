"""Whole flow definitions, written at once: what the REST API and the demo's seed call."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from personalize import flows, traffic, weighting
from personalize.bucketing import BUCKETS
from personalize.models import DecisionModel, ExclusionGroup, Flow, Goal, Variant
from tracking import db


@dataclass(frozen=True, kw_only=True)
class VariantValues:
    """A variant as a caller states it; `ref` names the one it replaces."""

    name: str
    content: str = "{}"
    content_type: str = Variant.ContentType.JSON
    is_control: bool = False
    #: None: 1, or what is in force where the results set it.
    weight: float | None = None
    #: The buckets that it is thought to get; they have to be what its weight comes to.
    bucket_low: int | None = None
    bucket_high: int | None = None
    ref: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class GoalValues:
    """A goal as a caller states it, without ref and name in its document; `ref` as of variants."""

    name: str
    document: dict[str, Any]
    ref: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Values:
    """A flow as a caller states it, complete. `status` None leaves it as it is."""

    name: str
    subtype: str = Flow.Subtype.EXPERIENCE
    type: str = Flow.Type.API
    friendly_id: str | None = None
    description: str = ""
    tags: list[str] = field(default_factory=list)
    status: str | None = None
    archived: bool = False
    channels: list[str] = field(default_factory=list)
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    page_targeting: dict[str, Any] = field(default_factory=dict)
    audience: dict[str, Any] = field(default_factory=dict)
    allocation: float = 100.0
    traffic_mode: str = Flow.TrafficMode.UNIQUE
    bucket_low: int = 1
    bucket_high: int = BUCKETS
    #: Ref or name of the exclusion group; None for none.
    exclusion_group: str | None = None
    group_low: float = 0.0
    group_high: float = 100.0
    holdout: float = 0.0
    #: Friendly id of the model that decides for the flow; None for none.
    decision_model: str | None = None
    variants: Sequence[VariantValues] = ()
    #: The first is the primary one. None leaves them as they are.
    goals: Sequence[GoalValues] | None = None
    #: By what it is planned, see `sample_size`. None leaves it as it is.
    sample_size: dict[str, float] | None = None


def create(client_id: int, values: Values, *, now: datetime) -> Flow:
    """Make a flow, in the status that is asked for. Raises FlowError; then nothing was made."""
    flow = Flow(client_id=client_id, subtype=values.subtype)
    with db.write():
        _write(flow, values)
        _archive(flow, values, now=now)
        if values.status not in (None, Flow.Status.DRAFT):
            flows.transition(flow, values.status or "", now=now)
    return flow


def replace(flow: Flow, values: Values, *, now: datetime) -> Flow:
    """
    Bring a flow to these values. Raises FlowError; then nothing was changed.

    A flow that was published before is published again with them.
    """
    if flow.deleted_at is not None:
        raise flows.FlowError("flow_deleted", "The flow was deleted.")
    if values.subtype != flow.subtype:
        raise flows.FlowError("subtype_fixed", "An experience stays one; make an experiment.")
    with db.write():
        _write(flow, values)
        if flow.published is not None and flow.status != Flow.Status.COMPLETED:
            flows.publish(flow, now=now)
            flows.reschedule(flow, now=now)
        _archive(flow, values, now=now)
        if values.status not in (None, flow.status):
            flows.transition(flow, values.status or "", now=now)
    return flow


def _write(flow: Flow, values: Values) -> None:
    if not values.name.strip():
        raise flows.FlowError("name_missing", "A flow needs a name.")
    if values.starts_at and values.ends_at and values.starts_at >= values.ends_at:
        raise flows.FlowError("schedule_invalid", "The flow ends before it starts.")
    flow.name = values.name.strip()[:200]
    if values.friendly_id:
        flow.friendly_id = values.friendly_id
    for name in ("type", "description", "tags", "channels", "starts_at", "ends_at",
                 "page_targeting", "audience", "allocation", "traffic_mode", "bucket_low",
                 "bucket_high", "group_low", "group_high", "holdout"):  # fmt: skip
        setattr(flow, name, getattr(values, name))
    flow.decision_model = _decision_model(flow.client_id, values.decision_model)
    flow.exclusion_group = _exclusion_group(flow.client_id, values.exclusion_group)
    if values.sample_size is not None:
        flow.sample_size = values.sample_size
    flows.save(flow)
    _write_variants(flow, values.variants)
    if values.goals is not None:
        _write_goals(flow, values.goals)


def _archive(flow: Flow, values: Values, *, now: datetime) -> None:
    if values.archived != flow.is_archived:
        flows.archive(flow, archived=values.archived, now=now)


def _decision_model(client_id: int, friendly_id: str | None) -> DecisionModel | None:
    if not friendly_id:
        return None
    rows = DecisionModel.objects.kept().filter(client=client_id, friendly_id=friendly_id)
    found = rows.select_related("published").first()
    if found is None:
        raise flows.FlowError(
            "decision_unknown", f"There is no decision model “{friendly_id}”: make it first."
        )
    return found


def _exclusion_group(client_id: int, named: str | None) -> ExclusionGroup | None:
    if not named:
        return None
    found = traffic.group_named(client_id, named)
    if found is None:
        raise flows.FlowError(
            "group_unknown", f"There is no exclusion group “{named}”: make it first."
        )
    return found


def _write_variants(flow: Flow, given: Sequence[VariantValues]) -> None:
    if sum(variant.is_control for variant in given) > 1:
        raise flows.FlowError("control_ambiguous", "One variant can be the control.")
    known = {variant.ref: variant for variant in flow.variants.all()}
    kept = {variant.ref for variant in given if variant.ref in known}
    flow.variants.exclude(ref__in=kept).delete()
    # Which one is the control may move: no two are at any moment.
    flow.variants.update(is_control=False)
    written: list[Variant] = []
    for position, values in enumerate(given):
        weight = 1.0 if values.weight is None else values.weight
        if weight < 0:
            raise flows.FlowError("weight_invalid", "A weight is 0 or more.")
        variant = known[values.ref] if values.ref in kept and values.ref else Variant(flow=flow)
        variant.name = values.name[:100]
        variant.position = position
        variant.is_control = values.is_control
        variant.weight = weight
        variant.content_type = values.content_type
        variant.content = values.content
        flows.check_content(variant)
        variant.save()
        written.append(variant)
    _check_buckets(flow, given, written)
    problem = weighting.problem_of_given(flow, written, [values.weight for values in given])
    if problem:
        raise flows.FlowError("weights_optimized", problem)
    weighting.settle(flow)


def _check_buckets(flow: Flow, given: Sequence[VariantValues], written: Sequence[Variant]) -> None:
    """Refuse buckets of a variant that do not follow from its weight."""
    known = traffic.ranges_of(flow, written)
    for values, variant in zip(given, written, strict=True):
        own = known.get(str(variant.ref))
        have = (own.low, own.high) if own else (None, None)
        wanted = (values.bucket_low, values.bucket_high)
        if any(end is not None and end != has for end, has in zip(wanted, have, strict=True)):
            told = f"{own.low} to {own.high}" if own else "none"
            raise flows.FlowError(
                "splits_invalid",
                f"The buckets of a variant follow from its share: “{variant.name}” gets {told}, "
                f"not {wanted[0]} to {wanted[1]}. Leave lowSplit and highSplit out, or change "
                "split.",
            )


def _write_goals(flow: Flow, given: Sequence[GoalValues]) -> None:
    if len(given) > flows.MAX_GOALS:
        raise flows.FlowError("goals_too_many", f"A flow has {flows.MAX_GOALS} goals at most.")
    known = {goal.ref: goal for goal in flow.goals.all()}
    kept = {goal.ref for goal in given if goal.ref in known}
    flow.goals.exclude(ref__in=kept).delete()
    for position, values in enumerate(given):
        goal = known[values.ref] if values.ref in kept and values.ref else Goal(flow=flow)
        before = goal.document
        goal.name = values.name.strip()[:100]
        goal.position = position
        goal.document = values.document
        if goal.pk:
            flows.renew_goal(goal, before)
        flows.check_goal(goal)
        goal.save()
