"""Messages that were set aside: grouped by reason, readable, and sent round again by a button."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Max, Min, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from tracking import inbox, quarantine
from tracking.admin import payloads
from tracking.admin.big_tables import CappedPaginator, RecentValuesFilter, TypeFilter
from tracking.admin.scoping import ClientFilter, ReadOnlyAdmin, visible_clients
from tracking.models import QuarantinedMessage

Status = QuarantinedMessage.Status
_NEWEST = 10_000
_MOST_GROUPS = 20


class ReasonFilter(RecentValuesFilter):
    title = _("reason")
    parameter_name = "code"


class StatusFilter(admin.SimpleListFilter):
    """Held messages, unless somebody asks for others."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("ALL", _("All")), *Status.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or Status.HELD
        return queryset if value == "ALL" else queryset.filter(status=value)

    def choices(self, changelist: Any) -> Any:
        for choice in list(super().choices(changelist))[1:]:
            if self.value() is None and choice["display"] == Status.HELD.label:
                choice["selected"] = True
            yield choice


@dataclass(frozen=True, slots=True)
class Group:
    """Held messages of one client, reason and type."""

    client: str
    code: str
    type: str
    count: int
    first: Any
    last: Any
    query: str


@admin.register(QuarantinedMessage)
class QuarantinedMessageAdmin(ReadOnlyAdmin[QuarantinedMessage]):
    """A list of held messages under a table of their reasons; the one action replays."""

    list_display = (
        "code",
        "type",
        "explanation",
        "client",
        "attempts",
        "quarantined_at",
        "status_pill",
    )
    list_filter = (ClientFilter, StatusFilter, ReasonFilter, TypeFilter)
    list_select_related = ("client",)
    list_per_page = 50
    ordering = ("-quarantined_at",)
    actions = ("replay",)
    paginator = CappedPaginator
    show_full_result_count = False
    change_list_template = "tracking/admin/quarantine.html"
    change_form_template = "tracking/admin/quarantined_message.html"

    class Media:
        css = {"all": ["tracking/admin.css"]}

    @admin.display(description=_("explanation"))
    def explanation(self, message: QuarantinedMessage) -> str:
        return Truncator(message.reason).chars(120)

    @admin.display(description=_("status"), ordering="status")
    def status_pill(self, message: QuarantinedMessage) -> SafeString:
        return payloads.pill(message.status, message.get_status_display())

    def has_replay_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("tracking.replay_quarantinedmessage"))

    @admin.action(description=_("Replay the selected messages"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[QuarantinedMessage]) -> None:
        """Send messages round again, and say what came of it."""
        rows = list(queryset)
        count = quarantine.replay(rows)
        inbox.announce()
        for row in rows:
            self.log_change(request, row, "Replayed.")
        self._report(request, rows, count)

    def _report(self, request: HttpRequest, rows: list[QuarantinedMessage], replayed: int) -> None:
        left = QuarantinedMessage.objects.filter(
            pk__in=[row.pk for row in rows], status=Status.HELD
        ).count()
        text = ngettext(
            "%(count)d message was sent round again.",
            "%(count)d messages were sent round again.",
            replayed,
        )
        messages.success(request, text % {"count": replayed})
        if left and replayed:
            text = ngettext(
                "%(count)d of them was set aside again.",
                "%(count)d of them were set aside again.",
                left,
            )
            messages.warning(request, text % {"count": left})

    def get_urls(self) -> list[URLPattern]:
        replay = path(
            "<path:object_id>/replay/",
            self.admin_site.admin_view(require_POST(self.replay_view)),
            name="tracking_quarantinedmessage_replay",
        )
        return [replay, *super().get_urls()]

    def replay_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Replay the message of this page."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not (self.has_view_permission(request, row) and self.has_replay_permission(request)):
            raise PermissionDenied
        if row.status != Status.HELD:
            messages.warning(request, gettext("This message was replayed before."))
        else:
            self.replay(request, self.get_queryset(request).filter(pk=row.pk))
        name = "admin:tracking_quarantinedmessage_change"
        return HttpResponseRedirect(reverse(name, args=[row.pk], current_app=self.admin_site.name))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        groups = self._groups(request) if self.has_view_permission(request) else []
        return super().changelist_view(request, {**(extra_context or {}), "groups": groups})

    def _groups(self, request: HttpRequest) -> list[Group]:
        """Count the newest held messages by client, reason and type."""
        held = self.get_queryset(request).filter(status=Status.HELD)
        newest = held.order_by("-quarantined_at").values("pk")[:_NEWEST]
        counted = (
            QuarantinedMessage.objects.filter(pk__in=newest)
            .values("client", "code", "type")
            .annotate(count=Count("pk"), first=Min("quarantined_at"), last=Max("quarantined_at"))
            .order_by("-count")[:_MOST_GROUPS]
        )
        names = dict(visible_clients(request.user).values_list("pk", "name"))
        return [
            Group(
                client=names.get(row["client"], ""),
                code=row["code"],
                type=row["type"],
                count=row["count"],
                first=row["first"],
                last=row["last"],
                query=_query(row, several=len(names) > 1),
            )
            for row in counted
        ]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        message = context["original"]
        context |= {
            "pill": payloads.pill(message.status, message.get_status_display()),
            "raw": payloads.raw_text(bytes(message.body)),
            "headers": payloads.rows(message.headers),
            "can_replay": message.status == Status.HELD and self.has_replay_permission(request),
        }
        return super().render_change_form(request, context, *args, **kwargs)


def _query(row: Any, *, several: bool) -> str:
    chosen = {"code": row["code"], "type": row["type"]}
    if several:
        chosen["client"] = row["client"]
    return urlencode({name: value for name, value in chosen.items() if value})
