"""Who sends: a client (one tenant), its keys, and its points of sale."""

import hashlib
import secrets
import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


def default_identity_rules() -> list[str]:
    return []


def default_dummy_users() -> list[str]:
    return ["not_defined"]


class Client(models.Model):
    """One tenant: a shop, a brand, or the host site itself."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True)
    allowed_origins = models.JSONField(
        _("allowed origins"),
        default=list,
        blank=True,
        help_text=_("Sites whose pages may call from the browser. None listed: any."),
    )
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC")
    currency = models.CharField(_("currency"), max_length=3, default="EUR")
    language = models.CharField(_("language"), max_length=2, default="EN")
    identity_rules = models.JSONField(
        _("identity rules"),
        default=default_identity_rules,
        blank=True,
        help_text=_("Identifier providers that make a visitor a customer, most trusted first."),
    )
    default_point_of_sale = models.ForeignKey(
        "tracking.PointOfSale",
        verbose_name=_("default point of sale"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    hashed_provider = models.CharField(
        _("Ibexa's users are"),
        max_length=100,
        blank=True,
        help_text=_(
            "The identifier provider whose ids the Ibexa tracker sends as users, such as "
            "CUSTOMER_ID. Their histories are then one. Empty: Ibexa's users are kept apart."
        ),
    )
    dummy_users = models.JSONField(
        _("dummy users"),
        default=default_dummy_users,
        blank=True,
        help_text=_("User ids that the Ibexa tracker sends for nobody in particular."),
    )
    requires_category_path = models.BooleanField(
        _("clicks must name a category"),
        default=False,
        help_text=_("An Ibexa click without a category path is refused."),
    )
    clicks_update_categories = models.BooleanField(
        _("clicks update categories"),
        default=True,
        help_text=_("The category path of a click is added to the item's categories."),
    )
    allows_text_item_ids = models.BooleanField(
        _("item ids may be text"),
        default=False,
        help_text=_("Else an Ibexa item id is a number. Text is easier to forge."),
    )
    prefers_sku = models.BooleanField(
        _("items are known by SKU"),
        default=False,
        help_text=_("Of product_id and sku, the sku of a track call names the item."),
    )
    staff_groups = models.ManyToManyField(
        "auth.Group",
        verbose_name=_("staff groups"),
        blank=True,
        related_name="+",
        help_text=_("Who may see this client in the admin. None listed: all staff."),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("client")
        verbose_name_plural = _("clients")

    def __str__(self) -> str:
        return self.name


class Key(models.Model):
    """
    A client's key. Several of a kind may live at once, so that one can be rotated.

    A public key travels in the open and is kept as it is; of a secret only a
    SHA-256 is kept; a licence key signs requests, so it is kept encrypted.
    """

    class Kind(models.TextChoices):
        PUBLIC = "PUBLIC", _("Client key (public)")
        SECRET = "SECRET", _("API token (secret)")
        LICENCE = "LICENCE", _("License key (signs)")

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="keys")
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    prefix = models.CharField(_("begins with"), max_length=12)
    value = models.CharField(
        max_length=512,
        help_text=_("Public: the key. Secret: its SHA-256. Licence: the key, encrypted."),
    )
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("key")
        verbose_name_plural = _("keys")
        constraints = [
            models.UniqueConstraint(
                fields=["value"], condition=Q(kind="PUBLIC"), name="tracking_public_key_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @staticmethod
    def make() -> str:
        """Return a new key: 32 letters and digits, about 190 bits."""
        alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        return "".join(secrets.choice(alphabet) for _ in range(32))

    @staticmethod
    def digest(secret: str) -> str:
        return hashlib.sha256(secret.encode()).hexdigest()


class PointOfSale(models.Model):
    """A storefront of a client: its site, market and how long a visit may pause."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="points_of_sale")
    name = models.CharField(_("name"), max_length=100)
    site_id = models.CharField(
        _("site id"),
        max_length=100,
        blank=True,
        help_text=_("What an SDK sends as siteId in place of the point of sale."),
    )
    session_timeout_minutes = models.PositiveIntegerField(
        _("session timeout (minutes)"), null=True, blank=True
    )
    market = models.CharField(_("market"), max_length=100, blank=True)
    brand = models.CharField(_("brand"), max_length=100, blank=True)
    language = models.CharField(_("language"), max_length=2, blank=True)

    class Meta:
        verbose_name = _("point of sale")
        verbose_name_plural = _("points of sale")
        constraints = [
            models.UniqueConstraint(fields=["client", "name"], name="tracking_pos_name_unique"),
            models.UniqueConstraint(
                fields=["client", "site_id"],
                condition=~Q(site_id=""),
                name="tracking_pos_site_unique",
            ),
        ]

    def __str__(self) -> str:
        return self.name
