"""The query parameters of the lists of flows, executions and results, as django-filter sets."""

from typing import Any

import django_filters
from django.db.models import QuerySet

from personalize.analytics import days
from personalize.models import DailyNumbers, DailyRuns, Execution, Flow
from tracking.api.filters import WholeNumberFilter, members


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


class _OfDays(django_filters.FilterSet):
    """By flow, variant, and by day: from, to."""

    flow = django_filters.CharFilter(method="by_flow", help_text="The flow's ref or friendlyId.")
    variant = django_filters.UUIDFilter(field_name="variant_ref", help_text="The variant's ref.")

    @classmethod
    def get_filters(cls) -> Any:
        # `from` cannot be the name of an attribute.
        return {
            **super().get_filters(),
            "from": django_filters.DateFilter(
                field_name="day", lookup_expr="gte", help_text="This day or later."
            ),
            "to": django_filters.DateFilter(
                field_name="day", lookup_expr="lte", help_text="This day or before."
            ),
        }

    def by_flow(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return rows.filter(flow__in=Flow.objects.named(value))


class DayNumbersFilter(_OfDays):
    """By goal and phase too."""

    goal = django_filters.UUIDFilter(
        method="by_goal",
        help_text="The goal's ref: its rows alone, with those of a funnel's steps.",
    )
    phase = WholeNumberFilter(
        min_value=1, max_value=2**31 - 1, help_text="The number of the phase."
    )

    class Meta:
        model = DailyNumbers
        fields: list[str] = []

    def by_goal(
        self, rows: QuerySet[DailyNumbers], name: str, value: Any
    ) -> QuerySet[DailyNumbers]:
        return rows.filter(measure__in=days.measures_of_goal(value))


class DayRunsFilter(_OfDays):
    """By flow, variant and day alone: runs have neither goal nor phase."""

    class Meta:
        model = DailyRuns
        fields: list[str] = []
