"""What a client's events are meant to have, and what they were seen to have."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from .clients import Client


class EventModel(models.Model):
    """
    What events of one type are meant to look like, and what becomes of those that do not.

    `fields` is a list of objects with path, type, required, allowedValues and
    description, as `tracking.event_models.fields` reads it.
    """

    class Mode(models.TextChoices):
        OBSERVE = "OBSERVE", _("Observe")
        WARN = "WARN", _("Warn")
        REJECT = "REJECT", _("Reject")

    client = models.ForeignKey(
        Client, on_delete=models.CASCADE, related_name="event_models", verbose_name=_("client")
    )
    event_type = models.CharField(
        _("type"), max_length=200, help_text=_("As it is sent, such as VIEW or Order Completed.")
    )
    mode = models.CharField(
        _("mode"),
        max_length=8,
        choices=Mode.choices,
        default=Mode.OBSERVE,
        help_text=_(
            "Of events that do not fit: Observe keeps them without a word, Warn keeps them with "
            "warnings, Reject sets them aside in the quarantine, from where they can be replayed."
        ),
    )
    description = models.TextField(_("description"), blank=True)
    fields = models.JSONField(_("fields"), default=list, blank=True)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    class Meta:
        verbose_name = _("event model")
        verbose_name_plural = _("event models")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "event_type"],
                name="tracking_event_model_unique",
                violation_error_message=_("The client has a model of this type already."),
            ),
        ]

    def __str__(self) -> str:
        return self.event_type


class SeenEvent(models.Model):
    """
    A type of event that a client was seen to send.

    `samples` are the refs of its newest events: examples are read from these
    while they are there, so that nothing of people is kept here.
    """

    client = models.ForeignKey(
        Client, on_delete=models.CASCADE, related_name="seen_events", verbose_name=_("client")
    )
    event_type = models.CharField(_("type"), max_length=200)
    count = models.BigIntegerField(_("events"), default=0)
    samples = models.JSONField(default=list, editable=False)
    first_seen = models.DateTimeField(_("first seen"))
    last_seen = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("seen event type")
        verbose_name_plural = _("seen event types")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "event_type"], name="tracking_seen_event_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.event_type


class SeenProperty(models.Model):
    """In how many events of a type a path had a value of one JSON type."""

    event = models.ForeignKey(SeenEvent, on_delete=models.CASCADE, related_name="properties")
    path = models.CharField(_("path"), max_length=250)
    kind = models.CharField(_("type"), max_length=8)
    count = models.BigIntegerField(_("events"), default=0)
    first_seen = models.DateTimeField(_("first seen"))
    last_seen = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("seen property")
        verbose_name_plural = _("seen properties")
        constraints = [
            models.UniqueConstraint(
                fields=["event", "path", "kind"], name="tracking_seen_property_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.path} ({self.kind})"
