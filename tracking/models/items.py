"""The catalogue: items that events are about, and the categories they are in."""

from datetime import datetime

from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Left
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from .clients import Client


class ItemQuerySet(models.QuerySet["Item"]):
    def valid(self, at: datetime) -> "ItemQuerySet":
        """Items whose time it is."""
        return self.filter(
            Q(valid_from__isnull=True) | Q(valid_from__lte=at),
            Q(valid_to__isnull=True) | Q(valid_to__gt=at),
        )

    def upcoming(self, at: datetime) -> "ItemQuerySet":
        return self.filter(valid_from__gt=at)

    def expired(self, at: datetime) -> "ItemQuerySet":
        return self.filter(valid_to__lte=at)

    def in_category(self, path: str) -> "ItemQuerySet":
        """Items in the category of this path, or in one below it."""
        below = f"{path}/"
        # An index finds what begins so; SQLite's answer is blind to case, so it is looked at again.
        begins = Q(path__startswith=below) & Q(Exact(Left("path", len(below)), Value(below)))
        within = ItemCategory.objects.filter(Q(path=path) | begins)
        return self.filter(pk__in=within.values("item"))


class Item(models.Model):
    """
    What can be clicked, bought or recommended. Its type and id name it, within a client.

    An import says all of it. Clicks add what no import has said: `imported_at`
    is null while only they know it, `supplemented_at` is when they last did.
    """

    client = models.ForeignKey(
        Client, verbose_name=_("client"), on_delete=models.CASCADE, related_name="+"
    )
    type = models.IntegerField(_("type"))
    item_id = models.CharField(_("id"), max_length=256)
    name = models.CharField(_("name"), max_length=500, blank=True)
    price = models.BigIntegerField(
        _("price"), null=True, blank=True, help_text=_("In the currency's minor unit.")
    )
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    url = models.CharField(_("address"), max_length=2048, blank=True)
    image = models.CharField(_("image"), max_length=2048, blank=True)
    description = models.TextField(_("description"), blank=True)
    attributes = models.JSONField(
        _("attributes"), default=list, blank=True, help_text=_("A list of key, value and type.")
    )
    content = models.JSONField(_("content"), default=dict, blank=True)
    valid_from = models.DateTimeField(_("valid from"), null=True, blank=True)
    valid_to = models.DateTimeField(_("valid until"), null=True, blank=True)
    imported_at = models.DateTimeField(_("imported at"), null=True, blank=True)
    supplemented_at = models.DateTimeField(_("supplemented at"), null=True, blank=True)
    updated_at = models.DateTimeField(_("updated at"))

    objects = ItemQuerySet.as_manager()

    class Meta:
        verbose_name = _("item")
        verbose_name_plural = _("items")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "type", "item_id"], name="tracking_item_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.type}/{self.item_id}"


class ItemCategoryQuerySet(models.QuerySet["ItemCategory"]):
    def aged(self, before: datetime) -> "ItemCategoryQuerySet":
        """Those that clicks told of, and none has since."""
        return self.filter(source=ItemCategory.Source.CLICK, seen_at__lt=before)


class ItemCategory(models.Model):
    """
    That an item is in a category: a path from the root, with slashes between.

    An import's categories stay until the next one; those that clicks told of
    age out once none tells of them any more.
    """

    class Source(models.TextChoices):
        IMPORT = "IMPORT", _("Import")
        CLICK = "CLICK", _("Clicks")

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="categories")
    path = models.CharField(_("path"), max_length=500, db_index=True)
    source = models.CharField(_("known from"), max_length=6, choices=Source.choices)
    seen_at = models.DateTimeField(_("last seen at"))

    objects = ItemCategoryQuerySet.as_manager()

    class Meta:
        verbose_name = _("category")
        verbose_name_plural = _("categories")
        constraints = [
            models.UniqueConstraint(fields=["item", "path"], name="tracking_item_category_unique"),
        ]
        indexes = [
            models.Index(
                fields=["seen_at"], condition=Q(source="CLICK"), name="tracking_category_clicked"
            ),
        ]

    def __str__(self) -> str:
        return self.path
