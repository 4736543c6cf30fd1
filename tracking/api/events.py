"""`/v2/events`: the batch door for servers, and events read back in their public form."""

from collections.abc import Callable
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from tracking import conf, events, guests, inbox, uuid7
from tracking.api import examples, filters
from tracking.api.authentication import client_of
from tracking.api.base import ApiError, ServerViewSet, json_response, read_body, uuid_or_404
from tracking.api.documents import CallDocument, CallList, EventDocument, EventList, TrackingData
from tracking.api.pagination import CURSOR_PARAMETERS, NewestFirst
from tracking.api.routes import door
from tracking.api.schema import Operation, Parameter, documented
from tracking.models import Event
from tracking.types import ClientConfig
from tracking.wire import batch, common

OK: Final = "OK"
REJECTED: Final = "REJECTED"
NOT_FOUND: Final = "NOT_FOUND"


class Verdict(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    """What became of one event: OK with its ref, REJECTED or NOT_FOUND with the reason."""

    status: Literal["OK", "REJECTED", "NOT_FOUND"]
    ref: UUID | None = None
    message_id: str | None = None
    code: str = ""
    message: str = ""


class BatchAnswer(msgspec.Struct, kw_only=True):
    """One verdict for each event, in their order. `rejected` counts those that are not OK."""

    status: Literal["OK"] = "OK"
    ref: UUID
    accepted: int
    rejected: int
    events: list[Verdict]


_FORM = Parameter(
    name="form",
    description="track: in the form of a track call, with every key that such a call was sent "
    "with, and the server's times.",
    type=Literal["track"],
)


@documented(
    "Events",
    parameters=[Parameter(name="ref", location="path", description="Of the event.", type=UUID)],
    types=[TrackingData],
    create=Operation(
        id="sendEvents",
        request=(batch.BatchBody, batch.BatchEventBody),
        answer=BatchAnswer,
        parameters=[
            Parameter(
                name="X-Strict-Mode",
                location="header",
                description="1: where one event is refused none is stored, and the answer a 400.",
            )
        ],
        headers={"X-Tracking-Rejected": "How many events were refused, where any were."},
        examples=examples.BATCH,
        answers=examples.VERDICTS,
        description="Up to 2,500 events, gzip welcome. The answer is a 200 with one verdict an "
        "event, in their order: those that are OK are stored, whatever became of the others. "
        "One event sent alone and refused is a 400. An event is addressed by its browser id, or "
        "by an identifier of one of the client's identity rules.",
    ),
    list=Operation(
        id="listEvents",
        answer=(EventList, CallList),
        answers=examples.EVENT_PAGE,
        errors=(400, 404),
        filters=filters.EventFilter,
        parameters=[*CURSOR_PARAMETERS, _FORM],
    ),
    retrieve=Operation(
        id="readEvent",
        answer=(EventDocument, CallDocument),
        answers=examples.EVENT,
        errors=(400, 404),
        parameters=[_FORM],
    ),
)
class EventViewSet(ServerViewSet):
    """Events of a client: sent in batches, read one by one or as a list."""

    def create(self, request: Request) -> HttpResponse:
        """Take one event or `{"events": [...]}`: each is judged on its own."""
        client = client_of(request)
        body = read_body(request, limit=conf.settings().MAX_TRUSTED_BATCH_BYTES)
        received_at = timezone.now()
        try:
            sent = batch.glance(body, client)
        except batch.BadEnvelope as error:
            raise ApiError(400, "envelope_invalid", str(error)) from None
        verdicts = _verdicts(sent.items, client)
        rejected = sum(verdict.status != OK for verdict in verdicts)
        if rejected and request.headers.get("X-Strict-Mode") == "1":
            bad = next(verdict for verdict in verdicts if verdict.status != OK)
            raise ApiError(400, bad.code, f"{rejected} events refused, the first: {bad.message}")
        if sent.is_single and rejected:
            raise ApiError(400, verdicts[0].code, verdicts[0].message)
        ref = inbox.accept(client=client, dialect=batch.DIALECT, body=body, received_at=received_at)
        for index, verdict in enumerate(verdicts):
            verdict.ref = uuid7.child(ref, index) if verdict.status == OK else None
        response = json_response(
            BatchAnswer(
                ref=ref, accepted=len(verdicts) - rejected, rejected=rejected, events=verdicts
            )
        )
        if rejected:
            response["X-Tracking-Rejected"] = str(rejected)
        return response

    def list(self, request: Request) -> HttpResponse:
        """List events, newest first."""
        client = client_of(request)
        rows = Event.objects.filter(client=client.id).select_related(*events.RELATED)
        found = filters.apply(filters.EventFilter, rows, request)
        page, links = NewestFirst("-ref").cut(found, request, self)
        form = _form(request, client)
        return json_response({"items": [form(event) for event in page], **links})

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read one event."""
        client = client_of(request)
        rows = Event.objects.filter(client=client.id).select_related(*events.RELATED)
        event = rows.filter(ref=uuid_or_404(ref, "event")).first()
        if event is None:
            raise ApiError(404, "event_unknown", "There is no event with this ref.")
        return json_response(_form(request, client)(event))


def _form(request: Request, client: ClientConfig) -> Callable[[Event], dict[str, Any]]:
    """Return how the events are written that the request asks for. Raises ApiError."""
    asked = request.query_params.get("form", "")
    if asked == "track":
        return events.as_call
    if asked:
        raise ApiError(400, "form_invalid", "form is track, or left out.")
    return lambda event: events.as_document(event, client)


def _verdicts(items: list[batch.Item], client: ClientConfig) -> list[Verdict]:
    named = {common.browser_id(item.body.browser_id) for item in items if item.body} - {""}
    known = guests.known_browsers(client, named)
    return [_verdict(item, known) for item in items]


def _verdict(item: batch.Item, known: set[str]) -> Verdict:
    if item.body is None:
        return Verdict(status=REJECTED, code=item.code, message=item.reason)
    message_id = item.message_id or None
    browser_id = common.browser_id(item.body.browser_id)
    if browser_id and browser_id not in known:
        return Verdict(
            status=NOT_FOUND,
            message_id=message_id,
            code="unknown_browser",
            message="Invalid browser id/ref specified",
        )
    return Verdict(status=OK, message_id=message_id)


urlpatterns = [
    *door("v2/events", EventViewSet.as_view({"get": "list", "post": "create"}), name="events"),
    *door("v2/events/<str:ref>", EventViewSet.as_view({"get": "retrieve"}), name="event"),
]
