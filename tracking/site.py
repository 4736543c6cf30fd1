"""
Calls from inside a Django site: who is on this page, and what they did.

`tracking.track(request, ...)` and `tracking.identify(request, ...)` write to
the same inbox as the HTTP doors. Without consent nothing is stored, and no
cookie is set.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from uuid import UUID

import msgspec
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.module_loading import import_string

from tracking import clients, conf, db, inbox, places, uuid7
from tracking.types import TRAITS, ClientConfig
from tracking.wire import common
from tracking.wire.site import DIALECT, SiteEvent, SiteIdentifier

logger = logging.getLogger("tracking")

_UNSET = object()
_BROWSER = "_tracking_browser_id"
_OFFERED = "_tracking_offered_id"


def track(
    request: HttpRequest,
    name: str,
    properties: Mapping[str, Any] | None = None,
    *,
    message_id: str = "",
) -> UUID | None:
    """
    Record that the visitor of this request did something.

    `name` is any event name, such as "Added to cart"; `properties` plain JSON
    values. The same `message_id` again changes nothing. Returns the event's
    ref, or None when there is no consent, no client, or no database that
    takes it: a page does not break over it. Raises ValueError for what no
    event can be.
    """
    return _accept(request, _event(request, name, properties, message_id=message_id))


def identify(
    request: HttpRequest,
    identifiers: Mapping[str, str] | None = None,
    **traits: Any,
) -> UUID | None:
    """
    Say who the visitor of this request is: `identify(request, {"CUSTOMER_ID": "7"}, email=...)`.

    Identifiers of the client's identity rules join the visitor to that
    customer; traits (email, first_name, last_name, phone, ...) fill the
    profile, any other keyword becomes an attribute.
    """
    event = _event(request, "IDENTITY", None)
    event.identifiers = [
        SiteIdentifier(provider=provider, id=value)
        for provider, value in (identifiers or {}).items()
    ]
    event.traits = {name: value for name, value in traits.items() if name in TRAITS}
    event.attributes = {name: value for name, value in traits.items() if name not in TRAITS}
    return _accept(request, event)


def browser_id(request: HttpRequest) -> str | None:
    """
    Return the visitor's browser id: from the cookie, else a new one that the middleware will set.

    None without consent, and None where the middleware is not installed and
    the visitor has no cookie: an id that nobody keeps would be a new guest
    with every page.
    """
    known = getattr(request, _BROWSER, _UNSET)
    if known is _UNSET:
        known = None
        if has_consent(request):
            known = _from_cookie(request) or getattr(request, _OFFERED, None)
        setattr(request, _BROWSER, known)
    return known  # type: ignore[return-value]


def offer_browser_id(request: HttpRequest) -> None:
    """Let `browser_id` give this visitor a new id if they need one. Called by the middleware."""
    setattr(request, _OFFERED, str(uuid.uuid4()))


def has_browser_id(request: HttpRequest) -> bool:
    """Tell whether somebody has asked for this visitor's id, and got one."""
    return getattr(request, _BROWSER, None) is not None


def has_consent(request: HttpRequest) -> bool:
    """Ask the host's consent hook; without one there is nobody to ask."""
    path = conf.settings().CONSENT
    if path is None:
        return True
    hook: Callable[[HttpRequest], bool] = import_string(path)
    return bool(hook(request))


def client_of_site() -> ClientConfig | None:
    """Return the client that the site's pages belong to; None, once logged, when none is clear."""
    client = clients.site_client()
    if client is None:
        logger.warning("site.no_client")
    return client


def page_of(request: HttpRequest) -> str:
    return request.build_absolute_uri()[: conf.settings().MAX_URL_LENGTH]


def utm_of(request: HttpRequest) -> dict[str, str]:
    return common.utm(request.GET.dict())


def _event(
    request: HttpRequest,
    name: str,
    properties: Mapping[str, Any] | None,
    *,
    message_id: str = "",
) -> SiteEvent:
    try:
        type_ = common.event_type(name)
    except common.Rejected as error:
        raise ValueError(str(error)) from None
    return SiteEvent(
        type=type_,
        message_id=message_id,
        browser_id=browser_id(request),
        page=page_of(request),
        referrer=request.headers.get("Referer", "")[:4096],
        user_agent=request.headers.get("User-Agent", "")[:1024],
        utm=utm_of(request),
        properties=dict(properties or {}),
    )


def _accept(request: HttpRequest, event: SiteEvent) -> UUID | None:
    client = client_of_site() if event.browser_id else None
    if client is None:
        return None
    try:
        body = msgspec.json.encode(event, enc_hook=_plain)
    except (TypeError, msgspec.MsgspecError) as error:
        raise ValueError(f"Properties and traits are plain JSON values: {error}") from None
    try:
        with guarded():
            ref = inbox.accept(
                client=client,
                dialect=DIALECT,
                body=body,
                received_at=timezone.now(),
                headers=_place(request),
            )
    except (DatabaseError, InterfaceError):
        logger.exception("site.event_not_stored", extra={"type": event.type})
        return None
    return uuid7.child(ref, 0)


def _place(request: HttpRequest) -> dict[str, str]:
    place = places.told(request)
    return {"place": msgspec.json.encode(place).decode()} if place else {}


def guarded() -> AbstractContextManager[object]:
    """
    Keep a statement that fails from ending the page's own transaction with it.

    Outside of a transaction there is nothing to keep.
    """
    return db.atomic() if db.connection().in_atomic_block else nullcontext()


def _plain(value: Any) -> str:
    """Read what Django's own texts say: lazy translations, and those marked safe."""
    if isinstance(value, str | Promise):
        # The text of a subclass may be of that subclass again.
        return str.__str__(str(value))
    raise TypeError(f"not {type(value).__name__}")


def _from_cookie(request: HttpRequest) -> str | None:
    return common.browser_uuid(request.COOKIES.get(conf.settings().COOKIE_NAME)) or None
