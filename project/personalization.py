"""What the demo shop lets conditions read of its own tables; found by the name of this module."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

import personalize
from personalize import sources
from personalize.sources import SiteGuest
from project import goods
from project.models import Order


@personalize.register_source(
    "account",
    label="Account",
    provider="CUSTOMER_ID",  # tracking.identify(request, {"CUSTOMER_ID": str(user.pk)})
    match="pk",
    fields={
        "groups": sources.values("groups__name", "Groups of the account"),
        "lastLogin": sources.newest("last_login", "Last login", type="datetime"),
    },
)
def accounts() -> QuerySet[Any]:
    return get_user_model()._default_manager.all()


@personalize.register_source(
    "shop",
    label="Shop",
    provider="EMAIL",
    match="email",
    newest="placed_at",
    fields={
        "orders": sources.count("Orders in the shop"),
        "spent": sources.total("price", "Spent in the shop"),
        "lastOrder": sources.newest("placed_at", "Last order in the shop", type="datetime"),
        "skus": sources.values("sku", "Ordered in the shop"),
    },
)
def orders() -> QuerySet[Order]:
    return Order.objects.all()


@personalize.register_field(
    "shop.mailbox",
    label="Kind of mailbox",
    choices=("private", "business"),
    group="Shop",
)
def mailbox(guest: SiteGuest) -> str | None:
    email = guest.identifier("EMAIL")
    if email is None:
        return None
    return "private" if email.endswith(goods.FREE_MAILERS) else "business"
