"""
Calls from inside the site's own pages and code: `tracking.track(...)`.

Written by the seam that the host calls, so trusted as to form; the browser id
is the first-party one we issued, and the walk makes its guest on first sight.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from tracking import uuid7
from tracking.types import EMAIL, Entry, Message, Refused, StatedIdentifier
from tracking.wire import common, text

DIALECT = "site"


class SiteIdentifier(msgspec.Struct, kw_only=True):
    provider: str
    id: str


class SiteEvent(msgspec.Struct, kw_only=True):
    """One call from the host's code."""

    type: str
    message_id: str = ""
    browser_id: str | None = None
    identifiers: list[SiteIdentifier] = []
    traits: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    channel: str = common.DEFAULT_CHANNEL
    point_of_sale: str = ""
    language: str = ""
    currency: str = ""
    page: str = ""
    referrer: str = ""
    user_agent: str = ""
    utm: dict[str, str] = {}
    properties: dict[str, Any] = {}


def parse(entry: Entry) -> Iterator[Message | Refused]:
    """Read the one event of a call from the site itself."""
    ref = uuid7.child(entry.origin, entry.first_index)
    try:
        cleaned = text.clean(text.read(entry.body))
        event = msgspec.convert(cleaned.value, SiteEvent)
        event.type = common.event_type(event.type)
    except (common.Rejected, text.Unstorable) as error:
        yield Refused(
            entry=entry, index=entry.first_index, code=error.code, reason=str(error), raw=entry.body
        )
        return
    except (text.Unreadable, msgspec.ValidationError) as error:
        yield Refused(
            entry=entry,
            index=entry.first_index,
            code="invalid_event",
            reason=str(error),
            raw=entry.body,
        )
        return
    warnings = list(cleaned.warnings)
    data: dict[str, Any] = {"type": event.type}
    data |= {f"utm_{name}": value for name, value in event.utm.items()}
    for name in ("channel", "page", "referrer", "language", "currency"):
        if value := getattr(event, name):
            data[name] = value
    # Where the HTTP doors have an event's own attributes, so that a condition reads both alike.
    data |= {name: value for name, value in event.properties.items() if name != "type"}
    yield Message(
        ref=ref,
        message_id=event.message_id or str(ref),
        client_id=entry.client.id,
        entry=entry,
        index=entry.first_index,
        raw=entry.body,
        dialect=entry.dialect,
        type=event.type,
        occurred_at=entry.received_at,
        received_at=entry.received_at,
        speaker=common.speaker(event.browser_id),
        births=True,
        identifiers=_stated(event),
        traits=event.traits,
        attributes=event.attributes,
        channel=event.channel,
        point_of_sale=common.point_of_sale(entry, event.point_of_sale, warnings),
        language=common.language(event.language, warnings),
        currency=common.currency(event.currency, warnings),
        page=event.page[:4096],
        referrer=event.referrer[:4096],
        user_agent=event.user_agent[:1024],
        utm=event.utm,
        place=common.place(entry),
        data=data,
        closes_session=event.type == common.FORCE_CLOSE_TYPE,
        warnings=tuple(warnings),
    )


def _stated(event: SiteEvent) -> tuple[StatedIdentifier, ...]:
    stated = [StatedIdentifier(common.key(item.provider, item.id)) for item in event.identifiers]
    email = event.traits.get("email")
    if isinstance(email, str) and email and not any(s.key.provider == EMAIL for s in stated):
        stated.append(StatedIdentifier(common.key(EMAIL, email)))
    return tuple(stated)
