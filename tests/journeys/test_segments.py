"""Segments fill and empty as guests do things, as time passes, and as segments are changed."""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from personalize import flows, guest_facts, memberships, segments, snapshots
from personalize.models import Segment, SegmentDue, SegmentMembership
from personalize.segments import SegmentError
from personalize.sources.rows import RowSource
from project.models import Order
from tests.api import Api
from tests.conftest import Database
from tests.factories import BrowserFactory, ClientFactory, FlowFactory, GuestFactory
from tracking import catalogue, db, followers, retention, tasks
from tracking.followers import Changed, Owed
from tracking.items import CatalogueItem, Sighting
from tracking.merging import undo
from tracking.models import Cart, Client, Event, FollowUp, Guest, ItemCategory, MergeRecord
from tracking.types import ItemKey

pytestmark = pytest.mark.django_db(transaction=True)

Make = Callable[..., Segment]


@pytest.fixture
def make(shop: Client) -> Make:
    def make(name: str, condition: Any, **values: Any) -> Segment:
        return segments.save(Segment(client=shop, name=name, condition=condition, **values))

    return make


def field(name: str, operator: str, value: Any = None) -> dict[str, Any]:
    return {"field": name, "operator": operator, "value": value}


def did(event: str, **more: Any) -> dict[str, Any]:
    return {"event": event, "within": "ever", **more}


BUYERS = field("orders.count", "at_least", 1)


def members(segment: Segment) -> set[str]:
    """Name the guests in a segment by their browsers' refs."""
    current = SegmentMembership.objects.current().filter(segment=segment)
    return {str(ref) for ref in current.values_list("guest__ref", flat=True)}


def guest_of(api: Api, browser: str) -> str:
    return str(api.json(api.show(browser))["customer"]["ref"])


def visitor(api: Api) -> tuple[str, str]:
    browser = api.create_browser()["ref"]
    return browser, guest_of(api, browser)


def buy(api: Api, browser: str, number: str = "R-1") -> None:
    product = {"item_id": "shoe", "productId": "shoe", "name": "Shoe", "price": 10}
    api.json(api.send("ADD", browser, product=product | {"currency": "EUR"}))
    api.json(api.send("CHECKOUT", browser, reference_id=number))


def hear_of(refs: Sequence[UUID]) -> None:
    with db.write():
        memberships.follow_up(Owed(event_refs=refs, now=timezone.now()))


def runs(api: Api, friendly_id: str, browser: str) -> bool:
    answer = api.json(api.call_flows(friendly_id, browserId=browser))
    return bool(answer != {"message": "No flow executed"})


def test_segment__who_saw_the_popup_and_did_not_buy__fills_and_empties_as_events_arrive(
    database: Database, api: Api, shop: Client, make: Make
) -> None:
    FlowFactory.create(client=shop, name="Running shoes popup 02", live=True)
    saw = {"saw": "running_shoes_popup_02"}
    segment = make("Saw, not bought", {"all": [saw, field("orders.count", "is", 0)]})
    (browser, guest), (_other, _) = visitor(api), visitor(api)
    assert members(segment) == set()

    assert runs(api, "running_shoes_popup_02", browser)
    assert members(segment) == {guest}

    buy(api, browser)
    assert members(segment) == set()
    (was,) = SegmentMembership.objects.filter(segment=segment)
    assert was.left_at is not None
    assert was.entered_at < was.left_at


def test_segment__of_a_cart_that_somebody_else_goes_on_with__is_left_by_who_began_it(
    database: Database, api: Api, make: Make
) -> None:
    segment = make("Cart", field("cart.items", "at_least", 1))
    shoe = {"product_id": "shoe", "price": 10, "cart_id": "c1"}
    for anonymous_id in ("device-1", "device-2"):
        call = {"type": "track", "event": "Product Added", "properties": shoe}
        body = {**call, "anonymousId": anonymous_id, "writeKey": api.client_key}
        api.json(api.post("/v1/track", body))

    assert members(segment) == {str(Cart.objects.get().guest.ref)}


def test_audience__of_a_segment__lets_in_who_is_in_it_and_one_that_excludes_it_the_others(
    database: Database, api: Api, shop: Client, make: Make
) -> None:
    segment = make("Buyers", BUYERS)
    for name, operator in (("thanks", "includes"), ("welcome", "excludes")):
        audience = field("guest.segments", operator, segment.friendly_id)
        FlowFactory.create(client=shop, name=name, audience=audience, live=True)
    browser, _ = visitor(api)

    assert not runs(api, "thanks", browser)
    assert runs(api, "welcome", browser)
    buy(api, browser)
    assert runs(api, "thanks", browser)
    assert not runs(api, "welcome", browser)
    stranger = api.json(api.call_flows("welcome", email="nobody@example.com"))
    assert stranger != {"message": "No flow executed"}


def test_segment__as_time_passes__is_left_and_entered_without_any_event(
    database: Database, api: Api, make: Make
) -> None:
    lately = make("Lately", {"event": "VIEW", "within": {"days": 1}})
    idle = make("Idle", {"all": [did("VIEW"), {"not": {"event": "VIEW", "within": {"days": 1}}}]})
    browser, guest = visitor(api)
    api.json(api.send("VIEW", browser))
    assert (members(lately), members(idle)) == ({guest}, set())

    memberships.tend(timezone.now() + timedelta(hours=23))
    assert (members(lately), members(idle)) == ({guest}, set())
    memberships.tend(timezone.now() + timedelta(hours=25))
    assert (members(lately), members(idle)) == (set(), {guest})

    api.json(api.send("VIEW", browser))
    assert (members(lately), members(idle)) == ({guest}, set())


@pytest.mark.parametrize("end", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"])
def test_guest__whose_date_lies_at_the_end_of_the_calendar__is_judged_as_all_are(
    database: Database, api: Api, make: Make, settings: Any, end: str
) -> None:
    browser, guest = visitor(api)
    address = ("EMAIL", "ada@example.com")
    api.json(api.identify(browser, address, country="IE", ext={"validUntil": end}))
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    valid = "guest.attributes.validUntil"
    made = [make(name, field(valid, name, 30)) for name in ("in_last_days", "in_next_days")]
    make("Longer ago", field(valid, "longer_ago", 30))
    irish = make("Irish", field("guest.country", "is", "IE"))

    memberships.tend(timezone.now())

    assert not Segment.objects.unbuilt().exists()
    assert members(irish) == {guest}
    for country in ("DE", "IE"):
        api.json(api.identify(browser, address, country=country))
        tasks.drain()
        assert members(irish) == ({guest} if country == "IE" else set())
        assert not FollowUp.objects.exists()
    assert [members(each) for each in made] == [set(), set()]


def spring_trap(patch: pytest.MonkeyPatch) -> None:
    """Have nobody judged by the city."""
    sound = guest_facts.of_many

    def of_many(guest_ids: Any, needs: Any, fields: frozenset[str], **more: Any) -> Any:
        if "guest.city" in fields:
            raise LookupError
        return sound(guest_ids, needs, fields, **more)

    patch.setattr(guest_facts, "of_many", of_many)


LATELY = field("guest.firstSeen", "in_last_days", 3)
BY_CITY = field("guest.city", "is", "Cork")


@pytest.mark.parametrize("timed", [{"all": []}, LATELY])
def test_segment__that_cannot_be_built__keeps_no_other_from_it_and_is_built_later(
    database: Database,
    shop: Client,
    make: Make,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    timed: Any,
) -> None:
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    ada = GuestFactory.create(client=shop, country="IE", city="Cork")
    other = ClientFactory.create(key="k", token="t")
    bob = GuestFactory.create(client=other, country="IE")
    irish = {"all": [field("guest.country", "is", "IE"), timed]}
    early, wrong = make("Early", irish), make("Wrong", {"all": [BY_CITY, timed]})
    late = make("Late", irish)
    theirs = segments.save(Segment(client=other, name="Theirs", condition=irish))

    with monkeypatch.context() as patch:
        spring_trap(patch)
        memberships.tend(timezone.now())

    assert [members(each) for each in (early, late)] == [{str(ada.ref)}] * 2
    assert members(theirs) == {str(bob.ref)}
    assert list(Segment.objects.unbuilt()) == [wrong]
    logged = [each for each in caplog.records if each.message == "segments.not_built"]
    assert logged[-1].__dict__["segments"] == ["wrong"]

    memberships.tend(timezone.now())
    assert members(wrong) == {str(ada.ref)}
    assert not Segment.objects.unbuilt().exists()


def test_guests__who_are_due_and_cannot_be_judged__keep_those_of_no_other_client_waiting(
    database: Database, shop: Client, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ClientFactory.create(key="k", token="t")
    guests = [GuestFactory.create(client=each, city="Cork") for each in (shop, other)]
    wrong = make("Wrong", {"all": [BY_CITY, LATELY]})
    lately = segments.save(Segment(client=other, name="Lately", condition=LATELY))
    assert [members(each) for each in (wrong, lately)] == [{str(each.ref)} for each in guests]

    later = timezone.now() + timedelta(days=5)
    with monkeypatch.context() as patch:
        spring_trap(patch)
        memberships.tend(later)

    assert [members(each) for each in (wrong, lately)] == [{str(guests[0].ref)}, set()]
    memberships.tend(later)
    assert members(wrong) == set()


def test_segment__of_guests_who_are_there_already__is_built_and_built_anew_when_it_changes(
    database: Database, api: Api, shop: Client, make: Make
) -> None:
    irish = GuestFactory.create(client=shop, country="IE")
    german = GuestFactory.create(client=shop, country="DE")
    GuestFactory.create(client=shop, country="IE", type=Guest.Type.BOT)

    segment = make("Irish", field("guest.country", "is", "ie"))
    assert members(segment) == {str(irish.ref)}
    assert Segment.objects.get().built_at is not None

    segment.condition = field("guest.country", "is", "DE")
    segments.save(segment)
    assert members(segment) == {str(german.ref)}
    assert segments.standings.standing(segment, now=timezone.now()).members == 1


def test_segment__that_is_built_while_it_changes__ends_as_the_last_condition_says(
    database: Database, shop: Client, make: Make, settings: Any
) -> None:
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    people = GuestFactory.create_batch(3, client=shop, country="IE")
    segment = make("Irish", field("guest.country", "is", "IE"))
    memberships.tend(timezone.now())
    assert len(members(segment)) == 3

    segment.condition = field("guest.country", "is", "DE")
    segments.save(segment)
    assert segments.standings.standing(segment, now=timezone.now()).judged == 0
    Guest.objects.filter(pk=people[0].pk).update(country="DE")
    memberships.build_all(now=timezone.now())

    assert members(segment) == {str(people[0].ref)}
    segment.refresh_from_db()
    assert segments.standings.standing(segment, now=timezone.now()).judged is None


def in_thread(work: Callable[[], object]) -> Future[object]:
    """Begin something in a thread of its own, on a connection of its own."""

    def run() -> object:
        try:
            return work()
        finally:
            connections.close_all()

    threads = ThreadPoolExecutor(1)
    begun = threads.submit(run)
    threads.shutdown(wait=False)
    return begun


class Pause:
    """Stops the first thread that calls a function right behind it, until it is told to go on."""

    def __init__(self, patch: pytest.MonkeyPatch, name: str) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.calls = 0
        sound = getattr(memberships, name)

        def paused(*args: Any, **named: Any) -> Any:
            result = sound(*args, **named)
            self.calls += 1
            if self.calls == 1:
                self.reached.set()
                assert self.go_on.wait(timeout=20)
            return result

        patch.setattr(memberships, name, paused)


def finish(*begun: Future[object]) -> None:
    for each in begun:
        each.result(timeout=20)


def test_guest__who_is_judged_while_the_condition_changes__ends_as_the_new_one_says(
    database: Database,
    shop: Client,
    make: Make,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    segment = make("Irish", field("guest.country", "is", "IE"))
    memberships.tend(timezone.now())
    guest = GuestFactory.create(client=shop, country="IE")
    pause = Pause(monkeypatch, "_store")
    owed = Owed(guest_ids=[guest.pk], changed=Changed.PROFILE, now=timezone.now())

    def change() -> None:
        segment.condition = field("guest.country", "is", "DE")
        segments.save(segment)
        memberships.tend(timezone.now())

    judging = in_thread(lambda: db.retried(lambda: memberships.follow_up(owed)))
    assert pause.reached.wait(timeout=20)
    changing = in_thread(change)
    # Long enough for all of it, were there nobody to wait for.
    wait([changing], timeout=1)
    pause.go_on.set()
    finish(judging, changing)

    assert not Segment.objects.unbuilt().exists()
    assert members(segment) == set()


def test_list__that_fills_while_a_segment_of_it_is_made__has_all_its_guests_in_there(
    database: Database,
    shop: Client,
    make: Make,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    vips = segments.save(Segment(client=shop, name="VIPs", kind="LIST"))
    make("Others", field("guest.segments", "excludes", "vips"))
    memberships.tend(timezone.now())
    guest = GuestFactory.create(client=shop)
    pause = Pause(monkeypatch, "_store")

    def begin() -> Segment:
        made = make("Guests of honour", field("guest.segments", "includes", "vips"))
        memberships.tend(timezone.now())
        return made

    filling = in_thread(lambda: segments.add(vips, [guest.pk], now=timezone.now()))
    assert pause.reached.wait(timeout=20)
    making = in_thread(begin)
    wait([making], timeout=1)
    pause.go_on.set()
    finish(filling, making)

    assert members(Segment.objects.get(name="Guests of honour")) == {str(guest.ref)}


@pytest.mark.parametrize("condition", [field("guest.country", "is", "DE"), None])
def test_segment__that_is_changed_or_deleted_while_it_is_built__is_so_without_a_deadlock(
    database: Database,
    shop: Client,
    make: Make,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    condition: Any,
) -> None:
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    GuestFactory.create(client=shop, country="IE")
    german = GuestFactory.create(client=shop, country="DE")
    segment = make("Irish", field("guest.country", "is", "IE"))
    pause = Pause(monkeypatch, "_candidates")

    def change() -> None:
        if condition is None:
            segments.delete(segment, now=timezone.now())
        else:
            segment.condition = condition
            segments.save(segment)

    building = in_thread(lambda: db.retried(memberships._Building(now=timezone.now()).batch))
    assert pause.reached.wait(timeout=20)
    changing = in_thread(change)
    wait([changing], timeout=1)
    pause.go_on.set()
    finish(building, changing)

    # A deadlock would have the batch begun again.
    assert pause.calls == 1
    memberships.tend(timezone.now())
    if condition:
        assert members(segment) == {str(german.ref)}
    assert not Segment.objects.unbuilt().exists()


def test_segment__of_a_profile__follows_what_events_and_servers_say_of_it(
    database: Database, api: Api, make: Make
) -> None:
    segment = make("Irish customers", {"all": [field("guest.country", "is", "IE"),
                                               field("guest.type", "is", "customer")]})  # fmt: skip
    browser, _ = visitor(api)

    api.json(api.identify(browser, ("EMAIL", "jane@example.com"), country="IE"))
    guest = guest_of(api, browser)
    assert members(segment) == {guest}

    headers: dict[str, Any] = {"HTTP_AUTHORIZATION": api.basic}
    body, of_type = {"country": "DE"}, "application/json"
    api.json(api.http.patch(f"/v2.1/guests/{guest}", body, content_type=of_type, **headers))
    assert members(segment) == set()


def test_segment__when_guests_are_merged__has_the_one_who_speaks_for_both(
    database: Database, api: Api, shop: Client, make: Make
) -> None:
    segment = make("Searchers and buyers", {"all": [did("SEARCH"), BUYERS]})
    first, second = (visitor(api)[0] for _ in range(2))
    listed = make("VIPs", {}, kind="LIST")
    api.json(api.send("SEARCH", first))
    buy(api, second)
    retired = Guest.objects.get(ref=guest_of(api, second))
    segments.add(listed, [retired.pk], now=timezone.now())
    assert members(segment) == set()

    for browser in (first, second):
        api.json(api.identify(browser, ("EMAIL", "jane@example.com")))
    both = guest_of(api, first)
    assert members(segment) == {both}
    assert members(listed) == {both}


def test_segment__when_a_merge_is_undone__is_left(database: Database, api: Api, make: Make) -> None:
    segment = make("Searchers and buyers", {"all": [did("SEARCH"), BUYERS]})
    first, second = (visitor(api)[0] for _ in range(2))
    api.json(api.identify(first, ("EMAIL", "jane@example.com")))
    api.json(api.send("SEARCH", first))
    buy(api, second)
    api.json(api.identify(second, ("EMAIL", "jane@example.com")))
    assert members(segment) == {guest_of(api, first)}

    undo(MergeRecord.objects.get(), now=timezone.now())
    tasks.drain()

    assert members(segment) == set()


def test_segment__of_segments__is_judged_after_them(
    database: Database, api: Api, make: Make
) -> None:
    make("Buyers", BUYERS)
    quiet = make("Quiet", {"all": [field("guest.segments", "includes", "buyers"),
                                   {"not": did("SEARCH")}]})  # fmt: skip
    vips = make("VIPs", {}, kind="LIST")
    either = make("Either", field("guest.segments", "includes_any", ["quiet", "vips"]))
    browser, guest = visitor(api)

    buy(api, browser)
    assert members(quiet) == members(either) == {guest}
    api.json(api.send("SEARCH", browser))
    assert members(quiet) == members(either) == set()

    pk = Guest.objects.get(ref=guest).pk
    assert segments.add(vips, [pk], now=timezone.now()) == 1
    assert segments.add(vips, [pk], now=timezone.now()) == 0
    assert members(either) == {guest}
    assert segments.remove(vips, [pk], now=timezone.now()) == 1
    assert members(either) == set()


def test_segment__heard_of_twice_or_by_a_second_worker__changes_nothing(
    database: Database, api: Api, make: Make
) -> None:
    segment = make("Searchers", did("SEARCH"))
    browser, guest = visitor(api)
    api.json(api.send("SEARCH", browser))
    before = list(SegmentMembership.objects.values())

    refs = list(Event.objects.values_list("ref", flat=True))
    for _ in range(2):
        hear_of(refs)

    assert list(SegmentMembership.objects.values()) == before
    assert members(segment) == {guest}


def test_deleted_flow__still_counts_as_seen(
    database: Database, api: Api, shop: Client, make: Make
) -> None:
    flow = FlowFactory.create(client=shop, name="Popup", live=True)
    browser, guest = visitor(api)
    assert runs(api, "popup", browser)
    flows.delete(flow, now=timezone.now())

    assert members(make("Saw it", {"saw": "popup"})) == {guest}


def test_live_segments__stand_as_a_rebuild_has_them__whatever_happened_in_which_order(
    database: Database, api: Api, make: Make
) -> None:
    made = [
        make("Searchers", did("SEARCH", at_least=2)),
        make("Never", {"not": did("SEARCH")}),
        make("Buyers", BUYERS),
        make("Cart", field("cart.items", "at_least", 1)),
        make("Known", field("guest.identifiers", "includes", "EMAIL")),
        make("New", field("guest.firstSeen", "in_last_days", 1)),
        make(
            "Both",
            {
                "all": [
                    field("guest.segments", "includes", "buyers"),
                    field("guest.segments", "excludes", "searchers"),
                ]
            },
        ),  # fmt: skip
    ]
    chance = random.Random(7)
    browsers = [api.create_browser()["ref"] for _ in range(4)]
    for step in range(40):
        browser = chance.choice(browsers)
        what = chance.randrange(5)
        if what == 0:
            email = f"guest{chance.randrange(2)}@example.com"
            api.json(api.identify(browser, ("EMAIL", email)))
        elif what == 1:
            buy(api, browser, f"R-{step}")
        elif what == 2:
            product = {"item_id": "a", "productId": "a", "name": "A", "price": 1, "currency": "EUR"}
            api.json(api.send("ADD", browser, product=product))
        else:
            api.json(api.send("SEARCH" if what == 3 else "VIEW", browser))
    live = [members(segment) for segment in made]
    assert sum(map(len, live)) > 5

    SegmentMembership.objects.all().delete()
    Segment.objects.update(built_to=0)
    memberships.build_all(now=timezone.now())

    assert [members(segment) for segment in made] == live


def test_batch__of_more_guests_or_beside_more_segments__takes_no_more_queries(
    database: Database,
    shop: Client,
    make: Make,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    make("Searchers", {"all": [did("SEARCH"), field("orders.count", "is", 0)]})
    make("Lately", {"event": "SEARCH", "within": {"days": 7}})

    def count(people: int) -> int:
        guests = GuestFactory.create_batch(people, client=shop)
        events = [
            Event.objects.create(
                ref=guest.ref, client=shop, type="SEARCH", dialect="sitecore", guest=guest,
                message_id=str(guest.ref), occurred_at=timezone.now(), channel="WEB",
                received_at=timezone.now(), recorded_at=timezone.now(),
            )
            for guest in guests
        ]  # fmt: skip
        with count_queries() as queries:
            hear_of([event.ref for event in events])
        assert SegmentMembership.objects.filter(guest__in=guests).count() == 2 * people
        return len(queries)

    # The first batch reads what runs; later ones have it.
    count(1)
    few = count(2)
    for number in range(20):
        make(f"Other {number}", did(f"OTHER_{number}"))
    count(1)
    assert count(40) == few


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({}, "needs a condition"),
        ({"event": "VIEW"}, "“in this session” is of a visit"),
        (field("session.views", "at_least", 1), "Session views is of a visit"),
        (field("page", "contains", "x"), "Page is of a call"),
        (field("time.hour", "at_least", 9), "Hour of the day is of the moment"),
        (field("guest.segments", "includes", "nobody"), "There is no segment “nobody”"),
        (field("guest.hat", "is", "x"), "There is no field"),
    ],
)
def test_segment__with_a_condition_that_cannot_be_one__is_refused_and_told_why(
    on_sqlite: Database, make: Make, condition: Any, message: str
) -> None:
    with pytest.raises(SegmentError, match=message):
        make("Wrong", condition)


def test_segment__that_would_depend_on_itself__is_refused_with_the_way_round(
    on_sqlite: Database, make: Make
) -> None:
    first = make("First", did("A"))
    make("Second", field("guest.segments", "includes", "first"))
    make("Third", field("guest.segments", "excludes", "second"))

    first.condition = {"any": [did("A"), field("guest.segments", "includes", "third")]}
    with pytest.raises(SegmentError, match="“first” → “third” → “second” → “first”"):
        segments.save(first)


def test_segment__that_is_used__is_not_deleted_and_says_where(
    on_sqlite: Database, shop: Client, make: Make
) -> None:
    segment = make("Buyers", BUYERS)
    audience = field("guest.segments", "includes", "buyers")
    flow = FlowFactory.create(client=shop, name="Thanks", audience=audience, live=True)
    make("Quiet", {"all": [audience, did("VIEW")]})

    with pytest.raises(SegmentError, match="the segment “Quiet”, the flow “Thanks”"):
        segments.delete(segment, now=timezone.now())

    Segment.objects.filter(friendly_id="quiet").delete()
    flow.audience = {}
    flow.save()
    with pytest.raises(SegmentError, match="the flow “Thanks”"):
        segments.delete(segment, now=timezone.now())


def test_deleted_segment__is_judged_no_more_and_its_id_stays_taken(
    database: Database, api: Api, make: Make
) -> None:
    segment = make("Lately", {"event": "VIEW", "within": {"days": 1}})
    browser, _ = visitor(api)
    api.json(api.send("VIEW", browser))
    assert SegmentDue.objects.count() == 1

    segments.delete(segment, now=timezone.now())
    api.json(api.send("VIEW", browser))

    assert not SegmentDue.objects.exists()
    with pytest.raises(SegmentError, match="never used again"):
        make("Lately", did("VIEW"), friendly_id="lately")
    assert make("Lately", did("VIEW")).friendly_id == "lately_2"


def test_flow__whose_segment_is_gone__runs_nothing_and_says_why(
    on_sqlite: Database, api: Api, shop: Client, make: Make
) -> None:
    segment = make("Buyers", BUYERS)
    audience = field("guest.segments", "excludes", "buyers")
    FlowFactory.create(client=shop, name="welcome", audience=audience, live=True)
    browser, _ = visitor(api)
    assert runs(api, "welcome", browser)

    # A backup was restored that knows one and not the other.
    Segment.objects.filter(pk=segment.pk).update(
        deleted_at=timezone.now(), catalog_version=segment.catalog_version + 100
    )
    segments.save(Segment(client=shop, name="Other", condition=did("X")))
    snapshots.forget()
    assert not runs(api, "welcome", browser)


def test_segment__of_the_sites_own_tables__follows_them_with_events_and_by_the_hour(
    database: Database, api: Api, make: Make
) -> None:
    segment = make("Spenders", field("shop.spent", "at_least", 100))
    first, second = (visitor(api)[0] for _ in range(2))
    for name, browser in (("ada", first), ("bob", second)):
        email = f"{name}@example.com"
        api.json(api.identify(browser, ("EMAIL", email)))
        Order.objects.create(email=email, sku="shoe", price=129, placed_at=timezone.now())
    assert members(segment) == set()

    api.json(api.send("VIEW", first))
    assert members(segment) == {guest_of(api, first)}
    memberships.tend(timezone.now() + timedelta(minutes=61))
    assert members(segment) == {guest_of(api, first), guest_of(api, second)}


def test_segment__whose_source_fails__keeps_whom_it_has(
    database: Database, api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = make("Customers", field("guest.identifiers", "includes", "EMAIL"))
    segment = make("Spenders", field("shop.spent", "at_least", 100))
    browser, guest = visitor(api)
    Order.objects.create(email="ada@example.com", sku="shoe", price=129, placed_at=timezone.now())
    api.json(api.identify(browser, ("EMAIL", "ada@example.com")))
    assert members(segment) == {guest}

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("The table is being moved.")

    monkeypatch.setattr(RowSource, "ask", fail)
    api.json(api.identify(browser, ("EMAIL", "ada@example.com"), city="Cork"))

    assert members(segment) == members(fine) == {guest}


def test_guest__that_is_there_before_any_event__is_judged_too(
    database: Database, api: Api, make: Make
) -> None:
    segment = make("Never searched", {"not": did("SEARCH")})
    _, guest = visitor(api)
    tasks.drain()

    assert members(segment) == {guest}


def test_segments__of_what_the_purge_deletes__are_left_and_entered(
    database: Database, api: Api, shop: Client, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_AT_ONCE", 2)
    added = make("Added", did("ADD"))
    never = make("Never added", {"not": did("ADD")})
    filled = make("Filled", field("cart.items", "at_least", 1))
    customers = set()
    for number in range(3):
        browser = api.create_browser()["ref"]
        api.json(api.identify(browser, ("EMAIL", f"{number}@example.com")))
        product = {"item_id": "shoe", "productId": "shoe", "price": 10, "currency": "EUR"}
        api.json(api.send("ADD", browser, product=product))
        customers.add(guest_of(api, browser))
    assert (members(added), members(never), members(filled)) == (customers, set(), customers)

    long_ago = timezone.now() - timedelta(days=401)
    Event.objects.update(occurred_at=long_ago)
    Cart.objects.update(changed_at=long_ago)
    tasks.purge()

    assert (members(added), members(never), members(filled)) == (set(), customers, set())
    assert not FollowUp.objects.exists()


def test_segment__of_categories_bought_from__follows_the_catalogue(
    database: Database, api: Api, make: Make
) -> None:
    trail = make("Trail", field("orders.categories", "includes", "Shoes/Trail"))
    runners = make("Runners", field("guest.segments", "includes", "trail"))
    plain = make("Plain", BUYERS)
    browser, guest = visitor(api)
    buy(api, browser)
    assert (members(trail), members(plain)) == (set(), {guest})
    built_at = Segment.objects.get(pk=plain.pk).built_at

    def items(verb: str, path: str, body: Any = None) -> None:
        call = getattr(api.http, verb)
        headers = {"authorization": api.basic}
        answer = call(f"/v2.1/items{path}", body, content_type="application/json", headers=headers)
        assert answer.status_code in (200, 201, 204), answer.content

    def imported(*paths: str) -> tuple[set[str], set[str]]:
        items("post", "", {"items": [{"type": 1, "id": "shoe", "categories": list(paths)}]})
        return members(trail), members(runners)

    assert imported("Shoes/Trail", "Sale") == ({guest}, {guest})
    assert imported("Sale") == (set(), set())
    items("patch", "/1/shoe", {"categories": ["Shoes/Trail"]})
    assert members(trail) == {guest}
    items("delete", "/1/shoe")
    assert members(trail) == set()
    assert Segment.objects.get(pk=plain.pk).built_at == built_at


def test_segment__of_categories_bought_from__follows_clicks_and_the_ageing_of_what_they_told(
    database: Database, api: Api, shop: Client, make: Make
) -> None:
    trail = make("Trail", field("orders.categories", "includes", "Trail"))
    browser, guest = visitor(api)
    buy(api, browser)
    sighting = Sighting(key=ItemKey(1, "shoe"), category="Trail")

    catalogue.supplement(shop.pk, [sighting], now=timezone.now())
    tasks.drain()
    assert members(trail) == {guest}
    built_at = Segment.objects.get(pk=trail.pk).built_at

    catalogue.supplement(shop.pk, [sighting], now=timezone.now() + timedelta(days=2))
    tasks.drain()
    assert Segment.objects.get(pk=trail.pk).built_at == built_at

    ItemCategory.objects.update(seen_at=timezone.now() - timedelta(days=91))
    tasks.purge()
    assert members(trail) == set()


def test_segment__that_is_being_built__begins_anew_for_imports_and_not_for_clicks(
    database: Database, shop: Client, make: Make
) -> None:
    trail = make("Trail", field("orders.categories", "includes", "Trail"))
    far = 10**6
    Segment.objects.filter(pk=trail.pk).update(built_to=far)

    sighting = Sighting(key=ItemKey(1, "shoe"), category="Made up")
    catalogue.supplement(shop.pk, [sighting], now=timezone.now())
    assert Segment.objects.get(pk=trail.pk).built_to == far

    with db.write():
        item = CatalogueItem(key=ItemKey(1, "shoe"), categories=("Trail",))
        catalogue.put(shop.pk, [item], now=timezone.now())
        assert Segment.objects.get(pk=trail.pk).built_to == 0


def test_follow_up__of_guests_who_are_gone_meanwhile__is_paid_all_the_same(
    database: Database, api: Api, make: Make
) -> None:
    make("Never searched", {"not": did("SEARCH")})
    browser = BrowserFactory.create(guest__client=Client.objects.get())
    followers.note_guests([browser.guest_id], followers.Changed.PROFILE, now=timezone.now())
    browser.guest.delete()

    followers.run_due(now=timezone.now())

    assert not SegmentMembership.objects.exists()
