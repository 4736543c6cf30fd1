"""
The pages beside a segment's form: how many would be in it, who is, files in and out.

`SegmentAdmin` has them; what changes a list goes through `segments.lists`, as it does over REST.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from personalize import (
    segments,
)
from personalize.admin import segment_members, segment_words
from personalize.admin.segment_forms import LIMITS, UploadForm, posted_condition
from personalize.models import Segment
from personalize.segments.files import FileRefused
from personalize.segments.lists import Changed, Mode
from tracking import clients
from tracking.admin.scoping import ClientScopedAdmin, visible_clients
from tracking.models import Client


class SegmentPages(ClientScopedAdmin[Segment]):
    """A segment's pages, each with its permission."""

    def has_export_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("personalize.export_segment"))

    def may_see_guests(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("tracking.view_guest") or user.has_perm("tracking.change_guest"))

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

    def url_of(self, name: str, *args: Any) -> str:
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
        found = segments.estimates.estimate(clients.load(client), tree, now=timezone.now())
        return JsonResponse({"text": segment_words.estimate(found)})

    def _posted_client(self, request: HttpRequest) -> Client | None:
        given = request.POST.get("client", "")
        rows = visible_clients(request.user)
        return rows.filter(pk=int(given)).first() if given.isdecimal() else None

    def standing_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say how many guests are in it now: what the page asks while it is being built."""
        segment = self._segment(request, object_id)
        standing = segments.standings.standing(segment, now=timezone.now())
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
        if not self.may_see_guests(request):
            raise PermissionDenied
        standing = segments.standings.standing(segment, now=timezone.now())
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
            segments.exports.rows(segment, for_spreadsheets=True),
            content_type=segments.exports.CONTENT_TYPE,
        )
        name = segments.exports.file_name(segment)
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
        context["columns"] = segments.files.columns(clients.load(segment.client).rules)
        if done is not None:
            context["done_in_words"] = segment_words.changed(done)
        return TemplateResponse(request, "personalize/admin/segment_upload.html", context)

    def _upload(self, request: HttpRequest, segment: Segment, form: UploadForm) -> Changed | None:
        try:
            done = segments.lists.import_file(
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
            "changelist_url": self.url_of("changelist"),
            "change_url": self.url_of("change", segment.pk),
        }
