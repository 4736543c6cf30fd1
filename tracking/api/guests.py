"""`/v2.1/guests`: profiles and their history, read and written by servers."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from django.http import HttpResponse, StreamingHttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from tracking import conf, privacy, profiles, relations, timeline
from tracking.api import examples, filters
from tracking.api.authentication import client_of
from tracking.api.base import (
    ApiError,
    ServerViewSet,
    json_response,
    read_body,
    read_document,
    uuid_or_404,
)
from tracking.api.documents import GuestDocument, GuestList, RelationList, Timeline
from tracking.api.pagination import OFFSET_PARAMETERS, offset_page, offset_window
from tracking.api.routes import address, door
from tracking.api.schema import Operation, Parameter, documented
from tracking.events import stamp
from tracking.models import Device, Guest, Identifier, Membership
from tracking.relations import Relation
from tracking.types import DEVICES, StatedIdentifier
from tracking.wire import common, sitecore

#: Names on the wire -> profile fields.
_FIELDS = {
    "title": "title",
    "firstName": "first_name",
    "lastName": "last_name",
    "gender": "gender",
    "dateOfBirth": "date_of_birth",
    "email": "email",
    "nationality": "nationality",
    "language": "language",
    "city": "city",
    "state": "state",
    "postCode": "postal_code",
    "country": "country",
    "street": "street",
}


class GuestBody(msgspec.Struct, kw_only=True):
    """A guest's profile as a server writes it. What is not given stays as it is."""

    guestType: Annotated[str | None, Meta(examples=["customer"])] = None
    title: str | None = None
    firstName: str | None = None
    lastName: str | None = None
    gender: str | None = None
    dateOfBirth: Annotated[str | None, Meta(examples=["1815-12-10"])] = None
    email: str | None = None
    phoneNumbers: list[str] | None = None
    nationality: str | None = None
    language: str | None = None
    city: str | None = None
    state: str | None = None
    postCode: str | None = None
    country: str | None = None
    street: list[str] | None = None
    identifiers: list[sitecore.IdentifierBody] | None = None
    attributes: Annotated[
        dict[str, Any] | None, Meta(description="Read in conditions: `guest.attributes.<path>`.")
    ] = None


@documented(
    "Guests",
    parameters=[Parameter(name="ref", location="path", description="Of the guest.", type=UUID)],
    list=Operation(
        id="listGuests",
        answer=GuestList,
        errors=(400,),
        filters=filters.GuestFilter,
        parameters=[
            Parameter(name="identifiers.provider", description="With identifiers.id: who has it."),
            Parameter(name="identifiers.id", description="The number in that numbering."),
            *OFFSET_PARAMETERS,
        ],
        description="Guests that were merged into others are not listed.",
    ),
    create=Operation(
        id="createGuest",
        request=GuestBody,
        answer=GuestDocument,
        status=201,
        examples=examples.GUEST,
        description="`guestType` is needed.",
    ),
    retrieve=Operation(id="readGuest", answer=GuestDocument, errors=(404,)),
    update=Operation(
        id="replaceGuest",
        request=GuestBody,
        answer=GuestDocument,
        errors=(404,),
        examples=examples.GUEST,
        description="Identifiers and attributes are added to those that are there.",
    ),
    partial_update=Operation(
        id="changeGuest",
        request=GuestBody,
        answer=GuestDocument,
        errors=(404,),
        examples=examples.GUEST,
        description="Identifiers and attributes are added to those that are there.",
    ),
    destroy=Operation(
        id="deleteGuest",
        status=204,
        errors=(404,),
        description="The person goes with all that was recorded: whoever was merged into the "
        "guest, and whoever it was merged into.",
    ),
    export=Operation(
        id="exportGuest",
        answer=dict[str, list[dict[str, Any]]],
        errors=(404,),
        description="Of the person: whoever was merged into the guest, and whoever it was merged "
        "into. Also what is not walked yet, and what was set aside.",
    ),
    items=Operation(
        id="listGuestItems",
        answer=RelationList,
        errors=(400, 404),
        parameters=[OFFSET_PARAMETERS[0]],
        description="Of several ratings the newest counts, of several percentages the highest.",
    ),
    timeline=Operation(
        id="readTimeline",
        answer=Timeline,
        errors=(400, 404),
        parameters=[
            OFFSET_PARAMETERS[0],
            Parameter(name="before", type=UUID, description="Only what came before this event."),
        ],
    ),
)
class GuestViewSet(ServerViewSet):
    """Guests of a client."""

    def list(self, request: Request) -> HttpResponse:
        """List guests by address; each is read by its own."""
        rows = Guest.objects.survivors().filter(client=client_of(request).id)
        found = filters.apply(filters.GuestFilter, rows, request).order_by("pk")
        page, _ = offset_page(request, found, lambda guest: {"href": _href(request, guest)})
        return json_response(page)

    def create(self, request: Request) -> HttpResponse:
        """Make a guest. Search first: an identifier that names somebody already is refused."""
        body = _body(request)
        if body.guestType is None:
            raise ApiError(400, "guest_type_missing", "guestType is missing: visitor or customer.")
        try:
            guest = profiles.create(
                client_of(request),
                guest_type=_type(body) or Guest.Type.VISITOR,
                traits=_traits(body),
                attributes=body.attributes or {},
                identifiers=_identifiers(body),
                now=timezone.now(),
            )
        except profiles.IdentifierTaken as error:
            raise ApiError(400, "identifier_taken", str(error)) from None
        return json_response(_document(request, guest), status=201)

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read a guest. A retired ref answers too, and names the survivor."""
        return json_response(_document(request, guest_of(request, ref)))

    def update(self, request: Request, ref: str) -> HttpResponse:
        """Replace a guest's profile: what is not given is emptied."""
        body = _body(request)
        emptied = {name: [] if name == "street" else "" for name in (*_FIELDS.values(), "phone")}
        return self._change(request, ref, body, {**emptied, **_traits(body)})

    def partial_update(self, request: Request, ref: str) -> HttpResponse:
        """Change the given fields of a guest's profile."""
        body = _body(request)
        return self._change(request, ref, body, _traits(body))

    def _change(
        self, request: Request, ref: str, body: GuestBody, traits: dict[str, Any]
    ) -> HttpResponse:
        guest = guest_of(request, ref)
        if guest.root_id is not None:
            raise ApiError(
                400,
                "guest_retired",
                f"The guest was merged into {guest.root.ref}: change that one.",  # type: ignore[union-attr]
            )
        try:
            profiles.change(
                guest,
                guest_type=_type(body),
                traits=traits,
                attributes=body.attributes or {},
                identifiers=_identifiers(body),
                now=timezone.now(),
            )
        except profiles.IdentifierTaken as error:
            raise ApiError(400, "identifier_taken", str(error)) from None
        return json_response(_document(request, guest))

    def destroy(self, request: Request, ref: str) -> HttpResponse:
        """Delete a guest, everybody merged into it, and all that was recorded for them."""
        subject = privacy.subject_of(guest_of(request, ref))
        privacy.erase(subject, until=timezone.now())
        return HttpResponse(status=204)

    def export(self, request: Request, ref: str) -> StreamingHttpResponse:
        """Read all that is kept of a guest: an object of lists, one for each table."""
        subject = privacy.subject_of(guest_of(request, ref))
        return StreamingHttpResponse(privacy.export(subject), content_type="application/json")

    def items(self, request: Request, ref: str) -> HttpResponse:
        """List the items that a guest last dealt with, and how."""
        _, limit = offset_window(request)
        found = relations.of_guest(guest_of(request, ref), limit=limit)
        return json_response({"items": [_relation(each) for each in found]})

    def timeline(self, request: Request, ref: str) -> HttpResponse:
        """Read what a guest did and saw, newest first."""
        guest = guest_of(request, ref)
        _, limit = offset_window(request)
        lines = timeline.of_guest(guest, before=_before(request), limit=limit)
        more = len(lines) == limit
        return json_response(
            {
                "items": [_line(line) for line in lines],
                "next": _next(request, str(lines[-1].ref)) if more and lines else None,
            }
        )


def _body(request: Request) -> GuestBody:
    raw = read_body(request, limit=conf.settings().MAX_BATCH_BYTES)
    try:
        return msgspec.convert(read_document(raw), GuestBody)
    except msgspec.ValidationError as error:
        raise ApiError(400, "guest_invalid", f"The guest is not valid: {error}.") from None


def guest_of(request: Request, ref: str) -> Guest:
    """Return the client's guest of this ref, a retired one too. Raises ApiError."""
    rows = Guest.objects.filter(client=client_of(request).id).select_related("root")
    guest = rows.filter(ref=uuid_or_404(ref, "guest")).first()
    if guest is None:
        raise ApiError(404, "guest_unknown", "There is no guest with this ref.")
    return guest


def _type(body: GuestBody) -> str | None:
    if body.guestType is None:
        return None
    given = body.guestType.upper()
    if given not in (Guest.Type.VISITOR, Guest.Type.CUSTOMER):
        raise ApiError(400, "guest_type_invalid", "guestType is visitor or customer.")
    return given


def _traits(body: GuestBody) -> dict[str, Any]:
    found = {field: getattr(body, name) for name, field in _FIELDS.items()}
    if body.phoneNumbers is not None:
        found["phone"] = body.phoneNumbers[0] if body.phoneNumbers else ""
    return {field: value for field, value in found.items() if value is not None}


def _identifiers(body: GuestBody) -> tuple[StatedIdentifier, ...]:
    try:
        return sitecore.stated(body.identifiers)
    except common.Rejected as error:
        raise ApiError(400, error.code, str(error)) from None


def _href(request: Request, guest: Guest) -> str:
    return request.build_absolute_uri(address(request, "guest", guest.ref))


def _document(request: Request, guest: Guest) -> dict[str, Any]:
    named = Identifier.objects.filter(guest__in=Guest.objects.speaking_through(guest.pk))
    document: dict[str, Any] = {
        "ref": guest.ref,
        "href": _href(request, guest),
        "guestType": guest.type.lower(),
        "createdAt": stamp(guest.created_at),
        "modifiedAt": stamp(guest.modified_at),
        "firstSeen": stamp(guest.first_seen),
        "lastSeen": stamp(guest.last_seen),
        **{name: getattr(guest, field) for name, field in _FIELDS.items()},
        "emails": [guest.email] if guest.email else [],
        "phoneNumbers": [guest.phone] if guest.phone else [],
        "identifiers": [
            {
                "provider": row.provider,
                "id": row.value,
                "expiryDate": stamp(row.expires_at) if row.expires_at else None,
            }
            for row in named.exclude(provider__in=DEVICES).order_by("pk")
        ],
        "attributes": guest.attributes,
        "groups": [
            {
                "objectTypeId": row.group.kind,
                "groupId": row.group.key,
                "since": stamp(row.since),
                "attributes": row.group.attributes,
            }
            for row in Membership.objects.current_of(guest.pk)
        ],
        "devices": [
            {
                "token": device.token,
                "type": device.platform,
                "lastUsedAt": stamp(device.last_used_at),
                "attributes": device.attributes,
            }
            for device in Device.objects.current_of(guest.pk)
        ],
    }
    if guest.root is not None:
        document["mergedInto"] = guest.root.ref
    return document


def _relation(relation: Relation) -> dict[str, Any]:
    return {
        "itemType": relation.item.type,
        "productId": relation.item.id,
        "name": relation.name,
        "lastAt": stamp(relation.last_at),
        "views": relation.views,
        "added": relation.added,
        "bought": relation.bought,
        "consumed": relation.consumed,
        "rating": relation.rating,
        "wished": relation.is_wished,
        "disliked": relation.is_disliked,
        "owned": relation.is_owned,
    }


def _line(line: timeline.Line) -> dict[str, Any]:
    return {
        "ref": line.ref,
        "at": stamp(line.at),
        "kind": line.kind,
        "type": line.type,
        "sentence": line.sentence,
        "detail": line.detail,
        "channel": line.channel,
        "sessionRef": line.session_ref,
        "semantic": line.semantic,
        "remarks": line.remarks,
    }


def _before(request: Request) -> UUID | None:
    given = request.query_params.get("before")
    try:
        return UUID(given) if given else None
    except ValueError:
        raise ApiError(400, "before_invalid", "before is the ref of an event.") from None


def _next(request: Request, before: str) -> str:
    query = request.query_params.copy()
    query["before"] = before
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


_collection = GuestViewSet.as_view({"get": "list", "post": "create"})
_one = GuestViewSet.as_view(
    {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
)

urlpatterns = [
    *door("v2.1/guests", _collection, name="guests"),
    *door("v2.1/guests/<str:ref>", _one, name="guest"),
    *door(
        "v2.1/guests/<str:ref>/export",
        GuestViewSet.as_view({"get": "export"}),
        name="guest-export",
    ),
    *door(
        "v2.1/guests/<str:ref>/items",
        GuestViewSet.as_view({"get": "items"}),
        name="guest-items",
    ),
    *door(
        "v2.1/guests/<str:ref>/timeline",
        GuestViewSet.as_view({"get": "timeline"}),
        name="guest-timeline",
    ),
]
