"""
`/v2/callFlows` and `/v1/personalize`: run a flow by its friendlyId, by POST or as JSONP.

Served to raw HTTP clients and to the Engage, Cloud and Content SDKs. "Nothing
to show" is a 200 with a message, for they take any other answer for a fault.
"""

import re
import uuid
from typing import Annotated, Any

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from personalize import conf, execution
from personalize.api import examples
from personalize.conditions import normalise_params
from personalize.types import FlowRequest, Outcome, Reason
from tracking import places
from tracking.api.base import (
    ApiError,
    DoorViewSet,
    JsonpViewSet,
    json_response,
    message_of,
    public_client,
    read_body,
    read_document,
)
from tracking.api.routes import door
from tracking.api.schema import Operation, Parameter, documented
from tracking.wire.common import language_code

NOTHING = {"message": "No flow executed"}
NO_MATCH = {"message": "No matching variant"}
FAILED = {"message": "Templating transformation failed"}
_CHANNEL = re.compile(r"[A-Z][A-Z0-9_]{0,19}")


class CallIdentifier(msgspec.Struct, kw_only=True):
    """The guest's identifier: whose numbering, and the number."""

    provider: str
    id: str | int


class CallFlows(msgspec.Struct, kw_only=True):
    """
    A call. `friendlyId` (or `friendlyID`) names the flow; `prefix*` the first that fits.

    The guest is named by exactly one of browserId, email and identifiers.
    """

    clientKey: Annotated[
        str | None, Meta(description="Who calls; may stand in the query instead.")
    ] = None
    friendlyId: Annotated[
        str | None,
        Meta(
            description="The flow's id; `prefix*` runs the first live flow, in the order of ids, "
            "that passes its schedule, channel, pages, audience and allocation.",
            examples=["hero_banner"],
        ),
    ] = None
    friendlyID: Annotated[str | None, Meta(description="The same, in another spelling.")] = None
    channel: Annotated[
        str | None,
        Meta(
            description="WEB, MOBILE_WEB, MOBILE_APP and the like; WEB unless given.",
            examples=["WEB"],
        ),
    ] = None
    language: Annotated[str | None, Meta(description="ISO 639-1.", examples=["EN"])] = None
    currencyCode: Annotated[str | None, Meta(description="ISO 4217.", examples=["EUR"])] = None
    pointOfSale: Annotated[
        str | None,
        Meta(
            description="One of the client's, by its name; its default unless given.",
            examples=["myretailsite/ireland"],
        ),
    ] = None
    browserId: Annotated[
        str | None,
        Meta(
            description="From browser create. The best of the three: what the guest does next is "
            "attributed to this visit.",
        ),
    ] = None
    email: Annotated[
        str | None, Meta(description="Of the guest.", examples=["ada@example.com"])
    ] = None
    identifiers: CallIdentifier | None = None
    params: Annotated[
        dict[str, Any] | None,
        Meta(
            description="What else is known of this call, read in conditions as "
            "`request.params.<path>`: the page, the utm parameters, anything of your own. "
            '`{"utm": {"source": ...}}`, `utm.source` and `utm_source` are one.',
            examples=[{"utm": {"source": "bing"}, "page": "/shoes"}],
        ),
    ] = None
    uri: Annotated[
        str | None, Meta(description="The page, where params has none.", examples=["/shoes"])
    ] = None
    guestRef: Annotated[
        str | None, Meta(description="A hint; it never overrides the three above.")
    ] = None
    variants: Annotated[
        list[str] | None,
        Meta(
            description="The variantIds that the page can show. Content with another one is not "
            'given out, nor counted: the answer is then {"message": "No matching variant"}.',
        ),
    ] = None


class HtmlContent(msgspec.Struct, kw_only=True):
    """Content that is a text."""

    html: str


class NothingExecuted(msgspec.Struct, kw_only=True):
    """The answer when no flow ran, whichever gate closed; and when a template failed."""

    message: str


_ANSWER = (dict[str, Any], HtmlContent, NothingExecuted)
_ABOUT = (
    "The run is recorded as a TRACKING event. When no flow ran, or its content could not be made, "
    "the answer is a 200 with a `message` all the same. A guest who is not known is a new visitor: "
    "the address that was looked up is not kept."
)


@documented(
    "Flow execution",
    parameters=[
        Parameter(
            name="clientKey",
            description="The client's public key, where the call has none.",
            example=examples.CLIENT_KEY,
        ),
        Parameter(name="siteId", description="Names the point of sale, where the call does not."),
    ],
    create=Operation(
        id="callFlows",
        request=CallFlows,
        answer=_ANSWER,
        examples=examples.CALLS,
        answers=examples.ANSWERS,
        description=_ABOUT,
    ),
    create_by_get=Operation(
        id="callFlowsByGet",
        answer=_ANSWER,
        answers=examples.ANSWERS,
        errors=(400, 414),
        parameters=[
            Parameter(
                name="message",
                description="The call as JSON.",
                type=CallFlows,
                is_json=True,
                required=True,
                example=examples.CALL,
            )
        ],
        description=_ABOUT,
    ),
)
class CallFlowsViewSet(JsonpViewSet):
    """Flow executions."""

    def create(self, request: Request) -> HttpResponse:
        """Run a flow; the answer is what its variant's content gives, as it is."""
        return self._call(request, read_body(request, limit=conf.settings().MAX_CALL_BYTES))

    def create_by_get(self, request: Request) -> HttpResponse:
        """Run a flow from the `message` of a query: the call as JSON in one line."""
        limit = conf.settings().MAX_CALL_BYTES
        return self._call(request, message_of(request, limit=limit, what="call"))

    def _call(self, request: Request, body: bytes) -> HttpResponse:
        call = _parse(body)
        client = self.enter(request, public_client(request, call.clientKey))
        try:
            outcome = execution.execute(_flow_request(call, request), client, now=timezone.now())
        except execution.UnknownPointOfSale as error:
            raise ApiError(400, "point_of_sale_unknown", str(error)) from None
        return json_response(answer(outcome))


def answer(outcome: Outcome) -> Any:
    """Return what the client is told: never null, a list or a text."""
    if outcome.reason is Reason.RENDER_FAILED:
        return FAILED
    if outcome.reason is Reason.NO_MATCHING_VARIANT:
        return NO_MATCH
    if not outcome.is_executed:
        return NOTHING
    if isinstance(outcome.content, dict):
        return outcome.content
    return {"html": outcome.content}


def _parse(body: bytes) -> CallFlows:
    payload = read_document(body)
    if not isinstance(payload, dict):
        raise ApiError(400, "call_invalid", "A call is a JSON object.")
    try:
        return msgspec.convert(payload, CallFlows)
    except msgspec.ValidationError as error:
        raise ApiError(400, "call_invalid", f"The call is not valid: {error}.") from None


def _flow_request(call: CallFlows, request: Request) -> FlowRequest:
    params = normalise_params(call.params)
    page = next(
        (value for value in (params.get("page"), params.get("uri"), call.uri) if _is_text(value)),
        "",
    )
    return FlowRequest(
        friendly_id=_friendly_id(call),
        **_addressee(call),
        channel=_channel(call.channel),
        language=_language(call.language),
        currency=_currency(call.currencyCode),
        point_of_sale=call.pointOfSale or "",
        site_id=request.query_params.get("siteId", ""),
        page=str(page)[:4096],
        referrer=_referrer(params, request),
        user_agent=request.headers.get("User-Agent", ""),
        # Only a page's own call comes from where the visitor is.
        place=places.told(request, by_visitor="Origin" in request.headers),
        params=params,
        variants=frozenset(call.variants or ()),
    )


def _friendly_id(call: CallFlows) -> str:
    if call.friendlyId and call.friendlyID and call.friendlyId != call.friendlyID:
        raise ApiError(400, "friendly_id_ambiguous", "friendlyId and friendlyID differ.")
    friendly_id = call.friendlyId or call.friendlyID
    if not friendly_id:
        raise ApiError(400, "friendly_id_missing", "friendlyId is missing: which flow to run.")
    return friendly_id


def _addressee(call: CallFlows) -> dict[str, Any]:
    given = {
        "browserId": call.browserId or None,
        "email": call.email or None,
        "identifiers": call.identifiers,
    }
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        found = " and ".join(named) if named else "none"
        raise ApiError(
            400,
            "addressee_invalid",
            f"Name the guest by exactly one of browserId, email and identifiers; given: {found}.",
        )
    if call.browserId:
        return {"browser_id": _browser_id(call.browserId)}
    if call.email:
        if "@" not in call.email or len(call.email) > 320:
            raise ApiError(400, "email_invalid", "email is not an e-mail address.")
        return {"email": call.email}
    assert call.identifiers is not None
    provider, value = call.identifiers.provider.strip(), str(call.identifiers.id).strip()
    if not provider or not value:
        raise ApiError(400, "identifiers_invalid", "identifiers need a provider and an id.")
    return {"identifier": (provider, value)}


def _browser_id(given: str) -> str:
    try:
        return str(uuid.UUID(given))
    except ValueError:
        # No UUID names no browser; it is looked up in vain like any unknown one.
        return given


def _channel(given: str | None) -> str:
    channel = (given or "WEB").strip().upper()
    if not _CHANNEL.fullmatch(channel):
        raise ApiError(400, "channel_invalid", "channel is not a channel code such as WEB.")
    return channel


def _language(given: str | None) -> str:
    code = language_code(given)
    if code is None:
        raise ApiError(400, "language_invalid", "language is a code such as EN, or en-IE.")
    return code


def _currency(given: str | None) -> str:
    code = (given or "").strip().upper()
    if code and not (len(code) == 3 and code.isascii() and code.isalpha()):
        raise ApiError(400, "currencyCode_invalid", "currencyCode is a code of 3 letters.")
    return code


def _referrer(params: dict[str, Any], request: Request) -> str:
    given = params.get("referrer")
    return str(given if _is_text(given) else request.headers.get("Referer", ""))[:4096]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


@documented(
    "Flow execution",
    parameters=[
        Parameter(
            name="sitecoreContextId",
            description="The client's public key; the header x-sitecore-contextid may have it.",
            example=examples.CLIENT_KEY,
        ),
    ],
    retrieve=Operation(
        id="webLibraryUrl",
        answer=str,
        errors=(400, 404),
        description='The address as plain text, for PERSONALIZE["WEB_LIBRARY_URL"] set to one; '
        "a 404 tells SDKs to go on without web personalization.",
    ),
)
class WebLibraryViewSet(DoorViewSet):
    """The script that the Cloud and Content SDKs load into pages for web personalization."""

    def retrieve(self, request: Request) -> HttpResponse:
        """Name the script that pages load for web personalization."""
        self.enter(request, public_client(request))
        address = conf.settings().WEB_LIBRARY_URL
        if not address:
            raise ApiError(404, "web_personalization_off", "Web personalization is off.")
        return HttpResponse(address, content_type="text/plain; charset=utf-8")


_call = CallFlowsViewSet.as_view({"post": "create", "get": "create_by_get"})
_web_library = WebLibraryViewSet.as_view({"get": "retrieve"})

urlpatterns = [
    *door(
        "v2/callFlows",
        _call,
        name="call-flows",
        # As the Cloud and Content SDKs call it.
        also=("v1/personalize", "personalize/v2/callFlows"),
    ),
    *door("v1/personalize/cdn-url", _web_library, name="web-library-url"),
]
