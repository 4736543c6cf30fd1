"""Event models in the walk: warned, rejected and replayed, counted, and never in its way."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.api import Api
from tests.conftest import Database
from tests.factories import ClientFactory, FlowFactory
from tests.tracking.test_pipeline import poison_step
from tracking import quarantine, retention, suppression, tasks
from tracking.event_models import editing, seen
from tracking.models import (
    Client,
    Event,
    EventModel,
    Guest,
    QuarantinedMessage,
    SeenEvent,
    SeenProperty,
)
from tracking.types import USER_ID, IdentifierKey

pytestmark = pytest.mark.django_db(transaction=True)

SCORE = {"path": "ext.score", "type": "integer", "required": True}
BAD = {"score": "high"}
SAYS = 'ext.score is "high", of type string; the event model says integer.'


def model(shop: Client, mode: str, *given: dict[str, Any], type: str = "VIEW") -> EventModel:
    fields = list(given or [SCORE])
    return editing.save(EventModel(client=shop, event_type=type, mode=mode, fields=fields))


def counts(event_type: str = "VIEW") -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in SeenProperty.objects.filter(event__event_type=event_type):
        found.setdefault(row.path, {})[row.kind] = row.count
    return found


# --- what a model says -----------------------------------------------------------------


def test_warn__an_event_that_does_not_fit__is_kept_with_what_does_not_fit(
    database: Database, api: Api, shop: Client
) -> None:
    model(shop, "WARN")
    browser = api.create_browser()["ref"]

    api.json(api.send("VIEW", browser, ext=BAD))
    api.json(api.send("VIEW", browser, ext={"score": 7, "unmodelled": [1]}))

    bad, good = Event.objects.order_by("ref")
    assert bad.warnings == [SAYS]
    assert bad.data["ext"] == BAD
    assert good.warnings == []
    assert good.data["ext"] == {"score": 7, "unmodelled": [1]}
    assert not QuarantinedMessage.objects.exists()


def test_observe__an_event_that_does_not_fit__is_kept_without_a_word(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    model(shop, "OBSERVE")

    api.json(api.send("VIEW", api.create_browser()["ref"], ext=BAD))

    assert Event.objects.get().warnings == []


def test_reject__an_event_that_does_not_fit__is_set_aside_and_its_neighbours_land(
    database: Database, api: Api, shop: Client
) -> None:
    model(shop, "REJECT")
    browser = api.create_browser()["ref"]
    events = [
        {"type": "VIEW", "browserId": browser, "messageId": f"m{n}", "ext": ext}
        for n, ext in enumerate([{"score": 1}, BAD, {"score": 3}, {}])
    ]

    api.batch(*events, {"type": "SEARCH", "browserId": browser, "messageId": "m9"})

    assert sorted(Event.objects.values_list("message_id", flat=True)) == ["m0", "m2", "m9"]
    first, second = QuarantinedMessage.objects.order_by("index")
    assert (first.code, first.type, first.reason) == ("event_model", "VIEW", SAYS)
    assert second.reason == "ext.score is missing; the event model requires it."
    assert b'"high"' in bytes(first.body)


def test_rejected_event__replayed_after_the_model_was_mended__lands_once_under_its_name(
    database: Database, api: Api, shop: Client, settings: Any
) -> None:
    strict = model(shop, "REJECT")
    # Another process mends the model: this one still believes the old one.
    settings.TRACKING = settings.TRACKING | {"CLIENT_CACHE_SECONDS": 3600}
    browser = api.create_browser()["ref"]
    message = {"type": "VIEW", "browserId": browser, "messageId": "m", "ext": BAD}
    api.batch(message)
    held = QuarantinedMessage.objects.get()

    quarantine.replay([held])
    tasks.drain()
    held.refresh_from_db()
    again = (held.status, held.attempts)
    EventModel.objects.filter(pk=strict.pk).update(mode="WARN")
    quarantine.replay([held])
    tasks.drain()
    api.batch(message)

    assert again == ("HELD", 2)
    assert Event.objects.get().warnings == [SAYS]
    held.refresh_from_db()
    assert held.status == "REPLAYED"


def test_reject__a_repeat_of_an_event_recorded_before__is_dropped_and_not_set_aside(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    browser = api.create_browser()["ref"]
    message = {"type": "VIEW", "browserId": browser, "messageId": "m", "ext": BAD}
    api.batch(message)
    model(shop, "REJECT")

    api.batch(message)

    assert Event.objects.count() == 1
    assert not QuarantinedMessage.objects.exists()


def test_reject__an_event_of_somebody_who_was_erased__is_not_kept_in_the_quarantine(
    database: Database, api: Api, shop: Client
) -> None:
    model(shop, "REJECT", type="Course Started")
    key = IdentifierKey(USER_ID, "ada")
    suppression.forget(shop.pk, [key], until=timezone.now())

    api.post(
        "/v1/track",
        {
            "writeKey": api.client_key,
            "event": "Course Started",
            "userId": "ada",
            "timestamp": "2026-03-01T10:00:00Z",
        },
    )

    assert not QuarantinedMessage.objects.exists()
    assert not Event.objects.exists()


def test_reject__the_event_that_deletes_somebody__is_done_all_the_same(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    model(
        shop, "REJECT", {"path": "reason", "type": "string", "required": True}, type="User Deleted"
    )
    call = {"writeKey": api.client_key, "userId": "ada"}
    api.json(api.post("/v1/identify", call | {"traits": {"email": "ada@example.com"}}))

    api.json(api.post("/v1/track", call | {"event": "User Deleted"}))

    assert not Guest.objects.filter(email="ada@example.com").exists()
    assert not QuarantinedMessage.objects.exists()


def test_reject__an_event_of_a_new_browser__brings_no_guest_into_the_world(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    model(shop, "REJECT", {"path": "price", "type": "float", "required": True}, type="Bought")
    call = {"writeKey": api.client_key, "event": "Bought", "anonymousId": "new-phone"}

    api.json(api.post("/v1/track", call))

    assert QuarantinedMessage.objects.get().code == "event_model"
    assert not Guest.objects.exists()


def test_model__of_one_client__has_no_say_about_anothers(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    other = ClientFactory.create(key="o" * 32, token="t" * 32)
    model(other, "REJECT")

    api.json(api.send("VIEW", api.create_browser()["ref"], ext=BAD))

    assert Event.objects.get().warnings == []


def test_model__spoilt_past_the_form__lets_the_events_through(
    on_sqlite: Database, api: Api, shop: Client, caplog: pytest.LogCaptureFixture
) -> None:
    EventModel.objects.create(client=shop, event_type="VIEW", mode="REJECT", fields=[{"x": 1}])

    api.json(api.send("VIEW", api.create_browser()["ref"], ext=BAD))

    assert Event.objects.count() == 1
    assert "event_model.unreadable" in caplog.text


@pytest.mark.parametrize("sent", ["track call", "stream"])
def test_model__speaks_of_the_same_data_whichever_family_sent_it(
    on_sqlite: Database, api: Api, shop: Client, sent: str
) -> None:
    model(shop, "WARN", {"path": "price", "type": "float"}, type="Bought")
    call = {"writeKey": api.client_key, "event": "Bought", "anonymousId": "phone"}

    if sent == "track call":
        api.json(api.post("/v1/track", call | {"properties": {"price": "1"}}))
    else:
        api.json(api.send("Bought", api.create_browser()["ref"], price="1"))

    assert Event.objects.get().warnings == [
        'price is "1", of type string; the event model says float.'
    ]


# --- what was seen ---------------------------------------------------------------------


def test_seen__counts_events_by_path_and_type_and_never_a_value(
    database: Database, api: Api, shop: Client
) -> None:
    browser = api.create_browser()["ref"]
    for score in (1, 2, "three", None):
        api.send("VIEW", browser, ext={"score": score}, products=[{"price": 1.5}, {"price": 2}])

    event = SeenEvent.objects.get(event_type="VIEW")
    assert event.count == 4
    assert counts()["ext.score"] == {"integer": 2, "string": 1, "null": 1}
    assert counts()["products[].price"] == {"float": 4, "integer": 4}
    assert counts()["page"] == {"string": 4}
    refs = Event.objects.order_by("ref").values_list("ref", flat=True)
    assert event.samples == [str(ref) for ref in refs]
    assert event.first_seen < event.last_seen


def test_seen__counts_what_landed_alone(database: Database, api: Api, shop: Client) -> None:
    model(shop, "REJECT")
    browser = api.create_browser()["ref"]
    good = {"type": "VIEW", "browserId": browser, "messageId": "m1", "ext": {"score": 1}}

    api.batch(good, good | {"messageId": "m2", "ext": BAD})
    api.batch(good)

    assert SeenEvent.objects.get().count == 1
    assert counts()["ext.score"] == {"integer": 1}


def test_seen__of_a_batch_that_is_walked_in_halves__counts_each_event_once(
    database: Database, api: Api, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison_step(monkeypatch, "m3")
    browser = api.create_browser()["ref"]

    api.batch(*({"type": "VIEW", "browserId": browser, "messageId": f"m{n}"} for n in range(8)))

    assert Event.objects.count() == 7
    assert SeenEvent.objects.get().count == 7


def test_seen__runs_of_flows_and_types_that_name_people__are_not_counted(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    flow = FlowFactory.create(client=shop, live=True)
    browser = api.create_browser()["ref"]
    api.json(api.call_flows(flow.friendly_id, browserId=browser))
    api.json(api.send("Met ada@example.com", browser))
    api.json(api.send("VIEW", browser, ext={"ada@example.com": 1}))

    assert Event.objects.count() == 3
    assert SeenEvent.objects.get().event_type == "VIEW"
    assert not SeenProperty.objects.filter(path__contains="@").exists()


def test_seen__of_a_type_with_endless_properties__stops_at_its_limit(
    database: Database, api: Api, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen, "MOST_PROPERTIES", 12)
    monkeypatch.setattr(seen, "MOST_TYPES", 2)
    browser = api.create_browser()["ref"]

    for n in "ABCDEFGHIJKLMNOP":
        api.send("VIEW", browser, **{f"key{n}": 1})
    for n in "ABCD":
        api.send(f"Type {n}", browser)

    assert SeenProperty.objects.filter(event__event_type="VIEW").count() <= 24
    assert counts()["page"] == {"string": 16}
    assert SeenEvent.objects.count() == 2
    assert Event.objects.count() == 20


def test_seen__is_written_at_the_end_of_a_drain_if_not_before(
    database: Database, api: Api, shop: Client, settings: Any
) -> None:
    settings.TRACKING = settings.TRACKING | {"SEEN_COUNT_SECONDS": 3600}
    seen.write()
    api.json(api.send("VIEW", api.create_browser()["ref"]))
    before = SeenEvent.objects.count()

    tasks.drain()

    assert before == 0
    assert SeenEvent.objects.get().count == 1


def test_seen__that_cannot_be_written__costs_no_event(
    on_sqlite: Database, api: Api, shop: Client, caplog: pytest.LogCaptureFixture
) -> None:
    browser = api.create_browser()["ref"]
    with connections[on_sqlite.alias].cursor() as cursor:
        cursor.execute("ALTER TABLE tracking_seenproperty RENAME TO lost")
    try:
        api.json(api.send("VIEW", browser))
    finally:
        with connections[on_sqlite.alias].cursor() as cursor:
            cursor.execute("ALTER TABLE lost RENAME TO tracking_seenproperty")

    assert Event.objects.count() == 1
    assert "seen.not_written" in caplog.text


def test_seen__long_after_the_last_event__is_purged(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    api.json(api.send("VIEW", api.create_browser()["ref"]))

    nothing = retention.purge(now=timezone.now())
    gone = retention.purge(now=timezone.now() + timedelta(days=401))

    assert nothing.seen == 0
    assert gone.seen > 1
    assert not SeenEvent.objects.exists()


# --- what it costs ---------------------------------------------------------------------


def test_walk__of_any_number_of_events__asks_for_models_once_at_most(
    database: Database,
    api: Api,
    shop: Client,
    settings: Any,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    settings.TRACKING = settings.TRACKING | {
        "DISPATCH": "worker",
        "CLIENT_CACHE_SECONDS": 3600,
        "SEEN_COUNT_SECONDS": 3600,
    }
    seen.write()
    browser = api.create_browser()["ref"]
    model(shop, "WARN")
    asked = []
    for size in (3, 30, 30):
        api.batch(*({"type": "VIEW", "browserId": browser, "ext": BAD} for _ in range(size)))
        with count_queries() as queries:
            tasks.drain()
        asked.append(sum("tracking_eventmodel" in query["sql"] for query in queries))

    assert asked == [1, 0, 0]
    assert Event.objects.filter(warnings=[SAYS]).count() == 63


def test_walk__of_many_rejected_events__takes_a_fixed_number_of_queries(
    database: Database,
    api: Api,
    shop: Client,
    settings: Any,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    browser = api.create_browser()["ref"]
    model(shop, "REJECT")
    # What the browser's own birth is owed is paid here.
    tasks.drain()
    counted = []
    for size in (2, 40):
        api.batch(*({"type": "VIEW", "browserId": browser, "ext": BAD} for _ in range(size)))
        with count_queries() as queries:
            tasks.drain()
        counted.append(
            sum("quarantine" not in query["sql"] and "SAVEPOINT" not in query["sql"]
                for query in queries)
        )  # fmt: skip

    assert counted[0] == counted[1]
    assert QuarantinedMessage.objects.count() == 42
