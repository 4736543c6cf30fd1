"""`/v2/analytics/days` and `/v2/analytics/runs`: the numbers of days, row by row, for servers."""

from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from rest_framework.request import Request

from personalize.analytics import days, results
from personalize.api import result_examples, results_told
from personalize.api.filters import DayNumbersFilter, DayRunsFilter
from personalize.api.result_documents import DayNumbersList, DayRunsList
from personalize.attribution import numbers
from personalize.models import DailyRuns
from tracking.api.authentication import client_of
from tracking.api.base import ServerViewSet, json_response
from tracking.api.filters import apply
from tracking.api.pagination import OFFSET_PARAMETERS, offset_page
from tracking.api.routes import door
from tracking.api.schema import Operation, documented


@documented(
    "Results",
    days=Operation(
        id="listDailyNumbers",
        answer=DayNumbersList,
        errors=(400,),
        filters=DayNumbersFilter,
        parameters=OFFSET_PARAMETERS,
        answers=result_examples.DAYS,
        description="Guests are counted on the day, where the client is, on which they saw the "
        "flow first, with all that they came to since: rows of several days can be added up. "
        "Guests who saw several variants have the variant "
        "`00000000-0000-0000-0000-000000000000`, those held out "
        "`00000000-0000-0000-0000-000000000001`.",
    ),
    runs=Operation(
        id="listDailyRuns",
        answer=DayRunsList,
        errors=(400,),
        filters=DayRunsFilter,
        parameters=OFFSET_PARAMETERS,
        answers=result_examples.RUNS,
        description="Runs for crawlers are not among them.",
    ),
)
class AnalyticsViewSet(ServerViewSet):
    """Numbers of a client's flows by day."""

    def days(self, request: Request) -> HttpResponse:
        """List what guests came to, by day of their first exposure."""
        rows = days.rows(Q(flow__client=client_of(request).id))
        found = apply(DayNumbersFilter, rows, request).select_related("flow__published")
        page, total = offset_page(request, found, lambda row: row)
        items = [
            results_told.told_day(told, row.flow)
            for row, told in zip(page["items"], days.told(page["items"]), strict=True)
        ]
        return json_response({**page, "items": items, "total": total})

    def runs(self, request: Request) -> HttpResponse:
        """List how often variants ran, and how that went, by day."""
        rows = days.run_rows(Q(flow__client=client_of(request).id))
        found = apply(DayRunsFilter, rows, request).select_related("flow__published")
        page, total = offset_page(request, found, lambda row: row)
        names = {row.flow_id: days.Names(row.flow) for row in page["items"]}
        items = [_runs(row, names[row.flow_id]) for row in page["items"]]
        return json_response({**page, "items": items, "total": total})


def _runs(row: DailyRuns, names: days.Names) -> dict[str, Any]:
    runs = results.runs_of(numbers.numbers(row.sums))
    return {
        "day": row.day,
        "flowRef": row.flow.ref,
        "friendlyId": row.flow.friendly_id,
        "variantRef": row.variant_ref,
        "variantName": names.variant(row.variant_ref),
        "executions": runs.executions,
        "errors": runs.errors,
        "attributable": runs.attributable,
        "durationMs": runs.duration_ms,
        **results_told.latencies(runs),
    }


urlpatterns = [
    *door("v2/analytics/days", AnalyticsViewSet.as_view({"get": "days"}), name="analytics-days"),
    *door("v2/analytics/runs", AnalyticsViewSet.as_view({"get": "runs"}), name="analytics-runs"),
]
