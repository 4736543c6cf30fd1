"""
Ibexa's event tracker: an address a call, by GET or POST, as pixels and clients send it.

Mounted with all other doors by `tracking.urls`, or alone, at the root of a
host of its own, by `tracking.urls_ibexa_events`.
"""

from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from django.http import HttpResponse
from django.urls import path
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.request import Request

from tracking import clients, conf, inbox, licences, places
from tracking.api import plain
from tracking.api.base import ApiError, DoorViewSet, read_body
from tracking.api.routes import undocumented
from tracking.api.schema import Operation, Parameter, documented
from tracking.types import ClientConfig
from tracking.wire import common, ibexa

_LONGEST_ADDRESS = 8 * 1024
_LONGEST_FORM = 8 * 1024
_FORM = "application/x-www-form-urlencoded"
# Names under which servers hand on the address as it was sent.
_RAW = ("RAW_URI", "REQUEST_URI")
_STATUS = {"event_unknown": 404, "signature_invalid": 401}
_PIXEL = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;"
)


@documented(
    "Ibexa tracker",
    parameters=[
        Parameter(name="customer", location="path", description="The client's public key."),
        Parameter(
            name="event",
            location="path",
            description=f"What happened: {', '.join(ibexa.KINDS)}.",
            example="click",
        ),
        Parameter(
            name="tail",
            location="path",
            description="User, item type and item: `johndoe/1/123`. Of rendered, items may be "
            "several, with commas between; of login, two users; of triggeropened, the user alone. "
            "Each is percent-encoded, a slash inside it as `%2F`.",
            example="johndoe/1/123",
        ),
        Parameter(name="categorypath", description="Of a click: `Shoes/Children`."),
        Parameter(name="quantity", description="Of a buy, 1 unless given.", type=int),
        Parameter(name="fullprice", description="Of a buy, for one: `12.45EUR`."),
        Parameter(name="price", description="Of a wishlist: `12.45EUR`."),
        Parameter(name="percentage", description="Of a consume, 0 to 100.", type=int),
        Parameter(name="rating", description="Of a rate, 0 to 100.", type=int),
        Parameter(name="scenario", description="Needed by clickrecommended."),
        Parameter(name="triggername", description="Needed by triggeropened and clicktriggered."),
        Parameter(
            name="overridetimestamp",
            description="When it happened, in the client's time zone: `2012-01-01T11:00:00`. "
            "Needs a signature.",
        ),
        Parameter(name="signature", description="By the license key."),
    ],
    create=Operation(
        id="trackByAddress",
        status=204,
        errors=(400, 401, 404, 414),
        description="Parameters beside these are kept. User ids are kept as keyed hashes alone. "
        "Whoever accepts an image gets one, with 200.",
    ),
    create_by_post=Operation(id="trackByAddressPost", status=204, errors=(400, 401, 404, 414)),
)
class TrackerViewSet(DoorViewSet):
    """Events told by addresses."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "HEAD":
            raise exceptions.MethodNotAllowed("HEAD")

    def create(self, request: Request, **kwargs: Any) -> HttpResponse:
        """Take an event from an address."""
        return self._accept(request, **kwargs)

    def create_by_post(self, request: Request, **kwargs: Any) -> HttpResponse:
        """Take an event from an address, with parameters in a form where the query has none."""
        return self._accept(request, form=_form(request), **kwargs)

    def _accept(
        self, request: Request, *, customer: str, event: str, tail: str = "", form: str = ""
    ) -> HttpResponse:
        now = timezone.now()
        address = _address(request, customer=customer, event=event, tail=tail, form=form)
        client = clients.by_key(customer)
        if client is None:
            raise ApiError(404, "customer_unknown", "No customer has this id.")
        self.enter(request, client)
        try:
            reading = ibexa.read(address, client, license_keys=lambda: _license_keys(client))
        except common.Rejected as error:
            raise ApiError(_STATUS.get(error.code, 400), error.code, str(error)) from None
        if reading is not None:
            inbox.accept(
                client=client,
                dialect=ibexa.DIALECT,
                body=msgspec.json.encode(reading.call),
                headers={
                    name: reading.hide(value, client) for name, value in _headers(request).items()
                },
                received_at=now,
            )
        return _done(request)

    def error(self, error: ApiError) -> HttpResponse:
        """Word a refusal for people: that is what the body is for."""
        response = plain.refusal(error)
        # Django would log the address, and with it the user in clear.
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response


def _done(request: Request) -> HttpResponse:
    wants = request.headers.get("Accept", "").strip().lower()
    # Pixels ask for images before all else; whoever takes anything needs none.
    if wants.startswith("image/"):
        return HttpResponse(_PIXEL, content_type="image/gif", headers=plain.NOT_KEPT)
    return HttpResponse(status=204, headers=plain.NOT_KEPT)


def _license_keys(client: ClientConfig) -> list[str]:
    try:
        return licences.of(client.id)
    except licences.Unavailable:
        return []


def _headers(request: Request) -> dict[str, str]:
    meta = request.META
    named = {
        "user-agent": meta.get("HTTP_USER_AGENT", "")[:1024],
        "referer": meta.get("HTTP_REFERER", "")[: conf.settings().MAX_URL_LENGTH],
        "idempotency-key": meta.get("HTTP_IDEMPOTENCY_KEY", "")[
            : conf.settings().MAX_MESSAGE_ID_LENGTH
        ],
    }
    kept = {name: value for name, value in named.items() if value}
    if place := places.told(request):
        kept["place"] = msgspec.json.encode(place).decode()
    return kept


def _form(request: Request) -> str:
    if request.content_type != _FORM:
        return ""
    try:
        return read_body(request, limit=_LONGEST_FORM).decode()
    except UnicodeDecodeError:
        raise ApiError(400, "encoding_invalid", "The form is not valid UTF-8.") from None


# --- the address as it was sent --------------------------------------------------------


def _address(request: Request, *, customer: str, event: str, tail: str, form: str) -> ibexa.Address:
    target = _raw_target(request)
    query = request.META.get("QUERY_STRING", "")
    if len(target or request.path) + len(query) > _LONGEST_ADDRESS:
        raise ApiError(
            414, "address_too_long", f"The address is longer than {_LONGEST_ADDRESS} bytes."
        )
    # What the query says counts: the form stands before it.
    query = "&".join(part for part in (form, query) if part)
    segments = None if target is None else _behind(target.split("/"), customer, event)
    if segments is None:
        return ibexa.Address(event, tail.split("/"), query, is_escaped=False)
    return ibexa.Address(event, segments, query)


def _raw_target(request: Request) -> str | None:
    """Return the path as it was sent, escapes and all; None where the server does not tell."""
    scope = getattr(request._request, "scope", None)
    if scope is not None:
        raw = scope.get("raw_path")
        return None if raw is None else str(raw, "latin-1").partition("?")[0]
    for name in _RAW:
        if given := request.META.get(name):
            path_and_query = str(given)
            if "://" in path_and_query:
                return urlsplit(path_and_query).path
            return path_and_query.partition("?")[0]
    return None


def _behind(segments: list[str], customer: str, event: str) -> list[str] | None:
    """Return the segments after the event, wherever the host has mounted the tracker."""
    for position, segment in enumerate(segments[:-2]):
        named = [unquote(each) for each in segments[position + 1 : position + 3]]
        if unquote(segment) in ibexa.SOLUTIONS and named == [customer, event]:
            return segments[position + 3 :]
    return None


_view = TrackerViewSet.as_view({"get": "create", "post": "create_by_post"})


_twin = undocumented(_view)

urlpatterns = [
    path("api/<str:customer>/<str:event>/<path:tail>", _view, name="ibexa-event"),
    *(
        path(f"{solution}/<str:customer>/<str:event>{tail}", _twin)
        for solution in ibexa.SOLUTIONS
        for tail in ("/<path:tail>", "/", "")
    ),
]
