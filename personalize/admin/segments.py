"""
Segments in the admin: conditions and lists, who is in them, files in and out.

Whatever changes one goes through `personalize.segments` and `segment_lists`, as it does over REST.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from personalize import (
    segment_estimates,
    segment_exports,
    segment_files,
    segment_lists,
    segment_standings,
    segment_uses,
    segments,
)
from personalize.admin import history, segment_members, segment_words
from personalize.admin.segment_forms import LIMITS, SegmentForm, UploadForm, posted_condition
from personalize.models import Segment
from personalize.segment_files import FileRefused
from personalize.segment_lists import Changed, Mode
from tracking import clients
from tracking.admin import payloads
from tracking.admin.scoping import ClientFilter, ClientScopedAdmin, visible_clients
from tracking.models import Client


@admin.register(Segment)
class SegmentAdmin(ClientScopedAdmin[Segment]):
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
        standings = segment_standings.standings(shown, now=timezone.now())
        users = segment_uses.users_in({segment.client_id for segment in shown})
        for segment in shown:
            segment.standing = standings[segment.pk]
            segment.users = users.get((segment.client_id, segment.friendly_id), [])
        changelist.result_list = shown
        return changelist

    # --- who may what ---

    def has_export_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("personalize.export_segment"))

    def _may_see_guests(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("tracking.view_guest") or user.has_perm("tracking.change_guest"))

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
            return HttpResponseRedirect(self._url("upload", obj.pk))
        return response

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except segments.SegmentError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(self._url("change", object_id))

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
            context["estimate_url"] = self._url("estimate", *([segment.pk] if segment else []))
        return super().render_change_form(request, context, *args, **kwargs)

    def _state(self, request: HttpRequest, segment: Segment) -> dict[str, Any]:
        standing = segment_standings.standing(segment, now=timezone.now())
        may_change = self.has_change_permission(request, segment)
        return {
            "pill": payloads.pill(*segment_words.state(segment, standing)),
            "members_in_words": segment_words.members(standing),
            "building_in_words": segment_words.building(standing),
            "standing_url": self._url("standing", segment.pk),
            "users": segment_uses.users_of(segment),
            "members_url": self._url("members", segment.pk)
            if self._may_see_guests(request)
            else "",
            "export_url": self._url("export", segment.pk)
            if self.has_export_permission(request)
            else "",
            "upload_url": self._url("upload", segment.pk)
            if segment.kind == Segment.Kind.LIST and may_change
            else "",
        }

    # --- the other pages ---

    def get_urls(self) -> list[URLPattern]:
        own: list[tuple[str, Any, str]] = [
            ("estimate/", require_POST(self.estimate_view), "estimate"),
            ("<path:object_id>/estimate/", require_POST(self.estimate_view), "estimate"),
            ("<path:object_id>/standing/", require_GET(self.standing_view), "standing"),
            ("<path:object_id>/members/", require_GET(self.members_view), "members"),
            ("<path:object_id>/export/", require_POST(self.export_view), "export"),
            ("<path:object_id>/upload/", self.upload_view, "upload"),
        ]
        wrap = self.admin_site.admin_view
        return [
            *(
                path(route, wrap(view), name=f"personalize_segment_{name}")
                for route, view, name in own
            ),
            *super().get_urls(),
        ]

    def _url(self, name: str, *args: Any) -> str:
        site = self.admin_site.name
        return reverse(f"admin:personalize_segment_{name}", args=args, current_app=site)

    def estimate_view(self, request: HttpRequest, object_id: str | None = None) -> HttpResponse:
        """Say how many guests the condition on the page would have, without saving it."""
        segment = Segment() if object_id is None else self._segment(request, object_id)
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        client = segment.client if object_id else self._posted_client(request)
        if client is None:
            return JsonResponse({"problems": [gettext("Choose a client first.")]})
        try:
            tree = posted_condition(segment, request.POST)
        except ValidationError as error:
            return JsonResponse({"problems": error.messages})
        problems = segments.problems_of(client.pk, tree)
        if problems:
            return JsonResponse({"problems": problems})
        found = segment_estimates.estimate(clients.load(client), tree, now=timezone.now())
        return JsonResponse({"text": segment_words.estimate(found)})

    def _posted_client(self, request: HttpRequest) -> Client | None:
        given = request.POST.get("client", "")
        rows = visible_clients(request.user)
        return rows.filter(pk=int(given)).first() if given.isdecimal() else None

    def standing_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say how many guests are in it now: what the page asks while it is being built."""
        segment = self._segment(request, object_id)
        standing = segment_standings.standing(segment, now=timezone.now())
        return JsonResponse(
            {
                "members": segment_words.members(standing),
                "building": segment_words.building(standing),
                "state": segment_words.state(segment, standing)[1],
            }
        )

    def members_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show who is in it, those first who entered last."""
        segment = self._segment(request, object_id)
        if not self._may_see_guests(request):
            raise PermissionDenied
        standing = segment_standings.standing(segment, now=timezone.now())
        context = self._context(request, segment, _("Guests of the segment"))
        context |= segment_members.context_of(
            segment,
            email=request.GET.get("q", ""),
            before=request.GET.get("before", ""),
            site_name=self.admin_site.name,
        )
        context |= {
            "members_in_words": segment_words.members(standing),
            "building_in_words": segment_words.building(standing),
        }
        return TemplateResponse(request, "personalize/admin/segment_members.html", context)

    def export_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Download who is in it, as CSV."""
        segment = self._segment(request, object_id)
        if not self.has_export_permission(request):
            raise PermissionDenied
        self.log_change(request, segment, "Exported its guests.")
        response = StreamingHttpResponse(
            segment_exports.rows(segment, for_spreadsheets=True),
            content_type=segment_exports.CONTENT_TYPE,
        )
        name = segment_exports.file_name(segment)
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "no-store"
        return response

    def upload_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Change a list by a file."""
        segment = self._segment(request, object_id)
        if not self.has_change_permission(request, segment):
            raise PermissionDenied
        if segment.kind != Segment.Kind.LIST:
            raise Http404
        form = UploadForm(*((request.POST, request.FILES) if request.method == "POST" else ()))
        done: Changed | None = None
        if form.is_bound and form.is_valid():
            done = self._upload(request, segment, form)
        context = self._context(request, segment, _("Fill the list from a file"))
        context |= {"form": form, "done": done, **LIMITS}
        context["columns"] = segment_files.columns(clients.load(segment.client).rules)
        if done is not None:
            context["done_in_words"] = segment_words.changed(done)
        return TemplateResponse(request, "personalize/admin/segment_upload.html", context)

    def _upload(self, request: HttpRequest, segment: Segment, form: UploadForm) -> Changed | None:
        try:
            done = segment_lists.import_file(
                segment,
                form.cleaned_data["file"].file,
                clients.load(segment.client),
                mode=Mode(form.cleaned_data["mode"]),
                now=timezone.now(),
            )
        except FileRefused as error:
            form.add_error("file", [*error.flaws, gettext("Nothing was changed.")])
        except segments.SegmentError as error:
            form.add_error(None, str(error))
        else:
            self.log_change(request, segment, segment_words.changed(done))
            return done
        return None

    def _segment(self, request: HttpRequest, object_id: str) -> Segment:
        segment: Segment | None = self.get_object(request, unquote(object_id))
        if segment is None:
            raise Http404
        if not self.has_view_permission(request, segment):
            raise PermissionDenied
        return segment

    def _context(self, request: HttpRequest, segment: Segment, title: Any) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "subtitle": str(segment),
            "original": segment,
            "media": self.media,
            "changelist_url": self._url("changelist"),
            "change_url": self._url("change", segment.pk),
        }
