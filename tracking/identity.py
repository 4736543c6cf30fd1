"""
Step of the event walk: message -> guest.

`lock` makes the batch's identifiers this worker's own until commit, so that
what is read here still holds when it is written. `identify` asks the identity
policy about every connected set of identifiers that the batch touches and
stores the difference; messages that state nothing just follow their browser.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from tracking import (
    clients,
    conf,
    corrections,
    db,
    followers,
    identity_policy,
    keyed,
    merging,
    suppression,
)
from tracking.models import Guest, Identifier, IdentityLink
from tracking.types import (
    BOT,
    BROWSER,
    IBEXA,
    SPEAKERLESS,
    UNNAMED,
    ClientConfig,
    Fresh,
    GuestKey,
    Identified,
    IdentifierKey,
    IdentifierRow,
    Locked,
    Message,
    Policy,
    Refused,
    StatedIdentifier,
    Statement,
    birth_ref,
)

# Advisory locks live in shared memory of a fixed size: fold the hashes, so that
# one transaction holds a bounded number of them. Two identifiers that share a
# lock only wait for each other.
_LOCK_CLASSES = 1024
_LOCK_SPACE = 0x7472616B

_Name = tuple[int, IdentifierKey]
_Pair = tuple[int, IdentifierKey, IdentifierKey]
_Names = set[_Name]
_Known = Mapping[_Name, IdentifierRow]


def lock(messages: Sequence[Message], *, now: datetime) -> tuple[Locked, list[Refused]]:
    """
    Lock every identifier of the batch, making the guests of new first-party browsers.

    One order for all workers: advisory locks on the sorted hashes of whole
    connected sets first, then the browsers' rows by id. Messages of a browser
    nobody knows are refused.
    """
    messages = _without_repeats([_ruled(message) for message in messages])
    messages = [_joined(message) for message in messages]
    spoken = _locked_closure(_stated(messages))
    messages = _without_oversized(messages, spoken)
    known = _read(_speakers(messages) | _persons(messages) | spoken.names)
    # A late event of a browser that changed hands meanwhile: its set must be resolved too.
    looking_back = _locked_closure(_looking_back(messages, known))
    known |= _read(looking_back.names - set(known))
    # Under the locks: whoever is being erased meanwhile is gone from here on.
    messages = suppression.allowed(messages)
    known |= _born(messages, known, now=now)
    welcome, refused = _welcome(messages, known)
    statements = _by_client(spoken.links | looking_back.links)
    return Locked(welcome, known, statements), refused


def identify(fresh: Fresh, *, now: datetime) -> list[Identified]:
    """Say whose each message is, and store what the batch states about who is who."""
    owners: dict[UUID, int] = {}
    refused: dict[UUID, str] = {}
    for client_id in _speaking_clients(fresh):
        client = clients.by_id(client_id)
        if client is not None:
            answers, warnings = _resolve(fresh, client, now=now)
            owners |= answers
            refused |= warnings
    owners |= _strangers(fresh.messages, now=now)
    owned = [(message, _owner(message, owners, fresh.locked)) for message in fresh.messages]
    guests = _guests({guest_id for _, guest_id in owned if guest_id is not None})
    items = [
        Identified(
            _warned(message, refused.get(message.ref)),
            guests[guest_id] if guest_id is not None else None,
            _browser_row(message, fresh.locked),
        )
        for message, guest_id in owned
    ]
    _touch(items)
    merging.apply_traits(items, now=now)
    return items


# --- locking ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Closure:
    """A connected set of identifiers, and the links that connect it."""

    names: _Names
    links: dict[int, IdentityLink]


class _Grown(Exception):
    """Another worker connected more identifiers while this one waited for its locks."""


def _locked_closure(seeds: _Names) -> _Closure:
    """
    Read everything connected to these identifiers, locked against other workers.

    If locking shows that the set has grown meanwhile, the locks are given
    back and the larger set is locked from the start: all workers lock in one
    order.
    """
    closure = _closure(seeds)
    while closure.names:
        try:
            with db.atomic():
                _lock_names(closure.names)
                seen = closure.names
                closure = _closure(seeds)
                if not closure.names <= seen:
                    raise _Grown
                return closure
        except _Grown:
            continue
    return closure


def _stated(messages: Iterable[Message]) -> _Names:
    """Name the identifiers that the batch states something about, their speakers included."""
    names: _Names = set()
    for message in messages:
        for item in message.identifiers:
            names.add((message.client_id, item.key))
        names |= {(message.client_id, hashed) for _, hashed in message.joins}
        if message.identifiers and message.speaker:
            names.add((message.client_id, message.speaker))
    return names


def _speakers(messages: Iterable[Message]) -> _Names:
    return {(message.client_id, message.speaker) for message in messages if message.speaker}


def _persons(messages: Iterable[Message]) -> _Names:
    return {(message.client_id, message.person) for message in messages if message.person}


def _spoken_by(message: Message, known: _Known) -> IdentifierRow | None:
    return known.get((message.client_id, message.speaker)) if message.speaker else None


def _looking_back(messages: Iterable[Message], known: _Known) -> _Names:
    names: _Names = set()
    for message in messages:
        row = _spoken_by(message, known)
        moved_at = row.moved_at if row else None
        if message.speaker and message.speaker.provider == IBEXA:
            # It is somebody new after each login, of which may be told before the id is seen.
            asks = row is None or moved_at is not None
        else:
            asks = moved_at is not None and message.occurred_at < moved_at
        if asks and message.speaker:
            names.add((message.client_id, message.speaker))
    return names


def _ruled(message: Message) -> Message:
    """Drop the identifiers that no rule names: they are in the event's data, and join nobody."""
    if message.policy is not Policy.SITECORE:
        return message
    client = clients.by_id(message.client_id)
    ranked = identity_policy.in_rule_order(message.identifiers, client.rules if client else ())
    return message if ranked == message.identifiers else replace(message, identifiers=ranked)


def _joined(message: Message) -> Message:
    """Add what the client's Ibexa tracker calls the persons that the message names."""
    client = clients.by_id(message.client_id) if message.identifiers else None
    if client is None or not client.hashed_provider:
        return message
    named = [
        item.key for item in message.identifiers if item.key.provider == client.hashed_provider
    ]
    joins = tuple((key, IdentifierKey(IBEXA, keyed.user(client.ref, key.value))) for key in named)
    return replace(message, joins=joins)


def _without_repeats(messages: Sequence[Message]) -> list[Message]:
    """
    Take the statements out that were made before: every call of a signed-in visitor makes one.

    The first user that a device names has it, so that saying it again later
    changes nothing; such a message is just the user's.
    """
    said = {
        message.ref: _pair(message)
        for message in messages
        if message.policy is Policy.SEGMENT and message.identifiers
    }
    if not said:
        return list(messages)
    first = _first_said(set(said.values()))
    return [
        replace(message, identifiers=(), person=message.identifiers[0].key)
        if message.ref in said
        and said[message.ref] in first
        and first[said[message.ref]] <= message.occurred_at
        else message
        for message in messages
    ]


def _pair(message: Message) -> _Pair:
    user = message.identifiers[0].key
    return (message.client_id, message.speaker or user, user)


def _first_said(pairs: set[_Pair]) -> dict[_Pair, datetime]:
    """Read when each device first named each user, as far as it is known to have."""
    links = IdentityLink.objects.filter(
        client_id__in={client for client, _, _ in pairs},
        policy=Policy.SEGMENT.value,
        is_active=True,
        left_value__in={left.value for _, left, _ in pairs},
        right_value__in={right.value for _, _, right in pairs},
    )
    first: dict[_Pair, datetime] = {}
    for link in links:
        (client, left), (_, right) = _ends(link)
        pair = (client, left, right)
        first[pair] = min(link.occurred_at, first.get(pair, link.occurred_at))
    return first


def _closure(seeds: _Names) -> _Closure:
    """Read everything that links connect to these identifiers, up to the limit for one guest."""
    sets = _Connected(seeds)
    links: dict[int, IdentityLink] = {}
    frontier = set(seeds)
    while frontier:
        found = _links_of(frontier)
        links |= {link.pk: link for link in found}
        reached = {name for link in found for name in _ends(link)} - sets.names
        for link in found:
            sets.join(*_ends(link))
        frontier = {name for name in reached if not sets.is_too_large(name)}
    return _Closure(sets.names, links)


class _Connected:
    """Which identifiers belong together, as a forest of parents (union-find)."""

    def __init__(self, names: _Names) -> None:
        self._parent = {name: name for name in names}
        self._size = dict.fromkeys(names, 1)

    @property
    def names(self) -> _Names:
        return set(self._parent)

    def join(self, left: _Name, right: _Name) -> None:
        left, right = self._root(left), self._root(right)
        if left != right:
            self._parent[right] = left
            self._size[left] += self._size.pop(right)

    def is_too_large(self, name: _Name) -> bool:
        return self._size[self._root(name)] > conf.settings().MAX_LINKED_IDENTIFIERS

    def _root(self, name: _Name) -> _Name:
        if name not in self._parent:
            self._parent[name] = name
            self._size[name] = 1
        while (parent := self._parent[name]) != name:
            self._parent[name] = self._parent[parent]
            name = parent
        return name


def _without_oversized(messages: Sequence[Message], closure: _Closure) -> list[Message]:
    """Take back the identifiers of messages that would make a guest's set larger than allowed."""
    sets = _Connected(closure.names)
    for link in closure.links.values():
        sets.join(*_ends(link))
    kept = []
    for message in messages:
        names = sorted(_stated([message]))
        for name in names[1:]:
            sets.join(names[0], name)
        if names and sets.is_too_large(names[0]):
            limit = conf.settings().MAX_LINKED_IDENTIFIERS
            warning = f"The guest has more than {limit} linked identifiers; nothing was joined."
            message = replace(
                message, identifiers=(), joins=(), warnings=(*message.warnings, warning)
            )
        kept.append(message)
    return kept


def _links_of(names: _Names) -> list[IdentityLink]:
    keys = sorted({(key.provider, key.value) for _, key in names})
    values = sorted({value for _, value in keys})
    links = IdentityLink.objects.filter(client_id__in={client for client, _ in names})
    found = {
        link.pk: link
        for side in ("left_value", "right_value")
        for link in links.filter(is_active=True, **{f"{side}__in": values})
    }
    return [link for link in found.values() if names & set(_ends(link))]


def _ends(link: IdentityLink) -> tuple[_Name, _Name]:
    return (
        (link.client_id, IdentifierKey(link.left_provider, link.left_value)),
        (link.client_id, IdentifierKey(link.right_provider, link.right_value)),
    )


def _lock_names(names: _Names) -> None:
    if not names or not db.is_postgres():
        # SQLite has one writer at a time: the walk's transaction already is it.
        return
    classes = sorted({_lock_class(client_id, key) for client_id, key in names})
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, class) "
            "FROM (SELECT unnest(%s::int[]) AS class) AS sorted",
            [_LOCK_SPACE, classes],
        )


def _lock_class(client_id: int, key: IdentifierKey) -> int:
    name = f"{client_id}\n{key.provider}\n{key.value}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=4).digest(), "big") % _LOCK_CLASSES


def _read(names: _Names) -> dict[_Name, IdentifierRow]:
    """Read and lock the rows of these identifiers, in the order of their ids."""
    if not names:
        return {}
    # All three columns of the unique index, or its rows of the whole client are read.
    among_clients, client_ids = db.in_list("client_id", sorted({client for client, _ in names}))
    among_providers, providers = db.in_list("provider", sorted({key.provider for _, key in names}))
    among_values, values = db.in_list("value", sorted({key.value for _, key in names}))
    sql = (
        "SELECT id, client_id, provider, value, guest_id, birth_guest_id, moved_at, expires_at "
        f'FROM "{Identifier._meta.db_table}" '
        f"WHERE {among_clients} AND {among_providers} AND {among_values} ORDER BY id"
    )
    if db.is_postgres():
        sql += " FOR NO KEY UPDATE"
    with db.cursor() as cursor:
        cursor.execute(sql, client_ids + providers + values)
        rows = [_row(values) for values in cursor.fetchall()]
    return {(row.client_id, row.key): row for row in rows if (row.client_id, row.key) in names}


def _row(values: Sequence[Any]) -> IdentifierRow:
    pk, client_id, provider, value, guest_id, birth_guest_id, moved_at, expires_at = values
    return IdentifierRow(
        id=pk,
        client_id=client_id,
        key=IdentifierKey(provider, value),
        guest_id=guest_id,
        birth_guest_id=birth_guest_id,
        moved_at=db.loaded_time(moved_at) if moved_at else None,
        expires_at=db.loaded_time(expires_at) if expires_at else None,
    )


# --- guests that begin -----------------------------------------------------------------


def _born(
    messages: Sequence[Message], known: _Known, *, now: datetime
) -> Mapping[_Name, IdentifierRow]:
    """Make the guests of speakers seen for the first time, where that is allowed."""
    births: dict[_Name, Message] = {}
    for message in messages:
        if message.births and message.speaker and not _spoken_by(message, known):
            births.setdefault((message.client_id, message.speaker), message)
    if not births:
        return {}
    refs = {name: _birth_ref(*name) for name in births}
    _make_guests(
        [
            merging.new_guest(
                refs[name],
                message.client_id,
                message.occurred_at,
                now=now,
                type=Guest.Type.BOT if name[1].provider == BOT else Guest.Type.VISITOR,
            )
            for name, message in births.items()
        ]
    )
    ids = _guest_ids(refs.values())
    followers.note_guests(ids.values(), followers.Changed.PROFILE, now=now)
    db.insert_rows(
        Identifier,
        [
            {
                "client_id": client_id,
                "provider": key.provider,
                "value": key.value,
                "guest_id": ids[refs[client_id, key]],
                "birth_guest_id": ids[refs[client_id, key]],
                "created_at": now,
            }
            for client_id, key in sorted(births, key=lambda name: (name[0], name[1]))
        ],
        ignore_conflicts=True,
    )
    return _read(set(births))


def _birth_ref(client_id: int, key: IdentifierKey) -> UUID:
    client = clients.by_id(client_id)
    if client is None:
        raise LookupError(f"client {client_id} is gone")
    return birth_ref(client_ref=client.ref, key=key)


def _make_guests(rows: Sequence[Mapping[str, Any]]) -> None:
    db.insert_rows(Guest, rows, ignore_conflicts=True)


def _guest_ids(refs: Iterable[UUID]) -> dict[UUID, int]:
    return dict(Guest.objects.filter(db.Among("ref", set(refs))).values_list("ref", "pk"))


def _strangers(messages: Sequence[Message], *, now: datetime) -> dict[UUID, int]:
    """Find the guest that each run named, making those that the run met for the first time."""
    named = [message for message in messages if message.guest_ref and not message.speaker]
    strangers = [message for message in named if message.is_stranger]
    _make_guests(
        [
            merging.new_guest(message.guest_ref, message.client_id, message.occurred_at, now=now)
            for message in strangers
            if message.guest_ref
        ]
    )
    ids = _guest_ids(message.guest_ref for message in named if message.guest_ref)
    new = [ids[message.guest_ref] for message in strangers if message.guest_ref in ids]
    followers.note_guests(new, followers.Changed.PROFILE, now=now)
    return {
        message.ref: ids[message.guest_ref]
        for message in named
        if message.guest_ref and message.guest_ref in ids
    }


def _welcome(messages: Sequence[Message], known: _Known) -> tuple[list[Message], list[Refused]]:
    welcome: list[Message] = []
    refused: list[Refused] = []
    for message in messages:
        if message.speaker and not _spoken_by(message, known):
            refused.append(
                _refusal(message, "unknown_browser", "No browser has this id (any more).")
            )
        elif _names_nobody(message):
            refused.append(_refusal(message, "nobody", "The event names nobody."))
        else:
            welcome.append(message)
    return welcome, refused


def _names_nobody(message: Message) -> bool:
    named = message.speaker or message.identifiers or message.person or message.guest_ref
    return not named and not message.is_impersonal


def _refusal(message: Message, code: str, reason: str) -> Refused:
    return Refused(
        entry=message.entry,
        index=message.index,
        code=code,
        reason=reason,
        raw=message.raw,
        type=message.type,
    )


# --- resolving -------------------------------------------------------------------------


def _speaking_clients(fresh: Fresh) -> list[int]:
    """Name the clients of whose identifiers something must be resolved."""
    speaking = {message.client_id for message in fresh.messages if message.identifiers}
    return sorted(speaking | set(fresh.locked.statements))


def _by_client(links: Mapping[int, IdentityLink]) -> dict[int, list[Statement]]:
    by_event: dict[tuple[UUID, str], list[IdentityLink]] = defaultdict(list)
    for link in links.values():
        by_event[link.event_ref, link.policy].append(link)
    statements: dict[int, list[Statement]] = defaultdict(list)
    for (event_ref, said_by), rows in by_event.items():
        rows.sort(key=lambda link: link.position)
        first = rows[0]
        policy = Policy(said_by)
        left = IdentifierKey(first.left_provider, first.left_value)
        stated = tuple(
            StatedIdentifier(IdentifierKey(link.right_provider, link.right_value), link.expires_at)
            for link in rows
        )
        if policy in SPEAKERLESS:
            stated = (StatedIdentifier(left), *stated)
        statements[first.client_id].append(
            Statement(
                event_ref=event_ref,
                message_id=first.message_id,
                at=first.occurred_at,
                speaker=left if left.provider == BROWSER else None,
                stated=stated,
                policy=policy,
            )
        )
    return statements


def _resolve(
    fresh: Fresh, client: ClientConfig, *, now: datetime
) -> tuple[dict[UUID, int], dict[UUID, str]]:
    """Resolve one client's part of the batch: its messages' guest rows, and what was refused."""
    speaking = [m for m in fresh.messages if m.client_id == client.id and m.identifiers]
    said = [statement for message in speaking for statement in _statements(message)]
    merging.store_links(client.id, said)
    statements = [*fresh.locked.statements.get(client.id, ()), *said]
    names = {
        (client.id, key)
        for statement in statements
        for key in (*(item.key for item in statement.stated), statement.speaker)
        if key is not None
    }
    known = {key: row for (_, key), row in _read(names).items()}
    since = corrections.done_since(said, known)
    spoken = [
        (message.speaker, message.occurred_at)
        for message in fresh.messages
        if message.client_id == client.id and message.speaker
    ]
    resolution = merging.settle(client, statements, known, spoken=[*spoken, *since], now=now)
    earlier = fresh.locked.statements.get(client.id, ())
    if since or _is_late(said, earlier):
        corrections.give_back(earlier, known, resolution, now=now)
    owners = {
        message.ref: resolution.guest_ids[resolution.answer.by_event[message.ref]]
        for message in speaking
        if message.ref in resolution.answer.by_event
    }
    for message in fresh.messages:
        if message.client_id == client.id and message.ref not in owners:
            guest_id = _owner_then(message, known, resolution)
            if guest_id is not None:
                owners[message.ref] = guest_id
    return owners, resolution.answer.refused


def _is_late(said: Iterable[Statement], earlier: Iterable[Statement]) -> bool:
    """Say whether something was said about a time that others have spoken of already."""
    newest = max(((each.at, each.message_id) for each in earlier), default=None)
    return newest is not None and any((each.at, each.message_id) < newest for each in said)


def _warned(message: Message, refused: str | None) -> Message:
    if refused is None:
        return message
    warning = f"{refused} Nothing was joined."
    return replace(message, warnings=(*message.warnings, warning))


def _statements(message: Message) -> list[Statement]:
    """Return what a message says of its own, and which of its identifiers are one."""
    own = Statement(
        event_ref=message.ref,
        message_id=message.message_id,
        at=message.occurred_at,
        speaker=message.speaker,
        stated=message.identifiers,
        policy=message.policy,
    )
    joins = [
        replace(
            own,
            speaker=None,
            stated=(StatedIdentifier(clear), StatedIdentifier(hashed)),
            policy=Policy.JOIN,
        )
        for clear, hashed in message.joins
    ]
    return [own, *joins]


def _owner_then(
    message: Message, known: Mapping[IdentifierKey, IdentifierRow], settled: "merging.Settled"
) -> int | None:
    """Return whose the message's browser was when it happened, where the sets resolved here say."""
    row = known.get(message.speaker) if message.speaker and not message.person else None
    born = merging.born(row) if row else None
    if row is None or born is None:
        return None
    owner = settled.answer.owner_at(row.key, message.occurred_at, born)
    return settled.guest_ids[owner]


def _owner(message: Message, owners: Mapping[UUID, int], locked: Locked) -> int | None:
    if message.ref in owners:
        return owners[message.ref]
    if message.is_impersonal:
        return None
    named = message.person or message.speaker
    row = locked.known.get((message.client_id, named)) if named else None
    if row is None:
        raise LookupError("The guest that this message names is gone.")
    return row.guest_id


def _browser_row(message: Message, locked: Locked) -> int | None:
    row = _spoken_by(message, locked.known)
    # Many people's devices share an id that names nobody: their visits cannot be told apart.
    return row.id if row and row.key.provider != UNNAMED else None


def _guests(ids: set[int]) -> dict[int, GuestKey]:
    rows = Guest.objects.filter(db.Among("pk", ids)).values_list("pk", "ref", "root_id")
    return {pk: GuestKey(pk, ref, root_id or pk) for pk, ref, root_id in rows}


def _touch(items: Sequence[Identified]) -> None:
    """Keep the oldest and newest time each guest was seen, and whether a flow ran for it."""
    seen: dict[int, dict[str, Any]] = {}
    for item in items:
        at = item.message.occurred_at
        if item.guest is None:
            continue
        for guest_id in {item.guest.id, item.guest.root_id}:
            row = seen.setdefault(
                guest_id, {"id": guest_id, "first_seen": at, "last_seen": at, "has_runs": False}
            )
            row["first_seen"] = min(row["first_seen"], at)
            row["last_seen"] = max(row["last_seen"], at)
            row["has_runs"] = row["has_runs"] or item.message.flow_execution_ref is not None
    merging.keep_seen([seen[guest_id] for guest_id in sorted(seen)])
