"""
What the identity step writes: guests that begin, promotions, merges, and profiles.

A merge moves no row: the retired guest points at the survivor, which takes
over the newer traits. What it had before is kept, so a merge can be undone.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from tracking import conf, db, followers, identity_policy
from tracking.identity_policy import Merge, Newcomer, Resolution
from tracking.models import Guest, Identifier, IdentityLink, MergeRecord, Session
from tracking.types import (
    BROWSER,
    IBEXA,
    SPEAKERLESS,
    TRAITS,
    ClientConfig,
    Identified,
    IdentifierKey,
    IdentifierRow,
    Statement,
    birth_ref,
    stamped,
)

#: The stamp of a guest type that was set by hand rather than earned by an identifier.
TYPE_STAMP = "type"
_ATTRIBUTE = "attributes."


@dataclass(frozen=True, slots=True)
class Settled:
    """A resolution whose guests all are rows: `guest_ids` names each one's."""

    answer: Resolution[int]
    guest_ids: Mapping[int | Newcomer, int]


def new_guest(
    ref: UUID,
    client_id: int,
    seen_at: datetime,
    *,
    now: datetime,
    type: Guest.Type = Guest.Type.VISITOR,
) -> dict[str, Any]:
    """Return the row of a guest that begins, for a bulk insert."""
    return {
        "ref": ref,
        "bucket_ref": ref,
        "client_id": client_id,
        "type": type.value,
        "has_runs": False,
        **{name: "" for name in TRAITS if name != "street"},
        "street": [],
        "attributes": {},
        "stamps": {},
        "first_seen": seen_at,
        "last_seen": seen_at,
        "created_at": now,
        "modified_at": now,
    }


def store_links(client_id: int, statements: Sequence[Statement]) -> None:
    """Write what the batch states: one row for each identifier beside its speaker."""
    rows = []
    positions: dict[UUID, int] = defaultdict(int)
    for statement in statements:
        left, stated = statement.speaker or statement.stated[0].key, statement.stated
        if statement.policy in SPEAKERLESS:
            # It joins the others to the first, whichever device says so.
            left, stated = stated[0].key, stated[1:]
        for item in stated:
            position = positions[statement.event_ref]
            positions[statement.event_ref] += 1
            rows.append(
                {
                    "client_id": client_id,
                    "left_provider": left.provider,
                    "left_value": left.value,
                    "right_provider": item.key.provider,
                    "right_value": item.key.value,
                    "policy": statement.policy.value,
                    "event_ref": statement.event_ref,
                    "message_id": statement.message_id,
                    "position": position,
                    "expires_at": item.expires_at,
                    "occurred_at": statement.at,
                    "is_active": True,
                }
            )
    db.insert_rows(IdentityLink, rows, ignore_conflicts=True)


def settle(
    client: ClientConfig,
    statements: Iterable[Statement],
    known: Mapping[IdentifierKey, IdentifierRow],
    *,
    spoken: Iterable[tuple[IdentifierKey, datetime]] = (),
    now: datetime,
) -> Settled:
    """
    Ask the policy about a connected set of identifiers, and store the difference.

    `spoken` says when identifiers did something: a guest who is latent begins by that.
    """
    members = _members(client, known.values())
    births = {key: guest for key, row in known.items() if (guest := born(row)) is not None}
    statements = list(statements)
    answer = identity_policy.resolve(
        statements,
        births=births,
        customers=[guest.pk for guest in members.values() if TYPE_STAMP in guest.stamps],
        rules=client.rules,
    )
    answer.merges += _left_over(client, answer, statements, births, members)
    awake = {
        answer.owner_at(key, at, births[key])
        for key, at in spoken
        if key in births and key in answer.moves
    }
    settled = Settled(answer, _rows_of(client, answer, members, awake, now=now))
    _store_owners(client, settled, known, now=now)
    _store_merges(client, settled, now=now)
    return settled


def born(row: IdentifierRow) -> int | None:
    """Return the guest that an identifier brought into the world; None where it joined one."""
    if row.birth_guest_id is None and row.key.provider == IBEXA:
        # Its first one was erased, or a login named it first: what it is now, it always was.
        return row.guest_id
    return row.birth_guest_id


def apply_traits(items: Sequence[Identified], *, now: datetime) -> None:
    """
    Set what the batch says about people: per trait the newest statement wins, by (time, id).

    A merged guest keeps what it said, and its survivor takes it over like at
    the merge itself: undoing that one takes all of it back.
    """
    stated = [
        (item.message, item.guest)
        for item in items
        if item.guest is not None and (item.message.traits or item.message.attributes)
    ]
    if not stated:
        return
    ids = {guest_id for _, guest in stated for guest_id in (guest.id, guest.root_id)}
    guests = Guest.objects.in_bulk(ids)
    merged = [guest.id for _, guest in stated if guest.id != guest.root_id]
    records = {
        record.retired_id: record
        for record in MergeRecord.objects.filter(retired__in=merged, undone_at__isnull=True)
    }
    for message, named in stated:
        guest = guests[named.id]
        values = {**message.traits, **{attribute(k): v for k, v in message.attributes.items()}}
        state_traits(guest, values, at=message.occurred_at, by=message.message_id)
        record = records.get(guest.pk)
        if record is not None:
            record.survivor_before |= {
                name: before
                for name, before in _take_over(guests[named.root_id], guest).items()
                if name not in record.survivor_before
            }
    MergeRecord.objects.bulk_update(records.values(), ["survivor_before"])
    save_profiles(guests.values(), now=now)
    followers.note_guests(guests, followers.Changed.PROFILE, now=now)


def take_back(guest: Guest, names: Iterable[str], *, at: datetime, by: str) -> set[str]:
    """Clear those of the traits that this very statement has set, and name them."""
    taken = {name for name in names if guest.stamps.get(name) == stamped(at, by)}
    for name in taken:
        _clear_trait(guest, name)
        del guest.stamps[name]
    return taken


def state_traits(guest: Guest, values: Mapping[str, Any], *, at: datetime, by: str) -> None:
    """Set these traits on the guest, except those that a newer statement has set."""
    new = stamped(at, by)
    most = 2 * conf.settings().MAX_ATTRIBUTES
    for name, value in values.items():
        if guest.stamps.get(name, [0, ""]) <= new:
            _set_trait(guest, name, value)
            # What was removed is stamped too: an older statement must not bring it back.
            is_kept = _trait(guest, name) is not None or name in guest.stamps
            if is_kept or (value is None and len(guest.stamps) < most):
                guest.stamps[name] = new


def save_profiles(guests: Iterable[Guest], *, now: datetime) -> None:
    guests = list(guests)
    for guest in guests:
        guest.modified_at = now
    fields = [*TRAITS, "attributes", "stamps", "modified_at", "bucket_ref", "has_runs"]
    Guest.objects.bulk_update(sorted(guests, key=lambda g: g.pk), fields, batch_size=100)


def keep_seen(rows: Sequence[Mapping[str, Any]]) -> None:
    """Widen when guests were seen: rows of id, first_seen, last_seen and has_runs, by id."""
    table = Guest._meta.db_table
    oldest = db.least(f'"{table}"."first_seen"', 'new."first_seen"')
    newest = db.greatest(f'"{table}"."last_seen"', 'new."last_seen"')
    runs = "OR" if db.is_postgres() else "|"
    db.update_rows(
        Guest,
        rows,
        key="id",
        sets=f'"first_seen" = {oldest}, "last_seen" = {newest}, '
        f'"has_runs" = "{table}"."has_runs" {runs} new."has_runs"',
    )


def attribute(name: str) -> str:
    """Return the trait name of a guest attribute."""
    return _ATTRIBUTE + name


def undo(record: MergeRecord, *, now: datetime) -> None:
    """
    Take a merge back: the links that caused it no longer count.

    The retired guest speaks for itself again, with its browsers and with
    everything recorded for it; the survivor gets back the traits it had.
    """
    with db.atomic():
        links = IdentityLink.objects.filter(client=record.client_id, event_ref=record.event_ref)
        keys = {(link.left_provider, link.left_value) for link in links}
        links.update(is_active=False)
        _end_merge(record, now=now)
        browsers = Identifier.objects.filter(client=record.client_id, provider=BROWSER)
        browsers = browsers.filter(value__in=[value for _, value in keys])
        Guest.objects.filter(pk=record.retired_id).update(
            root=None, type=Guest.Type.VISITOR, modified_at=now
        )
        for browser in browsers.filter(birth_guest=record.retired_id):
            browser.guest_id = record.retired_id
            browser.save(update_fields=["guest"])
        both = (record.survivor_id, record.retired_id)
        followers.note_guests(both, followers.Changed.PROFILE, now=now, soon=True)


# --- storing the difference ------------------------------------------------------------


def _members(client: ClientConfig, rows: Collection[IdentifierRow]) -> dict[int, Guest]:
    ids = {guest_id for row in rows for guest_id in (row.guest_id, row.birth_guest_id) if guest_id}
    begun = {_begun_ref(client, row.key) for row in rows if row.birth_guest_id is None}
    guests = Guest.objects.filter(Q(pk__in=ids) | Q(merged__in=ids) | Q(ref__in=begun))
    return {guest.pk: guest for guest in guests.order_by("pk").distinct()}


def _begun_ref(client: ClientConfig, key: IdentifierKey) -> UUID:
    return birth_ref(client_ref=client.ref, key=key)


def _left_over(
    client: ClientConfig,
    answer: Resolution[int],
    statements: Sequence[Statement],
    births: Mapping[IdentifierKey, int],
    members: Mapping[int, Guest],
) -> list[Merge[int]]:
    """
    Merge the guests that an identifier began with, before an earlier event came that named it.

    Had that event come in its time, they would not exist: what was recorded
    for them is the identifier's owner's.
    """
    rows = {guest.ref: guest.pk for guest in members.values()}
    owners = set(answer.owner.values())
    merges = []
    for key in sorted(answer.owner.keys() - births.keys()):
        owner = answer.owner[key]
        pk = rows.get(_begun_ref(client, key))
        if pk is None or pk in owners or owner == Newcomer(key):
            continue
        said = min(
            (each for each in statements if key in {item.key for item in each.stated}),
            key=lambda each: (each.at, each.message_id),
            default=None,
        )
        if said is not None:
            merges.append(Merge(pk, owner, said.event_ref, said.at))
    return merges


def _rows_of(
    client: ClientConfig,
    answer: Resolution[int],
    members: Mapping[int, Guest],
    awake: Collection[int | Newcomer],
    *,
    now: datetime,
) -> dict[int | Newcomer, int]:
    newcomers = {
        guest: _begun_ref(client, guest.key)
        for guest in (*answer.owner.values(), *answer.by_event.values())
        if isinstance(guest, Newcomer) and guest not in answer.latent
    }
    ids: dict[int | Newcomer, int] = {pk: pk for pk in members}
    ids |= {guest: guest for guest in answer.owner.values() if isinstance(guest, int)}
    if answer.latent:
        refs = {_begun_ref(client, guest.key): guest for guest in answer.latent}
        here = dict(Guest.objects.filter(ref__in=refs).values_list("ref", "pk"))
        ids |= {refs[ref]: pk for ref, pk in here.items()}
        newcomers |= {
            guest: ref for ref, guest in refs.items() if guest in awake and ref not in here
        }
    if newcomers:
        db.insert_rows(
            Guest,
            [new_guest(ref, client.id, now, now=now) for ref in sorted(set(newcomers.values()))],
            ignore_conflicts=True,
        )
        by_ref = dict(Guest.objects.filter(ref__in=newcomers.values()).values_list("ref", "pk"))
        ids |= {guest: by_ref[ref] for guest, ref in newcomers.items()}
    return ids


def _store_owners(
    client: ClientConfig,
    settled: Settled,
    known: Mapping[IdentifierKey, IdentifierRow],
    *,
    now: datetime,
) -> None:
    answer, ids = settled.answer, settled.guest_ids
    fresh, changed = [], []
    for key in sorted(answer.owner):
        row = known.get(key)
        moves = answer.moves.get(key)
        moved_at = moves[-1][0] if moves else None
        expires_at = answer.expiries.get(key)
        guest_id = ids.get(answer.owner[key])
        if guest_id is None:
            # Nobody yet: who it was before is asked again when it does something.
            if row is None:
                continue
            guest_id = row.guest_id
        if row is None:
            fresh.append(
                {
                    "client_id": client.id,
                    "provider": key.provider,
                    "value": key.value,
                    "guest_id": guest_id,
                    "expires_at": expires_at,
                    "created_at": now,
                }
            )
        elif (row.guest_id, row.moved_at, row.expires_at) != (guest_id, moved_at, expires_at):
            changed.append((row, guest_id, moved_at, expires_at))
    db.insert_rows(Identifier, fresh, ignore_conflicts=True)
    # What a statement gave somebody, and an earlier one that came late takes away again.
    ownerless = [row.id for key, row in known.items() if key not in answer.owner]
    if ownerless:
        unused = Identifier.objects.filter(pk__in=ownerless, birth_guest=None)
        unused.exclude(
            pk__in=Session.objects.filter(browser__in=ownerless).values("browser")
        ).delete()
    db.update_rows(
        Identifier,
        [
            {"id": row.id, "guest_id": guest_id, "moved_at": moved, "expires_at": expires}
            for row, guest_id, moved, expires in sorted(changed, key=lambda item: item[0].id)
        ],
        key="id",
        sets='"guest_id" = new."guest_id", "moved_at" = new."moved_at", '
        '"expires_at" = new."expires_at"',
    )


def _store_merges(client: ClientConfig, settled: Settled, *, now: datetime) -> None:
    """Point merged guests at their survivors, promote, and keep a record of each merge."""
    answer, ids = settled.answer, settled.guest_ids
    wanted = {ids[merge.retired]: merge for merge in answer.merges if merge.retired in ids}
    guests = {
        guest.pk: guest for guest in Guest.objects.filter(pk__in=set(ids.values())).order_by("pk")
    }
    in_force = {
        record.retired_id: record
        for record in MergeRecord.objects.filter(retired__in=guests, undone_at__isnull=True)
    }
    for retired_id, record in in_force.items():
        merge = wanted.get(retired_id)
        if merge is None or record.survivor_id != ids[answer.find(merge.survivor)]:
            _end_merge(record, now=now)
            guests[record.survivor_id] = Guest.objects.get(pk=record.survivor_id)
    for retired_id, merge in wanted.items():
        survivor_id = ids[answer.find(merge.survivor)]
        record_in_force = in_force.get(retired_id)
        if record_in_force is None or record_in_force.survivor_id != survivor_id:
            _begin_merge(client, guests[retired_id], guests[survivor_id], merge, now=now)
    customers = {
        ids[survivor]
        for guest in answer.customers
        if guest in ids and (survivor := answer.find(guest)) in ids
    }
    for guest in guests.values():
        merge = wanted.get(guest.pk)
        guest.root_id = ids[answer.find(merge.survivor)] if merge else None
        if merge:
            guest.type = Guest.Type.RETIRED
        elif guest.pk in customers or TYPE_STAMP in guest.stamps:
            guest.type = Guest.Type.CUSTOMER
        else:
            guest.type = Guest.Type.VISITOR
    Guest.objects.bulk_update(
        sorted(guests.values(), key=lambda guest: guest.pk), ["root", "type"], batch_size=100
    )
    followers.note_guests(guests, followers.Changed.PROFILE, now=now)


def _begin_merge(
    client: ClientConfig, retired: Guest, survivor: Guest, merge: Merge[int], *, now: datetime
) -> None:
    before = _take_over(survivor, retired)
    if not survivor.has_runs:
        # What the visitor has seen must stay what the customer sees; and a run of theirs may be
        # waiting to be heard of.
        before["bucket_ref"] = [str(survivor.bucket_ref), None]
        survivor.bucket_ref = retired.bucket_ref
        survivor.has_runs = retired.has_runs
    save_profiles([survivor], now=now)
    MergeRecord.objects.create(
        client_id=client.id,
        survivor=survivor,
        retired=retired,
        event_ref=merge.event_ref,
        merged_at=merge.at,
        survivor_before=before,
    )


def _take_over(survivor: Guest, retired: Guest) -> dict[str, list[Any]]:
    """Give the survivor the newer traits; return what it had before: name -> [value, stamp]."""
    before: dict[str, list[Any]] = {}
    for name, newer in retired.stamps.items():
        if name != TYPE_STAMP and survivor.stamps.get(name, [0, ""]) < newer:
            before[name] = [_trait(survivor, name), survivor.stamps.get(name)]
            _set_trait(survivor, name, _trait(retired, name))
            survivor.stamps[name] = newer
    return before


def _end_merge(record: MergeRecord, *, now: datetime) -> None:
    survivor, retired = record.survivor, record.retired
    for name, (value, older) in record.survivor_before.items():
        if name == "bucket_ref":
            survivor.bucket_ref = UUID(value)
        elif survivor.stamps.get(name) == retired.stamps.get(name):
            _set_trait(survivor, name, value)
            if older is None:
                survivor.stamps.pop(name, None)
            else:
                survivor.stamps[name] = older
    save_profiles([survivor], now=now)
    record.undone_at = now
    record.save(update_fields=["undone_at"])


# --- traits ----------------------------------------------------------------------------


def _trait(guest: Guest, name: str) -> Any:
    if name.startswith(_ATTRIBUTE):
        return guest.attributes.get(name.removeprefix(_ATTRIBUTE))
    return getattr(guest, name)


def _clear_trait(guest: Guest, name: str) -> None:
    if name.startswith(_ATTRIBUTE):
        guest.attributes.pop(name.removeprefix(_ATTRIBUTE), None)
    elif name in TRAITS:
        setattr(guest, name, [] if name == "street" else "")


def _set_trait(guest: Guest, name: str, value: Any) -> None:
    if name.startswith(_ATTRIBUTE):
        attribute_name = name.removeprefix(_ATTRIBUTE)
        full = len(guest.attributes) >= conf.settings().MAX_ATTRIBUTES
        if value is None:
            guest.attributes.pop(attribute_name, None)
        elif attribute_name in guest.attributes or not full:
            guest.attributes[attribute_name] = value
    elif name in TRAITS:
        field = Guest._meta.get_field(name)
        length = getattr(field, "max_length", None)
        setattr(guest, name, value[:length] if isinstance(value, str) else value)
