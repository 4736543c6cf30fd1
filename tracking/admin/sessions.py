"""Visit sessions in the admin: when, where from, and what was done in each."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from tracking import timeline, wording
from tracking.admin import orders, payloads
from tracking.admin.big_tables import CappedPaginator, ChannelFilter
from tracking.admin.guest_page import Entry, entries_of
from tracking.admin.scoping import ClientFilter, ReadOnlyAdmin
from tracking.models import Event, Session

_MOST_EVENTS = 100
_MOST_ORDERS = 20


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin[Session]):
    """A list of visits, newest first."""

    list_display = (
        "started_at",
        "person",
        "channel",
        "point_of_sale",
        "status_pill",
        "events_count",
        "views_count",
        "ended_at",
        "client",
    )
    list_filter = (ClientFilter, ChannelFilter, "status")
    list_select_related = ("guest__root", "point_of_sale", "client")
    list_per_page = 50
    ordering = ("-pk",)
    sortable_by = ()
    search_fields = ("ref",)
    search_help_text = _("The ref of a session, a browser or a guest")
    paginator = CappedPaginator
    show_full_result_count = False
    change_list_template = "tracking/admin/change_list.html"
    change_form_template = "tracking/admin/session.html"

    class Media:
        css = {"all": ["tracking/admin.css"]}

    @admin.display(description=_("guest"))
    def person(self, session: Session) -> str:
        return str(session.guest.root or session.guest)

    @admin.display(description=_("status"))
    def status_pill(self, session: Session) -> SafeString:
        return payloads.pill(session.status, session.get_status_display())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Session], search_term: str
    ) -> tuple[QuerySet[Session], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        ref = payloads.uuid(term)
        if ref is None:
            return queryset.none(), False
        by_ref = queryset.filter(ref=ref) | queryset.filter(guest__ref=ref)
        return by_ref | queryset.filter(browser__value=str(ref)), False

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        session = context["original"]
        context |= {
            "pill": payloads.pill(session.status, session.get_status_display()),
            "person": session.guest.root or session.guest,
            "utm": payloads.rows(session.utm),
            "place": payloads.rows(session.place),
            "entries": self._entries(session),
            "carts": [
                (cart, orders.cart_pill(cart), wording.amounts(cart.values))
                for cart in session.carts.select_related("session").order_by("pk")
            ],
            "orders": orders.orders_in_brief(
                session.orders.order_by("ordered_at", "pk")[:_MOST_ORDERS]
            ),
            "most": _MOST_EVENTS,
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def _entries(self, session: Session) -> list[Entry]:
        events = Event.objects.filter(session=session).order_by("-ref")
        newest = events.select_related("session")[:_MOST_EVENTS]
        return entries_of(timeline.lines_of(list(newest)), self.admin_site.name)
