"""
Experiences and experiments in the admin: drafts in a form, everything else by buttons.

Whatever changes a flow goes through `personalize.flows`, as it does over REST.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, QuerySet, Sum
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from personalize import flows, preview, visits
from personalize.admin import (
    condition_pickers,
    flow_traffic,
    flow_weights,
    goals,
    history,
    status,
)
from personalize.admin.flow_forms import FlowForm, VariantForm, VariantFormSet
from personalize.admin.flow_parts import FlowPartInline
from personalize.admin.preview_forms import PreviewForm
from personalize.admin.result_pages import ResultPages
from personalize.models import (
    Execution,
    ExitCount,
    Experience,
    Experiment,
    Flow,
    FlowRevision,
    Variant,
)
from personalize.types import Reason
from tracking import clients
from tracking.admin import payloads
from tracking.admin.scoping import (
    ClientFilter,
    visible_clients,
)

_WINDOW = timedelta(days=7)
_MOST_REVISIONS = 20
_MOST_RUNS = 10
_SCHEDULE = ("starts_at", "ends_at")
_REASONS = {
    "NOT_LIVE": _("Not live at that moment"),
    "CHANNEL": _("Another channel"),
    "PAGE": _("Another page"),
    "AUDIENCE": _("Not in the audience"),
    "NOT_ALLOCATED": _("Not among the share of guests let in"),
    "NO_VARIANT": _("No variant has a share"),
    "HOLDOUT": _("Held out, to compare with"),
}

#: What went wrong on the way to an answer, and closed no gate.
_FAULTS = (Reason.DECISION_FAILED, Reason.SOURCE_FAILED)


class ShelfFilter(admin.SimpleListFilter):
    """Flows in use, unless somebody asks for the archived or the deleted."""

    title = _("shelf")
    parameter_name = "shelf"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("archived", _("Archived")), ("deleted", _("Deleted")), ("all", _("All"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value == "all":
            return queryset
        if value == "deleted":
            return queryset.filter(deleted_at__isnull=False)
        return queryset.filter(deleted_at__isnull=True, is_archived=value == "archived")

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": _("In use")}
        yield from others


class VariantInline(FlowPartInline[Variant]):
    """What the flow shows."""

    model = Variant
    form = VariantForm
    formset: Any = VariantFormSet


class ExperienceVariantInline(VariantInline):
    """The one variant of an experience: it has no rival, so no share and no control."""

    fields = ("name", "content_type", "content")
    min_num = max_num = 1
    validate_min = True
    can_delete = False
    verbose_name_plural = _("what it shows")


class ExperimentVariantInline(VariantInline):
    """The variants that compete."""

    fields = ("name", ("weight", "is_control"), "content_type", "content")
    min_num = 2
    validate_min = True


class FlowAdmin(ResultPages):
    """What experiences and experiments have in common."""

    form = FlowForm
    subtype: str
    list_display = ("name", "status_pill", "friendly_id", "client", "revision", "runs", "results")
    list_filter = (ClientFilter, "status", ShelfFilter)
    list_select_related = ("client", "published")
    list_per_page = 50
    ordering = ("name", "pk")
    search_fields = ("name", "friendly_id")
    radio_fields = {"type": admin.HORIZONTAL}
    change_form_template = "personalize/admin/flow.html"
    delete_confirmation_template = "personalize/admin/delete_flow.html"
    delete_selected_confirmation_template = "personalize/admin/delete_flows.html"

    class Media:
        css = {"all": ["tracking/admin.css", "personalize/admin.css", "personalize/results.css"]}
        js = ["personalize/flow.js"]

    # --- the list ---

    @admin.display(description=_("status"), ordering="status")
    def status_pill(self, flow: Flow) -> SafeString:
        return payloads.pill(*status.shown_status(flow, timezone.now()))

    @admin.display(description=_("revision"))
    def revision(self, flow: Flow) -> str:
        return str(flow.published.number) if flow.published else "–"

    @admin.display(description=_("executions, 7 days"))
    def runs(self, flow: Flow) -> int:
        return int(getattr(flow, "runs_lately", 0))

    @admin.display(description=_("results"))
    def results(self, flow: Flow) -> str:
        return self.results_link(flow)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Flow]:
        rows: QuerySet[Flow] = super().get_queryset(request)
        return rows.select_related(
            "client", "published", "modified_by", "decision_model", "exclusion_group"
        )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Count the executions of the page's flows, all in one query."""
        changelist: Any = super().get_changelist_instance(request)
        shown = list(changelist.result_list)
        since = timezone.now() - _WINDOW
        counted = (
            Execution.objects.filter(flow__in=[flow.pk for flow in shown], occurred_at__gte=since)
            .values_list("flow")
            .annotate(Count("pk"))
        )
        counts = dict(counted)
        for flow in shown:
            flow.runs_lately = counts.get(flow.pk, 0)
        changelist.result_list = shown
        return changelist

    # --- the form ---

    def get_fieldsets(self, request: HttpRequest, obj: Flow | None = None) -> Any:
        may_edit = (
            self.has_change_permission(request, obj)
            if obj is not None
            else self.has_add_permission(request)
        )
        trees = ("page_targeting", "audience")
        return (
            (None, {"fields": ("name", "friendly_id", "client", "description")}),
            (
                _("Who sees it, and where"),
                {
                    "fields": (
                        "channels",
                        *(trees if may_edit else ("pages_in_words", "audience_in_words")),
                    ),
                    "classes": ("pz-targeting",),
                },
            ),
            (
                _("Traffic"),
                {
                    "fields": (
                        "traffic_mode",
                        "allocation",
                        ("bucket_low", "bucket_high"),
                        *(("variant_buckets",) if obj and obj.traffic_mode == "UNIVERSAL" else ()),
                        *(("weights",) if obj and obj.traffic_mode == "OPTIMIZED" else ()),
                        "exclusion_group",
                        ("group_low", "group_high"),
                        *(("group_room",) if obj and obj.exclusion_group else ()),
                        "holdout",
                    ),
                    "classes": ("pz-traffic",),
                },
            ),
            (_("What decides"), {"fields": ("decision_model",)}),
            (_("When"), {"fields": (_SCHEDULE,)}),
            (_("More"), {"fields": ("type", "tags"), "classes": ("collapse",)}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Flow | None = None) -> Any:
        fixed = ["pages_in_words", "audience_in_words", "variant_buckets", "group_room", "weights"]
        if obj is not None:
            fixed.append("client")
            if obj.published_id is not None:
                fixed.append("friendly_id")
                # The schedule of what was published takes effect at once.
                if not self.has_publish_permission(request):
                    fixed += _SCHEDULE
        return tuple(fixed)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        only = list(visible_clients(request.user).values_list("pk", flat=True)[:2])
        if len(only) == 1:
            initial.setdefault("client", only[0])
        return initial

    @admin.display(description=_("pages"))
    def pages_in_words(self, flow: Flow) -> str:
        return history.sentence(flow.page_targeting)

    @admin.display(description=_("audience"))
    def audience_in_words(self, flow: Flow) -> str:
        return history.sentence(flow.audience)

    @admin.display(description=_("buckets as saved"))
    def variant_buckets(self, flow: Flow) -> str:
        return flow_traffic.variant_buckets(flow)

    @admin.display(description=_("weights"))
    def weights(self, flow: Flow) -> SafeString:
        return flow_weights.rendered(flow, now=timezone.now())

    @admin.display(description=_("free in the group"))
    def group_room(self, flow: Flow) -> str:
        return flow_traffic.group_room(flow, now=timezone.now())

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except flows.FlowError as error:
            # The form had checked it; somebody else was faster. Nothing was saved.
            messages.error(request, str(error))
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Flow, form: Any, change: bool) -> None:
        obj.subtype = self.subtype
        flows.save(obj, by=request.user)  # type: ignore[arg-type]
        if obj.published_id is not None and set(_SCHEDULE) & set(form.changed_data):
            flows.reschedule(obj, now=timezone.now())

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        self._warn_of_traffic(request, form.instance)

    def _warn_of_traffic(self, request: HttpRequest, flow: Flow) -> None:
        """Say what a person should judge: a new phase, or guests who may see two experiments."""
        for sentence in flows.traffic_warnings(flow, now=timezone.now()):
            messages.warning(request, sentence)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        goals.tell(request, formset)

    def delete_model(self, request: HttpRequest, obj: Flow) -> None:
        flows.delete(obj, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Flow]) -> None:
        for flow in queryset:
            flows.delete(flow, now=timezone.now())

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the flows alone: nothing else goes, as no row is deleted."""
        gone = [flow for flow in objs if self.has_delete_permission(request, flow)]
        lacking = set() if len(gone) == len(objs) else {str(self.opts.verbose_name)}
        return [str(flow) for flow in objs], {self.opts.verbose_name_plural: len(gone)}, lacking, []

    # --- the page around the form ---

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        flow: Flow | None = context.get("original")
        context["friendly_id_url"] = self.url_of("friendly_id")
        if flow is not None:
            context |= self._state(request, flow) | self._lately(flow) | self._latest(request, flow)
            context |= self.summary_of(flow)
            context["revisions"] = self._revisions(flow)
        return super().render_change_form(request, context, *args, **kwargs)

    def _state(self, request: HttpRequest, flow: Flow) -> dict[str, Any]:
        now = timezone.now()
        published = flow.published
        draft = flows.draft_of(flow)
        has_changes = published is None or published.definition != draft
        may_act = self.has_publish_permission(request) and flow.deleted_at is None
        return {
            "pill": payloads.pill(*status.shown_status(flow, now)),
            "published": published,
            "has_changes": has_changes and flow.deleted_at is None,
            "buttons": status.buttons(flow, has_changes=has_changes, now=now) if may_act else [],
            "action_url": self.url_of("action", flow.pk),
            "preview_url": self.url_of("preview", flow.pk),
            "draft_changes_url": self.url_of("draft_changes", flow.pk),
        }

    def _lately(self, flow: Flow) -> dict[str, Any]:
        since = timezone.now() - _WINDOW
        runs = Execution.objects.filter(flow=flow.pk, occurred_at__gte=since)
        counted = runs.values("variant_ref", "status").annotate(count=Count("pk"))
        names = dict(Variant.objects.filter(flow=flow.pk).values_list("ref", "name"))
        by_variant: dict[str, dict[str, Any]] = {}
        for row in counted:
            name = names.get(row["variant_ref"]) or gettext("a variant that is gone")
            line = by_variant.setdefault(name, {"name": name, "count": 0, "failed": 0})
            line["count"] += row["count"]
            if row["status"] == Execution.Status.ERROR:
                line["failed"] += row["count"]
        exits = ExitCount.objects.filter(flow=flow.pk, day__gt=(since).date())
        counted_exits = exits.values("reason").annotate(count=Sum("count")).order_by("-count")
        faults = {row["reason"]: row["count"] for row in counted_exits}
        summed = [row for row in counted_exits if row["reason"] not in _FAULTS]
        return {
            "runs": sorted(by_variant.values(), key=lambda line: -line["count"]),
            "exits": [
                {"reason": _REASONS.get(row["reason"], row["reason"]), "count": row["count"]}
                for row in summed
            ],
            "decision_faults": faults.get(Reason.DECISION_FAILED, 0),
            "source_faults": faults.get(Reason.SOURCE_FAILED, 0),
        }

    def _latest(self, request: HttpRequest, flow: Flow) -> dict[str, Any]:
        """Return the newest runs, each with the page that says why, for who may see these."""
        user: Any = request.user
        if not user.has_perm("personalize.view_execution"):
            return {}
        site = self.admin_site.name
        names = dict(Variant.objects.filter(flow=flow.pk).values_list("ref", "name"))
        rows = Execution.objects.filter(flow=flow.pk).select_related("guest__root")
        every = reverse("admin:personalize_execution_changelist", current_app=site)
        return {
            "latest": [
                {
                    "run": run,
                    "person": run.guest.root or run.guest,
                    "variant": names.get(run.variant_ref) or gettext("a variant that is gone"),
                    "url": reverse(
                        "admin:personalize_execution_change", args=[run.pk], current_app=site
                    ),
                }
                for run in rows.order_by("-occurred_at")[:_MOST_RUNS]
            ],
            "latest_url": f"{every}?flow={flow.pk}",
        }

    def _revisions(self, flow: Flow) -> list[dict[str, Any]]:
        rows = FlowRevision.objects.filter(flow=flow.pk).select_related("published_by")
        return [
            {
                "revision": row,
                "is_running": row.pk == flow.published_id,
                "url": self.url_of("revision", flow.pk, row.number),
                "phase": row.phase or 1,
            }
            for row in rows.defer("definition")
            .annotate(phase=F("definition__phase"))
            .order_by("-number")[:_MOST_REVISIONS]
        ]

    # --- the other pages ---

    def get_urls(self) -> list[URLPattern]:
        own: list[tuple[str, Any, str]] = [
            ("friendly-id/", require_GET(self.friendly_id_view), "friendly_id"),
            ("<path:object_id>/action/", require_POST(self.action_view), "action"),
            ("<path:object_id>/preview/", self.preview_view, "preview"),
            ("<path:object_id>/revisions/draft/", self.draft_changes_view, "draft_changes"),
            ("<path:object_id>/revisions/<int:number>/", self.revision_view, "revision"),
        ]
        wrap = self.admin_site.admin_view
        return [
            *(path(route, wrap(view), name=self.url_name(name)) for route, view, name in own),
            *super().get_urls(),
        ]

    def friendly_id_view(self, request: HttpRequest) -> HttpResponse:
        """Answer the id that this name would get now: what the page shows while it is typed."""
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        wanted = flows.friendly_id_from(request.GET.get("name", "")[:200], subtype=self.subtype)
        client = request.GET.get("client", "")
        seen = visible_clients(request.user)
        if client.isdecimal() and seen.filter(pk=int(client)).exists():
            wanted = flows.free_friendly_id(int(client), wanted)
        return JsonResponse({"friendlyId": wanted})

    def action_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Do what a button says."""
        flow = self.flow_of(request, object_id)
        if not self.has_publish_permission(request):
            raise PermissionDenied
        try:
            done = status.perform(
                request.POST.get("action", ""), flow, by=request.user, now=timezone.now()
            )
        except KeyError:
            raise Http404 from None
        except flows.FlowError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, flow, done)
            messages.success(request, done)
            self._warn_of_traffic(request, flow)
        return HttpResponseRedirect(self.url_of("change", flow.pk))

    def preview_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the draft to a guest that somebody chooses."""
        flow = self.flow_of(request, object_id)
        form = PreviewForm(request.POST if request.method == "POST" else None)
        result: preview.Preview | None = None
        if form.is_bound and form.is_valid():
            result = self._preview(request, flow, form)
        context = self.context_of(request, flow, _("Preview of the draft"))
        context |= {
            "form": form,
            "result": result,
            "variants": _shown_variants(result),
            "outputs": payloads.rows(result.decided.decision.outputs) if result else [],
        }
        return TemplateResponse(request, "personalize/admin/preview.html", context)

    def _preview(
        self, request: HttpRequest, flow: Flow, form: PreviewForm
    ) -> preview.Preview | None:
        values = form.cleaned_data
        client = clients.load(flow.client)
        guest = None
        if values["guest"].strip():
            user: Any = request.user
            if not (user.has_perm("tracking.view_guest") or user.has_perm("tracking.change_guest")):
                form.add_error("guest", _("You may preview for a new visitor only."))
                return None
            guest = visits.find_guest(client, values["guest"])
            if guest is None:
                form.add_error("guest", _("There is no such guest."))
                return None
        return preview.preview(
            flow,
            client,
            guest=guest,
            page=values["page"],
            channel=values["channel"],
            language=values["language"],
            params=values["params"],
            now=timezone.now(),
        )

    def revision_view(self, request: HttpRequest, object_id: str, number: int) -> HttpResponse:
        """Show what a revision changed."""
        flow = self.flow_of(request, object_id)
        rows = FlowRevision.objects.select_related("published_by")
        revision = rows.filter(flow=flow.pk, number=number).first()
        if revision is None:
            raise Http404
        before = history.previous_of(revision)
        context = self.context_of(request, flow, _("Revision %(n)d") % {"n": number})
        context |= {
            "revision": revision,
            "before": before,
            "changes": history.changes(before.definition if before else {}, revision.definition),
        }
        return TemplateResponse(request, "personalize/admin/revision.html", context)

    def draft_changes_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what publishing would change."""
        flow = self.flow_of(request, object_id)
        published = flow.published
        definition = published.definition if published else {}
        context = self.context_of(request, flow, _("Unpublished changes"))
        context |= {
            "before": published,
            "changes": history.changes(definition, flows.draft_of(flow)),
        }
        return TemplateResponse(request, "personalize/admin/revision.html", context)


@admin.register(Experience)
class ExperienceAdmin(FlowAdmin):
    """Flows with one variant."""

    subtype = Flow.Subtype.EXPERIENCE
    inlines = (ExperienceVariantInline, goals.GoalInline)

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer no weights by results: there is one variant."""
        if db_field.name == "traffic_mode":
            modes = Flow.TrafficMode
            kwargs["choices"] = [each for each in modes.choices if each[0] != modes.OPTIMIZED]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        by_ref = path(
            "by-ref/<uuid:ref>/",
            self.admin_site.admin_view(require_GET(self.by_ref_view)),
            name="personalize_flow_by_ref",
        )
        pickers = path(
            "condition-pickers/",
            self.admin_site.admin_view(require_GET(condition_pickers.view)),
            name=condition_pickers.URL_NAME,
        )
        return [by_ref, pickers, *super().get_urls()]

    def by_ref_view(self, request: HttpRequest, ref: UUID) -> HttpResponse:
        """Lead from an execution to the page of its flow, whichever kind it is of."""
        flow = Flow.objects.filter(ref=ref, client__in=visible_clients(request.user)).first()
        if flow is None:
            raise Http404
        kind = "experience" if flow.subtype == Flow.Subtype.EXPERIENCE else "experiment"
        name = f"admin:personalize_{kind}_change"
        return HttpResponseRedirect(reverse(name, args=[flow.pk], current_app=self.admin_site.name))


@admin.register(Experiment)
class ExperimentAdmin(FlowAdmin):
    """Flows whose variants compete."""

    subtype = Flow.Subtype.EXPERIMENT
    inlines = (ExperimentVariantInline, goals.GoalInline)

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Say what it takes to have the results set the weights."""
        if db_field.name == "traffic_mode":
            kwargs["help_text"] = _(
                "Optimized takes a goal, the first one: its results set the weights, each variant "
                "has 1 % at least, and everybody who qualifies is let in."
            )
        return super().formfield_for_choice_field(db_field, request, **kwargs)


def _shown_variants(result: preview.Preview | None) -> list[dict[str, Any]]:
    if result is None:
        return []
    return [
        {
            "report": report,
            "is_html": report.content_type == Variant.ContentType.HTML,
            "text": report.content
            if isinstance(report.content, str)
            else json.dumps(report.content, indent=2, ensure_ascii=False, default=_plain),
        }
        for report in result.variants
    ]


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
