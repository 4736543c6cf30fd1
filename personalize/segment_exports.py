"""
Who is in a segment, as CSV: read page by page, so that a million rows never sit in memory.

Called by the admin, the REST API and `manage.py export_segment`.
"""

import csv
import re
from collections.abc import Iterator
from typing import Any, Final

from personalize.models import Segment, SegmentMembership
from tracking.events import stamp

CONTENT_TYPE: Final = "text/csv; charset=utf-8"
#: Column -> where it stands, from a membership.
_COLUMNS: Final = {
    "guestRef": "guest__ref",
    "type": "guest__type",
    "email": "guest__email",
    "firstName": "guest__first_name",
    "lastName": "guest__last_name",
    "phone": "guest__phone",
    "street": "guest__street",
    "city": "guest__city",
    "state": "guest__state",
    "postalCode": "guest__postal_code",
    "country": "guest__country",
    "language": "guest__language",
    "enteredAt": "entered_at",
}
_AT_ONCE: Final = 1000
# What a spreadsheet would take for a formula.
_FORMULA: Final = re.compile(r"[=+\-@\t\r\n]")


def rows(segment: Segment, *, for_spreadsheets: bool = False) -> Iterator[str]:
    """
    Yield the lines of a CSV file: a header, then each guest who is in the segment now.

    A cell that a spreadsheet would run has an apostrophe in front of it. With
    `for_spreadsheets` the file begins with the mark by which they know UTF-8.
    """
    writer = csv.writer(_Echo())
    yield ("\ufeff" if for_spreadsheets else "") + writer.writerow(_COLUMNS)
    for page in _pages(segment):
        yield "".join(writer.writerow([_cell(value) for value in row]) for row in page)


def file_name(segment: Segment) -> str:
    """Name the file that is made of a segment."""
    return f"{segment.friendly_id}.csv"


def _pages(segment: Segment) -> Iterator[list[tuple[Any, ...]]]:
    current = SegmentMembership.objects.current().filter(segment=segment.pk)
    members = current.filter(guest__root__isnull=True).order_by("guest")
    last = 0
    while page := list(
        members.filter(guest__gt=last).values_list("guest", *_COLUMNS.values())[:_AT_ONCE]
    ):
        last = page[-1][0]
        yield [row[1:] for row in page]


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        return line


def _cell(value: Any) -> str:
    if hasattr(value, "isoformat"):
        return stamp(value)
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{text}" if _FORMULA.match(text) else text
