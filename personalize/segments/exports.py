"""
Who is in a segment, as CSV: read page by page, so that a million rows never sit in memory.

Called by the admin, the REST API and `manage.py export_segment`.
"""

from collections.abc import Iterator
from typing import Any, Final

from personalize import csv_lines
from personalize.models import Segment, SegmentMembership
from tracking.models import Guest

CONTENT_TYPE: Final = csv_lines.CONTENT_TYPE
#: Column -> field of the guest.
_OF_GUESTS: Final = {
    "guestRef": "ref",
    "type": "type",
    "email": "email",
    "firstName": "first_name",
    "lastName": "last_name",
    "phone": "phone",
    "street": "street",
    "city": "city",
    "state": "state",
    "postalCode": "postal_code",
    "country": "country",
    "language": "language",
}
_COLUMNS: Final = [*_OF_GUESTS, "enteredAt"]
_AT_ONCE: Final = 1000


def rows(segment: Segment, *, for_spreadsheets: bool = False) -> Iterator[str]:
    """
    Yield the lines of a CSV file: a header, then each guest who is in the segment now.

    A cell that a spreadsheet would run has an apostrophe in front of it. With
    `for_spreadsheets` the file begins with the mark by which they know UTF-8.
    """
    yield (csv_lines.UTF8_MARK if for_spreadsheets else "") + csv_lines.line(_COLUMNS)
    for page in _pages(segment):
        yield "".join(map(csv_lines.line, page))


def file_name(segment: Segment) -> str:
    """Name the file that is made of a segment."""
    return f"{segment.friendly_id}.csv"


def _pages(segment: Segment) -> Iterator[list[list[Any]]]:
    """
    Yield the cells of a page of guests, by their row ids.

    The guests of a page are asked for apart: joined to it, a database may read
    all that come before them once more for each page.
    """
    members = SegmentMembership.objects.current().filter(segment=segment.pk).order_by("guest")
    last = 0
    while page := list(
        members.filter(guest__gt=last).values_list("guest", "entered_at")[:_AT_ONCE]
    ):
        last = page[-1][0]
        people = Guest.objects.survivors().filter(pk__in=[pk for pk, _ in page])
        cells = {pk: list(rest) for pk, *rest in people.values_list("pk", *_OF_GUESTS.values())}
        yield [[*cells[pk], entered_at] for pk, entered_at in page if pk in cells]
