"""`/v2.1/orders`: what guests bought, read and written by servers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import msgspec
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from tracking import conf, ledger, money
from tracking.api import examples, filters
from tracking.api.authentication import client_of
from tracking.api.base import (
    ApiError,
    ServerViewSet,
    json_response,
    read_body,
    read_document,
    uuid_or_404,
)
from tracking.api.documents import (
    OrderDocument,
    OrderItemDocument,
    OrderItemList,
    OrderList,
    whole_units,
)
from tracking.api.guests import guest_of
from tracking.api.pagination import OFFSET_PARAMETERS, offset_page
from tracking.api.routes import address, door
from tracking.api.schema import Operation, Parameter, documented
from tracking.commerce import values
from tracking.commerce.vocabulary import Unusable
from tracking.events import stamp
from tracking.models import Order, OrderItem
from tracking.types import ClientConfig
from tracking.wire import common

_MOST_ITEMS: Final = 1000
_MOST_PAIRS: Final = 50
_LONGEST_STATUS: Final = 40
_LARGEST_TYPE: Final = 2**31 - 1

Extensions = Annotated[
    dict[str, Any] | list[dict[str, Any]] | None,
    Meta(description="At most 50 attributes of your own: texts, numbers, booleans."),
]
Amount = Annotated[
    float | int | str | None,
    Meta(description="In whole units of the currency, as a number or a decimal text."),
]


class OrderItemBody(msgspec.Struct, kw_only=True):
    """A line of an order as a server writes it. What is not given stays as it is."""

    productId: Annotated[str | int | None, Meta(examples=["TRAIL-42"])] = None
    itemType: Annotated[
        int | None, Meta(description="Of clients that tell types of items apart; else 1.")
    ] = None
    referenceId: Annotated[str | None, Meta(description="Your own name of the line.")] = None
    name: str | None = None
    type: Annotated[str | None, Meta(description="What kind of product it is.")] = None
    quantity: int | None = None
    price: Amount = None
    currencyCode: str | None = None
    status: str | None = None
    orderedAt: str | None = None
    extensions: Extensions = None


class OrderBody(msgspec.Struct, kw_only=True):
    """An order as a server writes it. What is not given stays as it is."""

    guestRef: Annotated[UUID | None, Meta(description="Who bought it; needed for a new one.")] = (
        None
    )
    referenceId: Annotated[
        str | None, Meta(description="The shop's number; needed.", examples=["ORDER-1001"])
    ] = None
    orderedAt: Annotated[str | None, Meta(examples=["2026-01-10T18:07:59.247Z"])] = None
    status: Annotated[str | None, Meta(examples=["PURCHASED"])] = None
    currencyCode: Annotated[str | None, Meta(examples=["EUR"])] = None
    price: Amount = None
    paymentType: str | None = None
    cardType: str | None = None
    channel: str | None = None
    pointOfSale: str | None = None
    contact: dict[str, Any] | None = None
    extensions: Extensions = None
    orderItems: Annotated[
        list[OrderItemBody] | None, Meta(description="The lines; those that there are, go.")
    ] = None


_REF = Parameter(name="ref", location="path", description="Of the order.", type=UUID)


@documented(
    "Orders",
    parameters=[_REF],
    list=Operation(
        id="listOrders",
        answer=OrderList,
        errors=(400,),
        filters=filters.OrderFilter,
        parameters=OFFSET_PARAMETERS,
    ),
    create=Operation(
        id="createOrder",
        request=OrderBody,
        answer=OrderDocument,
        status=201,
        errors=(404,),
        examples=examples.ORDER,
        description="`guestRef` and `referenceId` are needed.",
    ),
    retrieve=Operation(id="readOrder", answer=OrderDocument, errors=(404,)),
    partial_update=Operation(
        id="changeOrder",
        request=OrderBody,
        answer=OrderDocument,
        errors=(404,),
        examples=examples.ORDER,
        description="What is set here stays, whatever events say of the order afterwards.",
    ),
    list_items=Operation(id="listOrderItems", answer=OrderItemList, errors=(404,)),
    create_item=Operation(
        id="createOrderItem",
        request=OrderItemBody,
        answer=OrderItemDocument,
        status=201,
        errors=(404,),
        examples=examples.ORDER_ITEM,
    ),
)
class OrderViewSet(ServerViewSet):
    """Orders of a client's guests."""

    def list(self, request: Request) -> HttpResponse:
        """List orders, newest first."""
        found = filters.apply(filters.OrderFilter, _rows(client_of(request)), request)
        found = found.order_by("-ordered_at", "-pk")
        page, _ = offset_page(request, found, lambda order: _document(request, order))
        return json_response(page)

    def create(self, request: Request) -> HttpResponse:
        """Make an order of a guest. A number that is taken is refused."""
        body = _body(request, OrderBody)
        if body.guestRef is None:
            raise ApiError(400, "guest_ref_missing", "guestRef is missing: who bought it.")
        if not body.referenceId:
            raise ApiError(400, "reference_id_missing", "referenceId is missing: its number.")
        client = client_of(request)
        guest = guest_of(request, str(body.guestRef))
        fields, items = _read(body, client)
        with _refusals():
            order = ledger.create(client, guest, fields=fields, items=items, now=timezone.now())
        return json_response(_document(request, _order(request, str(order.ref))), status=201)

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read an order."""
        return json_response(_document(request, _order(request, ref)))

    def partial_update(self, request: Request, ref: str) -> HttpResponse:
        """Change the given fields of an order; `orderItems` replace its lines."""
        order, body = _order(request, ref), _body(request, OrderBody)
        if body.referenceId not in (None, order.reference_id):
            raise ApiError(400, "reference_id_invalid", "An order's referenceId stays as it is.")
        fields, items = _read(body, client_of(request), order=order)
        if body.guestRef is not None:
            fields["guest"] = guest_of(request, str(body.guestRef))
        with _refusals():
            ledger.change(
                order,
                fields=fields,
                items=items if body.orderItems is not None else None,
                now=timezone.now(),
            )
        return json_response(_document(request, _order(request, ref)))

    def list_items(self, request: Request, ref: str) -> HttpResponse:
        """List an order's lines."""
        order = _order(request, ref)
        return json_response(_items(request, order))

    def create_item(self, request: Request, ref: str) -> HttpResponse:
        """Add a line to an order."""
        order, body = _order(request, ref), _body(request, OrderItemBody)
        item = _item(body, client_of(request), currency=order.currency, path="")
        with _refusals():
            ledger.add_item(order, item, now=timezone.now())
        return json_response(_item_document(request, item), status=201)


@documented(
    "Orders",
    parameters=[Parameter(name="ref", location="path", description="Of the line.", type=UUID)],
    retrieve=Operation(id="readOrderItem", answer=OrderItemDocument, errors=(404,)),
    partial_update=Operation(
        id="changeOrderItem",
        request=OrderItemBody,
        answer=OrderItemDocument,
        errors=(404,),
        examples=examples.ORDER_ITEM,
    ),
)
class OrderItemViewSet(ServerViewSet):
    """Lines of orders."""

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read a line of an order."""
        return json_response(_item_document(request, _line(request, ref)))

    def partial_update(self, request: Request, ref: str) -> HttpResponse:
        """Change the given fields of a line."""
        item, body = _line(request, ref), _body(request, OrderItemBody)
        fields = _item_fields(
            body, client_of(request), currency=item.currency or item.order.currency, path=""
        )
        with _refusals():
            ledger.change_item(item, fields=fields, now=timezone.now())
        return json_response(_item_document(request, item))


@contextmanager
def _refusals() -> Iterator[None]:
    """Tell the caller what the ledger does not take."""
    try:
        yield
    except ledger.OrderExists as error:
        raise ApiError(400, "order_exists", f"{error} Change that one.") from None
    except ledger.TooMuch as error:
        raise ApiError(400, "price_invalid", str(error)) from None


# --- reading bodies --------------------------------------------------------------------

B = TypeVar("B", OrderBody, OrderItemBody)


def _body(request: Request, kind: type[B]) -> B:
    raw = read_body(request, limit=conf.settings().MAX_BATCH_BYTES)
    try:
        return msgspec.convert(read_document(raw), kind)
    except msgspec.ValidationError as error:
        raise ApiError(400, "order_invalid", f"The order is not valid: {error}.") from None


def _read(
    body: OrderBody, client: ClientConfig, order: Order | None = None
) -> tuple[dict[str, Any], Sequence[OrderItem]]:
    """Return an order's fields and its lines, as they are kept. Raises ApiError."""
    known = order.currency if order else client.currency
    try:
        currency = values.currency(body.currencyCode, "currencyCode")
        fields = {
            "reference_id": values.name_of(body.referenceId, "referenceId") or None,
            "ordered_at": _moment(body.orderedAt, "orderedAt"),
            "status": _status(body.status),
            "currency": currency or None,
            "total": values.amount(body.price, currency or known, "price"),
            "payment_type": body.paymentType,
            "card_type": body.cardType,
            "channel": None if body.channel is None else common.channel(body.channel),
            "point_of_sale_id": _point_of_sale(body.pointOfSale, client),
            "contact": body.contact,
            "attributes": _extensions(body.extensions),
        }
        given = body.orderItems or []
        if len(given) > _MOST_ITEMS:
            raise Unusable(f"orderItems has more than {_MOST_ITEMS} entries.")
        items = [
            _item(item, client, currency=currency or known, path=f"orderItems[{index}].")
            for index, item in enumerate(given)
        ]
    except Unusable as error:
        raise ApiError(400, "order_invalid", str(error)) from None
    except common.Rejected as error:
        raise ApiError(400, error.code, str(error)) from None
    return {name: value for name, value in fields.items() if value is not None}, items


def _item(body: OrderItemBody, client: ClientConfig, *, currency: str, path: str) -> OrderItem:
    fields = _item_fields(body, client, currency=currency, path=path)
    if not fields.get("item_id"):
        raise ApiError(400, "product_id_missing", f"{path}productId is missing.")
    if body.price is not None:
        fields.setdefault("currency", currency)
    return OrderItem(**fields)


def _item_fields(
    body: OrderItemBody, client: ClientConfig, *, currency: str, path: str
) -> dict[str, Any]:
    try:
        code = values.currency(body.currencyCode, f"{path}currencyCode") or currency
        price = values.amount(body.price, code, f"{path}price")
        quantity = (
            None if body.quantity is None else values.quantity(body.quantity, f"{path}quantity")
        )
        if (price or 0) * (quantity or 1) > money.MOST:
            raise Unusable(f"{path}price times {path}quantity is more than is kept.")
        if body.itemType is not None and not 1 <= body.itemType <= _LARGEST_TYPE:
            raise Unusable(f"{path}itemType is from 1 to {_LARGEST_TYPE}.")
        fields = {
            "item_id": values.name_of(body.productId, f"{path}productId") or None,
            "item_type": body.itemType,
            "line_id": body.referenceId,
            "name": body.name,
            "kind": body.type,
            "quantity": quantity,
            "price": price,
            "currency": None if price is None and body.currencyCode is None else code,
            "status": _status(body.status),
            "ordered_at": _moment(body.orderedAt, f"{path}orderedAt"),
            "attributes": _extensions(body.extensions),
        }
        for name, longest in (("line_id", 256), ("name", 512), ("kind", 100)):
            text = fields[name]
            if isinstance(text, str) and len(text) > longest:
                raise Unusable(f"{path}{name} is longer than {longest} characters.")
    except Unusable as error:
        raise ApiError(400, "order_item_invalid", str(error)) from None
    return {name: value for name, value in fields.items() if value is not None}


def _moment(given: str | None, name: str) -> datetime | None:
    text = values.moment(given, name)
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _status(given: str | None) -> str | None:
    if given is None:
        return None
    status = given.strip().upper()
    if not status or len(status) > _LONGEST_STATUS:
        raise Unusable(f"status has 1 to {_LONGEST_STATUS} characters.")
    return status


def _point_of_sale(name: str | None, client: ClientConfig) -> int | None:
    if name is None:
        return None
    found = client.points_of_sale.get(name)
    if found is None:
        raise Unusable(f"pointOfSale: there is none called {name[:80]}.")
    return found.id


def _extensions(given: Mapping[str, Any] | list[dict[str, Any]] | None) -> dict[str, Any] | None:
    """Take one object of attributes, or groups of them as the Stream API has them."""
    if given is None:
        return None
    groups: Sequence[Mapping[str, Any]] = given if isinstance(given, list) else [given]
    merged = {name: value for group in groups for name, value in group.items()}
    if isinstance(given, list):
        merged = {name: value for name, value in merged.items() if name not in ("name", "key")}
    if len(merged) > _MOST_PAIRS:
        raise Unusable(f"extensions has more than {_MOST_PAIRS} attributes.")
    for name, value in merged.items():
        if not isinstance(value, str | int | float):
            raise Unusable(f"extensions.{name[:40]} is no text, number or boolean.")
    return merged


# --- rows and documents ----------------------------------------------------------------


def _rows(client: ClientConfig) -> QuerySet[Order]:
    return (
        Order.objects.filter(client=client.id)
        .select_related("guest__root", "session", "point_of_sale")
        .prefetch_related("items")
    )


def _order(request: Request, ref: str) -> Order:
    order = _rows(client_of(request)).filter(ref=uuid_or_404(ref, "order")).first()
    if order is None:
        raise ApiError(404, "order_unknown", "There is no order with this ref.")
    return order


def _line(request: Request, ref: str) -> OrderItem:
    rows = OrderItem.objects.filter(order__client=client_of(request).id).select_related("order")
    item = rows.filter(ref=uuid_or_404(ref, "item")).first()
    if item is None:
        raise ApiError(404, "order_item_unknown", "There is no line with this ref.")
    return item


def _document(request: Request, order: Order) -> dict[str, Any]:
    return {
        "ref": order.ref,
        "href": request.build_absolute_uri(address(request, "order", order.ref)),
        "createdAt": stamp(order.created_at),
        "modifiedAt": stamp(order.modified_at),
        "referenceId": order.reference_id,
        "guestRef": (order.guest.root or order.guest).ref,
        "sessionRef": order.session.ref if order.session else None,
        "status": order.status,
        "paid": order.is_paid,
        "orderedAt": stamp(order.ordered_at),
        "currencyCode": order.currency,
        "currencyAssumed": order.is_currency_assumed,
        "price": whole_units(order.total, order.currency),
        **{
            name: whole_units(getattr(order, name), order.currency)
            for name in ("revenue", "shipping", "tax", "discount", "refunded")
        },
        "coupon": order.coupon,
        "affiliation": order.affiliation,
        "paymentType": order.payment_type,
        "cardType": order.card_type,
        "channel": order.channel,
        "pointOfSale": order.point_of_sale.name if order.point_of_sale else None,
        "contact": order.contact,
        "extensions": order.attributes,
        "orderItems": _items(request, order),
    }


def _items(request: Request, order: Order) -> dict[str, Any]:
    return {
        "href": request.build_absolute_uri(address(request, "order-items", order.ref)),
        "items": [_item_document(request, item) for item in order.items.all()],
    }


def _item_document(request: Request, item: OrderItem) -> dict[str, Any]:
    return {
        "ref": item.ref,
        "href": request.build_absolute_uri(address(request, "order-item", item.ref)),
        "productId": item.item_id,
        "itemType": item.item_type,
        "referenceId": item.line_id,
        "name": item.name,
        "type": item.kind,
        "quantity": item.quantity,
        "refundedQuantity": item.refunded_quantity,
        "price": whole_units(item.price, item.currency),
        "currencyCode": item.currency,
        "status": item.status,
        "orderedAt": stamp(item.ordered_at) if item.ordered_at else None,
        "extensions": item.attributes,
    }


urlpatterns = [
    *door(
        "v2.1/orders",
        OrderViewSet.as_view({"get": "list", "post": "create"}),
        name="orders",
        also=["v2/orders"],
    ),
    *door(
        "v2.1/orders/<str:ref>",
        OrderViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="order",
        also=["v2/orders/<str:ref>"],
    ),
    *door(
        "v2.1/orders/<str:ref>/items",
        OrderViewSet.as_view({"get": "list_items", "post": "create_item"}),
        name="order-items",
        also=["v2.1/orders/<str:ref>/orderItems", "v2/orders/<str:ref>/orderItems"],
    ),
    *door(
        "v2.1/orderitems/<str:ref>",
        OrderItemViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="order-item",
        also=["v2/orderitems/<str:ref>"],
    ),
]
