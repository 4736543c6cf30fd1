"""Events in the admin: what happened, as sentences; the payload as rows, raw JSON last."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from tracking import timeline
from tracking.admin import payloads
from tracking.admin.big_tables import CappedPaginator, ChannelFilter, ReceivedFilter, TypeFilter
from tracking.admin.scoping import ClientFilter, ReadOnlyAdmin
from tracking.models import Event
from tracking.timeline import Line


def flow_url(line: Line, site_name: str) -> str:
    """Return the admin page of the flow that an execution ran; empty where no app knows it."""
    return _url_of_run(line, "flowRef", "personalize_flow_by_ref", site_name)


def why_url(line: Line, site_name: str) -> str:
    """Return the admin page that says why an execution ran; empty where no app knows it."""
    return _url_of_run(line, "ref", "personalize_execution_change", site_name)


def _url_of_run(line: Line, key: str, page: str, site_name: str) -> str:
    run = line.data.get("flowExecution")
    ref = run.get(key) if line.kind == "execution" and isinstance(run, dict) else None
    try:
        return reverse(f"admin:{page}", args=[UUID(str(ref))], current_app=site_name)
    except (NoReverseMatch, ValueError):
        return ""


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin[Event]):
    """A list of facts, newest first. Nothing here changes one."""

    list_display = ("occurred_at", "what", "person", "channel", "client")
    list_display_links = ("occurred_at", "what")
    list_filter = (ClientFilter, TypeFilter, ChannelFilter, ReceivedFilter)
    list_select_related = ("guest__root", "client", "session")
    list_per_page = 50
    ordering = ("-ref",)
    sortable_by = ()
    search_fields = ("ref",)
    search_help_text = _("The ref of an event, a session or a browser, a guest’s ref, a message id")
    paginator = CappedPaginator
    show_full_result_count = False
    change_list_template = "tracking/admin/change_list.html"
    change_form_template = "tracking/admin/event.html"

    class Media:
        css = {"all": ["tracking/admin.css"]}

    @admin.display(description=_("what happened"))
    def what(self, event: Event) -> str:
        line = timeline.line_of(event)
        return f"{line.sentence} · {line.detail}" if line.detail else line.sentence

    @admin.display(description=_("guest"))
    def person(self, event: Event) -> str:
        return str(event.guest.root or event.guest) if event.guest else "-"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        """Look up by what has an index: no text of a payload is ever searched."""
        term = search_term.strip()
        if not term:
            return queryset, False
        ref = payloads.uuid(term)
        if ref is None:
            return queryset.filter(message_id=term), False
        by_ref = queryset.filter(ref=ref) | queryset.filter(session__ref=ref)
        by_ref |= queryset.filter(guest__ref=ref) | queryset.filter(message_id=term)
        return by_ref | queryset.filter(browser__value=str(ref)), False

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        event = context["original"]
        line = timeline.line_of(event)
        context |= {
            "line": line,
            "person": event.guest.root or event.guest,
            "flow_url": flow_url(line, self.admin_site.name),
            "why_url": why_url(line, self.admin_site.name),
            "payload": payloads.rows(event.data),
            "raw": payloads.pretty(event.original or event.data),
        }
        return super().render_change_form(request, context, *args, **kwargs)
