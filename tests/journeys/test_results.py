"""What came of flows: who saw which variant and what they did then, whenever it is heard of."""

import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import hypothesis
import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import timezone
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st
from pytest_django import Settings

from personalize.analytics import breakdowns, results
from personalize.attribution import happenings, numbers, rebuilding, touched
from personalize.conditions import patterns
from personalize.goals.types import MOST, Happening
from personalize.models import (
    Assignment,
    DailyNumbers,
    DailyRuns,
    Exposure,
    Flow,
    FlowRevision,
    Goal,
    GuestGoal,
)
from tests.api import Api
from tests.conftest import Database
from tests.experiments import REVENUE, SIGNUP, experiment, run, state, sums, visitor
from tests.thoroughness import searched, searches
from tracking import db, followers, ledger, pipeline, privacy, retention, sessions, tasks
from tracking.models import Client, Event, FollowUp, Guest, InboxEntry, Order, Session

pytestmark = pytest.mark.django_db(transaction=True)

MILLION = 1_000_000
THANKS = {"type": "VIEW", "where": [{"field": "page", "operator": "is", "value": "thanks"}]}


def total(flow: Flow, name: str, field: str = "y") -> int:
    """Return a goal's sum over all variants, in whole units."""
    goal = Goal.objects.get(flow=flow, name=name)
    return sum(each[field] for each in sums(flow, goal.ref).values()) // MILLION


# --- within the visit, which is the rule --------------------------------------------------


def test_goal__after_the_exposure_in_its_visit__counts_once_per_visit(
    database: Database, api: Api
) -> None:
    flow = experiment(api, SIGNUP)
    browser = visitor(api)
    api.send("SIGNUP", browser)
    variant = run(api, flow, browser)
    assert total(flow, "Signed up") == 0

    api.send("SIGNUP", browser)
    api.send("SIGNUP", browser)

    assert total(flow, "Signed up") == 1
    assert sums(flow)[variant]["n"] == 1


def test_goal__in_a_visit_without_exposure__counts_nothing(database: Database, api: Api) -> None:
    flow = experiment(api, SIGNUP)
    browser = visitor(api)
    run(api, flow, browser)
    api.send("FORCE_CLOSE", browser)

    api.send("SIGNUP", browser)
    assert total(flow, "Signed up") == 0

    run(api, flow, browser)
    api.send("SIGNUP", browser)
    goal = Goal.objects.get(flow=flow)
    (of_variant,) = sums(flow, goal.ref).values()
    assert of_variant["y"] == MILLION
    assert of_variant["d"] == 2 * MILLION
    (guests,) = sums(flow).values()
    assert (guests["n"], guests["y"]) == (1, 2 * MILLION)


def test_run__by_email__is_an_execution_that_nothing_is_attributed_to(
    database: Database, api: Api
) -> None:
    flow = experiment(api, SIGNUP)
    browser = visitor(api)
    api.identify(browser, ("EMAIL", "ada@example.com"), email="ada@example.com")

    api.json(api.call_flows(flow.friendly_id, email="ada@example.com"))
    api.send("SIGNUP", browser)

    assert total(flow, "Signed up") == 0
    (row,) = DailyRuns.objects.filter(flow=flow)
    counted = dict(zip(numbers.RUN_SUMS, numbers.numbers(row.sums), strict=False))
    assert (counted["runs"], counted["attributable"]) == (1, 0)


def test_n_calls__of_one_visit__are_n_executions_and_one_counted_visit(
    database: Database, api: Api
) -> None:
    flow = experiment(api, SIGNUP)
    browser = visitor(api)

    for _ in range(3):
        run(api, flow, browser)

    (row,) = DailyRuns.objects.filter(flow=flow)
    assert numbers.numbers(row.sums)[0] == 3
    (guests,) = sums(flow).values()
    assert (guests["n"], guests["y"]) == (1, MILLION)


def buy(api: Api, browser: str, number: str, price: float, currency: str = "EUR") -> None:
    product = {"item_id": "shoe", "productId": "shoe", "name": "Shoe", "price": price}
    api.json(api.send("ADD", browser, product=product | {"currency": currency}))
    api.json(api.send("CHECKOUT", browser, reference_id=number))


ORDERED = {"name": "Ordered", "kind": "CONVERSION"}
VALUE = {"name": "Order value", "kind": "AVERAGE_ORDER_VALUE"}


def test_orders__feed_conversion_revenue_and_order_value(database: Database, api: Api) -> None:
    flow = experiment(api, ORDERED, REVENUE, VALUE)
    browser = visitor(api)
    run(api, flow, browser)

    buy(api, browser, "R-1", 20)
    buy(api, browser, "R-2", 30)

    assert total(flow, "Ordered") == 1
    assert total(flow, "Revenue") == 50
    assert (total(flow, "Order value"), total(flow, "Order value", "d")) == (50, 2)


def test_order__cancelled_by_the_shop__is_taken_back(database: Database, api: Api) -> None:
    flow = experiment(api, ORDERED, REVENUE)
    browser = visitor(api)
    run(api, flow, browser)
    buy(api, browser, "R-1", 20)
    assert total(flow, "Revenue") == 20

    order = Order.objects.get(reference_id="R-1")
    ledger.change(order, fields={"status": "CANCELLED"}, items=None, now=timezone.now())
    tasks.drain()

    assert total(flow, "Revenue") == 0
    assert total(flow, "Ordered") == 0


def test_amount__that_is_out_of_all_bounds__keeps_nobody_from_being_counted(
    database: Database, api: Api
) -> None:
    gift = {"event": {"type": "SIGNUP"}, "value": "amount"}
    per_gift = {**gift, "base": gift["event"], "baseValue": "amount"}
    flow = experiment(
        api,
        SIGNUP,
        {"name": "Given", "kind": "SUM", **gift},
        {"name": "Per gift", "kind": "RATIO", **per_gift},
    )
    browser = visitor(api)
    for amount in (1e305, 9e12, "9e12"):
        run(api, flow, browser)
        api.send("SIGNUP", browser, amount=amount)
        api.send("FORCE_CLOSE", browser)

    assert not FollowUp.objects.exists()
    assert total(flow, "Signed up") == 3
    assert total(flow, "Given") == MOST // MILLION
    assert total(flow, "Per gift", "d") == MOST // MILLION


def test_bounce__counts_when_the_visit_is_over(database: Database, api: Api) -> None:
    flow = experiment(api, {"name": "Bounced", "kind": "BOUNCE", "direction": "DECREASE"})
    one, two = visitor(api), visitor(api)
    for browser in (one, two):
        run(api, flow, browser)
        api.send("VIEW", browser)
    api.send("VIEW", two)
    assert total(flow, "Bounced", "d") == 0

    later = timezone.now() + timedelta(hours=3)
    assert sessions.close_idle(now=later) == 2
    followers.run_due(now=later)

    assert (total(flow, "Bounced"), total(flow, "Bounced", "d")) == (1, 2)


def test_numbers__of_a_client_whose_time_zone_changed__stay_on_their_days(
    database: Database, api: Api, shop: Client
) -> None:
    # Wherever it is which time of day, these two never have the same date.
    shop.time_zone = "Pacific/Kiritimati"
    shop.save()
    flow = experiment(api, SIGNUP)
    browser = visitor(api)
    variant = run(api, flow, browser)
    shop.time_zone = "Pacific/Pago_Pago"
    shop.save()

    api.send("SIGNUP", browser)

    found = results.of(flow, now=timezone.now())
    (day,) = {each.day for each in found.by_day if any(each.guests.values())}
    assert {each.name: each.goals[0].total for each in found.variants if each.guests} == {
        variant: 1
    }
    kept = state(flow)
    assert {key[0] for key in kept["days"]} == {day}
    rebuilding.rebuild(flow, now=timezone.now())
    assert state(flow)["days"] == kept["days"]


# --- by time ------------------------------------------------------------------------------


def test_window__counts_other_visits_and_ends(database: Database, api: Api) -> None:
    flow = experiment(api, {**SIGNUP, "windowHours": 1})
    browser = visitor(api)
    run(api, flow, browser)
    api.send("FORCE_CLOSE", browser)

    api.send("SIGNUP", browser)

    assert total(flow, "Signed up") == 1
    Exposure.objects.update(exposed_at=timezone.now() - timedelta(hours=2))
    api.send("SIGNUP", browser)
    assert total(flow, "Signed up") == 0


def test_results__of_what_the_purge_deletes__stay(database: Database, api: Api) -> None:
    flow = experiment(api, SIGNUP, {**SIGNUP, "name": "In time", "windowHours": 24})
    browser = visitor(api)
    api.json(api.identify(browser, ("EMAIL", "ada@example.com")))
    run(api, flow, browser)
    api.send("SIGNUP", browser)
    before = state(flow)
    assert (total(flow, "Signed up"), total(flow, "In time")) == (1, 1)

    Event.objects.filter(type="SIGNUP").update(occurred_at=timezone.now() - timedelta(days=401))
    tasks.purge()

    assert not Event.objects.filter(type="SIGNUP").exists()
    assert state(flow) == before


def test_window__of_many_guests__reads_what_each_did_in_their_own_time(
    database: Database, api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = experiment(api, {**SIGNUP, "windowHours": 1})
    old, new = visitor(api), visitor(api)
    run(api, flow, old)
    api.send("SIGNUP", old)
    past = timezone.now() - timedelta(days=60)
    Exposure.objects.update(exposed_at=past)
    Assignment.objects.update(first_at=past)
    Event.objects.update(occurred_at=past)
    for _ in range(5):
        api.send("SIGNUP", old)
    Event.objects.filter(occurred_at__gt=past).update(occurred_at=past + timedelta(days=20))
    run(api, flow, new)
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    for browser in (old, new):
        api.send("SIGNUP", browser)
    waiting = list(InboxEntry.objects.values_list("ref", flat=True))
    pipeline.process_entries(waiting, now=timezone.now())
    heard: list[Happening] = []
    in_spans = happenings.in_spans

    def counted(*args: Any) -> dict[int, list[Happening]]:
        found = in_spans(*args)
        heard.extend(itertools.chain.from_iterable(found.values()))
        return found

    monkeypatch.setattr(happenings, "in_spans", counted)
    followers.run_due(now=timezone.now())

    assert total(flow, "Signed up") == 2
    # Nothing can have changed of the hour of the one, and the other has signed up once.
    assert len(heard) == 1


# --- experiences, and what others' tools tell ---------------------------------------------


def test_experience__that_was_deleted__keeps_its_results(database: Database, api: Api) -> None:
    flow = experience(api, SIGNUP)
    browser = visitor(api)
    run(api, flow, browser)
    api.send("SIGNUP", browser)

    assert api.http.delete(
        f"/v2/flowDefinitions/{flow.ref}", headers={"authorization": api.basic}
    ).status_code in (200, 204)
    api.send("SIGNUP", browser)

    assert total(flow, "Signed up") == 1
    assert sums(flow)["A"]["n"] == 1


def tell(api: Api, call: str, *, minutes_ago: float = 0, **fields: Any) -> None:
    """Send a call of the Segment family."""
    at = (timezone.now() - timedelta(minutes=minutes_ago)).isoformat()
    body = {"type": call, "timestamp": at, "writeKey": api.client_key, **fields}
    api.json(api.post(f"/v1/{call}", body))


def view(api: Api, flow: Flow, *, minutes_ago: float = 0, **ids: str) -> None:
    """Let another tool tell that somebody saw variant B."""
    named = {"experiment_id": flow.friendly_id, "variation_name": "B"}
    event = {"event": "Experiment Viewed", "properties": named}
    tell(api, "track", minutes_ago=minutes_ago, **event, **ids)


def test_experiment_viewed__that_names_a_variant__is_an_exposure(
    database: Database, api: Api
) -> None:
    flow = experiment(api, {**SIGNUP, "event": {"type": "Signed Up"}})

    view(api, flow, anonymousId="device-1")
    tell(api, "track", event="Signed Up", anonymousId="device-1")

    assert sums(flow)["B"]["n"] == 1
    assert total(flow, "Signed up") == 1


def test_ibexa_recommendation__of_a_scenario_that_is_an_experience__is_an_exposure(
    database: Database, api: Api, shop: Client
) -> None:
    flow = experience(api, SIGNUP)
    path = f"/api/{api.client_key}/clickrecommended/ada/1/155?scenario={flow.friendly_id}"

    assert api.http.get(path).status_code in (200, 204)

    assert sums(flow)["A"]["n"] == 1


def test_bot__sees_variants_and_counts_for_none(database: Database, api: Api) -> None:
    flow = experiment(api, SIGNUP)

    api.json(api.call_flows(flow.friendly_id, browserId="1234abcd" * 8, channel="bot"))

    assert sums(flow) == {}


# --- goals that come later ----------------------------------------------------------------


def test_goal__added_while_it_runs__measures_what_was_done_before_it(
    database: Database, api: Api
) -> None:
    flow = experiment(api, SIGNUP)
    browser = visitor(api)
    run(api, flow, browser)
    api.send("VIEW", browser, page="thanks")
    body = api.json(api.get(f"/v2/flowDefinitions/{flow.ref}", basic=True))

    kept = {name: body[name] for name in ("name", "subtype", "variants", "goals", "friendlyId")}
    kept["goals"].append({"name": "Thanked", "kind": "PAGE_VIEW", "event": THANKS})
    api.json(api.put(f"/v2/flowDefinitions/{flow.ref}", kept))
    tasks.drain()

    assert total(flow, "Thanked") == 1
    assert Flow.objects.get(pk=flow.pk).measured_to is None


BY_EXPRESSION: dict[str, Any] = {
    "type": "VIEW",
    "where": [{"field": "page", "operator": "matches_regex", "value": "^thanks"}],
}


@contextmanager
def without_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Deploy the site anew, without the library that an operator needs; and later with it again."""
    with monkeypatch.context() as deployed:
        deployed.setattr(patterns, "HAS_REGEX", False)
        deployed.setattr(touched, "_goals", {})
        yield


def test_goal__that_cannot_be_read_for_a_while__counts_nobody_twice(
    database: Database, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    thanked = {"name": "Thanked", "kind": "PAGE_VIEW", "event": BY_EXPRESSION}
    flow = experiment(api, SIGNUP, thanked)
    browser = visitor(api)
    run(api, flow, browser)
    api.send("VIEW", browser, page="thanks")
    assert total(flow, "Thanked") == 1

    with without_library(monkeypatch):
        api.send("SIGNUP", browser)
    api.send("SIGNUP", browser)
    api.send("VIEW", browser, page="thanks")

    assert (total(flow, "Signed up"), total(flow, "Thanked")) == (1, 1)


def test_goal__that_cannot_be_read_while_another_comes__keeps_its_numbers(
    database: Database, api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [{"type": "SIGNUP"}, BY_EXPRESSION]
    flow = experiment(api, SIGNUP, {"name": "Way", "kind": "FUNNEL", "steps": steps})
    browser = visitor(api)
    run(api, flow, browser)
    api.send("SIGNUP", browser)
    api.send("VIEW", browser, page="thanks")
    before = state(flow)
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    body = api.read(f"/v2/flowDefinitions/{flow.ref}")
    kept = {name: body[name] for name in ("name", "subtype", "variants", "goals", "friendlyId")}
    kept["goals"].append({"name": "Asked", "kind": "EVENT", "event": {"type": "ASK"}})
    api.json(api.put(f"/v2/flowDefinitions/{flow.ref}", kept))

    with without_library(monkeypatch):
        tasks.drain()

    assert Flow.objects.get(pk=flow.pk).measured_to is None
    assert total(flow, "Way") == 1
    assert state(flow) == before


# --- in any order -------------------------------------------------------------------------


def walk_in(order: Sequence[UUID]) -> None:
    for ref in order:
        pipeline.process_entries([ref], now=timezone.now())
        followers.run_due(now=timezone.now())


@pytest.mark.parametrize("order", searched(itertools.permutations(range(4))))
def test_numbers__in_every_order_of_arrival__are_the_same(
    database: Database, api: Api, settings: Settings, order: Sequence[int]
) -> None:
    flow = experiment(api, SIGNUP, REVENUE)
    browser = visitor(api)
    api.send("VIEW", browser)
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    run(api, flow, browser)
    api.send("SIGNUP", browser)
    api.identify(browser, ("EMAIL", "ada@example.com"), email="ada@example.com")
    api.send("SIGNUP", browser)
    waiting = list(InboxEntry.objects.order_by("ref").values_list("ref", flat=True))

    walk_in([waiting[index] for index in order])

    assert total(flow, "Signed up") == 1
    (guests,) = sums(flow).values()
    assert guests["n"] == 1
    before = state(flow)
    rebuilding.rebuild(flow, now=timezone.now())
    assert state(flow) == before


def made_again(flow: Flow) -> dict[str, Any]:
    """Make the results again from the events alone; return them."""
    for model in (DailyNumbers, DailyRuns, GuestGoal, Assignment, Exposure):
        model.objects.all().delete()
    rebuilding.rebuild(flow, now=timezone.now())
    return state(flow)


#: Lets what is told first arrive last, in the examples below.
FIRST_LAST = 11
ACTS = st.tuples(
    st.sampled_from(["run", "sign up", "log in", "buy", "leave", "name", "view"]), st.integers(0, 2)
)


def act(api: Api, flow: Flow, browser: str, what: str, at: int, number: int) -> None:
    user = f"{flow.friendly_id}-{at}"
    if what == "run":
        run(api, flow, browser)
    elif what == "sign up":
        api.send("SIGNUP", browser)
    elif what == "log in":
        api.identify(browser, ("EMAIL", f"{flow.friendly_id}@example.com"))
    elif what == "leave":
        api.send("FORCE_CLOSE", browser)
    elif what == "buy":
        # Several tell of one order: it is whose who bought first.
        buy(api, browser, f"{flow.friendly_id}-{number % 2}", 10)
    elif what == "name":
        # One device, which was another user's all the time if that is heard late.
        tell(api, "identify", anonymousId=f"{flow.friendly_id}-device", userId=user)
    else:
        view(api, flow, userId=user)


@hypothesis.settings(
    max_examples=searches(15),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example([("run", 0), ("buy", 0), ("run", 1), ("buy", 1)], FIRST_LAST)
@example([("name", 0), ("name", 1), ("view", 1)], FIRST_LAST)
@given(st.lists(ACTS, min_size=2, max_size=9), st.integers(0, 10**6))
def test_numbers__of_any_story_in_any_order__equal_those_made_again_from_the_events(
    database: Database,
    api: Api,
    settings: Settings,
    story: list[tuple[str, int]],
    seed: int,
) -> None:
    # What an example that failed has left behind.
    InboxEntry.objects.all().delete()
    FollowUp.objects.all().delete()
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "inline"}
    by_time = {**SIGNUP, "name": "In time", "windowHours": 1}
    bounced = {"name": "Bounced", "kind": "BOUNCE"}
    flow = experiment(api, SIGNUP, ORDERED, REVENUE, by_time, bounced)
    browsers = [visitor(api) for _ in range(3)]
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    for number, (what, at) in enumerate(story):
        act(api, flow, browsers[at], what, at, number)
    waiting = list(InboxEntry.objects.order_by("ref").values_list("ref", flat=True))

    walk_in(random.Random(seed).sample(waiting, len(waiting)))
    assert not FollowUp.objects.filter(attempts__gt=0).exists()

    kept = state(flow)
    assert made_again(flow) == kept


# --- what changes hands -------------------------------------------------------------------


def running_for_an_hour(api: Api, *goals: dict[str, Any]) -> Flow:
    flow = experiment(api, *goals)
    hour_ago = timezone.now() - timedelta(hours=1)
    FlowRevision.objects.filter(flow=flow).update(published_at=hour_ago)
    return flow


def test_order__told_earlier_of_somebody_else__is_taken_from_who_seemed_to_have_it(
    database: Database, api: Api
) -> None:
    flow = running_for_an_hour(api, ORDERED, REVENUE)
    order: dict[str, Any] = {"order_id": "O-1", "revenue": 100}
    view(api, flow, minutes_ago=3, anonymousId="device-1")
    tell(api, "track", event="Order Completed", properties=order, anonymousId="device-1")
    assert (total(flow, "Ordered"), total(flow, "Revenue")) == (1, 100)

    ordered = {"event": "Order Completed", "properties": order}
    tell(api, "track", minutes_ago=2, userId="u1", **ordered)

    assert (total(flow, "Ordered"), total(flow, "Revenue")) == (0, 0)
    kept = state(flow)
    assert made_again(flow) == kept


def test_order__given_back_by_somebody_else__counts_less_for_who_has_it(
    database: Database, api: Api
) -> None:
    flow = running_for_an_hour(api, ORDERED, REVENUE)
    order = {"order_id": "O-1", "revenue": 100}
    view(api, flow, minutes_ago=3, anonymousId="device-1")
    tell(api, "track", event="Order Completed", properties=order, anonymousId="device-1")

    tell(api, "track", event="Order Refunded", properties={"order_id": "O-1"}, userId="u1")

    assert (total(flow, "Ordered"), total(flow, "Revenue")) == (1, 0)
    kept = state(flow)
    assert made_again(flow) == kept


def test_exposure__without_a_visit__goes_with_its_event_to_another_guest(
    database: Database, api: Api
) -> None:
    flow = running_for_an_hour(api, SIGNUP)
    tell(api, "identify", minutes_ago=4, anonymousId="device-1", userId="u1")
    view(api, flow, minutes_ago=3, userId="u1")
    assert sums(flow)["B"]["n"] == 1

    tell(api, "identify", minutes_ago=5, anonymousId="device-1", userId="u0")

    assert sums(flow)["B"]["n"] == 1
    kept = state(flow)
    assert made_again(flow) == kept


# --- merged -------------------------------------------------------------------------------


def test_guests__merged_after_both_saw_it__are_one_and_set_aside_if_they_saw_two(
    database: Database, api: Api
) -> None:
    flow = experiment(api, SIGNUP)
    by_variant: dict[str, list[str]] = {"A": [], "B": []}
    while min(map(len, by_variant.values())) < 2:
        browser = visitor(api)
        by_variant[run(api, flow, browser)].append(browser)
    started = sum(map(len, by_variant.values()))
    first, second = by_variant["A"][:2]
    other = by_variant["B"][0]

    api.identify(first, ("EMAIL", "ada@example.com"))
    api.identify(second, ("EMAIL", "ada@example.com"))
    assert sum(each["n"] for each in sums(flow).values()) == started - 1
    assert "mixed" not in sums(flow)

    api.identify(other, ("EMAIL", "ada@example.com"))
    assert sums(flow)["mixed"]["n"] == 1
    assert sum(each["n"] for each in sums(flow).values()) == started - 2


# --- made again ---------------------------------------------------------------------------


def test_rebuild__of_numbers_that_were_spoilt__gives_what_the_events_say(
    database: Database, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = experiment(api, SIGNUP, ORDERED, REVENUE)
    for number in range(4):
        browser = visitor(api)
        run(api, flow, browser)
        if number % 2:
            api.send("SIGNUP", browser)
        else:
            buy(api, browser, f"R-{number}", 10 + number)
    before = state(flow)
    assert before["days"] and before["totals"]
    DailyNumbers.objects.all().delete()
    GuestGoal.objects.update(y=7)
    Assignment.objects.all().delete()
    DailyRuns.objects.update(sums=" ".join(["5"] * 15))

    call_command("rebuild_results", flow.friendly_id)

    assert state(flow) == before
    assert "4 guests" in capsys.readouterr().out


def in_thread(pool: ThreadPoolExecutor, work: Callable[[], object]) -> Future[None]:
    """Do this in a thread of its own; return once that waits for a lock of this one, or is done."""

    def do() -> None:
        try:
            work()
        finally:
            connections.close_all()

    begun = pool.submit(do)
    deadline = time.monotonic() + 20
    with db.cursor() as cursor:
        while not begun.done():
            cursor.execute(
                "SELECT 1 FROM pg_locks WHERE NOT granted"
                " AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            if cursor.fetchone():
                break
            assert time.monotonic() < deadline
            time.sleep(0.01)
    return begun


def test_rebuild__while_somebody_signs_up__counts_the_sign_up(
    on_postgres: Database, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = experiment(
        api, SIGNUP, subtype="EXPERIENCE", variants=[{"name": "A", "content": {"v": "A"}}]
    )
    one, other = visitor(api), visitor(api)
    for browser in (one, other):
        run(api, flow, browser)
    api.send("SIGNUP", one)
    begun: list[Future[None]] = []
    replace = numbers.replace

    def replace_and_hear(*args: Any, **options: Any) -> None:
        replace(*args, **options)
        if not begun:
            begun.append(in_thread(pool, lambda: api.send("SIGNUP", other)))

    monkeypatch.setattr(numbers, "replace", replace_and_hear)
    with ThreadPoolExecutor(1) as pool:
        rebuilding.rebuild(flow, now=timezone.now())
        begun[0].result()
    tasks.drain()

    assert total(flow, "Signed up") == 2


def test_rebuild__leaves_days_alone_whose_events_may_be_gone(
    database: Database, api: Api, shop: Client
) -> None:
    flow = experiment(api, SIGNUP)
    browser = visitor(api)
    run(api, flow, browser)
    long_ago = timezone.now() - timedelta(days=200)
    Assignment.objects.update(day=long_ago.date(), first_at=long_ago)
    DailyNumbers.objects.update(day=long_ago.date())
    before = sums(flow)

    rebuilding.rebuild(flow, now=timezone.now())

    assert sums(flow) == before


def until_events_are_gone() -> None:
    """Let so much time go by that nothing of what happened until now is kept for its age."""
    past = timezone.now() - timedelta(days=401)
    Event.objects.update(occurred_at=past)
    Session.objects.update(status=Session.Status.CLOSED, started_at=past, ended_at=past)
    Order.objects.update(ordered_at=past)
    Exposure.objects.update(exposed_at=past)
    Assignment.objects.update(first_at=past, day=past.date())
    DailyNumbers.objects.update(day=past.date())
    retention.purge(now=timezone.now())
    assert not Event.objects.exists()


def test_numbers__of_events_that_are_gone_for_their_age__stay(database: Database, api: Api) -> None:
    by_time = {**SIGNUP, "name": "In time", "windowHours": 1}
    flow = experiment(api, SIGNUP, by_time, REVENUE)
    browser = visitor(api)
    api.identify(browser, ("EMAIL", "ada@example.com"))
    api.send("SIGNUP", browser)
    run(api, flow, browser)
    api.send("SIGNUP", browser)
    buy(api, browser, "R-1", 20)
    until_events_are_gone()
    before = state(flow)
    assert [total(flow, name) for name in ("Signed up", "In time", "Revenue")] == [1, 1, 20]

    api.send("SIGNUP", browser)
    assert state(flow) == before
    body = api.read(f"/v2/flowDefinitions/{flow.ref}")
    kept = {name: body[name] for name in ("name", "subtype", "variants", "goals", "friendlyId")}
    kept["goals"].append({"name": "Thanked", "kind": "PAGE_VIEW", "event": THANKS})
    api.json(api.put(f"/v2/flowDefinitions/{flow.ref}", kept))
    tasks.drain()
    assert Flow.objects.get(pk=flow.pk).measured_to is None
    assert state(flow) == before

    newcomer = visitor(api)
    run(api, flow, newcomer)
    api.send("SIGNUP", newcomer)
    assert [total(flow, name) for name in ("Signed up", "In time")] == [2, 2]


def test_exposure__in_no_session__outlives_its_event(database: Database, api: Api) -> None:
    flows = [experiment(api, SIGNUP, name=f"Test {number}") for number in range(2)]

    def view(flow: Flow, variant: str) -> None:
        named = {"experiment_id": flow.friendly_id, "variation_name": variant}
        viewed = {"type": "track", "event": "Experiment Viewed", "userId": "ada"}
        batch = [{**viewed, "properties": named}]
        api.json(api.post("/v1/batch", {"writeKey": api.client_key, "batch": batch}))

    view(flows[0], "A")
    view(flows[1], "B")
    until_events_are_gone()
    before = state(flows[0]), state(flows[1])

    view(flows[1], "B")

    assert (state(flows[0]), state(flows[1])) == before
    assert (sums(flows[0])["A"]["n"], sums(flows[1])["B"]["n"]) == (1, 1)


def test_erasure__takes_a_guest_out_of_the_numbers(
    database: Database, api: Api, shop: Client
) -> None:
    flow = experiment(api, SIGNUP)
    kept, gone = visitor(api), visitor(api)
    for browser in (kept, gone):
        run(api, flow, browser)
        api.send("SIGNUP", browser)
    guest = Guest.objects.get(ref=api.json(api.show(gone))["customer"]["ref"])

    privacy.erase(privacy.subject_of(guest), until=timezone.now())

    assert total(flow, "Signed up") == 1
    assert sum(each["n"] for each in sums(flow).values()) == 1
    assert not Exposure.objects.filter(guest=guest.pk).exists()
    assert Session.objects.exists()


# --- read ---------------------------------------------------------------------------------


def test_results__of_an_experiment__say_what_each_variant_came_to_and_what_to_do(
    database: Database, api: Api
) -> None:
    flow = experiment(api, SIGNUP, {**REVENUE, "unit": "GUEST", "cap": {"percentile": 99}})
    signed_up = dict.fromkeys("AB", 0)
    for number in range(12):
        browser = visitor(api)
        variant = run(api, flow, browser)
        if number % 3 == 0:
            api.send("SIGNUP", browser)
            signed_up[variant] += 1

    found = results.of(flow, now=timezone.now())

    assert found.report is not None
    assert found.report.verdict.code == "COLLECTING"
    assert sum(each.guests for each in found.variants) == 12
    assert {each.name: each.goals[0].total for each in found.variants} == signed_up
    assert found.attributable == 1
    assert sum(each.runs.executions for each in found.variants) == 12
    assert [each.day for each in found.over_time]
    by_device = breakdowns.of(flow, "device", now=timezone.now())
    assert sum(sum(part.guests.values()) for part in by_device.parts) == 12


# --- who has seen a variant keeps it ------------------------------------------------------


def republish(api: Api, flow: Flow, **changes: Any) -> None:
    body = api.read(f"/v2/flowDefinitions/{flow.ref}")
    kept = {name: body[name] for name in ("name", "subtype", "variants", "goals", "friendlyId")}
    api.json(api.put(f"/v2/flowDefinitions/{flow.ref}", kept | changes))


def reweigh(api: Api, flow: Flow, **weights: float) -> None:
    variants = api.read(f"/v2/flowDefinitions/{flow.ref}")["variants"]
    republish(api, flow, variants=[{**each, "weight": weights[each["name"]]} for each in variants])


def experience(api: Api, *goals: dict[str, Any]) -> Flow:
    only = [{"name": "A", "content": {"v": "A"}}]
    return experiment(api, *goals, subtype="EXPERIENCE", variants=only)


def until_both_are_seen(api: Api, flow: Flow) -> dict[str, str]:
    """Let visitors come until each variant was seen; return what each browser saw."""
    seen: dict[str, str] = {}
    while set(seen.values()) != {"A", "B"}:
        browser = visitor(api)
        seen[browser] = run(api, flow, browser)
    return seen


def test_weights__changed_while_it_runs__move_nobody_and_begin_a_phase(
    database: Database, api: Api
) -> None:
    flow = experiment(api, SIGNUP)
    before = {browser: run(api, flow, browser) for browser in (visitor(api) for _ in range(12))}

    reweigh(api, flow, A=1, B=9)

    assert {browser: run(api, flow, browser) for browser in before} == before
    newcomers = [run(api, flow, visitor(api)) for _ in range(24)]
    assert newcomers.count("B") > newcomers.count("A")
    assert "mixed" not in sums(flow)
    phases = DailyNumbers.objects.filter(flow=flow).values_list("phase", flat=True)
    assert set(phases) == {1, 2}
    assert results.of(flow, now=timezone.now()).span.phase == 2


def test_variant__without_a_share_any_more__is_kept_by_nobody(database: Database, api: Api) -> None:
    flow = experiment(api, SIGNUP)
    seen = until_both_are_seen(api, flow)

    reweigh(api, flow, A=0, B=1)

    assert {run(api, flow, browser) for browser in seen} == {"B"}


@pytest.mark.parametrize("make", [experience, experiment])
def test_holdout__turned_on_while_it_runs__takes_nothing_from_who_has_seen_a_variant(
    database: Database, api: Api, make: Callable[[Api, dict[str, Any]], Flow]
) -> None:
    flow = make(api, SIGNUP)
    before = {browser: run(api, flow, browser) for browser in (visitor(api) for _ in range(6))}
    api.identify(visitor(api), ("EMAIL", "ada@example.com"))

    republish(api, flow, traffic={"holdout": 100})
    api.identify(next(iter(before)), ("EMAIL", "ada@example.com"))

    assert {browser: run(api, flow, browser) for browser in before} == before
    answer = api.json(api.call_flows(flow.friendly_id, browserId=visitor(api)))
    assert answer == {"message": "No flow executed"}
    assert "mixed" not in sums(flow)
    latest = api.read("/v2/executions")["items"][0]
    told = api.read(f"/v2/executions/{latest['ref']}")
    (shown,) = told["explanation"]["flows"]
    assert (shown["outcome"], told["replay"]["equal"]) == ("SHOWN", True)
    assert shown["gates"][-1]["name"] == "Holdout"
    assert shown["gates"][-1]["because"][-1] == (
        "The guest has seen a variant before, and keeps it."
    )


def test_holdout__of_an_experience_turned_on_while_it_runs__begins_a_phase(
    database: Database, api: Api
) -> None:
    flow = experience(api, SIGNUP)
    for _ in range(30):
        run(api, flow, visitor(api))

    republish(api, flow, traffic={"holdout": 50})
    for _ in range(30):
        api.json(api.call_flows(flow.friendly_id, browserId=visitor(api)))

    found = api.read(f"/v2/flowDefinitions/{flow.ref}/results")
    assert found["verdict"]["code"] == "COLLECTING"
    assert (found["phase"], found["phases"]) == (2, [1, 2])
    assert sum(each["guests"] for each in found["variants"]) == 30


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_browser__that_logs_in_to_a_guest_without_runs__keeps_its_variant(
    database: Database, api: Api, settings: Settings, order: Sequence[int]
) -> None:
    flows = [experiment(api, SIGNUP, name=f"Test {number}") for number in range(4)]
    customer = visitor(api)
    api.identify(customer, ("EMAIL", "ada@example.com"))
    browser = visitor(api)
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    before = [run(api, flow, browser) for flow in flows]
    runs = list(InboxEntry.objects.order_by("ref").values_list("ref", flat=True))
    api.identify(browser, ("EMAIL", "ada@example.com"))
    login = InboxEntry.objects.order_by("-ref").values_list("ref", flat=True)[:1]
    parts = [runs, list(login)]

    walked = [ref for index in order for ref in parts[index]]
    walk_in(walked[: len(parts[order[0]])])
    assert [run(api, flow, browser) for flow in flows] == before
    walk_in(walked[len(parts[order[0]]) :])
    assert [run(api, flow, browser) for flow in flows] == before
    tasks.drain()

    assert all("mixed" not in sums(flow) for flow in flows)
    assert sum(each["n"] for flow in flows for each in sums(flow).values()) == 4


def test_guest__known_on_two_devices__keeps_what_was_seen_first(
    database: Database, api: Api
) -> None:
    flow = experiment(api, SIGNUP)
    seen = until_both_are_seen(api, flow)
    first = next(iter(seen))
    other = next(browser for browser, variant in seen.items() if variant != seen[first])

    api.identify(first, ("EMAIL", "ada@example.com"))
    api.identify(other, ("EMAIL", "ada@example.com"))

    assert run(api, flow, first) == run(api, flow, other) == seen[first]
    assert sums(flow)["mixed"]["n"] == 1
