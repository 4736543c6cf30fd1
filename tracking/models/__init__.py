"""The app's tables, one module per subject. Import models from here."""

from .clients import Client, Key, PointOfSale
from .events import Event
from .guests import Guest, Identifier, IdentityLink, MergeRecord
from .inbox import FollowUp, InboxEntry, QuarantinedMessage, WalkNote
from .sessions import Session

__all__ = [
    "Client",
    "Event",
    "FollowUp",
    "Guest",
    "Identifier",
    "IdentityLink",
    "InboxEntry",
    "Key",
    "MergeRecord",
    "PointOfSale",
    "QuarantinedMessage",
    "Session",
    "WalkNote",
]
