"""Visit sessions: the events of one browser on one channel and point of sale until an idle gap."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .clients import Client, PointOfSale
from .guests import Guest, Identifier


class SessionQuerySet(models.QuerySet["Session"]):
    def open(self) -> "SessionQuerySet":
        return self.filter(status=Session.Status.OPEN)


class Session(models.Model):
    """A visit. `ended_at` is the time of its newest event; the visit may still be open."""

    class Status(models.TextChoices):
        OPEN = "OPEN", _("Open")
        CLOSED = "CLOSED", _("Closed")

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="sessions")
    browser = models.ForeignKey(
        Identifier, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    channel = models.CharField(_("channel"), max_length=20)
    point_of_sale = models.ForeignKey(
        PointOfSale, on_delete=models.PROTECT, related_name="+", verbose_name=_("point of sale")
    )
    status = models.CharField(
        _("status"), max_length=6, choices=Status.choices, default=Status.OPEN
    )
    is_forced_closed = models.BooleanField(default=False)
    started_at = models.DateTimeField(_("started at"))
    ended_at = models.DateTimeField(_("last event at"))
    events_count = models.PositiveIntegerField(_("events"), default=0)
    views_count = models.PositiveIntegerField(_("views"), default=0)
    entry_page = models.CharField(_("entry page"), max_length=4096, blank=True)
    last_page = models.CharField(_("last page"), max_length=4096, blank=True)
    referrer = models.CharField(_("referrer"), max_length=4096, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=1024, blank=True)
    utm = models.JSONField(default=dict, blank=True)
    place = models.JSONField(_("place"), default=dict, blank=True)
    language = models.CharField(_("language"), max_length=3, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    created_at = models.DateTimeField(_("created at"))

    objects = SessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        constraints = [
            models.UniqueConstraint(
                fields=["browser", "channel", "point_of_sale"],
                condition=Q(status="OPEN"),
                name="tracking_one_open_session",
            ),
        ]
        indexes = [
            models.Index(fields=["guest", "-started_at"], name="tracking_session_guest"),
            models.Index(fields=["browser", "-started_at"], name="tracking_session_browser"),
            models.Index(fields=["client", "-id"], name="tracking_session_client"),
            models.Index(
                fields=["ended_at"], condition=Q(status="OPEN"), name="tracking_session_idle"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.started_at:%Y-%m-%d %H:%M}"
