"""What the reading doors answer: events, sessions, guests, timelines and items in public form."""

from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tracking import money
from tracking.semantics.table import Spec
from tracking.wire.execution import FlowExecution

#: A time in UTC with milliseconds and a Z.
Stamp: TypeAlias = Annotated[
    str,
    Meta(extra_json_schema={"format": "date-time"}, examples=["2026-01-10T18:07:59.247Z"]),
]
GuestType: TypeAlias = Annotated[
    Literal["visitor", "customer", "retired", "bot"],
    Meta(
        title="GuestType",
        description="customer: somebody known. retired: merged into another guest. bot: a crawler.",
    ),
]
SessionStatus: TypeAlias = Annotated[
    Literal["OPEN", "CLOSED"],
    Meta(title="SessionStatus", description="OPEN until the visit has been idle for too long."),
]
CartType: TypeAlias = Annotated[
    Literal["OPEN", "ABANDONED", "CLOSED", "CONVERTED"],
    Meta(
        title="CartType",
        description="ABANDONED: the visit ended with something in it. CLOSED: it was cleared. "
        "CONVERTED: it was bought.",
    ),
]


class TrackingCore(msgspec.Struct, kw_only=True):
    """Where a run happened."""

    pointOfSale: str | None
    channel: str


class TrackingExtension(msgspec.Struct, kw_only=True):
    """The run once more, as segmentation reads it."""

    flowExecution: FlowExecution
    category: Literal["EXECUTED"]


class TrackingCopy(msgspec.Struct, kw_only=True):
    """The form that older readers of TRACKING events expect."""

    core: TrackingCore
    bxt: TrackingExtension


class TrackingData(msgspec.Struct, kw_only=True):
    """`arbitraryData` of a TRACKING event: the run of a flow that it records."""

    flowExecution: FlowExecution
    copy: TrackingCopy = msgspec.field(name="_bx_arbitraryDataV3ga")


class EventDocument(msgspec.Struct, kw_only=True):
    """A recorded event."""

    ref: UUID
    clientKey: str
    createdAt: Annotated[Stamp, Meta(description="When it was received.")]
    modifiedAt: Annotated[Stamp, Meta(description="When it was recorded.")]
    type: Annotated[str, Meta(examples=["VIEW"])]
    status: Literal["PROCESSED"]
    channel: Annotated[str, Meta(examples=["WEB"])]
    pointOfSale: Annotated[str | None, Meta(examples=["myretailsite/ireland"])]
    browserRef: Annotated[
        str | None, Meta(description="The browser id; null where the guest was named otherwise.")
    ]
    sessionRef: UUID | None
    flowExecutionRef: Annotated[
        UUID | UnsetType,
        Meta(description="Of TRACKING and HOLDOUT events: the run that it records or replaces."),
    ] = UNSET
    arbitraryData: Annotated[
        dict[str, Any],
        Meta(
            description="The event as it was sent; of a TRACKING event the run (TrackingData).",
            extra_json_schema={
                "anyOf": [{"$ref": "#/components/schemas/TrackingData"}, {"type": "object"}]
            },
        ),
    ]
    warnings: Annotated[
        list[str] | UnsetType,
        Meta(description="What was corrected or left unused, where anything was."),
    ] = UNSET


class CallDocument(msgspec.Struct, kw_only=True):
    """
    An event in the form of a track call.

    Beside these it has every key that the call was sent with: properties or
    traits, name, category, groupId, previousId, and any of the sender's own.
    """

    type: Annotated[
        Literal["track", "identify", "page", "screen", "group", "alias"], Meta(title="CallType")
    ]
    messageId: str
    originalTimestamp: Annotated[
        str | int | float, Meta(description="When it happened by the sender's clock.")
    ]
    sentAt: Annotated[str | int | float | None, Meta(description="When it was sent by that clock.")]
    receivedAt: Annotated[Stamp, Meta(description="When it was received.")]
    timestamp: Annotated[
        Stamp,
        Meta(
            description="When it happened by the server's clock: receivedAt - (sentAt - "
            "originalTimestamp).",
        ),
    ]
    context: dict[str, Any] | None
    integrations: dict[str, Any] | None
    version: Any
    userId: str | int | float | None | UnsetType = UNSET
    anonymousId: str | int | float | None | UnsetType = UNSET
    event: str | None | UnsetType = UNSET
    properties: dict[str, Any] | None | UnsetType = UNSET
    traits: dict[str, Any] | None | UnsetType = UNSET


class EventList(msgspec.Struct, kw_only=True):
    """A page of events, newest first."""

    items: list[EventDocument]
    next: Annotated[str | None, Meta(description="Address of the next, older page.")]
    previous: Annotated[str | None, Meta(description="Address of the page before.")]


class CallList(msgspec.Struct, kw_only=True):
    """A page of events in the form of track calls, newest first."""

    items: list[CallDocument]
    next: str | None
    previous: str | None


class SessionDocument(msgspec.Struct, kw_only=True):
    """A visit: events of one browser on one channel and point of sale, until an idle gap."""

    ref: UUID
    clientKey: str
    createdAt: Stamp
    status: SessionStatus
    channel: Annotated[str, Meta(examples=["WEB"])]
    pointOfSale: Annotated[str, Meta(examples=["myretailsite/ireland"])]
    guestRef: UUID
    browserRef: str | None
    startedAt: Stamp
    endedAt: Annotated[Stamp | None, Meta(description="Null while the session is OPEN.")]
    lastEventAt: Stamp
    duration: Annotated[int, Meta(description="Seconds from the first event to the last.")]
    events: Annotated[int, Meta(description="How many events it has.")]
    views: Annotated[int, Meta(description="How many of them are VIEW events.")]
    entryPage: str
    referrer: str
    utm: Annotated[dict[str, Any], Meta(examples=[{"source": "bing", "medium": "social"}])]
    place: Annotated[dict[str, Any], Meta(examples=[{"city": "Galway", "country": "IE"}])]
    language: str
    currency: Annotated[str, Meta(description="Of `value`, where there is one.")]
    cartType: Annotated[
        CartType | None,
        Meta(description="What became of the visit's cart; null where it had none."),
    ]
    value: Annotated[
        float | None,
        Meta(
            description="What is left in the cart, or was bought, less what was given back.",
            examples=[28.87],
        ),
    ]


class SessionList(msgspec.Struct, kw_only=True):
    """A page of sessions, newest first."""

    items: list[SessionDocument]
    next: Annotated[str | None, Meta(description="Address of the next, older page.")]
    previous: Annotated[str | None, Meta(description="Address of the page before.")]


class Link(msgspec.Struct, kw_only=True):
    """An address."""

    href: str


class GuestList(msgspec.Struct, kw_only=True):
    """A page of guests, by their addresses; each is read by its own."""

    href: str
    offset: int
    limit: int
    items: list[Link]
    first: Link
    last: Link
    next: Link | None
    prev: Link | None


class RelationDocument(msgspec.Struct, kw_only=True):
    """What a guest has had to do with one item."""

    itemType: int
    productId: Annotated[str, Meta(examples=["TRAIL-42"])]
    name: str
    lastAt: Stamp
    views: int
    added: Annotated[int, Meta(description="How many times it was put into a cart.")]
    bought: Annotated[int, Meta(description="Pieces, less those that were given back.")]
    consumed: Annotated[int | None, Meta(description="The highest percentage.")]
    rating: Annotated[float | None, Meta(description="The newest, on the sender's scale.")]
    wished: bool
    disliked: bool
    owned: Annotated[bool, Meta(description="Has it, and did not buy it here.")]


class RelationList(msgspec.Struct, kw_only=True):
    """The items that a guest last dealt with, newest first."""

    items: list[RelationDocument]


class OrderItemDocument(msgspec.Struct, kw_only=True):
    """A line of an order."""

    ref: UUID
    href: str
    productId: Annotated[str, Meta(examples=["TRAIL-42"])]
    itemType: int
    referenceId: str
    name: str
    type: str
    quantity: int
    refundedQuantity: Annotated[int, Meta(description="How many of them were given back.")]
    price: Annotated[float | None, Meta(description="Of one; null where nobody told it.")]
    currencyCode: str
    status: str
    orderedAt: Stamp | None
    extensions: dict[str, Any]


class OrderItemList(msgspec.Struct, kw_only=True):
    """An order's lines."""

    href: str
    items: list[OrderItemDocument]


class OrderDocument(msgspec.Struct, kw_only=True):
    """What a guest bought. Amounts are in whole units of `currencyCode`."""

    ref: UUID
    href: str
    createdAt: Stamp
    modifiedAt: Stamp
    referenceId: Annotated[
        str, Meta(description="The shop's number; of an order without, its first event's ref.")
    ]
    guestRef: UUID
    sessionRef: UUID | None
    status: Annotated[
        str,
        Meta(
            description="PURCHASED, PARTIALLY_REFUNDED, REFUNDED, CANCELLED, or as it was stated."
        ),
    ]
    paid: Annotated[bool, Meta(description="Whether a PAYMENT was told of.")]
    orderedAt: Stamp
    currencyCode: str
    currencyAssumed: Annotated[
        bool, Meta(description="Nobody named it: it is the client's default.")
    ]
    price: Annotated[float | None, Meta(description="The total.", examples=[28.87])]
    revenue: float | None
    shipping: float | None
    tax: float | None
    discount: float | None
    refunded: float | None
    coupon: str
    affiliation: str
    paymentType: str
    cardType: str
    channel: str
    pointOfSale: str | None
    contact: dict[str, Any]
    extensions: dict[str, Any]
    orderItems: OrderItemList


class OrderList(msgspec.Struct, kw_only=True):
    """A page of orders, newest first."""

    href: str
    offset: int
    limit: int
    items: list[OrderDocument]
    first: Link
    last: Link
    next: Link | None
    prev: Link | None


class IdentifierDocument(msgspec.Struct, kw_only=True):
    """One identifier of a guest."""

    provider: Annotated[str, Meta(examples=["EMAIL"])]
    id: Annotated[str, Meta(examples=["ada@example.com"])]
    expiryDate: Stamp | None


class GroupDocument(msgspec.Struct, kw_only=True):
    """A group that a guest belongs to."""

    objectTypeId: Annotated[str, Meta(description="What kind of thing it is.", examples=["1"])]
    groupId: str
    since: Stamp
    attributes: dict[str, Any]


class DeviceDocument(msgspec.Struct, kw_only=True):
    """A device that a guest is reached by."""

    token: str
    type: str
    lastUsedAt: Stamp
    attributes: dict[str, Any]


class GuestDocument(msgspec.Struct, kw_only=True):
    """A guest: the profile, and the identifiers that find it."""

    ref: UUID
    href: str
    guestType: GuestType
    createdAt: Stamp
    modifiedAt: Stamp
    firstSeen: Stamp
    lastSeen: Stamp
    title: str
    firstName: str
    lastName: str
    gender: str
    dateOfBirth: str
    email: str
    nationality: str
    language: str
    city: str
    state: str
    postCode: str
    country: str
    street: list[str]
    emails: list[str]
    phoneNumbers: list[str]
    identifiers: list[IdentifierDocument]
    groups: list[GroupDocument]
    devices: list[DeviceDocument]
    attributes: Annotated[
        dict[str, Any], Meta(description="What else is known: `guest.attributes.<path>`.")
    ]
    mergedInto: Annotated[
        UUID | UnsetType, Meta(description="Of retired guests: the guest that lives on.")
    ] = UNSET


class TimelineLine(msgspec.Struct, kw_only=True):
    """One thing that a guest did or saw, as a sentence."""

    ref: Annotated[UUID, Meta(description="Of the event.")]
    at: Stamp
    kind: Literal["event", "execution"]
    type: Annotated[str, Meta(examples=["VIEW"])]
    sentence: Annotated[str, Meta(examples=["Viewed “home”"])]
    detail: str
    channel: str
    sessionRef: UUID | None
    semantic: Annotated[
        Spec | None,
        Meta(description="Of semantic events, those that `sendTrack` lists: the spec."),
    ]
    remarks: Annotated[
        list[str],
        Meta(
            description="Which properties of a semantic event are not of its type. Nothing was "
            "refused or changed for that.",
            examples=[["price is not a number."]],
        ),
    ]


class Timeline(msgspec.Struct, kw_only=True):
    """A page of a guest's history, newest first."""

    items: list[TimelineLine]
    next: Annotated[str | None, Meta(description="Address of the next, older page.")]


class AttributeDocument(msgspec.Struct, kw_only=True):
    """One property of an item."""

    key: Annotated[str, Meta(examples=["brand"])]
    value: Annotated[str, Meta(examples=["Acme"])]
    type: Annotated[Literal["NOMINAL", "NUMERIC", "TEXT"], Meta(title="AttributeType")]


class ItemDocument(msgspec.Struct, kw_only=True):
    """An item of the catalogue. What is not known is empty or null."""

    type: Annotated[int, Meta(examples=[1])]
    id: Annotated[str, Meta(examples=["sku-42"])]
    name: str
    price: Annotated[
        float | None, Meta(description="In whole units of the currency.", examples=[12.45])
    ]
    currency: Annotated[str | None, Meta(examples=["EUR"])]
    url: str
    image: str
    description: str
    categories: Annotated[list[str], Meta(examples=[["Sale", "Shoes/Red"]])]
    attributes: list[AttributeDocument]
    content: dict[str, str]
    validFrom: Stamp | None
    validTo: Annotated[Stamp | None, Meta(description="The first moment when it no longer is.")]
    importedAt: Annotated[
        Stamp | None, Meta(description="Null of items that only clicks have told of.")
    ]


class ItemList(msgspec.Struct, kw_only=True):
    """A page of items, the newest first."""

    items: list[ItemDocument]
    next: Annotated[str | None, Meta(description="Address of the next, older page.")]
    previous: Annotated[str | None, Meta(description="Address of the page before.")]


def whole_units(amount: int | None, currency: str) -> float | None:
    """Write an amount of minor units as answers have it: a number of whole units, 12.45."""
    return None if amount is None or not currency else float(money.major(amount, currency))
