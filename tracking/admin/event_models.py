"""
Event models in the admin, and beside them what was seen of each type of event.

Saving and deleting go through `tracking.event_models.editing`, as the command's imports do.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from tracking.admin import payloads, seen_page
from tracking.admin.event_model_forms import EventModelForm
from tracking.admin.scoping import ClientFilter, ClientScopedAdmin, ReadOnlyAdmin, visible_clients
from tracking.event_models import editing, seen
from tracking.event_models.fields import Field
from tracking.models import EventModel, SeenEvent, SeenProperty

_PROPOSE = "propose"


@admin.register(EventModel)
class EventModelAdmin(ClientScopedAdmin[EventModel]):
    """What events are meant to have."""

    form = EventModelForm
    list_display = ("event_type", "mode_pill", "fields_count", "client", "updated_at")
    list_filter = (ClientFilter, "mode")
    list_select_related = ("client",)
    list_per_page = 50
    ordering = ("event_type", "pk")
    search_fields = ("event_type",)
    change_form_template = "tracking/admin/event_model.html"
    fields = (("client", "event_type"), "mode", "description", "version")

    class Media:
        css = {"all": ["tracking/admin.css"]}
        js = ("tracking/event_model.js",)

    @admin.display(description=_("mode"), ordering="mode")
    def mode_pill(self, model: EventModel) -> SafeString:
        return payloads.pill(model.mode, model.get_mode_display())

    @admin.display(description=_("fields"))
    def fields_count(self, model: EventModel) -> int:
        return len(model.fields)

    def get_readonly_fields(self, request: HttpRequest, obj: EventModel | None = None) -> Any:
        # A model is its type's: another type gets another model.
        return ("client", "event_type") if obj else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        only = list(visible_clients(request.user)[:2])
        return ({"client": only[0].pk} if len(only) == 1 else {}) | initial

    def get_form(
        self,
        request: HttpRequest,
        obj: EventModel | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"proposed": self._proposed(request, obj)})

    def _proposed(self, request: HttpRequest, model: EventModel | None) -> tuple[Field, ...]:
        """Return what the page proposes, when it is asked to: nothing is stored by that."""
        if request.method != "GET" or _PROPOSE not in request.GET:
            return ()
        known = self._seen(request, model)
        return seen_page.proposal(known, model) if known else ()

    def _seen(self, request: HttpRequest, model: EventModel | None) -> SeenEvent | None:
        user: Any = request.user
        if not user.has_perm("tracking.view_seenevent"):
            return None
        client = str(model.client_id if model else request.GET.get("client", ""))
        event_type = model.event_type if model else request.GET.get("event_type", "")
        if not client.isdecimal() or not visible_clients(user).filter(pk=client).exists():
            return None
        return seen_page.seen_of(int(client), event_type)

    def save_model(self, request: HttpRequest, obj: EventModel, form: Any, change: bool) -> None:
        editing.save(obj)

    def delete_model(self, request: HttpRequest, obj: EventModel) -> None:
        editing.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[EventModel]) -> None:
        for model in queryset:
            editing.delete(model)

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        message = super().construct_change_message(request, form, formsets, add)
        if not add and form.rows.has_changed():
            message.append({"changed": {"fields": [str(_("fields"))]}})
        return message

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        seen.write()
        form = context["adminform"].form
        model: EventModel | None = context.get("original")
        known = self._seen(request, model)
        user: Any = request.user
        events = seen_page.newest(known) if known and user.has_perm("tracking.view_event") else []
        context |= {
            "rows": form.rows,
            "may_edit": model is None or self.has_change_permission(request, model),
            "proposed": len(form.proposed),
            "asked": _PROPOSE in request.GET,
            "known": known,
            "propose_url": f"?{urlencode({_PROPOSE: 1})}",
            "tried": len(events),
            "misfits": seen_page.misfits(model, events) if model else [],
        }
        return super().render_change_form(request, context, *args, **kwargs)


@admin.register(SeenEvent)
class SeenEventAdmin(ReadOnlyAdmin[SeenEvent]):
    """Which types of events came, and for each a page of the properties that they had."""

    list_display = ("event_type", "count", "properties_count", "model_pill", "client", "last_seen")
    list_filter = (ClientFilter,)
    list_select_related = ("client",)
    list_per_page = 50
    ordering = ("-last_seen", "pk")
    search_fields = ("event_type",)
    change_form_template = "tracking/admin/seen_event.html"

    class Media:
        css = {"all": ["tracking/admin.css"]}

    def has_delete_permission(self, request: HttpRequest, obj: SeenEvent | None = None) -> bool:
        """Let staff forget a type that was sent by mistake: what comes later is counted anew."""
        user: Any = request.user
        return bool(user.has_perm("tracking.delete_seenevent"))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # The counts of its properties go along, and are no rows that anybody knows by name.
        count = SeenProperty.objects.filter(event__in=[each.pk for each in objs]).count()
        counts = {self.opts.verbose_name_plural: len(objs)}
        counts[SeenProperty._meta.verbose_name_plural] = count
        return [str(each) for each in objs], counts, set(), []

    def get_queryset(self, request: HttpRequest) -> QuerySet[SeenEvent]:
        models = EventModel.objects.filter(
            client=OuterRef("client"), event_type=OuterRef("event_type")
        )
        rows: QuerySet[SeenEvent] = super().get_queryset(request)
        return rows.annotate(
            paths=Count("properties__path", distinct=True),
            mode=Subquery(models.values("mode")[:1]),
        )

    @admin.display(description=_("properties"))
    def properties_count(self, row: Any) -> int:
        return int(row.paths)

    @admin.display(description=_("model"))
    def model_pill(self, row: Any) -> SafeString | str:
        return payloads.pill(row.mode, EventModel.Mode(row.mode).label) if row.mode else "–"

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        seen.write()
        return super().changelist_view(request, extra_context)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        seen.write()
        return super().changeform_view(request, *args, **kwargs)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row: SeenEvent = context["original"]
        user: Any = request.user
        model = seen_page.model_of(row)
        may_read = user.has_perm("tracking.view_event")
        events = seen_page.newest(row) if may_read else []
        properties, unseen = seen_page.rows(row, model, events)
        context |= {
            "properties": properties,
            "unseen": unseen,
            "model": model,
            "pill": payloads.pill(model.mode, model.get_mode_display()) if model else "",
            "may_read": may_read,
            "model_url": self._model_url(request, row, model),
            "lacking": len(seen_page.proposal(row, model)) if model else 0,
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def _model_url(self, request: HttpRequest, row: SeenEvent, model: EventModel | None) -> str:
        """Return where a model is proposed or edited; empty where the user may do neither."""
        user: Any = request.user
        site = self.admin_site.name
        if model is not None:
            if not user.has_perm("tracking.view_eventmodel"):
                return ""
            return reverse("admin:tracking_eventmodel_change", args=[model.pk], current_app=site)
        if not user.has_perm("tracking.add_eventmodel"):
            return ""
        asked = {"client": row.client_id, "event_type": row.event_type, _PROPOSE: 1}
        return f"{reverse('admin:tracking_eventmodel_add', current_app=site)}?{urlencode(asked)}"
