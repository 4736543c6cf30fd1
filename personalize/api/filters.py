"""The query parameters of the lists of flows and executions, as django-filter sets."""

from typing import Any

import django_filters
from django.db.models import QuerySet

from personalize.models import Execution, Flow
from tracking.api.filters import members


class FlowFilter(django_filters.FilterSet):
    """By status, subtype, friendlyId; deleted flows only when asked for."""

    status = django_filters.ChoiceFilter(
        choices=Flow.Status.choices, help_text="Flows of this status."
    )
    subtype = django_filters.ChoiceFilter(
        choices=Flow.Subtype.choices, help_text="Flows of this kind."
    )
    friendlyId = django_filters.CharFilter(
        field_name="friendly_id", help_text="The flow of this id."
    )
    deleted = django_filters.BooleanFilter(
        method="with_deleted", help_text="true: deleted ones too."
    )

    class Meta:
        model = Flow
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Flow]) -> QuerySet[Flow]:
        rows: QuerySet[Flow] = super().filter_queryset(queryset)
        is_asked_for = self.form.cleaned_data.get("deleted")
        return rows if is_asked_for else rows.filter(deleted_at__isnull=True)

    def with_deleted(self, rows: QuerySet[Flow], name: str, value: bool) -> QuerySet[Flow]:
        # Leaving them out is the rule, so it is done where nothing was asked for too.
        return rows


class ExecutionFilter(django_filters.FilterSet):
    """By guest, through merges; by flow; and by time: since, until."""

    guestRef = django_filters.UUIDFilter(
        method="by_guest", help_text="Of the guest, or of anybody merged into it."
    )
    flowRef = django_filters.UUIDFilter(field_name="flow__ref", help_text="Runs of this flow.")
    friendlyId = django_filters.CharFilter(
        field_name="flow__friendly_id", help_text="Runs of the flow of this id."
    )
    since = django_filters.IsoDateTimeFilter(
        field_name="occurred_at", lookup_expr="gte", help_text="Ran at this time or later."
    )
    until = django_filters.IsoDateTimeFilter(
        field_name="occurred_at", lookup_expr="lt", help_text="Ran before this time."
    )

    class Meta:
        model = Execution
        fields: list[str] = []

    def by_guest(self, rows: QuerySet[Execution], name: str, value: Any) -> QuerySet[Execution]:
        return rows.filter(guest__in=members(value))
