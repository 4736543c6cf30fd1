"""What all things that marketers make have in common; the other modules here say what they are."""

import uuid
from typing import Self, TypeVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from tracking.models import Client

M = TypeVar("M", bound=models.Model)


class MadeQuerySet(models.QuerySet[M]):
    def kept(self) -> Self:
        """Those that nobody has deleted."""
        return self.filter(deleted_at__isnull=True)


class NamedQuerySet(MadeQuerySet[M]):
    def named(self, name: str) -> Self:
        """Those of this ref or friendly ID."""
        try:
            return self.filter(ref=uuid.UUID(name))
        except ValueError:
            return self.filter(friendly_id=name)


class Made(models.Model):
    """
    Something of a client that marketers name and change.

    What was deleted stays as a row, so that what was recorded of it can still be told.
    `catalog_version`: of the change of what runs that it had part in last; see FlowCatalog.
    """

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(
        Client, on_delete=models.CASCADE, related_name="+", verbose_name=_("client")
    )
    name = models.CharField(_("name"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    catalog_version = models.BigIntegerField(default=0, editable=False, db_index=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    modified_at = models.DateTimeField(_("modified at"), auto_now=True)
    modified_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name
