"""A guest's history in words, newest first: for the admin's page and the REST timeline."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from tracking.models import Event, Guest
from tracking.types import TRACKING_TYPE
from tracking.wire.common import VIEW_TYPE

#: What a line of an event says beyond its type: the first of these that the payload has.
_TELLING = ("name", "title", "query", "reference_id", "email", "label")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: a sentence first, the details for who asks."""

    ref: UUID
    at: datetime
    kind: str
    type: str
    sentence: str
    detail: str
    channel: str
    session_id: int | None
    session_ref: UUID | None
    warnings: Sequence[str]
    data: dict[str, Any]


def of_guest(guest: Guest, *, before: UUID | None = None, limit: int = 50) -> list[Line]:
    """Return the newest lines of the guest and of everybody merged into it, before a ref."""
    events = Event.objects.of_guest(guest.root_id or guest.pk).select_related("session")
    if before is not None:
        events = events.filter(ref__lt=before)
    return [line_of(event) for event in events.order_by("-ref")[:limit]]


def line_of(event: Event) -> Line:
    """Put one event into words; its session is read along by who asks for many."""
    is_run = event.type == TRACKING_TYPE
    return Line(
        ref=event.ref,
        at=event.occurred_at,
        kind="execution" if is_run else "event",
        type=event.type,
        sentence=_sentence(event),
        detail=_detail(event.data),
        channel=event.channel,
        session_id=event.session_id,
        session_ref=event.session.ref if event.session else None,
        warnings=event.warnings,
        data=event.data,
    )


def _sentence(event: Event) -> str:
    if event.type == TRACKING_TYPE:
        run = event.data.get("flowExecution", {})
        variant = event.data.get("decision", {}).get("variant")
        flow = run.get("flowFriendlyId", "")
        if variant:
            return _("Saw “%(flow)s”, variant “%(variant)s”") % {"flow": flow, "variant": variant}
        return _("Saw “%(flow)s”") % {"flow": flow}
    if event.type == VIEW_TYPE:
        return _("Viewed “%(page)s”") % {"page": event.data.get("page") or "/"}
    if event.type == "IDENTITY":
        return _("Said who they are")
    if event.type == "ADD":
        return _("Added %(what)s to the cart") % {"what": _product(event.data) or _("something")}
    if event.type == "CHECKOUT":
        return _("Checked out")
    if event.type == "CLEAR_CART":
        return _("Emptied the cart")
    if event.type == "SEARCH":
        return _("Searched")
    if event.type == "FORCE_CLOSE":
        return _("Ended the visit")
    return event.type if " " in event.type else event.type.replace("_", " ").capitalize()


def _detail(data: dict[str, Any]) -> str:
    for name in _TELLING:
        value = data.get(name)
        if isinstance(value, str | int | float) and value != "":
            return str(value)
    ext = data.get("ext")
    if isinstance(ext, dict) and ext:
        plain = {key: value for key, value in ext.items() if not isinstance(value, dict | list)}
        return ", ".join(f"{key}: {value}" for key, value in list(plain.items())[:4])
    page = data.get("page")
    return str(page) if page and data.get("type") != VIEW_TYPE else ""


def _product(data: dict[str, Any]) -> str:
    product = data.get("product")
    if isinstance(product, dict):
        return str(product.get("name") or product.get("item_id") or "")
    return ""
