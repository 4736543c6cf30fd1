"""
Segments in the admin: the list of them, and the form of a condition or a list.

Whatever changes one goes through `personalize.segments`, as it does over REST.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from personalize import segments
from personalize.admin import history, segment_words
from personalize.admin.segment_forms import SegmentForm
from personalize.admin.segment_pages import SegmentPages
from personalize.models import Segment
from tracking.admin import payloads
from tracking.admin.scoping import ClientFilter, visible_clients


@admin.register(Segment)
class SegmentAdmin(SegmentPages):
    """Saved audiences, and lists."""

    form = SegmentForm
    list_display = ("name", "state_pill", "members", "as_of", "used_by", "client")
    list_filter = (ClientFilter, "kind")
    list_select_related = ("client",)
    list_per_page = 50
    ordering = ("name", "pk")
    search_fields = ("name", "friendly_id")
    change_list_template = "personalize/admin/segments.html"
    change_form_template = "personalize/admin/segment.html"
    # One by one: each may be refused for a reason of its own.
    actions = None

    class Media:
        css = {"all": ["tracking/admin.css", "personalize/admin.css"]}
        js = ["personalize/segment.js"]

    # --- the list ---

    def get_list_display(self, request: HttpRequest) -> Any:
        has_several = visible_clients(request.user).count() > 1
        return self.list_display if has_several else self.list_display[:-1]

    @admin.display(description=_("state"))
    def state_pill(self, segment: Any) -> SafeString:
        return payloads.pill(*segment_words.state(segment, segment.standing))

    @admin.display(description=_("guests"))
    def members(self, segment: Any) -> str:
        return segment_words.number(segment.standing.members)

    @admin.display(description=_("as of"))
    def as_of(self, segment: Any) -> Any:
        return segment.standing.as_of

    @admin.display(description=_("used by"))
    def used_by(self, segment: Any) -> str:
        return segment_words.users(segment.users)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Segment]:
        rows: QuerySet[Segment] = super().get_queryset(request)
        return rows.filter(deleted_at__isnull=True).select_related("client")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Count the guests of the page's segments, and find who uses them, all at once."""
        changelist: Any = super().get_changelist_instance(request)
        shown: list[Any] = list(changelist.result_list)
        standings = segments.standings.standings(shown, now=timezone.now())
        users = segments.uses.users_in({segment.client_id for segment in shown})
        for segment in shown:
            segment.standing = standings[segment.pk]
            segment.users = users.get((segment.client_id, segment.friendly_id), [])
        changelist.result_list = shown
        return changelist

    # --- the form ---

    def get_form(
        self, request: HttpRequest, obj: Segment | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"kind_of_new": self._kind(request, obj)})

    def _kind(self, request: HttpRequest, segment: Segment | None) -> str:
        if segment is not None:
            return segment.kind
        is_list = request.GET.get("kind") == Segment.Kind.LIST
        return Segment.Kind.LIST if is_list else Segment.Kind.LIVE

    def get_fieldsets(self, request: HttpRequest, obj: Segment | None = None) -> Any:
        about = (None, {"fields": ("name", "friendly_id", "client", "description")})
        if self._kind(request, obj) == Segment.Kind.LIST:
            return (about,)
        may_edit = (
            self.has_change_permission(request, obj)
            if obj is not None
            else self.has_add_permission(request)
        )
        field = "condition" if may_edit else "condition_in_words"
        return (about, (_("Who is in it"), {"fields": (field,), "classes": ("pz-targeting",)}))

    def get_readonly_fields(self, request: HttpRequest, obj: Segment | None = None) -> Any:
        return ("condition_in_words", *(("client", "friendly_id") if obj is not None else ()))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        only = list(visible_clients(request.user).values_list("pk", flat=True)[:2])
        return ({"client": only[0]} if len(only) == 1 else {}) | initial

    @admin.display(description=_("guests for whom this holds"))
    def condition_in_words(self, segment: Segment) -> str:
        return history.sentence(segment.condition)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except segments.SegmentError as error:
            # The form had checked it; somebody else was faster. Nothing was saved.
            messages.error(request, str(error))
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Segment, form: Any, change: bool) -> None:
        segments.save(obj, by=request.user)  # type: ignore[arg-type]

    def response_add(
        self, request: HttpRequest, obj: Segment, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Lead from a new list to the page that fills it."""
        response: HttpResponse = super().response_add(request, obj, post_url_continue)
        goes_on = {"_continue", "_addanother", "_popup"} & set(request.POST)
        if obj.kind == Segment.Kind.LIST and not goes_on:
            return HttpResponseRedirect(self.url_of("upload", obj.pk))
        return response

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except segments.SegmentError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(self.url_of("change", object_id))

    def delete_model(self, request: HttpRequest, obj: Segment) -> None:
        segments.delete(obj, now=timezone.now())

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        return [str(each) for each in objs], {self.opts.verbose_name_plural: len(objs)}, set(), []

    # --- the page around the form ---

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        segment: Segment | None = context.get("original")
        is_list = self._kind(request, segment) == Segment.Kind.LIST
        context["is_list"] = is_list
        if segment is not None:
            context |= self._state(request, segment)
        elif is_list:
            context["title"] = _("Add list")
        if not is_list and (segment is None or self.has_change_permission(request, segment)):
            context["estimate_url"] = self.url_of("estimate", *([segment.pk] if segment else []))
        return super().render_change_form(request, context, *args, **kwargs)

    def _state(self, request: HttpRequest, segment: Segment) -> dict[str, Any]:
        standing = segments.standings.standing(segment, now=timezone.now())
        may_change = self.has_change_permission(request, segment)
        return {
            "pill": payloads.pill(*segment_words.state(segment, standing)),
            "members_in_words": segment_words.members(standing),
            "building_in_words": segment_words.building(standing),
            "standing_url": self.url_of("standing", segment.pk),
            "users": segments.uses.users_of(segment),
            "members_url": self.url_of("members", segment.pk)
            if self.may_see_guests(request)
            else "",
            "export_url": self.url_of("export", segment.pk)
            if self.has_export_permission(request)
            else "",
            "upload_url": self.url_of("upload", segment.pk)
            if segment.kind == Segment.Kind.LIST and may_change
            else "",
        }
