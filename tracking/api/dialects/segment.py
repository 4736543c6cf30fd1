"""
The doors of the Segment family: track, identify, page, screen, group, alias, and batches of them.

Served to the SDKs of Customer.io Data Pipelines, Segment and RudderStack, and
to raw HTTP. Several of them take any success but a 200 for a failure, and try
everything but a 400 again: so a success is a 200, and what can never succeed
a 400, but for a key that is known to be wrong.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request

from tracking import clients, conf, inbox, places
from tracking.api import examples, semantic_events
from tracking.api.base import ApiError, DoorViewSet, json_response, read_body
from tracking.api.routes import address, door
from tracking.api.schema import Operation, Parameter, Refusals, documented
from tracking.types import ClientConfig
from tracking.wire import segment

#: Statuses that these clients tell apart; every other refusal is final, and so a 400.
_OWN_STATUSES = frozenset({401, 404, 405, 429, 500, 503})
#: Under which names the browser SDKs look for where to send: Customer.io's and Segment's.
_INTEGRATIONS = ("Customer.io Data Pipelines", "Segment.io")


class RejectedCall(msgspec.Struct, kw_only=True):
    """A call that was refused, by its place in the batch: set aside, and none of the others."""

    index: int
    messageId: str
    code: str
    message: str


class CallsAccepted(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The request is stored. `rejected` lists the calls that were refused, where any were."""

    success: bool
    rejected: list[RejectedCall] = []


class Reasons(msgspec.Struct, kw_only=True):
    errors: list[str]


class SegmentError(msgspec.Struct, kw_only=True):
    """A refusal, in the form that every SDK of the family can read."""

    code: str
    message: str
    meta: Reasons


def _worded(code: str, message: str, reasons: Sequence[str]) -> SegmentError:
    # A sentence may quote half a character that the caller sent.
    said, *errors = (text.encode("utf-8", "replace").decode() for text in (message, *reasons))
    return SegmentError(code=code, message=said, meta=Reasons(errors=errors))


def _status(status: int) -> int:
    return status if status in _OWN_STATUSES else 400


_REFUSALS = Refusals(
    name="CallRefusal",
    body=SegmentError,
    word=lambda status, code, message: _worded(code, message, [message]),
    status=_status,
    headers={503: {"Retry-After": "Seconds to wait."}},
)


class SegmentViewSet(DoorViewSet):
    """A door that refuses as the SDKs of the family need it."""

    def error(self, error: ApiError) -> HttpResponse:
        return self.refuse(error, [error.message])

    def refuse(self, error: ApiError, reasons: Sequence[str]) -> HttpResponse:
        """Word a refusal with all its reasons."""
        body = _worded(error.code, error.message, reasons)
        response = json_response(body, status=_status(error.status))
        for name, value in error.headers.items():
            if name != "WWW-Authenticate":
                response[name] = value
        return response


_AUTHORIZATION = Parameter(
    name="Authorization",
    location="header",
    description="Basic with the client's public key as user and no password, or Bearer with the "
    "key. Without it `writeKey` in the body is read; where both are given the header counts.",
)
_STRICT = Parameter(
    name="X-Strict-Mode",
    location="header",
    description="1: where one call is refused none is stored, and the answer is a 400.",
)
_REJECTED = {"X-Tracking-Rejected": "How many calls were refused, where any were."}


def _one_call(call: str) -> Operation:
    return Operation(
        id=f"send{call.capitalize()}",
        request=segment.CallBody,
        answer=CallsAccepted,
        errors=(401,),
        headers=_REJECTED,
    )


@documented(
    "Track calls",
    parameters=[_AUTHORIZATION, _STRICT],
    refusals=_REFUSALS,
    types=[segment.CallBody],
    batch=Operation(
        id="sendBatch",
        request=segment.CallsBody,
        answer=CallsAccepted,
        errors=(401,),
        headers=_REJECTED,
        examples=examples.CALLS_BATCH,
        description="Up to 2,500 calls, 4 MiB in all, gzip welcome. A call that is refused costs "
        "none of the others: the answer is a 200 that names it.",
    ),
    track=replace(
        _one_call("track"), examples=examples.TRACK, description=semantic_events.as_markdown
    ),
    identify=_one_call("identify"),
    page=_one_call("page"),
    screen=_one_call("screen"),
    group=_one_call("group"),
    alias=_one_call("alias"),
)
class CallViewSet(SegmentViewSet):
    """Calls, one a request or in batches."""

    def batch(self, request: Request) -> HttpResponse:
        """Take a batch of calls, each judged on its own."""
        return self._accept(request, "", limit=conf.settings().MAX_TRUSTED_BATCH_BYTES)

    def track(self, request: Request) -> HttpResponse:
        """Take a track call: somebody did something."""
        return self._accept_one(request, "track")

    def identify(self, request: Request) -> HttpResponse:
        """Take an identify call: who somebody is, and what is known of them."""
        return self._accept_one(request, "identify")

    def page(self, request: Request) -> HttpResponse:
        """Take a page call: somebody saw a page."""
        return self._accept_one(request, "page")

    def screen(self, request: Request) -> HttpResponse:
        """Take a screen call: somebody saw a screen of an app."""
        return self._accept_one(request, "screen")

    def group(self, request: Request) -> HttpResponse:
        """Take a group call: somebody belongs to a group, or what is known of the group."""
        return self._accept_one(request, "group")

    def alias(self, request: Request) -> HttpResponse:
        """Take an alias call: an earlier id is the same person's."""
        return self._accept_one(request, "alias")

    def _accept_one(self, request: Request, call: str) -> HttpResponse:
        # Twice the limit of a call is still read, so that what is over it can be set aside.
        return self._accept(request, call, limit=2 * conf.settings().MAX_EVENT_BYTES)

    def _accept(self, request: Request, call: str, *, limit: int) -> HttpResponse:
        now = timezone.now()
        body = read_body(request, limit=limit)
        try:
            envelope = segment.open_envelope(body)
        except segment.BadEnvelope as error:
            raise ApiError(400, "envelope_invalid", str(error)) from None
        client = self.enter(request, _client(request, envelope.write_key))
        rejected = [
            RejectedCall(
                index=item.index,
                messageId=item.message_id,
                code=item.code,
                message=item.reason,
            )
            for item in segment.refused(envelope, call=call)
        ]
        if rejected and request.headers.get("X-Strict-Mode") == "1":
            first = rejected[0]
            refusal = ApiError(400, first.code, f"{len(rejected)} refused: {first.message}")
            reasons = [f"batch[{item.index}]: {item.message}" for item in rejected[:100]]
            return self.refuse(refusal, reasons)
        inbox.accept(
            client=client,
            dialect=segment.DIALECT,
            body=body,
            headers=_headers(request, envelope, call),
            received_at=now,
        )
        response = json_response(CallsAccepted(success=True, rejected=rejected[:100]))
        if rejected:
            response["X-Tracking-Rejected"] = str(len(rejected))
        return response


_WRITE_KEY = Parameter(
    name="write_key",
    location="path",
    description="The client's public key.",
    example=examples.CLIENT_KEY,
)


@documented(
    "Track calls",
    parameters=[_WRITE_KEY],
    refusals=_REFUSALS,
    retrieve=Operation(
        id="readBrowserSettings",
        answer=dict[str, Any],
        errors=(404,),
        answers=examples.BROWSER_SETTINGS,
        description="What the browser SDKs ask first: where to send, and that to nobody else. In "
        "a page only `cdnURL` has to be changed, to this server's address.",
    ),
    metrics=Operation(
        id="sendSdkMetrics",
        answer=CallsAccepted,
        description="Counters of an SDK's own health. They are taken, and not kept.",
    ),
)
class BrowserSdkViewSet(SegmentViewSet):
    """What the browser SDKs ask for beside their calls."""

    def retrieve(self, request: Request, write_key: str) -> HttpResponse:
        """Tell a browser SDK where to send."""
        client = clients.by_key(write_key)
        if client is None:
            raise ApiError(404, "write_key_unknown", _UNKNOWN_KEY)
        self.enter(request, client)
        place = {
            "apiKey": client.client_key,
            "apiHost": request.get_host() + _root(request),
            "protocol": "https" if request.is_secure() else "http",
        }
        # Nothing tells the SDKs apart here, and one that does not find its name sends to its
        # vendor. A `type` would make each take the other's entry for a script to load.
        response = json_response(
            {
                "integrations": dict.fromkeys(_INTEGRATIONS, place),
                "metrics": {"sampleRate": 0},
            }
        )
        response["Cache-Control"] = "max-age=120"
        return response

    def metrics(self, request: Request) -> HttpResponse:
        """Take an SDK's counters of its own health, which nobody reads here."""
        read_body(request, limit=conf.settings().MAX_BATCH_BYTES)
        return json_response(CallsAccepted(success=True))


class ScriptViewSet(SegmentViewSet):
    """
    The browser SDKs' own files, for pages that load them by the script-tag snippet.

    They are the host's, in the folder that a setting names. An unknown key
    gets no script: one that fails to start would tell its vendor.
    """

    #: Not in the API's documentation: nobody calls it but the snippets.
    schema = None

    def customerio(self, request: Request, write_key: str) -> HttpResponseBase:
        """Serve Customer.io's SDK for the snippet of a page."""
        return self._start(write_key, conf.settings().CUSTOMERIO_SDK_FOLDER)

    def customerio_part(self, request: Request, name: str) -> HttpResponseBase:
        """Serve a part that Customer.io's SDK loads."""
        return _script(conf.settings().CUSTOMERIO_SDK_FOLDER, name)

    def segment(self, request: Request, write_key: str) -> HttpResponseBase:
        """Serve Segment's SDK for the snippet of a page."""
        return self._start(write_key, conf.settings().SEGMENT_SDK_FOLDER)

    def segment_part(self, request: Request, name: str) -> HttpResponseBase:
        """Serve a part that Segment's SDK loads."""
        return _script(conf.settings().SEGMENT_SDK_FOLDER, name)

    def _start(self, write_key: str, folder: str | None) -> HttpResponseBase:
        if clients.by_key(write_key) is None:
            raise ApiError(404, "write_key_unknown", _UNKNOWN_KEY)
        return _script(folder, "standalone.js")


_UNKNOWN_KEY = "The write key is not known to this server."


def _client(request: Request, write_key: str | None) -> ClientConfig:
    """Return the client whose key the header carries, else the body. Raises ApiError."""
    key = _header_key(request) or (write_key or "").strip()
    if not key:
        raise ApiError(
            400, "write_key_missing", "The write key is missing: as user of Basic, or writeKey."
        )
    client = clients.by_key(key)
    if client is None:
        raise ApiError(401, "write_key_unknown", _UNKNOWN_KEY)
    return client


def _header_key(request: Request) -> str:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "bearer":
        return credentials
    if scheme.lower() != "basic":
        return ""
    try:
        decoded = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ApiError(401, "write_key_unknown", "The Basic credentials are not base64.") from None
    return decoded.partition(":")[0].strip()


def _headers(request: Request, envelope: segment.Envelope, call: str) -> dict[str, str]:
    kept = {}
    if call:
        kept["call"] = call
    if envelope.shared:
        kept["shared"] = msgspec.json.encode(envelope.shared).decode()
    if "Origin" in request.headers:
        # A page's own call: the program that sends is the visitor's browser.
        kept["user-agent"] = request.headers.get("User-Agent", "")[:1024]
        if place := places.told(request):
            kept["place"] = msgspec.json.encode(place).decode()
    if site_id := request.query_params.get("siteId"):
        kept["site-id"] = site_id[:100]
    return kept


def _root(request: Request) -> str:
    """Return the path under which the calls are, as the SDKs write it: before `/t`."""
    return address(request, "track-batch").removesuffix("/batch")


def _script(folder: str | None, name: str) -> HttpResponseBase:
    # The folder's own list says what there is: no path is ever made of what a request says.
    files = {file.name: file for file in Path(folder).glob("*.js")} if folder else {}
    file = files.get(name)
    if file is None:
        raise ApiError(404, "no_such_script", "This server has no such script.")
    response = FileResponse(file.open("rb"), content_type="text/javascript; charset=utf-8")
    response["Cache-Control"] = "max-age=120"
    return response


def _calls(call: str) -> Any:
    return CallViewSet.as_view({"post": call})


_settings = BrowserSdkViewSet.as_view({"get": "retrieve"})
_metrics = BrowserSdkViewSet.as_view({"post": "metrics"})

urlpatterns = [
    *door("v1/batch", _calls("batch"), name="track-batch", also=("v1/b",)),
    *(
        pattern
        for call in segment.CALLS
        for pattern in door(
            f"v1/{call}", _calls(call), name=f"track-{call}", also=(f"v1/{call[0]}",)
        )
    ),
    *door("v1/projects/<str:write_key>/settings", _settings, name="track-settings"),
    *door("v1/m", _metrics, name="track-metrics"),
    *door(
        "v1/analytics-js/snippet/<str:write_key>/analytics.min.js",
        ScriptViewSet.as_view({"get": "customerio"}),
        name="customerio-script",
    ),
    *door(
        "v1/analytics-js/<str:name>",
        ScriptViewSet.as_view({"get": "customerio_part"}),
        name="customerio-script-part",
    ),
    *door(
        "analytics.js/v1/<str:write_key>/analytics.min.js",
        ScriptViewSet.as_view({"get": "segment"}),
        name="segment-script",
    ),
    *door(
        "analytics-next/bundles/<str:name>",
        ScriptViewSet.as_view({"get": "segment_part"}),
        name="segment-script-part",
    ),
]
