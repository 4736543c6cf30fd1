"""
What is kept of a person, wherever it is: found, exported, and erased for good.

Called by the guests' doors, the admin, the commands, and the effects of events
that delete people. Every table of an app is declared: `register` names one
that holds data of people and how a person's rows are found, `exempt` one that
holds none, and why. A test walks all tables, so that a new one is not forgotten.
"""

import base64
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.apps import apps
from django.db import models
from django.db.models import Q

from tracking import clients, db, suppression, uuid7, wire
from tracking.models import (
    Cart,
    Client,
    Device,
    Event,
    EventModel,
    FollowUp,
    Group,
    Guest,
    Identifier,
    IdentityLink,
    InboxEntry,
    Interaction,
    Item,
    ItemCategory,
    Key,
    Membership,
    MergeRecord,
    Order,
    OrderItem,
    PointOfSale,
    QuarantinedMessage,
    SeenEvent,
    SeenProperty,
    Session,
    Suppression,
    WalkNote,
)
from tracking.types import EMAIL, ClientConfig, Entry, IdentifierKey, Message, Refused

logger = logging.getLogger("tracking")

_AT_ONCE = 500
# Shorter words are in many messages that are not the person's.
_SHORTEST_WORD = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """
    The person whose data is asked for: a guest with everybody merged into it.

    Of somebody known by no guest there are only the `keys`: what is not yet
    walked, or was set aside, may still speak of them.
    """

    client: ClientConfig
    keys: frozenset[IdentifierKey]
    guest_ids: tuple[int, ...] = ()
    refs: frozenset[UUID] = frozenset()

    def speaks(self, item: Message | Refused) -> bool:
        """Say whether a message is the person's; one that cannot be read, if it names them."""
        if isinstance(item, Message):
            return bool(suppression.keys_of(item) & self.keys) or item.guest_ref in self.refs
        words = {key.value for key in self.keys if len(key.value) >= _SHORTEST_WORD}
        words |= {str(ref) for ref in self.refs}
        text = item.raw.decode("utf-8", "replace").casefold()
        return any(word.casefold() in text for word in words)


Rows = Callable[[Subject], models.QuerySet[Any]]


class Store:
    """A table that holds data of people, and how to find a person's rows in it."""

    def __init__(self, model: type[models.Model], rows: Rows) -> None:
        self.model = model
        self._rows = rows

    @property
    def name(self) -> str:
        return self.model._meta.label_lower

    def documents(self, subject: Subject) -> Iterator[dict[str, Any]]:
        """Yield the person's rows, as they are kept."""
        for row in self._rows(subject).iterator(chunk_size=_AT_ONCE):
            yield {
                field.attname: _plain(field.value_from_object(row))
                for field in row._meta.concrete_fields
            }

    def erase(self, subject: Subject) -> int:
        """Delete the person's rows. Returns how many there were."""
        _, by_table = self._rows(subject).delete()
        return by_table.get(self.model._meta.label, 0)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return value


# --- where it is -----------------------------------------------------------------------


_stores: dict[type[models.Model], Store] = {}
_exempt: dict[type[models.Model], str] = {}


def register(store: Store) -> None:
    """Declare that a table holds data of people. They are erased in this order, guests last."""
    _stores[store.model] = store


def exempt(model: type[models.Model], why: str) -> None:
    """Declare that a table holds no data of people, and why it cannot."""
    _exempt[model] = why


def stores() -> Sequence[Store]:
    """Return every table that holds data of people."""
    return (*_stores.values(), _GUESTS)


def undeclared(models: Iterable[type[models.Model]]) -> list[type[models.Model]]:
    """Return those of the models that nobody has declared."""
    declared = {store.model for store in stores()} | _exempt.keys()
    return [each for each in models if each not in declared]


def by_guest(model: type[models.Model]) -> Store:
    """Return the store of a table whose field `guest` says whose a row is."""
    return Store(model, lambda subject: model._default_manager.filter(guest__in=subject.guest_ids))


def _links(subject: Subject) -> models.QuerySet[IdentityLink]:
    named = Q(pk__in=())
    for key in subject.keys:
        named |= Q(left_provider=key.provider, left_value=key.value)
        named |= Q(right_provider=key.provider, right_value=key.value)
    return IdentityLink.objects.filter(named, client=subject.client.id)


class _Quarantine(Store):
    """Messages set aside: known to be the person's only once they are read."""

    def __init__(self) -> None:
        super().__init__(QuarantinedMessage, self._of)

    def _of(self, subject: Subject) -> models.QuerySet[QuarantinedMessage]:
        held = QuarantinedMessage.objects.filter(client=subject.client.id)
        found = [
            row.pk
            for row in held.iterator(chunk_size=_AT_ONCE)
            if any(subject.speaks(item) for item in wire.parse(_entry(row, subject.client)))
        ]
        return QuarantinedMessage.objects.filter(pk__in=found)


class _Inbox(Store):
    """
    Requests not yet walked. One may hold messages of many people.

    Those of others stay, each in an entry of its own under the names that it
    had, as a replay keeps them.
    """

    def __init__(self) -> None:
        super().__init__(InboxEntry, lambda subject: InboxEntry.objects.none())

    def documents(self, subject: Subject) -> Iterator[dict[str, Any]]:
        for entries in self._batches(subject):
            for entry in entries:
                for item in wire.parse(_entry(entry, subject.client)):
                    if subject.speaks(item):
                        yield {"ref": entry.ref, "body": _plain(item.raw)}

    def erase(self, subject: Subject) -> int:
        count = 0
        for entries in self._batches(subject):
            with db.write():
                free = InboxEntry.objects.filter(pk__in=[entry.pk for entry in entries])
                if db.is_postgres():
                    # One that is being walked is left out there, or gone with the guest.
                    free = free.select_for_update(skip_locked=True)
                for row in free:
                    count += self._take_out(row, subject)
        return count

    def _batches(self, subject: Subject) -> Iterator[list[InboxEntry]]:
        waiting = InboxEntry.objects.filter(client=subject.client.id).order_by("ref")
        after = UUID(int=0)
        # No further than what has come when this began.
        last = waiting.values_list("ref", flat=True).last()
        while last and (entries := list(waiting.filter(ref__gt=after, ref__lte=last)[:_AT_ONCE])):
            after = entries[-1].ref
            yield entries

    def _take_out(self, row: InboxEntry, subject: Subject) -> int:
        entry = _entry(row, subject.client)
        items = list(wire.parse(entry))
        others = [item for item in items if not subject.speaks(item)]
        if len(others) == len(items):
            return 0
        InboxEntry.objects.bulk_create(
            InboxEntry(
                ref=uuid7.at(entry.received_at),
                client_id=entry.client.id,
                dialect=entry.dialect,
                body=item.raw,
                headers={
                    **entry.headers,
                    "origin-ref": str(entry.origin),
                    "origin-index": str(item.index),
                },
                received_at=entry.received_at,
            )
            for item in others
        )
        row.delete()
        return len(items) - len(others)


def _entry(row: InboxEntry | QuarantinedMessage, client: ClientConfig) -> Entry:
    if isinstance(row, QuarantinedMessage):
        ref, origin, first_index = row.entry_ref, row.entry_ref, row.index
    else:
        ref = row.ref
        origin = UUID(row.headers.get("origin-ref", str(ref)))
        first_index = int(row.headers.get("origin-index", 0))
    return Entry(
        ref=ref,
        origin=origin,
        first_index=first_index,
        client=client,
        dialect=row.dialect,
        body=bytes(row.body),
        headers=row.headers,
        received_at=row.received_at,
    )


class _Identifiers(Store):
    """What names the person. A browser may have had others' visits too: those keep no browser."""

    def __init__(self) -> None:
        super().__init__(Identifier, lambda s: Identifier.objects.filter(guest__in=s.guest_ids))

    def erase(self, subject: Subject) -> int:
        visits = Session.objects.filter(browser__in=self._rows(subject))
        Event.objects.filter(session__in=visits).update(browser=None)
        return super().erase(subject)


class _AdminLog(Store):
    """Who did what to a guest stays on record; whom it names does not."""

    ERASED: Final = "Erased"

    def __init__(self) -> None:
        super().__init__(apps.get_model("admin", "LogEntry"), self._of)

    def _of(self, subject: Subject) -> models.QuerySet[Any]:
        return self.model._default_manager.filter(
            content_type__app_label=Guest._meta.app_label,
            content_type__model=Guest._meta.model_name,
            object_id__in=[str(pk) for pk in subject.guest_ids],
        )

    def erase(self, subject: Subject) -> int:
        return self._of(subject).update(object_repr=self.ERASED)


# What is not walked yet, and what was set aside: before the guest, by whom they are known.
_INBOX, _QUARANTINE = _Inbox(), _Quarantine()
_GUESTS = Store(Guest, lambda subject: Guest.objects.filter(pk__in=subject.guest_ids))

for _store in (
    _INBOX,
    _QUARANTINE,
    Store(IdentityLink, _links),
    by_guest(Membership),
    by_guest(Device),
    by_guest(Interaction),
    by_guest(Cart),
    Store(OrderItem, lambda s: OrderItem.objects.filter(order__guest__in=s.guest_ids)),
    by_guest(Order),
    by_guest(Event),
    by_guest(Session),
    _Identifiers(),
    Store(
        MergeRecord,
        lambda subject: MergeRecord.objects.filter(
            Q(survivor__in=subject.guest_ids) | Q(retired__in=subject.guest_ids)
        ),
    ),
):
    register(_store)
if apps.is_installed("django.contrib.admin"):
    register(_AdminLog())

exempt(Client, "A tenant, described by its staff.")
exempt(Key, "Keys of a tenant.")
exempt(PointOfSale, "A storefront, described by staff.")
exempt(Group, "An account or an object. Who belongs to it is in its memberships.")
exempt(EventModel, "What events are meant to have, as staff have described it.")
exempt(SeenEvent, "Names of types, counts, and refs of events that lead nowhere once those go.")
exempt(SeenProperty, "Names and JSON types of properties, counted: never a value.")
exempt(Item, "Describes products, no people.")
exempt(ItemCategory, "Describes products, no people.")
exempt(FollowUp, "Refs of events, for seconds.")
exempt(WalkNote, "Refs of requests, for seconds.")
exempt(Suppression, "Keyed hashes of those who were erased: that is how they stay so.")


# --- who it is about -------------------------------------------------------------------


def subject_of(guest: Guest) -> Subject:
    """Return the person behind a guest: the survivor, and everybody merged into it."""
    members = list(Guest.objects.speaking_through(guest.root_id or guest.pk))
    named = Identifier.objects.filter(client=guest.client_id, guest__in=members)
    keys = {IdentifierKey(row.provider, row.value) for row in named}
    keys |= {IdentifierKey(EMAIL, each.email.lower()) for each in members if each.email}
    return Subject(
        client=_client(guest.client_id),
        keys=frozenset(keys),
        guest_ids=tuple(member.pk for member in members),
        refs=frozenset(member.ref for member in members),
    )


def subject_named(client: ClientConfig, key: IdentifierKey) -> Subject:
    """Return everybody that an identifier or a profile's e-mail names, known or not."""
    guests = Guest.objects.filter(client=client.id)
    named = Q(identifiers__provider=key.provider, identifiers__value=key.value)
    if key.provider == EMAIL:
        named |= Q(email__iexact=key.value)
    found = [subject_of(guest) for guest in guests.filter(named).distinct()]
    return Subject(
        client=client,
        keys=frozenset({key}.union(*(each.keys for each in found))),
        guest_ids=tuple(sorted({pk for each in found for pk in each.guest_ids})),
        refs=frozenset[UUID]().union(*(each.refs for each in found)),
    )


def _client(client_id: int) -> ClientConfig:
    client = clients.by_id(client_id)
    if client is None:
        raise LookupError(f"client {client_id} is gone")
    return client


# --- what is done ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows of each table are gone, by the table's name."""

    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def erase(
    subject: Subject,
    *,
    until: datetime,
    leaves_inbox: bool = False,
    progress: Callable[[str, int], None] | None = None,
) -> Erased:
    """
    Delete everything that is kept of a person, and let nothing of until then come back.

    First they are suppressed, so that no walk brings them in again meanwhile;
    last goes the guest, so that whatever fails on the way can be done again.
    With `leaves_inbox` what is not yet walked is left to the walk, which drops it.
    """
    counts: dict[str, int] = {}

    def erase_from(store: Store) -> None:
        counts[store.name] = store.erase(subject)
        if progress:
            progress(store.name, counts[store.name])

    suppression.forget(subject.client.id, subject.keys, until=until)
    if not leaves_inbox:
        erase_from(_INBOX)
    erase_from(_QUARANTINE)
    with db.write():
        # Whoever walks something of theirs right now holds these: it is waited for, and seen.
        _lock(subject)
        for store in stores():
            if store not in (_INBOX, _QUARANTINE):
                erase_from(store)
    logger.info("guest.erased", extra={"refs": sorted(map(str, subject.refs))})
    return Erased(counts)


def _lock(subject: Subject) -> None:
    if db.is_postgres():
        owned = Identifier.objects.filter(guest__in=subject.guest_ids).order_by("pk")
        list(owned.select_for_update().values_list("pk"))
        members = Guest.objects.filter(pk__in=subject.guest_ids).order_by("pk")
        list(members.select_for_update().values_list("pk"))


def export(subject: Subject) -> Iterator[bytes]:
    """
    Write everything that is kept of a person as one JSON document, piece by piece.

    An object of lists, one a table; times are ISO 8601 in UTC.
    """
    yield b"{"
    for number, store in enumerate(stores()):
        yield (b",\n" if number else b"\n") + msgspec.json.encode(store.name) + b": ["
        for position, document in enumerate(store.documents(subject)):
            yield (b",\n  " if position else b"\n  ") + msgspec.json.encode(document)
        yield b"]"
    yield b"\n}\n"
