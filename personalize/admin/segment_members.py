"""The page of who is in a segment: newest first, page by page, found by an e-mail address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils.safestring import SafeString

from personalize.models import Segment, SegmentMembership
from tracking.admin import payloads
from tracking.models import Guest, Identifier
from tracking.types import EMAIL

_PAGE: Final = 50
_MOST_FOUND: Final = 100


@dataclass(frozen=True, slots=True)
class Line:
    """A guest as the page shows it."""

    guest: Guest
    pill: SafeString
    url: str
    entered_at: datetime


def context_of(segment: Segment, *, email: str, before: str, site_name: str) -> dict[str, Any]:
    """Return the page's values: a fixed number of queries, however many are in it."""
    rows = SegmentMembership.objects.current().filter(segment=segment.pk)
    rows = rows.filter(guest__root__isnull=True)
    wanted = email.strip()
    if wanted:
        rows = rows.filter(guest__in=_people(segment.client_id, wanted.lower()))
    if before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows.select_related("guest").order_by("-pk")[: _PAGE + 1])
    shown = found[:_PAGE]
    return {
        "lines": [_line(row, site_name) for row in shown],
        "older": shown[-1].pk if len(found) > _PAGE else None,
        "is_first_page": not before,
        "query": wanted,
    }


def _line(row: SegmentMembership, site_name: str) -> Line:
    guest = row.guest
    url = reverse("admin:tracking_guest_change", args=[guest.pk], current_app=site_name)
    pill = payloads.pill(guest.type, guest.get_type_display())
    return Line(guest, pill, url, row.entered_at)


def _people(client_id: int, email: str) -> list[int]:
    """Return those whose profile or identifier this address is."""
    profiles = Guest.objects.filter(client=client_id).exclude(email="")
    named = profiles.alias(lower=Lower("email")).filter(lower=email)
    found = set(named.values_list("pk", flat=True)[:_MOST_FOUND])
    identifiers = Identifier.objects.filter(client=client_id, provider=EMAIL, value=email)
    for guest, root in identifiers.values_list("guest", "guest__root"):
        found.add(root or guest)
    people = Guest.objects.filter(Q(pk__in=found) | Q(merged__in=found))
    return list(people.values_list("pk", flat=True))
