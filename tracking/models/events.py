"""Events: what happened, the fact that everything else is derived from."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .clients import Client, PointOfSale
from .guests import Guest, Identifier
from .sessions import Session


class EventQuerySet(models.QuerySet["Event"]):
    def of_guest(self, guest_id: int) -> "EventQuerySet":
        """Events of the guest and of everybody merged into it."""
        return self.filter(guest__in=Guest.objects.speaking_through(guest_id))


class Event(models.Model):
    """
    One fact. `ref` is a UUIDv7 derived from the inbox entry that brought it.

    `data` is what happened, in one form for all clients: the caller's own
    attributes at its top. `original` is the message as it was sent, where its
    client can ask for that again; otherwise `data` is just that. An event
    about a group that names no person has no guest. No foreign key points
    here, and every read is bounded by guest, session or ref, so that the
    table can be split by time. The database does not check the keys that point away: the
    walk writes them from rows that it holds locked, and checking five of them
    per event would cost as much as writing it.
    """

    ref = models.UUIDField(primary_key=True, editable=False)
    client = models.ForeignKey(
        Client, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    type = models.CharField(_("type"), max_length=200)
    dialect = models.CharField(_("came by"), max_length=20)
    message_id = models.CharField(_("message id"), max_length=100)
    occurred_at = models.DateTimeField(_("occurred at"))
    received_at = models.DateTimeField(_("received at"))
    recorded_at = models.DateTimeField(_("recorded at"))
    guest = models.ForeignKey(
        Guest,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    session = models.ForeignKey(
        Session, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    browser = models.ForeignKey(
        Identifier,
        # No index leads from a browser to its events: whoever deletes one finds them by its visits.
        on_delete=models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    channel = models.CharField(_("channel"), max_length=20)
    point_of_sale = models.ForeignKey(
        PointOfSale,
        verbose_name=_("point of sale"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    flow_execution_ref = models.UUIDField(null=True, blank=True)
    flow_ref = models.UUIDField(null=True, blank=True)
    warnings = models.JSONField(_("warnings"), default=list, blank=True)
    data = models.JSONField(_("data"), default=dict)
    original = models.JSONField(null=True, blank=True, editable=False)

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = [
            models.UniqueConstraint(fields=["client", "message_id"], name="tracking_event_once"),
        ]
        indexes = [
            models.Index(fields=["guest", "-occurred_at"], name="tracking_event_guest"),
            models.Index(fields=["session", "type"], name="tracking_event_session"),
            models.Index(
                fields=["flow_ref", "-ref"],
                condition=Q(flow_ref__isnull=False),
                name="tracking_event_flow",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.occurred_at:%Y-%m-%d %H:%M:%S}"
