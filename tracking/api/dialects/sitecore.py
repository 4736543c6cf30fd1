"""
The Stream API's doors: browser create and show, and events by POST, GET and JSONP.

Served to raw HTTP clients and to the Engage SDK; each answers in the shape
and with the statuses that those clients were built against.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal
from uuid import UUID

import msgspec
from django.http import HttpResponse
from django.urls import URLPattern
from django.utils import timezone
from rest_framework.request import Request

from tracking import conf, guests, inbox, places, uuid7
from tracking.api import examples
from tracking.api.base import (
    ApiError,
    JsonpViewSet,
    check_callback,
    json_response,
    message_of,
    public_client,
    read_body,
    read_json,
)
from tracking.api.routes import door
from tracking.api.schema import Operation, Parameter, documented
from tracking.types import BROWSER
from tracking.wire import common, sitecore, text

VERSION = "1.2"
_KEPT_HEADERS = {
    "user-agent": "HTTP_USER_AGENT",
    "library": "HTTP_X_LIBRARY_VERSION",
    "software": "HTTP_X_CLIENT_SOFTWARE_ID",
}


class Created(msgspec.Struct, kw_only=True):
    """A browser id (`ref`) and the guest behind it (`customer_ref`)."""

    status: Literal["OK"] = "OK"
    version: str = VERSION
    client_key: str
    ref: str
    customer_ref: str


class Customer(msgspec.Struct, kw_only=True):
    ref: str


class Shown(msgspec.Struct, kw_only=True):
    """The guest that a browser belongs to now."""

    status: Literal["OK"] = "OK"
    version: str = VERSION
    client_key: str
    ref: str
    customer: Customer


class Accepted(msgspec.Struct, kw_only=True):
    """The event is stored under `ref`."""

    status: Literal["OK"] = "OK"
    version: str = VERSION
    client_key: str
    ref: str


class NotFound(msgspec.Struct, kw_only=True):
    """The browser id is not known; nothing was stored. Clients then create a new one."""

    status: Literal["NOT_FOUND"] = "NOT_FOUND"
    version: str = VERSION
    client_key: str
    error_msg: str = "Invalid browser id/ref specified"
    moreInfo: str = "unknown_browser"


_CLIENT_KEY = Parameter(
    name="client_key",
    description="The client's public key.",
    example=examples.CLIENT_KEY,
)


@documented(
    "Stream API",
    parameters=[
        Parameter(
            name="browser_id",
            location="path",
            description="From browser create.",
            type=UUID,
            example=examples.BROWSER_ID,
        ),
        replace(_CLIENT_KEY, required=True),
    ],
    create=Operation(
        id="createBrowser",
        answer=Created,
        errors=(400,),
        description="Keep `ref`: it is the browser id that events and calls are sent with.",
    ),
    show=Operation(id="showBrowser", answer=Shown, errors=(400, 404)),
)
class BrowserViewSet(JsonpViewSet):
    """Browser ids: given out, and asked for the guest behind them."""

    def create(self, request: Request) -> HttpResponse:
        """Give out a browser id, with a visitor behind it."""
        check_callback(request)
        client = self.enter(request, public_client(request))
        browser = guests.create_browser(client, now=timezone.now())
        return json_response(
            Created(
                client_key=client.client_key,
                ref=browser.browser_id,
                customer_ref=str(browser.guest_ref),
            )
        )

    def show(self, request: Request, browser_id: str) -> HttpResponse:
        """Answer the guest that a browser belongs to now."""
        check_callback(request)
        client = self.enter(request, public_client(request))
        known = common.browser_id(browser_id)
        guest = guests.by_browser(client, known) if known else None
        if guest is None:
            raise ApiError(404, "unknown_browser", "Invalid browser id/ref specified")
        return json_response(
            Shown(
                client_key=client.client_key,
                ref=known,
                customer=Customer(ref=str(guest.ref)),
            )
        )


@documented(
    "Stream API",
    parameters=[
        replace(_CLIENT_KEY, description="The client's public key, where the event has none."),
        Parameter(name="siteId", description="Names the point of sale, where the event does not."),
        Parameter(
            name="Idempotency-Key",
            location="header",
            description="Sent again under the same key, an event counts once.",
        ),
    ],
    create=Operation(
        id="sendEvent",
        request=sitecore.EventBody,
        answer=(Accepted, NotFound),
        headers={"X-Tracking-Rejected": "1 where the event is over a limit, and set aside."},
        examples=examples.EVENTS,
        answers=examples.ACCEPTED,
    ),
    create_by_get=Operation(
        id="sendEventByGet",
        answer=(Accepted, NotFound),
        answers=examples.ACCEPTED,
        errors=(400, 414),
        parameters=[
            Parameter(
                name="message",
                description="The event as JSON, 32 KiB at most.",
                type=sitecore.EventBody,
                is_json=True,
                required=True,
                example=examples.VIEW,
            )
        ],
    ),
)
class EventViewSet(JsonpViewSet):
    """Events, one a request."""

    def create(self, request: Request) -> HttpResponse:
        """Take an event from a JSON body."""
        return self._accept(request, read_body(request, limit=conf.settings().MAX_EVENT_BYTES))

    def create_by_get(self, request: Request) -> HttpResponse:
        """Take an event from the `message` of a query: JSON in one line."""
        limit = conf.settings().MAX_EVENT_BYTES
        return self._accept(request, message_of(request, limit=limit, what="event"))

    def _accept(self, request: Request, body: bytes) -> HttpResponse:
        now = timezone.now()
        payload = read_json(body)
        client = self.enter(request, public_client(request, _stated_key(payload)))
        event = _judge(payload)
        speaker = common.speaker(event.browser_id, common.channel(event.channel))
        if speaker is None:
            return json_response(NotFound(client_key=client.client_key))
        try:
            ref = inbox.accept(
                client=client,
                dialect=sitecore.DIALECT,
                body=body,
                headers=_headers(request),
                received_at=now,
                # A crawler's id was never given out: the walk takes it up.
                browser_id=speaker.value if speaker.provider == BROWSER else None,
            )
        except inbox.UnknownBrowser:
            return json_response(NotFound(client_key=client.client_key))
        response = json_response(
            Accepted(client_key=client.client_key, ref=str(uuid7.child(ref, 0)))
        )
        if not text.is_plain(body) and _is_over_a_limit(payload):
            # Stored as it is, and set aside by the walk.
            response["X-Tracking-Rejected"] = "1"
        return response


def _is_over_a_limit(payload: Any) -> bool:
    try:
        text.clean(payload)
    except text.Unstorable:
        return True
    return False


def _stated_key(payload: Any) -> object:
    if not isinstance(payload, dict):
        return None
    return payload.get("client_key") or payload.get("clientKey")


def _judge(payload: Any) -> sitecore.EventBody:
    try:
        try:
            return sitecore.judge(payload)
        except UnicodeEncodeError:
            # Half a character somewhere: judged as it will be stored, with that replaced.
            return sitecore.judge(text.clean(payload).value)
    except (common.Rejected, text.Unstorable) as error:
        raise ApiError(400, error.code, str(error)) from None


def _headers(request: Request) -> dict[str, str]:
    meta = request.META
    kept = {name: meta[key][:1024] for name, key in _KEPT_HEADERS.items() if key in meta}
    if place := places.told(request):
        kept["place"] = msgspec.json.encode(place).decode()
    if site_id := request.query_params.get("siteId"):
        kept["site-id"] = site_id[:100]
    if key := meta.get("HTTP_IDEMPOTENCY_KEY"):
        kept["idempotency-key"] = key[: conf.settings().MAX_MESSAGE_ID_LENGTH]
    return kept


create_browser = BrowserViewSet.as_view({"get": "create"})
show_browser = BrowserViewSet.as_view({"get": "show"})
create_event = EventViewSet.as_view({"post": "create"})
create_event_by_get = EventViewSet.as_view({"get": "create_by_get"})


def _door(route: str, view: Callable[..., Any], *, name: str) -> list[URLPattern]:
    # The Cloud and Content SDKs put a service's name before the paths of raw HTTP and Engage.
    return door(route, view, name=name, also=(f"v1/events/{route}", f"events/{route}"))


urlpatterns = [
    *_door("v1.2/browser/create.json", create_browser, name="browser-create"),
    *_door("v1.2/browser/<str:browser_id>/show.json", show_browser, name="browser-show"),
    *_door("v1.2/events", create_event, name="stream-event"),
    *_door("v1.2/event/create.json", create_event_by_get, name="stream-event-get"),
]
