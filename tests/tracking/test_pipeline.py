"""The event walk, fed directly: poison, duplicates, dead workers, concurrent workers."""

import json
import random
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.conftest import Database
from tests.factories import BrowserFactory, ClientFactory
from tracking import (
    clients,
    followers,
    identity_policy,
    inbox,
    liveness,
    merging,
    pipeline,
    quarantine,
    recording,
    sessionization,
    sessions,
    uuid7,
)
from tracking.event_models import catalog, seen
from tracking.models import (
    Client,
    Event,
    FollowUp,
    Guest,
    Identifier,
    IdentityLink,
    InboxEntry,
    MergeRecord,
    QuarantinedMessage,
    Session,
    WalkNote,
)
from tracking.types import BROWSER, IdentifierKey, StatedIdentifier, Statement, birth_ref

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nobody_rings(settings: Any) -> None:
    settings.TRACKING = {"DISPATCH": "worker", "CLIENT_CACHE_SECONDS": 0}


def accept(client: Client, *events: dict[str, Any], at: datetime = NOW) -> uuid.UUID:
    return inbox.accept(
        client=clients.load(client),
        dialect="batch",
        body=json.dumps({"events": events}).encode(),
        received_at=at,
    )


def drain() -> list[pipeline.Walked]:
    walked = []
    while (one := pipeline.process_batch(now=timezone.now())) is not None:
        walked.append(one)
    return walked


def view(browser: Identifier, message_id: str, **attributes: Any) -> dict[str, Any]:
    return {
        "type": "VIEW",
        "browserId": browser.value,
        "messageId": message_id,
        "channel": "WEB",
        "page": "home",
    } | attributes


def test_walk__with_one_poison_message_among_a_thousand__lands_the_others(
    database: Database, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = BrowserFactory.create(guest__client=shop)
    poison_step(monkeypatch, "m-617")
    accept(shop, *(view(browser, f"m-{n}") for n in range(1000)))

    drain()

    held = QuarantinedMessage.objects.get()
    assert Event.objects.count() == 999
    assert held.code == "walk_failed"
    assert json.loads(bytes(held.body))["messageId"] == "m-617"
    assert InboxEntry.objects.count() == 0
    assert Session.objects.get().events_count == 999


def test_replay__after_the_fault_is_mended__lands_the_message_once_under_its_own_ref(
    database: Database, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = BrowserFactory.create(guest__client=shop)
    ref = accept(shop, view(browser, "m-0"), {**view(browser, "m-1"), "messageId": None})
    with monkeypatch.context() as fault:
        poison_step(fault, str(uuid7.child(ref, 1)))
        drain()
    held = QuarantinedMessage.objects.get()

    replayed = [quarantine.replay([held]), quarantine.replay([held])]
    drain()

    assert replayed == [1, 0]
    assert Event.objects.count() == 2
    assert Event.objects.filter(ref=uuid7.child(ref, 1)).exists()


def test_message__sent_three_times_over__is_one_event_and_changes_nothing_more(
    database: Database, shop: Client
) -> None:
    browser = BrowserFactory.create(guest__client=shop)

    for minute in (0, 40, 80):
        accept(shop, view(browser, "m-1"), view(browser, "m-1"), at=NOW + timedelta(minutes=minute))
        drain()

    assert Event.objects.count() == 1
    session = Session.objects.get()
    assert session.events_count == 1
    assert session.ended_at == NOW


def test_two_clients__with_one_message_id__have_an_event_each(database: Database) -> None:
    for number in (1, 2):
        client = ClientFactory.create(key=f"key-of-client-{number}", token=f"token-{number}-secret")
        browser = BrowserFactory.create(guest__client=client)
        accept(client, view(browser, "same"))

    drain()

    assert Event.objects.count() == 2


def test_follower__that_fails__is_tried_again_and_the_event_stays(
    database: Database, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = BrowserFactory.create(guest__client=shop)
    heard: list[uuid.UUID] = []
    moods = iter([True, False])

    def moody(owed: followers.Owed) -> None:
        if next(moods):
            raise RuntimeError("not today")
        heard.extend(owed.event_refs)

    monkeypatch.setattr(followers, "_followers", {})
    followers.register("moody", moody, concerns=lambda told: told.type == "VIEW")
    accept(shop, view(browser, "m-1"))
    drain()

    followers.run_due(now=timezone.now())
    owed = FollowUp.objects.get()
    too_early = followers.run_due(now=owed.not_before - timedelta(seconds=1))
    followers.run_due(now=owed.not_before)

    event = Event.objects.get()
    assert (owed.attempts, too_early) == (1, 0)
    assert "not today" in owed.last_error
    assert heard == [event.ref]
    assert not FollowUp.objects.exists()


def test_entries_of_a_dead_worker__are_walked_alone_and_the_killer_is_set_aside(
    database: Database, shop: Client
) -> None:
    browser = BrowserFactory.create(guest__client=shop)
    fine = accept(shop, view(browser, "fine"))
    bad = [view(browser, message_id) for message_id in ("killer", "m-1", "m-2")]
    killing = accept(shop, *bad, at=NOW + timedelta(seconds=1))
    died_in_a_batch(fine, killing)

    pipeline.process_batch(now=NOW)
    assert set(Event.objects.values_list("message_id", flat=True)) == {"fine"}
    dies_at_message(killing, 0, deaths=2)
    drain()

    held = QuarantinedMessage.objects.get()
    assert held.code == "killed_worker"
    assert json.loads(bytes(held.body))["messageId"] == "killer"
    assert set(Event.objects.values_list("message_id", flat=True)) == {"fine", "m-1", "m-2"}
    assert not WalkNote.objects.exists()


def test_entries_in_the_note_of_a_living_worker__are_left_to_it(
    database: Database, shop: Client
) -> None:
    browser = BrowserFactory.create(guest__client=shop)
    ref = accept(shop, view(browser, "m-1"))
    WalkNote.objects.create(worker=liveness.mark(), entries=[str(ref)], noted_at=timezone.now())

    assert pipeline.process_batch(now=NOW) is None
    assert InboxEntry.objects.count() == 1


def test_sessions__by_the_pause_of_their_storefront__split_and_close(
    database: Database, shop: Client
) -> None:
    pos = shop.points_of_sale.get(name="myretailsite/ireland")
    pos.session_timeout_minutes = 20
    pos.save()
    browser, other = BrowserFactory.create_batch(2, guest__client=shop)

    for minute in (0, 19, 45):
        accept(shop, view(browser, f"m-{minute}"), at=NOW + timedelta(minutes=minute))
    accept(shop, view(other, "other"), at=NOW + timedelta(minutes=19))
    accept(shop, view(browser, "phone", channel="MOBILE_APP"), at=NOW + timedelta(minutes=19))
    accept(
        shop,
        {**view(browser, "bye"), "type": "FORCE_CLOSE"},
        at=NOW + timedelta(minutes=50),
    )
    drain()

    web = Session.objects.filter(browser=browser, channel="WEB").order_by("started_at")
    assert [session.events_count for session in web] == [2, 2]
    assert [session.status for session in web] == ["CLOSED", "CLOSED"]
    assert [session.is_forced_closed for session in web] == [False, True]
    assert Session.objects.get(browser=other).status == "OPEN"
    assert Session.objects.filter(channel="MOBILE_APP").count() == 1
    assert sessions.close_idle(now=NOW + timedelta(hours=2)) == 2


def test_requests_of_one_moment__walked_in_any_order__are_one_session(
    database: Database, shop: Client
) -> None:
    browser = BrowserFactory.create(guest__client=shop)
    accept(shop, view(browser, "second"), at=NOW)
    drain()
    accept(shop, view(browser, "first"), at=NOW - timedelta(milliseconds=3))
    drain()

    session = Session.objects.get()
    assert (session.events_count, session.status) == (2, "OPEN")


def test_late_event__joins_the_session_that_covers_its_time__else_has_one_of_its_own(
    database: Database, shop: Client
) -> None:
    browser = BrowserFactory.create(guest__client=shop)
    for minute in (0, 10, 100):
        accept(shop, view(browser, f"m-{minute}"), at=NOW + timedelta(minutes=minute))
    late = NOW + timedelta(minutes=101)
    covered = (NOW + timedelta(minutes=5)).isoformat()
    before = (NOW - timedelta(hours=3)).isoformat()
    accept(shop, view(browser, "covered", occurredAt=covered), at=late)
    accept(shop, view(browser, "alone", occurredAt=before), at=late)

    drain()

    found = Session.objects.order_by("started_at").values_list("events_count", "status")
    assert list(found) == [(1, "CLOSED"), (3, "CLOSED"), (1, "OPEN")]


def test_profile__keeps_the_newest_statement__whatever_the_order_of_arrival(
    database: Database, shop: Client
) -> None:
    def identity(browser: Identifier, minute: int, name: str) -> dict[str, Any]:
        return view(
            browser,
            f"{browser.value}-{minute}",
            type="IDENTITY",
            firstname=name,
            occurredAt=(NOW + timedelta(minutes=minute)).isoformat(),
        )

    for order in ([1, 2, 3], [3, 1, 2], [2, 3, 1]):
        browser = BrowserFactory.create(guest__client=shop)
        for minute in order:
            accept(shop, identity(browser, minute, f"name {minute}"), at=NOW + timedelta(hours=1))
            drain()
        browser.guest.refresh_from_db()
        assert browser.guest.first_name == "name 3"


def test_merge__undone__gives_the_visitor_back_and_the_survivor_its_own_traits(
    database: Database, shop: Client
) -> None:
    home, work = BrowserFactory.create_batch(2, guest__client=shop)
    ada = [{"provider": "EMAIL", "id": "ada@example.com"}]
    accept(shop, view(home, "h", type="IDENTITY", identifiers=ada, firstname="Ada"), at=NOW)
    later = NOW + timedelta(minutes=1)
    accept(shop, view(work, "w0", type="IDENTITY", firstname="Somebody"), at=later)
    accept(shop, view(work, "w1", type="IDENTITY", identifiers=ada), at=later)
    drain()
    survivor, retired = home.guest, work.guest
    survivor.refresh_from_db()
    assert survivor.first_name == "Somebody"

    merging.undo(MergeRecord.objects.get(), now=timezone.now())
    accept(shop, view(work, "w2"), at=NOW + timedelta(minutes=2))
    drain()

    survivor.refresh_from_db()
    retired.refresh_from_db()
    assert survivor.first_name == "Ada"
    assert (retired.type, retired.root_id) == ("VISITOR", None)
    assert Event.objects.get(message_id="w2").guest_id == retired.pk


def test_links__beyond_the_limit_of_one_guest__join_nobody_and_say_so(
    database: Database, shop: Client, settings: Any
) -> None:
    settings.TRACKING = {
        "DISPATCH": "worker",
        "CLIENT_CACHE_SECONDS": 0,
        "MAX_LINKED_IDENTIFIERS": 5,
    }
    for n in range(8):
        browser = BrowserFactory.create(guest__client=shop)
        ada = [{"provider": "EMAIL", "id": "ada@example.com"}]
        at = NOW + timedelta(minutes=n)
        accept(shop, view(browser, f"m-{n}", type="IDENTITY", identifiers=ada), at=at)
        drain()

    assert MergeRecord.objects.count() == 3
    warned = [event.message_id for event in Event.objects.order_by("ref") if event.warnings]
    assert warned == ["m-4", "m-5", "m-6", "m-7"]


def test_two_workers__on_shuffled_overlapping_links__end_as_the_pure_model_says(
    on_postgres: Database, shop: Client
) -> None:
    chance = random.Random(7)
    browsers = BrowserFactory.create_batch(12, guest__client=shop)
    statements = []
    for n in range(120):
        browser = chance.choice(browsers)
        stated = [
            {"provider": "EMAIL", "id": f"{chance.randrange(8)}@example.com"},
            {"provider": "CUSTOMER_ID", "id": str(chance.randrange(8))},
        ][: chance.choice([1, 1, 2])]
        at = NOW + timedelta(minutes=n)
        statements.append(
            view(
                browser,
                f"m-{n}",
                type="IDENTITY",
                identifiers=stated,
                occurredAt=at.isoformat(),
            )
        )
    shuffled = chance.sample(statements, len(statements))
    for start in range(0, len(shuffled), 4):
        accept(shop, *shuffled[start : start + 4], at=NOW + timedelta(days=1, seconds=start))

    # Small batches, so that the workers really meet.
    in_threads(2, walk_in_small_batches)

    assert Event.objects.count() == 120
    assert QuarantinedMessage.objects.count() == 0
    expected = resolve_all(shop)
    for key, owner in expected.items():
        row = Identifier.objects.select_related("guest").get(provider=key.provider, value=key.value)
        assert (row.guest.root_id or row.guest_id) == owner, key


def test_two_workers__that_deadlock__both_finish_in_the_end(
    on_postgres: Database, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = BrowserFactory.create_batch(2, guest__client=shop)
    refs = [
        accept(shop, view(ada, "a-0"), at=NOW),
        accept(shop, view(bob, "b-0"), at=NOW + timedelta(seconds=1)),
    ]
    both_hold_one = threading.Barrier(2)
    crossed = threading.local()
    real = recording.record

    def crossing(items: Any, *, now: datetime) -> Any:
        done = real(items, now=now)
        if not getattr(crossed, "done", False):
            crossed.done = True
            both_hold_one.wait(timeout=20)
            other = bob if items[0].identified.browser_id == ada.pk else ada
            Guest.objects.filter(pk=other.guest_id).update(title="crossed")
        return done

    monkeypatch.setattr(recording, "record", crossing)
    waiting = iter(refs)
    in_threads(2, lambda: pipeline.process_entries([next(waiting)], now=timezone.now()))

    assert Event.objects.count() == 2
    assert QuarantinedMessage.objects.count() == 0


def test_walk__of_a_batch__takes_a_fixed_number_of_queries(
    database: Database,
    shop: Client,
    django_assert_max_num_queries: DjangoAssertNumQueries,
    settings: Any,
) -> None:
    settings.TRACKING = {
        "DISPATCH": "worker",
        "CLIENT_CACHE_SECONDS": 60,
        "SEEN_COUNT_SECONDS": 3600,
    }
    clients.by_id(shop.pk)
    catalog.of([shop.pk])
    seen.write()
    counts = []
    for size in (10, 200):
        browsers = BrowserFactory.create_batch(size, guest__client=shop)
        accept(shop, *(view(browser, browser.value) for browser in browsers))
        with django_assert_max_num_queries(40, using=database.alias) as captured:
            pipeline.process_batch(now=NOW)
        counts.append(len(captured))

    assert counts[0] == counts[1]
    assert counts[0] <= 24


# --- how -------------------------------------------------------------------------------


def poison_step(monkeypatch: pytest.MonkeyPatch, message_id: str) -> None:
    """Have the walk stumble over one message, as over a value no parser foresaw."""
    real = sessionization.sessionize

    def stumbling(items: Any, *, now: datetime) -> Any:
        if any(item.message.message_id == message_id for item in items):
            raise ValueError("cannot be walked")
        return real(items, now=now)

    monkeypatch.setattr(sessionization, "sessionize", stumbling)


GONE = "process elsewhere 1 1"


def died_in_a_batch(*refs: uuid.UUID) -> None:
    WalkNote.objects.create(worker=GONE, entries=[str(ref) for ref in refs], noted_at=NOW)


def dies_at_message(ref: uuid.UUID, position: int, *, deaths: int) -> None:
    """Leave the note of a worker that took the entry over and died at this message."""
    WalkNote.objects.all().delete()
    WalkNote.objects.create(
        worker=GONE, entries=[str(ref)], position=position, deaths=deaths, noted_at=NOW
    )


def in_threads(count: int, work: Callable[[], object]) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        # Whatever it is, the test must hear of it from the thread.
        except BaseException as error:  # noqa: BLE001
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def walk_in_small_batches() -> None:
    while InboxEntry.objects.exists():
        refs = list(InboxEntry.objects.order_by("?").values_list("ref", flat=True)[:2])
        pipeline.process_entries(refs, now=timezone.now())


def resolve_all(client: Client) -> dict[IdentifierKey, int]:
    """Ask the pure model about everything that was stated, in one go."""
    by_event: dict[uuid.UUID, list[IdentityLink]] = {}
    for link in IdentityLink.objects.order_by("position"):
        by_event.setdefault(link.event_ref, []).append(link)
    statements = [
        Statement(
            ref,
            links[0].message_id,
            links[0].occurred_at,
            IdentifierKey(links[0].left_provider, links[0].left_value),
            tuple(
                StatedIdentifier(IdentifierKey(link.right_provider, link.right_value))
                for link in links
            ),
        )
        for ref, links in by_event.items()
    ]
    births = {
        IdentifierKey(row.provider, row.value): row.birth_guest_id
        for row in Identifier.objects.filter(provider=BROWSER)
        if row.birth_guest_id
    }
    answer = identity_policy.resolve(statements, births=births, rules=client.identity_rules)
    refs = {
        owner: Guest.objects.get(ref=birth_ref(client_ref=client.ref, key=owner.key)).pk
        for owner in answer.owner.values()
        if isinstance(owner, identity_policy.Newcomer)
    }
    found = {}
    for key, owner in answer.owner.items():
        root = answer.find(owner)
        found[key] = root if isinstance(root, int) else refs[root]
    return found
