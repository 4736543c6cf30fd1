"""The way in: accepted requests not yet walked, what is owed to followers, what was set aside."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from .clients import Client


class InboxEntry(models.Model):
    """One accepted request: its raw bytes and the little beside them that the walk needs."""

    ref = models.UUIDField(primary_key=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    dialect = models.CharField(max_length=20)
    body = models.BinaryField()
    headers = models.JSONField(default=dict)
    received_at = models.DateTimeField()

    class Meta:
        verbose_name = _("inbox entry")
        verbose_name_plural = _("inbox")

    def __str__(self) -> str:
        return f"{self.dialect} {self.ref}"


class WalkNote(models.Model):
    """
    What a worker is about to walk, committed before it starts.

    Entries in the note of a worker that is no more were left by it. They are
    walked alone, message by message; `position` is the message about to be
    walked and `deaths` how many workers it has cost.
    """

    worker = models.CharField(max_length=200)
    entries = models.JSONField(default=list)
    position = models.IntegerField(null=True, blank=True)
    deaths = models.PositiveIntegerField(default=0)
    noted_at = models.DateTimeField()

    class Meta:
        verbose_name = _("walk note")
        verbose_name_plural = _("walk notes")

    def __str__(self) -> str:
        return f"{len(self.entries)} entries"


class FollowUp(models.Model):
    """
    What one follower still has to hear of: the events of one walked batch.

    Or guests of whom something has changed (`changed` says what) by no event of their own.
    """

    follower = models.CharField(max_length=100)
    event_refs = models.JSONField(default=list)
    guest_ids = models.JSONField(default=list)
    changed = models.CharField(max_length=20, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(db_index=True)
    last_error = models.TextField(blank=True)

    class Meta:
        verbose_name = _("follow-up")
        verbose_name_plural = _("follow-ups")

    def __str__(self) -> str:
        return f"{self.follower}: {len(self.event_refs)} events, {len(self.guest_ids)} guests"


class QuarantinedMessage(models.Model):
    """A message that could not be walked, with its raw bytes, the reason, and its replays."""

    class Status(models.TextChoices):
        HELD = "HELD", _("Held")
        REPLAYED = "REPLAYED", _("Replayed")

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    entry_ref = models.UUIDField(_("entry"))
    index = models.PositiveIntegerField(default=0)
    dialect = models.CharField(_("dialect"), max_length=20)
    type = models.CharField(_("type"), max_length=200, blank=True)
    code = models.CharField(_("reason"), max_length=50)
    reason = models.TextField(_("explanation"))
    body = models.BinaryField(help_text=_("The message alone, as it was sent."))
    headers = models.JSONField(default=dict)
    attempts = models.PositiveIntegerField(_("attempts"), default=1)
    code_version = models.CharField(_("version"), max_length=40, blank=True)
    received_at = models.DateTimeField(_("received at"))
    quarantined_at = models.DateTimeField(_("set aside at"))
    status = models.CharField(
        _("status"), max_length=8, choices=Status.choices, default=Status.HELD
    )

    class Meta:
        verbose_name = _("quarantined message")
        verbose_name_plural = _("quarantined messages")
        permissions = [("replay_quarantinedmessage", _("Can replay quarantined messages"))]
        constraints = [
            models.UniqueConstraint(
                fields=["entry_ref", "index"], name="tracking_quarantined_once"
            ),
        ]
        indexes = [models.Index(fields=["status", "-quarantined_at"], name="tracking_quarantine")]

    def __str__(self) -> str:
        return f"{self.code} ({self.type})"
