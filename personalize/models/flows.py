"""What marketers build: flows with their variants, and the revisions that were published."""

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from personalize.bucketing import BUCKETS
from tracking.models import Client

from .decisions import DecisionModel
from .made import Made, NamedQuerySet
from .traffic import PERCENT, ExclusionGroup


class FlowQuerySet(NamedQuerySet["Flow"]):
    def unmeasured(self) -> "FlowQuerySet":
        """Flows of which not all that was seen is measured by the goals as they are."""
        return self.filter(measured_to__isnull=False)


class Flow(Made):
    """
    An experience or an experiment: the draft that is edited, and its state.

    What runs is never this row but `published`, an immutable revision.
    `friendly_id` stays taken for ever, also after the flow is deleted.
    `measured_to`: exposures up to this id are measured by the goals as they were
    published, those after it are still to be; None: all of them are. `sample_size` says by what
    an experiment is planned: baseValue, minimumDetectableDifference (relative), confidenceLevel
    and power; what is not there takes its default. `weighed_at`: when the results of what runs
    were last asked for its weights; None: they are set by hand.
    """

    class Subtype(models.TextChoices):
        EXPERIENCE = "EXPERIENCE", _("Experience")
        EXPERIMENT = "EXPERIMENT", _("Experiment")

    class Type(models.TextChoices):
        API = "INTERACTIVE_API_FLOW", _("API and site")
        WEB = "INTERACTIVE_WEB_FLOW", _("Web")
        TRIGGERED = "TRIGGERED_V3", _("Triggered")

    class TrafficMode(models.TextChoices):
        UNIQUE = "UNIQUE", _("Unique: by chance, independent of other flows")
        UNIVERSAL = "UNIVERSAL", _("Universal: by the guest’s bucket, the same in all flows")
        OPTIMIZED = (
            "OPTIMIZED",
            _("Optimized: by what the variants come to, the best gets the most"),
        )

    class Status(models.TextChoices):
        DRAFT = "DRAFT", _("Draft")
        SCHEDULED = "SCHEDULED", _("Scheduled")
        LIVE = "LIVE", _("Live")
        PAUSED = "PAUSED", _("Paused")
        COMPLETED = "COMPLETED", _("Completed")

    subtype = models.CharField(_("kind"), max_length=10, choices=Subtype.choices)
    type = models.CharField(
        _("delivered by"), max_length=24, choices=Type.choices, default=Type.API
    )
    friendly_id = models.CharField(
        _("friendly ID"),
        max_length=120,
        help_text=_("What a call names it by. Made from the name; fixed once published."),
    )
    tags = models.JSONField(_("tags"), default=list, blank=True)
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.DRAFT
    )
    is_archived = models.BooleanField(_("archived"), default=False)
    starts_at = models.DateTimeField(_("starts at"), null=True, blank=True)
    ends_at = models.DateTimeField(_("ends at"), null=True, blank=True)
    channels = models.JSONField(
        _("channels"), default=list, blank=True, help_text=_("None listed: every channel.")
    )
    page_targeting = models.JSONField(_("pages"), default=dict, blank=True)
    audience = models.JSONField(_("audience"), default=dict, blank=True)
    traffic_mode = models.CharField(
        _("guests are divided"),
        max_length=9,
        choices=TrafficMode.choices,
        default=TrafficMode.UNIQUE,
    )
    allocation = models.FloatField(_("share of guests let in (%)"), default=100, validators=PERCENT)
    bucket_low = models.PositiveSmallIntegerField(
        _("from bucket"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(BUCKETS)],
    )
    bucket_high = models.PositiveSmallIntegerField(
        _("to bucket"),
        default=BUCKETS,
        validators=[MinValueValidator(1), MaxValueValidator(BUCKETS)],
        help_text=_("Every guest has one bucket, 1 to 120. Both ends are included."),
    )
    exclusion_group = models.ForeignKey(
        ExclusionGroup,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("exclusion group"),
        help_text=_("A guest enters one flow of a group at most."),
    )
    group_low = models.FloatField(_("from (%)"), default=0, validators=PERCENT)
    group_high = models.FloatField(
        _("to (%)"),
        default=100,
        validators=PERCENT,
        help_text=_("The part of the group’s guests that this flow takes, the end not included."),
    )
    holdout = models.FloatField(
        _("held out (%)"),
        default=0,
        validators=PERCENT,
        help_text=_(
            "So many of those let in are shown nothing, to compare with. It is recorded as a "
            "HOLDOUT event."
        ),
    )
    decision_model = models.ForeignKey(
        DecisionModel,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("decision model"),
        help_text=_("Its outputs are there for the content, as {{ decision.… }}."),
    )
    published = models.ForeignKey(
        "personalize.FlowRevision",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("published revision"),
    )
    sample_size: "models.JSONField[Any, Any]" = models.JSONField(
        _("sample size"), default=dict, blank=True
    )
    measured_to = models.BigIntegerField(null=True, blank=True, editable=False)
    weighed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = FlowQuerySet.as_manager()

    class Meta:
        verbose_name = _("flow")
        verbose_name_plural = _("flows")
        permissions = [("publish_flow", _("Can publish, pause and complete flows"))]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "friendly_id"], name="personalize_friendly_id_unique"
            ),
        ]

    def is_live(self, now: datetime) -> bool:
        """Say whether the flow answers calls now; the stored status may lag behind the clock."""
        if self.deleted_at or self.is_archived or (self.ends_at and self.ends_at <= now):
            return False
        if self.status == self.Status.SCHEDULED:
            return self.starts_at is not None and self.starts_at <= now
        return self.status == self.Status.LIVE


class _OfSubtype(models.Manager["Flow"]):
    def __init__(self, subtype: str) -> None:
        super().__init__()
        self.subtype = subtype

    def get_queryset(self) -> FlowQuerySet:
        return FlowQuerySet(self.model, using=self._db).filter(subtype=self.subtype)


class Experience(Flow):
    """A flow that shows its one variant to everybody who qualifies."""

    objects = _OfSubtype(Flow.Subtype.EXPERIENCE)  # type: ignore[assignment,misc]

    class Meta:
        proxy = True
        verbose_name = _("experience")
        verbose_name_plural = _("experiences")


class Experiment(Flow):
    """A flow whose variants compete under a traffic split."""

    objects = _OfSubtype(Flow.Subtype.EXPERIMENT)  # type: ignore[assignment,misc]

    class Meta:
        proxy = True
        verbose_name = _("experiment")
        verbose_name_plural = _("experiments")


class Variant(models.Model):
    """One version of what a flow shows: Liquid over JSON or HTML, and its share of the traffic."""

    class ContentType(models.TextChoices):
        JSON = "application/json", _("JSON")
        HTML = "text/html", _("HTML")

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="variants")
    name = models.CharField(_("name"), max_length=100)
    is_control = models.BooleanField(_("control"), default=False)
    weight = models.FloatField(_("share of traffic"), default=1, validators=[MinValueValidator(0)])
    position = models.PositiveIntegerField(default=0)
    content_type = models.CharField(
        _("content type"), max_length=20, choices=ContentType.choices, default=ContentType.JSON
    )
    content = models.TextField(_("content"), default="{}")

    class Meta:
        verbose_name = _("variant")
        verbose_name_plural = _("variants")
        constraints = [
            models.UniqueConstraint(
                fields=["flow"], condition=Q(is_control=True), name="personalize_one_control"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class FlowRevision(models.Model):
    """
    What ran: the flow as it was published, never changed afterwards.

    One that is `is_by_bandit` differs from the one before in weights alone.
    """

    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField(_("revision"))
    definition: "models.JSONField[Any, Any]" = models.JSONField()
    published_at = models.DateTimeField(_("published at"))
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("published by"),
    )
    is_by_bandit = models.BooleanField(_("by the bandit"), default=False)

    class Meta:
        verbose_name = _("revision")
        verbose_name_plural = _("revisions")
        constraints = [
            models.UniqueConstraint(
                fields=["flow", "number"], name="personalize_revision_number_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.flow_id} r{self.number}"


class FlowCatalog(models.Model):
    """
    How often a client's flows have changed.

    Every process keeps compiled flows; a call reads this number with its
    guest, so that it never runs a flow whose pause has been committed.
    """

    client = models.OneToOneField(
        Client, on_delete=models.CASCADE, related_name="+", primary_key=True
    )
    version = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("flow catalog")
        verbose_name_plural = _("flow catalogs")

    def __str__(self) -> str:
        return f"{self.client_id} v{self.version}"
