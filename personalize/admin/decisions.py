"""
Decision models in the admin: the draft as a table, everything else by buttons.

Whatever changes one goes through `personalize.decision_models`, as it does over REST.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from personalize import decision_models, trying
from personalize.admin import decision_panels, decision_try, decision_words
from personalize.admin.decision_forms import DecisionModelForm
from personalize.models import DecisionModel, DecisionRevision, Flow
from tracking.admin import payloads
from tracking.admin.scoping import ClientFilter, ClientScopedAdmin, visible_clients

_MOST_REVISIONS = 20


@admin.register(DecisionModel)
class DecisionModelAdmin(ClientScopedAdmin[DecisionModel]):
    """Tables and callables that decide for flows."""

    form = DecisionModelForm
    list_display = ("name", "state_pill", "friendly_id", "client", "revision", "modified_at")
    list_filter = (ClientFilter,)
    list_select_related = ("client", "published")
    list_per_page = 50
    ordering = ("name", "pk")
    search_fields = ("name", "friendly_id")
    change_form_template = "personalize/admin/decision_model.html"
    # One by one: each may be refused for a reason of its own.
    actions = None

    class Media:
        css = {"all": ["tracking/admin.css", "personalize/admin.css"]}
        js = ["personalize/flow.js"]

    # --- the list ---

    @admin.display(description=_("state"))
    def state_pill(self, model: DecisionModel) -> SafeString:
        return payloads.pill(*decision_panels.shown_state(model))

    @admin.display(description=_("revision"))
    def revision(self, model: DecisionModel) -> str:
        return str(model.published.number) if model.published else "–"

    def get_queryset(self, request: HttpRequest) -> QuerySet[DecisionModel]:
        rows: QuerySet[DecisionModel] = super().get_queryset(request)
        return rows.filter(deleted_at__isnull=True).select_related("client", "published")

    # --- who may what ---

    def has_publish_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("personalize.publish_decisionmodel"))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Who decides what runs has to see it.
        return super().has_view_permission(request, obj) or self.has_publish_permission(request)

    # --- the form ---

    def get_form(
        self,
        request: HttpRequest,
        obj: DecisionModel | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        only = list(visible_clients(request.user).values_list("pk", flat=True)[:2])
        own = {
            "as_json": "json" in request.GET,
            "only_client": only[0] if len(only) == 1 else None,
        }
        return type(form.__name__, (form,), own)

    def get_fieldsets(self, request: HttpRequest, obj: DecisionModel | None = None) -> Any:
        may_edit = (
            self.has_change_permission(request, obj)
            if obj is not None
            else self.has_add_permission(request)
        )
        return (
            (None, {"fields": ("name", "friendly_id", "client", "description")}),
            (
                _("How it decides"),
                {
                    "fields": ("draft" if may_edit else "draft_in_words",),
                    "classes": ("pz-decides",),
                },
            ),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: DecisionModel | None = None) -> Any:
        fixed = ["draft_in_words"]
        if obj is not None:
            fixed += ["client"] + (["friendly_id"] if obj.published_id is not None else [])
        return tuple(fixed)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        only = list(visible_clients(request.user).values_list("pk", flat=True)[:2])
        return ({"client": only[0]} if len(only) == 1 else {}) | initial

    @admin.display(description=_("decision"))
    def draft_in_words(self, model: DecisionModel) -> str:
        return decision_words.lines(model.draft, decision_panels.offer_names(model))

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except decision_models.DecisionError as error:
            # The form had checked it; somebody else was faster. Nothing was saved.
            messages.error(request, str(error))
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        decision_models.save(obj, by=request.user)  # type: ignore[arg-type]

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except decision_models.DecisionError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(self._url("change", object_id))

    def delete_model(self, request: HttpRequest, obj: DecisionModel) -> None:
        decision_models.delete(obj, now=timezone.now())

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        return [str(each) for each in objs], {self.opts.verbose_name_plural: len(objs)}, set(), []

    # --- the page around the form ---

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        model: DecisionModel | None = context.get("original")
        if model is not None:
            context |= self._state(request, model) | decision_panels.checks(model)
            context["revisions"] = self._revisions(request, model)
            context["users"] = [
                {"flow": flow, "url": self._flow_url(flow), "failed": failed}
                for flow, failed in decision_panels.users(model)
            ]
        return super().render_change_form(request, context, *args, **kwargs)

    def _state(self, request: HttpRequest, model: DecisionModel) -> dict[str, Any]:
        return {
            "pill": payloads.pill(*decision_panels.shown_state(model)),
            "published": model.published,
            "has_changes": decision_panels.has_changes(model),
            "may_publish": self.has_publish_permission(request)
            and decision_panels.has_changes(model),
            "is_json": "json" in request.GET,
            "publish_url": self._url("publish", model.pk),
            "try_url": self._url("try", model.pk),
            "draft_changes_url": self._url("draft_changes", model.pk),
        }

    def _revisions(self, request: HttpRequest, model: DecisionModel) -> list[dict[str, Any]]:
        rows = DecisionRevision.objects.filter(model=model.pk).select_related("published_by")
        return [
            {
                "revision": row,
                "is_running": row.pk == model.published_id,
                "url": self._url("revision", model.pk, row.number),
            }
            for row in rows.defer("document").order_by("-number")[:_MOST_REVISIONS]
        ]

    def _flow_url(self, flow: Flow) -> str:
        kind = "experience" if flow.subtype == Flow.Subtype.EXPERIENCE else "experiment"
        site = self.admin_site.name
        return reverse(f"admin:personalize_{kind}_change", args=[flow.pk], current_app=site)

    # --- the other pages ---

    def get_urls(self) -> list[URLPattern]:
        own: list[tuple[str, Any, str]] = [
            ("<path:object_id>/publish/", require_POST(self.publish_view), "publish"),
            ("<path:object_id>/try/", self.try_view, "try"),
            ("<path:object_id>/revisions/draft/", self.draft_changes_view, "draft_changes"),
            ("<path:object_id>/revisions/<int:number>/", self.revision_view, "revision"),
            (
                "<path:object_id>/revisions/<int:number>/restore/",
                require_POST(self.restore_view),
                "restore",
            ),
        ]
        wrap = self.admin_site.admin_view
        return [
            *(
                path(route, wrap(view), name=f"personalize_decisionmodel_{name}")
                for route, view, name in own
            ),
            *super().get_urls(),
        ]

    def _url(self, name: str, *args: Any) -> str:
        site = self.admin_site.name
        return reverse(f"admin:personalize_decisionmodel_{name}", args=args, current_app=site)

    def publish_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let the draft decide."""
        model = self._model(request, object_id)
        if not self.has_publish_permission(request):
            raise PermissionDenied
        try:
            revision = decision_models.publish(model, by=request.user, now=timezone.now())  # type: ignore[arg-type]
        except decision_models.DecisionError as error:
            messages.error(request, str(error))
        else:
            done = gettext("Published as revision %(number)d.") % {"number": revision.number}
            self.log_change(request, model, done)
            messages.success(request, done)
        return HttpResponseRedirect(self._url("change", model.pk))

    def restore_view(self, request: HttpRequest, object_id: str, number: int) -> HttpResponse:
        """Make a revision the draft again."""
        model = self._model(request, object_id)
        if not self.has_change_permission(request, model):
            raise PermissionDenied
        revision = self._revision(model, number)
        try:
            decision_models.restore(model, revision, by=request.user)  # type: ignore[arg-type]
        except decision_models.DecisionError as error:
            messages.error(request, str(error))
        else:
            done = gettext("The draft is revision %(number)d again.") % {"number": number}
            self.log_change(request, model, done)
            messages.success(request, done)
        return HttpResponseRedirect(self._url("change", model.pk))

    def revision_view(self, request: HttpRequest, object_id: str, number: int) -> HttpResponse:
        """Show what a revision changed."""
        model = self._model(request, object_id)
        revision = self._revision(model, number)
        earlier = DecisionRevision.objects.filter(model=model.pk, number__lt=number)
        before = earlier.order_by("-number").first()
        context = self._context(request, model, _("Revision %(n)d") % {"n": number})
        context |= {
            "revision": revision,
            "before": before,
            "changes": decision_panels.changes(
                model, before.document if before else None, revision.document
            ),
        }
        if self.has_change_permission(request, model) and model.draft != revision.document:
            context["restore_url"] = self._url("restore", model.pk, number)
        return TemplateResponse(request, "personalize/admin/decision_revision.html", context)

    def draft_changes_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what publishing would change."""
        model = self._model(request, object_id)
        published = model.published
        context = self._context(request, model, _("Unpublished changes"))
        context |= {
            "before": published,
            "changes": decision_panels.changes(
                model, published.document if published else None, model.draft
            ),
        }
        return TemplateResponse(request, "personalize/admin/decision_revision.html", context)

    def try_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask the draft about facts, or about a guest."""
        model = self._model(request, object_id)
        form = decision_try.TryForm(request.POST if request.method == "POST" else None)
        trial: trying.Trial | None = None
        if form.is_bound and form.is_valid():
            trial = decision_try.ask(model, form, user=request.user)
        context = self._context(request, model, _("Try the draft"))
        context |= {"form": form, "trial": trial}
        if trial is not None:
            context["outputs"] = payloads.rows(trial.decided.outputs)
        return TemplateResponse(request, "personalize/admin/decision_try.html", context)

    def _model(self, request: HttpRequest, object_id: str) -> DecisionModel:
        model: DecisionModel | None = self.get_object(request, unquote(object_id))
        if model is None:
            raise Http404
        if not self.has_view_permission(request, model):
            raise PermissionDenied
        return model

    def _revision(self, model: DecisionModel, number: int) -> DecisionRevision:
        rows = DecisionRevision.objects.select_related("published_by")
        revision = rows.filter(model=model.pk, number=number).first()
        if revision is None:
            raise Http404
        return revision

    def _context(self, request: HttpRequest, model: DecisionModel, title: Any) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "subtitle": str(model),
            "original": model,
            "media": self.media,
            "changelist_url": self._url("changelist"),
            "change_url": self._url("change", model.pk),
        }
