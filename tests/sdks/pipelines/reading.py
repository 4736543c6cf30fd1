"""What the tests of the Data Pipelines SDKs share: the calls, and what must be stored of them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.api import Api
from tests.sdks.faults import Exchange

#: What an event is about: kept as it was sent, ids as text.
SAID = ("type", "messageId", "event", "name", "category", "properties", "traits", "integrations")
IDS = ("userId", "anonymousId", "groupId", "previousId")

ANONYMOUS = "0b5e3a5e-2d5c-4a0e-9f5d-6f1d1c1f7a11"
USER = "customer-77"


def said(exchanges: Iterable[Exchange]) -> list[dict[str, Any]]:
    """The messages of these requests; one that came alone has its type by its address."""
    messages: list[dict[str, Any]] = []
    for exchange in exchanges:
        body = exchange.json()
        messages += body.get("batch") or [{"type": exchange.path.rpartition("/")[2]} | body]
    return messages


def stored(api: Api) -> list[dict[str, Any]]:
    """Every event that is stored, in the form in which this family sends them, oldest first."""
    page = api.read("/v2/events", limit=100, form="track")
    events: list[dict[str, Any]] = page["items"]
    while page["next"]:
        page = api.json(api.get(page["next"], basic=True))
        events += page["items"]
    return events[::-1]


def assert_stored(api: Api, sent: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Exactly these messages are stored, each once, in their order and with all that they said."""
    events = stored(api)
    assert [event["messageId"] for event in events] == [message["messageId"] for message in sent]
    for event, message in zip(events, sent, strict=True):
        for name in SAID:
            if message.get(name) is not None:
                assert event[name] == message[name], (message["type"], name)
        for name in IDS:
            if message.get(name) is not None:
                assert event[name] == str(message[name]), (message["type"], name)
        assert event["context"].items() >= message["context"].items()
        assert moment(event["originalTimestamp"]) == moment(message["timestamp"])
        assert_clock_corrected(event)
    return events


def assert_clock_corrected(event: Mapping[str, Any]) -> None:
    """The sender's clock is put right by as much as `sentAt` was off; without one it stands."""
    moved = moment(event["timestamp"]) - moment(event["originalTimestamp"])
    off = timedelta()
    if event.get("sentAt"):
        off = moment(event["receivedAt"]) - moment(event["sentAt"])
    assert abs(moved - off) <= timedelta(milliseconds=2), event


def moment(text: str) -> datetime:
    """A time to the millisecond, which is what every party keeps."""
    parsed = datetime.fromisoformat(text)
    return parsed.replace(microsecond=parsed.microsecond // 1000 * 1000)
