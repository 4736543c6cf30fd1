"""Who is kept apart from whom: groups of flows that share no guest, and guests who get nothing."""

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tracking.models import Client

PERCENT = (MinValueValidator(0), MaxValueValidator(100))


class ExclusionGroup(models.Model):
    """
    Flows of which a guest enters one at most: each takes a part of the group's guests.

    Where a guest stands in the group depends on `ref` and the guest alone.
    """

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(
        Client, on_delete=models.CASCADE, related_name="+", verbose_name=_("client")
    )
    name = models.CharField(_("name"), max_length=200)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    modified_at = models.DateTimeField(_("modified at"), auto_now=True)

    class Meta:
        verbose_name = _("exclusion group")
        verbose_name_plural = _("exclusion groups")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "name"], name="personalize_exclusion_group_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Holdout(models.Model):
    """
    Guests of a client who are shown nothing by any flow: what all flows together are worth.

    Who is in it depends on `ref` and the guest alone. One at most is active at a time.
    """

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(
        Client, on_delete=models.CASCADE, related_name="+", verbose_name=_("client")
    )
    name = models.CharField(_("name"), max_length=200)
    percent = models.FloatField(
        _("share of all guests (%)"),
        default=5,
        validators=PERCENT,
        help_text=_("So many of 100 guests are shown nothing by any experience or experiment."),
    )
    is_active = models.BooleanField(
        _("active"), default=False, help_text=_("One holdout at most is active at a time.")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    modified_at = models.DateTimeField(_("modified at"), auto_now=True)

    class Meta:
        verbose_name = _("site holdout")
        verbose_name_plural = _("site holdouts")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "name"], name="personalize_holdout_name_unique"
            ),
            models.UniqueConstraint(
                fields=["client"],
                condition=Q(is_active=True),
                name="personalize_one_active_holdout",
            ),
        ]

    def __str__(self) -> str:
        return self.name
