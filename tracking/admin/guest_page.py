"""What a guest's page says: the timeline by visits, the profile, identifiers and merges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from tracking import relations, timeline, wording
from tracking.admin import orders, payloads
from tracking.admin.events import flow_url, why_url
from tracking.models import (
    Cart,
    Device,
    Guest,
    Identifier,
    Membership,
    MergeRecord,
    Order,
    Session,
)
from tracking.relations import Relation
from tracking.timeline import Line

PAGE = 50
_MOST_IDENTIFIERS = 100
_MOST_MERGES = 50
_MOST_ORDERS = 10
_MOST_ITEMS = 12
_PROFILE = (
    "first_name", "last_name", "title", "gender", "date_of_birth", "email", "phone", "street",
    "city", "state", "postal_code", "country", "nationality", "language",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the timeline as a template shows it."""

    line: Line
    flow_url: str
    why_url: str
    raw: str


@dataclass(slots=True)
class Visit:
    """The lines of one session; `session` is None for what happened outside of any."""

    session: Session | None
    entries: list[Entry] = field(default_factory=list)


def context_of(guest: Guest, *, before: UUID | None, site_name: str) -> dict[str, Any]:
    """Return the page's values: a fixed number of queries, whatever the guest has done."""
    lines = timeline.of_guest(guest, before=before, limit=PAGE + 1)
    shown = lines[:PAGE]
    return {
        "visits": _by_visit(entries_of(shown, site_name)),
        "older": shown[-1].ref if len(lines) > PAGE else None,
        "is_first_page": before is None,
        "pill": payloads.pill(guest.type, guest.get_type_display()),
        "profile": _profile(guest),
        "attributes": payloads.rows(guest.attributes),
        "identifiers": _identifiers(guest),
        "merges": _merges(guest),
        "memberships": Membership.objects.current_of(guest.root_id or guest.pk),
        "cart": _cart(guest),
        "orders": _orders(guest),
        "relations": _relations(guest),
        "devices": list(Device.objects.current_of(guest.root_id or guest.pk)[:_MOST_IDENTIFIERS]),
    }


def entries_of(lines: Sequence[Line], site_name: str) -> list[Entry]:
    return [
        Entry(
            line,
            flow_url(line, site_name),
            why_url(line, site_name),
            payloads.pretty(line.data),
        )
        for line in lines
    ]


def _by_visit(entries: Sequence[Entry]) -> list[Visit]:
    """Group by session: the visit with the newest line first, each line in its visit."""
    ids = {entry.line.session_id for entry in entries if entry.line.session_id}
    sessions = Session.objects.in_bulk(ids)
    visits: dict[int | None, Visit] = {}
    for entry in entries:
        pk = entry.line.session_id
        visit = visits.setdefault(pk, Visit(sessions.get(pk) if pk else None))
        visit.entries.append(entry)
    return list(visits.values())


@dataclass(frozen=True, slots=True)
class CartPanel:
    """The cart of a guest that was changed last, if anything is left in it."""

    cart: Cart
    pill: SafeString
    lines: list[orders.Row]
    value: str


def _cart(guest: Guest) -> CartPanel | None:
    rows = Cart.objects.of_guest(guest.root_id or guest.pk).select_related("session")
    cart = rows.exclude(lines=[]).order_by("-changed_at", "-pk").first()
    if cart is None:
        return None
    return CartPanel(
        cart, orders.cart_pill(cart), orders.rows_of_cart(cart), wording.amounts(cart.values)
    )


def _orders(guest: Guest) -> list[tuple[Order, SafeString, str]]:
    rows = Order.objects.of_guest(guest.root_id or guest.pk).order_by("-ordered_at", "-pk")
    return orders.orders_in_brief(rows[:_MOST_ORDERS])


def _relations(guest: Guest) -> list[tuple[str, str]]:
    """Name the items that the guest dealt with, each with what there is to say of it."""
    return [
        (relation.name or relation.item.id, ", ".join(_said(relation)))
        for relation in relations.of_guest(guest, limit=_MOST_ITEMS)
    ]


def _said(relation: Relation) -> Iterator[str]:
    if relation.bought:
        yield _("bought %(n)s") % {"n": relation.bought}
    if relation.added:
        yield _("put into a cart %(n)s×") % {"n": relation.added}
    if relation.views:
        yield _("viewed %(n)s×") % {"n": relation.views}
    if relation.consumed is not None:
        yield _("consumed %(n)s %%") % {"n": relation.consumed}
    if relation.rating is not None:
        yield _("rated %(n)s") % {"n": f"{relation.rating:g}"}
    if relation.is_wished:
        yield _("on the wish list")
    if relation.is_owned:
        yield _("has it")
    if relation.is_disliked:
        yield _("not wanted")


def _profile(guest: Guest) -> list[tuple[str, str]]:
    values = [(Guest._meta.get_field(name), getattr(guest, name)) for name in _PROFILE]
    return [
        (capfirst(getattr(column, "verbose_name", column.name)), _text(value))
        for column, value in values
        if value
    ]


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _identifiers(guest: Guest) -> list[Identifier]:
    members = Guest.objects.speaking_through(guest.root_id or guest.pk)
    rows = Identifier.objects.filter(guest__in=members)
    return list(rows.order_by("provider", "pk")[:_MOST_IDENTIFIERS])


def _merges(guest: Guest) -> list[MergeRecord]:
    rows = MergeRecord.objects.filter(survivor=guest.root_id or guest.pk)
    return list(rows.select_related("retired").order_by("-merged_at")[:_MOST_MERGES])
