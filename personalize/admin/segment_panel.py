"""Which segments a guest is in and was, on the guest's page."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from personalize.models import SegmentMembership
from tracking.admin import panels
from tracking.admin.panels import Panel
from tracking.models import Guest

_MOST = 20


def panel(guest: Guest, request: HttpRequest) -> Panel | None:
    """Return the guest's memberships, those that last first, the newest first."""
    if not request.user.has_perm("personalize.view_segment"):
        return None
    rows = SegmentMembership.objects.of_guest(guest.root_id or guest.pk).order_by("-pk")
    newest = sorted(rows[:_MOST], key=lambda row: row.left_at is not None)
    pairs = [(_link(row), _time(row)) for row in newest]
    return Panel(gettext_lazy("Segments"), pairs) if pairs else None


def _link(membership: SegmentMembership) -> str:
    url = reverse("admin:personalize_segment_change", args=[membership.segment_id])
    return format_html('<a href="{}">{}</a>', url, membership.segment)


def _time(membership: SegmentMembership) -> str:
    since = date_format(timezone.localtime(membership.entered_at), "DATETIME_FORMAT")
    if membership.left_at is None:
        return _("since %(when)s") % {"when": since}
    until = date_format(timezone.localtime(membership.left_at), "DATETIME_FORMAT")
    return format_html('<span class="tr-quiet">{} – {}</span>', since, until)


panels.register("personalize.segments", panel)
