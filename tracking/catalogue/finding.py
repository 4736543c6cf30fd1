"""Finds items by type and id, wherever they are kept; whoever shows or recommends them asks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from django.db.models import Q

from tracking import clients
from tracking.catalogue.sources import source_of
from tracking.items import CatalogueItem, ItemAttribute
from tracking.models import Item
from tracking.types import ItemKey

_AT_ONCE = 500


def find(client_id: int, keys: Iterable[ItemKey]) -> Mapping[ItemKey, CatalogueItem]:
    """
    Return those of the items that are known.

    Takes two queries for up to 500 items of the catalogue, and one for each
    type that the site has registered.
    """
    by_type: dict[int, list[str]] = defaultdict(list)
    for key in sorted(set(keys)):
        by_type[key.type].append(key.id)
    client = clients.by_id(client_id) if by_type else None
    if client is None:
        return {}
    found: dict[ItemKey, CatalogueItem] = {}
    kept: list[ItemKey] = []
    for item_type, ids in by_type.items():
        source = source_of(item_type, client)
        if source is None:
            kept += [ItemKey(item_type, each) for each in ids]
        else:
            found |= source.find(ids, client)
    for start in range(0, len(kept), _AT_ONCE):
        rows = rows_of(client_id, kept[start : start + _AT_ONCE])
        for row in Item.objects.filter(rows).prefetch_related("categories"):
            item = item_of(row)
            found[item.key] = item
    return found


def rows_of(client_id: int, keys: Sequence[ItemKey]) -> Q:
    """Return the condition that rows of Item are these items of the client."""
    ids: dict[int, list[str]] = defaultdict(list)
    for key in keys:
        ids[key.type].append(key.id)
    among = Q(pk__in=())
    for item_type, values in ids.items():
        among |= Q(type=item_type, item_id__in=values)
    return Q(client=client_id) & among


def item_of(row: Item) -> CatalogueItem:
    """Return a row as the item it is; reads its categories unless they are fetched with it."""
    return CatalogueItem(
        key=ItemKey(row.type, row.item_id),
        name=row.name,
        price=row.price,
        currency=row.currency,
        url=row.url,
        image=row.image,
        description=row.description,
        categories=tuple(sorted(each.path for each in row.categories.all())),
        attributes=tuple(
            ItemAttribute(each["key"], each["value"], each["type"]) for each in row.attributes
        ),
        content=row.content,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        imported_at=row.imported_at,
    )
