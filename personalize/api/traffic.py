"""`/v2/exclusionGroups` and `/v2/holdouts`: who is kept apart from whom, managed by servers."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from personalize import ranges, traffic
from personalize.api import bodies
from personalize.api.traffic_documents import (
    GROUPS,
    HOLDOUTS,
    ExclusionGroupBody,
    ExclusionGroupDocument,
    ExclusionGroupList,
    HoldoutBody,
    HoldoutDocument,
    HoldoutList,
)
from personalize.models import ExclusionGroup, Holdout
from tracking.api.authentication import client_of
from tracking.api.base import ApiError, ServerViewSet, json_response
from tracking.api.pagination import OFFSET_PARAMETERS
from tracking.api.routes import address, door
from tracking.api.schema import Operation, Parameter, documented
from tracking.events import stamp


@documented(
    "Traffic",
    parameters=[
        Parameter(name="ref", location="path", description="The group's ref, or its name.")
    ],
    list=Operation(
        id="listExclusionGroups", answer=ExclusionGroupList, errors=(400,),
        parameters=OFFSET_PARAMETERS,
    ),
    create=Operation(
        id="createExclusionGroup",
        request=ExclusionGroupBody,
        answer=ExclusionGroupDocument,
        status=201,
        examples=GROUPS,
    ),
    retrieve=Operation(id="readExclusionGroup", answer=ExclusionGroupDocument, errors=(404,)),
    update=Operation(
        id="replaceExclusionGroup",
        request=ExclusionGroupBody,
        answer=ExclusionGroupDocument,
        errors=(404,),
        examples=GROUPS,
    ),
    destroy=Operation(
        id="deleteExclusionGroup", status=204, errors=(400, 404),
        description="Refused while a flow names it.",
    ),
)  # fmt: skip
class ExclusionGroupViewSet(ServerViewSet):
    """Exclusion groups of a client."""

    def list(self, request: Request) -> HttpResponse:
        """List exclusion groups, by name."""
        rows = ExclusionGroup.objects.filter(client=client_of(request).id).order_by("name", "pk")
        return json_response(bodies.listed(request, rows, lambda row: _group(request, row)))

    def create(self, request: Request) -> HttpResponse:
        """Make an exclusion group; flows take parts of it."""
        body = bodies.read(request, ExclusionGroupBody, code="group_invalid")
        group = ExclusionGroup(client_id=client_of(request).id)
        return json_response(_stored_group(request, group, body), status=201)

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read an exclusion group: which flow has which part of it."""
        return json_response(_group(request, _found_group(request, ref)))

    def update(self, request: Request, ref: str) -> HttpResponse:
        """Rename an exclusion group."""
        body = bodies.read(request, ExclusionGroupBody, code="group_invalid")
        return json_response(_stored_group(request, _found_group(request, ref), body))

    def destroy(self, request: Request, ref: str) -> HttpResponse:
        """Delete an exclusion group that no flow names."""
        try:
            traffic.delete_group(_found_group(request, ref))
        except traffic.TrafficError as error:
            raise _refused(error) from None
        return HttpResponse(status=204)


@documented(
    "Traffic",
    parameters=[
        Parameter(name="ref", location="path", description="The holdout's ref, or its name.")
    ],
    list=Operation(
        id="listHoldouts", answer=HoldoutList, errors=(400,), parameters=OFFSET_PARAMETERS
    ),
    create=Operation(
        id="createHoldout",
        request=HoldoutBody,
        answer=HoldoutDocument,
        status=201,
        examples=HOLDOUTS,
    ),
    retrieve=Operation(id="readHoldout", answer=HoldoutDocument, errors=(404,)),
    update=Operation(
        id="replaceHoldout",
        request=HoldoutBody,
        answer=HoldoutDocument,
        errors=(404,),
        examples=HOLDOUTS,
        description="Raising `percent` holds out more guests, and lets none of them go.",
    ),
    destroy=Operation(id="deleteHoldout", status=204, errors=(404,)),
)
class HoldoutViewSet(ServerViewSet):
    """Site holdouts of a client."""

    def list(self, request: Request) -> HttpResponse:
        """List site holdouts, by name."""
        rows = Holdout.objects.filter(client=client_of(request).id).order_by("name", "pk")
        return json_response(bodies.listed(request, rows, lambda row: _holdout(request, row)))

    def create(self, request: Request) -> HttpResponse:
        """Make a site holdout; one that is active takes effect at once."""
        body = bodies.read(request, HoldoutBody, code="holdout_invalid")
        holdout = Holdout(client_id=client_of(request).id)
        return json_response(_stored_holdout(request, holdout, body), status=201)

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read a site holdout."""
        return json_response(_holdout(request, _found_holdout(request, ref)))

    def update(self, request: Request, ref: str) -> HttpResponse:
        """Replace a site holdout."""
        body = bodies.read(request, HoldoutBody, code="holdout_invalid")
        return json_response(_stored_holdout(request, _found_holdout(request, ref), body))

    def destroy(self, request: Request, ref: str) -> HttpResponse:
        """Delete a site holdout: its guests are shown what others see."""
        traffic.delete_holdout(_found_holdout(request, ref))
        return HttpResponse(status=204)


def _stored_group(
    request: Request, group: ExclusionGroup, body: ExclusionGroupBody
) -> dict[str, Any]:
    group.name = body.name.strip()[:200]
    try:
        traffic.save_group(group)
    except traffic.TrafficError as error:
        raise _refused(error) from None
    return _group(request, group)


def _stored_holdout(request: Request, holdout: Holdout, body: HoldoutBody) -> dict[str, Any]:
    holdout.name, holdout.percent = body.name.strip()[:200], body.percent
    holdout.is_active = body.active
    try:
        traffic.save_holdout(holdout)
    except traffic.TrafficError as error:
        raise _refused(error) from None
    return _holdout(request, holdout)


def _group(request: Request, group: ExclusionGroup) -> dict[str, Any]:
    taken = traffic.parts_of(group, now=timezone.now())
    free = ranges.free([each.part for each in taken if each.is_running])
    return {
        "ref": group.ref,
        "href": request.build_absolute_uri(address(request, "exclusion-group", group.ref)),
        "clientKey": client_of(request).client_key,
        "name": group.name,
        "flows": [
            {
                "ref": each.flow.ref,
                "friendlyId": each.flow.friendly_id,
                "name": each.flow.name,
                "status": each.flow.status,
                "low": each.part.low,
                "high": each.part.high,
                "running": each.is_running,
            }
            for each in taken
        ],
        "free": [{"low": part.low, "high": part.high} for part in free],
        "createdAt": stamp(group.created_at),
        "modifiedAt": stamp(group.modified_at),
    }


def _holdout(request: Request, holdout: Holdout) -> dict[str, Any]:
    return {
        "ref": holdout.ref,
        "href": request.build_absolute_uri(address(request, "holdout", holdout.ref)),
        "clientKey": client_of(request).client_key,
        "name": holdout.name,
        "percent": holdout.percent,
        "active": holdout.is_active,
        "createdAt": stamp(holdout.created_at),
        "modifiedAt": stamp(holdout.modified_at),
    }


def _found_group(request: Request, ref: str) -> ExclusionGroup:
    group = traffic.group_named(client_of(request).id, ref)
    if group is None:
        raise ApiError(404, "group_unknown", "There is no exclusion group with this ref or name.")
    return group


def _found_holdout(request: Request, ref: str) -> Holdout:
    rows = Holdout.objects.filter(client=client_of(request).id)
    try:
        holdout = rows.filter(ref=UUID(ref)).first()
    except ValueError:
        holdout = rows.filter(name=ref).first()
    if holdout is None:
        raise ApiError(404, "holdout_unknown", "There is no site holdout with this ref or name.")
    return holdout


def _refused(error: traffic.TrafficError) -> ApiError:
    return ApiError(400, error.code, str(error))


_many = {"get": "list", "post": "create"}
_one = {"get": "retrieve", "put": "update", "delete": "destroy"}

urlpatterns = [
    *door("v2/exclusionGroups", ExclusionGroupViewSet.as_view(_many), name="exclusion-groups"),
    *door(
        "v2/exclusionGroups/<str:ref>", ExclusionGroupViewSet.as_view(_one), name="exclusion-group"
    ),
    *door("v2/holdouts", HoldoutViewSet.as_view(_many), name="holdouts"),
    *door("v2/holdouts/<str:ref>", HoldoutViewSet.as_view(_one), name="holdout"),
]
