"""What the flow doors answer, in its public form."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from personalize import sample_size
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
    """
    A variant's share of the traffic; shares are relative to each other.

    `lowSplit` and `highSplit` are its buckets where the traffic is coupled. They follow from the
    shares: sent back, they have to be what comes of these.
    """

    ref: UUID
    split: float
    lowSplit: int | None = None
    highSplit: int | None = None


class GroupPartBody(msgspec.Struct, kw_only=True):
    """The part of an exclusion group that the flow takes: from `low` to before `high` percent."""

    ref: Annotated[UUID | None, Meta(description="Names the group; its `name` does, too.")] = None
    name: Annotated[str, Meta(examples=["Checkout"])] = ""
    low: float = 0.0
    high: float = 100.0


class TrafficBody(msgspec.Struct, kw_only=True):
    """
    Which guests are let in, and how they are divided.

    Coupled traffic is universal: every guest has one bucket, 1 to 120, the same in all flows, and
    the flow takes those from `allocationLow` to `allocationHigh`. Else it is unique: `allocation`
    percent are let in, by chance and independent of other flows.
    """

    type: Literal["simpleTraffic"] = "simpleTraffic"
    weightingAlgorithm: Annotated[
        Literal["USER_DEFINED", "MULTI_ARM_BANDIT"],
        Meta(
            description="MULTI_ARM_BANDIT: an experiment whose weights follow the results by its "
            "primary goal, each variant at least 1 percent. Everybody who qualifies is let in. "
            "Leave `weight` and `splits` out: they are read alone, in percent."
        ),
    ] = "USER_DEFINED"
    allocation: Annotated[
        float, Meta(description="Percent of those who qualify; unasked where `coupled`.")
    ] = 100.0
    coupled: bool = False
    allocationLow: Annotated[
        int | None, Meta(description="First bucket, where `coupled`; 1 unless given.")
    ] = None
    allocationHigh: Annotated[
        int | None, Meta(description="Last bucket, where `coupled`; 120 unless given.")
    ] = None
    splits: list[TrafficSplit] = []
    exclusionGroup: Annotated[
        GroupPartBody | None, Meta(description="A guest enters one flow of a group at most.")
    ] = None
    holdout: Annotated[
        float,
        Meta(
            description="Percent of those let in who are shown nothing, to compare with: each "
            "such call leaves a HOLDOUT event."
        ),
    ] = 0.0


class GoalInput(GoalParts, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A goal: what is measured of those who saw the flow. See `kind` for what each needs."""

    ref: Annotated[UUID | None, Meta(description="Keeps a goal when its flow is replaced.")] = None


class GoalDocument(GoalBody, kw_only=True, rename="camel"):
    """A goal, as it is read: what it does not use is left out."""


def _planned(name: str, description: str) -> Meta:
    number = sample_size.NUMBERS[name]
    return Meta(ge=number.least, le=number.most, description=description)


_PLAN: Final = sample_size.whole({})


class SampleSizeConfig(msgspec.Struct, kw_only=True):
    """By what an experiment is planned: how many guests it takes to find a difference."""

    baseValue: Annotated[
        float, _planned("baseValue", "The share of guests expected to convert by the control.")
    ] = _PLAN["baseValue"]
    minimumDetectableDifference: Annotated[
        float,
        _planned(
            "minimumDetectableDifference", "The smallest change worth finding; 0.2: by a fifth."
        ),
    ] = _PLAN["minimumDetectableDifference"]
    confidenceLevel: Annotated[
        float, _planned("confidenceLevel", "How sure to be before a difference is claimed.")
    ] = _PLAN["confidenceLevel"]
    power: Annotated[float, _planned("power", "The chance to find a difference that is there.")] = (
        _PLAN["power"]
    )


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
    phase: Annotated[
        int,
        Meta(
            description="Of what is published: how often the split was another one before, and "
            "one more; 0: never published."
        ),
    ]
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
    sampleSizeConfig: SampleSizeConfig
    warnings: Annotated[
        list[str] | UnsetType,
        Meta(
            description="What a person should judge: a split that begins a new phase once it is "
            "published, buckets shared with a running flow. Not in lists."
        ),
    ] = UNSET


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
