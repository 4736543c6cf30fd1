"""Segments in their public form: what is sent, and what is answered."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from personalize.api.documents import Conditions
from tracking.api.documents import Link

SegmentKind: TypeAlias = Annotated[
    Literal["LIVE", "LIST"],
    Meta(
        title="SegmentKind",
        description="LIVE: guests for whom the condition holds. LIST: guests that were put on it. "
        "Fixed once it is made.",
    ),
]


class SegmentBody(msgspec.Struct, kw_only=True):
    """A segment. It takes effect as soon as it is stored; who is in it is judged right after."""

    name: Annotated[str, Meta(examples=["Saw the pop-up, has not purchased"])]
    kind: SegmentKind = "LIVE"
    condition: Annotated[
        Conditions,
        Meta(
            description="Of a LIVE segment: about guests, what they did, their orders and cart; "
            "nothing of a call, a visit or the moment."
        ),
    ] = {}
    friendlyId: Annotated[
        str | None,
        Meta(
            description="What conditions name it by. Made from the name unless given, then fixed.",
            examples=["saw_the_popup"],
        ),
    ] = None
    description: str = ""


class SegmentBuilding(msgspec.Struct, kw_only=True):
    """How far a segment is whose guests are being judged by a new condition."""

    judged: int
    guests: int


class SegmentDocument(msgspec.Struct, kw_only=True):
    """A segment, as it is read."""

    ref: UUID
    href: str
    clientKey: str
    name: str
    friendlyId: str
    description: str
    kind: SegmentKind
    condition: Conditions
    deleted: bool
    members: Annotated[int, Meta(description="How many guests are in it.")]
    asOf: Annotated[
        datetime, Meta(description="Everything that was accepted before is counted in `members`.")
    ]
    building: Annotated[
        SegmentBuilding | None,
        Meta(description="How far it is, while it is being built; null: all guests are judged."),
    ]
    createdAt: datetime
    modifiedAt: datetime


class SegmentList(msgspec.Struct, kw_only=True):
    """A page of segments, by their friendlyIds."""

    href: str
    offset: int
    limit: int
    total: int
    items: list[SegmentDocument]
    first: Link
    last: Link
    next: Link | None
    prev: Link | None


class Member(msgspec.Struct, kw_only=True):
    """That a guest is in a segment since, or was until."""

    guestRef: UUID
    enteredAt: datetime
    leftAt: Annotated[datetime | None, Meta(description="null: the guest is in it.")]


class MemberList(msgspec.Struct, kw_only=True):
    """A page of the guests of a segment, those first who entered last."""

    items: list[Member]
    next: str | None
    previous: str | None


class GuestSegment(msgspec.Struct, kw_only=True):
    """A segment that a guest is in, or was."""

    segmentRef: UUID
    friendlyId: str
    name: str
    kind: SegmentKind
    enteredAt: datetime
    leftAt: datetime | None


class GuestSegmentList(msgspec.Struct, kw_only=True):
    """A page of the segments of a guest, those first that were entered last."""

    items: list[GuestSegment]
    next: str | None
    previous: str | None


class GuestIdentifier(msgspec.Struct, kw_only=True):
    """What names a guest in some numbering."""

    provider: Annotated[str, Meta(examples=["CUSTOMER_ID"])]
    id: str | int


class GuestName(msgspec.Struct, kw_only=True):
    """Who is meant: by one of these."""

    guestRef: str | None = None
    email: str | None = None
    identifier: GuestIdentifier | None = None


class MembersBody(msgspec.Struct, kw_only=True):
    """Guests to put on a list, and guests to take off it."""

    add: list[GuestName] = []
    remove: list[GuestName] = []


class UnknownGuest(msgspec.Struct, kw_only=True):
    """A name that is no guest's. Nobody was made for it."""

    where: Annotated[
        str, Meta(description="Where it stands in what was sent.", examples=["add[3]", "line 7"])
    ]
    value: str


class MembersChanged(msgspec.Struct, kw_only=True):
    """What became of a list."""

    named: Annotated[int, Meta(description="How many guests were named.")]
    added: Annotated[int, Meta(description="How many were put on it who were not.")]
    removed: Annotated[int, Meta(description="How many were taken off it who were on it.")]
    unknown: Annotated[int, Meta(description="How many of the names are no guest's.")]
    unknownGuests: Annotated[list[UnknownGuest], Meta(description="The first hundred of them.")]
