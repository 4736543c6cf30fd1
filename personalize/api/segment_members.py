"""`/v2/segments/{ref}/guests` and `/v2/guests/{guestRef}/segments`: who is in which segment."""

import io
from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from django.utils import timezone
from rest_framework.request import Request

from personalize.api import bodies, segment_examples, segments
from personalize.api.segment_documents import (
    GuestName,
    GuestSegmentList,
    MemberList,
    MembersBody,
    MembersChanged,
)
from personalize.models import Segment, SegmentMembership
from personalize.segments import SegmentError, exports, files, lists
from personalize.segments.files import GUEST_REF, FileRefused, Named
from personalize.segments.lists import Changed, Mode
from tracking.api.authentication import client_of
from tracking.api.base import ApiError, ServerViewSet, json_response, read_body
from tracking.api.guests import guest_of
from tracking.api.pagination import CURSOR_PARAMETERS, NewestFirst
from tracking.api.routes import door
from tracking.api.schema import Operation, Parameter, documented
from tracking.events import stamp
from tracking.types import EMAIL

_CSV = "text/csv"
_HISTORY = Parameter(
    name="history",
    description="`true`: those who left, too, as far back as that is kept.",
    type=bool,
)
_FILE = (
    "A CSV file whose first line names the columns. One of them says who a line is about: "
    "`guestRef`, a provider of the client's identity rules, `email` or `browserId`; the first of "
    "these counts, other columns are passed by. Commas, semicolons or tabs; at most "
    f"{files.MAX_LINES:,} lines and {files.MAX_BYTES // 1024 // 1024} MiB. A file "
    "with a line that cannot be read changes nothing."
)


@documented(
    "Segments",
    parameters=[segments.SEGMENT_PARAMETER],
    list=Operation(
        id="listSegmentGuests",
        answer=MemberList,
        errors=(400, 404),
        parameters=[*CURSOR_PARAMETERS, _HISTORY],
        description="Those first who entered last. Guests that were merged into others are told "
        "of as the others.",
    ),
    change=Operation(
        id="changeSegmentGuests",
        request=MembersBody,
        answer=MembersChanged,
        errors=(404,),
        parameters=[
            Parameter(
                name="mode",
                description="Of a CSV file: its guests are put on the list (`add`, unless given), "
                "taken off it, or become all of it.",
                type=Literal["add", "remove", "replace"],
            )
        ],
        examples=segment_examples.CHANGES,
        answers=segment_examples.CHANGED_ANSWERS,
        request_texts={_CSV: _FILE},
        description="Of a LIST alone. The same again changes nothing.",
    ),
    export=Operation(
        id="exportSegment",
        errors=(404,),
        answer_texts={_CSV: "A line for each guest who is in it now."},
        description="With addresses. Cells that a spreadsheet would run begin with an apostrophe.",
    ),
)
class SegmentGuestViewSet(ServerViewSet):
    """Who is in a segment."""

    def list(self, request: Request, ref: str) -> HttpResponse:
        """List the guests of a segment."""
        rows = SegmentMembership.objects.filter(segment=_kept(request, ref).pk)
        if not _wants_history(request):
            rows = rows.current().filter(guest__root__isnull=True)
        page, links = NewestFirst("-id").cut(rows.select_related("guest__root"), request, self)
        return json_response({"items": [_member(row) for row in page], **links})

    def change(self, request: Request, ref: str) -> HttpResponse:
        """Put guests on a list, and take guests off it."""
        segment = _kept(request, ref)
        is_file = request.headers.get("Content-Type", "").partition(";")[0].strip().lower() == _CSV
        try:
            changed = _by_file(request, segment) if is_file else _by_names(request, segment)
        except SegmentError as error:
            raise segments.refused(error) from None
        return json_response(_changed(changed))

    def export(self, request: Request, ref: str) -> StreamingHttpResponse:
        """Read who is in a segment, as CSV."""
        segment = _kept(request, ref)
        response = StreamingHttpResponse(exports.rows(segment), content_type=exports.CONTENT_TYPE)
        name = exports.file_name(segment)
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        response["Cache-Control"] = "no-store"
        return response


@documented(
    "Segments",
    parameters=[
        Parameter(name="guestRef", location="path", description="Of the guest.", type=UUID)
    ],
    list=Operation(
        id="listGuestSegments",
        answer=GuestSegmentList,
        errors=(400, 404),
        parameters=[*CURSOR_PARAMETERS, _HISTORY],
        description="Of a retired guest, those of the guest that it was merged into.",
    ),
)
class GuestSegmentViewSet(ServerViewSet):
    """Which segments a guest is in."""

    def list(self, request: Request, guestRef: str) -> HttpResponse:
        """List the segments of a guest."""
        guest = guest_of(request, guestRef)
        rows = SegmentMembership.objects.of_guest(guest.root_id or guest.pk)
        rows = rows if _wants_history(request) else rows.current()
        page, links = NewestFirst("-id").cut(rows, request, self)
        return json_response({"items": [_segment(row) for row in page], **links})


def _by_file(request: Request, segment: Segment) -> Changed:
    raw = read_body(request, limit=files.MAX_BYTES)
    try:
        return lists.import_file(
            segment, io.BytesIO(raw), client_of(request), mode=_mode(request), now=timezone.now()
        )
    except FileRefused as error:
        raise ApiError(400, "file_invalid", f"{error} Nothing was changed.") from None


def _by_names(request: Request, segment: Segment) -> Changed:
    body = bodies.read(request, MembersBody, code="guests_invalid")
    add, remove = _named("add", body.add), _named("remove", body.remove)
    return lists.change(segment, add=add, remove=remove, now=timezone.now())


def _named(where: str, names: Sequence[GuestName]) -> list[Named]:
    return [_name(f"{where}[{index}]", name) for index, name in enumerate(names)]


def _name(where: str, name: GuestName) -> Named:
    given = [each for each in (name.guestRef, name.email, name.identifier) if each is not None]
    if len(given) != 1:
        raise ApiError(
            400, "guests_invalid", f"{where} needs one of guestRef, email and identifier."
        )
    if name.guestRef is not None:
        return Named(where, GUEST_REF, name.guestRef.strip())
    if name.identifier is None:
        return Named(where, EMAIL, (name.email or "").strip().lower())
    provider, value = name.identifier.provider, str(name.identifier.id)
    return Named(where, provider, value.lower() if provider == EMAIL else value)


def _mode(request: Request) -> Mode:
    given = request.query_params.get("mode", Mode.ADD)
    try:
        return Mode(given)
    except ValueError:
        raise ApiError(400, "mode_invalid", f"mode is one of {', '.join(Mode)}.") from None


def _wants_history(request: Request) -> bool:
    given = request.query_params.get("history", "false").lower()
    if given not in ("true", "false"):
        raise ApiError(400, "history_invalid", "history is true or false.")
    return given == "true"


def _kept(request: Request, ref: str) -> Segment:
    segment = segments.found(request, ref)
    if segment.deleted_at is not None:
        raise ApiError(404, "segment_deleted", "The segment was deleted.")
    return segment


def _member(row: SegmentMembership) -> dict[str, Any]:
    return {"guestRef": (row.guest.root or row.guest).ref, **_times(row)}


def _segment(row: SegmentMembership) -> dict[str, Any]:
    return {
        "segmentRef": row.segment.ref,
        "friendlyId": row.segment.friendly_id,
        "name": row.segment.name,
        "kind": row.segment.kind,
        **_times(row),
    }


def _times(row: SegmentMembership) -> dict[str, Any]:
    return {
        "enteredAt": stamp(row.entered_at),
        "leftAt": stamp(row.left_at) if row.left_at else None,
    }


def _changed(changed: Changed) -> dict[str, Any]:
    return {
        "named": changed.named,
        "added": changed.added,
        "removed": changed.removed,
        "unknown": changed.unknown_count,
        "unknownGuests": [
            {"where": named.where, "value": named.value} for named in changed.unknown
        ],
    }


urlpatterns = [
    *door(
        "v2/segments/<str:ref>/guests",
        SegmentGuestViewSet.as_view({"get": "list", "post": "change"}),
        name="segment-guests",
    ),
    *door(
        "v2/segments/<str:ref>/export.csv",
        SegmentGuestViewSet.as_view({"get": "export"}),
        name="segment-export",
    ),
    *door(
        "v2/guests/<str:guestRef>/segments",
        GuestSegmentViewSet.as_view({"get": "list"}),
        name="guest-segments",
    ),
]
