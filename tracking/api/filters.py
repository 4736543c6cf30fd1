"""The query parameters of the list doors, as django-filter sets."""

from typing import Any, TypeVar

import django_filters
from django import forms
from django.db.models import Model, Q, QuerySet
from django.utils import timezone
from rest_framework.request import Request

from tracking import items
from tracking.api.base import ApiError
from tracking.models import Event, Guest, Item, Order, OrderItem, Session
from tracking.types import DEVICES
from tracking.wire.common import browser_id, key

M = TypeVar("M", bound=Model)


class _OfGuests(django_filters.FilterSet):
    """By whom the rows are of, through merges."""

    guestRef = django_filters.UUIDFilter(
        method="by_guest", help_text="Of the guest, or of anybody merged into it."
    )

    def by_guest(self, rows: QuerySet[M], name: str, value: Any) -> QuerySet[M]:
        return rows.filter(guest__in=members(value))


class EventFilter(_OfGuests):
    """By type, channel, pointOfSale, refs, messageId, and by time: since, until."""

    type = django_filters.CharFilter(help_text="A type, as it was sent: VIEW, TRACKING.")
    channel = django_filters.CharFilter(method="by_channel", help_text="A channel code.")
    pointOfSale = django_filters.CharFilter(field_name="point_of_sale__name", help_text="By name.")
    browserRef = django_filters.CharFilter(
        method="by_browser", help_text="A browser id, or an anonymousId."
    )
    sessionRef = django_filters.UUIDFilter(field_name="session__ref", help_text="Of the visit.")
    flowRef = django_filters.UUIDFilter(
        field_name="flow_ref", help_text="TRACKING and HOLDOUT events of this flow."
    )
    messageId = django_filters.CharFilter(
        field_name="message_id", help_text="The sender's own name of the event."
    )
    since = django_filters.IsoDateTimeFilter(
        field_name="occurred_at", lookup_expr="gte", help_text="Happened at this time or later."
    )
    until = django_filters.IsoDateTimeFilter(
        field_name="occurred_at", lookup_expr="lt", help_text="Happened before this time."
    )

    class Meta:
        model = Event
        fields: list[str] = []

    def by_channel(self, rows: QuerySet[Event], name: str, value: str) -> QuerySet[Event]:
        return rows.filter(channel=value.upper())

    def by_browser(self, rows: QuerySet[Event], name: str, value: Any) -> QuerySet[Event]:
        return rows.filter(browser__provider__in=DEVICES, browser__value=browser_id(value))


class SessionFilter(_OfGuests):
    """status, channel, pointOfSale, guestRef, browserRef, since, until (by start)."""

    status = django_filters.ChoiceFilter(
        choices=Session.Status.choices, help_text="OPEN until the visit was idle for too long."
    )
    channel = django_filters.CharFilter(method="by_channel", help_text="A channel code.")
    pointOfSale = django_filters.CharFilter(field_name="point_of_sale__name", help_text="By name.")
    browserRef = django_filters.CharFilter(
        method="by_browser", help_text="A browser id, or an anonymousId."
    )
    since = django_filters.IsoDateTimeFilter(
        field_name="started_at", lookup_expr="gte", help_text="Started at this time or later."
    )
    until = django_filters.IsoDateTimeFilter(
        field_name="started_at", lookup_expr="lt", help_text="Started before this time."
    )

    class Meta:
        model = Session
        fields: list[str] = []

    def by_channel(self, rows: QuerySet[Session], name: str, value: str) -> QuerySet[Session]:
        return rows.filter(channel=value.upper())

    def by_browser(self, rows: QuerySet[Session], name: str, value: Any) -> QuerySet[Session]:
        return rows.filter(browser__provider__in=DEVICES, browser__value=browser_id(value))


class OrderFilter(_OfGuests):
    """guestRef, referenceId, sessionRef, status, productId, and by time: since, until."""

    referenceId = django_filters.CharFilter(
        field_name="reference_id", help_text="The shop's number."
    )
    sessionRef = django_filters.UUIDFilter(field_name="session__ref", help_text="Of the visit.")
    status = django_filters.CharFilter(lookup_expr="iexact", help_text="In any case.")
    currencyCode = django_filters.CharFilter(
        field_name="currency", lookup_expr="iexact", help_text="ISO 4217."
    )
    pointOfSale = django_filters.CharFilter(field_name="point_of_sale__name", help_text="By name.")
    productId = django_filters.CharFilter(
        method="by_product", help_text="Orders that have a line of this product."
    )
    since = django_filters.IsoDateTimeFilter(
        field_name="ordered_at", lookup_expr="gte", help_text="Ordered at this time or later."
    )
    until = django_filters.IsoDateTimeFilter(
        field_name="ordered_at", lookup_expr="lt", help_text="Ordered before this time."
    )

    class Meta:
        model = Order
        fields: list[str] = []

    def by_product(self, rows: QuerySet[Order], name: str, value: str) -> QuerySet[Order]:
        return rows.filter(pk__in=OrderItem.objects.filter(item_id=value).values("order"))


class GuestFilter(django_filters.FilterSet):
    """email, names, phoneNumber, guestType, and identifiers.provider + identifiers.id."""

    email = django_filters.CharFilter(lookup_expr="iexact", help_text="In any case.")
    firstName = django_filters.CharFilter(
        field_name="first_name", lookup_expr="iexact", help_text="In any case."
    )
    lastName = django_filters.CharFilter(
        field_name="last_name", lookup_expr="iexact", help_text="In any case."
    )
    phoneNumber = django_filters.CharFilter(field_name="phone", help_text="As it was given.")
    guestType = django_filters.CharFilter(
        field_name="type",
        lookup_expr="iexact",
        help_text="visitor, customer or bot. Bots are listed only when asked for.",
    )

    class Meta:
        model = Guest
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Guest]) -> QuerySet[Guest]:
        rows: QuerySet[Guest] = super().filter_queryset(queryset)
        provider, value = (
            _text(self.data, "identifiers.provider"),
            _text(self.data, "identifiers.id"),
        )
        if not _text(self.data, "guestType"):
            rows = rows.exclude(type=Guest.Type.BOT)
        if value and not provider:
            return rows.none()
        if provider and value:
            value = key(provider, value).value
            named = Q(identifiers__provider=provider, identifiers__value=value)
            through = Q(merged__identifiers__provider=provider, merged__identifiers__value=value)
            rows = rows.filter(named | through).distinct()
        return rows


class WholeNumberFilter(django_filters.NumberFilter):
    """A number without decimals."""

    field_class = forms.IntegerField  # type: ignore[assignment]


class ItemFilter(django_filters.FilterSet):
    """By type, id, category with those below it, part of the name, and whether it is its time."""

    type = WholeNumberFilter(
        min_value=1, max_value=items.LARGEST_TYPE, help_text="Items of this type."
    )
    id = django_filters.CharFilter(field_name="item_id", help_text="The id, in any type.")
    category = django_filters.CharFilter(
        method="by_category", help_text="A path: items in it, or below it."
    )
    name = django_filters.CharFilter(
        lookup_expr="icontains", help_text="Part of the name, in any case."
    )
    valid = django_filters.ChoiceFilter(
        choices=[("true", "true"), ("false", "false")],
        method="by_validity",
        help_text="Whether it is the item's time now.",
    )

    class Meta:
        model = Item
        fields: list[str] = []

    def by_category(self, rows: Any, name: str, value: str) -> QuerySet[Item]:
        found: QuerySet[Item] = rows.in_category(value.strip().strip("/"))
        return found

    def by_validity(self, rows: Any, name: str, value: str) -> QuerySet[Item]:
        valid: QuerySet[Item] = rows.valid(timezone.now())
        if value == "true":
            return valid
        outside: QuerySet[Item] = rows.exclude(pk__in=valid.values("pk"))
        return outside


def members(guest_ref: Any) -> QuerySet[Guest]:
    """Return the guests that speak through the survivor of this ref, it included."""
    asked = Guest.objects.filter(ref=guest_ref)
    roots = Guest.objects.filter(Q(pk__in=asked.values("pk")) | Q(pk__in=asked.values("root")))
    survivors = roots.filter(root__isnull=True)
    return Guest.objects.filter(
        Q(pk__in=survivors.values("pk")) | Q(root__in=survivors.values("pk"))
    )


def _text(query: Any, name: str) -> str:
    return query.get(name, "") if query else ""


def apply(kind: type[django_filters.FilterSet], rows: QuerySet[M], request: Request) -> QuerySet[M]:
    """Filter rows by a request's query. Raises ApiError that names the parameter at fault."""
    filters = kind(data=request.query_params, queryset=rows)
    if not filters.is_valid():
        name, problems = next(iter(filters.errors.items()))
        raise ApiError(400, f"{name}_invalid", f"{name}: {problems[0]}")
    found: QuerySet[M] = filters.qs
    return found
