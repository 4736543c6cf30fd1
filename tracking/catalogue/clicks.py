"""Adds to the catalogue what clicks tell of their items; the follower of clicks calls it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from tracking import clients, db, items
from tracking.catalogue import listeners
from tracking.catalogue.finding import rows_of
from tracking.catalogue.sources import source_of
from tracking.items import MOST_CATEGORIES, Sighting
from tracking.models import Item, ItemCategory
from tracking.types import ClientConfig, ItemKey

# A category that is clicked all day is noted once a day.
_NOTED_EVERY = timedelta(days=1)
_TEXTS = ("name", "url", "image")


def _texts_set() -> str:
    """Return the SET clause by which a click says what no import has said."""
    old = Item._meta.db_table
    return ", ".join(
        f'"{name}" = CASE WHEN excluded."{name}" <> \'\''
        f' AND ("{old}"."imported_at" IS NULL OR "{old}"."{name}" = \'\')'
        f' THEN excluded."{name}" ELSE "{old}"."{name}" END'
        for name in _TEXTS
    )


_SUPPLEMENT = (
    f'("client_id", "type", "item_id") DO UPDATE SET {_texts_set()}, '
    '"supplemented_at" = excluded."supplemented_at", "updated_at" = excluded."updated_at"'
)
_SEEN = (
    '("item_id", "path") DO UPDATE SET "seen_at" = '
    f'CASE WHEN excluded."seen_at" > "{ItemCategory._meta.db_table}"."seen_at" '
    f'THEN excluded."seen_at" ELSE "{ItemCategory._meta.db_table}"."seen_at" END'
)


@dataclass(slots=True)
class _Told:
    """All that a batch of clicks tells of one item; of a text, the last one that is none empty."""

    texts: dict[str, str] = field(default_factory=lambda: dict.fromkeys(_TEXTS, ""))
    paths: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is stored of an item that a batch tells of."""

    pk: int
    is_imported: bool
    texts: Mapping[str, str]
    seen: Mapping[str, datetime]


def supplement(client_id: int, sightings: Iterable[Sighting], *, now: datetime) -> None:
    """
    Add what clicks tell of items, the oldest first.

    Category paths are added to those that there are, if the client has it so,
    until the next import. A name, an address and an image count where no
    import has said one; a price never does. Writes nothing for what is known
    already, and takes four queries at most, whatever the number of sightings,
    beside those of whoever hears of new categories.
    """
    client = clients.by_id(client_id)
    told = _told(sightings, client) if client else {}
    if not told:
        return
    with db.write():
        known = _known(client_id, list(told))
        changed = [key for key in sorted(told) if _says_more(told[key], known.get(key))]
        pks = {key: row.pk for key, row in known.items()}
        pks |= _write_items(client_id, {key: told[key] for key in changed}, now=now)
        if _write_categories(told, known, pks, now=now):
            listeners.tell(client_id, by_click=True)


def _told(sightings: Iterable[Sighting], client: ClientConfig) -> dict[ItemKey, _Told]:
    told: dict[ItemKey, _Told] = defaultdict(_Told)
    for given in sightings:
        if not items.is_key(given.key) or source_of(given.key.type, client) is not None:
            continue
        sighting = items.usable(given)
        if not client.clicks_update_categories:
            sighting = replace(sighting, category="")
        texts = {name: text for name in _TEXTS if (text := getattr(sighting, name))}
        if texts or sighting.category:
            told[given.key].texts |= texts
        if sighting.category:
            told[given.key].paths[sighting.category] = None
    return told


def _known(client_id: int, keys: list[ItemKey]) -> dict[ItemKey, _Known]:
    rows = Item.objects.filter(rows_of(client_id, keys)).prefetch_related("categories")
    return {
        ItemKey(row.type, row.item_id): _Known(
            pk=row.pk,
            is_imported=row.imported_at is not None,
            texts={name: getattr(row, name) for name in _TEXTS},
            seen={each.path: each.seen_at for each in row.categories.all()},
        )
        for row in rows.only("type", "item_id", "imported_at", *_TEXTS)
    }


def _says_more(told: _Told, known: _Known | None) -> bool:
    """Say whether the item's row changes. Asking first spares popular items a write a click."""
    if known is None or _new_paths(told, known):
        return True
    return any(
        text and text != known.texts[name] and not (known.is_imported and known.texts[name])
        for name, text in told.texts.items()
    )


def _new_paths(told: _Told, known: _Known) -> list[str]:
    # Anybody can send a click: an item does not fill up with what they made up.
    room = max(0, MOST_CATEGORIES - len(known.seen))
    return [path for path in told.paths if path not in known.seen][:room]


def _write_items(
    client_id: int, told: Mapping[ItemKey, _Told], *, now: datetime
) -> dict[ItemKey, int]:
    rows = db.insert_rows(
        Item,
        [_row(client_id, key, each, now=now) for key, each in told.items()],
        on_conflict=_SUPPLEMENT,
        returning=("id", "type", "item_id"),
    )
    return {ItemKey(kind, id): pk for pk, kind, id in rows}


def _row(client_id: int, key: ItemKey, told: _Told, *, now: datetime) -> dict[str, Any]:
    return {
        "client_id": client_id,
        "type": key.type,
        "item_id": key.id,
        **told.texts,
        "currency": "",
        "description": "",
        "attributes": [],
        "content": {},
        "supplemented_at": now,
        "updated_at": now,
    }


def _write_categories(
    told: Mapping[ItemKey, _Told],
    known: Mapping[ItemKey, _Known],
    pks: Mapping[ItemKey, int],
    *,
    now: datetime,
) -> bool:
    """Note the categories that clicks told of, and say whether any is new."""
    nothing = _Known(pk=0, is_imported=False, texts={}, seen={})
    rows, is_new = [], False
    for key in sorted(told):
        before = known.get(key, nothing)
        due = [p for p in told[key].paths if before.seen.get(p, now) < now - _NOTED_EVERY]
        new = _new_paths(told[key], before)
        is_new = is_new or bool(new)
        for path in sorted([*due, *new]):
            source = ItemCategory.Source.CLICK
            rows.append({"item_id": pks[key], "path": path, "source": source, "seen_at": now})
    db.insert_rows(ItemCategory, rows, on_conflict=_SEEN)
    return is_new
