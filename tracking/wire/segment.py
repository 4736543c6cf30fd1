"""
Track, identify, page, screen, group and alias calls, as the Segment family of clients sends them.

Customer.io's, Segment's and RudderStack's SDKs speak it. The door reads a
request with `open_envelope`, and words its answer from what is `refused`; the
walk reads the stored body with `parse`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from tracking import conf, places, uuid7
from tracking.types import (
    BROWSER,
    UNNAMED,
    USER_ID,
    Entry,
    IdentifierKey,
    Message,
    Policy,
    Refused,
    StatedIdentifier,
)
from tracking.wire import common, text
from tracking.wire.common import id_text

DIALECT = "segment"

CallType: TypeAlias = Literal["track", "identify", "page", "screen", "group", "alias"]
CALLS: Final = ("track", "identify", "page", "screen", "group", "alias")

#: What a call is called once it is an event; a track call has the name of its own.
_TYPES: Final = {
    "identify": common.IDENTITY_TYPE,
    "page": common.VIEW_TYPE,
    "screen": common.VIEW_TYPE,
    "group": "GROUP",
    "alias": "ALIAS",
}
#: Where a call has its own attributes.
_ATTRIBUTES: Final = {"identify": "traits", "group": "traits", "alias": "traits"}
#: Track calls that are about a thing or a letter, so that they may name nobody.
_IMPERSONAL: Final = frozenset({"Object Deleted", "Report Delivery Event", "Report Content Event"})

#: Names of traits, in the two spellings that are documented -> profile fields.
_TRAITS: Final = {
    "email": "email",
    "title": "title",
    "firstName": "first_name",
    "first_name": "first_name",
    "lastName": "last_name",
    "last_name": "last_name",
    "gender": "gender",
    "birthday": "date_of_birth",
    "phone": "phone",
}
_ADDRESS: Final = {
    "street": "street",
    "city": "city",
    "state": "state",
    "postalCode": "postal_code",
    "postal_code": "postal_code",
    "country": "country",
}
_MOBILE_LIBRARIES: Final = re.compile(r"kotlin|swift|android|ios|react-native|flutter", re.I)
#: Ids that programs send when they have none. What carries one is kept, and joins nobody.
_UNNAMED: Final = re.compile(
    r"""["']? (?: [0-]* | -1 | null | none | nil | nan | undefined | true | false
    | anonymous | anonymousid | anonymous_id | guest | distinctid | distinct_id
    | id | userid | user_id | not_authenticated | email | \[object\ object\] ) ["']?""",
    re.I | re.X,
)


class CallBody(msgspec.Struct, kw_only=True):
    """
    A call. Keys beside these are kept and read back with it.

    Every call but `group` names somebody, by userId, anonymousId or both.
    """

    type: Annotated[
        CallType | None,
        Meta(description="Which call it is; where the path says, it may be left out."),
    ] = None
    userId: Annotated[
        str | int | float | None,
        Meta(description="The id by which your site knows its user.", examples=["u-7"]),
    ] = None
    anonymousId: Annotated[
        str | int | float | None,
        Meta(
            description="Of the device. It is a browser id: a flow that is called with it runs "
            "for the same guest, in the same visit.",
            examples=["23adfd82-aa0f-45a7-a756-24f2a7a4c895"],
        ),
    ] = None
    event: Annotated[
        str | None, Meta(description="track: what happened.", examples=["Course Started"])
    ] = None
    properties: Annotated[
        dict[str, Any] | None, Meta(description="track, page, screen: anything of your own.")
    ] = None
    traits: Annotated[
        dict[str, Any] | None,
        Meta(description="identify, group: what is so now. A trait that is null is removed."),
    ] = None
    name: Annotated[str | None, Meta(description="page, screen: which one.")] = None
    category: str | None = None
    groupId: Annotated[str | int | float | None, Meta(description="group: which one.")] = None
    previousId: Annotated[
        str | int | float | None,
        Meta(description="alias: the id that folds into userId, of a device or a user."),
    ] = None
    messageId: Annotated[
        str | int | None,
        Meta(description="Yours, up to 100 characters: sent again under it, a call counts once."),
    ] = None
    timestamp: Annotated[
        str | int | float | None,
        Meta(description="When it happened, by the sender's clock. ISO 8601."),
    ] = None
    originalTimestamp: Annotated[
        str | int | float | None, Meta(description="The same; it goes first.")
    ] = None
    sentAt: Annotated[
        str | int | float | None,
        Meta(description="When it was sent, by the same clock: how wrong that is shows by it."),
    ] = None
    context: Annotated[
        dict[str, Any] | None, Meta(description="Page, campaign, library, locale, device.")
    ] = None
    integrations: Annotated[
        dict[str, Any] | None, Meta(description="Kept and read back; it filters no storing.")
    ] = None
    writeKey: Annotated[
        str | None, Meta(description="The client's public key, where no header has it.")
    ] = None


class CallsBody(msgspec.Struct, kw_only=True):
    """
    Several calls.

    `context` and `integrations` are each call's, where it says nothing else;
    `sentAt` is. The batch's own `messageId` names none of them.
    """

    batch: list[CallBody]
    context: dict[str, Any] | None = None
    integrations: dict[str, Any] | None = None
    sentAt: str | None = None
    messageId: str | None = None
    writeKey: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One call of a request: readable and judged, or refused with a reason."""

    index: int
    raw: bytes
    payload: Mapping[str, Any] = field(default_factory=dict)
    body: CallBody | None = None
    code: str = ""
    reason: str = ""
    message_id: str = ""
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """A request taken apart: its calls, still bytes, and what it says for all of them."""

    calls: Sequence[bytes]
    shared: Mapping[str, Any]
    write_key: str | None


class BadEnvelope(ValueError):
    """The request as a whole cannot be taken; the text says why."""


def open_envelope(raw: bytes) -> Envelope:
    """
    Take a request apart: one call, or `{"batch": [...]}`.

    Raises BadEnvelope when it is neither.
    """
    fields = _fields(raw)
    write_key = _text(fields.get("writeKey"))
    if "batch" not in fields:
        return Envelope([raw], {}, write_key)
    calls = _calls(fields["batch"])
    if write_key is None and calls:
        write_key = _write_key_of(calls[0])
    return Envelope(calls, _shared(fields, len(calls)), write_key)


def refused(envelope: Envelope, *, call: str = "") -> list[Item]:
    """
    Return the calls that cannot be taken: all that a door needs to word its answer.

    One that is good at first sight is not looked at again: `parse` reads the
    same of it.
    """
    limits = conf.settings()
    first = envelope.calls[: limits.MAX_BATCH_EVENTS]
    doubtful = [
        index
        for index, raw in enumerate(first)
        if len(raw) > limits.MAX_EVENT_BYTES or not _is_plainly_good(raw, call)
    ]
    doubtful += range(len(first), len(envelope.calls))
    items = [_item(index, envelope.calls[index], call) for index in doubtful]
    return [item for item in items if item.body is None]


def parse(entry: Entry) -> Iterator[Message | Refused]:
    """Read the stored body of a request; a replayed call stands alone, and is read the same."""
    try:
        envelope = open_envelope(entry.body)
    except BadEnvelope:
        # A replayed call that is not even an object.
        envelope = Envelope([entry.body], {}, None)
    shared = envelope.shared or _loads(entry.headers.get("shared", "").encode())
    call = entry.headers.get("call", "")
    for number, raw in enumerate(envelope.calls):
        item = _item(number, raw, call)
        index = entry.first_index + number
        try:
            if item.body is None:
                raise common.Rejected(item.code, item.reason)
            yield _message(entry, index, item, item.body, shared)
        except common.Rejected as error:
            yield Refused(
                entry=entry,
                index=index,
                code=error.code,
                reason=str(error),
                raw=item.raw,
                type=_type_of(item),
            )


# --- reading a request -----------------------------------------------------------------


def _fields(raw: bytes) -> Mapping[str, bytes]:
    """Read the names of a body and leave their values as they are. Raises BadEnvelope."""
    try:
        # What is left as it is would not be looked at before the walk.
        raw.decode()
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        envelope = _read(raw)
    if not isinstance(envelope, dict):
        raise BadEnvelope('The body is one call, or {"batch": [...]}.')
    return {name: text.rewrite(value) for name, value in envelope.items()}


def _calls(raw: bytes) -> list[bytes]:
    """Take a batch apart. Where an odd value is in it, each call is written again."""
    try:
        return [bytes(call) for call in msgspec.json.decode(raw, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, RecursionError):
        batch = _read(bytes(raw))
    if not isinstance(batch, list):
        raise BadEnvelope("batch is not a list of calls.")
    return [text.rewrite(call) for call in batch]


def _read(raw: bytes) -> Any:
    try:
        return text.read(raw)
    except text.Unreadable as error:
        raise BadEnvelope(str(error)) from None


def _text(raw: bytes | None) -> str | None:
    value = _loads(raw)
    return value if isinstance(value, str) else None


def _loads(raw: bytes | None) -> Any:
    try:
        return text.read(bytes(raw)) if raw else {}
    except text.Unreadable:
        return {}


def _write_key_of(call: bytes) -> str | None:
    value = _loads(call)
    key = value.get("writeKey") if isinstance(value, dict) else None
    return key if isinstance(key, str) else None


def _shared(fields: Mapping[str, bytes], calls: int) -> dict[str, Any]:
    """
    Read what a batch says for each of its calls. Raises BadEnvelope.

    It is stored with every one of them: it may be as large as one, and no
    larger, written out, than a batch may be.
    """
    given = {name: fields[name] for name in ("context", "integrations", "sentAt") if name in fields}
    limits = conf.settings()
    most = min(limits.MAX_EVENT_BYTES, limits.MAX_TRUSTED_BATCH_BYTES // max(calls, 1))
    if sum(len(value) for value in given.values()) > most:
        raise BadEnvelope(f"What the batch says for all calls is larger than {most} bytes.")
    try:
        found = text.clean({name: _loads(value) for name, value in given.items()}).value
    except text.Unstorable as error:
        raise BadEnvelope(f"What the batch says for all calls cannot be stored: {error}") from None
    return {
        name: value
        for name, value in found.items()
        if value and isinstance(value, str if name == "sentAt" else dict)
    }


def _is_plainly_good(raw: bytes, call: str) -> bool:
    if not text.is_plain(raw):
        return False
    try:
        _check(msgspec.json.decode(raw, type=CallBody), call)
    except (common.Rejected, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _item(index: int, raw: bytes, call: str) -> Item:
    limits = conf.settings()
    message_id = ""
    try:
        if index >= limits.MAX_BATCH_EVENTS:
            most = limits.MAX_BATCH_EVENTS
            raise common.Rejected("too_many_calls", f"A batch has {most} calls at most.")
        if len(raw) > limits.MAX_EVENT_BYTES:
            most = limits.MAX_EVENT_BYTES
            raise common.Rejected("call_too_large", f"The call is larger than {most} bytes.")
        cleaned = text.clean_unless_plain(raw)
        payload = cleaned.value
        if not isinstance(payload, dict):
            raise common.Rejected("not_an_object", "A call is a JSON object.")
        message_id = id_text(payload.get("messageId"))
        body = _check(_converted(payload), call)
    except (common.Rejected, text.Unstorable) as error:
        return Item(index, raw, code=error.code, reason=str(error), message_id=message_id[:100])
    except text.Unreadable as error:
        return Item(index, raw, code="unreadable", reason=str(error))
    return Item(index, raw, payload, body, message_id=message_id, warnings=tuple(cleaned.warnings))


def _converted(payload: Mapping[str, Any]) -> CallBody:
    try:
        return msgspec.convert(payload, CallBody)
    except msgspec.ValidationError as error:
        raise common.Rejected("invalid_call", f"The call is not valid: {error}.") from None


def _check(body: CallBody, call: str) -> CallBody:
    """Check a call's parts, and give it the type that its path says. Raises common.Rejected."""
    body.type = body.type or call or None  # type: ignore[assignment]
    if body.type is None:
        kinds = ", ".join(CALLS)
        raise common.Rejected("type_missing", f"type is missing: one of {kinds}.")
    limits = conf.settings()
    most = limits.MAX_MESSAGE_ID_LENGTH
    if body.messageId is not None and len(id_text(body.messageId)) > most:
        raise common.Rejected("message_id_invalid", f"messageId has at most {most} characters.")
    most = limits.MAX_IDENTIFIER_LENGTH
    for value in (body.userId, body.anonymousId, body.groupId, body.previousId):
        if value is not None and len(id_text(value)) > most:
            raise common.Rejected("id_too_long", f"An id has at most {most} characters.")
    if body.traits and len(body.traits) > limits.MAX_TRAITS:
        most = limits.MAX_TRAITS
        raise common.Rejected("too_many_keys", f"A call has at most {most} traits.")
    _check_parts(body)
    return body


def _check_parts(body: CallBody) -> None:
    """Check that the call has what its kind needs. Raises common.Rejected."""
    if body.type == "track":
        if not (body.event or "").strip():
            raise common.Rejected("event_missing", "event is missing: say what happened.")
        common.event_type(body.event or "")
    if body.type == "group" and not id_text(body.groupId):
        raise common.Rejected("group_id_missing", "groupId is missing: which group.")
    if body.type == "alias" and not (id_text(body.userId) and id_text(body.previousId)):
        raise common.Rejected("alias_incomplete", "alias needs userId and previousId.")
    is_named = id_text(body.userId) or id_text(body.anonymousId)
    if not is_named and body.type != "group" and body.event not in _IMPERSONAL:
        raise common.Rejected("nobody", "The call names nobody: give userId or anonymousId.")


def _type_of(item: Item) -> str:
    return _event_type(item.body) if item.body else ""


def _event_type(body: CallBody) -> str:
    return (body.event or "").strip() if body.type == "track" else _TYPES[body.type or ""]


# --- building the inner message --------------------------------------------------------


def _message(
    entry: Entry, index: int, item: Item, body: CallBody, shared: Mapping[str, Any]
) -> Message:
    warnings = list(item.warnings)
    original = _original(item.payload, body, shared)
    context = original.get("context") or {}
    ref = uuid7.child(entry.origin, index)
    user, device = id_text(body.userId), id_text(body.anonymousId)
    speaker = _speaker(device, user, warnings)
    identifiers, policy = _stated(body, user, warnings)
    attributes = original.get(_ATTRIBUTES.get(body.type or "", "properties")) or {}
    page = _page(context, attributes)
    type = _event_type(body)
    referrer = common.cut(page.get("referrer"), conf.settings().MAX_URL_LENGTH)
    utm = _utm(context)
    data = {
        "type": type,
        **_named(body),
        **({"page": page["path"]} if page.get("path") else {}),
        **({"referrer": referrer} if referrer else {}),
        **{f"utm_{name}": value for name, value in utm.items()},
        **attributes,
    }
    traits, own = profile_of(original)
    if speaker is not None and speaker.provider == UNNAMED:
        # Of many people's: they would be one person's with all their traits.
        traits, own = {}, {}
    return Message(
        ref=ref,
        message_id=item.message_id or str(ref),
        client_id=entry.client.id,
        entry=entry,
        index=index,
        raw=item.raw,
        dialect=entry.dialect,
        type=type,
        occurred_at=_occurred(original, entry.received_at, warnings),
        received_at=entry.received_at,
        speaker=speaker,
        births=True,
        identifiers=identifiers,
        policy=policy,
        is_impersonal=speaker is None and not identifiers,
        traits=traits,
        attributes=own,
        channel=_channel(context, original, warnings),
        point_of_sale=common.point_of_sale(entry, _plain(context.get("pointOfSale")), warnings),
        language=common.language(_plain(context.get("locale")), warnings),
        currency=common.currency(_plain(attributes.get("currency")), warnings),
        page=common.cut(page.get("path") or page.get("name"), conf.settings().MAX_URL_LENGTH),
        referrer=referrer,
        user_agent=common.cut(
            context.get("userAgent") or entry.headers.get("user-agent", ""), 1024
        ),
        utm=utm,
        place=places.cut(_object(context.get("location"))) or common.place(entry),
        data=data,
        original=original,
        warnings=tuple(warnings),
    )


def _original(
    payload: Mapping[str, Any], body: CallBody, shared: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the call as it was sent, with what its batch says for it, and without the key."""
    original = {name: value for name, value in payload.items() if name != "writeKey"}
    original["type"] = body.type
    for name in ("context", "integrations"):
        if name in shared:
            original[name] = {**shared[name], **(original.get(name) or {})}
    if not original.get("sentAt") and "sentAt" in shared:
        original["sentAt"] = shared["sentAt"]
    return original


def _speaker(device: str, user: str, warnings: list[str]) -> IdentifierKey | None:
    """Return the device that speaks. An id that names nobody stands for no device in particular."""
    if device and not _UNNAMED.fullmatch(device):
        return IdentifierKey(BROWSER, common.browser_id(device))
    if device:
        warnings.append(f"The anonymousId “{device[:40]}” names nobody; nothing was joined by it.")
    if user and not _UNNAMED.fullmatch(user):
        return None
    unnamed = device or user
    return IdentifierKey(UNNAMED, unnamed.lower()) if unnamed else None


def _stated(
    body: CallBody, user: str, warnings: list[str]
) -> tuple[tuple[StatedIdentifier, ...], Policy]:
    """Return what the call says about who is who."""
    if not user:
        return (), Policy.SEGMENT
    if _UNNAMED.fullmatch(user):
        warnings.append(f"The userId “{user[:40]}” names nobody; nothing was joined by it.")
        return (), Policy.SEGMENT
    kept = IdentifierKey(USER_ID, user)
    previous = id_text(body.previousId) if body.type == "alias" else ""
    if not previous or previous == user:
        return (StatedIdentifier(kept),), Policy.SEGMENT
    if _UNNAMED.fullmatch(previous):
        warnings.append(f"The previousId “{previous[:40]}” names nobody; nothing was joined by it.")
        return (StatedIdentifier(kept),), Policy.SEGMENT
    device = IdentifierKey(BROWSER, common.browser_id(previous))
    folded = (kept, device, IdentifierKey(USER_ID, previous))
    return tuple(StatedIdentifier(key) for key in folded), Policy.ALIAS


def _occurred(original: Mapping[str, Any], received_at: datetime, warnings: list[str]) -> datetime:
    """
    Return when it happened by the server's clock: receivedAt - (sentAt - originalTimestamp).

    Without sentAt nothing is known of the sender's clock, and it is believed.
    """
    name = "originalTimestamp" if original.get("originalTimestamp") else "timestamp"
    stated = _moment(original, name, "The time of receipt is used.", warnings)
    if stated is None:
        return received_at
    sent_at = _moment(original, "sentAt", "The event's time is not corrected by it.", warnings)
    if sent_at is not None:
        try:
            stated = received_at - (sent_at - stated)
        except OverflowError:
            warnings.append("The event's time cannot be told; the time of receipt is used.")
            return received_at
    return common.occurred(stated, received_at, warnings)


def _moment(
    original: Mapping[str, Any], name: str, otherwise: str, warnings: list[str]
) -> datetime | None:
    value = original.get(name)
    if value is None or value == "":
        return None
    try:
        return common.moment(value if isinstance(value, str) else repr(value), name)
    except common.Rejected as error:
        warnings.append(f"{error} {otherwise}")
        return None


def _named(body: CallBody) -> dict[str, Any]:
    found = {
        "name": body.name,
        "category": body.category,
        "groupId": id_text(body.groupId),
        "previousId": id_text(body.previousId),
    }
    return {name: value for name, value in found.items() if value}


def _page(context: Mapping[str, Any], attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    page = context.get("page")
    page = page if isinstance(page, dict) else {}
    names = ("path", "url", "referrer", "title", "name")
    return {
        name: value
        for name in names
        if isinstance(value := attributes.get(name) or page.get(name), str) and value
    }


def _utm(context: Mapping[str, Any]) -> dict[str, str]:
    campaign = context.get("campaign")
    campaign = campaign if isinstance(campaign, dict) else {}
    return {
        "campaign" if name == "name" else name: value[:500]
        for name, value in campaign.items()
        if isinstance(value, str) and value
    }


def _channel(context: Mapping[str, Any], original: Mapping[str, Any], warnings: list[str]) -> str:
    """Return the channel's code: as given, or told by the device; else the visit's own."""
    given = _plain(original.get("channel")) or _plain(context.get("channel"))
    if given and given not in ("server", "browser", "mobile"):
        try:
            return common.channel(given)
        except common.Rejected as error:
            warnings.append(str(error))
            return ""
    library = context.get("library")
    name = _plain(library.get("name")) if isinstance(library, dict) else ""
    is_mobile = given == "mobile" or bool(_MOBILE_LIBRARIES.search(name))
    return "MOBILE_APP" if is_mobile else ""


def profile_of(call: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split the traits of an identify call into profile fields and attributes of its own."""
    if call.get("type") != "identify":
        return {}, {}
    below = _object(_object(call.get("context")).get("traits"))
    stated = {**below, **_object(call.get("traits"))}
    profile: dict[str, Any] = {}
    own: dict[str, Any] = {}
    address = stated.get("address", {})
    if address is None:
        # Removed, and with it every part of it that has a field of its own.
        address = dict.fromkeys(_ADDRESS)
    for name, value in _object(address).items():
        if name in _ADDRESS:
            _put(profile, _ADDRESS[name], value)
    for name, value in stated.items():
        if name in _TRAITS:
            _put(profile, _TRAITS[name], value)
        else:
            own[name] = value
    return profile, own


def _put(profile: dict[str, Any], field: str, value: object) -> None:
    if field == "street":
        profile[field] = [value] if isinstance(value, str) and value else []
    elif isinstance(value, str | int | float) or value is None:
        profile[field] = "" if value is None else str(value)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _plain(value: object) -> str:
    return value if isinstance(value, str) else ""
