"""Saved audiences: segments, who is in them and was, and when that may change by time alone."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tracking.models import Guest

from .made import Made, NamedQuerySet


class SegmentQuerySet(NamedQuerySet["Segment"]):
    def unbuilt(self) -> "SegmentQuerySet":
        """Segments whose guests have not all been judged by the condition as it is now."""
        return self.kept().filter(built_to__isnull=False)


class Segment(Made):
    """
    A set of guests: those for whom a condition holds, or those that a list names.

    `built_to`: guests up to this id stand as the condition says now, those
    after it are still to be judged; None: all of them stand. `reads_site`: the
    condition is about the site's own tables, which tell nobody when they change.
    """

    class Kind(models.TextChoices):
        LIVE = "LIVE", _("By condition")
        LIST = "LIST", _("List")

    friendly_id = models.CharField(
        _("friendly ID"),
        max_length=120,
        help_text=_("What conditions and calls name it by. Made from the name, then fixed."),
    )
    kind = models.CharField(_("kind"), max_length=4, choices=Kind.choices, default=Kind.LIVE)
    condition: "models.JSONField[Any, Any]" = models.JSONField(
        _("condition"), default=dict, blank=True
    )
    built_to = models.BigIntegerField(null=True, blank=True, editable=False)
    built_at = models.DateTimeField(_("built at"), null=True, blank=True, editable=False)
    reads_site = models.BooleanField(default=False, editable=False)

    objects = SegmentQuerySet.as_manager()

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        permissions = [("export_segment", _("Can export the guests of a segment"))]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "friendly_id"], name="personalize_segment_unique"
            ),
        ]


class MembershipQuerySet(models.QuerySet["SegmentMembership"]):
    def current(self) -> "MembershipQuerySet":
        """Who is in a segment now."""
        return self.filter(left_at__isnull=True)

    def of_guest(self, guest_id: int) -> "MembershipQuerySet":
        """Where a guest, and everybody merged into it, is and was; but not in what was deleted."""
        person = Guest.objects.speaking_through(guest_id)
        rows = self.filter(guest__in=person, segment__deleted_at__isnull=True)
        return rows.select_related("segment")


class SegmentMembership(models.Model):
    """That a guest is in a segment since, or was until. At most one of a pair is not over."""

    segment = models.ForeignKey(
        Segment, on_delete=models.CASCADE, related_name="memberships", db_index=False
    )
    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="+", db_index=False)
    entered_at = models.DateTimeField(_("entered at"))
    left_at = models.DateTimeField(_("left at"), null=True, blank=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        verbose_name = _("segment membership")
        verbose_name_plural = _("segment memberships")
        constraints = [
            models.UniqueConstraint(
                fields=["segment", "guest"],
                condition=Q(left_at__isnull=True),
                name="personalize_member_once",
            ),
        ]
        indexes = [
            models.Index(fields=["guest", "-entered_at"], name="personalize_member_guest"),
            models.Index(fields=["segment", "id"], name="personalize_member_segment"),
            models.Index(
                fields=["left_at"],
                condition=Q(left_at__isnull=False),
                name="personalize_member_left",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.guest_id} in {self.segment_id}"


class SegmentDue(models.Model):
    """When time alone may take a guest into a segment or out of it: then it is judged again."""

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="+", db_index=False)
    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="+")
    due_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("due judgement")
        verbose_name_plural = _("due judgements")
        constraints = [
            models.UniqueConstraint(fields=["segment", "guest"], name="personalize_due_once"),
        ]

    def __str__(self) -> str:
        return f"{self.segment_id} {self.guest_id} {self.due_at:%Y-%m-%d %H:%M:%S}"
