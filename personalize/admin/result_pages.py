"""
The page of a flow's results: what to do, what it rests on, and what is done then.

`FlowAdmin` has it. Results are read by `personalize.analytics`; whatever changes a flow goes
through `concluding` and `flows`, as it does over REST.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from personalize import concluding, flows, sample_size
from personalize.admin import flow_weights, result_shown, result_words, status
from personalize.admin.flow_pages import FlowPages
from personalize.admin.result_forms import PlanForm, SpanForm
from personalize.analytics import breakdowns, exports, publications, results
from personalize.analytics.publications import NothingPublished, Published
from personalize.models import Flow
from tracking.admin import payloads


class ResultPages(FlowPages):
    """What came of a flow, for whoever may see it; what follows, for whoever may publish."""

    def get_urls(self) -> list[URLPattern]:
        own: list[tuple[str, Any, str]] = [
            ("<path:object_id>/results/", require_GET(self.results_view), "results"),
            ("<path:object_id>/results/plan/", require_POST(self.plan_view), "plan"),
            ("<path:object_id>/results/conclude/", require_POST(self.conclude_view), "conclude"),
            ("<path:object_id>/results/days.csv", require_GET(self.days_view), "days"),
        ]
        wrap = self.admin_site.admin_view
        return [
            *(path(route, wrap(view), name=self.url_name(name)) for route, view, name in own),
            *super().get_urls(),
        ]

    def results_link(self, flow: Flow) -> SafeString | str:
        """Return a link to the results of a flow that has any."""
        if flow.published_id is None:
            return "–"
        return format_html('<a href="{}">{}</a>', self.url_of("results", flow.pk), _("Results"))

    def summary_of(self, flow: Flow) -> dict[str, Any]:
        """Return what the flow's own page says of its results."""
        summary: dict[str, Any] = {"results_url": self.url_of("results", flow.pk)}
        if flow.published is None:
            return summary
        goals = publications.of(flow).goals
        if any(goal.quantile is not None or goal.cap_percentile is not None for goal in goals):
            # These take all guests one by one: too much for a page that is about something else.
            return summary
        found = results.of(flow, now=timezone.now(), has_course=False)
        shown = result_shown.context_of(found, "always")
        return summary | {
            "verdict": shown["verdict"],
            "guests_so_far": result_words.count(shown["guests"]),
        }

    # --- the page ---

    def results_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what came of a flow."""
        flow = self.flow_of(request, object_id)
        return self._shown(request, flow, PlanForm(initial=PlanForm.initial_of(flow)))

    def _shown(self, request: HttpRequest, flow: Flow, plan: PlanForm) -> HttpResponse:
        context = self.context_of(request, flow, _("Results"))
        context |= {
            "pill": payloads.pill(*status.shown_status(flow, timezone.now())),
            "is_experiment": flow.subtype == Flow.Subtype.EXPERIMENT,
            "planned": result_words.guests_per_variant(
                sample_size.guests_per_variant(flow.sample_size)
            ),
            **self._plan(request, flow, plan),
        }
        try:
            published = publications.of(flow)
        except NothingPublished:
            context["is_unpublished"] = True
        else:
            context |= self._results(request, flow, published)
            context |= self._conclusions(request, flow)
        return TemplateResponse(request, "personalize/admin/results.html", context)

    def _plan(self, request: HttpRequest, flow: Flow, plan: PlanForm) -> dict[str, Any]:
        is_draft = flow.status == Flow.Status.DRAFT
        if not is_draft or not self.has_change_permission(request, flow):
            return {}
        return {"plan_form": plan, "plan_url": self.url_of("plan", flow.pk)}

    def _results(self, request: HttpRequest, flow: Flow, published: Published) -> dict[str, Any]:
        form = SpanForm(request.GET, flow=flow, phases=published.phases, goals=published.goals)
        asked = form.cleaned_data if form.is_valid() else {}
        span: dict[str, Any] = {name: asked.get(name) for name in ("phase", "since", "until")}
        found = results.of(flow, now=timezone.now(), **span)
        view: result_shown.View = "fixed" if request.GET.get("view") == "fixed" else "always"
        query = request.GET.copy()
        shown = {
            "form": form,
            "view": view,
            "view_in_words": result_words.VIEWS[view],
            "results": found,
            "export_url": f"{self.url_of('days', flow.pk)}?{_query(query)}",
            **{f"{name}_url": f"?{_query(query, view=name)}" for name in ("always", "fixed")},
            **result_shown.context_of(found, view),
        }
        if found.optimized is not None:
            shown["weights"] = flow_weights.shown(flow, found.optimized, now=timezone.now())
        if asked.get("by"):
            goals = {str(each.ref): each for each in published.goals}
            goal = goals.get(asked.get("goal", "")) or next(iter(goals.values()), None)
            if goal is not None:
                broken = breakdowns.of(
                    flow, asked["by"], now=timezone.now(), goal_ref=goal.ref, **span
                )
                shown["parts"] = result_shown.parts_of(broken.parts, goal, found, view)
                shown["parts_title"] = _("%(goal)s by %(part)s") % {
                    "goal": goal.name,
                    "part": form.part(asked["by"]),
                }
        return shown

    def _conclusions(self, request: HttpRequest, flow: Flow) -> dict[str, Any]:
        if not self.has_publish_permission(request) or flow.deleted_at is not None:
            return {}
        variants = list(flow.variants.order_by("position", "pk"))
        return {
            "conclude_url": self.url_of("conclude", flow.pk),
            "conclude_refusal": concluding.refusal(flow),
            "treatments": [each for each in variants if not each.is_control],
            "control": next((each for each in variants if each.is_control), None),
            "can_complete": Flow.Status.COMPLETED in flows.MOVES[flow.status],
        }

    # --- what is done there ---

    def plan_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Keep by what a draft is planned."""
        flow = self.flow_of(request, object_id)
        if not self.has_change_permission(request, flow):
            raise PermissionDenied
        form = PlanForm(request.POST)
        if not form.is_valid():
            return self._shown(request, flow, form)
        flow.sample_size = form.stated()
        try:
            flows.save(flow, by=request.user)  # type: ignore[arg-type]
        except flows.FlowError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, flow, "Planned.")
            guests = sample_size.guests_per_variant(flow.sample_size)
            messages.success(
                request,
                _("Planned: %(guests)s.") % {"guests": result_words.guests_per_variant(guests)},
            )
        return HttpResponseRedirect(self.url_of("results", flow.pk))

    def conclude_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Do what a button says."""
        flow = self.flow_of(request, object_id)
        if not self.has_publish_permission(request):
            raise PermissionDenied
        try:
            action = concluding.Action(request.POST.get("action", ""))
        except ValueError:
            raise Http404 from None
        try:
            done = concluding.conclude(
                flow,
                action,
                variant=payloads.uuid(request.POST.get("variant", "")),
                by=request.user,  # type: ignore[arg-type]
                now=timezone.now(),
            )
        except flows.FlowError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, flow, done)
            messages.success(request, done)
        return HttpResponseRedirect(self.url_of("results", flow.pk))

    def days_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Download the numbers of the days that the page shows, as CSV."""
        flow = self.flow_of(request, object_id)
        try:
            published = publications.of(flow)
        except NothingPublished:
            raise Http404 from None
        form = SpanForm(request.GET, flow=flow, phases=published.phases, goals=published.goals)
        asked = form.cleaned_data if form.is_valid() else {}
        if asked.get("phase"):
            published = publications.of(flow, phase=asked["phase"])
        span = published.span(since=asked.get("since"), until=asked.get("until"))
        response = StreamingHttpResponse(
            exports.rows(flow, span), content_type=exports.CONTENT_TYPE
        )
        response["Content-Disposition"] = f'attachment; filename="{exports.file_name(flow)}"'
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "no-store"
        return response


def _query(query: Any, **changes: str) -> str:
    """Write a query again, with changes."""
    changed = query.copy()
    for name, value in changes.items():
        changed[name] = value
    text: str = changed.urlencode()
    return text
