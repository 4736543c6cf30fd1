"""`/v2/decisionModels`: decision tables and registered callables, managed by servers."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from personalize import decision_models, decisions
from personalize.api import bodies, condition_schema, decision_examples
from personalize.api.decision_documents import (
    DecisionModelBody,
    DecisionModelDocument,
    DecisionModelList,
)
from personalize.models import DecisionModel
from tracking.api.authentication import client_of
from tracking.api.base import ApiError, ServerViewSet, json_response
from tracking.api.pagination import OFFSET_PARAMETERS
from tracking.api.routes import address, door
from tracking.api.schema import Operation, Parameter, documented
from tracking.events import stamp

_ABOUT_TABLES = """A `decision` is a table:

- `inputs`: columns, each on a `field` of the conditions, or (without one) of whole conditions.
- `outputs`: `name`, `type` (TEXT, NUMBER, BOOLEAN, JSON, OFFER: the ref of an offer), `default`.
- `rows`: `when`, one cell for each input, `{"operator", "value"}` or null for any; `then`, the
  outputs by name; `priority`, for the hit policy PRIORITY.
- `hitPolicy`: FIRST (unless given), UNIQUE, ANY, PRIORITY, RULE_ORDER, COLLECT; with COLLECT an
  `aggregator`: LIST, SUM, MIN, MAX, COUNT.
- `tests`: `name`, `facts` by field (`event.ADD`: how often), `expected` outputs. All of them have
  to pass before it is published.

Or it is `{"callable": "name"}`, which the site's own code has registered. Rows of a UNIQUE table
that can both hit are refused, with an example; what may be meant is in `warnings`."""


@documented(
    "Decision models",
    parameters=[
        Parameter(
            name="ref",
            location="path",
            description="The model's ref, or its friendlyId.",
            example="next_best_offer",
        )
    ],
    schemas=condition_schema.schemas,
    list=Operation(
        id="listDecisionModels", answer=DecisionModelList, errors=(400,),
        parameters=OFFSET_PARAMETERS,
    ),
    create=Operation(
        id="createDecisionModel",
        request=DecisionModelBody,
        answer=DecisionModelDocument,
        status=201,
        examples=decision_examples.MODELS,
        description=_ABOUT_TABLES,
    ),
    retrieve=Operation(id="readDecisionModel", answer=DecisionModelDocument, errors=(404,)),
    update=Operation(
        id="replaceDecisionModel",
        request=DecisionModelBody,
        answer=DecisionModelDocument,
        errors=(404,),
        examples=decision_examples.MODELS,
        description="Replaces the draft; what decides stays until it is published.",
    ),
    publish=Operation(
        id="publishDecisionModel",
        answer=DecisionModelDocument,
        errors=(400, 404),
        description="Refused while one of its tests fails, or an offer that it names is gone.",
    ),
    destroy=Operation(
        id="deleteDecisionModel", status=204, errors=(400, 404),
        description="Refused while a flow names it.",
    ),
)  # fmt: skip
class DecisionModelViewSet(ServerViewSet):
    """Decision models of a client."""

    def list(self, request: Request) -> HttpResponse:
        """List decision models, by their friendlyIds."""
        rows = DecisionModel.objects.kept().filter(client=client_of(request).id)
        found = rows.select_related("published").order_by("friendly_id")
        return json_response(bodies.listed(request, found, lambda model: _document(request, model)))

    def create(self, request: Request) -> HttpResponse:
        """Make a decision model: its draft."""
        body = bodies.read(request, DecisionModelBody, code="decision_invalid")
        model = DecisionModel(client_id=client_of(request).id)
        return json_response(_stored(request, model, body), status=201)

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read a decision model; a deleted one too."""
        return json_response(_document(request, _model(request, ref)))

    def update(self, request: Request, ref: str) -> HttpResponse:
        """Replace the draft of a decision model."""
        body = bodies.read(request, DecisionModelBody, code="decision_invalid")
        return json_response(_stored(request, _model(request, ref), body))

    def publish(self, request: Request, ref: str) -> HttpResponse:
        """Let the draft decide from now on."""
        model = _model(request, ref)
        try:
            decision_models.publish(model, now=timezone.now())
        except decision_models.DecisionError as error:
            raise _refused(error) from None
        return json_response(_document(request, model))

    def destroy(self, request: Request, ref: str) -> HttpResponse:
        """Delete a decision model that no flow names; its id and history stay."""
        try:
            decision_models.delete(_model(request, ref), now=timezone.now())
        except decision_models.DecisionError as error:
            raise _refused(error) from None
        return HttpResponse(status=204)


def _stored(request: Request, model: DecisionModel, body: DecisionModelBody) -> dict[str, Any]:
    model.name, model.description = body.name.strip()[:200], body.description
    model.draft = body.decision
    if body.friendlyId:
        model.friendly_id = body.friendlyId
    try:
        decision_models.save(model)
    except decision_models.DecisionError as error:
        raise _refused(error) from None
    return _document(request, model)


def _document(request: Request, model: DecisionModel) -> dict[str, Any]:
    href = address(request, "decision-model", model.ref)
    return {
        "ref": model.ref,
        "href": request.build_absolute_uri(href),
        "clientKey": client_of(request).client_key,
        "name": model.name,
        "friendlyId": model.friendly_id,
        "description": model.description,
        "deleted": model.deleted_at is not None,
        "revision": model.published.number if model.published else 0,
        "decision": model.draft,
        "published": model.published.document if model.published else None,
        "warnings": _warnings(model.draft),
        "createdAt": stamp(model.created_at),
        "modifiedAt": stamp(model.modified_at),
    }


def _warnings(document: Any) -> list[str]:
    try:
        review = decisions.review(decisions.compile(document))
    except decisions.DecisionInvalid as error:
        return [problem.message for problem in error.problems]
    return [problem.message for problem in (*review.problems, *review.warnings)]


def _model(request: Request, ref: str) -> DecisionModel:
    rows = DecisionModel.objects.filter(client=client_of(request).id).select_related("published")
    try:
        model = rows.filter(ref=UUID(ref)).first()
    except ValueError:
        model = rows.filter(friendly_id=ref).first()
    if model is None:
        raise ApiError(
            404, "decision_unknown", "There is no decision model with this ref or friendlyId."
        )
    return model


def _refused(error: decision_models.DecisionError) -> ApiError:
    return ApiError(400, error.code, str(error))


_collection = DecisionModelViewSet.as_view({"get": "list", "post": "create"})
_one = DecisionModelViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"})
_publish = DecisionModelViewSet.as_view({"post": "publish"})

urlpatterns = [
    *door("v2/decisionModels", _collection, name="decision-models"),
    *door("v2/decisionModels/<str:ref>", _one, name="decision-model"),
    *door("v2/decisionModels/<str:ref>/publish", _publish, name="decision-model-publish"),
]
