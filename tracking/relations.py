"""
What a guest has had to do with items: the sum of their deeds, item by item.

The guests' doors and the admin's page of a guest read it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, OuterRef, Q, QuerySet, Subquery, Sum

from tracking import catalogue
from tracking.commerce import folding
from tracking.commerce.vocabulary import Verb
from tracking.models import Guest, Interaction, OrderItem
from tracking.types import ItemKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """
    One item, and what a guest has had to do with it.

    bought: pieces, less those given back. consumed: the highest percentage.
    rating: the newest, on the sender's scale.
    """

    item: ItemKey
    name: str
    last_at: datetime
    views: int
    added: int
    bought: int
    consumed: int | None
    rating: float | None
    is_wished: bool
    is_disliked: bool
    is_owned: bool


def of_guest(guest: Guest, *, limit: int = 50) -> list[Relation]:
    """
    Return the items that the guest, or anybody merged into it, last dealt with, newest first.

    Five queries at most, however much they did.
    """
    members = Guest.objects.speaking_through(guest.root_id or guest.pk)
    deeds = Interaction.objects.filter(guest__in=members).exclude(item_id="")
    # Who confirms a line of the cart may name it by another id than the item's.
    rows = list(_summed(deeds.exclude(verb=Verb.CONFIRM))[:limit])
    if not rows:
        return []
    keys = [_key(row) for row in rows]
    bought = _bought(members, keys)
    known = catalogue.find(guest.client_id, keys)
    return [
        _relation(row, key, known[key].name if key in known else "", bought.get(key, 0))
        for row, key in zip(rows, keys, strict=True)
    ]


def _summed(deeds: QuerySet[Interaction]) -> QuerySet[Any, Any]:
    rated = deeds.filter(
        item_type=OuterRef("item_type"), item_id=OuterRef("item_id"), rating__isnull=False
    )
    newest = rated.order_by("-occurred_at", "-message_id").values("rating")[:1]

    def last(verb: Verb) -> Max:
        return Max("occurred_at", filter=Q(verb=verb))

    return (
        deeds.order_by()
        .values("item_type", "item_id")
        .annotate(
            called=Max("name"),
            last_at=Max("occurred_at"),
            views=Count("pk", filter=Q(verb=Verb.VIEW)),
            added=Count("pk", filter=Q(verb=Verb.ADD)),
            consumed=Max("percentage"),
            newest_rating=Subquery(newest),
            wished_at=last(Verb.WISH),
            unwished_at=last(Verb.UNWISH),
            disliked_at=last(Verb.DISLIKE),
            owned_at=last(Verb.OWN),
        )
        .order_by("-last_at", "item_type", "item_id")
    )


def _bought(members: QuerySet[Guest], keys: Sequence[ItemKey]) -> Mapping[ItemKey, int]:
    items = OrderItem.objects.filter(
        order__guest__in=members, item_id__in={key.id for key in keys}
    ).exclude(order__status=folding.CANCELLED)
    summed = items.order_by().values("item_type", "item_id")
    kept = Sum(F("quantity") - F("refunded_quantity"))
    return {_key(row): row["kept"] for row in summed.annotate(kept=kept)}


def _key(row: Mapping[str, Any]) -> ItemKey:
    return ItemKey(row["item_type"], row["item_id"])


def _relation(row: Mapping[str, Any], key: ItemKey, name: str, bought: int) -> Relation:
    wished, unwished = row["wished_at"], row["unwished_at"]
    return Relation(
        item=key,
        name=name or row["called"],
        last_at=row["last_at"],
        views=row["views"],
        added=row["added"],
        bought=bought,
        consumed=row["consumed"],
        rating=row["newest_rating"],
        is_wished=wished is not None and (unwished is None or unwished < wished),
        is_disliked=row["disliked_at"] is not None,
        is_owned=row["owned_at"] is not None,
    )
