"""
From events to carts and orders: the follower of whatever is done with items.

`follow_up` is called with each recorded batch that has such events. Doing it
again, or in another order, leaves the same carts and orders.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from tracking import (
    carts,
    catalogue,
    clients,
    commerce,
    db,
    events,
    followers,
    guests,
    interactions,
    orders,
)
from tracking.carts import CartKey
from tracking.commerce import folding, stream
from tracking.commerce.vocabulary import CART_VERBS, ORDER_VERBS, Act, Unusable, Verb
from tracking.followers import Changed, Owed
from tracking.items import Sighting
from tracking.models import Event, Guest
from tracking.types import ClientConfig, ItemKey, Told

logger = logging.getLogger("tracking")

FOLLOWER: Final = "tracking.shopping"
#: Types of events that say whose carts are whose.
_NAMING: Final = frozenset({"IDENTITY", "LOGIN", "ALIAS"})


def concerns(told: Told) -> bool:
    """Say whether carts and orders may be other than before by this event."""
    return told.type in _NAMING or commerce.concerns(told.dialect, told.type, told.data)


def rebuild(*, now: datetime, progress: Callable[[int], None] | None = None) -> int:
    """
    Read again what all events say that are still there. Returns how many say anything.

    What was done before the oldest of them stays as it was read then.
    """
    done = 0
    for batch in events.in_batches(Event.objects.only("ref", "type", "dialect", "data")):
        refs = [event.ref for event in batch if concerns(event)]
        if refs:
            db.retried(partial(_reread, refs, now=now))
        done += len(refs)
        if progress:
            progress(len(batch))
    return done


def _reread(refs: Sequence[UUID], *, now: datetime) -> None:
    interactions.forget(refs)
    _follow_all(refs, now=now)


@dataclass(slots=True)
class _Touched:
    """What of one client a batch of events may have changed."""

    carts: set[CartKey] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)
    visits: set[int] = field(default_factory=set)
    guests: set[int] = field(default_factory=set)


def follow_up(owed: Owed) -> None:
    """Keep what these events say of commerce, and make their carts and orders again."""
    _follow_all(owed.event_refs, now=owed.now)


def _follow_all(event_refs: Sequence[UUID], *, now: datetime) -> None:
    heard = list(
        Event.objects.filter(db.Among("ref", event_refs))
        .select_related("guest__root")
        .order_by("occurred_at", "message_id")
    )
    _lock(heard)
    by_client: dict[int, list[Event]] = {}
    for event in heard:
        by_client.setdefault(event.client_id, []).append(event)
    people = {_person(event) for event in heard} - {0}
    for client_id, told in sorted(by_client.items()):
        client = clients.by_id(client_id)
        if client is not None:
            people |= _follow(client, told)
    followers.note_guests(people, Changed.PURCHASES, now=now)


def _lock(heard: Sequence[Event]) -> None:
    """Let nobody else make carts and orders of these people meanwhile."""
    guests.lock({_person(event) for event in heard} - {0})


def _follow(client: ClientConfig, heard: Sequence[Event]) -> set[int]:
    """Make anew what these events touch; return the guests whose it was, and whose it is."""
    acts, unusable = _read_all(client, heard)
    _warn(unusable)
    interactions.store(acts)
    catalogue.supplement(client.id, _sightings(acts), now=max(event.received_at for event in heard))
    touched = _touched(client, heard, acts)
    deeds = orders.checkouts(client.id, touched.orders) if touched.orders else []
    touched.carts |= {
        carts.key_of(client.id, deed.act.cart_id, deed.session_id, deed.guest_id) for deed in deeds
    }
    rebuilt = carts.rebuild(client.id, touched.carts) if touched.carts else carts.Rebuilt()
    owners = set(rebuilt.owners)
    if touched.orders:
        owners |= orders.rebuild(client.id, touched.orders, rebuilt.taken)
    if touched.visits or touched.guests:
        owners |= orders.rebuild_grouped(client.id, touched.visits, touched.guests)
    return owners


def _sightings(acts: Iterable[tuple[Event, Act]]) -> Iterator[Sighting]:
    """Yield what views tell of their items, and what things in carts are called."""
    for _, act in acts:
        if act.verb not in (Verb.VIEW, Verb.ADD):
            continue
        for line in act.lines:
            yield Sighting(
                key=line.item,
                category=line.categories[0] if line.categories and act.verb is Verb.VIEW else "",
                name=line.name,
                url=line.url,
                image=line.image_url,
            )


def _read_all(
    client: ClientConfig, heard: Iterable[Event]
) -> tuple[list[tuple[Event, Act]], list[tuple[Event, str]]]:
    """Return what the events say of commerce, and why others that mean to say something do not."""
    acts: list[tuple[Event, Act]] = []
    unusable: list[tuple[Event, str]] = []
    for event in heard:
        try:
            if (act := _read(event, client)) is not None:
                acts.append((event, act))
        except Unusable as error:
            unusable.append((event, str(error)))
    return acts, unusable


def _read(event: Event, client: ClientConfig) -> Act | None:
    if event.guest is not None and event.guest.type == Guest.Type.BOT:
        return None
    act = commerce.read(event.dialect, event.type, event.data, client)
    if act is not None and event.type == stream.ORDER_CHECKOUT and not _is_customer(event.guest):
        raise Unusable("Only a guest who is a customer already can have one.")
    return act


def _is_customer(guest: Guest | None) -> bool:
    return guest is not None and (guest.root or guest).type == Guest.Type.CUSTOMER


def _warn(unusable: Sequence[tuple[Event, str]]) -> None:
    """Say on the events why they count in nothing, in one statement."""
    rows = []
    for event, reason in unusable:
        logger.info("event.not_commerce", extra={"event": str(event.ref)})
        warning = f"Counts in no cart and no order: {reason}"
        if warning not in event.warnings:
            rows.append({"ref": event.ref, "warnings": [*event.warnings, warning]})
    db.update_rows(Event, rows, key="ref", sets='"warnings" = new."warnings"')


def _touched(
    client: ClientConfig, heard: Sequence[Event], acts: Sequence[tuple[Event, Act]]
) -> _Touched:
    touched = _Touched()
    unnamed: list[Event] = [event for event in heard if event.type in _NAMING and event.guest_id]
    paying: set[int] = set()
    for event, act in acts:
        if event.guest_id is None:
            continue
        if act.verb in CART_VERBS or act.cart_id:
            touched.carts.add(
                carts.key_of(client.id, act.cart_id, event.session_id, event.guest_id)
            )
        elif act.verb is Verb.BUY:
            unnamed.append(event)
        if folding.is_single(act) or act.verb in CART_VERBS:
            (touched.visits if event.session_id else touched.guests).add(
                event.session_id or event.guest_id
            )
        if act.verb is Verb.PAY and not act.order_id and event.session_id:
            paying.add(event.session_id)
        elif act.verb in ORDER_VERBS and not folding.is_single(act):
            touched.orders.add(orders.number_of(act.order_id, event.ref))
    if unnamed:
        times = [event.occurred_at for event in unnamed]
        people = {_person(event) for event in unnamed}
        touched.carts |= set(carts.near(people, first=min(times), last=max(times)))
    if paying:
        touched.orders |= set(orders.paid_in(paying))
    return touched


def transfer_items(client_id: int, moves: Iterable[tuple[ItemKey, ItemKey]]) -> None:
    """
    Rename items, in the catalogue and in all that was done with them. Raises ReadElsewhere.

    Events stay as they were sent.
    """
    with db.write():
        for old, new in catalogue.transfer(client_id, moves):
            touched = carts.having(client_id, [old])
            interactions.rename(client_id, old, new)
            orders.rename_items(client_id, old, new)
            carts.rebuild(client_id, touched)


def _person(event: Event) -> int:
    if event.guest is None:
        return 0
    return event.guest.root_id or event.guest.pk
