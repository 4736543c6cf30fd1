"""What ran, as a projection of TRACKING events, and why other calls ran nothing."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from tracking.models import Client, Guest, Session

from .flows import Flow


class Execution(models.Model):
    """One run of a flow for one guest: derived from its TRACKING event, and rebuilt from it."""

    class Status(models.TextChoices):
        SUCCESS = "SUCCESS", _("Success")
        ERROR = "ERROR", _("Error")

    ref = models.UUIDField(primary_key=True, editable=False)
    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="executions")
    variant_ref = models.UUIDField(_("variant"))
    revision = models.PositiveIntegerField(_("revision"), default=0)
    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="+")
    session = models.ForeignKey(
        Session, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    occurred_at = models.DateTimeField(_("occurred at"))
    duration_ms = models.PositiveIntegerField(_("duration (ms)"))
    status = models.CharField(_("status"), max_length=7, choices=Status.choices)

    class Meta:
        verbose_name = _("execution")
        verbose_name_plural = _("executions")
        indexes = [
            models.Index(fields=["flow", "-occurred_at"], name="personalize_exec_flow"),
            models.Index(fields=["-occurred_at"], name="personalize_exec_time"),
        ]

    def __str__(self) -> str:
        return f"{self.occurred_at:%Y-%m-%d %H:%M:%S}"


class DecisionRecord(models.Model):
    """
    What the flow walk knew and decided when it ran: a fact beside the run's TRACKING event.

    It comes with the event and is written with it, once; nothing makes it again. `body` is JSON
    as `personalize.records` writes and reads it, kept as text: a database's own JSON would not
    give every number back as it was.
    """

    ref = models.UUIDField(primary_key=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="+")
    decided_at = models.DateTimeField(_("decided at"), db_index=True)
    body = models.TextField(_("record"))

    class Meta:
        verbose_name = _("decision record")
        verbose_name_plural = _("decision records")

    def __str__(self) -> str:
        return f"{self.ref} {self.decided_at:%Y-%m-%d %H:%M:%S}"


class ExitCount(models.Model):
    """How many calls a day ended at one of a flow's gates, by reason."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="exits")
    reason = models.CharField(_("reason"), max_length=20)
    day = models.DateField(_("day"))
    count = models.BigIntegerField(_("calls"), default=0)

    class Meta:
        verbose_name = _("early exit")
        verbose_name_plural = _("early exits")
        constraints = [
            models.UniqueConstraint(
                fields=["flow", "reason", "day"], name="personalize_exit_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reason} {self.day}: {self.count}"
