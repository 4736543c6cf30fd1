"""
The Stream API's event object, as raw HTTP clients and the Engage SDK send it.

The Stream door judges an event with `judge`; the walk reads the stored body
with `parse`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from tracking import conf, uuid7
from tracking.types import BOT, RETURNS, Entry, Message, Refused, StatedIdentifier
from tracking.wire import common, text

DIALECT = "sitecore"

#: Names in an IDENTITY event -> profile fields of a guest.
_TRAITS = {
    "email": "email",
    "title": "title",
    "firstname": "first_name",
    "lastname": "last_name",
    "gender": "gender",
    "dob": "date_of_birth",
    "mobile": "phone",
    "phone": "phone",
    "street": "street",
    "city": "city",
    "state": "state",
    "postal_code": "postal_code",
    "country": "country",
    "nationality": "nationality",
}


class IdentifierBody(msgspec.Struct, kw_only=True):
    """One identifier of a guest: whose numbering, and the number."""

    provider: Annotated[str, Meta(examples=["EMAIL"])]
    id: Annotated[str | int, Meta(examples=["ada@example.com"])]
    expiry_date: Annotated[str | None, Meta(description="An ISO 8601 time.")] = None
    expiryDate: Annotated[str | None, Meta(description="The same, as servers write it.")] = None


class EventBody(msgspec.Struct, kw_only=True):
    """
    An event. Keys beside these are kept and read back with it.

    Only `type` is needed; `browser_id` comes from browser create.
    """

    type: Annotated[
        str,
        Meta(
            description="VIEW, IDENTITY, SEARCH, CLICK, FORM, ADD, CONFIRM, CHECKOUT, CLEAR_CART, "
            "FORCE_CLOSE, or a type of your own. TRACKING is the server's alone.",
            examples=["VIEW"],
        ),
    ]
    browser_id: Annotated[str | None, Meta(description="From browser create.")] = None
    client_key: Annotated[
        str | None, Meta(description="Who sends; may stand in the query instead.")
    ] = None
    channel: Annotated[
        str | None, Meta(description="A channel code; WEB unless given.", examples=["WEB"])
    ] = None
    pos: Annotated[
        str | None,
        Meta(
            description="The point of sale, by its name. An unknown one takes the client's "
            "default, with a warning.",
            examples=["myretailsite/ireland"],
        ),
    ] = None
    language: Annotated[str | None, Meta(description="ISO 639-1.", examples=["EN"])] = None
    currency: Annotated[str | None, Meta(description="ISO 4217.", examples=["EUR"])] = None
    page: Annotated[
        str | None, Meta(description="Path, name or address.", examples=["/shoes/running"])
    ] = None
    requested_at: Annotated[
        str | None,
        Meta(
            description="When it was sent. It counts for when it happened where the request has "
            "an Idempotency-Key, that is from a client that may send it late; else the time of "
            "receipt does.",
        ),
    ] = None
    ext: Annotated[
        dict[str, Any] | None,
        Meta(
            description="Attributes of your own, 50 at most. Those of an IDENTITY event become "
            "the guest's.",
        ),
    ] = None
    identifiers: Annotated[
        list[IdentifierBody] | None,
        Meta(description="Who it is. Those of an identity rule's provider join guests."),
    ] = None
    email: str | None = None
    referrer: str | None = None


B = TypeVar("B", bound=EventBody)


def judge(payload: Any) -> EventBody:
    """Check one event's payload. Raises common.Rejected in the caller's terms."""
    if not isinstance(payload, dict):
        raise common.Rejected("not_an_object", "An event is a JSON object.")
    return check(converted(payload, EventBody))


def converted(payload: Mapping[str, Any], kind: type[B]) -> B:
    """Read a payload's known keys. Raises common.Rejected."""
    try:
        return msgspec.convert(payload, kind)
    except msgspec.ValidationError as error:
        raise common.Rejected("invalid_event", f"The event is not valid: {error}.") from None


def check(body: B) -> B:
    """Check an event's parts against the rules and limits. Raises common.Rejected."""
    body.type = common.event_type(body.type)
    common.channel(body.channel)
    common.extension(body.ext)
    stated(body.identifiers)
    return body


def parse(entry: Entry) -> Iterator[Message | Refused]:
    """Read the one event of a Stream API request."""
    ref = uuid7.child(entry.origin, entry.first_index)
    try:
        cleaned = text.clean_unless_plain(entry.body)
        body = judge(cleaned.value)
    except (common.Rejected, text.Unstorable) as error:
        yield Refused(
            entry=entry, index=entry.first_index, code=error.code, reason=str(error), raw=entry.body
        )
        return
    except text.Unreadable as error:
        yield Refused(
            entry=entry,
            index=entry.first_index,
            code="unreadable",
            reason=str(error),
            raw=entry.body,
        )
        return
    payload = cleaned.value
    payload.pop("client_key", None)
    warnings = list(cleaned.warnings)
    yield message(
        entry,
        payload,
        body,
        index=entry.first_index,
        raw=entry.body,
        message_id=entry.headers.get("idempotency-key") or str(ref),
        occurred_at=_occurred(entry, body, warnings),
        warnings=warnings,
        births=RETURNS in entry.headers,
    )


def _occurred(entry: Entry, body: EventBody, warnings: list[str]) -> datetime:
    """
    Return when it happened: when it was received, as far as browsers are concerned.

    They send at once, and many of their clocks are wrong. A client that names
    its messages keeps and resends them, so that its `requested_at` tells more.
    """
    if "idempotency-key" not in entry.headers:
        return entry.received_at
    try:
        stated = common.moment(body.requested_at, "requested_at")
    except common.Rejected as error:
        warnings.append(f"{error} The time of receipt is used.")
        return entry.received_at
    return common.occurred(stated, entry.received_at, warnings)


def message(
    entry: Entry,
    payload: Mapping[str, Any],
    body: EventBody,
    *,
    index: int,
    raw: bytes,
    message_id: str,
    occurred_at: datetime,
    warnings: list[str],
    births: bool,
) -> Message:
    """Build the inner message of a judged event."""
    identifiers = stated(body.identifiers)
    if identifiers and not any(item.key.provider in entry.client.rules for item in identifiers):
        providers = ", ".join(sorted({item.key.provider for item in identifiers}))
        rules = ", ".join(entry.client.rules) or "none"
        warnings.append(
            f"No identity rule names the provider {providers} (rules: {rules}); nothing was joined."
        )
    is_identity = body.type == common.IDENTITY_TYPE
    speaker = common.speaker(body.browser_id, common.channel(body.channel))
    is_bot = speaker is not None and speaker.provider == BOT
    return Message(
        ref=uuid7.child(entry.origin, index),
        message_id=message_id,
        client_id=entry.client.id,
        entry=entry,
        index=index,
        raw=raw,
        dialect=entry.dialect,
        type=body.type,
        occurred_at=occurred_at,
        received_at=entry.received_at,
        speaker=speaker,
        births=births or is_bot,
        identifiers=() if is_bot else identifiers,
        traits=traits(payload) if is_identity else {},
        attributes=dict(body.ext or {}) if is_identity else {},
        channel=common.channel(body.channel),
        point_of_sale=common.point_of_sale(entry, body.pos or "", warnings),
        language=common.language(body.language, warnings),
        currency=common.currency(body.currency, warnings),
        page=common.cut(body.page, conf.settings().MAX_URL_LENGTH),
        referrer=common.cut(body.referrer, conf.settings().MAX_URL_LENGTH),
        user_agent=common.cut(entry.headers.get("user-agent", ""), 1024),
        utm=common.utm(payload),
        place=common.place(entry),
        data=payload,
        closes_session=body.type == common.FORCE_CLOSE_TYPE,
        warnings=tuple(warnings),
    )


def stated(bodies: list[IdentifierBody] | None) -> tuple[StatedIdentifier, ...]:
    """Check the identifiers that an event states, in their order. Raises common.Rejected."""
    limit = conf.settings().MAX_IDENTIFIERS
    if len(bodies or []) > limit:
        raise common.Rejected("too_many_identifiers", f"identifiers has more than {limit} entries.")
    return tuple(
        common.identifier(
            provider=item.provider,
            value=str(item.id),
            expires_at=common.moment(item.expiry_date or item.expiryDate, "expiry_date"),
        )
        for item in bodies or []
    )


def traits(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the profile fields of an identity event; of two names for one, the first given wins."""
    found: dict[str, Any] = {}
    for name, field in _TRAITS.items():
        value = payload.get(name)
        if field == "street":
            lines = value if isinstance(value, list) else [value]
            value = [line for line in lines if isinstance(line, str) and line]
        elif not isinstance(value, str):
            value = None
        if value:
            found.setdefault(field, value)
    return found
