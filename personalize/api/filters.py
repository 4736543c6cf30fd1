"""The query parameters of the flow list, as a django-filter set."""

import django_filters
from django.db.models import QuerySet

from personalize.models import Flow


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
