"""
Guests in the admin: who they are and what they did.

What can be done, each with a permission of its own: undo a merge, export all
that is kept of a person, and erase it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from tracking import merging, privacy
from tracking.admin import guest_page, panels, payloads
from tracking.admin.big_tables import CappedPaginator
from tracking.admin.scoping import ClientFilter, ReadOnlyAdmin
from tracking.models import Guest, Identifier, MergeRecord

# More at once would be done by mistake, and not within a request's time.
_MOST_ERASED = 100


@admin.register(Guest)
class GuestAdmin(ReadOnlyAdmin[Guest]):
    """A list of people, and a page with each one's timeline."""

    list_display = ("who", "type_pill", "email", "last_seen", "client")
    list_filter = (ClientFilter, "type")
    list_select_related = ("client",)
    list_per_page = 50
    ordering = ("-pk",)
    search_fields = ("ref",)
    search_help_text = _("A ref, an e-mail, a name, or the value of an identifier")
    paginator = CappedPaginator
    show_full_result_count = False
    change_list_template = "tracking/admin/change_list.html"
    change_form_template = "tracking/admin/guest.html"

    actions = ("erase_selected",)

    class Media:
        css = {"all": ["tracking/admin.css"]}

    @admin.display(description=_("guest"), ordering="first_name")
    def who(self, guest: Guest) -> str:
        return str(guest)

    @admin.display(description=_("type"), ordering="type")
    def type_pill(self, guest: Guest) -> SafeString:
        return payloads.pill(guest.type, guest.get_type_display())

    def has_undo_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("tracking.unmerge_guest"))

    def has_export_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("tracking.export_guest"))

    def has_erase_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("tracking.erase_guest"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Guest]:
        return super().get_queryset(request).select_related("client", "root")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Guest], search_term: str
    ) -> tuple[QuerySet[Guest], bool]:
        """Find by ref, e-mail, exact identifier, or words of the name."""
        term = search_term.strip()
        if not term:
            return queryset, False
        named = Identifier.objects.filter(value__in=[term, term.lower()])
        wanted = Q(pk__in=named.values("guest"))
        if ref := payloads.uuid(term):
            wanted |= Q(ref=ref)
        else:
            wanted |= Q(lower_email=term.lower())
            wanted |= _has_words(term)
        return queryset.alias(lower_email=Lower("email")).filter(wanted), False

    def get_urls(self) -> list[URLPattern]:
        undo = path(
            "<path:object_id>/merges/<int:merge_id>/undo/",
            self.admin_site.admin_view(require_POST(self.undo_view)),
            name="tracking_guest_undo_merge",
        )
        export = path(
            "<path:object_id>/export/",
            self.admin_site.admin_view(self.export_view),
            name="tracking_guest_export",
        )
        erase = path(
            "erase/", self.admin_site.admin_view(self.erase_view), name="tracking_guest_erase"
        )
        return [undo, export, erase, *super().get_urls()]

    def export_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Download all that is kept of the person, as JSON."""
        guest = self.get_object(request, unquote(object_id))
        if guest is None:
            raise Http404
        if not (self.has_view_permission(request, guest) and self.has_export_permission(request)):
            raise PermissionDenied
        self.log_change(request, guest, "Exported all that is kept.")
        response = StreamingHttpResponse(
            privacy.export(privacy.subject_of(guest)), content_type="application/json"
        )
        response["Content-Disposition"] = f'attachment; filename="guest-{guest.ref}.json"'
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "no-store"
        return response

    @admin.action(description=_("Erase the selected guests for good"), permissions=["erase"])
    def erase_selected(self, request: HttpRequest, queryset: QuerySet[Guest]) -> HttpResponse:
        """Ask first: the page of the question does it."""
        pks = queryset.values_list("pk", flat=True)[:_MOST_ERASED]
        return HttpResponseRedirect(f"{self._erase_url()}?{urlencode({'id': list(pks)}, True)}")

    def erase_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whether these people are to be erased, and do it."""
        if not (self.has_view_permission(request) and self.has_erase_permission(request)):
            raise PermissionDenied
        given = (request.POST if request.method == "POST" else request.GET).getlist("id")
        pks = [int(pk) for pk in given[:_MOST_ERASED] if pk.isdecimal() and len(pk) < 19]
        guests = list(self.get_queryset(request).filter(pk__in=pks))
        if not guests:
            raise Http404
        if request.method == "POST":
            return self._erase(request, guests)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Erase for good?"),
            "opts": self.opts,
            "guests": guests,
            "media": self.media,
        }
        return TemplateResponse(request, "tracking/admin/erase_guests.html", context)

    def _erase(self, request: HttpRequest, guests: list[Guest]) -> HttpResponse:
        for guest in guests:
            subject = privacy.subject_of(guest)
            # Logged first: the erasing takes the name out of what the log says of it.
            self.log_deletions(request, self.get_queryset(request).filter(pk=guest.pk))
            privacy.erase(subject, until=timezone.now())
        text = ngettext(
            "%(count)d guest was erased, with all that was kept.",
            "%(count)d guests were erased, with all that was kept.",
            len(guests),
        )
        messages.success(request, text % {"count": len(guests)})
        name = "admin:tracking_guest_changelist"
        return HttpResponseRedirect(reverse(name, current_app=self.admin_site.name))

    def _erase_url(self) -> str:
        return reverse("admin:tracking_guest_erase", current_app=self.admin_site.name)

    def undo_view(self, request: HttpRequest, object_id: str, merge_id: int) -> HttpResponse:
        """Take one merge of the guest back."""
        guest = self.get_object(request, unquote(object_id))
        if guest is None:
            raise Http404
        if not (self.has_view_permission(request, guest) and self.has_undo_permission(request)):
            raise PermissionDenied
        record = MergeRecord.objects.filter(
            pk=merge_id, survivor=guest, undone_at__isnull=True
        ).first()
        if record is None:
            messages.warning(request, gettext("This merge was undone before."))
        else:
            merging.undo(record, now=timezone.now())
            self.log_change(request, guest, f"Undid the merge of {record.retired.ref}.")
            messages.success(
                request, gettext("The merge was undone: the two are separate guests again.")
            )
        return HttpResponseRedirect(
            reverse(
                "admin:tracking_guest_change", args=[guest.pk], current_app=self.admin_site.name
            )
        )

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        guest = context["original"]
        context |= guest_page.context_of(
            guest,
            before=payloads.uuid(request.GET.get("before", "")),
            site_name=self.admin_site.name,
        )
        context |= {
            "panels": panels.of_guest(guest, request),
            "can_undo": self.has_undo_permission(request),
            "can_export": self.has_export_permission(request),
            "can_erase": self.has_erase_permission(request),
        }
        return super().render_change_form(request, context, *args, **kwargs)


def _has_words(term: str) -> Q:
    wanted = Q()
    for word in term.split()[:5]:
        wanted &= Q(first_name__icontains=word) | Q(last_name__icontains=word)
    return wanted
