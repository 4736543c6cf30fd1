"""
The daily numbers of a flow as CSV: called by the admin's results page.

Sums of days are kept by the day of a guest's first exposure, so days can be added up.
"""

from collections.abc import Iterator
from typing import Final

from django.db.models import Q

from personalize import csv_lines
from personalize.analytics import days
from personalize.analytics.samples import within
from personalize.analytics.types import Span
from personalize.models import Flow

CONTENT_TYPE: Final = csv_lines.CONTENT_TYPE
_COLUMNS: Final = (
    "day", "phase", "variant", "variantRef", "goal", "goalRef", "step", "guests", "sessions",
    "total", "per",
)  # fmt: skip
_AT_ONCE: Final = 1000


def rows(flow: Flow, span: Span) -> Iterator[str]:
    """Yield the lines of a CSV file for spreadsheets: a header, then the numbers of each day."""
    yield csv_lines.UTF8_MARK + csv_lines.line(_COLUMNS)
    names = days.Names(flow)
    for row in days.rows(Q(flow=flow.pk) & within(span)).iterator(chunk_size=_AT_ONCE):
        each = days.whole(row, names)
        yield csv_lines.line(
            [
                each.day, each.phase, each.variant_name, each.variant, each.goal_name, each.goal,
                each.step, each.guests, each.visits, _short(each.total), _short(each.per),
            ]
        )  # fmt: skip


def file_name(flow: Flow) -> str:
    """Name the file that is made of a flow."""
    return f"{flow.friendly_id}-days.csv"


def _short(value: float | None) -> int | float | None:
    return int(value) if value is not None and value == int(value) else value
