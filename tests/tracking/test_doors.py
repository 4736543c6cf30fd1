"""What the doors do with what clients really send: odd values, limits, origins, keys."""

import base64
import gzip
import io
import json
import zlib
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import OperationalError, connections

from tests.api import Api
from tests.conftest import Database
from tests.factories import ClientFactory
from tests.test_openapi import doors
from tracking import clients, inbox
from tracking.models import Client, Event, Guest, InboxEntry, QuarantinedMessage

pytestmark = pytest.mark.django_db(transaction=True)

# What a value may be -> the code it is set aside with (None: it is stored).
ODD_VALUES: dict[str, tuple[bytes, str | None]] = {
    "nul in a value": (rb'{"a":"x\u0000y"}', None),
    "nul in a key": (rb'{"x\u0000y":"a"}', None),
    "lone surrogate": (rb'{"a":"\ud800"}', None),
    "NaN": (b'{"a":NaN}', None),
    "Infinity": (b'{"a":-Infinity}', None),
    "1e400": (b'{"a":1e400}', None),
    "2^63": (b'{"a":9223372036854775808}', "integer_too_large"),
    "2^64": (b'{"a":18446744073709551616}', "integer_too_large"),
    "5,000 digits": (b'{"a":' + b"9" * 5000 + b"}", "integer_too_large"),
    "duplicate keys": (b'{"a":1,"a":2}', None),
    "depth 40": (b'{"a":' * 40 + b"1" + b"}" * 40, "too_deep"),
    "minus zero": (b'{"a":-0.0}', None),
    "25 digits": (b'{"a":0.1234567890123456789012345}', None),
    "a surrogate pair": (rb'{"a":"\ud83d\ude00"}', None),
    "emoji and combining": ('{"a":"👩‍👩‍👧 é"}'.encode(), None),
    "right to left": ('{"a":"\u202eevil"}'.encode(), None),
    "1,001 keys": (
        json.dumps({f"k{n}": n for n in range(1001)}).encode(),
        "too_many_keys",
    ),
    "10,001 values": (b'{"a":[' + b"1," * 10_001 + b"1]}", "too_many_nodes"),
    "a long key": (b'{"' + b"k" * 200 + b'":1}', "key_too_long"),
    "52 attributes": (json.dumps({f"k{n}": n for n in range(52)}).encode(), "too_many_ext_keys"),
    "51 with pageVariantId": (
        json.dumps({f"k{n}": n for n in range(50)} | {"pageVariantId": "v"}).encode(),
        None,
    ),
    "html": (b'{"a":"<script>alert(1)</script>"}', None),
    "sql": (b"""{"a":"'; DROP TABLE tracking_event; --"}""", None),
}
# Where a value may stand -> a body there.
ALONE: dict[str, bytes] = {
    "/v1.2/events": b'{"type":"VIEW","browser_id":"BROWSER","client_key":"KEY","ext":ODD}',
    "/v2/events": b'{"type":"VIEW","browser_id":"BROWSER","ext":ODD}',
    "/v2/callFlows": b'{"friendlyId":"x","clientKey":"KEY","browserId":"BROWSER","params":ODD}',
    "/v1/track": b'{"event":"x","anonymousId":"BROWSER","writeKey":"KEY","properties":ODD}',
    "/v1/batch": b'{"batch":[{"type":"identify","anonymousId":"BROWSER","traits":ODD}],'
    b'"context":ODD,"writeKey":"KEY"}',
}
# Bodies that nobody can read: refused whole, nothing stored.
UNREADABLE: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "a text": b'"VIEW"',
    "null": b"null",
    "invalid UTF-8": b'{"type":"\xff"}',
    "overlong UTF-8": b'{"type":"\xc0\xaf"}',
    "UTF-16": '{"type":"VIEW"}'.encode("utf-16"),
    "surrogate bytes": b'{"type":"\xed\xa0\x80"}',
    "depth 1,100": b'{"a":' * 1100 + b"1" + b"}" * 1100,
    "depth 20,000": b"[" * 20_000,
    "trailing": b'{"type":"VIEW"} {}',
}


@pytest.mark.parametrize("name", ODD_VALUES)
def test_odd_value__in_a_batch__costs_none_of_its_neighbours(
    database: Database, api: Api, name: str
) -> None:
    ext, code = ODD_VALUES[name]
    browser = api.create_browser()["ref"].encode()
    event = b'{"type":"VIEW","browserId":"%s","messageId":"m-%d","ext":%s}'
    events = [event % (browser, n, ext if n == 50 else b'{"n":1}') for n in range(100)]

    response = api.post("/v2/events", b'{"events":[' + b",".join(events) + b"]}", basic=True)

    answer = api.json(response)
    held = list(QuarantinedMessage.objects.values_list("code", flat=True))
    assert held == ([code] if code else [])
    assert Event.objects.count() == 100 - len(held)
    assert answer["rejected"] == len(held)
    assert response.headers.get("X-Tracking-Rejected") == ("1" if code else None)
    assert api.get("/v2/events", basic=True, limit=100).status_code == 200


@pytest.mark.parametrize("name", ODD_VALUES)
@pytest.mark.parametrize("path", ALONE)
def test_odd_value__alone__is_stored_or_refused_in_words(
    on_sqlite: Database, api: Api, path: str, name: str
) -> None:
    value, _ = ODD_VALUES[name]
    browser = api.create_browser()["ref"].encode()
    body = ALONE[path].replace(b"KEY", api.client_key.encode()).replace(b"BROWSER", browser)
    body = body.replace(b"ODD", value)

    response = api.post(path, body, basic=path == "/v2/events")

    assert response.status_code in (200, 400)
    if path == "/v1.2/events" and response.status_code == 200:
        held = QuarantinedMessage.objects.count()
        assert response.headers.get("X-Tracking-Rejected", "0") == str(held)
    if response.status_code == 400:
        assert response.json()["message"]
        assert InboxEntry.objects.count() + Event.objects.count() == 0


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize(
    ("path", "basic"),
    [
        ("/v1.2/events", False),
        ("/v2/events", True),
        ("/v2/callFlows", False),
        ("/v2.1/guests", True),
        ("/v2/flowDefinitions", True),
    ],
)
def test_unreadable_body__at_any_door__is_a_400_in_json_and_stores_nothing(
    on_sqlite: Database, api: Api, path: str, basic: bool, name: str
) -> None:
    response = api.post(path, UNREADABLE[name], basic=basic, HTTP_ORIGIN="https://shop.example")

    assert response.status_code == 400
    assert response["Content-Type"] == "application/json"
    assert set(response.json()) >= {"status", "code", "message", "developerMessage", "moreInfoUrl"}
    assert response["Access-Control-Allow-Origin"] == "*"
    assert InboxEntry.objects.count() + Event.objects.count() == 0


def test_event__with_a_reserved_or_missing_type__is_refused(on_sqlite: Database, api: Api) -> None:
    browser = api.create_browser()["ref"]

    for type_ in ("TRACKING", "", " "):
        response = api.send(type_, browser)
        assert response.status_code == 400
        assert "type" in response.json()["message"] or "TRACKING" in response.json()["message"]
    assert api.post("/v1.2/events", {"browser_id": browser}).status_code == 400


def test_lone_surrogate__in_a_field_of_ours__is_replaced_and_said(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()["ref"]

    response = api.send("VIEW", browser, page="a\ud800b", pos="\ud800")

    event = api.read(f"/v2/events/{api.json(response)['ref']}")
    assert event["arbitraryData"]["page"] == "a\ufffdb"
    assert len(event["warnings"]) == 2


def test_lone_surrogate__in_what_a_refusal_quotes__is_a_400_in_json(
    on_sqlite: Database, api: Api
) -> None:
    stated = [{"provider": "EMAIL", "id": "a", "expiry_date": "\ud800"}]

    response = api.post(
        "/v1.2/events", {"type": "X", "client_key": api.client_key, "identifiers": stated}
    )

    assert response.status_code == 400
    assert "expiry_date" in response.json()["message"]


def test_event_by_get__raw_or_as_jsonp__is_stored(on_sqlite: Database, api: Api) -> None:
    browser = api.create_browser()["ref"]
    message = json.dumps({"type": "VIEW", "browser_id": browser, "channel": "WEB"})

    plain = api.get("/v1.2/event/create.json", client_key=api.client_key, message=message)
    script = api.get(
        "/v1.2/event/create.json", client_key=api.client_key, message=message, callback="jsonp1"
    )
    evil = api.get(
        "/v1.2/event/create.json", client_key=api.client_key, message=message, callback="a(b)//"
    )

    assert plain.json()["status"] == "OK"
    assert script.content.startswith(b"jsonp1({") and script.content.endswith(b"})")
    assert script["Content-Type"].startswith("application/javascript")
    assert evil.status_code == 400
    assert Event.objects.count() == 2


def test_body__over_the_limit_of_one_event__is_refused_unread(
    on_sqlite: Database, api: Api
) -> None:
    browser = api.create_browser()["ref"]

    response = api.send("VIEW", browser, ext={"a": "x" * 40_000})

    assert response.status_code == 413
    assert "32768 bytes" in response.json()["message"]
    assert Event.objects.count() == 0


def test_gzip__is_inflated_within_its_limits(on_sqlite: Database, api: Api) -> None:
    browser = api.create_browser()["ref"]
    event = json.dumps(
        {"type": "VIEW", "browser_id": browser, "client_key": api.client_key}
    ).encode()
    bodies = {
        "good": (gzip.compress(event), 200),
        "bomb": (gzip.compress(b" " * 10_000_000), 413),
        "truncated": (gzip.compress(event)[:-9], 400),
        "no gzip": (event, 400),
        "trailing": (gzip.compress(event) + b"more", 400),
    }

    for name, (body, status) in bodies.items():
        response = api.post("/v1.2/events", body, HTTP_CONTENT_ENCODING="gzip")
        assert response.status_code == status, name
    brotli = api.post("/v1.2/events", zlib.compress(event), HTTP_CONTENT_ENCODING="br")

    assert brotli.status_code == 415
    assert Event.objects.count() == 1


def test_gzip__of_events_that_repeat_each_other__is_no_bomb(on_sqlite: Database, api: Api) -> None:
    call = {"type": "track", "userId": "u1", "event": "Read", "properties": {"text": "word " * 900}}
    body = json.dumps({"batch": [call] * 100, "writeKey": api.client_key}).encode()
    packed = gzip.compress(body)
    assert len(body) > 100 * len(packed)

    response = api.post("/v1/batch", packed, HTTP_CONTENT_ENCODING="gzip")

    assert api.json(response) == {"success": True}
    assert Event.objects.count() == 100


@pytest.mark.parametrize("path", ["/v1.2/events", "/v2/callFlows", "/v1/t"])
def test_body__that_ends_before_its_length__is_refused_though_it_is_json(
    on_sqlite: Database, api: Api, path: str
) -> None:
    event = {"type": "VIEW", "browser_id": api.create_browser()["ref"]}
    body = json.dumps(event | {"client_key": api.client_key}).encode()

    sent: dict[str, Any] = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": "500"}

    response = api.http.generic("POST", path, body, **sent)

    assert response.status_code == 400
    assert "ends too early" in response.json()["message"]
    assert InboxEntry.objects.count() + Event.objects.count() == 0


@pytest.mark.parametrize("error", [OSError, ValueError], ids=["a lost connection", "bad chunks"])
def test_body__that_the_server_fails_to_read__is_a_400(
    on_sqlite: Database, api: Api, error: type[Exception]
) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise error

    sent: dict[str, Any] = {"wsgi.input": Broken(), "wsgi.input_terminated": True}

    counted = api.post("/v1.2/events", b"{}", **sent)
    chunked = api.post("/v1.2/events", b"{}", HTTP_TRANSFER_ENCODING="chunked", **sent)

    for response in (counted, chunked):
        assert response.status_code == 400
        assert response.json()["error"] == "body_incomplete"


def test_batch__over_2500_events__is_refused_whole(on_sqlite: Database, api: Api) -> None:
    response = api.batch(*({"type": "VIEW"} for _ in range(2501)))

    assert response.status_code == 400
    assert "2501" in response.json()["message"]
    assert InboxEntry.objects.count() == 0


def test_batch__in_strict_mode__is_refused_for_one_bad_event(on_sqlite: Database, api: Api) -> None:
    browser = api.create_browser()["ref"]
    events = [{"type": "VIEW", "browserId": browser}, {"type": "VIEW"}]

    response = api.post("/v2/events", {"events": events}, basic=True, HTTP_X_STRICT_MODE="1")

    assert response.status_code == 400
    assert Event.objects.count() == 0


def test_server_door__without_good_credentials__answers_401_in_json(
    on_sqlite: Database, api: Api
) -> None:
    good = (api.client_key, api.api_token)
    wrong = [None, ("", ""), (good[0], "wrong"), ("wrong", good[1]), (good[0], good[0])]

    for path in ("/v2/events", "/v2/sessions", "/v2.1/guests", "/v2/flowDefinitions"):
        for credentials in wrong:
            headers = {}
            if credentials:
                text = ":".join(credentials).encode()
                headers["Authorization"] = "Basic " + base64.b64encode(text).decode()
            response = api.http.get(path, headers=headers)
            assert response.status_code == 401, (path, credentials)
            assert response["WWW-Authenticate"].startswith("Basic")
            assert response.json()["status"] == 401


def test_client__reads_nothing_of_another_client(on_sqlite: Database, api: Api) -> None:
    browser = api.create_browser()
    event = api.json(api.send("VIEW", browser["ref"]))
    ClientFactory.create(name="Other", key="the-other-clients-key", token="the-other-ones-token")
    other = Api("the-other-clients-key", "the-other-ones-token")

    assert other.read("/v2/events")["items"] == []
    for path in (f"/v2/events/{event['ref']}", f"/v2.1/guests/{browser['customer_ref']}"):
        assert other.get(path, basic=True).status_code == 404
    assert other.json(other.send("VIEW", browser["ref"]))["status"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("https://shop.example", True),
        ("https://shop.example:8443", False),
        ("http://shop.example", False),
        ("https://shop.example.evil.com", False),
        ("https://evilshop.example", False),
        ("https://SHOP.example", False),
        ("null", False),
    ],
)
def test_cross_origin_call__is_answered_for_listed_origins_only(
    on_sqlite: Database, api: Api, shop: Client, origin: str, is_allowed: bool
) -> None:
    browser = api.create_browser()["ref"]
    shop.allowed_origins = ["https://shop.example"]
    shop.save()
    asked = "content-type,x-client-software-id,x-library-version,x-sitecore-contextid"

    preflight = api.http.options(
        "/v1.2/events",
        headers={"Origin": origin, "Access-Control-Request-Headers": asked},
    )
    body = json.dumps({"type": "VIEW", "browser_id": browser, "client_key": api.client_key})
    sent = api.post("/v1.2/events", body.encode(), HTTP_ORIGIN=origin)
    bad = api.post("/v1.2/events", {"client_key": api.client_key, "type": ""}, HTTP_ORIGIN=origin)

    expected = origin if is_allowed else None
    for response in (preflight, sent, bad):
        assert response.headers.get("Access-Control-Allow-Origin") == expected
        assert "Access-Control-Allow-Credentials" not in response.headers
    assert preflight.status_code == 204
    assert set(asked.split(",")) <= set(preflight["Access-Control-Allow-Headers"].split(", "))
    assert "POST" in preflight["Access-Control-Allow-Methods"]
    assert Event.objects.count() == int(is_allowed)


def test_door__of_a_database_that_is_gone__answers_503_without_cors_headers(
    on_sqlite: Database, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(**kwargs: Any) -> None:
        raise OperationalError("the database is away")

    browser = api.create_browser()["ref"]
    monkeypatch.setattr(inbox, "accept", down)
    event = {"type": "VIEW", "browser_id": browser, "client_key": api.client_key}

    response = api.post("/v1.2/events", event, HTTP_ORIGIN="https://shop.example")

    assert response.status_code == 503
    assert 5 <= int(response["Retry-After"]) < 30
    assert response.json()["status"] == 503
    assert "Access-Control-Allow-Origin" not in response.headers


def test_preflight__while_the_database_is_gone__is_a_503_that_pages_cannot_read(
    on_sqlite: Database, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down() -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(clients, "origins_of_all", down)

    response = api.http.options("/v1/t", HTTP_ORIGIN="https://shop.example")

    assert response.status_code == 503
    assert "Access-Control-Allow-Origin" not in response.headers


def test_idempotency_key__sent_again__changes_nothing(on_sqlite: Database, api: Api) -> None:
    browser = api.create_browser()["ref"]
    event = {"type": "VIEW", "browser_id": browser, "client_key": api.client_key}

    for _ in range(3):
        response = api.post("/v1.2/events", event, HTTP_IDEMPOTENCY_KEY="order-7")
        assert response.json()["status"] == "OK"

    assert Event.objects.count() == 1


def test_show__of_an_unknown_browser__says_what_the_sdk_reads(
    on_sqlite: Database, api: Api
) -> None:
    response = api.show("56860bff-94ba-4d84-aa37-2b5a83d5411b")

    assert response.status_code == 404
    assert response.json()["error_msg"] == "Invalid browser id/ref specified"
    assert response.json()["moreInfo"]


def test_guest_api__lists_creates_changes_and_deletes(database: Database, api: Api) -> None:
    made = api.json(
        api.post(
            "/v2.1/guests",
            {
                "guestType": "customer",
                "firstName": "Ada",
                "email": "ada@example.com",
                "identifiers": [{"provider": "CUSTOMER_ID", "id": 7}],
            },
            basic=True,
        )
    )
    taken = api.post(
        "/v2.1/guests",
        {"guestType": "visitor", "identifiers": [{"provider": "CUSTOMER_ID", "id": "7"}]},
        basic=True,
    )
    listed = api.read(
        "/v2.1/guests", **{"identifiers.provider": "CUSTOMER_ID", "identifiers.id": 7}
    )
    nobody = api.read("/v2.1/guests", email="nobody@example.com")
    changed = api.http.patch(
        f"/v2.1/guests/{made['ref']}",
        json.dumps({"lastName": "Lovelace"}),
        content_type="application/json",
        headers={"Authorization": api.basic},
    )
    gone = api.http.delete(f"/v2.1/guests/{made['ref']}", headers={"Authorization": api.basic})

    assert (made["guestType"], made["firstName"]) == ("customer", "Ada")
    assert taken.status_code == 400
    assert [item["href"] for item in listed["items"]] == [made["href"]]
    assert set(listed) == {"href", "offset", "limit", "items", "first", "last", "next", "prev"}
    assert nobody["items"] == []
    assert changed.json()["lastName"] == "Lovelace"
    assert changed.json()["firstName"] == "Ada"
    assert gone.status_code == 204
    assert api.get(f"/v2.1/guests/{made['ref']}", basic=True).status_code == 404


def test_guest__deleted_and_named_again__does_not_come_back(database: Database, api: Api) -> None:
    old, new = api.create_browser(), api.create_browser()
    api.identify(old["ref"], ("EMAIL", "ada@example.com"), firstname="Ada")
    path = f"/v2.1/guests/{old['customer_ref']}"
    api.http.delete(path, headers={"Authorization": api.basic})

    api.identify(new["ref"], ("EMAIL", "ada@example.com"))

    assert api.json(api.send("VIEW", old["ref"]))["status"] == "NOT_FOUND"
    guest = api.read(f"/v2.1/guests/{new['customer_ref']}")
    assert (guest["guestType"], guest["firstName"]) == ("customer", "")
    assert len(api.read("/v2/events")["items"]) == 1


@pytest.mark.parametrize("nul", ["%00", "a%00b"])
def test_address__with_a_nul__is_refused_in_json(database: Database, api: Api, nul: str) -> None:
    paths = [
        f"/v1.2/browser/create.json?client_key={nul}",
        f"/v2/events?messageId={nul}",
        f"/v2.1/guests?identifiers.provider={nul}&identifiers.id=7",
        f"/v2/flowDefinitions/{nul}",
        f"/v2.1/guests/{nul}",
    ]
    for path in paths:
        response = api.http.get(path, headers={"Authorization": api.basic})
        assert response.status_code == 400, path
        assert response.json()["status"] == 400


@pytest.mark.parametrize("key", ["\x00", "\ud800", "x" * 10_000, "", 7, None, {}])
def test_client_key__that_no_client_can_have__is_refused(
    database: Database, api: Api, key: Any
) -> None:
    event = {"type": "VIEW", "browser_id": "x", "client_key": key}

    assert api.post("/v1.2/events", event).status_code == 400
    call = {"friendlyId": "x", "email": "a@b.c", "clientKey": key}
    assert api.post("/v2/callFlows", call).status_code == 400


@pytest.mark.parametrize(
    "moment", ["0001-01-02T00:00:00+14:00", "9999-12-31T23:59:59Z", "1969-01-01", "2026-01-01"]
)
def test_occurred_at__of_any_year__is_stored(database: Database, api: Api, moment: str) -> None:
    browser = api.create_browser()["ref"]

    api.batch({"type": "VIEW", "browserId": browser, "occurredAt": moment})

    (event,) = api.read("/v2/events")["items"]
    assert ("warnings" in event) == (moment != "2026-01-01")


def test_list__with_a_query_made_to_break_it__is_refused_in_json(
    database: Database, api: Api
) -> None:
    def cursor(position: str) -> str:
        return base64.b64encode(f"p={position}".encode()).decode()

    broken: list[dict[str, Any]] = [
        {"cursor": cursor("1")},
        {"cursor": cursor("abc")},
        {"since": "0001-01-01T00:00:00+14:00"},
        {f"k{n}": "1" for n in range(1100)},
    ]
    for path in ("/v2/events", "/v2/sessions"):
        for query in broken:
            response = api.get(path, basic=True, **query)
            # Some name a row after all: "1" is a session, and PostgreSQL's calendar is longer.
            assert response.status_code in (200, 400), (path, query)
            assert response["Content-Type"] == "application/json"
    assert api.get("/v2/events", basic=True, **broken[0]).status_code == 400
    response = api.get("/v1.2/event/create.json", **broken[-1])
    assert response.status_code == 400
    assert response.json()["error"] == "query_too_long"


def test_preflight__of_a_server_door__is_answered_without_credentials(
    on_sqlite: Database, api: Api
) -> None:
    for path in ("/v2/events", "/v2/sessions", "/v2.1/guests", "/v2/flowDefinitions"):
        response = api.http.options(path, headers={"Origin": "https://shop.example"})
        assert response.status_code == 204
        assert "authorization" in response["Access-Control-Allow-Headers"]


def test_method__that_a_door_does_not_have__is_a_405_in_json(on_sqlite: Database, api: Api) -> None:
    response = api.http.put("/v1.2/events", b"{}", content_type="application/json")

    assert response.status_code == 405
    assert response["Allow"] == "POST, OPTIONS"
    assert response.json()["status"] == 405


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("get", "/v1.2/browser//show.json"),
        ("post", "/v1.2/event/delete.json"),
        ("get", "/v2.1/guests/1/2/3"),
        ("post", "/v2/events/1/2"),
        ("post", "/v2/callFlows/abc"),
        ("delete", "/v2/flowDefinitions/a/b/c"),
    ],
)
def test_address__that_leads_nowhere__is_a_404_in_json_that_pages_can_read(
    on_sqlite: Database, api: Api, verb: str, path: str
) -> None:
    response = api.http.generic(verb.upper(), path, b"{}", HTTP_ORIGIN="https://shop.example")

    assert response.status_code == 404
    assert response.json()["error"] == "no_such_door"
    assert response["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/v2/events", "/v2.1/guests", "/v2/flowDefinitions"])
def test_list__with_a_slash_at_its_end__is_the_same(
    on_sqlite: Database, api: Api, path: str
) -> None:
    api.create_browser()

    assert api.read(f"{path}/").keys() == api.read(path).keys()


@pytest.mark.parametrize(
    "path", ["/v1.2/browser/create.json", "/v1.2/event/create.json", "/v2/callFlows"]
)
def test_head__of_a_door_that_acts_on_get__is_refused(
    on_sqlite: Database, api: Api, path: str
) -> None:
    browser = api.create_browser()["ref"]
    event = {"type": "VIEW", "browser_id": browser, "browserId": browser, "friendlyId": "x"}
    query = urlencode({"client_key": api.client_key, "message": json.dumps(event)})

    response = api.http.head(f"{path}?{query}")

    assert response.status_code == 405
    assert Event.objects.count() + InboxEntry.objects.count() == 0
    assert Guest.objects.count() == 1


def test_timeline__tells_what_a_guest_did_in_sentences(database: Database, api: Api) -> None:
    browser = api.create_browser()
    api.send("VIEW", browser["ref"], page="shoes")
    api.send("ADD", browser["ref"], product={"name": "Red shoe", "item_id": "7"})

    timeline = api.read(f"/v2.1/guests/{browser['customer_ref']}/timeline")

    assert [line["sentence"] for line in timeline["items"]] == [
        "Added Red shoe to the cart",
        "Viewed “shoes”",
    ]


def test_list__with_a_bad_filter__is_refused_and_names_it(on_sqlite: Database, api: Api) -> None:
    for query in ({"guestRef": "x"}, {"since": "yesterday"}, {"limit": "many"}):
        (name,) = query
        response = api.get("/v2/events" if name != "limit" else "/v2.1/guests", basic=True, **query)
        assert response.status_code == 400
        assert name in response.json()["message"]


def test_events__by_cursor__come_each_once(on_sqlite: Database, api: Api) -> None:
    browser = api.create_browser()["ref"]
    api.batch(*({"type": "VIEW", "browserId": browser, "messageId": f"m-{n}"} for n in range(25)))

    seen: list[str] = []
    page = api.read("/v2/events", limit=10)
    while True:
        seen += [event["ref"] for event in page["items"]]
        if page["next"] is None:
            break
        page = api.json(api.http.get(page["next"], headers={"Authorization": api.basic}))

    assert len(seen) == len(set(seen)) == 25


def test_doors__under_atomic_requests_of_any_database__keep_their_own_transactions() -> None:
    for address, view in doors():
        left_alone: set[str] = getattr(view, "_non_atomic_requests", set())
        assert left_alone >= set(connections), address
