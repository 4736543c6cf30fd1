"""
Exclusion groups and site holdouts in the admin.

Whatever changes one goes through `personalize.traffic`, as it does over REST.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from personalize import ranges, traffic
from personalize.admin import status
from personalize.models import ExclusionGroup, Flow, Holdout
from personalize.traffic import Taken
from tracking.admin import payloads
from tracking.admin.scoping import ClientFilter, ClientScopedAdmin, visible_clients

if TYPE_CHECKING:
    _GroupModelForm = forms.ModelForm[ExclusionGroup]
    _HoldoutModelForm = forms.ModelForm[Holdout]
    _Page = ClientScopedAdmin[Any]
else:
    _GroupModelForm = _HoldoutModelForm = forms.ModelForm
    _Page = ClientScopedAdmin


class _CheckedForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose rules are the domain's: here they become errors of the page."""

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        client = values.get("client") or (self.instance.client if self.instance.pk else None)
        if client is not None and not self.errors:
            given = {name: values[name] for name in self.fields if name in values}
            try:
                self.check(
                    type(self.instance)(**{"pk": self.instance.pk, **given, "client": client})
                )
            except traffic.TrafficError as error:
                self.add_error(None, str(error))
        return values

    def check(self, row: Any) -> None:
        raise NotImplementedError

    def validate_constraints(self) -> None:
        """Leave it to the domain, which says more."""


class ExclusionGroupForm(_CheckedForm):
    class Meta:
        model = ExclusionGroup
        fields = ("name", "client")

    def check(self, row: ExclusionGroup) -> None:
        traffic.check_group(row)


class HoldoutForm(_CheckedForm):
    class Meta:
        model = Holdout
        fields = ("name", "client", "percent", "is_active")

    def check(self, row: Holdout) -> None:
        traffic.check_holdout(row)


class _TrafficAdmin(_Page):
    """What the two pages have in common."""

    list_filter = (ClientFilter,)
    list_select_related = ("client",)
    ordering = ("name", "pk")
    search_fields = ("name",)
    # One by one: each may be refused for a reason of its own.
    actions = None

    class Media:
        css = {"all": ["tracking/admin.css", "personalize/admin.css"]}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("client",) if obj is not None else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        only = list(visible_clients(request.user).values_list("pk", flat=True)[:2])
        return ({"client": only[0]} if len(only) == 1 else {}) | initial

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except traffic.TrafficError as error:
            # The form had checked it; somebody else was faster. Nothing was saved.
            messages.error(request, str(error))
            return HttpResponseRedirect(request.get_full_path())

    def delete_view(self, request: HttpRequest, object_id: str, *args: Any) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, *args)
        except traffic.TrafficError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(request.path.replace("/delete/", "/change/"))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the rows alone: flows that name them are in the way, or keep their history."""
        lacking = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return [str(each) for each in objs], {self.opts.verbose_name_plural: len(objs)}, lacking, []


@admin.register(ExclusionGroup)
class ExclusionGroupAdmin(_TrafficAdmin):
    """Groups of flows that share no guest; the page of one shows who has which part."""

    form = ExclusionGroupForm
    list_display = ("name", "flows_count", "client")
    change_form_template = "personalize/admin/exclusion_group.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        named = Flow.objects.kept().filter(exclusion_group=OuterRef("pk"))
        counted = named.order_by().values("exclusion_group").annotate(n=Count("pk")).values("n")
        count = Coalesce(Subquery(counted, output_field=IntegerField()), 0)
        rows: QuerySet[Any] = super().get_queryset(request).annotate(flows_count=count)
        return rows

    @admin.display(description=_("experiences and experiments"), ordering="flows_count")
    def flows_count(self, group: Any) -> int:
        return int(group.flows_count)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        traffic.save_group(obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        traffic.delete_group(obj)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        group: ExclusionGroup | None = context.get("original")
        if group is not None:
            now = timezone.now()
            taken = traffic.parts_of(group, now=now)
            running = [each.part for each in taken if each.is_running]
            context["parts"] = [self._shown(each, at) for at, each in enumerate(taken)]
            context["free"] = ranges.words(ranges.free(running))
            context["height"], context["pixels"] = 8 * len(taken) - 3, 26 * len(taken)
        return super().render_change_form(request, context, *args, **kwargs)

    def _shown(self, taken: Taken, at: int) -> dict[str, Any]:
        """Return a part as the template shows it; numbers of a drawing have a point everywhere."""
        flow, part = taken.flow, taken.part
        kind = "experience" if flow.subtype == Flow.Subtype.EXPERIENCE else "experiment"
        name = f"admin:personalize_{kind}_change"
        return {
            "flow": flow,
            "url": reverse(name, args=[flow.pk], current_app=self.admin_site.name),
            "pill": payloads.pill(*status.shown_status(flow, timezone.now())),
            "range": f"{part.low:g}–{part.high:g} %",
            "is_running": taken.is_running,
            "x": f"{part.low:.3f}",
            "y": str(8 * at),
            "width": f"{part.high - part.low:.3f}",
        }


@admin.register(Holdout)
class HoldoutAdmin(_TrafficAdmin):
    """Who is shown nothing at all."""

    form = HoldoutForm
    list_display = ("name", "share", "state", "client")
    change_form_template = "personalize/admin/holdout.html"

    @admin.display(description=_("share of all guests"), ordering="percent")
    def share(self, holdout: Holdout) -> str:
        return f"{holdout.percent:g} %"

    @admin.display(description=_("state"), ordering="is_active")
    def state(self, holdout: Holdout) -> SafeString:
        if holdout.is_active:
            return payloads.pill("live", gettext("Active"))
        return payloads.pill("draft", gettext("Not active"))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        traffic.save_holdout(obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        traffic.delete_holdout(obj)
