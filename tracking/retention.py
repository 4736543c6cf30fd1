"""How long things are kept: called by the purge task, once a day."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import models

from tracking import catalogue, conf, db, followers
from tracking.commerce.vocabulary import ORDER_VERBS
from tracking.followers import Changed
from tracking.models import (
    Cart,
    Event,
    Guest,
    Interaction,
    ItemCategory,
    QuarantinedMessage,
    SeenEvent,
    SeenProperty,
    Session,
)

_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows of each kind were deleted."""

    quarantined: int
    events: int
    interactions: int
    carts: int
    sessions: int
    visitors: int
    seen: int
    categories: int


def purge(*, now: datetime, progress: Callable[[int], None] | None = None) -> Purged:
    """
    Delete what is past its time, in small steps so that no walk waits long.

    Visitors and bots go with everything of theirs once they were idle for
    RETAIN_VISITORS_DAYS; customers stay, and whoever has bought something. An
    order stays with its guest, and so does what it is made of.
    Items leave the categories that no click has told of for CATEGORY_DAYS;
    those of an import stay.
    """
    limits = conf.settings()
    forget = partial(_forget, now=now)
    visitors = Guest.objects.filter(
        type__in=(Guest.Type.VISITOR, Guest.Type.BOT),
        root__isnull=True,
        merged__isnull=True,
        orders__isnull=True,
        last_seen__lt=visitors_since(now=now),
    )
    before = events_since(now=now)
    held_before = now - timedelta(days=limits.RETAIN_QUARANTINE_DAYS)
    held = QuarantinedMessage.objects.filter(quarantined_at__lt=held_before)
    deeds = Interaction.objects.filter(occurred_at__lt=before).exclude(verb__in=ORDER_VERBS)
    old_sessions = Session.objects.filter(ended_at__lt=before, status=Session.Status.CLOSED)
    aged = ItemCategory.objects.aged(now - timedelta(days=limits.CATEGORY_DAYS))
    return Purged(
        quarantined=_in_steps(held, progress),
        events=_in_steps(Event.objects.filter(occurred_at__lt=before), progress, delete=forget),
        interactions=_in_steps(deeds, progress),
        carts=_in_steps(Cart.objects.filter(changed_at__lt=before), progress, delete=forget),
        sessions=_in_steps(old_sessions, progress),
        visitors=_in_steps(visitors, progress),
        seen=_in_steps(SeenProperty.objects.filter(last_seen__lt=before), progress)
        + _in_steps(SeenEvent.objects.filter(last_seen__lt=before), progress),
        categories=_in_steps(aged, progress, delete=catalogue.forget_categories),
    )


def events_since(*, now: datetime) -> datetime:
    """Return since when no event has been deleted for its age."""
    return now - timedelta(days=conf.settings().RETAIN_EVENTS_DAYS)


def visitors_since(*, now: datetime) -> datetime:
    """Return since when nobody has been deleted for staying away: whoever came later is there."""
    return now - timedelta(days=conf.settings().RETAIN_VISITORS_DAYS)


def covered_since(*, now: datetime) -> datetime:
    """Return since when nothing of a visitor has been deleted for its age alone."""
    return max(events_since(now=now), visitors_since(now=now))


def _delete(rows: models.QuerySet[Any]) -> None:
    rows.delete()


def _forget(rows: models.QuerySet[Any], *, now: datetime) -> None:
    """Delete what guests did, and note whose it was."""

    def forget() -> None:
        guests = set(rows.filter(guest__isnull=False).values_list("guest", flat=True))
        rows.delete()
        followers.note_guests(guests, Changed.FORGOTTEN, now=now, soon=True)

    db.retried(forget)


def _in_steps(
    rows: models.QuerySet[Any],
    progress: Callable[[int], None] | None,
    *,
    delete: Callable[[models.QuerySet[Any]], None] = _delete,
) -> int:
    deleted = 0
    while True:
        pks = list(rows.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE])
        if not pks:
            return deleted
        delete(rows.model._default_manager.filter(pk__in=pks))
        deleted += len(pks)
        if progress:
            progress(len(pks))
