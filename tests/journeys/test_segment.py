"""The calls of the Segment family over HTTP: doors, reading back, clock, batches, limits."""

import base64
import gzip
import json
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, connections

from tests.api import Api
from tests.conftest import Database
from tests.factories import API_TOKEN, CLIENT_KEY, ClientFactory
from tests.journeys.test_call_flows import make_flow
from tests.tracking.test_doors import ODD_VALUES
from tracking import clients, inbox, quarantine
from tracking.models import (
    Client,
    Event,
    Guest,
    Identifier,
    InboxEntry,
    Key,
    QuarantinedMessage,
)

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

pytestmark = pytest.mark.django_db(transaction=True)

ORIGIN = "https://shop.example"
OTHER_KEY = "key-of-another-shop-altogether"

#: A valid call of each kind, as little as it takes.
CALLS: dict[str, dict[str, Any]] = {
    "track": {"event": "Course Started", "anonymousId": "a-1"},
    "identify": {"userId": "u-1", "traits": {"plan": "pro"}},
    "page": {"name": "Home", "anonymousId": "a-1"},
    "screen": {"name": "Cart", "anonymousId": "a-1"},
    "group": {"groupId": "g-1", "userId": "u-1"},
    "alias": {"userId": "u-1", "previousId": "a-1"},
}
PATHS = [
    *((f"/v1/{kind}", kind) for kind in CALLS),
    *((f"/v1/{kind[0]}", kind) for kind in CALLS),
    ("/v1/batch", ""),
    ("/v1/b", ""),
]


def basic(credentials: str) -> str:
    return "Basic " + base64.b64encode(credentials.encode()).decode()


BASIC = {"Authorization": basic(f"{CLIENT_KEY}:")}


def post(
    api: Api,
    path: str,
    body: Any,
    headers: Mapping[str, str] = BASIC,
    *,
    content_type: str = "application/json",
) -> "Response":
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api.http.post(path, raw, content_type=content_type, headers=headers)


def send(api: Api, kind: str, **call: Any) -> dict[str, Any]:
    """Send one call, which the server must take."""
    answer: dict[str, Any] = api.json(post(api, f"/v1/{kind}", call))
    assert answer == {"success": True}
    return answer


def send_batch(api: Api, *calls: Any, **shared: Any) -> "Response":
    return post(api, "/v1/batch", {"batch": list(calls), **shared})


def named(kind: str, **call: Any) -> dict[str, Any]:
    """Return what a path takes: a call of its kind, or a batch of one."""
    return CALLS[kind] | call if kind else {"batch": [track()], **call}


def track(message_id: str = "m-1", **call: Any) -> dict[str, Any]:
    return {"type": "track", "messageId": message_id, **CALLS["track"], **call}


def read(api: Api, **query: Any) -> list[dict[str, Any]]:
    """Read events back in the form of calls, oldest first."""
    items: list[dict[str, Any]] = api.read("/v2/events", form="track", **query)["items"]
    return items[::-1]


def refusal(response: "Response") -> tuple[int, str]:
    """Check that a refusal is in the form every SDK reads; return its status and code."""
    body = response.json()
    assert response["Content-Type"] == "application/json"
    assert isinstance(body["code"], str) and body["code"]
    assert isinstance(body["message"], str) and body["message"]
    assert body["meta"]["errors"] and all(isinstance(text, str) for text in body["meta"]["errors"])
    return response.status_code, body["code"]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


# --- doors --------------------------------------------------------------------------------------


def test_call__under_every_path_with_and_without_slash__is_stored_and_answered_200(
    on_sqlite: Database, api: Api
) -> None:
    calls = [{"type": kind, **call} for kind, call in CALLS.items()]
    bodies = {path: CALLS[kind] if kind else {"batch": calls} for path, kind in PATHS}

    answers = [
        (form, post(api, form, body))
        for path, body in bodies.items()
        for form in (path, f"{path}/")
    ]

    for form, response in answers:
        assert response.status_code == 200, form
        assert response["Content-Type"] == "application/json"
        assert response.json() == {"success": True}
    expected = [each for _, kind in PATHS for each in 2 * ([kind] if kind else list(CALLS))]
    assert [call["type"] for call in read(api, limit=100)] == expected
    assert QuarantinedMessage.objects.count() == 0


def test_call__of_any_content_type__is_read_as_json(on_sqlite: Database, api: Api) -> None:
    types = ["text/plain", "text/plain;charset=UTF-8", "application/json; charset=utf-8", "", "x/y"]

    for content_type in types:
        for path, body in (("/v1/t", CALLS["track"]), ("/v1/b", {"batch": [track(content_type)]})):
            response = post(api, path, body, content_type=content_type)
            assert response.json() == {"success": True}

    assert Event.objects.count() == 2 * len(types)


@dataclass(frozen=True)
class Credentials:
    """Where a request has a key, and what is said to it."""

    headers: dict[str, str] = field(default_factory=dict)
    write_key: object = None
    refused: tuple[int, str] | None = None


UNKNOWN = (401, "write_key_unknown")
MISSING = (400, "write_key_missing")
CREDENTIALS = {
    "Basic": Credentials({"Authorization": basic(f"{CLIENT_KEY}:")}),
    "Basic without a colon": Credentials({"Authorization": basic(CLIENT_KEY)}),
    "Basic with a password": Credentials({"Authorization": basic(f"{CLIENT_KEY}:x:y")}),
    "basic in lower case": Credentials(
        {"Authorization": basic(f"{CLIENT_KEY}:").replace("Basic", "basic")}
    ),
    "Basic with spaces": Credentials({"Authorization": basic(f" {CLIENT_KEY} :")}),
    "Bearer": Credentials({"Authorization": f"Bearer {CLIENT_KEY}"}),
    "body": Credentials(write_key=CLIENT_KEY),
    "body with spaces": Credentials(write_key=f" {CLIENT_KEY} "),
    "header and body": Credentials(BASIC, CLIENT_KEY),
    "header, another in the body": Credentials(BASIC, "nobodys"),
    "empty Basic, body": Credentials({"Authorization": basic(":")}, CLIENT_KEY),
    "another scheme, body": Credentials({"Authorization": "Digest x"}, CLIENT_KEY),
    "nobody's header, body": Credentials({"Authorization": basic("nobodys:")}, CLIENT_KEY, UNKNOWN),
    "nobody's Basic": Credentials({"Authorization": basic("nobodys:")}, None, UNKNOWN),
    "nobody's Bearer": Credentials({"Authorization": "Bearer nobodys"}, None, UNKNOWN),
    "nobody's in the body": Credentials({}, "nobodys", UNKNOWN),
    "a secret one": Credentials({"Authorization": basic(f"{API_TOKEN}:")}, None, UNKNOWN),
    "a very long one": Credentials({}, "k" * 5000, UNKNOWN),
    "a NUL": Credentials({}, "k\x00", UNKNOWN),
    "no base64": Credentials({"Authorization": "Basic ???"}, None, UNKNOWN),
    "no text": Credentials({"Authorization": "Basic /w=="}, None, UNKNOWN),
    "none": Credentials({}, None, MISSING),
    "blank": Credentials({}, " ", MISSING),
    "null": Credentials({}, None, MISSING),
    "a number": Credentials({}, 7, MISSING),
    "a list": Credentials({}, [CLIENT_KEY], MISSING),
    "empty Basic": Credentials({"Authorization": basic(":")}, None, MISSING),
}


def test_key__wherever_clients_have_it__lets_in_or_is_refused_in_words(
    on_sqlite: Database, api: Api
) -> None:
    for name, given in CREDENTIALS.items():
        key = {} if given.write_key is None else {"writeKey": given.write_key}
        bodies = [
            ("/v1/track", CALLS["track"] | key),
            ("/v1/batch", {"batch": [track(f"{name} 1")]} | key),
            ("/v1/b", {"batch": [track(f"{name} 2") | key, track(f"{name} 3")]}),
        ]

        answers = [post(api, path, body, given.headers) for path, body in bodies]

        for response in answers:
            if given.refused is None:
                assert (response.status_code, response.json()) == (200, {"success": True}), name
            else:
                assert refusal(response) == given.refused, name
                assert "WWW-Authenticate" not in response
    good = sum(given.refused is None for given in CREDENTIALS.values())
    assert Event.objects.count() == 4 * good
    assert QuarantinedMessage.objects.count() + InboxEntry.objects.count() == 0


def test_keys__of_two_clients_in_header_and_body__the_header_counts(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    other = ClientFactory.create(key=OTHER_KEY, token="another-token")

    post(api, "/v1/t", CALLS["track"] | {"writeKey": OTHER_KEY})
    post(api, "/v1/b", {"batch": [track("m-1")], "writeKey": OTHER_KEY})
    post(api, "/v1/b", {"batch": [track("m-2", writeKey=OTHER_KEY)]})

    assert Event.objects.filter(client=shop).count() == 3
    assert Event.objects.filter(client=other).count() == 0


def test_key__that_was_revoked__is_a_401(on_sqlite: Database, api: Api) -> None:
    key = Key.objects.get(value=CLIENT_KEY)
    key.revoked_at = key.created_at
    key.save()

    response = post(api, "/v1/track", CALLS["track"])

    assert refusal(response) == UNKNOWN


BAD_BODIES: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{",
    "a text": b'"track"',
    "a list": b"[]",
    "null": b"null",
    "a number": b"7",
    "trailing": b'{"event":"x"} {}',
    "invalid UTF-8": b'{"event":"\xff"}',
    "overlong UTF-8": b'{"event":"\xc0\xaf"}',
    "UTF-16": '{"event":"x"}'.encode("utf-16"),
    "surrogate bytes": b'{"event":"\xed\xa0\x80"}',
    "depth 1,100": b'{"a":' * 1100 + b"1" + b"}" * 1100,
    "depth 20,000": b"[" * 20_000,
    "batch is null": b'{"batch":null}',
    "batch is an object": b'{"batch":{}}',
    "batch is a text": b'{"batch":"x"}',
    "batch is cut off": b'{"batch":[{"type":"track"}',
}


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/track", "/v1/i"])
def test_body__that_is_no_call__is_a_400_and_stores_nothing(
    on_sqlite: Database, api: Api, path: str
) -> None:
    for name, body in BAD_BODIES.items():
        response = post(api, path, body, BASIC | {"Origin": ORIGIN})

        assert refusal(response)[0] == 400, name
        assert response["Access-Control-Allow-Origin"] == "*"
    held = QuarantinedMessage.objects.count() + InboxEntry.objects.count()
    assert held + Event.objects.count() == 0


def test_gzip__is_inflated_and_a_broken_one_is_a_400(on_sqlite: Database, api: Api) -> None:
    calls = [{"type": kind, **call} for kind, call in CALLS.items()]
    body = json.dumps({"batch": calls}).encode()
    packed = gzip.compress(body)
    broken = {
        "bomb": gzip.compress(b" " * 20_000_000),
        "bomb below the limit": gzip.compress(b'{"batch":[' + b" " * 3_000_000 + b"]}"),
        "truncated": packed[:-9],
        "cut in its data": packed[: len(packed) // 2],
        "bad checksum": packed[:-8] + b"\x00" * 4 + packed[-4:],
        "no gzip": body,
        "twice": gzip.compress(packed),
        "trailing": packed + b"more",
        "two members": packed + packed,
        "empty": b"",
    }

    good = post(api, "/v1/batch", packed, BASIC | {"Content-Encoding": "gzip"})

    assert good.json() == {"success": True}
    assert [call["type"] for call in read(api)] == list(CALLS)
    for name, raw in broken.items():
        response = post(api, "/v1/batch", raw, BASIC | {"Content-Encoding": "gzip"})
        assert refusal(response)[0] == 400, name
    for coding in ("br", "zstd", "gzip, gzip", "deflate"):
        response = post(api, "/v1/batch", packed, BASIC | {"Content-Encoding": coding})
        assert refusal(response)[0] == 400, coding
    assert Event.objects.count() == len(CALLS)
    assert InboxEntry.objects.count() == 0


def test_door__of_another_method_or_deeper__refuses_in_words(on_sqlite: Database, api: Api) -> None:
    for path, _ in PATHS:
        read_it = api.http.get(path, headers=BASIC)
        put_it = api.http.put(path, b"{}", content_type="application/json", headers=BASIC)
        deeper = post(api, f"{path}/deeper", {})

        for response in (read_it, put_it):
            assert refusal(response)[0] == 405
            assert response["Allow"] == "POST, OPTIONS"
        assert deeper.status_code == 404
        assert deeper["Content-Type"] == "application/json"
        assert deeper.json()["message"]


def test_metrics__of_an_sdk__are_taken_and_not_kept(on_sqlite: Database, api: Api) -> None:
    counter = {"type": "Counter", "metric": "analytics_js.invoke", "value": 1, "tags": {}}

    response = post(
        api, "/v1/m", {"series": [counter]}, {"Origin": ORIGIN}, content_type="text/plain"
    )

    assert response.json() == {"success": True}
    assert response["Access-Control-Allow-Origin"] == "*"
    assert Event.objects.count() + InboxEntry.objects.count() == 0


# --- one call refused ---------------------------------------------------------------------------


REFUSED: dict[str, tuple[Any, str]] = {
    "names nobody": ({"type": "track", "event": "x"}, "nobody"),
    "ids are null": (
        {"type": "track", "event": "x", "userId": None, "anonymousId": None},
        "nobody",
    ),
    "ids are blank": ({"type": "page", "userId": "", "anonymousId": " "}, "nobody"),
    "identify of nobody": ({"type": "identify", "traits": {"a": 1}}, "nobody"),
    "no event": ({"type": "track", "userId": "u"}, "event_missing"),
    "a blank event": ({"type": "track", "userId": "u", "event": " "}, "event_missing"),
    "event is null": ({"type": "track", "userId": "u", "event": None}, "event_missing"),
    "event is a number": ({"type": "track", "userId": "u", "event": 7}, "invalid_call"),
    "a long event": ({"type": "track", "userId": "u", "event": "x" * 201}, "type_too_long"),
    "the server's own event": (
        {"type": "track", "userId": "u", "event": "TRACKING"},
        "type_reserved",
    ),
    "unknown type": ({"type": "nonsense", "userId": "u"}, "invalid_call"),
    "no type": ({"userId": "u", "event": "x"}, "type_missing"),
    "type is a number": ({"type": 7, "userId": "u"}, "invalid_call"),
    "no groupId": ({"type": "group", "userId": "u"}, "group_id_missing"),
    "a blank groupId": ({"type": "group", "userId": "u", "groupId": ""}, "group_id_missing"),
    "no previousId": ({"type": "alias", "userId": "u"}, "alias_incomplete"),
    "alias without a user": ({"type": "alias", "previousId": "a"}, "alias_incomplete"),
    "traits are a list": ({"type": "identify", "userId": "u", "traits": []}, "invalid_call"),
    "properties are a text": (track(properties="x"), "invalid_call"),
    "context is a text": (track(context="x"), "invalid_call"),
    "integrations are a list": (track(integrations=[]), "invalid_call"),
    "userId is an object": (track(userId={}), "invalid_call"),
    "userId is a truth": (track(userId=True), "invalid_call"),
    "a long userId": (track(userId="u" * 257), "id_too_long"),
    "a long anonymousId": (track(anonymousId="a" * 257), "id_too_long"),
    "messageId of 101": (track("m" * 101), "message_id_invalid"),
    "301 traits": (
        {"type": "identify", "userId": "u", "traits": {f"t{n}": n for n in range(301)}},
        "too_many_keys",
    ),
    "33 KB": (track(properties={"a": "x" * 33_000}), "call_too_large"),
    "a number": (7, "not_an_object"),
    "null": (None, "not_an_object"),
    "a list": ([], "not_an_object"),
}


def test_refused_call__in_a_batch__is_set_aside_and_costs_no_neighbour(
    database: Database, api: Api
) -> None:
    for name, (bad, code) in REFUSED.items():
        before, after = track(f"before {name}"), track(f"after {name}")

        response = send_batch(api, before, bad, after)

        answer = api.json(response)
        assert answer["success"] is True
        (verdict,) = answer["rejected"]
        assert (verdict["index"], verdict["code"]) == (1, code), name
        assert verdict["message"]
        assert response["X-Tracking-Rejected"] == "1"
        held = QuarantinedMessage.objects.latest("pk")
        assert (held.index, held.code) == (1, code), name
        assert json.loads(bytes(held.body)) == bad
    neighbours = [f"{place} {name}" for name in REFUSED for place in ("before", "after")]
    assert list(Event.objects.order_by("ref").values_list("message_id", flat=True)) == neighbours
    assert QuarantinedMessage.objects.count() == len(REFUSED)
    assert InboxEntry.objects.count() == 0


def test_refused_call__in_strict_mode__refuses_its_whole_batch(
    on_sqlite: Database, api: Api
) -> None:
    strict = BASIC | {"X-Strict-Mode": "1"}
    for name, (bad, code) in REFUSED.items():
        response = post(api, "/v1/batch", {"batch": [track("before"), bad]}, strict)

        assert refusal(response) == (400, code), name
        assert response.json()["meta"]["errors"][0].startswith("batch[1]: ")

    good = post(api, "/v1/batch", {"batch": [track("good")]}, strict)
    assert good.json() == {"success": True}
    assert [call["messageId"] for call in read(api)] == ["good"]
    assert QuarantinedMessage.objects.count() + InboxEntry.objects.count() == 0


def test_refused_call__sent_alone__is_a_200_that_says_so_and_in_strict_mode_a_400(
    on_sqlite: Database, api: Api
) -> None:
    bad = {"userId": "u-1", "messageId": "m-1"}

    lenient = post(api, "/v1/track", bad)
    strict = post(api, "/v1/track", bad, BASIC | {"X-Strict-Mode": "1"})
    lax = post(api, "/v1/track", bad | {"messageId": "m-2"}, BASIC | {"X-Strict-Mode": "0"})

    (verdict,) = lenient.json()["rejected"]
    assert (lenient.status_code, verdict["index"]) == (200, 0)
    assert (verdict["messageId"], verdict["code"]) == ("m-1", "event_missing")
    assert lenient["X-Tracking-Rejected"] == lax["X-Tracking-Rejected"] == "1"
    assert refusal(strict) == (400, "event_missing")
    assert QuarantinedMessage.objects.count() == 2
    assert Event.objects.count() == 0


def test_type__in_the_call__goes_before_what_the_path_implies(
    on_sqlite: Database, api: Api
) -> None:
    send(api, "page", type="screen", name="Cart", anonymousId="a-1")
    send(api, "track", type=None, event="Opened", anonymousId="a-1")

    assert [call["type"] for call in read(api)] == ["screen", "track"]


def test_impersonal_event__without_ids__is_stored_and_is_nobodys(
    database: Database, api: Api
) -> None:
    for event in ("Report Delivery Event", "Report Content Event", "Object Deleted"):
        send(api, "track", event=event, properties={"deliveryId": "d-1"})

    assert [event["guest_id"] for event in Event.objects.values("guest_id")] == [None] * 3
    assert Guest.objects.count() == 0


def test_odd_value__in_a_batch__costs_none_of_its_neighbours(database: Database, api: Api) -> None:
    # How many keys `ext` may have is another family's limit.
    expected = {
        name: None if code == "too_many_ext_keys" else code
        for name, (_, code) in ODD_VALUES.items()
    }
    for name, (value, _) in ODD_VALUES.items():
        calls = [json.dumps(track(f"{name} {n}")).encode() for n in range(5)]
        calls[2] = calls[2][:-1] + b',"properties":' + value + b"}"
        body = b'{"batch":[%s],"writeKey":"%s"}' % (b",".join(calls), CLIENT_KEY.encode())

        response = post(api, "/v1/b", body, {}, content_type="text/plain")

        rejected = [
            (item["index"], item["code"]) for item in api.json(response).get("rejected", [])
        ]
        assert rejected == ([(2, expected[name])] if expected[name] else []), name
        kept = Event.objects.filter(message_id__startswith=f"{name} ")
        assert kept.count() == 5 - len(rejected), name
        assert len(read(api, limit=5)) == 5
    held = QuarantinedMessage.objects.order_by("pk").values_list("code", flat=True)
    assert list(held) == [code for code in expected.values() if code]
    assert InboxEntry.objects.count() == 0


def test_odd_value__in_what_a_batch_says_for_all__is_cleaned_or_refused(
    database: Database, api: Api
) -> None:
    for name, (value, code) in ODD_VALUES.items():
        call = json.dumps(track(name)).encode()
        body = b'{"batch":[%s],"context":{"odd":%s},"integrations":{"odd":%s}}'

        response = post(api, "/v1/batch", body % (call, value, value))

        is_refused = code not in (None, "too_many_ext_keys")
        assert response.status_code == (400 if is_refused else 200), name
        assert len(read(api, messageId=name)) == (not is_refused)
    assert QuarantinedMessage.objects.count() == 0


def test_odd_value__beside_the_key__leaves_it_readable(on_sqlite: Database, api: Api) -> None:
    for name, (value, _) in ODD_VALUES.items():
        call = b'{"type":"track","event":"x","anonymousId":"a","odd":%s,"writeKey":"%s"}'
        call = call % (value, CLIENT_KEY.encode())

        for path, body in (("/v1/t", call), ("/v1/b", b'{"batch":[' + call + b"]}")):
            assert post(api, path, body, {}).status_code == 200, (path, name)


# --- reading back -------------------------------------------------------------------------------


COMPLETE: dict[str, Any] = {
    "userId": "AiUGstSDIg",
    "type": "track",
    "event": "Course Started",
    "properties": {
        "course_name": "Intro",
        "courseId": "cdp101",
        "progress": 0,
        "modules": [
            {"moduleId": "cdp101-1", "moduleName": "track calls", "started": False},
            {"moduleId": "cdp101-2", "moduleName": "identifying people", "started": True},
        ],
    },
    "integrations": None,
    "messageId": "ajs-f8ca1e4de5024d9430b3928bd8ac6b96",
    "receivedAt": "2015-12-12T19:11:01.266Z",
    "sentAt": "2015-12-12T19:11:01.169Z",
    "timestamp": "2015-12-12T19:11:01.249Z",
    "version": 0,
    "context": {"ip": "127.0.0.1"},
    "page": {
        "name": "string",
        "path": "/docs/",
        "referrer": None,
        "search": None,
        "title": "Docs",
        "url": "https://shop.example/docs",
        "keywords": ["string"],
    },
    "library": {"name": "analytics.js", "version": "2.11.1"},
    "anonymousId": "23adfd82-aa0f-45a7-a756-24f2a7a4c895",
    "originalTimestamp": "2015-12-12T19:11:01.152Z",
}


def test_event__in_its_complete_form__is_read_back_with_exactly_its_keys(
    database: Database, api: Api
) -> None:
    post(api, "/v1/batch", {"batch": [COMPLETE], "writeKey": CLIENT_KEY})

    (listed,) = read(api, messageId=COMPLETE["messageId"])
    ref = api.read("/v2/events")["items"][0]["ref"]
    alone = api.read(f"/v2/events/{ref}", form="track")
    assert listed == alone
    assert set(alone) == set(COMPLETE)
    times = {"receivedAt", "timestamp"}
    assert {name: alone[name] for name in alone if name not in times} == {
        name: COMPLETE[name] for name in COMPLETE if name not in times
    }
    sent_after = moment(COMPLETE["sentAt"]) - moment(COMPLETE["originalTimestamp"])
    assert moment(alone["timestamp"]) == moment(alone["receivedAt"]) - sent_after
    assert alone["receivedAt"] > "2026"


def test_call__of_each_kind__is_read_back_with_every_key_it_was_sent_with(
    database: Database, api: Api
) -> None:
    more = {
        "category": None,
        "integrations": {"All": False, "Mail": {"list": 7}},
        "context": {"library": {"name": "x", "version": "1"}, "active": False},
        "_metadata": {"bundled": [], "retryCount": 2},
        "channel": "server",
        "email": "ada@example.com",
        "version": 2,
        "sentAt": "2026-05-01T12:00:00.000Z",
        "timestamp": "2026-05-01T12:00:00.000Z",
        "nested": {"a": [1, None, {"b": ""}]},
    }
    for kind in CALLS:
        sent = CALLS[kind] | more | {"messageId": kind}

        send(api, kind, **sent, writeKey=CLIENT_KEY)

        (call,) = read(api, messageId=kind)
        assert call == sent | {
            "type": kind,
            "originalTimestamp": sent["timestamp"],
            "receivedAt": call["receivedAt"],
            "timestamp": call["receivedAt"],
        }


def test_call__with_as_little_as_it_takes__is_read_back_with_the_keys_of_all(
    on_sqlite: Database, api: Api
) -> None:
    send(api, "track", **CALLS["track"])

    (call,) = read(api)
    assert call == CALLS["track"] | {
        "type": "track",
        "messageId": call["messageId"],
        "integrations": None,
        "version": 0,
        "context": {},
        "sentAt": None,
        "receivedAt": call["receivedAt"],
        "timestamp": call["receivedAt"],
        "originalTimestamp": call["receivedAt"],
    }


def test_write_key__wherever_it_was__is_never_read_back(on_sqlite: Database, api: Api) -> None:
    post(api, "/v1/b", {"batch": [track(writeKey=CLIENT_KEY)], "writeKey": CLIENT_KEY}, {})

    event = Event.objects.get()
    assert CLIENT_KEY not in json.dumps([event.data, event.original])
    assert CLIENT_KEY not in json.dumps(read(api))


def test_event_of_another_family__in_the_form_of_a_call__has_the_keys_of_all(
    on_sqlite: Database, api: Api
) -> None:
    browser = api.create_browser()["ref"]
    api.send("VIEW", browser)
    api.identify(browser, ("EMAIL", "ada@example.com"))
    api.send("ADD", browser, ext={"sku": "s-1"})

    page, identify, added = read(api)

    assert [page["type"], identify["type"], added["type"]] == ["page", "identify", "track"]
    assert added["event"] == "ADD"
    assert added["properties"]["ext"] == {"sku": "s-1"}
    for call in (page, identify, added):
        assert call["anonymousId"] == browser
        assert call["timestamp"] == call["receivedAt"]
    assert api.get("/v2/events", basic=True, form="nonsense").status_code == 400


def test_batch__with_context_and_integrations_of_its_own__gives_them_to_each_call(
    database: Database, api: Api
) -> None:
    shared: dict[str, Any] = {
        "context": {"library": {"name": "analytics-go"}, "app": {"name": "shop"}, "ip": "0.0.0.0"},
        "integrations": {"All": True, "Mail": False},
        "messageId": "of-the-batch",
    }
    own: dict[str, Any] = {
        "context": {"app": {"version": "2"}, "ip": "192.0.2.1"},
        "integrations": {"Mail": True},
    }

    send_batch(
        api,
        track("bare"),
        track("own", **own),
        track("nulls", context=None, integrations=None),
        **shared,
    )

    bare, full, nulls = read(api)
    for call in (bare, nulls):
        assert call["context"] == shared["context"]
        assert call["integrations"] == shared["integrations"]
    assert full["context"] == {"library": {"name": "analytics-go"}, **own["context"]}
    assert full["integrations"] == {"All": True, "Mail": True}
    assert [call["messageId"] for call in (bare, full, nulls)] == ["bare", "own", "nulls"]


def test_batch__with_a_message_id_of_its_own__names_no_call_by_it(
    database: Database, api: Api
) -> None:
    calls = [{"type": "track", **CALLS["track"]} for _ in range(3)]

    for _ in range(2):
        send_batch(api, *calls, messageId="of-the-batch")

    ids = {call["messageId"] for call in read(api)}
    assert len(ids) == 6
    assert "of-the-batch" not in ids


def test_events_data__has_the_callers_attributes_and_the_page(database: Database, api: Api) -> None:
    context = {
        "page": {"path": "/shoes", "referrer": "https://search.example/", "title": "Shoes"},
        "campaign": {"name": "spring", "source": "letter", "medium": "email"},
        "locale": "de-DE",
        "userAgent": "Mozilla/5.0",
    }

    send(
        api,
        "track",
        **CALLS["track"] | {"event": "Product Added"},
        properties={
            "product_id": "p-1",
            "price": 139.99,
            "currency": "eur",
            "products": [{"sku": "s-1"}],
        },
        context=context,
    )

    (event,) = api.read("/v2/events")["items"]
    assert event["type"] == "Product Added"
    assert event["browserRef"] == "a-1"
    assert (
        event["arbitraryData"].items()
        >= {
            "price": 139.99,
            "products": [{"sku": "s-1"}],
            "page": "/shoes",
            "referrer": "https://search.example/",
            "utm_campaign": "spring",
            "utm_source": "letter",
            "utm_medium": "email",
        }.items()
    )
    (session,) = api.read("/v2/sessions")["items"]
    assert (session["language"], session["currency"]) == ("DE", "EUR")
    assert session["utm"] == {"campaign": "spring", "source": "letter", "medium": "email"}
    assert "warnings" not in event


# --- clock --------------------------------------------------------------------------------------


def ago(**delta: float) -> str:
    return (datetime.now(UTC) - timedelta(**delta)).isoformat(timespec="milliseconds")


def test_clock__that_is_a_day_ahead__is_corrected_by_sent_at(database: Database, api: Api) -> None:
    happened, sent_at, other = ago(days=-1, minutes=10), ago(days=-1), ago(days=7)
    sent = {
        "in the event": send_batch(api, track("m-0", timestamp=happened, sentAt=sent_at)),
        "in the batch": send_batch(api, track("m-1", timestamp=happened), sentAt=sent_at),
        "in both": send_batch(api, track("m-2", timestamp=happened, sentAt=sent_at), sentAt=other),
        "originalTimestamp": send_batch(
            api, track("m-3", timestamp=other, originalTimestamp=happened, sentAt=sent_at)
        ),
    }

    calls = read(api)

    age = moment(sent_at) - moment(happened)
    for name, call in zip(sent, calls, strict=True):
        assert moment(call["timestamp"]) == moment(call["receivedAt"]) - age, name
        assert (call["originalTimestamp"], call["sentAt"]) == (happened, sent_at), name
    assert not any(Event.objects.values_list("warnings", flat=True))


def test_clock__without_sent_at__is_believed(database: Database, api: Api) -> None:
    happened = [ago(days=400), ago(minutes=1), ago(hours=-20)]

    send_batch(api, *(track(f"m-{n}", timestamp=each) for n, each in enumerate(happened)))

    calls = read(api)
    assert [moment(call["timestamp"]) for call in calls] == [moment(each) for each in happened]
    assert [call["originalTimestamp"] for call in calls] == happened
    assert {call["sentAt"] for call in calls} == {None}


WRITTEN = {
    "2026-05-01T10:00:00.123Z": "2026-05-01T10:00:00.123Z",
    "2026-05-01T10:00:00.123+00:00": "2026-05-01T10:00:00.123Z",
    "2026-05-01T10:00:00.294519+00:00": "2026-05-01T10:00:00.294Z",
    "2026-05-01T10:00:00.294519123Z": "2026-05-01T10:00:00.294Z",
    "2026-05-01T12:00:00.5+02:00": "2026-05-01T10:00:00.500Z",
    "2026-05-01T05:30:00-04:30": "2026-05-01T10:00:00.000Z",
    "2026-05-01T10:00:00": "2026-05-01T10:00:00.000Z",
    "2026-05-01T10:00:00.123": "2026-05-01T10:00:00.123Z",
    "2026-05-01 10:00:00": "2026-05-01T10:00:00.000Z",
    "2026-05-01T10:00Z": "2026-05-01T10:00:00.000Z",
    "2026-05-01": "2026-05-01T00:00:00.000Z",
}


def test_timestamp__in_any_form_that_sdks_write__is_read(on_sqlite: Database, api: Api) -> None:
    send_batch(api, *(track(written, timestamp=written) for written in WRITTEN))

    calls = read(api)
    assert {call["originalTimestamp"]: call["timestamp"] for call in calls} == WRITTEN
    assert not any(Event.objects.values_list("warnings", flat=True))


GARBAGE: list[Any] = [
    "yesterday",
    "1777000000000",
    "2026-13-01T00:00:00Z",
    "2026-05-01T25:00:00Z",
    "\x00",
    "\ud800",
    "x" * 5000,
    1_777_000_000_000,
    -1.5,
    "0001-01-01T00:00:00+14:00",
    "1960-12-31T23:59:59Z",
    "9999-12-31T23:59:59Z",
    "+275760-09-13T00:00:00Z",
]


def test_timestamp__that_no_clock_says__is_the_time_of_receipt_and_flagged(
    database: Database, api: Api
) -> None:
    for garbage in GARBAGE:
        calls = [
            {**CALLS["track"], "type": "track", "timestamp": garbage},
            {**CALLS["track"], "type": "track", "originalTimestamp": garbage},
            {**CALLS["track"], "type": "track", "timestamp": garbage, "sentAt": "2026-05-01"},
        ]

        response = send_batch(api, *calls)

        assert response.json() == {"success": True}
        for call in read(api, limit=3):
            assert call["timestamp"] == call["receivedAt"], garbage
    assert Event.objects.count() == 3 * len(GARBAGE)
    assert all(Event.objects.values_list("warnings", flat=True))


def test_sent_at__that_cannot_be_read__leaves_the_timestamp_as_it_is_and_is_flagged(
    database: Database, api: Api
) -> None:
    happened = ago(hours=3)

    send_batch(api, track(timestamp=happened, sentAt="just now"))

    (call,) = read(api)
    assert moment(call["timestamp"]) == moment(happened)
    (warning,) = Event.objects.get().warnings
    assert "sentAt" in warning
    assert "just now" in warning


def test_received_at__of_the_sender__is_not_the_servers(on_sqlite: Database, api: Api) -> None:
    send(api, "track", **CALLS["track"], receivedAt="2015-12-12T19:11:01.266Z")

    (call,) = read(api)
    assert call["receivedAt"] == call["timestamp"]
    assert call["receivedAt"] > "2026"


# --- message ids --------------------------------------------------------------------------------


MESSAGE_IDS: dict[Any, str] = {
    f"node-next-1777000000000-{uuid.UUID(int=7)}": f"node-next-1777000000000-{uuid.UUID(int=7)}",
    "m" * 60: "m" * 60,
    "m" * 100: "m" * 100,
    "ü" * 100: "ü" * 100,
    4711: "4711",
    0: "0",
    " m-1 ": "m-1",
}


def test_message_id__up_to_100_characters__is_kept(database: Database, api: Api) -> None:
    calls = [{"type": "track", **CALLS["track"], "messageId": given} for given in MESSAGE_IDS]

    for _ in range(2):
        send_batch(api, *calls)

    assert [call["messageId"] for call in read(api)] == list(MESSAGE_IDS.values())
    assert [len(read(api, messageId=kept)) for kept in MESSAGE_IDS.values()] == [1] * len(calls)


def test_message_id__absent_or_blank__is_made_for_each_call(database: Database, api: Api) -> None:
    nothing: list[dict[str, Any]] = [
        {},
        {"messageId": None},
        {"messageId": ""},
        {"messageId": " "},
    ]
    calls = [{"type": "track", **CALLS["track"], **given} for given in nothing]

    send_batch(api, *calls, *calls)
    for call in calls:
        post(api, "/v1/track", call)

    ids = [each["messageId"] for each in read(api)]
    assert len(set(ids)) == 12
    assert all(len(each) <= 100 and each.strip() for each in ids)


def test_message__sent_again__changes_nothing(database: Database, api: Api) -> None:
    first = track(sentAt=ago(minutes=1), properties={"n": 1})
    again = track(sentAt=ago(minutes=0), properties={"n": 2}, _metadata={"retryCount": 1})

    answers = [
        send_batch(api, first, first),
        send_batch(api, again, track("m-2"), again),
        post(api, "/v1/t", again),
    ]

    assert [answer.json() for answer in answers] == [{"success": True}] * 3
    calls = read(api)
    assert [call["messageId"] for call in calls] == ["m-1", "m-2"]
    assert calls[0]["properties"] == {"n": 1}
    assert "_metadata" not in calls[0]
    (session,) = api.read("/v2/sessions")["items"]
    assert session["events"] == 2


def test_message_id__at_two_clients__names_two_events(database: Database, api: Api) -> None:
    ClientFactory.create(key=OTHER_KEY, token="another-token")

    for key in (CLIENT_KEY, OTHER_KEY):
        post(api, "/v1/batch", {"batch": [track()], "writeKey": key}, {})

    assert len(read(api)) == len(read(Api(OTHER_KEY, "another-token"))) == 1
    assert Event.objects.count() == Guest.objects.count() == 2


def test_message__sent_by_50_at_once__is_one_event(database: Database, api: Api) -> None:
    ready = threading.Barrier(50)
    statuses: list[int] = []

    def sends(n: int) -> None:
        body = {"batch": [track(sentAt=ago(seconds=n)), track(f"own-{n}")]}
        ready.wait(timeout=60)
        statuses.append(post(Api(), "/v1/batch", body).status_code)

    in_threads(50, sends)

    assert statuses == [200] * 50
    assert InboxEntry.objects.count() == 0
    assert Event.objects.filter(message_id="m-1").count() == 1
    assert Event.objects.count() == 51
    assert Guest.objects.count() == 1


def in_threads(count: int, work: Callable[[int], object]) -> None:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        # Whatever it is, the test must hear of it from the thread.
        except BaseException as error:  # noqa: BLE001
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


# --- limits -------------------------------------------------------------------------------------


def of_size(size: int, message_id: str = "m-1") -> bytes:
    """Write a track call of exactly this many bytes."""
    empty = json.dumps(track(message_id, properties={"fill": ""})).encode()
    return empty.replace(b'"fill": ""', b'"fill": "%s"' % (b"x" * (size - len(empty))))


def test_call__of_32_kib__is_taken_and_one_byte_more_is_set_aside(
    on_sqlite: Database, api: Api
) -> None:
    sizes = {"fits": 32_768, "over": 32_769}
    calls = [of_size(size, name) for name, size in sizes.items()]

    batch = post(api, "/v1/batch", b'{"batch":[' + b",".join(calls) + b"]}")
    alone = [post(api, "/v1/track", of_size(32_768 + n, f"alone-{n}")) for n in (0, 1)]

    assert [each["messageId"] for each in batch.json().get("rejected", [])] in (["over"], [""])
    assert batch.json()["rejected"][0]["code"] == "call_too_large"
    assert [response.headers.get("X-Tracking-Rejected") for response in alone] == [None, "1"]
    assert [call["messageId"] for call in read(api)] == ["fits", "alone-0"]
    assert QuarantinedMessage.objects.count() == 2


def test_call__alone_over_64_kib__is_a_400(on_sqlite: Database, api: Api) -> None:
    packed = gzip.compress(b" " * 40_000 + of_size(30_000))

    plain = post(api, "/v1/track", of_size(65_537))
    inflated = post(api, "/v1/track", packed, BASIC | {"Content-Encoding": "gzip"})

    assert refusal(plain)[0] == refusal(inflated)[0] == 400
    assert Event.objects.count() + QuarantinedMessage.objects.count() == 0


@pytest.mark.parametrize(
    ("count", "size"), [(16, 31_700), (100, 32_768), (1, 500)], ids=["508 KB", "3.2 MB", "small"]
)
def test_batch__as_large_as_sdks_make_them__is_taken(
    on_sqlite: Database, api: Api, count: int, size: int
) -> None:
    calls = b",".join(of_size(size, f"m-{n}") for n in range(count))

    response = post(api, "/v1/batch", b'{"batch":[' + calls + b"]}")

    assert response.json() == {"success": True}
    assert Event.objects.count() == count


def test_batch__over_4_mib__is_a_400(on_sqlite: Database, api: Api) -> None:
    calls = b",".join(of_size(32_768, f"m-{n}") for n in range(129))

    response = post(api, "/v1/batch", b'{"batch":[' + calls + b"]}")

    assert refusal(response)[0] == 400
    assert Event.objects.count() + QuarantinedMessage.objects.count() == 0


def test_batch__that_says_more_for_all_calls_than_one_may_have__is_a_400(
    on_sqlite: Database, api: Api
) -> None:
    context = {"fill": "x" * 32_700}

    fits = send_batch(api, track("m-1"), context=context)
    over = send_batch(api, track("m-2"), context=context, integrations={"fill": "x" * 100})

    assert fits.json() == {"success": True}
    assert refusal(over) == (400, "envelope_invalid")
    (call,) = read(api)
    assert call["context"] == context


def test_batch__of_more_calls_than_allowed__sets_the_rest_aside(
    on_sqlite: Database, api: Api, settings: Any
) -> None:
    settings.TRACKING = settings.TRACKING | {"MAX_BATCH_EVENTS": 20}

    response = send_batch(api, *(track(f"m-{n}") for n in range(150)))

    rejected = response.json()["rejected"]
    assert [verdict["index"] for verdict in rejected] == list(range(20, 120))
    assert {verdict["code"] for verdict in rejected} == {"too_many_calls"}
    assert response["X-Tracking-Rejected"] == "130"
    assert Event.objects.count() == 20
    assert QuarantinedMessage.objects.count() == 130


def test_batch__without_calls__is_taken_and_is_nothing(on_sqlite: Database, api: Api) -> None:
    response = send_batch(api)

    assert response.json() == {"success": True}
    assert Event.objects.count() + InboxEntry.objects.count() == 0


def test_call__at_a_limit__is_taken(database: Database, api: Api) -> None:
    limits: dict[str, Any] = {
        "userId": "u" * 256,
        "anonymousId": "a" * 256,
        "event": "é" * 200,
        "properties": {"k" * 150: 1},
    }
    for name, value in limits.items():
        send(api, "track", **CALLS["track"] | {name: value})

    assert [call[name] for call, name in zip(read(api), limits, strict=True)] == [*limits.values()]


# --- replay -------------------------------------------------------------------------------------


def test_replay__of_a_call_of_a_batch__keeps_what_the_batch_said_for_it(
    database: Database, api: Api, settings: Any
) -> None:
    happened, sent_at = ago(days=-1, minutes=10), ago(days=-1)
    large = track("large", timestamp=happened, properties={"fill": "x" * 2000})
    shared = {"context": {"app": {"name": "shop"}}, "integrations": {"Mail": False}}
    allowed = settings.TRACKING
    settings.TRACKING = allowed | {"MAX_EVENT_BYTES": 1000}
    response = send_batch(api, track("small"), large, **shared, sentAt=sent_at, messageId="b")

    settings.TRACKING = allowed
    replays = [quarantine.replay(QuarantinedMessage.objects.all()) for _ in range(2)]
    inbox.announce()

    assert response["X-Tracking-Rejected"] == "1"
    assert replays == [1, 0]
    call = next(each for each in read(api) if each["messageId"] == "large")
    assert call["context"] == shared["context"]
    assert call["integrations"] == shared["integrations"]
    assert call["sentAt"] == sent_at
    age = moment(sent_at) - moment(happened)
    assert moment(call["timestamp"]) == moment(call["receivedAt"]) - age
    assert Event.objects.count() == 2
    assert InboxEntry.objects.count() == 0
    assert QuarantinedMessage.objects.get().status == QuarantinedMessage.Status.REPLAYED


def test_replay__of_a_call_sent_alone__still_knows_its_type(
    on_sqlite: Database, api: Api, settings: Any
) -> None:
    allowed = settings.TRACKING
    settings.TRACKING = allowed | {"MAX_EVENT_BYTES": 1000}
    post(api, "/v1/p", {"anonymousId": "a-1", "properties": {"fill": "x" * 1500}})

    settings.TRACKING = allowed
    quarantine.replay(QuarantinedMessage.objects.all())
    inbox.announce()

    (call,) = read(api)
    assert (call["type"], call["anonymousId"]) == ("page", "a-1")


def test_replay__while_the_cause_is_there__sets_aside_again_under_the_same_name(
    on_sqlite: Database, api: Api
) -> None:
    send_batch(api, track(), {"type": "track", "userId": "u"}, 7)
    rows = list(QuarantinedMessage.objects.values_list("entry_ref", "index"))

    quarantine.replay(QuarantinedMessage.objects.all())
    inbox.announce()

    held = QuarantinedMessage.objects.all()
    assert list(held.values_list("entry_ref", "index")) == rows
    assert {row.status for row in held} == {QuarantinedMessage.Status.HELD}
    assert {row.attempts for row in held} == {2}
    assert [row.code for row in held.order_by("index")] == ["event_missing", "not_an_object"]
    assert Event.objects.count() == 1


# --- groups and numeric ids ---------------------------------------------------------------------


def test_group__without_a_user__is_an_event_without_a_guest(database: Database, api: Api) -> None:
    group = {"type": "group", "groupId": 42, "traits": {"name": "Acme"}}
    nobodies: list[dict[str, Any]] = [
        {},
        {"userId": None, "anonymousId": None},
        {"userId": "", "anonymousId": ""},
    ]

    for nobody in nobodies:
        assert send_batch(api, group | nobody).json() == {"success": True}

    for event in api.read("/v2/events")["items"]:
        assert (event["type"], event["browserRef"], event["sessionRef"]) == ("GROUP", None, None)
        assert event["arbitraryData"].items() >= {"groupId": "42", "name": "Acme"}.items()
    assert list(Event.objects.values_list("guest", flat=True)) == [None] * 3
    assert Guest.objects.count() == 0
    assert [(call["groupId"], call["traits"]) for call in read(api)] == [
        ("42", {"name": "Acme"})
    ] * 3


def test_ids__that_are_numbers__are_kept_as_texts(database: Database, api: Api) -> None:
    numbers: dict[str, Any] = {"7": 7, "8": 8.0, "9.5": 9.5, "u-10": " u-10 ", "0.5": 0.5}
    for kept, given in numbers.items():
        send(api, "identify", userId=given, anonymousId=given)
        send(api, "group", userId=given, groupId=given)
        send(api, "alias", userId=given, previousId=given)
        send(api, "track", event="x", userId=kept)

        (group, *_) = api.read("/v2/events", type="GROUP")["items"]
        (identity, *_) = api.read("/v2/events", type="IDENTITY")["items"]
        assert group["arbitraryData"]["groupId"] == kept
        assert identity["browserRef"] == kept
        guest = Identifier.objects.get(provider="USER_ID", value=kept).guest
        document = api.read(f"/v2.1/guests/{guest.ref}")
        assert document["identifiers"] == [{"provider": "USER_ID", "id": kept, "expiryDate": None}]
        assert Event.objects.filter(guest=guest).count() == 4
    assert Guest.objects.count() == len(numbers)


# --- the anonymousId is a browser id ------------------------------------------------------------


def test_anonymous_id__as_a_browser_id__runs_flows_for_the_same_guest_in_the_same_visit(
    database: Database, api: Api
) -> None:
    seen_it = [{"event": "Product Viewed", "at_least": 1, "within": "session"}]
    make_flow(api)
    make_flow(api, "Seen shoes", audience={"all": seen_it})
    devices = [
        "23adfd82-aa0f-45a7-a756-24f2a7a4c895",
        "23ADFD82BB0F45A7A75624F2A7A4C895",
        "android:7f/3 é",
        "a",
    ]
    for device in devices:
        traits = {"firstName": f"Ada {device}"}
        send(api, "identify", userId=device, anonymousId=device, traits=traits)
        before = api.json(api.call_flows("seen_shoes", browserId=device))
        send(api, "track", event="Product Viewed", anonymousId=device)
        greeted = api.json(api.call_flows("hero_banner", browserId=device))
        after = api.json(api.call_flows("seen_shoes", browserId=device))

        assert before == {"message": "No flow executed"}
        assert greeted == after == {"title": f"Hello Ada {device}"}
        events = api.read("/v2/events", browserRef=device)["items"]
        assert len(events) == 4
        assert len({event["sessionRef"] for event in events}) == 1
        guest = Identifier.objects.get(provider="USER_ID", value=device).guest
        runs = api.read("/v2/events", type="TRACKING", browserRef=device)["items"]
        assert [run["arbitraryData"]["flowExecution"]["guestRef"] for run in runs] == [
            str(guest.ref)
        ] * 2
    assert Guest.objects.count() == len(devices)


def test_anonymous_id__once_known__is_a_browser_id_at_the_stream_door(
    database: Database, api: Api
) -> None:
    for n, device in enumerate(["23adfd82-aa0f-45a7-a756-24f2a7a4c895", "android:7f3"]):
        unknown = api.json(api.send("VIEW", device))
        send(api, "track", event="Opened", anonymousId=device)

        known = api.json(api.send("VIEW", device))
        api.identify(device, ("EMAIL", f"ada{n}@example.com"), firstname="Ada")
        shown = api.json(api.show(device))
        send(api, "identify", userId=f"u-{n}", anonymousId=device)

        assert (unknown["status"], known["status"]) == ("NOT_FOUND", "OK")
        events = api.read("/v2/events", browserRef=device)["items"]
        assert [event["type"] for event in events] == ["IDENTITY", "IDENTITY", "VIEW", "Opened"]
        assert len({event["sessionRef"] for event in events}) == 1
        guest = api.read(f"/v2.1/guests/{shown['customer']['ref']}")
        assert (guest["guestType"], guest["firstName"]) == ("customer", "Ada")
        assert {(item["provider"], item["id"]) for item in guest["identifiers"]} == {
            ("EMAIL", f"ada{n}@example.com"),
            ("USER_ID", f"u-{n}"),
        }
    assert Guest.objects.count() == 2


def test_browser_id__from_browser_create__is_an_anonymous_id(database: Database, api: Api) -> None:
    browser = api.create_browser()

    send(api, "track", event="Opened", anonymousId=browser["ref"].upper())

    (event,) = api.read("/v2/events", guestRef=browser["customer_ref"])["items"]
    assert event["browserRef"] == browser["ref"]
    assert Guest.objects.count() == 1


# --- browsers -----------------------------------------------------------------------------------


def test_preflight__of_every_path__grants_what_sdks_send_and_asks_for_no_key(
    on_sqlite: Database, api: Api
) -> None:
    for path, _ in PATHS:
        for asked in ("authorization", "authorization,x-retry-count", "content-type"):
            response = api.http.options(
                path,
                headers={
                    "Origin": ORIGIN,
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": asked,
                },
            )

            assert response.status_code == 204
            assert response["Access-Control-Allow-Origin"] == "*"
            allowed = response["Access-Control-Allow-Headers"].split(", ")
            assert set(asked.split(",")) <= set(allowed)
            assert "*" not in allowed
            assert "POST" in response["Access-Control-Allow-Methods"]
            assert int(response["Access-Control-Max-Age"]) > 0


def test_call__of_a_page_without_a_preflight__can_read_its_answer(
    on_sqlite: Database, api: Api
) -> None:
    page = {"Origin": ORIGIN}
    for path, kind in PATHS:
        bodies = [named(kind, writeKey=key) for key in (CLIENT_KEY, "nobodys", None)]

        answers = [post(api, path, body, page, content_type="text/plain") for body in bodies]

        assert [response.status_code for response in answers] == [200, 401, 400]
        for response in answers:
            assert response["Access-Control-Allow-Origin"] == "*"
            exposed = response["Access-Control-Expose-Headers"].split(", ")
            assert {"retry-after", "x-tracking-rejected"} <= set(exposed)
            assert "Access-Control-Allow-Credentials" not in response


@pytest.mark.parametrize(
    ("origin", "is_listed"),
    [
        (ORIGIN, True),
        ("https://shop.example:8443", False),
        ("http://shop.example", False),
        ("https://shop.example.evil.com", False),
        ("https://SHOP.example", False),
        ("null", False),
    ],
)
def test_origin__that_the_client_does_not_list__is_a_400_that_its_page_cannot_read(
    on_sqlite: Database, api: Api, shop: Client, origin: str, is_listed: bool
) -> None:
    shop.allowed_origins = [ORIGIN]
    shop.save()
    page = {"Origin": origin}

    preflight = api.http.options("/v1/t", headers=page)
    by_body = post(api, "/v1/t", CALLS["track"] | {"writeKey": CLIENT_KEY}, page)
    by_header = post(api, "/v1/b", {"batch": [track()]}, BASIC | page)
    settings = api.http.get(f"/v1/projects/{CLIENT_KEY}/settings", headers=page)
    server = post(api, "/v1/batch", {"batch": [track("by-a-server")]})

    expected = origin if is_listed else None
    for response in (preflight, by_body, by_header, settings):
        assert response.headers.get("Access-Control-Allow-Origin") == expected
        assert "Origin" in response["Vary"]
    if not is_listed:
        for response in (by_body, by_header, settings):
            assert refusal(response) == (400, "origin_refused")
    assert server.status_code == 200
    assert Event.objects.count() == (3 if is_listed else 1)


@pytest.mark.parametrize("part", ["store", "key"])
@pytest.mark.parametrize("path", ["/v1/t", "/v1/batch"])
def test_database__that_is_gone__is_a_503_without_cors_headers(
    on_sqlite: Database, api: Api, monkeypatch: pytest.MonkeyPatch, path: str, part: str
) -> None:
    def down(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("the database is away")

    module, name = (inbox, "accept") if part == "store" else (clients, "by_key")
    monkeypatch.setattr(module, name, down)

    response = post(api, path, {"batch": [track()]}, BASIC | {"Origin": ORIGIN})

    assert refusal(response)[0] == 503
    assert 0 < int(response["Retry-After"]) < 30
    assert not [header for header in response.headers if header.startswith("Access-Control")]


def test_settings__of_a_known_key__send_the_sdks_here_and_nowhere_else(
    on_sqlite: Database, api: Api
) -> None:
    path = f"/v1/projects/{CLIENT_KEY}/settings"
    port = "track.shop.example:8443"
    answers = {
        (port, "http"): api.http.get(path, headers={"Origin": ORIGIN, "Host": port}),
        ("testserver", "https"): api.http.get(path, headers={"Origin": ORIGIN}, secure=True),
        ("testserver", "http"): api.http.get(f"{path}/", headers={"Origin": ORIGIN}),
    }

    for (host, protocol), response in answers.items():
        assert response.status_code == 200
        assert response["Access-Control-Allow-Origin"] == "*"
        document = response.json()
        place = {"apiKey": CLIENT_KEY, "apiHost": f"{host}/v1", "protocol": protocol}
        assert document["integrations"]["Customer.io Data Pipelines"] == place
        assert document["integrations"]["Segment.io"] == place
        assert document["metrics"] == {"sampleRate": 0}


def test_settings__of_an_unknown_key__are_a_404_that_a_page_can_read(
    on_sqlite: Database, api: Api
) -> None:
    for key in ("nobodys", API_TOKEN, "undefined", "k" * 5000, "%FF"):
        response = api.http.get(f"/v1/projects/{key}/settings", headers={"Origin": ORIGIN})

        assert refusal(response) == (404, "write_key_unknown")
        assert response["Access-Control-Allow-Origin"] == "*"
        assert "integrations" not in response.json()


# --- the SDKs' own scripts ----------------------------------------------------------------------

SCRIPTS = [
    (
        "CUSTOMERIO_SDK_FOLDER",
        "/v1/analytics-js/snippet/{key}/analytics.min.js",
        "/v1/analytics-js/{name}",
    ),
    (
        "SEGMENT_SDK_FOLDER",
        "/analytics.js/v1/{key}/analytics.min.js",
        "/analytics-next/bundles/{name}",
    ),
]


@pytest.fixture
def sdk_folder(tmp_path: Path) -> Path:
    """A folder as it lies in an SDK's package, with a file beside it that nobody may read."""
    folder = tmp_path / "umd"
    folder.mkdir()
    (folder / "standalone.js").write_text("start()")
    (folder / "870.bundle.0f1e.js").write_text("part()")
    (folder / "notes.txt").write_text("notes")
    (tmp_path / "secret.js").write_text("secret()")
    return folder


@pytest.mark.parametrize(("setting", "start", "part"), SCRIPTS, ids=["Customer.io", "Segment"])
def test_scripts__of_a_folder_that_the_site_names__are_served_to_its_pages(
    on_sqlite: Database,
    api: Api,
    settings: Any,
    sdk_folder: Path,
    setting: str,
    start: str,
    part: str,
) -> None:
    settings.TRACKING = settings.TRACKING | {setting: str(sdk_folder)}
    wanted = {
        start.format(key=CLIENT_KEY): b"start()",
        part.format(name="870.bundle.0f1e.js"): b"part()",
    }

    for path, script in wanted.items():
        response = api.http.get(path, headers={"Origin": ORIGIN})

        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/javascript")
        assert response["Access-Control-Allow-Origin"] == "*"
        assert b"".join(response.streaming_content) == script  # type: ignore[attr-defined]
        response.close()


@pytest.mark.parametrize(("setting", "start", "part"), SCRIPTS, ids=["Customer.io", "Segment"])
def test_scripts__outside_of_the_folder_or_for_unknown_keys__are_not_served(
    on_sqlite: Database,
    api: Api,
    settings: Any,
    sdk_folder: Path,
    setting: str,
    start: str,
    part: str,
) -> None:
    names = [
        "nothing.js",
        "notes.txt",
        "..",
        "../secret.js",
        "..%2Fsecret.js",
        "..%5Csecret.js",
        "%2e%2e%2fsecret.js",
        "*.js",
        "standalone.js%00",
    ]
    off = [start.format(key=CLIENT_KEY), part.format(name="standalone.js")]
    on = [start.format(key="nobodys"), *(part.format(name=name) for name in names)]

    without = [api.http.get(path) for path in off]
    settings.TRACKING = settings.TRACKING | {setting: str(sdk_folder)}
    within = [api.http.get(path) for path in on]

    assert [response.status_code for response in without] == [404, 404]
    for path, response in zip(on, within, strict=True):
        assert response.status_code in (400, 404), path
        assert b"secret()" not in response.content
    for response in (*without, *within[:3]):
        refusal(response)
