"""
The one viewset that every HTTP door is built on.

It sets everything DRF would take from the host's defaults, reads bodies up to
a limit and no further, answers JSON in every case, and adds the CORS headers
that browser clients need.
"""

import logging
import random
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn
from uuid import UUID

import msgspec
from django.core.exceptions import TooManyFieldsSent
from django.db import InterfaceError, OperationalError, connections, transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from tracking import clients, conf
from tracking.api.authentication import ClientBasicAuthentication, IsClient, client_of
from tracking.types import ClientConfig
from tracking.wire import text

logger = logging.getLogger("tracking")

#: What browser clients may send beside the safe headers.
ALLOWED_HEADERS = (
    "content-type, authorization, idempotency-key, x-library-version, x-client-software-id, "
    "x-sitecore-contextid, x-sc-correlation-id, x-strict-mode"
)
EXPOSED_HEADERS = "retry-after, x-tracking-rejected"
# Drawn anew each time, so that those who were refused together do not come back together.
_RETRY_SECONDS = (5, 29)
_PREFLIGHT_SECONDS = "7200"
_CALLBACK = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$]{0,99}")
# What a client may still be sending when it is refused for its size.
_DRAIN_BYTES = 128 * 1024
_READ_BYTES = 64 * 1024
_SMALL_BYTES = 1024 * 1024


class ApiError(Exception):
    """A refusal, in the caller's terms: HTTP status, machine-readable code, and the sentence."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


class ErrorBody(msgspec.Struct, kw_only=True):
    """What every refusal says. `error_msg` and `moreInfo` repeat it for older clients."""

    status: int
    code: int
    error: str
    message: str
    developerMessage: str
    moreInfoUrl: str = ""
    error_msg: str = ""
    moreInfo: str = ""


class IgnoreClientContentNegotiation(BaseContentNegotiation):
    """Everybody gets JSON, whatever they say they accept."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser:
        parser: BaseParser = parsers[0]
        return parser

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class RawParser(BaseParser):
    """Leaves the body alone: doors read it themselves, up to their limit."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return {}


class DoorViewSet(ViewSet):
    """A door: its own authentication, parser, renderer, throttle, and error shape."""

    authentication_classes: Sequence[type[BaseAuthentication]] = ()
    permission_classes: Sequence[type[BasePermission]] = ()
    parser_classes = (RawParser,)
    renderer_classes = (JSONRenderer,)
    throttle_classes = ()
    versioning_class = None
    content_negotiation_class = IgnoreClientContentNegotiation
    #: Whether pages of other sites may call it.
    is_cross_origin: ClassVar[bool] = True
    #: Whether this is another address of a door that the API's documentation has already.
    is_twin = False

    #: Whether a GET stores something: then a HEAD, which promises to change nothing, is refused.
    acts_on_get: ClassVar[bool] = False

    #: The client, as soon as it is known: it decides which origins may read the answer.
    client: ClientConfig | None = None
    #: Those that may read an answer to nobody in particular. None: any.
    origins: frozenset[str] = frozenset()

    @classmethod
    def as_view(cls, actions: Any = None, **initkwargs: Any) -> Any:
        view = super().as_view({**(actions or {}), "options": "preflight"}, **initkwargs)
        # Cookies are never read here, so there is nothing that CSRF could ride on.
        view.csrf_exempt = True
        # Under a host's ATOMIC_REQUESTS, a refusal would take back the row that was written
        # before it, and a commit that fails would be answered in HTML.
        for alias in connections:
            view = transaction.non_atomic_requests(using=alias)(view)
        return view

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate where the door asks for it; nothing else is negotiated."""
        if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            raise ApiError(400, "nul_refused", "The address has a NUL character.")
        if request.method == "HEAD" and self.acts_on_get:
            raise exceptions.MethodNotAllowed("HEAD")
        _query(request)
        request.accepted_renderer = JSONRenderer()
        request.accepted_media_type = "application/json"
        self.format_kwarg = None
        # A browser asks whether it may call before it shows any credentials.
        if self.authentication_classes and request.method != "OPTIONS":
            self.perform_authentication(request)
            self.check_permissions(request)

    def preflight(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer a browser's question whether it may call. Its body does not say whose it is."""
        self.origins = clients.origins_of_all()
        response = HttpResponse(status=204)
        response["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
        asked = request.headers.get("Access-Control-Request-Headers", "")
        response["Access-Control-Allow-Headers"] = _header_names(asked) or ALLOWED_HEADERS
        response["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
        return response

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        if getattr(response, "data", None) is not None:
            # A DRF Response: render it here, with our encoder.
            data = response.data  # type: ignore[attr-defined]
            response = json_response(data, status=response.status_code)
        if self.is_cross_origin and not getattr(response, "is_overload", False):
            self._add_cors(request, response)
        return response

    def handle_exception(self, exc: Exception) -> Any:
        """Answer every failure as JSON, in the caller's terms."""
        if isinstance(exc, OperationalError | InterfaceError):
            return self._overloaded(exc)
        if isinstance(exc, ApiError):
            return self.error(exc)
        if isinstance(exc, exceptions.APIException):
            error = ApiError(exc.status_code, _name(exc), str(exc.detail))
            if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
                error.status = 401
                error.headers["WWW-Authenticate"] = 'Basic realm="personalize", charset="UTF-8"'
            if isinstance(exc, exceptions.MethodNotAllowed):
                error.headers["Allow"] = ", ".join(self.allowed_methods)
            return self.error(error)
        logger.exception("request.failed", extra={"path": self.request.path})
        return self.error(ApiError(500, "internal_error", "The server failed on this request."))

    def enter(self, request: Request, client: ClientConfig) -> ClientConfig:
        """
        Let the request in as this client's. Raises ApiError where its page is not one of theirs.

        The list is a filter against stray pages; it proves nothing about servers.
        """
        self.client = client
        origin = request.headers.get("Origin")
        if origin is not None and client.origins and origin not in client.origins:
            raise ApiError(403, "origin_refused", f"The origin {origin[:200]} is not allowed.")
        return client

    def error(self, error: ApiError) -> HttpResponse:
        """Word a refusal; families with an error shape of their own override this."""
        return error_response(error)

    def _overloaded(self, exc: Exception) -> HttpResponse:
        logger.error("database.unavailable", extra={"error": str(exc)})
        error = ApiError(
            503, "unavailable", "The server cannot store this now; send it again.",
            headers={"Retry-After": str(random.randint(*_RETRY_SECONDS))},
        )  # fmt: skip
        response = self.error(error)
        # A browser client takes any answer that it can read for delivered: without
        # CORS headers it sees a network fault, and tries again.
        response.is_overload = True  # type: ignore[attr-defined]
        return response

    def _add_cors(self, request: Request, response: HttpResponseBase) -> None:
        origin = request.headers.get("Origin")
        if origin is None:
            return
        origins = self.client.origins if self.client else self.origins
        if not origins:
            response["Access-Control-Allow-Origin"] = "*"
        else:
            response["Vary"] = "Origin"
            if origin not in origins:
                return
            response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Expose-Headers"] = EXPOSED_HEADERS


class ServerViewSet(DoorViewSet):
    """A door for servers, which prove whose they are with HTTP Basic."""

    authentication_classes: Sequence[type[BaseAuthentication]] = (ClientBasicAuthentication,)
    permission_classes: Sequence[type[BasePermission]] = (IsClient,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method != "OPTIONS":
            self.enter(request, client_of(request))


class JsonpViewSet(DoorViewSet):
    """A door that acts on GET too; where the query has a callback, it wraps the answer into it."""

    acts_on_get = True

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        response = super().finalize_response(request, response, *args, **kwargs)
        try:
            callback = _query(request).get("callback", "")
        except ApiError:
            # Already answered with this refusal.
            return response
        if request.method == "GET" and _CALLBACK.fullmatch(callback):
            return _as_jsonp(callback, response)
        return response


def _query(request: Request) -> QueryDict:
    """Return the query's parameters. Raises ApiError for more of them than anybody needs."""
    try:
        return request.query_params
    except TooManyFieldsSent:
        raise ApiError(400, "query_too_long", "The query has too many parameters.") from None


def check_callback(request: Request) -> None:
    """Refuse a JSONP callback that is not a plain name. Raises ApiError."""
    callback = request.query_params.get("callback")
    if callback and not _CALLBACK.fullmatch(callback):
        raise ApiError(400, "callback_invalid", "callback may have letters, digits, _ . and $.")


def message_of(request: Request, *, limit: int, what: str) -> bytes:
    """Return the JSON that a GET carries in `message`. Raises ApiError, also for a bad callback."""
    check_callback(request)
    message = request.query_params.get("message")
    if not message:
        raise ApiError(400, "message_missing", f"message is missing: the {what} as JSON.")
    body = message.encode("utf-8", "replace")
    if len(body) > limit:
        raise ApiError(414, "message_too_large", f"message is larger than {limit} bytes.")
    return body


def _as_jsonp(callback: str, response: HttpResponseBase) -> HttpResponse:
    # U+2028 and U+2029 end a line in older JavaScript.
    body = getattr(response, "content", b"")
    body = body.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    # Whatever became of the call, a script must answer 200 to run.
    script = HttpResponse(
        callback.encode() + b"(" + body + b")",
        content_type="application/javascript; charset=utf-8",
    )
    script["X-Content-Type-Options"] = "nosniff"
    return script


def read_json(body: bytes) -> Any:
    """Parse a request's body. Raises ApiError."""
    try:
        return text.read(body)
    except text.Unreadable as error:
        raise ApiError(400, "json_invalid", str(error)) from None


def read_document(body: bytes) -> Any:
    """Parse a request's body into storable JSON. Raises ApiError, also over a limit."""
    try:
        return text.clean(read_json(body)).value
    except text.Unstorable as error:
        raise ApiError(400, error.code, f"The body is not valid: {error}") from None


def json_response(data: Any, *, status: int = 200) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(data), status=status, content_type="application/json")


def error_response(error: ApiError) -> HttpResponse:
    # A sentence may quote half a character that the caller sent.
    message = error.message.encode("utf-8", "replace").decode()
    body = ErrorBody(
        status=error.status,
        code=error.status,
        error=error.code,
        message=message,
        developerMessage=message,
        error_msg=message,
        moreInfo=error.code,
    )
    response = json_response(body, status=error.status)
    for name, value in error.headers.items():
        response[name] = value
    return response


def read_body(request: Request, *, limit: int) -> bytes:
    """
    Read the request's body, inflated, up to `limit` bytes. Raises ApiError.

    The host's own limit of uploads is not asked, chunked bodies are read (a
    WSGI server's Content-Length is absent then), and a compressed one is
    inflated no further than allowed.
    """
    raw = _read_wire(request._request, limit)
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding in ("", "identity"):
        return raw
    if coding != "gzip":
        raise ApiError(415, "encoding_unknown", "Content-Encoding may be gzip or absent.")
    return _inflate(raw, limit)


def _read_wire(request: HttpRequest, limit: int) -> bytes:
    if hasattr(request, "_body"):
        raw = request.body
    elif "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        raw = _read_chunked(request, limit)
    else:
        raw = _read_counted(request, limit)
    if len(raw) > limit:
        _refuse_size(limit)
    return raw


def _read_counted(request: HttpRequest, limit: int) -> bytes:
    stated = request.META.get("CONTENT_LENGTH") or ""
    length = int(stated) if stated.isdecimal() else 0
    if length > limit:
        _drain(request)
        _refuse_size(limit)
    raw = _read_to_end(request.read, limit)
    if len(raw) < length:
        # The start of a body may be JSON of its own: nobody is told that the rest is stored.
        _refuse_incomplete()
    return raw


def _read_chunked(request: HttpRequest, limit: int) -> bytes:
    environ = getattr(request, "environ", None)
    if environ is None:
        # ASGI: the server has put the chunks together.
        return _read_to_end(request.read, limit)
    if not environ.get("wsgi.input_terminated"):
        raise ApiError(411, "length_required", "Send a Content-Length: chunks cannot be read here.")
    return _read_to_end(environ["wsgi.input"].read, limit)


def _read_to_end(read: Callable[[int], bytes], limit: int) -> bytes:
    """Read to the end, or until it is over the limit. Raises ApiError for a broken body."""
    pieces = bytearray()
    while len(pieces) <= limit:
        try:
            piece = read(min(_READ_BYTES, limit + 1 - len(pieces)))
        except Exception:  # noqa: BLE001
            # A lost connection, chunks that are none: each server has exceptions of its own.
            _refuse_incomplete()
        if not piece:
            break
        pieces += piece
    return bytes(pieces)


def _drain(request: HttpRequest) -> None:
    # A client that is still writing would otherwise see a reset in place of the answer.
    _read_to_end(request.read, _DRAIN_BYTES)


def _refuse_incomplete() -> NoReturn:
    raise ApiError(
        400, "body_incomplete", "The body ends too early, or its chunks cannot be read.",
        headers={"Connection": "close"},
    )  # fmt: skip


def _refuse_size(limit: int, what: str = "The body") -> NoReturn:
    raise ApiError(
        413, "body_too_large", f"{what} is larger than {limit} bytes.",
        headers={"Connection": "close"},
    )  # fmt: skip


def _inflate(raw: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    # However small the wire body, no more than the ratio allows is ever inflated. A body that is
    # small even then harms nobody: events that repeat each other shrink to a hundredth and less.
    allowed = min(limit, max(_SMALL_BYTES, len(raw) * conf.settings().MAX_INFLATE_RATIO))
    try:
        inflated = inflater.decompress(raw, allowed + 1)
    except zlib.error:
        raise ApiError(400, "gzip_invalid", "The body is not gzip, as it says it is.") from None
    if len(inflated) > allowed:
        _refuse_size(allowed, what="The inflated body")
    if not inflater.eof:
        raise ApiError(400, "gzip_truncated", "The gzip body ends too early.")
    if inflater.unused_data:
        raise ApiError(400, "gzip_trailing", "The gzip body goes on after its end.")
    return inflated


def public_client(request: Request, stated: object = None) -> ClientConfig:
    """
    Return the client whose public key the request carries. Raises ApiError.

    `stated` is what the body says; clients leave that empty, or out, who send
    the key in the query or in a header.
    """
    query = request.query_params
    key = (
        (stated if isinstance(stated, str) else "")
        or query.get("client_key")
        or query.get("clientKey")
        or query.get("sitecoreContextId")
        or request.headers.get("x-sitecore-contextid")
    )
    if not key:
        raise ApiError(400, "client_key_missing", "client_key is missing.")
    client = clients.by_key(key)
    if client is None:
        raise ApiError(400, "client_key_unknown", "client_key is not known.")
    return client


def uuid_or_404(ref: str, what: str) -> UUID:
    """Read a ref from a path. Raises ApiError: what is no UUID names nothing."""
    try:
        return UUID(ref)
    except ValueError:
        raise ApiError(404, f"{what}_unknown", f"There is no {what} with this ref.") from None


def _header_names(asked: str) -> str:
    names = [name.strip().lower() for name in asked.split(",") if name.strip()]
    good = [name for name in names if name.replace("-", "").isalnum() and name.isascii()]
    return ", ".join(good[:40])


def _name(exc: exceptions.APIException) -> str:
    return str(exc.default_code)
