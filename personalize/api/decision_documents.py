"""Decision models and offers in their public form: what is sent, and what is answered."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from personalize.api.documents import Conditions
from tracking.api.documents import Link

OfferStatus: TypeAlias = Annotated[
    Literal["DRAFT", "LIVE", "PAUSED", "ARCHIVED"],
    Meta(title="OfferStatus", description="Guests can have LIVE offers alone."),
]
AttributeKind: TypeAlias = Annotated[
    Literal["TEXT", "NUMBER", "BOOLEAN", "URL", "JSON"], Meta(title="AttributeKind")
]
#: A table, or the name of a registered callable.
DecisionDocument: TypeAlias = Annotated[
    dict[str, Any],
    Meta(
        title="Decision",
        description="A table of `inputs`, `outputs` and `rows`, or a `callable`; with `tests`.",
    ),
]


class DecisionModelBody(msgspec.Struct, kw_only=True):
    """A decision model. It decides nothing before it is published."""

    name: Annotated[str, Meta(examples=["Next best offer"])]
    decision: DecisionDocument
    friendlyId: Annotated[
        str | None,
        Meta(
            description="Made from the name unless given; fixed once the model was published.",
            examples=["next_best_offer"],
        ),
    ] = None
    description: str = ""


class DecisionModelDocument(msgspec.Struct, kw_only=True):
    """A decision model, as it is read."""

    ref: UUID
    href: str
    clientKey: str
    name: str
    friendlyId: str
    description: str
    deleted: bool
    revision: Annotated[int, Meta(description="How often it was published; 0: never.")]
    decision: Annotated[DecisionDocument, Meta(description="The draft.")]
    published: Annotated[
        dict[str, Any] | None, Meta(description="What decides now; null: it was never published.")
    ]
    warnings: Annotated[
        list[str],
        Meta(description="What a person should judge: rows that may collide, inputs not covered."),
    ]
    createdAt: datetime
    modifiedAt: datetime


class DecisionModelList(msgspec.Struct, kw_only=True):
    """A page of decision models, by their friendlyIds."""

    href: str
    offset: int
    limit: int
    total: int
    items: list[DecisionModelDocument]
    first: Link
    last: Link
    next: Link | None
    prev: Link | None


class OfferAttribute(msgspec.Struct, kw_only=True):
    """One attribute that offers of a template have."""

    name: Annotated[str, Meta(examples=["title"])]
    type: AttributeKind = "TEXT"
    required: bool = False


class OfferTemplateBody(msgspec.Struct, kw_only=True):
    """What offers of one kind are made of."""

    name: Annotated[str, Meta(examples=["Banner"])]
    attributes: list[OfferAttribute] = []
    description: str = ""


class OfferTemplateDocument(msgspec.Struct, kw_only=True):
    """An offer template, as it is read."""

    ref: UUID
    href: str
    clientKey: str
    name: str
    description: str
    attributes: list[OfferAttribute]
    createdAt: datetime
    modifiedAt: datetime


class OfferTemplateList(msgspec.Struct, kw_only=True):
    """A page of offer templates, by name."""

    href: str
    offset: int
    limit: int
    total: int
    items: list[OfferTemplateDocument]
    first: Link
    last: Link
    next: Link | None
    prev: Link | None


class OfferBody(msgspec.Struct, kw_only=True):
    """An offer. It takes effect as soon as it is stored."""

    name: Annotated[str, Meta(examples=["Spring sale"])]
    template: Annotated[str, Meta(description="The ref or the name of its template.")]
    attributes: Annotated[
        dict[str, Any], Meta(description="As its template has them.", examples=[{"title": "Hi"}])
    ] = {}
    status: OfferStatus = "DRAFT"
    validFrom: datetime | None = None
    validTo: Annotated[datetime | None, Meta(description="It ends at this moment.")] = None
    audience: Annotated[Conditions, Meta(description="For whom; {} is for everybody.")] = {}
    description: str = ""


class OfferDocument(msgspec.Struct, kw_only=True):
    """An offer, as it is read."""

    ref: UUID
    href: str
    clientKey: str
    name: str
    description: str
    template: Annotated[str, Meta(description="The name of its template.")]
    templateRef: UUID
    attributes: dict[str, Any]
    status: OfferStatus
    deleted: bool
    validFrom: datetime | None
    validTo: datetime | None
    audience: Conditions
    createdAt: datetime
    modifiedAt: datetime


class OfferList(msgspec.Struct, kw_only=True):
    """A page of offers, by name."""

    href: str
    offset: int
    limit: int
    total: int
    items: list[OfferDocument]
    first: Link
    last: Link
    next: Link | None
    prev: Link | None
