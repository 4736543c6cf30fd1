"""Orders and carts in the admin: who bought what, and who left what behind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from tracking import carts, money, wording
from tracking.admin import payloads
from tracking.admin.big_tables import CappedPaginator
from tracking.admin.scoping import ClientFilter, ReadOnlyAdmin
from tracking.models import Cart, Order, OrderItem, Session

M = TypeVar("M", Order, Cart)

#: Statuses of orders that the admin has words for; any other is shown as it was stated.
_ORDER_WORDS = {
    "PURCHASED": _("Purchased"),
    "PARTIALLY_REFUNDED": _("Partly refunded"),
    "REFUNDED": _("Refunded"),
    "CANCELLED": _("Cancelled"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of an order or a cart as a template shows it."""

    name: str
    id: str
    quantity: int
    refunded: int
    price: str
    amount: str


def order_pill(order: Order) -> SafeString:
    return payloads.pill(order.status, _ORDER_WORDS.get(order.status, order.status))


def orders_in_brief(orders: Iterable[Order]) -> list[tuple[Order, SafeString, str]]:
    """Return each order with its status and its total, as other pages list them."""
    return [
        (order, order_pill(order), wording.amount(order.total, order.currency)) for order in orders
    ]


def cart_pill(cart: Cart) -> SafeString:
    status = carts.status(cart, now=timezone.now())
    return payloads.pill(status, status.label)


def rows_of_order(items: Sequence[OrderItem]) -> list[Row]:
    return [
        _row(
            item.name, item.item_id, item.quantity, item.price, item.currency,
            refunded=item.refunded_quantity,
        )
        for item in items
    ]  # fmt: skip


def rows_of_cart(cart: Cart) -> list[Row]:
    return [
        _row(
            line.get("name", ""), line["id"], line["quantity"], line.get("price"),
            line.get("currency", ""),
        )
        for line in cart.lines
    ]  # fmt: skip


def _row(
    name: str, id: str, quantity: int, price: int | None, currency: str, *, refunded: int = 0
) -> Row:
    total = None if price is None else price * quantity
    return Row(
        name=name or _now("Item %(id)s") % {"id": id},
        id=id,
        quantity=quantity,
        refunded=refunded,
        price=wording.amount(price, currency),
        amount=wording.amount(total, currency),
    )


class _OfGuestAdmin(ReadOnlyAdmin[M]):
    """A list of what belongs to guests, found by its own name or by a ref."""

    list_per_page = 50
    ordering = ("-pk",)
    sortable_by = ()
    paginator = CappedPaginator
    show_full_result_count = False
    change_list_template = "tracking/admin/change_list.html"

    class Media:
        css = {"all": ["tracking/admin.css"]}

    @admin.display(description=_("guest"))
    def person(self, row: M) -> str:
        return str(row.guest.root or row.guest)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[M], search_term: str
    ) -> tuple[QuerySet[M], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        (name,) = self.search_fields
        wanted = Q(**{str(name): term})
        if ref := payloads.uuid(term):
            wanted |= Q(ref=ref) | Q(guest__ref=ref)
        return queryset.filter(wanted), False


@admin.register(Order)
class OrderAdmin(_OfGuestAdmin[Order]):
    """A list of orders, newest first, and a page with each one's lines."""

    list_display = ("number", "person", "status_pill", "price", "ordered_at", "client")
    list_filter = (ClientFilter, "is_paid")
    list_select_related = ("guest__root", "client")
    search_fields = ("reference_id",)
    search_help_text = _("The number of an order, or the ref of an order or a guest")
    change_form_template = "tracking/admin/order.html"

    @admin.display(description=_("order"))
    def number(self, order: Order) -> str:
        return str(order)

    @admin.display(description=_("status"))
    def status_pill(self, order: Order) -> SafeString:
        return order_pill(order)

    @admin.display(description=_("total"))
    def price(self, order: Order) -> str:
        return wording.amount(order.total, order.currency)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        order: Order = context["original"]
        context |= {
            "pill": order_pill(order),
            "person": order.guest.root or order.guest,
            "lines": rows_of_order(list(order.items.all())),
            "total": wording.amount(order.total, order.currency),
            "refunded": wording.amount(order.refunded or None, order.currency),
            "net": wording.amount(_net(order), order.currency) if order.refunded else "",
            "parts": [
                (label, wording.amount(getattr(order, name), order.currency))
                for name, label in (
                    ("shipping", _("Shipping")),
                    ("tax", _("Tax")),
                    ("discount", _("Discount")),
                )
                if getattr(order, name) is not None
            ],
            "contact": payloads.rows(order.contact),
            "attributes": payloads.rows(order.attributes),
        }
        return super().render_change_form(request, context, *args, **kwargs)


def _net(order: Order) -> int | None:
    return None if order.total is None else min(money.MOST, order.total - order.refunded)


class _StatusFilter(admin.SimpleListFilter):
    """What became of carts: those with something left in them are open or abandoned."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(status.value, status.label) for status in Cart.Status]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Cart]) -> QuerySet[Cart]:
        left = queryset.exclude(lines=[])
        is_over = Q(session__status=Session.Status.CLOSED) | Q(
            session__isnull=True, changed_at__lt=timezone.now() - carts.pause()
        )
        empty = queryset.filter(lines=[])
        found: dict[str | None, QuerySet[Cart]] = {
            Cart.Status.OPEN.value: left.exclude(is_over),
            Cart.Status.ABANDONED.value: left.filter(is_over),
            Cart.Status.CONVERTED.value: empty.filter(is_bought=True),
            Cart.Status.CLOSED.value: empty.filter(is_bought=False, is_cleared=True),
            Cart.Status.EMPTY.value: empty.filter(is_bought=False, is_cleared=False),
        }
        return found.get(self.value(), queryset)


@admin.register(Cart)
class CartAdmin(_OfGuestAdmin[Cart]):
    """A list of carts, newest first, and a page with what is in each."""

    list_display = ("person", "status_pill", "number_of_lines", "value", "changed_at", "client")
    list_filter = (ClientFilter, _StatusFilter)
    list_select_related = ("guest__root", "session", "client")
    search_fields = ("cart_id",)
    search_help_text = _("The id of a cart, or the ref of a cart or a guest")
    change_form_template = "tracking/admin/cart.html"

    @admin.display(description=_("status"))
    def status_pill(self, cart: Cart) -> SafeString:
        return cart_pill(cart)

    @admin.display(description=_("lines"))
    def number_of_lines(self, cart: Cart) -> int:
        return len(cart.lines)

    @admin.display(description=_("value"))
    def value(self, cart: Cart) -> str:
        return wording.amounts(cart.values)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        cart: Cart = context["original"]
        context |= {
            "pill": cart_pill(cart),
            "person": cart.guest.root or cart.guest,
            "lines": rows_of_cart(cart),
            "value": wording.amounts(cart.values),
        }
        return super().render_change_form(request, context, *args, **kwargs)
