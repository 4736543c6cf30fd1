"""The app's tables, one module per subject. Import models from here."""

from .clients import Client, Key, PointOfSale
from .events import Event
from .groups import Device, Group, Membership, Suppression
from .guests import Guest, Identifier, IdentityLink, MergeRecord
from .inbox import FollowUp, InboxEntry, QuarantinedMessage, WalkNote
from .sessions import Session

__all__ = [
    "Client",
    "Device",
    "Event",
    "FollowUp",
    "Group",
    "Guest",
    "Identifier",
    "IdentityLink",
    "InboxEntry",
    "Key",
    "Membership",
    "MergeRecord",
    "PointOfSale",
    "QuarantinedMessage",
    "Session",
    "Suppression",
    "WalkNote",
]
