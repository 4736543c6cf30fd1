"""Decision models: the draft that is edited, and the revisions that were published."""

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .made import Made, MadeQuerySet


class DecisionModel(Made):
    """
    Rules that say which offer or content a guest gets: a table, or a registered callable.

    What runs is never `draft` but `published`, an immutable revision. `friendly_id` stays taken
    for ever, also after the model is deleted.
    """

    friendly_id = models.CharField(
        _("friendly ID"),
        max_length=120,
        help_text=_("What flows name it by. Made from the name; fixed once published."),
    )
    draft: "models.JSONField[Any, Any]" = models.JSONField(_("decision"), default=dict)
    published = models.ForeignKey(
        "personalize.DecisionRevision",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("published revision"),
    )

    objects = MadeQuerySet["DecisionModel"].as_manager()

    class Meta:
        verbose_name = _("decision model")
        verbose_name_plural = _("decision models")
        permissions = [("publish_decisionmodel", _("Can publish decision models"))]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "friendly_id"], name="personalize_decision_id_unique"
            ),
        ]


class DecisionRevision(models.Model):
    """What decided: the model as it was published, never changed afterwards."""

    model = models.ForeignKey(DecisionModel, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField(_("revision"))
    document: "models.JSONField[Any, Any]" = models.JSONField()
    published_at = models.DateTimeField(_("published at"))
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("published by"),
    )

    class Meta:
        verbose_name = _("revision")
        verbose_name_plural = _("revisions")
        constraints = [
            models.UniqueConstraint(
                fields=["model", "number"], name="personalize_decision_number_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model_id} r{self.number}"
