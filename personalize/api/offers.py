"""`/v2/offers` and `/v2/offerTemplates`: what decisions can answer with, managed by servers."""

from typing import Any
from uuid import UUID

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from personalize import offers
from personalize.api import bodies, condition_schema, decision_examples
from personalize.api.decision_documents import (
    OfferBody,
    OfferDocument,
    OfferList,
    OfferTemplateBody,
    OfferTemplateDocument,
    OfferTemplateList,
)
from personalize.models import Offer, OfferTemplate
from tracking.api.authentication import client_of
from tracking.api.base import ApiError, ServerViewSet, json_response, uuid_or_404
from tracking.api.pagination import OFFSET_PARAMETERS
from tracking.api.routes import address, door
from tracking.api.schema import Operation, Parameter, documented
from tracking.events import stamp


@documented(
    "Offers",
    parameters=[Parameter(name="ref", location="path", description="The offer's ref.")],
    schemas=condition_schema.schemas,
    list=Operation(id="listOffers", answer=OfferList, errors=(400,), parameters=OFFSET_PARAMETERS),
    create=Operation(
        id="createOffer", request=OfferBody, answer=OfferDocument, status=201,
        examples=decision_examples.OFFERS,
    ),
    retrieve=Operation(id="readOffer", answer=OfferDocument, errors=(404,)),
    update=Operation(
        id="replaceOffer",
        request=OfferBody,
        answer=OfferDocument,
        errors=(404,),
        examples=decision_examples.OFFERS,
        description="What is not given takes its default. It takes effect at once.",
    ),
    destroy=Operation(
        id="deleteOffer", status=204, errors=(400, 404),
        description="Refused while a decision model names it: archive it instead.",
    ),
)  # fmt: skip
class OfferViewSet(ServerViewSet):
    """Offers of a client."""

    def list(self, request: Request) -> HttpResponse:
        """List offers, by name."""
        rows = Offer.objects.kept().filter(client=client_of(request).id)
        found = rows.select_related("template").order_by("name", "pk")
        return json_response(bodies.listed(request, found, lambda offer: _offer(request, offer)))

    def create(self, request: Request) -> HttpResponse:
        """Make an offer."""
        body = bodies.read(request, OfferBody, code="offer_invalid")
        offer = Offer(client_id=client_of(request).id)
        return json_response(_stored(request, offer, body), status=201)

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read an offer; a deleted one too."""
        return json_response(_offer(request, _found(request, ref)))

    def update(self, request: Request, ref: str) -> HttpResponse:
        """Replace an offer."""
        body = bodies.read(request, OfferBody, code="offer_invalid")
        return json_response(_stored(request, _found(request, ref), body))

    def destroy(self, request: Request, ref: str) -> HttpResponse:
        """Delete an offer that no decision model names."""
        try:
            offers.delete(_found(request, ref), now=timezone.now())
        except offers.OfferError as error:
            raise _refused(error) from None
        return HttpResponse(status=204)


@documented(
    "Offers",
    parameters=[
        Parameter(name="ref", location="path", description="The template's ref, or its name.")
    ],
    list=Operation(
        id="listOfferTemplates", answer=OfferTemplateList, errors=(400,),
        parameters=OFFSET_PARAMETERS,
    ),
    create=Operation(
        id="createOfferTemplate",
        request=OfferTemplateBody,
        answer=OfferTemplateDocument,
        status=201,
        examples=decision_examples.TEMPLATES,
    ),
    retrieve=Operation(id="readOfferTemplate", answer=OfferTemplateDocument, errors=(404,)),
    update=Operation(
        id="replaceOfferTemplate",
        request=OfferTemplateBody,
        answer=OfferTemplateDocument,
        errors=(404,),
        examples=decision_examples.TEMPLATES,
        description="Refused where an offer of it would no longer fit.",
    ),
    destroy=Operation(
        id="deleteOfferTemplate", status=204, errors=(400, 404),
        description="Refused if an offer was ever made of it.",
    ),
)  # fmt: skip
class OfferTemplateViewSet(ServerViewSet):
    """Offer templates of a client."""

    def list(self, request: Request) -> HttpResponse:
        """List offer templates, by name."""
        rows = OfferTemplate.objects.filter(client=client_of(request).id).order_by("name", "pk")
        return json_response(bodies.listed(request, rows, lambda row: _template(request, row)))

    def create(self, request: Request) -> HttpResponse:
        """Make an offer template."""
        body = bodies.read(request, OfferTemplateBody, code="template_invalid")
        template = OfferTemplate(client_id=client_of(request).id)
        return json_response(_stored_template(request, template, body), status=201)

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read an offer template."""
        return json_response(_template(request, _found_template(request, ref)))

    def update(self, request: Request, ref: str) -> HttpResponse:
        """Replace an offer template."""
        body = bodies.read(request, OfferTemplateBody, code="template_invalid")
        return json_response(_stored_template(request, _found_template(request, ref), body))

    def destroy(self, request: Request, ref: str) -> HttpResponse:
        """Delete an offer template that no offer was made of."""
        try:
            offers.delete_template(_found_template(request, ref))
        except offers.OfferError as error:
            raise _refused(error) from None
        return HttpResponse(status=204)


def _stored(request: Request, offer: Offer, body: OfferBody) -> dict[str, Any]:
    template = _named_template(request, body.template)
    if template is None:
        raise ApiError(400, "template_unknown", f"There is no offer template “{body.template}”.")
    offer.template = template
    offer.name, offer.description = body.name.strip()[:200], body.description
    offer.attributes, offer.audience, offer.status = body.attributes, body.audience, body.status
    offer.valid_from, offer.valid_to = bodies.aware(body.validFrom), bodies.aware(body.validTo)
    try:
        offers.save(offer)
    except offers.OfferError as error:
        raise _refused(error) from None
    return _offer(request, offer)


def _stored_template(
    request: Request, template: OfferTemplate, body: OfferTemplateBody
) -> dict[str, Any]:
    template.name, template.description = body.name.strip()[:200], body.description
    template.attributes = msgspec.to_builtins(body.attributes)
    try:
        offers.save_template(template)
    except offers.OfferError as error:
        raise _refused(error) from None
    return _template(request, template)


def _offer(request: Request, offer: Offer) -> dict[str, Any]:
    return {
        "ref": offer.ref,
        "href": request.build_absolute_uri(address(request, "offer", offer.ref)),
        "clientKey": client_of(request).client_key,
        "name": offer.name,
        "description": offer.description,
        "template": offer.template.name,
        "templateRef": offer.template.ref,
        "attributes": offer.attributes,
        "status": offer.status,
        "deleted": offer.deleted_at is not None,
        "validFrom": stamp(offer.valid_from) if offer.valid_from else None,
        "validTo": stamp(offer.valid_to) if offer.valid_to else None,
        "audience": offer.audience,
        "createdAt": stamp(offer.created_at),
        "modifiedAt": stamp(offer.modified_at),
    }


def _template(request: Request, template: OfferTemplate) -> dict[str, Any]:
    return {
        "ref": template.ref,
        "href": request.build_absolute_uri(address(request, "offer-template", template.ref)),
        "clientKey": client_of(request).client_key,
        "name": template.name,
        "description": template.description,
        "attributes": template.attributes,
        "createdAt": stamp(template.created_at),
        "modifiedAt": stamp(template.modified_at),
    }


def _found(request: Request, ref: str) -> Offer:
    rows = Offer.objects.filter(client=client_of(request).id).select_related("template")
    offer: Offer | None = rows.filter(ref=uuid_or_404(ref, "offer")).first()
    if offer is None:
        raise ApiError(404, "offer_unknown", "There is no offer with this ref.")
    return offer


def _found_template(request: Request, ref: str) -> OfferTemplate:
    template = _named_template(request, ref)
    if template is None:
        raise ApiError(404, "template_unknown", "There is no offer template with this ref or name.")
    return template


def _named_template(request: Request, ref: str) -> OfferTemplate | None:
    rows = OfferTemplate.objects.filter(client=client_of(request).id)
    try:
        return rows.filter(ref=UUID(ref)).first()
    except ValueError:
        return rows.filter(name=ref).first()


def _refused(error: offers.OfferError) -> ApiError:
    return ApiError(400, error.code, str(error))


_one = {"get": "retrieve", "put": "update", "delete": "destroy"}

urlpatterns = [
    *door("v2/offers", OfferViewSet.as_view({"get": "list", "post": "create"}), name="offers"),
    *door("v2/offers/<str:ref>", OfferViewSet.as_view(_one), name="offer"),
    *door(
        "v2/offerTemplates",
        OfferTemplateViewSet.as_view({"get": "list", "post": "create"}),
        name="offer-templates",
    ),
    *door("v2/offerTemplates/<str:ref>", OfferTemplateViewSet.as_view(_one), name="offer-template"),
]
