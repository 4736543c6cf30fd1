"""`/v2/executions` and `/v2/guests/{guestRef}/decisions`: why a flow ran, or would, for servers."""

from typing import Any

import msgspec
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from personalize import conf, explaining, visits
from personalize.api import story_examples
from personalize.api.filters import ExecutionFilter
from personalize.api.story_documents import (
    DecisionsDocument,
    ExecutionDocument,
    ExecutionList,
    told_past,
    told_story,
)
from personalize.conditions import normalise_params, plain
from personalize.explaining import Question
from personalize.models import Execution
from tracking.api.authentication import client_of
from tracking.api.base import (
    ApiError,
    ServerViewSet,
    json_response,
    read_document,
    uuid_or_404,
)
from tracking.api.filters import apply
from tracking.api.pagination import CURSOR_PARAMETERS, NewestFirst
from tracking.api.routes import address, door
from tracking.api.schema import Operation, Parameter, documented
from tracking.events import stamp
from tracking.types import PointOfSaleConfig


@documented(
    "Decisions",
    parameters=[Parameter(name="ref", location="path", description="Of the execution.")],
    list=Operation(
        id="listExecutions",
        answer=ExecutionList,
        errors=(400,),
        filters=ExecutionFilter,
        parameters=CURSOR_PARAMETERS,
        answers=story_examples.EXECUTION_PAGE,
    ),
    retrieve=Operation(
        id="readExecution",
        answer=ExecutionDocument,
        errors=(404,),
        answers=story_examples.EXECUTIONS,
        description="What was known of the guest then, which gates were open and why, how the "
        "decision came about; whether it comes out the same, made again from its record; and what "
        "the same call would come to now.",
    ),
)
class ExecutionViewSet(ServerViewSet):
    """Runs of a client's flows, and why they ran."""

    def list(self, request: Request) -> HttpResponse:
        """List executions, newest first."""
        found = apply(ExecutionFilter, _rows(request), request)
        page, links = NewestFirst("-occurred_at").cut(found, request, self)
        return json_response({"items": [_brief(request, run) for run in page], **links})

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read an execution, and why it ran."""
        run = _rows(request).filter(ref=uuid_or_404(ref, "execution")).first()
        if run is None:
            raise ApiError(404, "execution_unknown", "There is no execution with this ref.")
        told = explaining.past(run, now=timezone.now())
        return json_response({**_brief(request, run), **told_past(told)})


@documented(
    "Decisions",
    parameters=[Parameter(name="ref", location="path", description="Of the guest.")],
    retrieve=Operation(
        id="explainDecisions",
        answer=DecisionsDocument,
        errors=(400, 404),
        parameters=[
            Parameter(
                name="friendlyId",
                description="A flow's id, or `prefix*` for those whose id begins so.",
                required=True,
                example="hero_banner",
            ),
            Parameter(name="channel", description="WEB unless given."),
            Parameter(name="language", description="ISO 639-1."),
            Parameter(name="page", description="The page; that in params unless given."),
            Parameter(name="pointOfSale", description="By name; that of the visit unless given."),
            Parameter(
                name="params",
                description="The params of the call.",
                type=dict[str, Any],
                is_json=True,
                example={"utm": {"source": "bing"}},
            ),
        ],
        answers=story_examples.DECISIONS,
        description="Every flow that the call may mean, those that are not live too, with all its "
        "gates: on the visit that the guest is on. Nothing is recorded, and nothing counted.",
    ),
)
class GuestDecisionsViewSet(ServerViewSet):
    """What calls would come to for a guest now."""

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Say which flow a call would run for a guest now, and why, or why not."""
        client = client_of(request)
        named = visits.by_ref(client, uuid_or_404(ref, "guest"))
        if named is None:
            raise ApiError(404, "guest_unknown", "There is no guest with this ref.")
        try:
            found = explaining.why(client, _question(request), named, now=timezone.now())
        except explaining.UnknownFlow as error:
            raise ApiError(404, "flow_unknown", str(error)) from None
        rendered = found.rendered
        return json_response(
            {
                **told_story(found.story),
                "guestRef": named.guest.ref,
                "content": plain(rendered.content) if rendered else None,
                "contentError": rendered.error if rendered else "",
            }
        )


def _rows(request: Request) -> QuerySet[Execution]:
    rows = Execution.objects.filter(flow__client=client_of(request).id)
    return rows.select_related("flow", "guest", "session")


def _brief(request: Request, run: Execution) -> dict[str, Any]:
    return {
        "ref": run.ref,
        "href": request.build_absolute_uri(address(request, "execution", run.ref)),
        "clientKey": client_of(request).client_key,
        "executedAt": stamp(run.occurred_at),
        "guestRef": run.guest.ref,
        "sessionRef": run.session.ref if run.session else None,
        "flowRef": run.flow.ref,
        "friendlyId": run.flow.friendly_id,
        "flowName": run.flow.name,
        "revision": run.revision,
        "variantRef": run.variant_ref,
        "status": run.status,
        "durationMs": run.duration_ms,
    }


def _question(request: Request) -> Question:
    query = request.query_params
    friendly_id = query.get("friendlyId", "")
    if not friendly_id:
        raise ApiError(400, "friendly_id_missing", "friendlyId is missing: which flow?")
    params = _params(query.get("params", ""))
    page = query.get("page") or params.get("page")
    return Question(
        friendly_id=friendly_id,
        channel=query.get("channel", "").upper() or "WEB",
        language=query.get("language", "").upper(),
        page=page if isinstance(page, str) else "",
        params=params,
        point_of_sale=_point_of_sale(request),
    )


def _params(given: str) -> dict[str, Any]:
    raw = given.encode("utf-8", "replace")
    if len(raw) > conf.settings().MAX_CALL_BYTES:
        raise ApiError(400, "params_invalid", "params is too large.")
    try:
        params = msgspec.convert(read_document(raw), dict[str, Any]) if raw else {}
    except msgspec.ValidationError:
        raise ApiError(400, "params_invalid", "params is an object, as JSON.") from None
    return normalise_params(params)


def _point_of_sale(request: Request) -> PointOfSaleConfig | None:
    client, name = client_of(request), request.query_params.get("pointOfSale", "")
    if not name:
        return None
    found = client.point_of_sale(name=name)
    if found is None:
        valid = ", ".join(client.points_of_sale)
        raise ApiError(
            400,
            "point_of_sale_unknown",
            f"There is no point of sale “{name}”. Valid ones: {valid}.",
        )
    return found


_one = {"get": "retrieve"}

urlpatterns = [
    *door("v2/executions", ExecutionViewSet.as_view({"get": "list"}), name="executions"),
    *door("v2/executions/<str:ref>", ExecutionViewSet.as_view(_one), name="execution"),
    *door(
        "v2/guests/<str:ref>/decisions",
        GuestDecisionsViewSet.as_view(_one),
        name="guest-decisions",
    ),
]
