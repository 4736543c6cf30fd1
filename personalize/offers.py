"""
What may happen to offers and their templates: saved, deleted.

The admin and the REST API both come here. An offer takes effect as soon as it is saved, in every
process at once: saving moves the client's catalog on.
"""

from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet

from personalize import catalogs, decisions, offer_attributes, stored_conditions
from personalize.models import DecisionModel, Offer, OfferTemplate
from tracking import db


class OfferError(ValueError):
    """A change that an offer does not take; the text says what to do, `code` names the rule."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def save_template(template: OfferTemplate) -> OfferTemplate:
    """Store a template. Raises OfferError when an offer of it would no longer fit."""
    if not template.name.strip():
        raise OfferError("name_missing", "An offer template needs a name.")
    attributes, problems = offer_attributes.read_template(template.attributes)
    if problems:
        raise OfferError("attributes_invalid", " ".join(problems))
    with db.write():
        catalogs.lock(template.client_id)
        same = OfferTemplate.objects.filter(client=template.client_id, name=template.name)
        if same.exclude(pk=template.pk).exists():
            raise OfferError("name_taken", f"There is a template “{template.name}” already.")
        if template.pk is not None:
            _check_offers_of(template, attributes)
        template.save()
    return template


def _check_offers_of(template: OfferTemplate, attributes: list[offer_attributes.Attribute]) -> None:
    in_use = Offer.objects.kept().filter(template=template.pk)
    for offer in in_use.exclude(status=Offer.Status.ARCHIVED).order_by("name", "pk"):
        problems = offer_attributes.problems_of(offer.attributes, attributes)
        if problems:
            raise OfferError(
                "offers_misfit",
                f"The offer “{offer.name}” would no longer fit: {problems[0]} Change the offer "
                "first, or make a template of its own for the new kind.",
            )


def delete_template(template: OfferTemplate) -> None:
    """Delete a template that no offer was ever made of. Raises OfferError."""
    with db.write():
        catalogs.lock(template.client_id)
        offer = Offer.objects.filter(template=template.pk).order_by("deleted_at").first()
        if offer is not None:
            raise OfferError(
                "template_in_use",
                f"The offer “{offer.name}” was made of this template, which stays with it.",
            )
        template.delete()


def save(offer: Offer, *, by: AbstractBaseUser | None = None) -> Offer:
    """Store an offer and let it take effect. Raises OfferError with everything that is wrong."""
    _check(offer)
    with db.write():
        offer.catalog_version = catalogs.next_version(offer.client_id)
        if Offer.objects.filter(pk=offer.pk, deleted_at__isnull=False).exists():
            raise OfferError("offer_deleted", "The offer was deleted.")
        offer.modified_by = by  # type: ignore[assignment]
        offer.save()
    return offer


def _check(offer: Offer) -> None:
    if not offer.name.strip():
        raise OfferError("name_missing", "An offer needs a name.")
    if offer.status not in Offer.Status.values:
        statuses = ", ".join(Offer.Status.values)
        raise OfferError("status_unknown", f"There is no status {offer.status}: {statuses}.")
    if offer.valid_from and offer.valid_to and offer.valid_from >= offer.valid_to:
        raise OfferError("validity_invalid", "The offer ends before it begins.")
    if offer.template.client_id != offer.client_id:
        raise OfferError("template_unknown", "The template belongs to another client.")
    wrong = stored_conditions.problems_of(offer.client_id, offer.audience)
    if wrong:
        raise OfferError("audience_invalid", f"Audience: {wrong[0]}")
    attributes, _problems = offer_attributes.read_template(offer.template.attributes)
    problems = offer_attributes.problems_of(offer.attributes, attributes)
    if problems:
        raise OfferError("attributes_invalid", " ".join(problems))


def delete(offer: Offer, *, now: datetime) -> None:
    """Take an offer away for good. Raises OfferError while a decision model names it."""
    with db.write():
        version = catalogs.next_version(offer.client_id)
        users = users_of(offer)
        if users:
            names = ", ".join(f"“{model.name}”" for model in users)
            raise OfferError(
                "offer_in_use",
                f"The offer is used by {names}. Take it out of there and publish, or archive the "
                "offer: archived offers are shown to nobody.",
            )
        Offer.objects.filter(pk=offer.pk, deleted_at__isnull=True).update(
            deleted_at=now, catalog_version=version
        )
    offer.deleted_at = now


def users_of(offer: Offer) -> list[DecisionModel]:
    """Return the decision models whose draft or published revision names an offer."""
    models = DecisionModel.objects.kept().filter(client=offer.client_id)
    return [
        model
        for model in models.select_related("published").order_by("name", "pk")
        if any(str(offer.ref) in named for named in _named_by(model))
    ]


def _named_by(model: DecisionModel) -> list[frozenset[str]]:
    documents = [model.draft, model.published.document if model.published else None]
    return [decisions.offers_in(document) for document in documents if document]


def of_client(client_id: int) -> "QuerySet[Offer]":
    """Return the offers that can be chosen: neither deleted nor archived."""
    rows: QuerySet[Offer] = Offer.objects.kept().filter(client=client_id)
    return rows.exclude(status=Offer.Status.ARCHIVED).order_by("name", "pk")
