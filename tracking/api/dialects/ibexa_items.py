"""
Ibexa's content API: items as XML, for servers that hold the license key.

Mounted with all other doors by `tracking.urls`, or alone, at the root of a
host of its own, by `tracking.urls_ibexa_admin`. What is accepted is in the
catalogue before the 202 is sent.
"""

from itertools import islice
from pathlib import Path
from typing import Any

from django.http import HttpResponse
from django.urls import URLPattern
from django.utils import timezone
from rest_framework.request import Request

from tracking import catalogue, conf, shopping
from tracking.api import plain
from tracking.api.authentication import CustomerBasicAuthentication, IsCustomer, client_of
from tracking.api.base import ApiError, DoorViewSet, ServerViewSet, read_body
from tracking.api.routes import door
from tracking.api.schema import Operation, Parameter, documented
from tracking.items import CatalogueItem, NotAnItem
from tracking.types import ClientConfig, ItemKey
from tracking.wire import ibexa, ibexa_items
from tracking.wire.flaws import Flaw
from tracking.wire.xml import Unreadable

_MOST_ITEMS = 10_000
_MOST_TOLD = 20
_XML = "application/xml; charset=utf-8"
_SCHEMA = Path(ibexa_items.__file__).with_suffix(".xsd")

_CUSTOMER = Parameter(
    name="customer",
    location="path",
    description="The client's public key, which is the user name too.",
)


@documented(
    "Ibexa items",
    parameters=[
        _CUSTOMER,
        Parameter(name="type", location="path", description="The item's type.", type=int),
        Parameter(name="id", location="path", description="The item's id, percent-encoded."),
    ],
    create=Operation(
        id="importItemsAsXml",
        status=202,
        errors=(400, 411, 413, 415),
        description="The body is XML: "
        '`<items version="1"><item id="102" type="1"><price currency="EUR">1234</price>'
        "<categorypaths><categorypath>/Shoes/Red</categorypath></categorypaths></item></items>`; "
        "`item/schema.xsd` has all of it. Prices count the minor unit, times are the client's. "
        "An item overwrites all that was known of it. Where one is refused none is stored.",
    ),
    retrieve=Operation(
        id="readItemAsXml",
        errors=(400, 404),
        description="The answer is a document that can be sent back as it is.",
    ),
    destroy=Operation(
        id="deleteItemByAddress",
        status=202,
        errors=(400, 404),
        parameters=[
            Parameter(name="lang", description="Items are in one language: not looked at.")
        ],
    ),
    transfer=Operation(
        id="transferItems",
        status=202,
        errors=(400, 411, 413, 415),
        description='The body is XML: `<transfers><transfer><sourceitem id="1234" type="1"/>'
        '<targetitem id="6789" type="1"/></transfer></transfers>`. What was known of the source '
        "is wiped, what is known of the target stays.",
    ),
)
class IbexaItemViewSet(ServerViewSet):
    """Items of a customer."""

    authentication_classes = (CustomerBasicAuthentication,)
    permission_classes = (IsCustomer,)

    def create(self, request: Request, customer: str) -> HttpResponse:
        """Import items."""
        client = _client(request, customer)
        found = list(_read(request, client))
        flaws = [each for each in found if isinstance(each, Flaw)]
        if flaws:
            raise ApiError(400, "items_invalid", _told(flaws))
        given = [each for each in found if isinstance(each, CatalogueItem)]
        try:
            catalogue.put(client.id, given, now=timezone.now())
        except catalogue.ReadElsewhere as error:
            raise ApiError(400, "items_registered", str(error)) from None
        return _accepted()

    def retrieve(self, request: Request, customer: str, type: int, id: str) -> HttpResponse:
        """Read an item."""
        client = _client(request, customer)
        key = _key(client, type, id)
        item = catalogue.find(client.id, [key]).get(key)
        if item is None:
            raise _unknown(key)
        return HttpResponse(
            ibexa_items.write(item, client), content_type=_XML, headers=plain.NOT_KEPT
        )

    def destroy(self, request: Request, customer: str, type: int, id: str) -> HttpResponse:
        """Delete an item."""
        client = _client(request, customer)
        key = _key(client, type, id)
        if not catalogue.forget(client.id, [key]):
            raise _unknown(key)
        return _accepted()

    def transfer(self, request: Request, customer: str) -> HttpResponse:
        """Rename items."""
        client = _client(request, customer)
        body = read_body(request, limit=conf.settings().MAX_BATCH_BYTES)
        try:
            moves = ibexa_items.read_transfers(body, client)
            shopping.transfer_items(client.id, moves)
        except Unreadable as error:
            raise ApiError(400, "xml_invalid", f"line {error.line}: {error}") from None
        except (NotAnItem, catalogue.ReadElsewhere) as error:
            raise ApiError(400, "transfers_invalid", str(error)) from None
        return _accepted()

    def error(self, error: ApiError) -> HttpResponse:
        return plain.refusal(error)


@documented(
    "Ibexa items",
    parameters=[_CUSTOMER],
    retrieve=Operation(id="readItemSchema", description="The answer is an XML Schema."),
)
class IbexaSchemaViewSet(DoorViewSet):
    """The schema of the items' XML."""

    def retrieve(self, request: Request, customer: str) -> HttpResponse:
        """Read the schema of the XML that items are imported as."""
        return HttpResponse(_SCHEMA.read_bytes(), content_type=_XML)

    def error(self, error: ApiError) -> HttpResponse:
        return plain.refusal(error)


def _client(request: Request, customer: str) -> ClientConfig:
    client = client_of(request)
    if customer != client.client_key:
        raise ApiError(403, "customer_foreign", "The address names another customer.")
    return client


def _read(request: Request, client: ClientConfig) -> list[CatalogueItem | Flaw]:
    body = read_body(request, limit=conf.settings().MAX_TRUSTED_BATCH_BYTES)
    found = list(islice(ibexa_items.read_items([body], client), _MOST_ITEMS + 1))
    if len(found) > _MOST_ITEMS:
        raise ApiError(413, "too_many_items", f"At most {_MOST_ITEMS} items fit one request.")
    return found


def _told(flaws: list[Flaw]) -> str:
    lines = [str(flaw) for flaw in flaws[:_MOST_TOLD]]
    if len(flaws) > _MOST_TOLD:
        lines.append(f"and {len(flaws) - _MOST_TOLD} more")
    return "Nothing is stored.\n" + "\n".join(lines)


def _key(client: ClientConfig, item_type: int, item_id: str) -> ItemKey:
    # A slash at the end of the address is one of the address.
    try:
        return ibexa_items.key_of(str(item_type), item_id.removesuffix("/"), client)
    except NotAnItem as error:
        raise ApiError(400, "item_invalid", str(error)) from None


def _unknown(key: ItemKey) -> ApiError:
    return ApiError(404, "item_unknown", f"There is no item {key.id} of type {key.type}.")


def _accepted() -> HttpResponse:
    return HttpResponse(status=202, headers=plain.NOT_KEPT)


def _doors(tail: str, view: Any, *, name: str) -> list[URLPattern]:
    first, *others = (f"{solution}/<str:customer>/{tail}" for solution in ibexa.SOLUTIONS)
    return door(first, view, name=name, also=others)


urlpatterns = [
    *_doors("item", IbexaItemViewSet.as_view({"post": "create"}), name="ibexa-items"),
    *_doors(
        "item/schema.xsd",
        IbexaSchemaViewSet.as_view({"get": "retrieve"}),
        name="ibexa-item-schema",
    ),
    *_doors(
        "item/<int:type>/<path:id>",
        IbexaItemViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="ibexa-item",
    ),
    *_doors(
        "transferitems",
        IbexaItemViewSet.as_view({"post": "transfer"}),
        name="ibexa-transfer-items",
    ),
]
