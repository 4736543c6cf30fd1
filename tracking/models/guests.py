"""Who is here: guests, the identifiers that name them, and what joined them."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from .clients import Client


class GuestQuerySet(models.QuerySet["Guest"]):
    def survivors(self) -> "GuestQuerySet":
        """Guests that speak for themselves: everybody but the merged away."""
        return self.filter(root__isnull=True)

    def speaking_through(self, guest_id: int) -> "GuestQuerySet":
        """The guest and everybody merged into it."""
        return self.filter(Q(pk=guest_id) | Q(root_id=guest_id))


class Guest(models.Model):
    """
    A person who interacts, known or not.

    After a merge the guest keeps its own rows; `root` points straight at the
    survivor (never at another merged guest), and reads go through it.
    """

    class Type(models.TextChoices):
        VISITOR = "VISITOR", _("Visitor")
        CUSTOMER = "CUSTOMER", _("Customer")
        RETIRED = "RETIRED", _("Retired (merged)")
        BOT = "BOT", _("Bot")

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    bucket_ref = models.UUIDField(
        editable=False, help_text=_("What allocation and variant are drawn by.")
    )
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    root = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="merged",
        verbose_name=_("merged into"),
    )
    type = models.CharField(_("type"), max_length=8, choices=Type.choices, default=Type.VISITOR)
    has_runs = models.BooleanField(default=False, editable=False)
    first_name = models.CharField(_("first name"), max_length=200, blank=True)
    last_name = models.CharField(_("last name"), max_length=200, blank=True)
    title = models.CharField(_("title"), max_length=50, blank=True)
    gender = models.CharField(_("gender"), max_length=20, blank=True)
    date_of_birth = models.CharField(_("date of birth"), max_length=40, blank=True)
    email = models.CharField(_("e-mail"), max_length=320, blank=True)
    phone = models.CharField(_("phone"), max_length=50, blank=True)
    street = models.JSONField(_("street"), default=list, blank=True)
    city = models.CharField(_("city"), max_length=200, blank=True)
    state = models.CharField(_("state"), max_length=200, blank=True)
    postal_code = models.CharField(_("postal code"), max_length=40, blank=True)
    country = models.CharField(_("country"), max_length=100, blank=True)
    nationality = models.CharField(_("nationality"), max_length=100, blank=True)
    language = models.CharField(_("language"), max_length=20, blank=True)
    attributes = models.JSONField(_("attributes"), default=dict, blank=True)
    stamps = models.JSONField(
        default=dict,
        editable=False,
        help_text=_("Trait -> [milliseconds, message id] of the statement that set it."),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    first_seen = models.DateTimeField(_("first seen"))
    last_seen = models.DateTimeField(_("last seen"))
    created_at = models.DateTimeField(_("created at"))
    modified_at = models.DateTimeField(_("modified at"))

    objects = GuestQuerySet.as_manager()

    class Meta:
        verbose_name = _("guest")
        verbose_name_plural = _("guests")
        permissions = [
            ("unmerge_guest", _("Can undo a merge of guests")),
            ("export_guest", _("Can export all that is kept of a guest")),
            ("erase_guest", _("Can erase a guest for good")),
        ]
        indexes = [
            # None on last_seen: it changes with every walk, and an index on it would make each
            # of these updates write to all indexes of the table.
            models.Index(
                F("client"),
                Lower("email"),
                condition=~Q(email=""),
                name="tracking_guest_email",
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.get_type_display()} {str(self.ref)[:8]}"

    @property
    def name(self) -> str:
        """The person's name as far as it is known, else the e-mail, else nothing."""
        return f"{self.first_name} {self.last_name}".strip() or self.email


class Identifier(models.Model):
    """
    What names a guest: a browser id, an e-mail, a customer number.

    `guest` is whose it is now. `birth_guest` is the guest that this very
    identifier brought into the world, whatever happened since.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    provider = models.CharField(_("provider"), max_length=100)
    value = models.CharField(_("value"), max_length=320)
    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="identifiers")
    birth_guest = models.ForeignKey(
        Guest, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    moved_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When it last changed hands; earlier events look back.")
    )
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("identifier")
        verbose_name_plural = _("identifiers")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "provider", "value"], name="tracking_identifier_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.value}"


class IdentityLink(models.Model):
    """
    The fact identity rests on: one event stated that these two name one person.

    `left` is who spoke (a browser id, mostly), `right` what was stated. Links
    of one event share its ref; `position` keeps the order they were given in.
    A link that was taken back stays, inactive.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    left_provider = models.CharField(max_length=100)
    left_value = models.CharField(max_length=320)
    right_provider = models.CharField(max_length=100)
    right_value = models.CharField(max_length=320)
    policy = models.CharField(max_length=16)
    event_ref = models.UUIDField()
    message_id = models.CharField(max_length=100)
    position = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField(null=True, blank=True)
    occurred_at = models.DateTimeField()
    is_active = models.BooleanField(default=True)

    class Meta:
        verbose_name = _("identity link")
        verbose_name_plural = _("identity links")
        indexes = [
            models.Index(
                fields=["client", "left_value", "left_provider"], name="tracking_link_left"
            ),
            models.Index(
                fields=["client", "right_value", "right_provider"], name="tracking_link_right"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["event_ref", "position"], name="tracking_link_event_unique"
            ),
        ]

    def __str__(self) -> str:
        left, right = self.left_provider, self.right_provider
        return f"{left} {self.left_value} = {right} {self.right_value}"


class MergeRecord(models.Model):
    """That one guest was merged into another: by which event, and what the survivor was before."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    survivor = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="merges")
    retired = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="retirements")
    event_ref = models.UUIDField()
    merged_at = models.DateTimeField(_("merged at"))
    undone_at = models.DateTimeField(_("undone at"), null=True, blank=True)
    survivor_before = models.JSONField(
        default=dict, help_text=_("Traits the survivor took over: name -> [value, stamp] before.")
    )

    class Meta:
        verbose_name = _("merge")
        verbose_name_plural = _("merges")
        constraints = [
            models.UniqueConstraint(
                fields=["retired"],
                condition=Q(undone_at__isnull=True),
                name="tracking_one_merge_in_force",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.retired_id} → {self.survivor_id}"
