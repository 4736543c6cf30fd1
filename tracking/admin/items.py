"""Items in the admin: what the catalogue says of them, and where it has that from."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from tracking import catalogue, money
from tracking.admin import payloads
from tracking.admin.big_tables import CappedPaginator, TypeFilter
from tracking.admin.scoping import ClientFilter, ClientScopedAdmin, ClientScopedTabularInline
from tracking.models import Item, ItemCategory
from tracking.types import ItemKey

_VALIDITY = {"live": _("Now"), "scheduled": _("Not yet"), "retired": _("No longer")}


class ValidityFilter(admin.SimpleListFilter):
    """Items whose time it is, is to come, or is over."""

    title = _("valid")
    parameter_name = "valid"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(_VALIDITY.items())

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        now = timezone.now()
        rows = {
            "live": queryset.valid,
            "scheduled": queryset.upcoming,
            "retired": queryset.expired,
        }.get(self.value() or "")
        return queryset if rows is None else rows(now)


class CategoryInline(ClientScopedTabularInline[ItemCategory, Item]):
    """An item's categories. One can be taken away, which lasts until it is named again."""

    model = ItemCategory
    client_path = "item__client"
    fields = readonly_fields = ("path", "source", "seen_at")
    ordering = ("path",)
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Item)
class ItemAdmin(ClientScopedAdmin[Item]):
    """A list of items, the newest first. Imports write them: here they are read and deleted."""

    list_display = ("__str__", "type", "item_id", "price_told", "validity", "known_from", "client")
    list_filter = (ClientFilter, ValidityFilter, TypeFilter)
    list_select_related = ("client",)
    list_per_page = 50
    ordering = ("-pk",)
    sortable_by = ()
    search_fields = ("item_id", "name")
    search_help_text = _("An item's id, or part of its name")
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    change_list_template = "tracking/admin/change_list.html"
    inlines = (CategoryInline,)
    fieldsets = (
        (None, {"fields": ("name", "type", "item_id", "client", "price_told")}),
        (_("Validity"), {"fields": ("validity", "valid_from", "valid_to")}),
        (_("Shown"), {"fields": ("link", "image_link", "description")}),
        (_("Attributes and contents"), {"fields": ("attribute_table", "content_table")}),
        (_("Known from"), {"fields": ("imported_at", "supplemented_at", "updated_at")}),
    )

    class Media:
        css = {"all": ["tracking/admin.css"]}

    def get_readonly_fields(self, request: HttpRequest, obj: Item | None = None) -> Any:
        return [name for _title, options in self.fieldsets for name in options["fields"]]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Item], search_term: str
    ) -> tuple[QuerySet[Item], bool]:
        term = search_term.strip()
        named = Q(item_id=term) | Q(name__icontains=term)
        return (queryset.filter(named) if term else queryset), False

    # --- what is shown -----------------------------------------------------------------

    @admin.display(description=_("price"), empty_value="-")
    def price_told(self, item: Item) -> str | None:
        if item.price is None:
            return None
        return money.told(item.price, item.currency, locale=get_language() or "en")

    @admin.display(description=_("valid"))
    def validity(self, item: Item) -> SafeString:
        now = timezone.now()
        code, bound = "live", item.valid_to
        if item.valid_from and item.valid_from > now:
            code, bound = "scheduled", item.valid_from
        elif item.valid_to and item.valid_to <= now:
            code = "retired"
        label = payloads.pill(code, _VALIDITY[code])
        if bound is None:
            return label
        until = gettext("from %(at)s") if code == "scheduled" else gettext("until %(at)s")
        day = date_format(timezone.localtime(bound), "DATE_FORMAT")
        return format_html('{} <span class="tr-quiet">{}</span>', label, until % {"at": day})

    @admin.display(description=_("known from"))
    def known_from(self, item: Item) -> str:
        if item.imported_at is None:
            return gettext("Clicks")
        return gettext("Import, clicks") if item.supplemented_at else gettext("Import")

    @admin.display(description=_("address"), empty_value="-")
    def link(self, item: Item) -> SafeString | None:
        return _link(item.url)

    @admin.display(description=_("image"), empty_value="-")
    def image_link(self, item: Item) -> SafeString | None:
        # Not shown: clicks may have told of it, and anybody can send a click.
        return _link(item.image)

    @admin.display(description=_("attributes"), empty_value="-")
    def attribute_table(self, item: Item) -> SafeString | None:
        return _table([(each["key"], each["value"], each["type"]) for each in item.attributes])

    @admin.display(description=_("contents"), empty_value="-")
    def content_table(self, item: Item) -> SafeString | None:
        return _table([(key, value, "") for key, value in item.content.items()])

    # --- what is done ------------------------------------------------------------------

    def delete_model(self, request: HttpRequest, obj: Item) -> None:
        catalogue.forget(obj.client_id, [_key(obj)])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Item]) -> None:
        by_client: dict[int, list[ItemKey]] = defaultdict(list)
        for item in queryset.only("client_id", "type", "item_id"):
            by_client[item.client_id].append(_key(item))
        for client_id, keys in by_client.items():
            catalogue.forget(client_id, keys)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(commit=False)
        for category in formset.deleted_objects:
            catalogue.remove_category(category)


def _key(item: Item) -> ItemKey:
    return ItemKey(item.type, item.item_id)


def _link(address: str) -> SafeString | None:
    if not address:
        return None
    return format_html('<a href="{0}" rel="noopener noreferrer">{0}</a>', address)


def _table(rows: list[tuple[str, str, str]]) -> SafeString | None:
    if not rows:
        return None
    body = format_html_join(
        "", '<tr><th scope="row">{}</th><td>{} <span class="tr-quiet">{}</span></td></tr>', rows
    )
    return format_html('<table class="tr-pairs"><tbody>{}</tbody></table>', body)
