"""Writes what imports and staff say of items: set by set, the last word on each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import QuerySet

from tracking import clients, db
from tracking.catalogue import listeners
from tracking.catalogue.finding import item_of, rows_of
from tracking.catalogue.sources import refuse_registered
from tracking.items import CatalogueItem
from tracking.models import Item, ItemCategory
from tracking.models.items import ItemQuerySet
from tracking.types import ItemKey

T = TypeVar("T")

_AT_ONCE = 1000
_SAID = (
    "name", "price", "currency", "url", "image", "description", "attributes", "content",
    "valid_from", "valid_to", "imported_at", "supplemented_at", "updated_at",
)  # fmt: skip
_OVERWRITE = db.overwrite(("client_id", "type", "item_id"), _SAID)


class UnknownItem(LookupError):
    """The client's catalogue has no such item."""


def put(client_id: int, given: Iterable[CatalogueItem], *, now: datetime) -> int:
    """
    Store checked items as an import says them: all that was known of them before is overwritten.

    All or none, with three queries for each 1,000 items; of several with one
    key the last counts. Returns how many items there were. Raises
    ReadElsewhere, and LookupError where the client is gone.
    """
    by_key = {item.key: item for item in given}
    ordered = [by_key[key] for key in sorted(by_key)]
    _refuse_registered(client_id, by_key)

    def store() -> None:
        moved = [_put(client_id, batch, now=now) for batch in _batches(ordered)]
        if any(moved):
            listeners.tell(client_id)

    db.retried(store)
    return len(ordered)


def change(
    client_id: int,
    key: ItemKey,
    how: Callable[[CatalogueItem], CatalogueItem],
    *,
    now: datetime,
) -> CatalogueItem:
    """
    Change an item by a function from what it is to what it shall be, checked.

    What clicks told stays, and so do the sources of its categories unless it
    changes them. Raises UnknownItem, ReadElsewhere, and what the function does.
    """
    _refuse_registered(client_id, [key])

    def store() -> CatalogueItem:
        row = _locked(client_id, key)
        before = item_of(row)
        changed = replace(how(before), key=key, imported_at=before.imported_at or now)
        values = _row(client_id, changed, now=now)
        values |= {"imported_at": changed.imported_at, "supplemented_at": row.supplemented_at}
        db.insert_rows(Item, [values], on_conflict=_OVERWRITE)
        if set(changed.categories) != set(before.categories):
            _replace_categories({row.pk: changed}, now=now)
            listeners.tell(client_id)
        return changed

    return db.retried(store)


def forget(client_id: int, keys: Iterable[ItemKey]) -> int:
    """Delete items with all that is known of them. Returns how many there were."""
    ordered = sorted(set(keys))
    with db.write():
        return sum(
            _delete(client_id, Item.objects.filter(rows_of(client_id, batch)))
            for batch in _batches(ordered)
        )


def forget_missing(client_id: int, types: Iterable[int], *, since: datetime) -> int:
    """
    Delete the imported items of these types that no import has named since.

    Those that only clicks know stay. Returns how many there were.
    """
    missing = Item.objects.filter(client=client_id, type__in=sorted(types), imported_at__lt=since)
    deleted = 0
    while pks := list(missing.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE]):
        with db.write():
            # Asked again: an import may have named one meanwhile.
            gone = _delete(client_id, missing.filter(pk__in=pks))
        deleted += gone
    return deleted


def _delete(client_id: int, rows: ItemQuerySet) -> int:
    _, by_table = rows.delete()
    if by_table.get(ItemCategory._meta.label):
        listeners.tell(client_id)
    return by_table.get(Item._meta.label, 0)


def transfer(
    client_id: int, moves: Iterable[tuple[ItemKey, ItemKey]]
) -> list[tuple[ItemKey, ItemKey]]:
    """
    Rename items, each from its first key to its second.

    What the catalogue knew under the old name is gone, what it knows under the
    new one stays. Returns the renames that say something, in their order, for
    whoever keeps a history by these names. Raises ReadElsewhere.
    """
    renamed = [(old, new) for old, new in moves if old != new]
    _refuse_registered(client_id, [old for old, _ in renamed])
    forget(client_id, [old for old, _ in renamed])
    return renamed


def remove_category(category: ItemCategory) -> None:
    """Take an item out of a category, until an import or a click says otherwise."""
    forget_categories(ItemCategory.objects.filter(pk=category.pk))


def forget_categories(rows: QuerySet[ItemCategory]) -> None:
    """Take items out of categories, of any clients, until an import or a click says otherwise."""
    with db.write():
        client_ids = set(rows.values_list("item__client", flat=True))
        rows.delete()
        for client_id in sorted(client_ids):
            listeners.tell(client_id)


def _refuse_registered(client_id: int, keys: Iterable[ItemKey]) -> None:
    client = clients.by_id(client_id)
    if client is None:
        raise LookupError(f"client {client_id} is gone")
    refuse_registered((key.type for key in keys), client)


def _locked(client_id: int, key: ItemKey) -> Item:
    rows = Item.objects.filter(rows_of(client_id, [key]))
    row = (rows.select_for_update() if db.is_postgres() else rows).first()
    if row is None:
        raise UnknownItem(f"There is no item {key.id} of type {key.type}.")
    return row


def _put(client_id: int, batch: Sequence[CatalogueItem], *, now: datetime) -> bool:
    """Store items, and say whether any is in other categories than before."""
    rows = db.insert_rows(
        Item,
        [_row(client_id, item, now=now) for item in batch],
        on_conflict=_OVERWRITE,
        returning=("id", "type", "item_id"),
    )
    by_key = {item.key: item for item in batch}
    return _replace_categories({pk: by_key[ItemKey(kind, id)] for pk, kind, id in rows}, now=now)


def _row(client_id: int, item: CatalogueItem, *, now: datetime) -> dict[str, Any]:
    return {
        "client_id": client_id,
        "type": item.key.type,
        "item_id": item.key.id,
        "name": item.name,
        "price": item.price,
        "currency": item.currency,
        "url": item.url,
        "image": item.image,
        "description": item.description,
        "attributes": item.attributes,
        "content": dict(item.content),
        "valid_from": item.valid_from,
        "valid_to": item.valid_to,
        "imported_at": now,
        "supplemented_at": None,
        "updated_at": now,
    }


def _replace_categories(stored: Mapping[int, CatalogueItem], *, now: datetime) -> bool:
    """
    Let rows be in just these categories, and say whether they were in others.

    Their items are locked by the statement before.
    """
    among, values = db.in_list("item_id", sorted(stored))
    table = ItemCategory._meta.db_table
    with db.cursor() as cursor:
        cursor.execute(f'DELETE FROM "{table}" WHERE {among} RETURNING item_id, path', values)
        before = set(cursor.fetchall())
    pairs = [(pk, path) for pk, item in stored.items() for path in item.categories]
    db.insert_rows(
        ItemCategory,
        [
            {"item_id": pk, "path": path, "source": ItemCategory.Source.IMPORT, "seen_at": now}
            for pk, path in pairs
        ],
    )
    return before != set(pairs)


def _batches(ordered: Sequence[T]) -> Iterable[Sequence[T]]:
    return (ordered[start : start + _AT_ONCE] for start in range(0, len(ordered), _AT_ONCE))
