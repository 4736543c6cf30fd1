"""`/v2.1/items`: the catalogue as JSON, read and written by servers."""

from typing import Annotated, Any

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from tracking import catalogue, conf, items
from tracking.api import examples, filters
from tracking.api.authentication import client_of
from tracking.api.base import ApiError, ServerViewSet, json_response, read_body, read_json
from tracking.api.documents import ItemDocument, ItemList, whole_units
from tracking.api.pagination import CURSOR_PARAMETERS, NewestFirst
from tracking.api.routes import door
from tracking.api.schema import Operation, Parameter, documented
from tracking.events import stamp
from tracking.items import CatalogueItem, NotAnItem
from tracking.models import Item
from tracking.types import ClientConfig, ItemKey
from tracking.wire import items as wire

MOST_ITEMS = 1000


class ItemsBody(msgspec.Struct, kw_only=True):
    """Items to import: all of them, or none where one is refused."""

    items: Annotated[list[wire.ItemBody], Meta(max_length=MOST_ITEMS)]


class ItemsStored(msgspec.Struct, kw_only=True):
    """The items are in the catalogue."""

    stored: Annotated[int, Meta(description="How many; of several with one type and id, the last.")]


@documented(
    "Items",
    parameters=[
        Parameter(name="type", location="path", description="The item's type.", type=int),
        Parameter(
            name="id",
            location="path",
            description="The item's id, percent-encoded; a slash at its end is none of it.",
        ),
    ],
    list=Operation(
        id="listItems",
        answer=ItemList,
        errors=(400,),
        filters=filters.ItemFilter,
        parameters=CURSOR_PARAMETERS,
        description="Items of types that are read from the site's own tables are not listed.",
    ),
    create=Operation(
        id="importItems",
        request=ItemsBody,
        answer=ItemsStored,
        examples=examples.ITEMS,
        description=f"Up to {MOST_ITEMS:,} items. Each overwrites all that was known of it, also "
        "the categories that clicks told of.",
    ),
    retrieve=Operation(id="readItem", answer=ItemDocument, errors=(404,)),
    update=Operation(
        id="replaceItem",
        request=wire.ChangeBody,
        answer=ItemDocument,
        errors=(404,),
        examples=examples.ITEM,
        description="What is not given is emptied. An item that is not there is made.",
    ),
    partial_update=Operation(
        id="changeItem",
        request=wire.ChangeBody,
        answer=ItemDocument,
        errors=(404,),
        examples=examples.ITEM,
        description="What is not given stays; null empties it.",
    ),
    destroy=Operation(id="deleteItem", status=204, errors=(404,)),
)
class ItemViewSet(ServerViewSet):
    """Items of a client."""

    def list(self, request: Request) -> HttpResponse:
        """List items, the newest first."""
        rows = Item.objects.filter(client=client_of(request).id).prefetch_related("categories")
        found = filters.apply(filters.ItemFilter, rows, request)
        page, links = NewestFirst("-id").cut(found, request, self)
        return json_response({"items": [document(catalogue.item_of(row)) for row in page], **links})

    def create(self, request: Request) -> HttpResponse:
        """Import items: all of them, or none where one is refused."""
        client = client_of(request)
        stored = _put(client, _items(_body(request), client))
        return json_response(ItemsStored(stored=stored))

    def retrieve(self, request: Request, type: int, id: str) -> HttpResponse:
        """Read an item."""
        return json_response(_found(client_of(request), _key(type, id)))

    def update(self, request: Request, type: int, id: str) -> HttpResponse:
        """Say all of an item."""
        client, key = client_of(request), _key(type, id)
        try:
            item = wire.item_at(key, _body(request), client)
        except NotAnItem as error:
            raise ApiError(400, "item_invalid", str(error)) from None
        _put(client, [item])
        return json_response(_found(client, key))

    def partial_update(self, request: Request, type: int, id: str) -> HttpResponse:
        """Change the given fields of an item."""
        client, key, body = client_of(request), _key(type, id), _body(request)
        try:
            item = catalogue.change(
                client.id, key, lambda item: wire.changed(item, body, client), now=timezone.now()
            )
        except catalogue.UnknownItem as error:
            raise ApiError(404, "item_unknown", str(error)) from None
        except catalogue.ReadElsewhere as error:
            raise ApiError(400, "item_registered", str(error)) from None
        except NotAnItem as error:
            raise ApiError(400, "item_invalid", str(error)) from None
        return json_response(document(item))

    def destroy(self, request: Request, type: int, id: str) -> HttpResponse:
        """Delete an item with all that is known of it."""
        client, key = client_of(request), _key(type, id)
        if not catalogue.forget(client.id, [key]):
            raise _unknown(key)
        return HttpResponse(status=204)


def document(item: CatalogueItem) -> dict[str, Any]:
    """Return an item in its public JSON form, which can be sent back as it is."""
    return {
        "type": item.key.type,
        "id": item.key.id,
        "name": item.name,
        "price": whole_units(item.price, item.currency),
        "currency": item.currency or None,
        "url": item.url,
        "image": item.image,
        "description": item.description,
        "categories": item.categories,
        "attributes": item.attributes,
        "content": item.content,
        "validFrom": stamp(item.valid_from) if item.valid_from else None,
        "validTo": stamp(item.valid_to) if item.valid_to else None,
        "importedAt": stamp(item.imported_at) if item.imported_at else None,
    }


def _body(request: Request) -> Any:
    return read_json(read_body(request, limit=conf.settings().MAX_TRUSTED_BATCH_BYTES))


def _items(body: Any, client: ClientConfig) -> list[CatalogueItem]:
    listed = body.get("items") if isinstance(body, dict) else None
    if not isinstance(listed, list) or body.keys() != {"items"}:
        raise ApiError(400, "items_invalid", 'The body is an object with a list: {"items": [...]}.')
    if len(listed) > MOST_ITEMS:
        raise ApiError(400, "too_many_items", f"At most {MOST_ITEMS} items fit one request.")
    found = []
    for index, given in enumerate(listed):
        try:
            found.append(wire.item_of(given, client))
        except NotAnItem as error:
            named = f"items[{index}]"
            raise ApiError(400, "item_invalid", f"{named} is refused, and all: {error}") from None
    return found


def _put(client: ClientConfig, given: list[CatalogueItem]) -> int:
    try:
        return catalogue.put(client.id, given, now=timezone.now())
    except catalogue.ReadElsewhere as error:
        raise ApiError(400, "item_registered", str(error)) from None


def _key(item_type: int, item_id: str) -> ItemKey:
    key = ItemKey(item_type, item_id.removesuffix("/"))
    if not items.is_key(key):
        raise _unknown(key)
    return key


def _found(client: ClientConfig, key: ItemKey) -> dict[str, Any]:
    item = catalogue.find(client.id, [key]).get(key)
    if item is None:
        raise _unknown(key)
    return document(item)


def _unknown(key: ItemKey) -> ApiError:
    return ApiError(404, "item_unknown", f"There is no item {key.id[:256]} of type {key.type}.")


urlpatterns = [
    *door("v2.1/items", ItemViewSet.as_view({"get": "list", "post": "create"}), name="items"),
    *door(
        "v2.1/items/<int:type>/<path:id>",
        ItemViewSet.as_view(
            {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
        ),
        name="item",
    ),
]
