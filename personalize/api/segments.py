"""`/v2/segments`: saved audiences and lists, managed by servers."""

from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from personalize import segments
from personalize.api import bodies, condition_schema, segment_examples
from personalize.api.segment_documents import SegmentBody, SegmentDocument, SegmentList
from personalize.models import Segment
from personalize.segments.standings import Standing
from tracking.api.authentication import client_of
from tracking.api.base import ApiError, ServerViewSet, json_response
from tracking.api.pagination import OFFSET_PARAMETERS, offset_page
from tracking.api.routes import address, door
from tracking.api.schema import Operation, Parameter, documented
from tracking.events import stamp

SEGMENT_PARAMETER = Parameter(
    name="ref",
    location="path",
    description="The segment's ref, or its friendlyId.",
    example="saw_the_popup",
)


@documented(
    "Segments",
    parameters=[SEGMENT_PARAMETER],
    schemas=condition_schema.schemas,
    list=Operation(
        id="listSegments", answer=SegmentList, errors=(400,), parameters=OFFSET_PARAMETERS
    ),
    create=Operation(
        id="createSegment", request=SegmentBody, answer=SegmentDocument, status=201,
        examples=segment_examples.SEGMENTS,
    ),
    retrieve=Operation(id="readSegment", answer=SegmentDocument, errors=(404,)),
    update=Operation(
        id="replaceSegment",
        request=SegmentBody,
        answer=SegmentDocument,
        errors=(404,),
        examples=segment_examples.SEGMENTS,
        description="What is not given takes its default. With another condition than before all "
        "guests are judged anew.",
    ),
    destroy=Operation(
        id="deleteSegment", status=204, errors=(400, 404),
        description="Refused while a flow, an offer, a decision model or another segment names "
        "it: the message says which. Its friendlyId is never used again.",
    ),
)  # fmt: skip
class SegmentViewSet(ServerViewSet):
    """Segments of a client."""

    def list(self, request: Request) -> HttpResponse:
        """List segments, by their friendlyIds."""
        rows = Segment.objects.kept().filter(client=client_of(request).id).order_by("friendly_id")
        page, total = offset_page(request, rows, lambda segment: segment)
        found: list[Segment] = page["items"]
        standings = segments.standings.standings(found, now=timezone.now())
        items = [_document(request, each, standings[each.pk]) for each in found]
        return json_response({**page, "items": items, "total": total})

    def create(self, request: Request) -> HttpResponse:
        """Make a segment."""
        body = bodies.read(request, SegmentBody, code="segment_invalid")
        segment = Segment(client_id=client_of(request).id)
        return json_response(_stored(request, segment, body), status=201)

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read a segment; a deleted one too."""
        return json_response(_read(request, found(request, ref)))

    def update(self, request: Request, ref: str) -> HttpResponse:
        """Replace a segment."""
        body = bodies.read(request, SegmentBody, code="segment_invalid")
        return json_response(_stored(request, found(request, ref), body))

    def destroy(self, request: Request, ref: str) -> HttpResponse:
        """Delete a segment that nothing names."""
        try:
            segments.delete(found(request, ref), now=timezone.now())
        except segments.SegmentError as error:
            raise refused(error) from None
        return HttpResponse(status=204)


def _stored(request: Request, segment: Segment, body: SegmentBody) -> dict[str, Any]:
    segment.name, segment.description = body.name.strip()[:200], body.description
    segment.kind, segment.condition = body.kind, body.condition
    if body.friendlyId:
        segment.friendly_id = body.friendlyId
    try:
        segments.save(segment)
    except segments.SegmentError as error:
        raise refused(error) from None
    # Where a request works off its own events, it is built by now.
    segment.refresh_from_db()
    return _read(request, segment)


def _read(request: Request, segment: Segment) -> dict[str, Any]:
    standing = segments.standings.standing(segment, now=timezone.now())
    return _document(request, segment, standing)


def _document(request: Request, segment: Segment, standing: Standing) -> dict[str, Any]:
    building = None
    if standing.judged is not None:
        building = {"judged": standing.judged, "guests": standing.guests}
    return {
        "ref": segment.ref,
        "href": request.build_absolute_uri(address(request, "segment", segment.ref)),
        "clientKey": client_of(request).client_key,
        "name": segment.name,
        "friendlyId": segment.friendly_id,
        "description": segment.description,
        "kind": segment.kind,
        "condition": segment.condition,
        "deleted": segment.deleted_at is not None,
        "members": standing.members,
        "asOf": stamp(standing.as_of),
        "building": building,
        "createdAt": stamp(segment.created_at),
        "modifiedAt": stamp(segment.modified_at),
    }


def found(request: Request, ref: str) -> Segment:
    """Return the client's segment of this ref or friendlyId, a deleted one too. Raises ApiError."""
    rows = Segment.objects.filter(client=client_of(request).id)
    segment = rows.named(ref).first()
    if segment is None:
        raise ApiError(404, "segment_unknown", "There is no segment with this ref or friendlyId.")
    return segment


def refused(error: segments.SegmentError) -> ApiError:
    return ApiError(400, error.code, str(error))


_all = {"get": "list", "post": "create"}
_one = {"get": "retrieve", "put": "update", "delete": "destroy"}

urlpatterns = [
    *door("v2/segments", SegmentViewSet.as_view(_all), name="segments"),
    *door("v2/segments/<str:ref>", SegmentViewSet.as_view(_one), name="segment"),
]
