"""Offers: what decisions can answer with, and the templates that say what each is made of."""

import uuid
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from tracking.models import Client

from .made import Made, MadeQuerySet


class OfferTemplate(models.Model):
    """The attributes that offers of one kind have: `[{"name", "type", "required"}, ...]`."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(
        Client, on_delete=models.CASCADE, related_name="+", verbose_name=_("client")
    )
    name = models.CharField(_("name"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    attributes: "models.JSONField[Any, Any]" = models.JSONField(_("attributes"), default=list)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    modified_at = models.DateTimeField(_("modified at"), auto_now=True)

    class Meta:
        verbose_name = _("offer template")
        verbose_name_plural = _("offer templates")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "name"], name="personalize_offer_template_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Offer(Made):
    """
    Something to show or grant: attributes, and who can have it when.

    A change takes effect as soon as it is saved. Guests can have an offer while it is LIVE,
    within its dates, and if its audience holds for them.
    """

    class Status(models.TextChoices):
        DRAFT = "DRAFT", _("Draft")
        LIVE = "LIVE", _("Live")
        PAUSED = "PAUSED", _("Paused")
        ARCHIVED = "ARCHIVED", _("Archived")

    template = models.ForeignKey(
        OfferTemplate, on_delete=models.RESTRICT, related_name="offers", verbose_name=_("template")
    )
    status = models.CharField(
        _("status"), max_length=8, choices=Status.choices, default=Status.DRAFT
    )
    valid_from = models.DateTimeField(_("valid from"), null=True, blank=True)
    valid_to = models.DateTimeField(_("valid to"), null=True, blank=True)
    audience: "models.JSONField[Any, Any]" = models.JSONField(
        _("audience"), default=dict, blank=True
    )
    attributes: "models.JSONField[Any, Any]" = models.JSONField(
        _("attributes"), default=dict, blank=True
    )

    objects = MadeQuerySet["Offer"].as_manager()

    class Meta:
        verbose_name = _("offer")
        verbose_name_plural = _("offers")
