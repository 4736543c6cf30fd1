"""
Ibexa's tracking addresses: one event, told by the segments and the query of a URL.

The door reads an address with `read`, which hashes the users in it, and stores
the `Call` that comes of it; the walk reads that with `parse`. So no user id of
an address is ever kept in clear.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote
from zoneinfo import ZoneInfo

import msgspec

from tracking import conf, keyed, money, uuid7
from tracking.types import (
    IBEXA,
    ClientConfig,
    Entry,
    IdentifierKey,
    Message,
    Policy,
    Refused,
    StatedIdentifier,
)
from tracking.wire import common, text

DIALECT: Final = "ibexa"
#: First segments of an address: of now, and of older clients' shops and publishers.
SOLUTIONS: Final = ("api", "ebl", "news")
#: Parameters that make an event another time's.
OVERRIDE, SIGNATURE = "overridetimestamp", "signature"

_LARGEST_ID: Final = 2**31 - 1
_LARGEST_QUANTITY: Final = 1_000_000
_MOST_ITEMS: Final = 100
# What is shorter stands in any text by chance.
_SHORTEST_HIDDEN: Final = 4
_LOCAL_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?")
_BACKSLASH: Final = re.compile(r"\\|%5c", re.IGNORECASE)
# What `encodeURIComponent` leaves alone, and RFC 3986 does not.
_JS_SAFE: Final = "!'()*"


@dataclass(frozen=True, slots=True)
class Kind:
    """An event code: the type it is recorded as, and what its address must have."""

    type: str
    #: What follows the customer: user, type and item; the user alone; or two users.
    form: str = "item"
    requires: str = ""


#: Event codes, in the order of the documentation; the last four are older names.
KINDS: Final[Mapping[str, Kind]] = {
    "click": Kind("CLICK"),
    "consume": Kind("CONSUME"),
    "buy": Kind("BUY"),
    "login": Kind("LOGIN", form="users"),
    "basket": Kind("BASKET"),
    "deletefrombasket": Kind("DELETEFROMBASKET"),
    "wishlist": Kind("WISHLIST"),
    "deletefromwishlist": Kind("DELETEFROMWISHLIST"),
    "rate": Kind("RATE"),
    "blacklist": Kind("BLACKLIST"),
    "rendered": Kind("RENDERED", form="items"),
    "clickrecommended": Kind("CLICKRECOMMENDED", requires="scenario"),
    "triggeropened": Kind("TRIGGEROPENED", form="user", requires="triggername"),
    "clicktriggered": Kind("CLICKTRIGGERED", requires="triggername"),
    "owns": Kind("OWNS"),
    "transfer": Kind("LOGIN", form="users"),
    "follow": Kind("CLICKRECOMMENDED", requires="scenario"),
    "render": Kind("RENDERED", form="items"),
}
_CATEGORY: Final = "categorypath"
_KNOWN: Final = frozenset(
    {
        _CATEGORY, "percentage", "quantity", "fullprice", "price", "rating", "scenario",
        "triggername", "modelid", "requestuuid", "currency", OVERRIDE, SIGNATURE,
    }
)  # fmt: skip


class Call(msgspec.Struct, omit_defaults=True):
    """
    An event as it is stored: `user` and `target` are keyed hashes, empty for nobody.

    `items` has an id for each event that the address tells, `data` the query's
    parameters, typed as far as the protocol types them.
    """

    type: str
    user: str = ""
    target: str = ""
    item_type: int = 0
    items: list[str] = []
    occurred_at: str = ""
    data: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Reading:
    """What an address tells, and the users that it names in clear: these go no further."""

    call: Call
    users: tuple[str, ...]

    def hide(self, text: str, client: ClientConfig) -> str:
        """Put the kept names of the users in the place of their ids, wherever those stand."""
        for user in self.users:
            if text == user or (len(user) >= _SHORTEST_HIDDEN and user in text):
                text = text.replace(user, keyed.user(client.ref, user))
        return text


@dataclass(frozen=True, slots=True)
class Address:
    """
    An event's address, taken apart: segments as they were sent, escapes and all.

    `is_escaped` is false where the web server has undone the escapes, so that
    a slash inside an id looks like one between two.
    """

    event: str
    segments: Sequence[str]
    query: str
    is_escaped: bool = True


def read(
    address: Address,
    client: ClientConfig,
    *,
    license_keys: Callable[[], Sequence[str]],
) -> Reading | None:
    """
    Judge an address. None where it is one that clients send by mistake, and that tells nothing.

    Raises common.Rejected: `event_unknown`, `signature_invalid`, or what else
    is wrong with it.
    """
    kind = KINDS.get(address.event)
    if kind is None:
        raise common.Rejected(
            "event_unknown", f"There is no event “{address.event[:40]}”. There are: "
            f"{', '.join(KINDS)}."
        )  # fmt: skip
    if _BACKSLASH.search(address.query) or any(map(_BACKSLASH.search, address.segments)):
        raise common.Rejected("backslash", "An address may have no backslash, escaped or not.")
    segments = [*address.segments]
    if len(segments) > 1 and not segments[-1]:
        # One slash at the end is sent by some clients, whatever the event.
        segments.pop()
    parameters = _parameters(address.query)
    if kind.form == "users":
        users = _two_users(segments, address.is_escaped)
        call = Call(kind.type, user=_hash(users[0], client), target=_hash(users[1], client))
        if not call.user or not call.target:
            # Nobody in particular logs in as nobody.
            return None
    elif kind.form == "user":
        users = (_joined(segments, address.is_escaped),)
        call = Call(kind.type, user=_hash(users[0], client))
    else:
        user, item_type, items = _tail(segments, address.is_escaped)
        users = (user,)
        call = Call(kind.type, user=_hash(user, client))
        if kind.form == "items" and not items:
            # PHP clients confirm a delivery without saying of what; a 4xx would break their page.
            return None
        call.item_type = _item_type(item_type)
        call.items = _items(items, client, several=kind.form == "items")
    _check_signature(address, call, parameters, license_keys)
    call.occurred_at = _overridden(parameters, client)
    reading = Reading(call, users)
    call.data = {
        name: reading.hide(value, client) if isinstance(value, str) else value
        for name, value in _data(kind, parameters, client).items()
    }
    return reading


# --- segments --------------------------------------------------------------------------


def _decoded(segment: str, is_escaped: bool) -> str:
    if not is_escaped:
        return segment
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise common.Rejected(
            "encoding_invalid", "The address is not valid UTF-8 behind its escapes."
        ) from None


def _joined(segments: Sequence[str], is_escaped: bool) -> str:
    """Return one id. Where escapes are undone, every slash may have been inside it."""
    if is_escaped and len(segments) > 1:
        raise common.Rejected("too_many_segments", "The address has more segments than the event.")
    return "/".join(_decoded(each, is_escaped) for each in segments)


def _two_users(segments: Sequence[str], is_escaped: bool) -> tuple[str, ...]:
    if len(segments) > 2:
        raise common.Rejected(
            "too_many_segments", "A login names two users: the id of until now, and that of now on."
        )
    users = [_decoded(each, is_escaped) for each in segments]
    return users[0] if users else "", users[1] if len(users) > 1 else ""


def _tail(segments: Sequence[str], is_escaped: bool) -> tuple[str, str, str]:
    """Return user, item type and items, the last still escaped: commas part them."""
    if is_escaped:
        if len(segments) > 3:
            raise common.Rejected(
                "too_many_segments", "After the event come user, item type and item: no more."
            )
        parts = [*segments, "", "", ""]
        return _decoded(parts[0], True), _decoded(parts[1], True), parts[2]
    # The user's slashes are between the event and the last two segments.
    if len(segments) < 3:
        parts = [*segments, "", "", ""]
        return parts[0], parts[1], parts[2]
    return "/".join(segments[:-2]), segments[-2], quote(segments[-1], safe=",")


def _hash(user: str, client: ClientConfig) -> str:
    """Return what a user is kept as; nothing for the ids that stand for nobody."""
    if not user.strip():
        raise common.Rejected("user_missing", "The address names no user.")
    if len(user) > conf.settings().MAX_IDENTIFIER_LENGTH:
        limit = conf.settings().MAX_IDENTIFIER_LENGTH
        raise common.Rejected("user_too_long", f"A user id is longer than {limit} characters.")
    return "" if user in client.dummy_users else keyed.user(client.ref, user)


def _item_type(given: str) -> int:
    number = _whole(given)
    if number is None or not 1 <= number <= _LARGEST_ID:
        raise common.Rejected(
            "item_type_invalid", f"The item type is a number from 1 to {_LARGEST_ID}."
        )
    return number


def _items(given: str, client: ClientConfig, *, several: bool) -> list[str]:
    # Parted before the escapes are undone, so that an id may have a comma in it.
    found = [_decoded(each, True) for each in (given.split(",") if several else [given])]
    if several:
        found = [each for each in found if each]
    if len(found) > _MOST_ITEMS:
        raise common.Rejected("too_many_items", f"At most {_MOST_ITEMS} items fit one address.")
    for each in found:
        number = _whole(each)
        if number is not None and 1 <= number <= _LARGEST_ID:
            continue
        if not client.allows_text_item_ids:
            raise common.Rejected(
                "item_id_invalid", f"An item id is a number from 1 to {_LARGEST_ID}."
            )
        if not each.strip() or len(each) > conf.settings().MAX_IDENTIFIER_LENGTH:
            raise common.Rejected("item_id_invalid", "An item id has 1 to 256 characters.")
    return found


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 19 else None


# --- the query -------------------------------------------------------------------------


def _parameters(query: str) -> dict[str, str]:
    """Return the parameters; those the protocol knows by their name in small letters."""
    limit = conf.settings().MAX_NODES
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=limit)
    except UnicodeDecodeError:
        raise common.Rejected(
            "encoding_invalid", "The query is not valid UTF-8 behind its escapes."
        ) from None
    except ValueError:
        raise common.Rejected("query_too_long", "The query has too many parameters.") from None
    return {_known(name): value for name, value in pairs}


def _known(name: str) -> str:
    return name.lower() if name.lower() in _KNOWN else name


def _data(kind: Kind, given: Mapping[str, str], client: ClientConfig) -> dict[str, Any]:
    data: dict[str, Any] = {
        name: value for name, value in given.items() if name not in (OVERRIDE, SIGNATURE)
    }
    path = data.pop(_CATEGORY, "").strip("/")
    if path:
        data[_CATEGORY] = path
    if kind.type == "CLICK" and client.requires_category_path and not path:
        raise common.Rejected("categorypath_missing", "A click needs the item's categorypath.")
    if kind.requires and not data.get(kind.requires, "").strip():
        raise common.Rejected(
            f"{kind.requires}_missing", f"{kind.requires} is missing in the query."
        )
    if kind.type in ("BUY", "OWNS"):
        _number(data, "quantity", least=1, most=_LARGEST_QUANTITY)
        _price(data, "fullprice")
    if kind.type == "WISHLIST":
        _price(data, "price")
    if kind.type == "CONSUME":
        _number(data, "percentage", least=0, most=100)
    if kind.type == "RATE":
        _number(data, "rating", least=0, most=100)
    return data


def _number(data: dict[str, Any], name: str, *, least: int, most: int) -> None:
    if name not in data:
        return
    number = _whole(data[name])
    if number is None or not least <= number <= most:
        raise common.Rejected(
            f"{name}_invalid", f"{name} is a whole number from {least} to {most}."
        )
    data[name] = number


def _price(data: Mapping[str, Any], name: str) -> None:
    if name not in data:
        return
    try:
        money.priced(data[name])
    except money.NotMoney:
        raise common.Rejected(
            f"{name}_invalid",
            f"{name} is a decimal number with a point and an ISO 4217 currency, without a "
            "space: 12.45EUR.",
        ) from None


# --- events of another time ------------------------------------------------------------


def _overridden(given: Mapping[str, str], client: ClientConfig) -> str:
    if OVERRIDE not in given:
        return ""
    try:
        if not _LOCAL_TIME.fullmatch(given[OVERRIDE]):
            raise ValueError
        local = datetime.fromisoformat(given[OVERRIDE]).replace(tzinfo=ZoneInfo(client.time_zone))
        return local.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise common.Rejected(
            "overridetimestamp_invalid",
            "overridetimestamp is a local time without a zone: 2012-01-01T11:00:00.",
        ) from None


def _check_signature(
    address: Address,
    call: Call,
    given: Mapping[str, str],
    license_keys: Callable[[], Sequence[str]],
) -> None:
    """Let nobody but who has the license key tell of another time. Raises common.Rejected."""
    if OVERRIDE not in given:
        return
    item = call.items[0] if len(call.items) == 1 else ""
    signed = {
        signature(call.item_type, item, key, rest)
        for key in license_keys()
        for rest in _signable(address.query)
    }
    sent = given.get(SIGNATURE, "").encode("utf-8", "replace")
    if not any(hmac.compare_digest(each.encode(), sent) for each in signed):
        raise common.Rejected(
            "signature_invalid",
            "overridetimestamp needs a signature by the license key, and this one is not.",
        )


def signature(item_type: int, item: str, license_key: str, parameters: str) -> str:
    """Return the signature of an event: lower-case hex MD5, as Ibexa documents it."""
    said = f"{item_type}&{item}&{license_key}&{parameters}"
    # The protocol's own choice; who could forge it would need the key all the same.
    return hashlib.md5(said.encode(), usedforsecurity=False).hexdigest()


def _signable(query: str) -> set[str]:
    """Return what may have been signed: parameters by name, escaped with upper-case digits."""
    pairs = [
        (name, value)
        for name, value in parse_qsl(query, keep_blank_values=True)
        if name.lower() != SIGNATURE
    ]
    return {
        "&".join(f"{name}={quote(value, safe=safe)}" for name, value in sorted(pairs))
        for safe in ("", _JS_SAFE)
    }


# --- the walk --------------------------------------------------------------------------


def parse(entry: Entry) -> Iterator[Message | Refused]:
    """Read the events of a stored call: one for each item."""
    try:
        call = msgspec.json.decode(entry.body, type=Call)
        cleaned = text.clean(call.data)
    except (msgspec.DecodeError, UnicodeDecodeError, text.Unstorable) as error:
        code = error.code if isinstance(error, text.Unstorable) else "unreadable"
        yield Refused(
            entry=entry,
            index=entry.first_index,
            code=code,
            reason=str(error),
            raw=entry.body,
        )
        return
    for number, item in enumerate(call.items or [""]):
        yield _message(entry, call, item, cleaned, index=entry.first_index + number)


def _message(entry: Entry, call: Call, item: str, cleaned: text.Cleaned, *, index: int) -> Message:
    ref = uuid7.child(entry.origin, index)
    key = entry.headers.get("idempotency-key", "")
    warnings = list(cleaned.warnings)
    data: dict[str, Any] = {**cleaned.value, "type": call.type}
    alone = call
    if item:
        data |= {"itemtypeid": call.item_type, "itemid": item}
        alone = msgspec.structs.replace(call, items=[item])
    is_login = bool(call.target)
    stated = datetime.fromisoformat(call.occurred_at) if call.occurred_at else None
    return Message(
        ref=ref,
        message_id=(f"{key}.{index}" if index else key) or str(ref),
        client_id=entry.client.id,
        entry=entry,
        index=index,
        raw=msgspec.json.encode(alone),
        dialect=entry.dialect,
        type=call.type,
        occurred_at=common.occurred(stated, entry.received_at, warnings),
        received_at=entry.received_at,
        speaker=None if is_login or not call.user else IdentifierKey(IBEXA, call.user),
        births=True,
        identifiers=_login(call) if is_login else (),
        policy=Policy.LOGIN if is_login else Policy.SITECORE,
        is_impersonal=not call.user,
        channel=common.DEFAULT_CHANNEL,
        point_of_sale=common.point_of_sale(entry, "", warnings),
        language=common.language_code(_text(data.get("lang"))) or "",
        page=common.cut(entry.headers.get("referer", ""), conf.settings().MAX_URL_LENGTH),
        user_agent=common.cut(entry.headers.get("user-agent", ""), 1024),
        place=common.place(entry),
        data=data,
        warnings=tuple(warnings),
    )


def _login(call: Call) -> tuple[StatedIdentifier, ...]:
    return tuple(StatedIdentifier(IdentifierKey(IBEXA, each)) for each in (call.target, call.user))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
