"""Clients in the admin: settings and storefronts in the form, keys made and revoked beside it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from tracking import clients
from tracking.admin.client_forms import ClientForm
from tracking.admin.scoping import ClientScopedAdmin, ClientScopedTabularInline
from tracking.models import Client, Key, PointOfSale

_MADE_HERE = (Key.Kind.PUBLIC, Key.Kind.SECRET)


class PointOfSaleInline(ClientScopedTabularInline[PointOfSale, Client]):
    """A client's storefronts. They stay: events and visits name theirs for ever."""

    model = PointOfSale
    fields = ("name", "site_id", "session_timeout_minutes", "market", "brand", "language")
    extra = 0
    can_delete = False
    verbose_name_plural = _("points of sale")


@admin.register(Client)
class ClientAdmin(ClientScopedAdmin[Client]):
    """Who may send events, and as whom."""

    client_path = "pk"
    form = ClientForm
    inlines = (PointOfSaleInline,)
    list_display = ("name", "live_keys", "default_point_of_sale", "currency", "language")
    list_select_related = ("default_point_of_sale",)
    search_fields = ("name",)
    ordering = ("name",)
    filter_horizontal = ("staff_groups",)
    change_form_template = "tracking/admin/client.html"

    class Media:
        css = {"all": ["tracking/admin.css"]}

    @admin.display(description=_("live keys"))
    def live_keys(self, client: Client) -> int:
        return int(client.live_keys_count)  # type: ignore[attr-defined]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        live = Count("keys", filter=Q(keys__revoked_at__isnull=True))
        rows: QuerySet[Client] = super().get_queryset(request).annotate(live_keys_count=live)
        return rows

    def get_fieldsets(self, request: HttpRequest, obj: Client | None = None) -> Any:
        market: tuple[str, ...] = ("time_zone", "currency", "language")
        if obj is not None:
            market += ("default_point_of_sale",)
        return (
            (None, {"fields": ("name", "allowed_origins")}),
            (_("Who is who"), {"fields": ("identity_rules", "hashed_provider", "dummy_users")}),
            (
                _("Items"),
                {
                    "fields": (
                        "requires_category_path",
                        "clicks_update_categories",
                        "allows_text_item_ids",
                        "prefers_sku",
                    )
                },
            ),
            (_("Defaults"), {"fields": market}),
            (_("Access"), {"fields": ("staff_groups",)}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Client | None = None) -> Any:
        # Whoever is limited to clients does not decide who is.
        user: Any = request.user
        return () if user.is_superuser else ("staff_groups",)

    def has_delete_permission(self, request: HttpRequest, obj: Client | None = None) -> bool:
        # Everything ever recorded would go with it: that is no matter of one click.
        return False

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        client: Client = form.instance
        if client.default_point_of_sale_id is None:
            first = client.points_of_sale.order_by("pk").first()
            client.default_point_of_sale = first or client.points_of_sale.create(name="default")
            client.save(update_fields=["default_point_of_sale"])
        clients.forget()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path(
                "<path:object_id>/keys/new/",
                view(require_POST(never_cache(self.new_key_view))),
                name="tracking_client_new_key",
            ),
            path(
                "<path:object_id>/keys/<int:key_id>/revoke/",
                view(require_POST(self.revoke_view)),
                name="tracking_client_revoke_key",
            ),
            *super().get_urls(),
        ]

    def new_key_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Make a key and answer the one page that ever shows it."""
        client = self._changeable(request, object_id, "tracking.add_key")
        kind = request.POST.get("kind")
        if kind not in _MADE_HERE:
            raise PermissionDenied
        value = Key.make()
        is_public = kind == Key.Kind.PUBLIC
        key = Key.objects.create(
            client=client,
            kind=kind,
            value=value if is_public else Key.digest(value),
            prefix=value[:6] if is_public else value[:4],
        )
        clients.forget()
        self.log_change(request, client, f"Made the key {key} ({kind}).")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": key.get_kind_display(),
            "subtitle": str(client),
            "original": client,
            "key": key,
            "value": value,
            "media": self.media,
        }
        return TemplateResponse(request, "tracking/admin/new_key.html", context)

    def revoke_view(self, request: HttpRequest, object_id: str, key_id: int) -> HttpResponse:
        """End a key: calls with it are refused from now on."""
        client = self._changeable(request, object_id, "tracking.change_key")
        live = client.keys.filter(pk=key_id, revoked_at__isnull=True)
        key = live.first()
        if key is None or not live.update(revoked_at=timezone.now()):
            messages.warning(request, gettext("This key was revoked before."))
        else:
            clients.forget()
            self.log_change(request, client, f"Revoked the key {key} ({key.kind}).")
            text = gettext("The key %(key)s is revoked: calls with it are refused.")
            messages.success(request, text % {"key": key})
        name = "admin:tracking_client_change"
        return HttpResponseRedirect(
            reverse(name, args=[client.pk], current_app=self.admin_site.name)
        )

    def _changeable(self, request: HttpRequest, object_id: str, permission: str) -> Client:
        client: Client | None = self.get_object(request, unquote(object_id))
        if client is None:
            raise Http404
        user: Any = request.user
        if not (self.has_change_permission(request, client) and user.has_perm(permission)):
            raise PermissionDenied
        return client

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        client: Client | None = context.get("original")
        if client is not None:
            user: Any = request.user
            may_change = self.has_change_permission(request, client)
            context |= {
                "keys": client.keys.order_by("revoked_at", "kind", "pk"),
                "may_make_keys": may_change and user.has_perm("tracking.add_key"),
                "may_revoke_keys": may_change and user.has_perm("tracking.change_key"),
            }
        return super().render_change_form(request, context, *args, **kwargs)
