"""The app's tables, one module per subject. Import models from here."""

from .clients import Client, Key, PointOfSale
from .commerce import Cart, Interaction, Order, OrderItem
from .event_models import EventModel, SeenEvent, SeenProperty
from .events import Event
from .groups import Device, Group, Membership, Suppression
from .guests import Guest, Identifier, IdentityLink, MergeRecord
from .inbox import FollowUp, InboxEntry, QuarantinedMessage, WalkNote
from .items import Item, ItemCategory
from .sessions import Session

__all__ = [
    "Cart",
    "Client",
    "Device",
    "Event",
    "EventModel",
    "FollowUp",
    "Group",
    "Guest",
    "Identifier",
    "IdentityLink",
    "InboxEntry",
    "Interaction",
    "Item",
    "ItemCategory",
    "Key",
    "Membership",
    "MergeRecord",
    "Order",
    "OrderItem",
    "PointOfSale",
    "QuarantinedMessage",
    "SeenEvent",
    "SeenProperty",
    "Session",
    "Suppression",
    "WalkNote",
]
