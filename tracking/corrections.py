"""
What a statement that came late gives back: events and traits recorded for the wrong guest.

The identity step calls `give_back` when somebody said something earlier than
what is already known. Then the known events may turn out to be others' than
they seemed; merges need none of this, for reads go through them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import Q

from tracking import followers, merging, wire
from tracking.models import Event, Guest, Membership, Session
from tracking.types import (
    BROWSER,
    IBEXA,
    USER_ID,
    IdentifierKey,
    IdentifierRow,
    Policy,
    Recorded,
    Statement,
    stamped,
)
from tracking.wire.common import IDENTITY_TYPE


def done_since(
    said: Iterable[Statement], known: Mapping[IdentifierKey, IdentifierRow]
) -> list[tuple[IdentifierKey, datetime]]:
    """Return what ids did after a login that is only told now: (id, when), of what is recorded."""
    since: list[tuple[IdentifierKey, datetime]] = []
    for statement in said:
        if statement.policy is not Policy.LOGIN:
            continue
        row = known.get(statement.stated[1].key)
        if row is not None:
            later = _by(row).filter(occurred_at__gt=statement.at)
            since += [(row.key, at) for at in later.values_list("occurred_at", flat=True)]
    return since


def _by(row: IdentifierRow) -> models.QuerySet[Event]:
    """Return the events that an identifier spoke: by its visits, which an index finds."""
    return Event.objects.filter(session__browser=row.id)


def give_back(
    earlier: Sequence[Statement],
    known: Mapping[IdentifierKey, IdentifierRow],
    settled: merging.Settled,
    *,
    now: datetime,
) -> None:
    """
    Give each guest what is theirs of what was recorded before.

    `earlier` are the statements that were known, `known` the identifiers as
    they were before they were settled anew.
    """
    owners = _owners(earlier, known, settled)
    moved = [
        event
        for event in Event.objects.filter(ref__in=owners).select_related("guest")
        if event.guest is not None and event.guest_id != owners[event.ref]
    ]
    guests = _with_roots({pk for event in moved for pk in (event.guest_id or 0, owners[event.ref])})
    moved = [
        event
        for event in moved
        if _root(guests, event.guest_id) != _root(guests, owners[event.ref])
    ]
    if not moved:
        return
    for event in moved:
        _leave_group(event)
    _move_traits(moved, owners, guests, now=now)
    _move_events(moved, owners)
    followers.note(Recorded(moved), now=now)
    followers.note_guests(guests, followers.Changed.EVENTS, now=now)


def _owners(
    earlier: Sequence[Statement],
    known: Mapping[IdentifierKey, IdentifierRow],
    settled: merging.Settled,
) -> dict[UUID, int]:
    """
    Return whose each event is now.

    These may be others' than they were: events that stated something, those
    that just named a user, and those of a device that names nobody.
    """
    answer = settled.answer
    owners: dict[UUID, int] = {}
    for key, row in known.items():
        owner = settled.guest_ids.get(answer.owner[key]) if key in answer.owner else None
        if key.provider == IBEXA and key in answer.moves:
            first = merging.born(row) or row.guest_id
            owners |= {
                ref: settled.guest_ids[answer.owner_at(key, at, first)]
                for ref, at in _by(row).values_list("ref", "occurred_at")
            }
        if owner is None or owner == row.guest_id:
            continue
        if key.provider == USER_ID:
            owners |= dict.fromkeys(_naming(key.value, row.guest_id), owner)
        elif key.provider == BROWSER:
            born = row.birth_guest_id or answer.owner[key]
            owners |= {
                ref: settled.guest_ids[answer.owner_at(key, at, born)] for ref, at in _unnamed(row)
            }
    return owners | {
        statement.event_ref: settled.guest_ids[answer.by_event[statement.event_ref]]
        for statement in earlier
        if statement.event_ref in answer.by_event
    }


def _naming(user_id: str, guest_id: int) -> Iterable[UUID]:
    """Return the events of the guest that name this user."""
    named = Q(original__userId=user_id)
    if user_id.isdecimal() and len(user_id) < 16:
        named |= Q(original__userId=int(user_id))
    return Event.objects.filter(named, guest=guest_id).values_list("ref", flat=True)


def _unnamed(row: IdentifierRow) -> Iterable[tuple[UUID, datetime]]:
    """Return the events of a device that name no user, and when they happened."""
    events = Event.objects.filter(guest=row.guest_id, browser=row.id)
    nobody = Q(original__isnull=True) | Q(original__userId__isnull=True)
    empty = Q(original__userId=None) | Q(original__userId="")
    return events.filter(nobody | empty).values_list("ref", "occurred_at")


def _with_roots(ids: Iterable[int]) -> dict[int, Guest]:
    guests = {guest.pk: guest for guest in Guest.objects.filter(pk__in=set(ids))}
    roots = {guest.root_id for guest in guests.values() if guest.root_id} - guests.keys()
    return guests | {guest.pk: guest for guest in Guest.objects.filter(pk__in=roots)}


def _root(guests: Mapping[int, Guest], guest_id: int | None) -> int | None:
    guest = guests.get(guest_id or 0)
    return (guest.root_id or guest.pk) if guest else None


def _leave_group(event: Event) -> None:
    stamp = stamped(event.occurred_at, event.message_id)
    Membership.objects.filter(guest=event.guest_id, stamp=stamp).delete()


def _move_traits(
    moved: Sequence[Event],
    owners: Mapping[UUID, int],
    guests: Mapping[int, Guest],
    *,
    now: datetime,
) -> None:
    """Take from the old guests the traits that these events set, and state them of the new."""
    missing: dict[int, set[str]] = defaultdict(set)
    touched: dict[int, Guest] = {}
    for event in sorted(moved, key=lambda each: (each.occurred_at, each.message_id)):
        values = _stated(event)
        if not values:
            continue
        for guest in _speakers(guests, event.guest_id):
            touched[guest.pk] = guest
            missing[guest.pk] |= merging.take_back(
                guest, values, at=event.occurred_at, by=event.message_id
            )
        for guest in _speakers(guests, owners[event.ref]):
            touched[guest.pk] = guest
            merging.state_traits(guest, values, at=event.occurred_at, by=event.message_id)
    gone = {event.ref for event in moved}
    for guest_id, names in missing.items():
        said = Event.objects.of_guest(guest_id).filter(type=IDENTITY_TYPE)
        for event in said.order_by("occurred_at", "message_id"):
            if event.ref not in gone:
                again = {name: value for name, value in _stated(event).items() if name in names}
                merging.state_traits(
                    touched[guest_id], again, at=event.occurred_at, by=event.message_id
                )
    merging.save_profiles(touched.values(), now=now)


def _stated(event: Event) -> dict[str, Any]:
    traits, attributes = wire.stated(event.type, event.data, event.original)
    return {**traits, **{merging.attribute(name): value for name, value in attributes.items()}}


def _speakers(guests: Mapping[int, Guest], guest_id: int | None) -> list[Guest]:
    """Return the guest, and the one that speaks for it."""
    own = guests[guest_id or 0]
    return [own] if own.root_id is None else [own, guests[own.root_id]]


def _move_events(moved: Sequence[Event], owners: Mapping[UUID, int]) -> None:
    """Record the events for their guests, and the visits in which nobody else did anything."""
    by_owner: dict[int, list[Event]] = defaultdict(list)
    for event in moved:
        by_owner[owners[event.ref]].append(event)
    for owner, events in by_owner.items():
        Event.objects.filter(ref__in=[event.ref for event in events]).update(guest=owner)
        times = [event.occurred_at for event in events]
        seen = {"first_seen": min(times), "last_seen": max(times), "has_runs": False}
        merging.keep_seen([{"id": owner, **seen}])
        visits = {event.session_id for event in events if event.session_id}
        shared = Event.objects.filter(session__in=visits).exclude(guest=owner)
        alone = Session.objects.filter(pk__in=visits).exclude(pk__in=shared.values("session"))
        alone.update(guest=owner)
