"""`/v2/flowDefinitions`: experiences and experiments, managed by servers."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from personalize import concluding, definitions, flows, sample_size, traffic
from personalize.api import bodies, condition_schema, examples
from personalize.api.documents import (
    Conditions,
    ContentType,
    FlowDefinition,
    FlowDefinitionList,
    FlowStatus,
    FlowSubtype,
    FlowType,
    GoalInput,
    GroupPartBody,
    SampleSizeConfig,
    Schedule,
    TrafficBody,
    TrafficSplit,
)
from personalize.api.filters import FlowFilter
from personalize.bucketing import BUCKETS
from personalize.concluding import Action
from personalize.models import Flow, Goal, Variant
from tracking.api.authentication import client_of
from tracking.api.base import ApiError, ServerViewSet, json_response
from tracking.api.filters import apply
from tracking.api.pagination import OFFSET_PARAMETERS
from tracking.api.routes import address, door
from tracking.api.schema import Operation, Parameter, documented
from tracking.events import stamp

B = TypeVar("B")
#: What a document reads beside the flow's own row.
_READ_ALONG = ("published", "decision_model", "exclusion_group")


class VariantBody(msgspec.Struct, kw_only=True):
    """What a flow shows."""

    name: str
    content: Annotated[
        dict[str, Any] | str,
        Meta(
            description="The answer itself: a JSON object whose texts may hold Liquid, such as "
            "`{{ guest.firstName }}`; with `contentType` text/html it is a text.",
            examples=[{"title": "Hello {{ guest.firstName }}"}],
        ),
    ] = {}
    contentType: ContentType = "application/json"
    isControl: Annotated[
        bool, Meta(description="Whether the others are compared with it; one at most.")
    ] = False
    weight: Annotated[
        float | None,
        Meta(
            description="Its share of the traffic, relative to the others; 1 unless given. Where "
            "the results set it (`weightingAlgorithm`), what is in force and nothing else."
        ),
    ] = None
    ref: Annotated[UUID | None, Meta(description="Keeps a variant when its flow is replaced.")] = (
        None
    )


class FlowDefinitionBody(msgspec.Struct, kw_only=True):
    """A flow. The smallest one that runs at once: a name, one variant, and `status` LIVE."""

    name: Annotated[str, Meta(examples=["Hero banner"])]
    subtype: FlowSubtype = "EXPERIENCE"
    type: FlowType = "INTERACTIVE_API_FLOW"
    friendlyId: Annotated[
        str | None,
        Meta(
            description="Made from the name unless given; fixed once the flow was published.",
            examples=["hero_banner"],
        ),
    ] = None
    description: str = ""
    tags: list[str] = []
    status: Annotated[
        FlowStatus | None, Meta(description="As it is unless given; DRAFT for a new flow.")
    ] = None
    archived: bool = False
    channels: Annotated[
        list[str],
        Meta(description="Those it answers on; all unless given.", examples=[["WEB"]]),
    ] = []
    schedule: Schedule | None = None
    pageTargeting: Annotated[Conditions, Meta(description="On which pages; {} is on all.")] = {}
    audience: Annotated[Conditions, Meta(description="For whom; {} is for everybody.")] = {}
    traffic: TrafficBody | None = None
    decisionModel: Annotated[
        str | None,
        Meta(
            description="The friendlyId of the decision model that decides for it: its outputs "
            "are there for the content, as `{{ decision.<output> }}`.",
            examples=["next_best_offer"],
        ),
    ] = None
    variants: list[VariantBody] = []
    goals: Annotated[
        list[GoalInput] | None,
        Meta(
            description="What its success is measured by; the first is the primary one. As they "
            "are unless given. A goal that measures something else than before gets a new `ref`.",
        ),
    ] = None
    sampleSizeConfig: Annotated[
        SampleSizeConfig | None,
        Meta(
            description="By what it is planned: fixed once it is no draft any more. As it is "
            "unless given."
        ),
    ] = None


class StatusBody(msgspec.Struct, kw_only=True):
    """The status that the flow is to have."""

    status: FlowStatus


class ConcludeBody(msgspec.Struct, kw_only=True):
    """What is done with a flow whose results are in."""

    action: Annotated[
        Literal["SHIP", "CONTROL", "COMPLETE"],
        Meta(
            description="SHIP: all traffic to one variant, published as a new revision. CONTROL: "
            "the same with the control. COMPLETE: it runs no more."
        ),
    ]
    variant: Annotated[UUID | None, Meta(description="The ref of the variant to SHIP.")] = None


@documented(
    "Flow definitions",
    parameters=[
        Parameter(
            name="ref",
            location="path",
            description="The flow's ref, or its friendlyId.",
            example="hero_banner",
        )
    ],
    schemas=condition_schema.schemas,
    list=Operation(
        id="listFlowDefinitions",
        answer=FlowDefinitionList,
        errors=(400,),
        filters=FlowFilter,
        parameters=OFFSET_PARAMETERS,
    ),
    create=Operation(
        id="createFlowDefinition",
        request=FlowDefinitionBody,
        answer=FlowDefinition,
        status=201,
        examples=examples.FLOWS,
        description=condition_schema.fields_as_markdown,
    ),
    retrieve=Operation(id="readFlowDefinition", answer=FlowDefinition, errors=(404,)),
    update=Operation(
        id="replaceFlowDefinition",
        request=FlowDefinitionBody,
        answer=FlowDefinition,
        errors=(404,),
        examples=examples.FLOWS,
        description="What is not given takes its default. Variants keep their `ref` where it is "
        "given; others are new.",
    ),
    status=Operation(
        id="changeFlowStatus",
        request=StatusBody,
        answer=FlowDefinition,
        errors=(404,),
        examples=examples.STATUSES,
    ),
    conclude=Operation(
        id="concludeFlow",
        request=ConcludeBody,
        answer=FlowDefinition,
        errors=(404,),
        examples=examples.CONCLUSIONS,
        description="Refused while there are unpublished changes, as they would go live along "
        "with it.",
    ),
    destroy=Operation(id="deleteFlowDefinition", status=204, errors=(404,)),
)
class FlowDefinitionViewSet(ServerViewSet):
    """Flow definitions of a client."""

    def list(self, request: Request) -> HttpResponse:
        """List flows by name of their friendlyId; deleted ones only with `deleted=true`."""
        rows = Flow.objects.filter(client=client_of(request).id).order_by("friendly_id")
        found = apply(FlowFilter, rows, request)
        page = found.select_related(*_READ_ALONG).prefetch_related("variants", "goals")
        return json_response(bodies.listed(request, page, lambda flow: _document(request, flow)))

    def create(self, request: Request) -> HttpResponse:
        """Make a flow, and let it run at once where `status` says so."""
        body = _body(request, FlowDefinitionBody)
        try:
            flow = definitions.create(client_of(request).id, _values(body), now=timezone.now())
        except flows.FlowError as error:
            raise _refused(error) from None
        return json_response(_alone(request, flow), status=201)

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read a flow, by its ref or its friendlyId; a deleted one too."""
        return json_response(_alone(request, _flow(request, ref)))

    def update(self, request: Request, ref: str) -> HttpResponse:
        """Replace a flow. One that was published before is published again, as it is now."""
        body = _body(request, FlowDefinitionBody)
        flow = _flow(request, ref)
        try:
            definitions.replace(flow, _values(body), now=timezone.now())
        except flows.FlowError as error:
            raise _refused(error) from None
        return json_response(_alone(request, _flow(request, ref)))

    def status(self, request: Request, ref: str) -> HttpResponse:
        """Move a flow to another status."""
        body = _body(request, StatusBody)
        flow = _flow(request, ref)
        try:
            flows.transition(flow, body.status, now=timezone.now())
        except flows.FlowError as error:
            raise _refused(error) from None
        return json_response(_alone(request, flow))

    def conclude(self, request: Request, ref: str) -> HttpResponse:
        """Send all traffic to one variant, or complete the flow."""
        body = _body(request, ConcludeBody)
        flow = _flow(request, ref)
        try:
            concluding.conclude(flow, Action(body.action), variant=body.variant, now=timezone.now())
        except flows.FlowError as error:
            raise _refused(error) from None
        return json_response(_alone(request, _flow(request, ref)))

    def destroy(self, request: Request, ref: str) -> HttpResponse:
        """Stop a flow answering for good; its id, name and history stay."""
        flows.delete(_flow(request, ref), now=timezone.now())
        return HttpResponse(status=204)


def _values(body: FlowDefinitionBody) -> definitions.Values:
    given = body.traffic or TrafficBody()
    _check_buckets(given)
    splits = {split.ref: split for split in given.splits}
    group = given.exclusionGroup
    schedule = body.schedule or Schedule()
    return definitions.Values(
        name=body.name,
        subtype=body.subtype,
        type=body.type,
        friendly_id=body.friendlyId,
        description=body.description,
        tags=body.tags,
        status=body.status,
        archived=body.archived,
        channels=[channel.upper() for channel in body.channels],
        starts_at=bodies.aware(schedule.startDate),
        ends_at=bodies.aware(schedule.endDate),
        page_targeting=body.pageTargeting,
        audience=body.audience,
        allocation=given.allocation,
        traffic_mode=_mode(given),
        bucket_low=1 if given.allocationLow is None else given.allocationLow,
        bucket_high=BUCKETS if given.allocationHigh is None else given.allocationHigh,
        exclusion_group=_group_name(group) if group else None,
        group_low=group.low if group else 0.0,
        group_high=group.high if group else 100.0,
        holdout=given.holdout,
        decision_model=body.decisionModel,
        variants=[_variant(variant, splits) for variant in body.variants],
        goals=None if body.goals is None else [_goal(goal) for goal in body.goals],
        sample_size=msgspec.to_builtins(body.sampleSizeConfig),
    )


def _mode(traffic: TrafficBody) -> str:
    if traffic.weightingAlgorithm != "MULTI_ARM_BANDIT":
        return Flow.TrafficMode.UNIVERSAL if traffic.coupled else Flow.TrafficMode.UNIQUE
    if traffic.coupled:
        raise ApiError(
            400,
            "bandit_coupled",
            "With MULTI_ARM_BANDIT the results divide the guests, and not their buckets: coupled "
            "is false there.",
        )
    return Flow.TrafficMode.OPTIMIZED


def _goal(body: GoalInput) -> definitions.GoalValues:
    document = msgspec.to_builtins(body, str_keys=True)
    stated = {name: value for name, value in document.items() if value not in (None, [])}
    stated.pop("ref", None)
    return definitions.GoalValues(name=stated.pop("name"), ref=body.ref, document=stated)


def _check_buckets(traffic: TrafficBody) -> None:
    """Refuse what would be left unused."""
    ends = [traffic.allocationLow, traffic.allocationHigh]
    ends += [end for split in traffic.splits for end in (split.lowSplit, split.highSplit)]
    if not traffic.coupled and any(end is not None for end in ends):
        raise ApiError(
            400,
            "buckets_uncoupled",
            "allocationLow, allocationHigh, lowSplit and highSplit are buckets: they count where "
            "coupled is true.",
        )


def _group_name(group: GroupPartBody) -> str:
    if not group.ref and not group.name:
        raise ApiError(400, "group_unnamed", "exclusionGroup needs a ref or a name.")
    return str(group.ref or group.name)


def _variant(body: VariantBody, splits: dict[UUID, TrafficSplit]) -> definitions.VariantValues:
    content = body.content
    split = splits.get(body.ref) if body.ref else None
    return definitions.VariantValues(
        ref=body.ref,
        name=body.name,
        is_control=body.isControl,
        weight=split.split if split else body.weight,
        bucket_low=split.lowSplit if split else None,
        bucket_high=split.highSplit if split else None,
        content_type=body.contentType,
        content=content if isinstance(content, str) else msgspec.json.encode(content).decode(),
    )


def _alone(request: Request, flow: Flow) -> dict[str, Any]:
    """Return one flow, with what a person should judge of it."""
    warnings = flows.traffic_warnings(flow, now=timezone.now())
    return {**_document(request, flow), "warnings": warnings}


def _document(request: Request, flow: Flow) -> dict[str, Any]:
    variants = sorted(flow.variants.all(), key=lambda v: (v.position, v.pk))
    return {
        "ref": flow.ref,
        "href": request.build_absolute_uri(_address(request, flow)),
        "clientKey": client_of(request).client_key,
        "name": flow.name,
        "friendlyId": flow.friendly_id,
        "type": flow.type,
        "subtype": flow.subtype,
        "businessProcess": "interactive_v1",
        "status": flow.status,
        "archived": flow.is_archived,
        "deleted": flow.deleted_at is not None,
        "description": flow.description,
        "tags": flow.tags,
        "revision": flow.published.number if flow.published else 0,
        "phase": flow.published.definition.get("phase", 1) if flow.published else 0,
        "createdAt": stamp(flow.created_at),
        "modifiedAt": stamp(flow.modified_at),
        "schedule": {
            "type": "simpleSchedule",
            "startDate": stamp(flow.starts_at) if flow.starts_at else None,
            "endDate": stamp(flow.ends_at) if flow.ends_at else None,
        },
        "channels": flow.channels,
        "pageTargeting": flow.page_targeting,
        "audience": flow.audience,
        "traffic": _traffic(flow, variants),
        "decisionModel": flow.decision_model.friendly_id if flow.decision_model else None,
        "variants": [
            {
                "ref": variant.ref,
                "name": variant.name,
                "isControl": variant.is_control,
                "weight": variant.weight,
                "contentType": variant.content_type,
                "content": _content(variant.content_type, variant.content),
            }
            for variant in variants
        ],
        "goals": [flows.goal_document(goal) for goal in _goals(flow)],
        "sampleSizeConfig": sample_size.whole(flow.sample_size),
    }


def _goals(flow: Flow) -> list[Goal]:
    return sorted(flow.goals.all(), key=lambda goal: (goal.position, goal.pk))


def _traffic(flow: Flow, variants: Sequence[Variant]) -> dict[str, Any]:
    is_universal = flow.traffic_mode == Flow.TrafficMode.UNIVERSAL
    is_optimized = flow.traffic_mode == Flow.TrafficMode.OPTIMIZED
    ranges = traffic.ranges_of(flow, variants)
    group = flow.exclusion_group
    return {
        "type": "simpleTraffic",
        "weightingAlgorithm": "MULTI_ARM_BANDIT" if is_optimized else "USER_DEFINED",
        "allocation": flow.allocation,
        "coupled": is_universal,
        "allocationLow": flow.bucket_low if is_universal else None,
        "allocationHigh": flow.bucket_high if is_universal else None,
        "splits": [
            {
                "ref": variant.ref,
                "split": variant.weight,
                "lowSplit": own.low if own else None,
                "highSplit": own.high if own else None,
            }
            for variant in variants
            for own in [ranges.get(str(variant.ref))]
        ],
        "exclusionGroup": {
            "ref": group.ref,
            "name": group.name,
            "low": flow.group_low,
            "high": flow.group_high,
        }
        if group
        else None,
        "holdout": flow.holdout,
    }


def _content(content_type: str, content: str) -> Any:
    if content_type != "application/json":
        return content
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        # A draft may hold what is not JSON yet.
        return content


def _address(request: Request, flow: Flow) -> str:
    return address(request, "flow-definition", flow.ref)


def _flow(request: Request, ref: str) -> Flow:
    return bodies.flow_of(request, ref, along=_READ_ALONG)


def _body(request: Request, kind: type[B]) -> B:
    return bodies.read(request, kind, code="flow_invalid")


def _refused(error: flows.FlowError) -> ApiError:
    return ApiError(400, error.code, str(error))


_collection = FlowDefinitionViewSet.as_view({"get": "list", "post": "create"})
_one = FlowDefinitionViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"})
_status = FlowDefinitionViewSet.as_view({"post": "status", "put": "status"})
_conclude = FlowDefinitionViewSet.as_view({"post": "conclude"})

urlpatterns = [
    *door("v2/flowDefinitions", _collection, name="flow-definitions"),
    *door("v2/flowDefinitions/<str:ref>", _one, name="flow-definition"),
    *door("v2/flowDefinitions/<str:ref>/status", _status, name="flow-definition-status"),
    *door("v2/flowDefinitions/<str:ref>/conclude", _conclude, name="flow-definition-conclude"),
]
