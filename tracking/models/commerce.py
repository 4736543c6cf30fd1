"""Commerce: what people did with items, and the carts and orders that came of it."""

import uuid
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .clients import Client, PointOfSale
from .guests import Guest
from .sessions import Session


class Interaction(models.Model):
    """
    One line of what somebody did: the event in the vocabulary that all families share.

    An event about several items has a row for each; `facts`, of a whole order,
    are with the first. Without item: something about a cart, an order or a list.
    Without guest: somebody who wants to be nobody, which counts for the item alone.
    """

    client = models.ForeignKey(
        Client, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    event_ref = models.UUIDField()
    position = models.PositiveSmallIntegerField(default=0)
    guest = models.ForeignKey(
        Guest,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    session = models.ForeignKey(
        Session, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    verb = models.CharField(_("verb"), max_length=10)
    item_type = models.PositiveIntegerField(_("item type"), default=0)
    item_id = models.CharField(_("item id"), max_length=256, blank=True)
    quantity = models.PositiveIntegerField(_("quantity"), default=1)
    price = models.BigIntegerField(_("unit price, minor units"), null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    is_currency_assumed = models.BooleanField(_("currency assumed"), default=False)
    line_id = models.CharField(_("line id"), max_length=256, blank=True)
    name = models.CharField(_("name"), max_length=512, blank=True)
    kind = models.CharField(_("kind"), max_length=100, blank=True)
    categories = models.JSONField(_("categories"), default=list, blank=True)
    cart_id = models.CharField(_("cart id"), max_length=256, blank=True)
    order_id = models.CharField(_("order id"), max_length=256, blank=True)
    facts = models.JSONField(null=True, blank=True)
    rating = models.FloatField(_("rating"), null=True, blank=True)
    percentage = models.PositiveSmallIntegerField(_("percentage"), null=True, blank=True)
    text = models.CharField(_("text"), max_length=512, blank=True)
    occurred_at = models.DateTimeField(_("occurred at"))
    message_id = models.CharField(max_length=100)

    class Meta:
        verbose_name = _("interaction")
        verbose_name_plural = _("interactions")
        constraints = [
            models.UniqueConstraint(
                fields=["event_ref", "position"], name="tracking_interaction_once"
            ),
        ]
        indexes = [
            models.Index(fields=["guest", "-occurred_at"], name="tracking_interaction_guest"),
            models.Index(fields=["session"], name="tracking_interaction_session"),
            models.Index(
                fields=["client", "cart_id"],
                condition=~Q(cart_id=""),
                name="tracking_interaction_cart",
            ),
            models.Index(
                fields=["client", "order_id"],
                condition=~Q(order_id=""),
                name="tracking_interaction_order",
            ),
            models.Index(
                fields=["client", "item_type", "item_id"],
                condition=~Q(item_id=""),
                name="tracking_interaction_item",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.item_id}".strip()


class CartQuerySet(models.QuerySet["Cart"]):
    def of_guest(self, guest_id: int) -> "CartQuerySet":
        """Carts of the guest and of everybody merged into it."""
        return self.filter(guest__in=Guest.objects.speaking_through(guest_id))


class Cart(models.Model):
    """
    A cart: named by its sender, else one for each visit, else the guest's own.

    `lines` is a list of {type, id, quantity, price, currency, name}, `values`
    what they come to, by currency, both in minor units; lines without a price
    count nothing. `deeds` is of how many things done with it that was made.
    """

    class Status(models.TextChoices):
        OPEN = "OPEN", _("Open")
        ABANDONED = "ABANDONED", _("Abandoned")
        CLOSED = "CLOSED", _("Cleared")
        CONVERTED = "CONVERTED", _("Bought")
        EMPTY = "EMPTY", _("Empty")

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="carts", db_index=False)
    session = models.ForeignKey(
        Session,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="carts",
        verbose_name=_("visit"),
    )
    cart_id = models.CharField(_("cart id"), max_length=256, blank=True)
    is_visits = models.BooleanField(default=False, editable=False)
    began_at = models.DateTimeField(_("began at"))
    changed_at = models.DateTimeField(_("changed at"))
    lines = models.JSONField(_("lines"), default=list)
    values = models.JSONField(_("value"), default=dict)
    is_cleared = models.BooleanField(default=False)
    deeds = models.PositiveIntegerField(default=0, editable=False)
    is_bought = models.BooleanField(default=False)

    objects = CartQuerySet.as_manager()

    class Meta:
        verbose_name = _("cart")
        verbose_name_plural = _("carts")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "cart_id"], condition=~Q(cart_id=""), name="tracking_cart_named"
            ),
            models.UniqueConstraint(
                fields=["session"],
                condition=Q(cart_id="", is_visits=True),
                name="tracking_cart_of_visit",
            ),
            models.UniqueConstraint(
                fields=["guest"],
                condition=Q(cart_id="", is_visits=False),
                name="tracking_cart_of_guest",
            ),
        ]
        indexes = [
            models.Index(fields=["guest", "-began_at"], name="tracking_cart_guest"),
            models.Index(fields=["client", "-id"], name="tracking_cart_client"),
        ]

    def __str__(self) -> str:
        return self.cart_id or str(self.ref)

    def status(self, *, now: datetime, pause: timedelta) -> "Cart.Status":
        """
        Say what became of the cart; its session is read along.

        What is left in it when the visit is over is abandoned; without a visit,
        after `pause`.
        """
        if not self.lines:
            if self.is_bought:
                return self.Status.CONVERTED
            return self.Status.CLOSED if self.is_cleared else self.Status.EMPTY
        if self.session is not None:
            is_over = self.session.status == Session.Status.CLOSED
        else:
            is_over = self.changed_at + pause < now
        return self.Status.ABANDONED if is_over else self.Status.OPEN


class OrderQuerySet(models.QuerySet["Order"]):
    def of_guest(self, guest_id: int) -> "OrderQuerySet":
        """Orders of the guest and of everybody merged into it."""
        return self.filter(guest__in=Guest.objects.speaking_through(guest_id))


class Order(models.Model):
    """
    What somebody bought. Amounts are in the minor unit of `currency`.

    `reference_id` is the shop's number; an order that had none goes by the
    event that began it. `stated` are the fields that the client's server has
    set: no event changes them after that. `total` None: nobody told.
    """

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    guest = models.ForeignKey(
        Guest, on_delete=models.CASCADE, related_name="orders", db_index=False
    )
    session = models.ForeignKey(
        Session,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="orders",
        verbose_name=_("visit"),
    )
    reference_id = models.CharField(_("order number"), max_length=256)
    is_grouped = models.BooleanField(default=False, editable=False)
    status = models.CharField(_("status"), max_length=40)
    is_paid = models.BooleanField(_("paid"), default=False)
    ordered_at = models.DateTimeField(_("ordered at"))
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    is_currency_assumed = models.BooleanField(_("currency assumed"), default=False)
    total = models.BigIntegerField(_("total"), null=True, blank=True)
    revenue = models.BigIntegerField(null=True, blank=True)
    shipping = models.BigIntegerField(null=True, blank=True)
    tax = models.BigIntegerField(null=True, blank=True)
    discount = models.BigIntegerField(null=True, blank=True)
    refunded = models.BigIntegerField(_("refunded"), default=0)
    coupon = models.CharField(_("coupon"), max_length=512, blank=True)
    affiliation = models.CharField(_("affiliation"), max_length=512, blank=True)
    payment_type = models.CharField(_("payment type"), max_length=512, blank=True)
    card_type = models.CharField(_("card type"), max_length=512, blank=True)
    channel = models.CharField(_("channel"), max_length=20, blank=True)
    point_of_sale = models.ForeignKey(
        PointOfSale,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("point of sale"),
    )
    contact = models.JSONField(_("contact"), default=dict, blank=True)
    attributes = models.JSONField(_("attributes"), default=dict, blank=True)
    stated = models.JSONField(default=list, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"))
    modified_at = models.DateTimeField(_("modified at"))

    objects = OrderQuerySet.as_manager()

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        constraints = [
            models.UniqueConstraint(fields=["client", "reference_id"], name="tracking_order_once"),
        ]
        indexes = [
            models.Index(fields=["guest", "-ordered_at"], name="tracking_order_guest"),
            models.Index(fields=["client", "-id"], name="tracking_order_client"),
        ]

    def __str__(self) -> str:
        return self.reference_id


class OrderItem(models.Model):
    """A line of an order. `is_stated`: the client's server set it, and no event changes it."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="items")
    position = models.PositiveSmallIntegerField(default=0)
    item_type = models.PositiveIntegerField(_("item type"), default=1)
    item_id = models.CharField(_("item id"), max_length=256)
    line_id = models.CharField(_("line id"), max_length=256, blank=True)
    name = models.CharField(_("name"), max_length=512, blank=True)
    kind = models.CharField(_("kind"), max_length=100, blank=True)
    quantity = models.PositiveIntegerField(_("quantity"), default=1)
    refunded_quantity = models.PositiveIntegerField(_("given back"), default=0)
    price = models.BigIntegerField(_("unit price"), null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    status = models.CharField(_("status"), max_length=40, blank=True)
    ordered_at = models.DateTimeField(_("ordered at"), null=True, blank=True)
    attributes = models.JSONField(_("attributes"), default=dict, blank=True)
    is_stated = models.BooleanField(default=False, editable=False)

    class Meta:
        verbose_name = _("order item")
        verbose_name_plural = _("order items")
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.name or self.item_id}"
