"""Conditions and segments about goals that guests reached, through the doors."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from personalize import guest_facts, memberships, segments
from personalize.conditions import Needs
from personalize.models import Flow, Segment
from tests.api import Api
from tests.conftest import Database
from tests.experiments import SIGNUP, experiment, run, visitor
from tests.factories import FlowFactory
from tests.journeys.test_segments import guest_of, members, runs
from tracking import clients, followers, sessions, tasks
from tracking.models import Client, Guest

pytestmark = pytest.mark.django_db(transaction=True)


def converted(flow: Flow, goal: str = "Signed up", **more: Any) -> dict[str, Any]:
    return {"converted": flow.friendly_id, "goal": goal, **more}


def put(api: Api, flow: Flow, **changed: Any) -> None:
    """Replace the flow by itself with something changed: it is published again."""
    body = api.read(f"/v2/flowDefinitions/{flow.ref}")
    kept = {name: body[name] for name in ("name", "subtype", "variants", "goals", "friendlyId")}
    api.json(api.put(f"/v2/flowDefinitions/{flow.ref}", kept | changed))


def saved(shop: Client, condition: dict[str, Any]) -> Segment:
    return segments.save(Segment(client=shop, name="Converted", condition=condition))


def reach(api: Api, flow: Flow) -> str:
    """See the flow and sign up; return the browser."""
    browser = visitor(api)
    run(api, flow, browser)
    api.json(api.send("SIGNUP", browser))
    return browser


def test_audience__of_who_converted__lets_in_who_did_and_the_opposite_the_others(
    database: Database, api: Api, shop: Client
) -> None:
    flow = experiment(api, SIGNUP)
    FlowFactory.create(client=shop, name="thanks", audience=converted(flow), live=True)
    opposite = converted(flow, at_most=0)
    FlowFactory.create(client=shop, name="still", audience=opposite, live=True)
    browser = visitor(api)
    api.json(api.send("SIGNUP", browser))
    assert (runs(api, "thanks", browser), runs(api, "still", browser)) == (False, True)

    run(api, flow, browser)
    api.json(api.send("SIGNUP", browser))

    assert (runs(api, "thanks", browser), runs(api, "still", browser)) == (True, False)
    stranger = api.json(api.call_flows("still", email="nobody@example.com"))
    assert stranger != {"message": "No flow executed"}


def test_execution__that_ran_for_who_converted__says_so_from_its_record(
    database: Database, api: Api, shop: Client
) -> None:
    flow = experiment(api, SIGNUP)
    audience = converted(flow, within={"days": 30})
    FlowFactory.create(client=shop, name="thanks", audience=audience, live=True)
    browser = reach(api, flow)
    assert runs(api, "thanks", browser)

    (told,) = api.read("/v2/executions", friendlyId="thanks")["items"]
    one = api.read(f"/v2/executions/{told['ref']}")

    assert one["replay"]["equal"] is True
    wanted = f"Guest converted on goal “Signed up” of “{flow.friendly_id}” for the first time"
    assert any(wanted in each for each in one["explanation"]["sentences"])


def test_segment__of_who_converted__fills_when_the_goal_is_reached_and_empties_by_the_clock(
    database: Database, api: Api, shop: Client
) -> None:
    flow = experiment(api, SIGNUP)
    ever, lately = saved(shop, converted(flow)), saved(shop, converted(flow, within={"days": 3}))
    never = saved(shop, converted(flow, at_most=0))
    other = visitor(api)
    api.json(api.send("SIGNUP", other))

    guest = guest_of(api, reach(api, flow))

    assert members(ever) == members(lately) == {guest}
    assert members(never) == {guest_of(api, other)}
    memberships.tend(timezone.now() + timedelta(days=2, hours=23))
    assert members(lately) == {guest}
    memberships.tend(timezone.now() + timedelta(days=3, hours=1))
    assert (members(ever), members(lately)) == ({guest}, set())


def test_segment__of_who_bounced__knows_no_time_and_is_right_ever(
    database: Database, api: Api, shop: Client
) -> None:
    flow = experiment(api, {"name": "Bounced", "kind": "BOUNCE"})
    browser = visitor(api)
    run(api, flow, browser)
    api.json(api.send("VIEW", browser))
    guest = guest_of(api, browser)
    later = timezone.now() + timedelta(hours=3)
    assert sessions.close_idle(now=later) == 1
    followers.run_due(now=later)

    ever = saved(shop, converted(flow, "Bounced"))
    lately = saved(shop, converted(flow, "Bounced", within={"days": 3}))
    tasks.drain()

    assert (members(ever), members(lately)) == ({guest}, set())


def test_segment__of_a_flow_that_was_deleted__keeps_who_converted(
    database: Database, api: Api, shop: Client
) -> None:
    flow = experiment(api, SIGNUP)
    guest = guest_of(api, reach(api, flow))
    path = f"/v2/flowDefinitions/{flow.ref}"
    api.http.delete(path, headers={"authorization": api.basic})

    segment = saved(shop, converted(flow))
    tasks.drain()

    assert members(segment) == {guest}


def test_segment__of_a_goal_that_gets_another_name__is_built_by_the_names_of_now(
    database: Database, api: Api, shop: Client
) -> None:
    flow = experiment(api, SIGNUP)
    guest = guest_of(api, reach(api, flow))
    before, after = saved(shop, converted(flow)), saved(shop, converted(flow, "Joined"))
    tasks.drain()
    assert (members(before), members(after)) == ({guest}, set())

    goal = {**SIGNUP, "ref": str(flow.goals.get().ref), "name": "Joined"}
    put(api, flow, goals=[goal])
    tasks.drain()

    assert (members(before), members(after)) == (set(), {guest})


def test_segment__of_a_goal_that_came_later__finds_who_had_reached_it_before(
    database: Database, api: Api, shop: Client
) -> None:
    flow = experiment(api, {**SIGNUP, "name": "First", "event": {"type": "VIEW"}})
    guest = guest_of(api, reach(api, flow))
    segment = saved(shop, converted(flow))
    tasks.drain()
    assert members(segment) == set()

    put(api, flow, goals=[SIGNUP])
    tasks.drain()
    tasks.drain()

    assert members(segment) == {guest}


def test_segment__of_guests_who_are_merged__has_the_one_that_is_left(
    database: Database, api: Api, shop: Client
) -> None:
    flow = experiment(api, SIGNUP)
    segment = saved(shop, converted(flow))
    other = visitor(api)
    api.json(api.identify(other, ("EMAIL", "ada@example.com")))

    browser = reach(api, flow)
    api.json(api.identify(browser, ("EMAIL", "ada@example.com")))

    assert members(segment) == {guest_of(api, browser)}


def test_call__of_a_flow_that_names_no_goal__asks_for_none(
    database: Database,
    api: Api,
    shop: Client,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    flow = experiment(api, SIGNUP)
    browser = reach(api, flow)
    FlowFactory.create(client=shop, name="plain", live=True)
    FlowFactory.create(client=shop, name="thanks", audience=converted(flow), live=True)
    assert runs(api, "plain", browser) and runs(api, "thanks", browser)

    with count_queries() as plain:
        runs(api, "plain", browser)
    with count_queries() as thanks:
        runs(api, "thanks", browser)

    assert len(thanks) == len(plain) + 1


def test_facts__of_many_guests__take_one_query_more_for_goals_and_none_without(
    database: Database,
    api: Api,
    shop: Client,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    flow, other = experiment(api, SIGNUP), experiment(api, SIGNUP, name="Other")
    browsers = [reach(api, flow) for _ in range(3)]
    client = clients.by_id(shop.pk)
    assert client is not None
    ids = list(Guest.objects.filter(ref__in=[guest_of(api, each) for each in browsers])
               .values_list("pk", flat=True))  # fmt: skip

    def asked(guest_ids: list[int], needs: Needs) -> int:
        with count_queries() as queries:
            guest_facts.of_many(guest_ids, needs, frozenset(), client=client, now=timezone.now())
        return len(queries)

    both = Needs(goals=frozenset({flow.friendly_id, other.friendly_id}))
    assert asked(ids, both) == asked(ids[:1], both) == asked(ids, Needs()) + 1
