"""Guests as other apps and the doors read them: by what names them, through merges."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tracking import db, followers, issued
from tracking.models import Guest, Identifier
from tracking.types import BROWSER, DEVICES, EMAIL, TRAITS, ClientConfig, IdentifierKey

_TEXTS = tuple(name for name in TRAITS if name != "street")
_COLUMNS = (
    "id", "ref", "bucket_ref", "type", *_TEXTS, "attributes", "first_seen", "last_seen",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GuestFacts:
    """A guest as decisions and templates read it: plain values, the survivor of any merge."""

    id: int
    ref: UUID
    bucket_ref: UUID
    type: str
    browser: int | None
    texts: dict[str, str]
    attributes: dict[str, Any]
    first_seen: datetime
    last_seen: datetime
    providers: list[str]
    riders: tuple[Any, ...] = ()


def by_browser(client: ClientConfig, browser_id: str, *, riders: str = "") -> GuestFacts | None:
    """
    Return the guest that this browser belongs to, or None.

    `riders` is SQL for further columns that the caller wants answered in the
    same round trip; they come back in `GuestFacts.riders`.
    """
    return _by_identifier(client, IdentifierKey(BROWSER, browser_id), riders)


def known_browsers(client: ClientConfig, browser_ids: Collection[str]) -> set[str]:
    """Return those of the browser ids that somebody has."""
    if not browser_ids:
        return set()
    # As one value, where the database can: a text with a hundred marks takes long to prepare.
    among, values = db.in_list("value", sorted(browser_ids))
    sql = (
        f'SELECT value FROM "{Identifier._meta.db_table}" '
        f"WHERE client_id = %s AND provider = %s AND {among}"
    )
    with db.cursor() as cursor:
        cursor.execute(sql, [client.id, BROWSER, *values])
        return {value for (value,) in cursor.fetchall()}


def identifiers_of(guest_ids: Collection[int]) -> dict[int, dict[str, list[str]]]:
    """
    Return what names each of these guests now, provider by provider, the oldest first.

    Ids of browsers and those past their expiry are left out. One query.
    """
    if not guest_ids:
        return {}
    among, values = db.in_list("guest_id", sorted(guest_ids))
    sql = (
        f'SELECT guest_id, provider, value FROM "{Identifier._meta.db_table}" WHERE {among} '
        f"AND provider NOT IN ({', '.join(['%s'] * len(DEVICES))}) "
        "AND (expires_at IS NULL OR expires_at > CURRENT_TIMESTAMP) ORDER BY id"
    )
    found: dict[int, dict[str, list[str]]] = {}
    with db.cursor() as cursor:
        cursor.execute(sql, [*values, *DEVICES])
        for guest_id, provider, value in cursor.fetchall():
            found.setdefault(guest_id, {}).setdefault(provider, []).append(value)
    return found


def newest_attributes(client_id: int, *, most: int = 500) -> list[dict[str, Any]]:
    """Return the attributes of the guests that came last, of those that have any."""
    rows = Guest.objects.filter(client=client_id).order_by("-pk")
    return [found for found in rows.values_list("attributes", flat=True)[:most] if found]


def by_identifier(
    client: ClientConfig, provider: str, value: str, *, riders: str = ""
) -> GuestFacts | None:
    """Return the guest that this identifier names, or None. Past its expiry it names nobody."""
    value = value.lower() if provider == EMAIL else value
    return _by_identifier(client, IdentifierKey(provider, value), riders)


def by_email(client: ClientConfig, email: str, *, riders: str = "") -> GuestFacts | None:
    """Return the guest with this EMAIL identifier, else the only one whose profile has it."""
    email = email.strip().lower()
    sql = (
        f"SELECT {_select('NULL', riders)} FROM tracking_guest g WHERE g.id = COALESCE("
        f"(SELECT COALESCE(b.root_id, b.id) {_NAMED}), "
        "(SELECT CASE WHEN COUNT(*) = 1 THEN MIN(p.id) END FROM tracking_guest p "
        "WHERE p.client_id = %s AND p.root_id IS NULL AND p.email <> '' "
        "AND LOWER(p.email) = %s))"
    )
    return _fetch(sql, [client.id, EMAIL, email, client.id, email])


def by_id(guest_id: int, *, riders: str = "") -> GuestFacts | None:
    sql = f"SELECT {_select('NULL', riders)} FROM tracking_guest g WHERE g.id = %s"
    return _fetch(sql, [guest_id])


def by_ids(guest_ids: Collection[int]) -> list[GuestFacts]:
    """Return these guests as they stand, those that speak for themselves, by id."""
    among, values = db.in_list("g.id", sorted(guest_ids))
    sql = (
        f"SELECT {_select('NULL', '')} FROM tracking_guest g "
        f"WHERE {among} AND g.root_id IS NULL ORDER BY g.id"
    )
    with db.cursor() as cursor:
        cursor.execute(sql, values)
        return [_facts(row) for row in cursor.fetchall()]


def members_of(guest_ids: Collection[int]) -> dict[int, int]:
    """Return everybody who speaks through these guests, themselves included: id -> survivor."""
    rows = Guest.objects.filter(db.Among("root", guest_ids)).values_list("pk", "root")
    return {pk: pk for pk in guest_ids} | {pk: root for pk, root in rows if root is not None}


def speakers_of(guest_ids: Collection[int]) -> set[int]:
    """Return those who speak for these guests: themselves, or whom they were merged into."""
    rows = Guest.objects.filter(db.Among("pk", guest_ids)).values_list("pk", "root")
    return {root or pk for pk, root in rows}


def lock(guest_ids: Collection[int]) -> None:
    """Let no other worker lock these guests until the transaction ends; in one order."""
    if guest_ids and db.is_postgres():
        rows = Guest.objects.filter(db.Among("pk", guest_ids)).order_by("pk")
        list(rows.select_for_update(no_key=True).values_list("pk"))


def by_ref(client: ClientConfig, ref: UUID, *, riders: str = "") -> GuestFacts | None:
    """Return the guest of this ref, or the survivor it was merged into."""
    sql = (
        f"SELECT {_select('NULL', riders)} FROM tracking_guest b "
        "JOIN tracking_guest g ON g.id = COALESCE(b.root_id, b.id) "
        "WHERE b.client_id = %s AND b.ref = %s"
    )
    return _fetch(sql, [client.id, db.stored(ref)])


_NAMED = (
    "FROM tracking_identifier i JOIN tracking_guest b ON b.id = i.guest_id "
    "WHERE i.client_id = %s AND i.provider = %s AND i.value = %s "
    "AND (i.expires_at IS NULL OR i.expires_at > CURRENT_TIMESTAMP)"
)


def _by_identifier(client: ClientConfig, key: IdentifierKey, riders: str) -> GuestFacts | None:
    sql = (
        f"SELECT {_select('n.identifier', riders)} FROM tracking_guest g JOIN "
        f"(SELECT COALESCE(b.root_id, b.id) AS guest, i.id AS identifier {_NAMED}) n "
        "ON g.id = n.guest"
    )
    return _fetch(sql, [client.id, key.provider, key.value])


def _select(browser: str, riders: str) -> str:
    columns = ", ".join(f"g.{name}" for name in _COLUMNS)
    joined = (
        "STRING_AGG(DISTINCT o.provider, ',')"
        if db.is_postgres()
        else ("GROUP_CONCAT(DISTINCT o.provider)")
    )
    providers = f"(SELECT {joined} FROM tracking_identifier o WHERE o.guest_id = g.id)"
    return f"{columns}, {browser}, {providers}" + (f", {riders}" if riders else "")


def _fetch(sql: str, parameters: list[Any]) -> GuestFacts | None:
    with db.cursor() as cursor:
        cursor.execute(sql, parameters)
        row = cursor.fetchone()
    return _facts(row) if row else None


def _facts(row: Sequence[Any]) -> GuestFacts:
    pk, ref, bucket_ref, type_, *rest = row
    texts, rest = rest[: len(_TEXTS)], rest[len(_TEXTS) :]
    attributes, first_seen, last_seen, browser, providers, *riders = rest
    return GuestFacts(
        id=pk,
        ref=db.loaded_uuid(ref),
        bucket_ref=db.loaded_uuid(bucket_ref),
        type=type_,
        browser=browser,
        texts=dict(zip(_TEXTS, texts, strict=True)),
        attributes=db.loaded_json(attributes),
        first_seen=db.loaded_time(first_seen),
        last_seen=db.loaded_time(last_seen),
        providers=sorted(set((providers or "").split(",")) - {"", *DEVICES}),
        riders=tuple(riders),
    )


@dataclass(frozen=True, slots=True)
class NewBrowser:
    """A browser id just given out, and the guest behind it."""

    browser_id: str
    guest_ref: UUID


def create_browser(client: ClientConfig, *, now: datetime) -> NewBrowser:
    """Give out a browser id, with a visitor behind it: both are rows when this returns."""
    browser_id, guest_ref = issued.new(client), uuid.uuid4()
    with db.write():
        guest = Guest.objects.create(
            ref=guest_ref,
            bucket_ref=guest_ref,
            client_id=client.id,
            first_seen=now,
            last_seen=now,
            created_at=now,
            modified_at=now,
        )
        Identifier.objects.create(
            client_id=client.id,
            provider=BROWSER,
            value=browser_id,
            guest=guest,
            birth_guest=guest,
            created_at=now,
        )
        followers.note_guests([guest.pk], followers.Changed.PROFILE, now=now)
    return NewBrowser(browser_id, guest_ref)
