"""Runs of flows in the admin: a list, and of each why it ran, beside what would be now."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from personalize import explaining
from personalize.conditions import plain
from personalize.models import Execution, Flow
from personalize.stories import DecisionStory, End, FlowStory, Share, Story, VariantShare
from personalize.types import OfferState
from tracking.admin import payloads
from tracking.admin.big_tables import CappedPaginator
from tracking.admin.scoping import ReadOnlyAdmin

_ENDS = {
    End.SHOWN: ("open", _("shown")),
    End.CLOSED: ("error", _("not shown")),
    End.NOT_ASKED: ("archived", _("not asked")),
}
_OFFERS = {
    OfferState.HAD: ("open", _("yes")),
    OfferState.NOT_LIVE: ("paused", _("no: not live")),
    OfferState.NOT_YET: ("paused", _("no: its time has not come")),
    OfferState.OVER: ("paused", _("no: its time is over")),
    OfferState.AUDIENCE: ("paused", _("no: its audience does not hold")),
    OfferState.BROKEN: ("error", _("no: gone or broken")),
}


@admin.register(Execution)
class ExecutionAdmin(ReadOnlyAdmin[Execution]):
    """Runs, newest first; the page of one says why."""

    client_path = "flow__client"
    list_display = ("occurred_at", "flow", "person", "revision", "status_pill", "duration_ms")
    list_filter = ("status",)
    list_select_related = ("flow", "guest__root")
    list_per_page = 50
    ordering = ("-occurred_at",)
    sortable_by = ()
    search_fields = ("ref",)
    search_help_text = _("The ref of an execution, a flow or a guest, or a friendly ID")
    paginator = CappedPaginator
    show_full_result_count = False
    change_form_template = "personalize/admin/why.html"

    class Media:
        css = {"all": ["tracking/admin.css", "personalize/admin.css"]}

    @admin.display(description=_("guest"))
    def person(self, run: Execution) -> str:
        return str(run.guest.root or run.guest)

    @admin.display(description=_("status"))
    def status_pill(self, run: Execution) -> SafeString:
        return _pill_of(run)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Execution]:
        rows: QuerySet[Execution] = super().get_queryset(request)
        return rows.select_related("flow", "guest__root", "session")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Execution], search_term: str
    ) -> tuple[QuerySet[Execution], bool]:
        """Look up by what has an index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        ref = payloads.uuid(term)
        if ref is None:
            return queryset.filter(flow__friendly_id=term), False
        found = queryset.filter(ref=ref) | queryset.filter(flow__ref=ref)
        return found | queryset.filter(guest__ref=ref), False

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        run: Execution = context["original"]
        past = explaining.past(run, now=timezone.now())
        values = past.record.recalled().values if past.record else {}
        person = run.guest.root or run.guest
        context |= {
            "title": gettext("Why “%(flow)s” was shown") % {"flow": run.flow.name},
            "subtitle": None,
            "pill": _pill_of(run),
            "past": past,
            "then": _told(past.story) if past.story else None,
            "now": _told(past.now.story) if past.now else None,
            "readings": [row for name, value in values.items() for row in _reading(name, value)],
            "person": person,
            "guest_url": self._url("tracking_guest_change", person.pk),
            "flow_url": self._url(_page_of(run.flow), run.flow.pk),
            "session_url": self._url("tracking_session_change", run.session_id)
            if run.session_id
            else "",
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def _url(self, name: str, *args: Any) -> str:
        return reverse(f"admin:{name}", args=args, current_app=self.admin_site.name)


def _pill_of(run: Execution) -> SafeString:
    good = run.status == Execution.Status.SUCCESS
    return payloads.pill("open" if good else "error", run.get_status_display())


def _page_of(flow: Flow) -> str:
    kind = "experience" if flow.subtype == Flow.Subtype.EXPERIENCE else "experiment"
    return f"personalize_{kind}_change"


def _reading(name: str, value: object) -> list[tuple[str, str]]:
    if value is None:
        return [(name, gettext("missing"))]
    if isinstance(value, tuple):
        # Spellings of one value: each that differs, once.
        return [(name, " · ".join(dict.fromkeys(map(str, value))))]
    return payloads.rows({name: plain(value)}) or [(name, str(plain(value)))]


def _told(story: Story) -> dict[str, Any]:
    """Return a story as the template shows it, what is shown first."""
    flows = sorted(story.flows, key=lambda flow: flow.end is not End.SHOWN)
    return {
        "sentences": story.about_flows,
        "flows": [_flow(flow) for flow in flows],
        "decision": story.decision,
        **(_decision(story.decision) if story.decision else {}),
    }


def _flow(flow: FlowStory) -> dict[str, Any]:
    return {
        "flow": flow,
        "pill": payloads.pill(*_ENDS[flow.end]),
        "segments": _segments(flow.share) if flow.share else [],
        # Numbers of a drawing have a point in every language.
        "stands": f"{flow.share.stands - 0.3:.3f}" if flow.share else "",
    }


def _segments(share: Share) -> list[dict[str, Any]]:
    return [_segment(each, share) for each in share.shares]


def _segment(each: VariantShare, share: Share) -> dict[str, Any]:
    low, high = share.drawn(each)
    return {
        "name": each.name,
        "low": f"{each.low:g}",
        "high": f"{each.high:g}",
        "x": f"{low:.3f}",
        "width": f"{max(0, high - low - 0.2):.3f}",
        "is_mine": each is share.mine,
    }


def _decision(decision: DecisionStory) -> dict[str, Any]:
    return {
        "outputs": payloads.rows(
            {name: plain(decision.called(value)) for name, value in decision.outputs.items()}
        ),
        "offers": [
            {"name": offer.name, "pill": payloads.pill(*_OFFERS[offer.state])}
            for offer in decision.offers
        ],
    }
