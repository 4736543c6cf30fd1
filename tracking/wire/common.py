"""What every family's reader needs: codes, identifiers, and the judging of one event."""

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from tracking import conf
from tracking.types import (
    BOT,
    BROWSER,
    EMAIL,
    SERVER_TYPES,
    Entry,
    IdentifierKey,
    PointOfSaleConfig,
    StatedIdentifier,
)

DEFAULT_CHANNEL: Final = "WEB"
#: What SDKs send for a crawler, with an id made of its user agent.
BOT_CHANNEL: Final = "BOT"
FORCE_CLOSE_TYPE: Final = "FORCE_CLOSE"
VIEW_TYPE: Final = "VIEW"
IDENTITY_TYPE: Final = "IDENTITY"

_UTM = "utm_"
# Nearly all ids come as we wrote them: seeing that takes a tenth of reading them.
_WRITTEN_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_LANGUAGE = re.compile(r"[-_][A-Za-z0-9_-]*$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Rejected(ValueError):
    """One event that is refused; `code` for machines, the text for the caller."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def event_type(value: str) -> str:
    """Check an event's type. Raises Rejected."""
    value = value.strip()
    if not value:
        raise Rejected("type_missing", "type is missing: say what happened, for example VIEW.")
    if len(value) > conf.settings().MAX_TYPE_LENGTH:
        limit = conf.settings().MAX_TYPE_LENGTH
        raise Rejected("type_too_long", f"type is longer than {limit} characters.")
    if value in SERVER_TYPES:
        raise Rejected(
            "type_reserved",
            f"{value} events are written by the server alone, when flows are called.",
        )
    return value


def channel(value: str | None) -> str:
    """Check a channel code, upper-cased; empty where none is given. Raises Rejected."""
    code = (value or "").strip().upper()
    if code and (len(code) > 20 or not code.replace("_", "").isalnum() or not code.isascii()):
        raise Rejected("channel_invalid", "channel is not a channel code such as WEB.")
    return code


def point_of_sale(entry: Entry, name: str, warnings: list[str]) -> PointOfSaleConfig:
    """Return the storefront an event names, by name or by its site; else the default one."""
    client = entry.client
    found = client.point_of_sale(name=name, site_id=entry.headers.get("site-id", ""))
    if found is None:
        default = client.default_point_of_sale
        given = name or entry.headers.get("site-id", "")
        warnings.append(f"There is no point of sale “{given[:100]}”; {default.name} is used.")
        return default
    return found


def language(value: str | None, warnings: list[str]) -> str:
    """Return the language of a tag such as `en-IE` in upper case, or nothing with a warning."""
    code = language_code(value)
    if code is None:
        warnings.append(f"language “{(value or '')[:20]}” is not a language; it was not used.")
    return code or ""


def language_code(value: str | None) -> str | None:
    """
    Return the language of a tag in upper case: `EN` of `en-IE`. None where it is no such tag.

    Pages name theirs in the form of RFC 5646, where a language has two letters, or three.
    """
    code = _LANGUAGE.sub("", (value or "").strip()).upper()
    return code if not code or (len(code) in (2, 3) and code.isascii() and code.isalpha()) else None


def currency(value: str | None, warnings: list[str]) -> str:
    """Return an ISO 4217 code in upper case, or nothing with a warning."""
    return _letters(value, 3, "currency", warnings)


def _letters(value: str | None, length: int, name: str, warnings: list[str]) -> str:
    code = (value or "").strip().upper()
    if not code:
        return ""
    if len(code) == length and code.isascii() and code.isalpha():
        return code
    warnings.append(f"{name} “{code[:20]}” is not a code of {length} letters; it was not used.")
    return ""


def extension(ext: Mapping[str, Any] | None) -> None:
    """
    Check `ext` against its limit of keys. Raises Rejected.

    SDKs count 50 and then add `pageVariantId`, so that one key rides free.
    """
    limit = conf.settings().MAX_EXT_KEYS
    count = len(ext or {}) - ("pageVariantId" in (ext or {}))
    if count > limit:
        raise Rejected("too_many_ext_keys", f"ext has {count} attributes; at most {limit} may be.")


def identifier(*, provider: str, value: str, expires_at: datetime | None) -> StatedIdentifier:
    """Check one stated identifier. Raises Rejected."""
    provider, value = provider.strip(), value.strip()
    limit = conf.settings().MAX_IDENTIFIER_LENGTH
    if not provider or not value:
        raise Rejected("identifier_empty", "identifiers need a provider and an id, both not empty.")
    if len(provider) > 100 or len(value) > (320 if provider == EMAIL else limit):
        raise Rejected("identifier_too_long", f"identifiers: an id is longer than {limit}.")
    return StatedIdentifier(key(provider, value), expires_at)


def key(provider: str, value: str) -> IdentifierKey:
    """Name an identifier. E-mail addresses are one whatever their case."""
    return IdentifierKey(provider, value.lower() if provider == EMAIL else value)


def id_text(value: object) -> str:
    """Return an id as the text that it is kept as: SDKs send numbers too. Nothing for none."""
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, str | int | float) else ""


def moment(value: str | None, name: str) -> datetime | None:
    """Read an ISO 8601 time or date; without a zone it is UTC. Raises Rejected."""
    if not value:
        return None
    try:
        read = datetime.fromisoformat(value)
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Rejected("time_invalid", f"{name} is not an ISO 8601 time: {value[:40]}.") from None


def occurred(stated: datetime | None, received_at: datetime, warnings: list[str]) -> datetime:
    """Return when it happened: as stated, unless no clock that runs says such a thing."""
    if stated is None:
        return received_at
    if stated < _EPOCH:
        warnings.append("The event's time lies before 1970; the time of receipt is used.")
        return received_at
    if stated > received_at + timedelta(seconds=conf.settings().MAX_FUTURE_SECONDS):
        warnings.append("The event's time lies more than a day ahead; the time of receipt is used.")
        return received_at
    return stated


def browser_uuid(value: str | None) -> str:
    """Return a browser id that we gave out in its one written form, or nothing for any other."""
    if value and _WRITTEN_UUID.fullmatch(value):
        return value
    try:
        return str(uuid.UUID(value or ""))
    except (ValueError, AttributeError, TypeError):
        return ""


def browser_id(value: str | None) -> str:
    """Return a browser id in its one written form: those that clients choose may be any text."""
    if value and _WRITTEN_UUID.fullmatch(value):
        return value
    text = (value or "").strip()
    if len(text) > conf.settings().MAX_IDENTIFIER_LENGTH:
        return ""
    return browser_uuid(text) or text.replace("\x00", "")


def speaker(browser: str | None, channel: str = "") -> IdentifierKey | None:
    """Return the speaker that a browser id names on a channel, or None where it names none."""
    known = browser_id(browser)
    provider = BOT if channel == BOT_CHANNEL else BROWSER
    return IdentifierKey(provider, known) if known else None


def place(entry: Entry) -> dict[str, str]:
    """Return where the request came from, as the door kept it."""
    told = entry.headers.get("place")
    found: dict[str, str] = msgspec.json.decode(told) if told else {}
    return found


def utm(payload: Mapping[str, Any]) -> dict[str, str]:
    """Pick the top-level utm_* texts."""
    return {
        name[len(_UTM) :]: value[:500]
        for name, value in payload.items()
        if name.startswith(_UTM) and isinstance(value, str) and value
    }


def cut(value: Any, length: int) -> str:
    return value[:length] if isinstance(value, str) else ""
