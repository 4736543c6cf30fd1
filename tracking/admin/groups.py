"""Groups in the admin: what is known of an account or an object, and who belongs to it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from tracking.admin import payloads
from tracking.admin.big_tables import CappedPaginator
from tracking.admin.scoping import ClientFilter, ReadOnlyAdmin
from tracking.models import Group

_MOST_MEMBERS = 100


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin[Group]):
    """A list of groups, the newest first."""

    list_display = ("__str__", "kind", "key", "is_deleted", "modified_at", "client")
    list_filter = (ClientFilter, "is_deleted")
    list_select_related = ("client",)
    list_per_page = 50
    ordering = ("-pk",)
    sortable_by = ()
    search_fields = ("key",)
    search_help_text = _("The id of a group")
    paginator = CappedPaginator
    show_full_result_count = False
    change_list_template = "tracking/admin/change_list.html"
    change_form_template = "tracking/admin/group.html"

    class Media:
        css = {"all": ["tracking/admin.css"]}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Group], search_term: str
    ) -> tuple[QuerySet[Group], bool]:
        term = search_term.strip()
        return (queryset.filter(key=term) if term else queryset), False

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        group = context["original"]
        members = group.memberships.filter(is_member=True).select_related("guest__root")
        context |= {
            "attributes": payloads.rows(group.attributes),
            "members": members.order_by("-since")[:_MOST_MEMBERS],
            "most": _MOST_MEMBERS,
        }
        return super().render_change_form(request, context, *args, **kwargs)
