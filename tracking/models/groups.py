"""What people belong to and are reached by: groups (accounts, objects), and devices."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from .clients import Client
from .guests import Guest


class Group(models.Model):
    """
    An account, a team, or any object that people belong to, as group calls tell of it.

    `kind` tells types of objects apart. One that was deleted stays, so that an
    older call does not bring it back.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(_("object type"), max_length=100, default="1")
    key = models.CharField(_("group id"), max_length=256)
    attributes = models.JSONField(_("attributes"), default=dict, blank=True)
    stamps = models.JSONField(
        default=dict,
        editable=False,
        help_text=_("Attribute -> [milliseconds, message id] of the statement that set it."),
    )
    is_deleted = models.BooleanField(_("deleted"), default=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    modified_at = models.DateTimeField(_("modified at"), auto_now=True)

    class Meta:
        verbose_name = _("group")
        verbose_name_plural = _("groups")
        constraints = [
            models.UniqueConstraint(fields=["client", "kind", "key"], name="tracking_group_unique"),
        ]

    def __str__(self) -> str:
        return str(self.attributes.get("name") or self.key)


class MembershipQuerySet(models.QuerySet["Membership"]):
    def current_of(self, guest_id: int) -> list["Membership"]:
        """Return to what the guest, or anybody merged into it, belongs now; the oldest first."""
        members = Guest.objects.speaking_through(guest_id)
        newest: dict[int, Membership] = {}
        for row in self.filter(guest__in=members).select_related("group"):
            known = newest.get(row.group_id)
            if known is None or known.stamp < row.stamp:
                newest[row.group_id] = row
        current = [row for row in newest.values() if row.is_member and not row.group.is_deleted]
        return sorted(current, key=lambda row: (row.since, row.pk))


class Membership(models.Model):
    """That a guest belongs to a group, or no longer does; the newest statement counts."""

    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="memberships")
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="memberships")
    is_member = models.BooleanField(_("belongs to it"), default=True)
    stamp = models.JSONField(default=list, editable=False)
    since = models.DateTimeField(_("since"))

    objects = MembershipQuerySet.as_manager()

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["guest", "group"], name="tracking_membership_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.guest} - {self.group}"


class DeviceQuerySet(models.QuerySet["Device"]):
    def current_of(self, guest_id: int) -> "DeviceQuerySet":
        """Devices that reach the guest, or anybody merged into it; the last used first."""
        members = Guest.objects.speaking_through(guest_id)
        return self.filter(guest__in=members, is_deleted=False).order_by("-last_used_at", "pk")


class Device(models.Model):
    """A device that a guest can be reached by, named by the token of its push service."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="devices")
    token = models.CharField(_("token"), max_length=512)
    platform = models.CharField(_("platform"), max_length=40, blank=True)
    attributes = models.JSONField(_("attributes"), default=dict, blank=True)
    is_deleted = models.BooleanField(_("deleted"), default=False)
    stamp = models.JSONField(default=list, editable=False)
    last_used_at = models.DateTimeField(_("last used at"))

    objects = DeviceQuerySet.as_manager()

    class Meta:
        verbose_name = _("device")
        verbose_name_plural = _("devices")
        constraints = [
            models.UniqueConstraint(fields=["client", "token"], name="tracking_device_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.platform} {self.token[:12]}…"


class Suppression(models.Model):
    """
    Of whom nothing is recorded: all of it, or what happened before they were deleted.

    Only a keyed hash says who, so that the list is not itself a record of them.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)
    is_blocked = models.BooleanField(_("nothing is recorded"), default=False)
    stamp = models.JSONField(default=list, editable=False)
    deleted_at = models.DateTimeField(_("nothing is recorded until"), null=True, blank=True)

    class Meta:
        verbose_name = _("suppression")
        verbose_name_plural = _("suppressions")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "digest"], name="tracking_suppression_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.digest[:12]
