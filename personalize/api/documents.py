"""What the flow doors answer, in its public form."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from personalize.api import condition_schema
from personalize.goals.document import GoalBody, GoalParts
from tracking.api.documents import Link

FlowStatus: TypeAlias = Annotated[
    Literal["DRAFT", "SCHEDULED", "LIVE", "PAUSED", "COMPLETED"],
    Meta(
        title="FlowStatus",
        description="Only LIVE flows answer calls. LIVE with a start that lies ahead becomes "
        "SCHEDULED, and LIVE at its time. COMPLETED is the end.",
    ),
]
FlowType: TypeAlias = Annotated[
    Literal["INTERACTIVE_API_FLOW", "INTERACTIVE_WEB_FLOW"], Meta(title="FlowType")
]
FlowSubtype: TypeAlias = Annotated[
    Literal["EXPERIENCE", "EXPERIMENT"],
    Meta(
        title="FlowSubtype",
        description="EXPERIENCE: shown to those who qualify. EXPERIMENT: its variants compete.",
    ),
]
ContentType: TypeAlias = Annotated[
    Literal["application/json", "text/html"], Meta(title="ContentType")
]
#: A condition tree, or {} for everybody.
Conditions: TypeAlias = Annotated[
    dict[str, Any], Meta(extra_json_schema={"$ref": condition_schema.REFERENCE})
]


class Schedule(msgspec.Struct, kw_only=True):
    """When the flow runs; without an end it runs until it is paused or completed."""

    type: Literal["simpleSchedule"] = "simpleSchedule"
    startDate: datetime | None = None
    endDate: datetime | None = None


class TrafficSplit(msgspec.Struct, kw_only=True):
    """A variant's share of the traffic; shares are relative to each other."""

    ref: UUID
    split: float


class TrafficBody(msgspec.Struct, kw_only=True):
    """`allocation`: the share of qualifying guests let in, 0 to 100."""

    type: Literal["simpleTraffic"] = "simpleTraffic"
    weightingAlgorithm: Literal["USER_DEFINED"] = "USER_DEFINED"
    allocation: Annotated[float, Meta(description="Percent of those who qualify.")] = 100.0
    splits: list[TrafficSplit] = []


class GoalInput(GoalParts, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A goal: what is measured of those who saw the flow. See `kind` for what each needs."""

    ref: Annotated[UUID | None, Meta(description="Keeps a goal when its flow is replaced.")] = None


class GoalDocument(GoalBody, kw_only=True, rename="camel"):
    """A goal, as it is read: what it does not use is left out."""


class VariantDocument(msgspec.Struct, kw_only=True):
    """What a flow shows."""

    ref: UUID
    name: str
    isControl: bool
    weight: float
    contentType: ContentType
    content: dict[str, Any] | str


class FlowDefinition(msgspec.Struct, kw_only=True):
    """A flow, as it is read."""

    ref: UUID
    href: str
    clientKey: str
    name: str
    friendlyId: str
    type: FlowType
    subtype: FlowSubtype
    businessProcess: Literal["interactive_v1"]
    status: FlowStatus
    archived: bool
    deleted: bool
    description: str
    tags: list[str]
    revision: Annotated[int, Meta(description="How often it was published; 0: never.")]
    createdAt: datetime
    modifiedAt: datetime
    schedule: Schedule
    channels: list[str]
    pageTargeting: Conditions
    audience: Conditions
    traffic: TrafficBody
    decisionModel: Annotated[
        str | None, Meta(description="The friendlyId of the model that decides for it.")
    ]
    variants: list[VariantDocument]
    goals: list[GoalDocument]


class FlowDefinitionList(msgspec.Struct, kw_only=True):
    """A page of flows, by their friendlyIds."""

    href: str
    offset: int
    limit: int
    total: int
    items: list[FlowDefinition]
    first: Link
    last: Link
    next: Link | None
    prev: Link | None
