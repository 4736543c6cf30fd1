"""Exclusion groups and site holdouts in their public form: what is sent, and what is answered."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from personalize.api.documents import FlowStatus
from tracking.api.documents import Link
from tracking.api.schema import Example


class ExclusionGroupBody(msgspec.Struct, kw_only=True):
    """A group of flows of which a guest enters one at most."""

    name: Annotated[str, Meta(examples=["Checkout"])]


class GroupFlowDocument(msgspec.Struct, kw_only=True):
    """A flow of a group, and its part: from `low` to before `high` percent."""

    ref: UUID
    friendlyId: str
    name: str
    status: FlowStatus
    low: float
    high: float
    running: Annotated[
        bool, Meta(description="Whether it has the part now; a draft only asks for it.")
    ]


class FreePart(msgspec.Struct, kw_only=True):
    """A part of a group that no running flow has."""

    low: float
    high: float


class ExclusionGroupDocument(msgspec.Struct, kw_only=True):
    """An exclusion group, who has which part of it, and what is free."""

    ref: UUID
    href: str
    clientKey: str
    name: str
    flows: list[GroupFlowDocument]
    free: list[FreePart]
    createdAt: datetime
    modifiedAt: datetime


class ExclusionGroupList(msgspec.Struct, kw_only=True):
    """A page of exclusion groups, by name."""

    href: str
    offset: int
    limit: int
    total: int
    items: list[ExclusionGroupDocument]
    first: Link
    last: Link
    next: Link | None
    prev: Link | None


class VariantWeight(msgspec.Struct, kw_only=True):
    """A variant in a period."""

    ref: UUID
    name: str
    weight: Annotated[float, Meta(description="Percent of the guests who came in the period.")]
    guests: Annotated[
        int, Meta(description="Those who saw the flow first in it, and this variant.")
    ]


class WeightsPeriod(msgspec.Struct, kw_only=True, rename={"since": "from", "until": "to"}):
    """A phase of a flow: the time in which its guests were divided alike."""

    phase: int
    weightingAlgorithm: Literal["USER_DEFINED", "MULTI_ARM_BANDIT"]
    since: datetime
    until: Annotated[datetime | None, Meta(description="null: it still runs.")]
    variants: list[VariantWeight]


class WeightsDocument(msgspec.Struct, kw_only=True):
    """How a flow's guests were divided, the first period first; none: it was never published."""

    flowRef: UUID
    friendlyId: str
    periods: list[WeightsPeriod]


class HoldoutBody(msgspec.Struct, kw_only=True):
    """Guests who are shown nothing by any flow. It takes effect at once where it is active."""

    name: Annotated[str, Meta(examples=["Everything, spring"])]
    percent: Annotated[float, Meta(description="Of all guests, 0 to 100.", examples=[5.0])]
    active: Annotated[bool, Meta(description="One holdout at most is.")] = False


class HoldoutDocument(msgspec.Struct, kw_only=True):
    """A site holdout, as it is read."""

    ref: UUID
    href: str
    clientKey: str
    name: str
    percent: float
    active: bool
    createdAt: datetime
    modifiedAt: datetime


class HoldoutList(msgspec.Struct, kw_only=True):
    """A page of site holdouts, by name."""

    href: str
    offset: int
    limit: int
    total: int
    items: list[HoldoutDocument]
    first: Link
    last: Link
    next: Link | None
    prev: Link | None


GROUPS = {"group": Example(summary="A group of flows", value={"name": "Checkout"})}
HOLDOUTS = {
    "active": Example(
        summary="Five of a hundred guests are shown nothing from now on",
        value={"name": "Everything, spring", "percent": 5, "active": True},
    )
}
