"""What came of flows: goals, who saw which variant, what they did then, and numbers of it all."""

import uuid
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from tracking.models import Guest

from .flows import Flow


class Goal(models.Model):
    """
    What a flow is to achieve: of the draft, in their order; the first is primary.

    `document` is a goal as `personalize.goals` reads it, without ref and name.
    A goal that measures something else is another goal, with a ref of its own.
    """

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="goals")
    name = models.CharField(_("name"), max_length=100)
    position = models.PositiveIntegerField(default=0)
    document: "models.JSONField[Any, Any]" = models.JSONField(_("goal"), default=dict)

    class Meta:
        verbose_name = _("goal")
        verbose_name_plural = _("goals")

    def __str__(self) -> str:
        return self.name


class Exposure(models.Model):
    """
    That a visit saw a flow: since when, which variant, and what came of it in the visit.

    `visit` is the session's id; of what has none the guest's, negative. `amounts`: by measure,
    [numerator, denominator or null, when (ms since 1970) or null], in millionths.
    """

    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="+", db_index=False)
    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="+")
    visit = models.BigIntegerField()
    variant_ref = models.UUIDField(_("variant"))
    phase = models.PositiveIntegerField(_("phase"), default=1)
    exposed_at = models.DateTimeField(_("exposed at"))
    is_mixed = models.BooleanField(default=False)
    channel = models.CharField(_("channel"), max_length=20, blank=True)
    device = models.CharField(_("device"), max_length=20, blank=True)
    amounts: "models.JSONField[Any, Any]" = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("exposure")
        verbose_name_plural = _("exposures")
        constraints = [
            models.UniqueConstraint(fields=["visit", "flow"], name="personalize_exposure_once"),
        ]
        indexes = [models.Index(fields=["flow", "id"], name="personalize_exposure_flow")]

    def __str__(self) -> str:
        return f"{self.guest_id} saw {self.flow_id} {self.exposed_at:%Y-%m-%d %H:%M:%S}"


class Assignment(models.Model):
    """
    Which variant of a flow a person has: the one seen first, by any guest of theirs.

    `guest` speaks for the person. Who saw two variants (`is_mixed`) counts for none of them.
    `day` is that of the first exposure where the client is.
    """

    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="+", db_index=False)
    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="+")
    variant_ref = models.UUIDField(_("variant"))
    phase = models.PositiveIntegerField(_("phase"), default=1)
    first_at = models.DateTimeField(_("first exposure"))
    day = models.DateField(_("day"))
    is_mixed = models.BooleanField(_("saw two variants"), default=False)
    visits = models.PositiveIntegerField(_("visits"), default=1)
    channel = models.CharField(_("channel"), max_length=20, blank=True)
    device = models.CharField(_("device"), max_length=20, blank=True)

    class Meta:
        verbose_name = _("assignment")
        verbose_name_plural = _("assignments")
        constraints = [
            models.UniqueConstraint(fields=["flow", "guest"], name="personalize_assignment_once"),
        ]

    def __str__(self) -> str:
        return f"{self.guest_id}: {self.variant_ref}"


class GuestGoal(models.Model):
    """
    What a person came to by a measure of a flow, in millionths; no row where it is nothing.

    `y` is divided by `d` where the goal brings that, else by visits or guests; `x` is what
    the person came to in the time before the first exposure.
    """

    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="+", db_index=False)
    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="+")
    measure = models.UUIDField(_("measure"))
    y = models.BigIntegerField(default=0)
    d = models.BigIntegerField(default=0)
    x = models.BigIntegerField(default=0)
    reached_at = models.DateTimeField(_("first reached at"), null=True)

    class Meta:
        verbose_name = _("guest's goal")
        verbose_name_plural = _("guests' goals")
        constraints = [
            models.UniqueConstraint(
                fields=["flow", "measure", "guest"], name="personalize_guest_goal_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.guest_id}: {self.y}"


class DailyNumbers(models.Model):
    """
    Sums over the guests who saw a variant first on one day, by measure.

    They are kept by what a guest comes to in all, not by what happened on a day: only then do
    squares add up to a variance. `sums` are whole numbers as `personalize.numbers` writes them,
    in text: no database's numbers are as large. `measure` of the guests themselves is zero.
    """

    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="+", db_index=False)
    day = models.DateField(_("day"))
    phase = models.PositiveIntegerField(_("phase"), default=1)
    variant_ref = models.UUIDField(_("variant"))
    measure = models.UUIDField(_("measure"))
    sums = models.TextField()

    class Meta:
        verbose_name = _("numbers of a day")
        verbose_name_plural = _("numbers of days")
        constraints = [
            models.UniqueConstraint(
                fields=["flow", "day", "phase", "variant_ref", "measure"],
                name="personalize_numbers_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.flow_id} {self.day}"


class DailyRuns(models.Model):
    """How often a variant ran on a day where the client is, how fast, and how often it failed."""

    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="+", db_index=False)
    day = models.DateField(_("day"))
    variant_ref = models.UUIDField(_("variant"))
    sums = models.TextField()

    class Meta:
        verbose_name = _("runs of a day")
        verbose_name_plural = _("runs of days")
        constraints = [
            models.UniqueConstraint(
                fields=["flow", "day", "variant_ref"], name="personalize_runs_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.flow_id} {self.day}"
