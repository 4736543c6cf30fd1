"""Optimized traffic: weights follow the results, and results say so without plain intervals."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from personalize import flows, optimizing
from personalize.analytics import bandits, breakdowns, results
from personalize.attribution import numbers
from personalize.attribution.numbers import GUESTS
from personalize.models import DailyNumbers, Flow, FlowRevision, Variant
from tests.api import Api
from tests.conftest import Database
from tests.experiments import REVENUE, SIGNUP, visitor
from tracking import chores, tasks

pytestmark = pytest.mark.django_db(transaction=True)

GOAL: dict[str, Any] = {**SIGNUP, "event": {"type": "Signed Up"}, "unit": "GUEST"}
SPENT: dict[str, Any] = {**REVENUE, "unit": "GUEST"}
BANDIT = {"weightingAlgorithm": "MULTI_ARM_BANDIT"}
#: What a replaced flow is sent with.
STATED = ("name", "subtype", "friendlyId", "traffic", "variants", "goals")


def variants(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "content": {"v": name}, "isControl": name == "A"} for name in names]


def body(**more: Any) -> dict[str, Any]:
    return {
        "name": "Test",
        "subtype": "EXPERIMENT",
        "status": "LIVE",
        "traffic": BANDIT,
        "variants": variants("A", "B"),
        "goals": [GOAL],
        **more,
    }


def optimized(api: Api, **more: Any) -> Flow:
    answer = api.json(api.post("/v2/flowDefinitions", body(**more), basic=True))
    return Flow.objects.get(ref=answer["ref"])


def feed(api: Api, flow: Flow, at: datetime | None = None, **came: tuple[int, int]) -> None:
    """Let guests see a variant, of whom the first so many sign up: name=(guests, sign-ups)."""
    calls: list[dict[str, Any]] = []
    moment = at or timezone.now()
    for name, (guests, reached) in came.items():
        for number in range(guests):
            device = {
                "type": "track",
                "anonymousId": f"{name}-{number}-{moment.isoformat()}",
                "timestamp": moment.isoformat(),
            }
            named = {"experiment_id": flow.friendly_id, "variation_name": name}
            calls.append({**device, "event": "Experiment Viewed", "properties": named})
            if number < reached:
                calls.append({**device, "event": "Signed Up"})
    for start in range(0, len(calls), 500):
        batch = {"writeKey": api.client_key, "batch": calls[start : start + 500]}
        api.json(api.post("/v1/batch", batch))
    tasks.drain()


def later(hours: float = 7) -> datetime:
    return timezone.now() + timedelta(hours=hours)


def weights(flow: Flow) -> dict[str, float]:
    """Return the weights in force, by the variant's name."""
    published = Flow.objects.select_related("published").get(pk=flow.pk).published
    assert published is not None
    return {each["name"]: each["weight"] for each in published.definition["variants"]}


def read(api: Api, flow: Flow) -> dict[str, Any]:
    document: dict[str, Any] = api.read(f"/v2/flowDefinitions/{flow.ref}")
    return document


def stated(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in STATED}


# --- weights follow the results -----------------------------------------------------------


def test_weights__of_a_flow_whose_b_is_better__move_to_b_for_newcomers_alone(
    database: Database, api: Api
) -> None:
    flow = optimized(api)
    seen = {browser: str(run(api, flow, browser)) for browser in (visitor(api) for _ in range(8))}
    assert weights(flow) == {"A": 50, "B": 50}
    feed(api, flow, A=(150, 8), B=(150, 45))

    chores.run(now=later())

    moved = weights(flow)
    assert moved == {"A": 1.0, "B": 99.0}
    assert {browser: run(api, flow, browser) for browser in seen} == seen
    newcomers = [run(api, flow, visitor(api)) for _ in range(20)]
    assert newcomers.count("B") > 14, "one in a hundred still sees A"
    revision = FlowRevision.objects.get(flow=flow, number=2)
    assert (revision.is_by_bandit, revision.published_by, revision.definition["phase"]) == (
        True, None, 2,
    )  # fmt: skip
    document = read(api, flow)
    assert document["traffic"]["weightingAlgorithm"] == "MULTI_ARM_BANDIT"
    assert [each["weight"] for each in document["variants"]] == [1, 99]
    assert [each["split"] for each in document["traffic"]["splits"]] == [1, 99]
    assert document["warnings"] == []
    flow.refresh_from_db()
    assert flow.published is not None
    assert flows.draft_of(flow) == flow.published.definition


def run(api: Api, flow: Flow, browser: str) -> str:
    return str(api.json(api.call_flows(flow.friendly_id, browserId=browser))["v"])


def test_weights__asked_before_their_hours_are_over__stay(database: Database, api: Api) -> None:
    flow = optimized(api)
    feed(api, flow, A=(120, 5), B=(120, 40))

    chores.run(now=later(5.9))
    assert weights(flow) == {"A": 50, "B": 50}
    chores.run(now=later(6.1))
    assert weights(flow) == {"A": 1, "B": 99}
    chores.run(now=later(6.2))

    assert FlowRevision.objects.filter(flow=flow).count() == 2


def test_weights__with_too_few_guests_in_a_variant__stay_even(database: Database, api: Api) -> None:
    flow = optimized(api)
    feed(api, flow, A=(150, 1), B=(99, 90))

    chores.run(now=later())

    assert weights(flow) == {"A": 50, "B": 50}
    assert FlowRevision.objects.filter(flow=flow).count() == 1
    feed(api, flow, A=(0, 0), B=(20, 18))
    chores.run(now=later(8))
    assert weights(flow) == {"A": 50, "B": 50}, "it was asked an hour ago"
    chores.run(now=later(14))
    assert weights(flow)["B"] == 99


def test_weights__by_a_goal_that_is_to_fall__move_to_the_lower_variant(
    on_sqlite: Database, api: Api
) -> None:
    flow = optimized(api, goals=[{**GOAL, "direction": "DECREASE"}])
    feed(api, flow, A=(120, 5), B=(120, 40))

    chores.run(now=later())

    assert weights(flow) == {"A": 99, "B": 1}


def test_weights__by_revenue__move_to_the_variant_that_earns_more(
    on_sqlite: Database, api: Api
) -> None:
    flow = optimized(api, goals=[SPENT])
    spend(api, flow, {"A": 10.0, "B": 30.0})

    chores.run(now=later())

    assert weights(flow)["B"] > 90
    assert min(weights(flow).values()) >= 1


def spend(api: Api, flow: Flow, prices: Mapping[str, float]) -> None:
    """Let 110 guests see each variant, of whom every second buys once."""
    calls: list[dict[str, Any]] = []
    for name, price in prices.items():
        for number in range(110):
            device = {"type": "track", "anonymousId": f"{name}-{number}"}
            named = {"experiment_id": flow.friendly_id, "variation_name": name}
            calls.append({**device, "event": "Experiment Viewed", "properties": named})
            if number % 2:
                order = {
                    "order_id": f"{name}-{number}", "total": price + number % 5, "currency": "EUR",
                    "products": [{"product_id": "a", "price": price + number % 5, "quantity": 1}],
                }  # fmt: skip
                calls.append({**device, "event": "Order Completed", "properties": order})
    for start in range(0, len(calls), 300):
        batch = {"writeKey": api.client_key, "batch": calls[start : start + 300]}
        api.json(api.post("/v1/batch", batch))
    tasks.drain()


def test_weights__of_three_variants__give_each_a_hundredth_at_least_and_add_up(
    on_sqlite: Database, api: Api
) -> None:
    flow = optimized(api, variants=variants("A", "B", "C"))
    feed(api, flow, A=(110, 1), B=(110, 30), C=(110, 33))

    chores.run(now=later())

    moved = weights(flow)
    assert sum(moved.values()) == pytest.approx(100)
    assert moved["A"] == 1
    assert 1 < moved["B"] < moved["C"]


def test_weights__that_results_move_by_less_than_a_point__begin_no_phase(
    on_sqlite: Database, api: Api
) -> None:
    flow = optimized(api)
    feed(api, flow, A=(120, 20), B=(120, 20))

    chores.run(now=later())

    assert FlowRevision.objects.filter(flow=flow).count() == 1


def test_weights__move_back_when_what_comes_later_says_so(on_sqlite: Database, api: Api) -> None:
    flow = optimized(api)
    feed(api, flow, A=(110, 5), B=(110, 20))
    chores.run(now=later(7))
    feed(api, flow, at=later(8), A=(300, 120), B=(300, 5))

    chores.run(now=later(14))

    assert weights(flow) == {"A": 99, "B": 1}
    assert [each.phase for each in bandits.history(flow)] == [1, 2, 3]


def test_bandit__switched_off_or_paused__leaves_weights_alone(
    on_sqlite: Database, api: Api, settings: Any
) -> None:
    flow = optimized(api)
    feed(api, flow, A=(120, 5), B=(120, 40))
    settings.PERSONALIZE = {"BANDIT_HOURS": 0}
    chores.run(now=later())
    assert weights(flow) == {"A": 50, "B": 50}

    settings.PERSONALIZE = {"BANDIT_HOURS": 2}
    flows.transition(flow, "PAUSED", now=timezone.now())
    chores.run(now=later())
    assert weights(flow) == {"A": 50, "B": 50}

    flows.transition(flow, "LIVE", now=timezone.now())
    chores.run(now=later())
    assert weights(flow) == {"A": 1, "B": 99}


def test_bandit__that_cannot_read_the_numbers_of_one_flow__weighs_the_others(
    on_sqlite: Database, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    broken, flow = optimized(api, name="Broken"), optimized(api)
    for each in (broken, flow):
        feed(api, each, A=(120, 5), B=(120, 40))
    impossible = numbers.text([1, 5, 0, *([0] * 7)])
    DailyNumbers.objects.filter(flow=broken).exclude(measure=GUESTS).update(sums=impossible)

    chores.run(now=later())

    assert weights(broken) == {"A": 50, "B": 50}
    assert weights(flow) == {"A": 1, "B": 99}
    assert "flow.not_weighed" in caplog.text


# --- drafts, and others who are at it ---------------------------------------------------------


def test_draft__with_unpublished_edits__stays_as_it_is_but_for_the_weights(
    database: Database, api: Api
) -> None:
    flow = optimized(api)
    feed(api, flow, A=(120, 5), B=(120, 40))
    flow.name = "Another name"
    flows.save(flow)
    Variant.objects.filter(flow=flow, name="B").update(content='{"v": "new"}')

    chores.run(now=later())

    flow.refresh_from_db()
    assert flow.published is not None
    assert flow.published.definition["name"] == "Test"
    assert flow.published.definition["variants"][1]["content"] == '{"v":"B"}'
    draft = flows.draft_of(flow)
    assert draft["name"] == "Another name"
    assert [each["weight"] for each in draft["variants"]] == [1, 99]
    assert draft["phase"] == flow.published.definition["phase"] == 2


def test_draft__that_takes_weights_by_hand_again__keeps_its_own(
    on_sqlite: Database, api: Api
) -> None:
    flow = optimized(api)
    feed(api, flow, A=(120, 5), B=(120, 40))
    flow.traffic_mode = Flow.TrafficMode.UNIQUE
    flows.save(flow)
    Variant.objects.filter(flow=flow, name="A").update(weight=80)

    chores.run(now=later())

    assert weights(flow) == {"A": 1, "B": 99}
    assert list(flow.variants.order_by("name").values_list("weight", flat=True)) == [80, 50]
    flows.publish(Flow.objects.get(pk=flow.pk), now=timezone.now())
    chores.run(now=later(30))
    assert weights(flow) == {"A": 80, "B": 50}


def test_bandit__on_several_workers_at_once__makes_one_revision(
    database: Database, api: Api
) -> None:
    flow = optimized(api)
    feed(api, flow, A=(120, 5), B=(120, 40))
    now = later()

    at_once([partial(optimizing.tend, now)] * 8)

    assert revisions(flow) == [(1, 1, False), (2, 2, True)]
    assert weights(flow) == {"A": 1, "B": 99}


def test_bandit__while_somebody_publishes__loses_neither(database: Database, api: Api) -> None:
    flow = optimized(api)
    feed(api, flow, A=(120, 5), B=(120, 40))
    Variant.objects.filter(flow=flow, name="B").update(content='{"v": "new"}')
    now = later()

    def publish() -> None:
        flows.publish(Flow.objects.select_related("published").get(pk=flow.pk), now=now)

    at_once([partial(optimizing.tend, now), publish, partial(optimizing.tend, now)])

    made = revisions(flow)
    assert [number for number, _phase, _by in made] == [1, 2, 3]
    assert sorted(is_by_bandit for _number, _phase, is_by_bandit in made) == [False, False, True]
    assert weights(flow) == {"A": 1, "B": 99}
    flow.refresh_from_db()
    assert flow.published is not None
    assert (flow.published.number, flow.published.definition["phase"]) == (3, 2)
    assert flow.published.definition["variants"][1]["content"] == '{"v": "new"}'


def at_once(works: Sequence[Callable[[], object]]) -> None:
    """Do these in threads of their own, begun together."""
    start = Barrier(len(works))

    def do(work: Callable[[], object]) -> None:
        try:
            start.wait()
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        list(pool.map(do, works))


def revisions(flow: Flow) -> list[tuple[int, int, bool]]:
    """Return number, phase, and whether it is by the bandit, of each."""
    rows = FlowRevision.objects.filter(flow=flow).order_by("number")
    return [(each.number, each.definition["phase"], each.is_by_bandit) for each in rows]


def test_content__changed_while_it_runs__goes_on_with_the_weights_in_force(
    on_sqlite: Database, api: Api
) -> None:
    flow = optimized(api)
    feed(api, flow, A=(120, 5), B=(120, 40))
    chores.run(now=later())
    document = stated(read(api, flow))
    document["variants"][1]["content"] = {"v": "B2"}

    again = api.json(api.put(f"/v2/flowDefinitions/{flow.ref}", document))

    assert (again["revision"], again["phase"]) == (3, 2)
    assert [each["weight"] for each in again["variants"]] == [1, 99]


def test_variant__that_joins__makes_the_bandit_begin_anew(on_sqlite: Database, api: Api) -> None:
    flow = optimized(api)
    feed(api, flow, A=(120, 5), B=(120, 40))
    chores.run(now=later())
    document = stated(read(api, flow))
    document["variants"] = [
        {name: each[name] for name in ("ref", "name", "isControl", "content")}
        for each in document["variants"]
    ] + [{"name": "C", "content": {"v": "C"}}]
    del document["traffic"]["splits"]

    api.json(api.put(f"/v2/flowDefinitions/{flow.ref}", document))

    assert set(weights(flow).values()) == {100 / 3}
    chores.run(now=later(30))
    assert set(weights(flow).values()) == {100 / 3}
    found = results.of(flow, now=timezone.now()).optimized
    assert found is not None
    assert [each.phase for each in found.periods] == [3]


# --- what it takes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        ({"goals": []}, "goal_not_optimizable", "needs a goal"),
        ({"goals": [{**SPENT, "quantile": 0.5}]}, "goal_not_optimizable", "has a quantile"),
        (
            {"goals": [{**SPENT, "cap": {"percentile": 99}}]},
            "goal_not_optimizable",
            "“Revenue” has a cap by percentile",
        ),
        ({"variants": variants("A")}, "variant_missing", "two variants or more"),
        (
            {"subtype": "EXPERIENCE", "variants": variants("A")},
            "experience_optimized",
            "An experience has one variant",
        ),
        (
            {"traffic": {**BANDIT, "allocation": 50}},
            "allocation_optimized",
            "lets in everybody who qualifies",
        ),
        ({"traffic": {**BANDIT, "coupled": True}}, "bandit_coupled", "coupled is false"),
        (
            {"variants": [{**each, "weight": 9} for each in variants("A")] + variants("B")},
            "weights_optimized",
            "in force are, in percent: “A” 50, “B” 50.",
        ),
    ],
)
def test_definition__that_cannot_be_optimized__is_refused_with_a_sentence(
    on_sqlite: Database, api: Api, more: dict[str, Any], code: str, sentence: str
) -> None:
    answer = api.post("/v2/flowDefinitions", body(**more), basic=True)

    assert (answer.status_code, answer.json()["error"]) == (400, code), answer.json()
    assert sentence in answer.json()["message"]
    assert not Flow.objects.exists()


def test_weights__set_over_rest_while_results_do__are_refused(
    on_sqlite: Database, api: Api
) -> None:
    flow = optimized(api)
    document = stated(read(api, flow))
    document["traffic"]["splits"][0]["split"] = 90

    answer = api.put(f"/v2/flowDefinitions/{flow.ref}", document)

    assert (answer.status_code, answer.json()["error"]) == (400, "weights_optimized")
    document["traffic"]["splits"][0]["split"] = 50
    again = api.json(api.put(f"/v2/flowDefinitions/{flow.ref}", document))
    assert (again["revision"], again["phase"]) == (2, 1)


def test_flow__that_changes_between_hand_and_results__begins_phases_and_says_so(
    on_sqlite: Database, api: Api
) -> None:
    flow = optimized(api, traffic={})
    document = stated(read(api, flow))
    document["traffic"] = BANDIT

    again = api.json(api.put(f"/v2/flowDefinitions/{flow.ref}", document))
    assert again["phase"] == 2

    draft = Flow.objects.select_related("published").get(pk=flow.pk)
    draft.traffic_mode = Flow.TrafficMode.UNIQUE
    flows.save(draft)
    (warning,) = flows.traffic_warnings(draft, now=timezone.now())
    assert "phase 3: weights by the results → weights by hand." in warning


# --- what is read of it -----------------------------------------------------------------------


def test_weights__over_rest__are_told_by_period_with_the_guests_of_each(
    database: Database, api: Api
) -> None:
    flow = optimized(api)
    feed(api, flow, A=(120, 5), B=(130, 40))
    chores.run(now=later())
    feed(api, flow, at=later(8), A=(1, 0), B=(20, 9))

    answer = api.read(f"/v2/flowDefinitions/{flow.friendly_id}/weights")

    first, second = answer["periods"]
    assert (first["phase"], second["phase"]) == (1, 2)
    assert first["to"] == second["from"]
    assert second["to"] is None
    told = [
        [(each["name"], each["weight"], each["guests"]) for each in period["variants"]]
        for period in answer["periods"]
    ]
    assert told == [[("A", 50, 120), ("B", 50, 130)], [("A", 1, 1), ("B", 99, 20)]]
    assert api.get("/v2/flowDefinitions/nowhere/weights", basic=True).status_code == 404


def test_results__of_an_optimized_flow__are_reweighted_and_have_no_plain_report(
    database: Database, api: Api
) -> None:
    flow = optimized(api)
    feed(api, flow, A=(120, 12), B=(120, 48))
    chores.run(now=later())
    # A good day, on which nearly everybody came to B.
    feed(api, flow, at=later(8), A=(4, 2), B=(200, 160))

    found = results.of(flow, now=later(9))

    assert found.report is None
    assert not found.over_time
    assert {each.name: each.guests for each in found.variants} == {"A": 124, "B": 320}
    assert all(goal.comparison is None for each in found.variants for goal in each.goals)
    assert found.optimized is not None
    assert "each counts by the weight" in found.optimized.note
    a, b = found.optimized.variants
    assert (a.share, b.share) == (0.01, 0.99)
    assert b.chance_to_be_best == pytest.approx(1, abs=1e-6)
    # By Hajek: (12 / 0.5 + 2 / 0.01) / (120 / 0.5 + 4 / 0.01), and so on.
    assert a.goals[0].mean == pytest.approx(224 / 640)
    assert b.goals[0].mean == pytest.approx((48 / 0.5 + 160 / 0.99) / (120 / 0.5 + 200 / 0.99))
    assert a.goals[0].comparison is None
    comparison = b.goals[0].comparison
    assert comparison is not None
    assert comparison.control_mean == pytest.approx(224 / 640)
    assert comparison.difference.sequential.low is not None
    assert not found.optimized.has_mismatch
    by_channel = breakdowns.of(flow, "channel", now=later(9)).parts
    assert sum(sum(part.guests.values()) for part in by_channel) == 444
    assert not any(part.comparisons for part in by_channel)
    of_first = results.of(flow, now=later(9), phase=1)
    assert sum(each.guests for each in of_first.variants) == 240


def test_results__of_periods_that_share_a_day__have_the_guests_of_both(
    database: Database, api: Api
) -> None:
    flow = optimized(api)
    feed(api, flow, A=(120, 12), B=(120, 48))
    chores.run(now=later())
    feed(api, flow, at=later(8), A=(1, 0), B=(20, 2))
    DailyNumbers.objects.update(day=timezone.now().date())

    found = api.read(f"/v2/flowDefinitions/{flow.ref}/results")

    assert {each["name"]: each["guests"] for each in found["variants"]} == {"A": 121, "B": 140}
    (day,) = found["guestsByDay"]
    assert sum(day["guests"].values()) == 261


def test_results__of_a_period_whose_guests_do_not_fit_its_weights__say_so(
    on_sqlite: Database, api: Api
) -> None:
    flow = optimized(api)
    feed(api, flow, A=(120, 12), B=(120, 48))
    chores.run(now=later())
    feed(api, flow, at=later(8), A=(100, 0), B=(100, 0))

    found = results.of(flow, now=later(9)).optimized

    assert found is not None
    assert found.has_mismatch
    assert [each.mismatch and each.mismatch.found for each in found.periods] == [False, True]


def test_goal__that_single_guests_alone_tell__is_no_part_of_what_is_reweighted(
    on_sqlite: Database, api: Api
) -> None:
    flow = optimized(api, goals=[GOAL, {**SPENT, "quantile": 0.5}, {**SPENT, "name": "Spent"}])

    found = results.of(flow, now=timezone.now()).optimized

    assert found is not None
    names = {tuple(goal.goal.name for goal in each.goals) for each in found.variants}
    assert names == {("Signed up", "Spent")}
    assert [each.goals[0].mean for each in found.variants] == [None, None]


def test_optimized_experiment__shipped__is_one_whose_weights_people_set(
    database: Database, api: Api
) -> None:
    flow = optimized(api)
    path = f"/v2/flowDefinitions/{flow.ref}"
    told = api.read(f"{path}/results")
    assert told["verdict"] is None
    assert [each["share"] for each in told["optimized"]["variants"]] == [0.5, 0.5]
    variant = next(each for each in flow.variants.all() if each.name == "B")

    answer = api.post(
        f"{path}/conclude", {"action": "SHIP", "variant": str(variant.ref)}, basic=True
    )

    shipped = api.json(answer)
    assert shipped["traffic"]["weightingAlgorithm"] == "USER_DEFINED"
    assert run(api, flow, visitor(api)) == "B"
    assert api.read(f"{path}/results")["optimized"] is None
