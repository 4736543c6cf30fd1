"""Results over REST: the verdict, what it rests on, days and runs, and what is refused."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from personalize.analytics import results
from personalize.models import Assignment, DailyNumbers, Exposure, Flow, Goal
from tests.api import Api
from tests.conftest import Database
from tests.experiments import REVENUE, SIGNUP, run, visitor
from tests.experiments import experiment as small
from tests.factories import ClientFactory, FlowFactory
from tests.personalize import measured
from tracking import retention
from tracking.models import Client, Guest

pytestmark = pytest.mark.django_db(transaction=True)

RESULTS = "/v2/flowDefinitions/{}/results"


def read(api: Api, flow: Flow, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = api.read(RESULTS.format(flow.friendly_id), **query)
    return found


def refused(api: Api, path: str, status: int, **query: Any) -> str:
    answer = api.get(path, basic=True, **query)
    assert answer.status_code == status, answer.content
    return f"{answer.json()['error']}: {answer.json()['message']}"


def experiment_with_deleted_guests(api: Api) -> Flow:
    """Let six see variant B, of whom two have bought; three who had not were deleted since."""
    spent = {**REVENUE, "unit": "GUEST"}
    capped = {**spent, "name": "Capped", "cap": {"percentile": 99}}
    flow = small(api, spent, capped, {**spent, "name": "Median", "quantile": 0.5})
    for amount in (30, 0, 0, 0):
        come(api, flow, amount)
    long_ago = timezone.now() - timedelta(days=100)
    Guest.objects.update(last_seen=long_ago)
    Assignment.objects.update(first_at=long_ago, day=long_ago.date())
    Exposure.objects.update(exposed_at=long_ago)
    DailyNumbers.objects.update(day=long_ago.date())
    assert retention.purge(now=timezone.now()).visitors == 3
    for amount in (10, 0):
        come(api, flow, amount)
    return flow


def come(api: Api, flow: Flow, amount: float) -> None:
    """Let somebody see variant B and buy for so much."""
    browser = visitor(api)
    named = {"experiment_id": flow.friendly_id, "variation_name": "B"}
    calls: list[tuple[str, dict[str, Any]]] = [("Experiment Viewed", named)]
    if amount:
        calls.append(("Order Completed", {"order_id": f"O-{amount}", "revenue": amount}))
    for event, properties in calls:
        call = {"type": "track", "event": event, "properties": properties, "anonymousId": browser}
        api.json(api.post("/v1/track", {**call, "writeKey": api.client_key}))


# --- the whole of it ----------------------------------------------------------------------


def test_results__of_a_clear_winner__say_to_ship_it_and_why(
    database: Database, api: Api, shop: Client
) -> None:
    flow = measured.experiment(shop)
    measured.fill(flow)
    green = flow.variants.get(name="Green")

    found = read(api, flow)

    assert found["verdict"]["code"] == "SHIP"
    assert found["verdict"]["variant"] == str(green.ref)
    assert found["verdict"]["sentence"].startswith("Ship Green: Signed up +")
    control, treatment = found["variants"]
    assert (control["name"], control["isControl"]) == ("Blue", True)
    goal = treatment["goals"][0]
    assert goal["isPrimary"] and goal["comparison"]["outcome"] == "BETTER"
    assert goal["mean"] == pytest.approx(goal["total"] / treatment["guests"])
    lift = goal["comparison"]["lift"]
    assert 0 < lift["always"]["low"] < lift["fixed"]["low"] < lift["estimate"]
    assert goal["comparison"]["chanceToWin"] > 0.99
    assert control["goals"][0]["comparison"] is None
    assert found["srm"]["found"] is False
    assert found["mixedGuests"] == 21
    assert len(found["overTime"]) == len(found["guestsByDay"]) == 21
    assert treatment["latencyP50"] == 5
    assert 0.97 < treatment["attributableShare"] < 0.99
    looked, put, ordered = treatment["goals"][2]["funnelSteps"]
    assert looked > put > ordered


def test_results__of_guests_who_are_not_divided_as_the_weights_say__name_no_winner(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    flow = measured.experiment(shop)
    measured.fill(flow, shares=(1.0, 0.8))

    found = read(api, flow)

    assert found["verdict"]["code"] == "UNHEALTHY"
    assert found["verdict"]["variant"] is None
    assert found["srm"]["found"] is True
    assert found["srm"]["sequentialP"] < 0.001


def test_results__between_two_days__are_of_who_came_first_on_them(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    flow = measured.experiment(shop)
    measured.fill(flow, days=10)
    days = sorted(set(DailyNumbers.objects.values_list("day", flat=True)))

    found = read(api, flow, **{"from": days[2], "to": days[4]})

    assert [each["day"] for each in found["guestsByDay"]] == [str(day) for day in days[2:5]]
    assert (found["since"], found["until"]) == (str(days[2]), str(days[4]))
    runs = api.read("/v2/analytics/runs", flow=flow.ref, **{"from": days[2], "to": days[4]})
    ran = sum(each["executions"] for each in runs["items"])
    assert sum(each["executions"] for each in found["variants"]) == ran


def test_results__of_an_experience__have_numbers_and_nothing_to_compare_with(
    on_sqlite: Database, api: Api
) -> None:
    flow = small(api, SIGNUP, subtype="EXPERIENCE", variants=[{"name": "A", "content": {"v": "A"}}])
    browser = visitor(api)
    run(api, flow, browser)
    api.send("SIGNUP", browser)

    found = read(api, flow)

    assert found["verdict"] is found["plan"] is found["srm"] is None
    (variant,) = found["variants"]
    assert (variant["guests"], variant["goals"][0]["total"]) == (1, 1)


def test_results__of_many_days__have_the_course_of_sixty_of_them_at_most(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    flow = measured.experiment(shop, goals={"Signed up": measured.SIGNED_UP})
    measured.fill(flow, days=130, a_day=40)

    found = read(api, flow)

    course = [each["day"] for each in found["overTime"]]
    assert len(course) == 44
    assert course == sorted(course)
    assert course[-1] == found["guestsByDay"][-1]["day"]
    last = found["overTime"][-1]["variants"][0]["lift"]
    assert last == found["variants"][1]["goals"][0]["comparison"]["lift"]


def test_results__in_two_phases__are_of_the_one_that_is_asked_for(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    flow = measured.experiment(shop)
    measured.fill(flow, days=3, phase=1)
    measured.fill(flow, days=2, phase=2)

    first, second = (read(api, flow, phase=number) for number in (1, 2))

    assert first["phases"] == second["phases"] == [1, 2]
    assert (len(first["guestsByDay"]), len(second["guestsByDay"])) == (3, 2)


def test_results__ask_for_a_fixed_number_of_queries_whatever_there_is(
    database: Database,
    api: Api,
    shop: Client,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    few = measured.experiment(shop, "Few", goals={"Signed up": measured.SIGNED_UP})
    measured.fill(few, days=2)
    many = measured.experiment(shop, "Many", variants=("A", "B", "C"))
    measured.fill(many, days=30, a_day=50, rates=(0.05, 0.05, 0.06))

    counts = []
    for flow in (few, few, many):
        with count_queries() as queries:
            read(api, flow)
        counts.append(len(queries))

    assert counts[1] == counts[2] <= 8


def test_chance_to_win__of_a_site_that_believes_in_small_lifts__is_less_sure(
    on_sqlite: Database, shop: Client, settings: Any
) -> None:
    flow = measured.experiment(shop, goals={"Signed up": measured.SIGNED_UP})
    measured.fill(flow, days=1, a_day=500, rates=(0.05, 0.08))

    def chance() -> float:
        report = results.of(flow, now=timezone.now()).report
        assert report is not None
        return report.comparisons[0].chance_to_win or 0

    flat = chance()
    settings.PERSONALIZE = {"LIFT_PRIOR_DEVIATION": 0.1}

    assert 0.5 < chance() < flat


# --- how long it takes -------------------------------------------------------------------------


def test_days_left__go_by_the_guests_of_the_last_hours_and_days(
    on_sqlite: Database, shop: Client
) -> None:
    flow = measured.experiment(shop, goals={"Signed up": measured.SIGNED_UP})
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    measured.fill(flow, days=1, a_day=100, rates=(0.05, 0.05), until=today.date())

    def days_left(after: timedelta) -> int | None:
        report = results.of(flow, now=today + after).report
        assert report is not None and report.planned == 21_106
        return report.days_left

    # About 100 guests a variant an hour are 2,400 a day.
    assert days_left(timedelta(hours=1)) == pytest.approx(21_000 / 2_400, abs=1.5)
    assert days_left(timedelta(hours=48)) == pytest.approx(21_000 / 50, rel=0.1)
    assert days_left(timedelta(days=8)) is None, "nobody came of late"


# --- by parts -----------------------------------------------------------------------------


def test_breakdown__by_device_and_segment__divides_the_guests(database: Database, api: Api) -> None:
    flow = small(api, SIGNUP, REVENUE)
    api.json(api.post("/v2/segments", {"name": "VIPs", "kind": "LIST"}, basic=True))
    for number in range(6):
        browser = visitor(api)
        run(api, flow, browser)
        if number % 2:
            api.send("SIGNUP", browser)
    path = RESULTS.format(flow.ref) + "/breakdown"

    by_device = api.read(path, by="device")
    by_segment = api.read(path, by="segment:vips", goal=Goal.objects.get(name="Revenue").ref)

    for found in (by_device, by_segment):
        guests = [each["guests"] for part in found["parts"] for each in part["variants"]]
        assert sum(guests) == 6
    assert [part["part"] for part in by_segment["parts"]] == ["not in it"]


def test_breakdown__by_many_parts__claims_nothing_for_one_that_stands_out(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    flow = measured.experiment(shop, goals={"Signed up": measured.SIGNED_UP})
    for part in range(10):
        # In the first part alone far more sign up by the variant.
        measured.divide(flow, device=f"device {part}", signups=(20, 55 if part == 0 else 20))

    found = api.read(RESULTS.format(flow.ref) + "/breakdown", by="device")

    compared = [part["variants"][1]["comparison"] for part in found["parts"]]
    first = compared[0]
    assert first["pValue"] < 0.05 < first["adjustedPValue"] == pytest.approx(10 * first["pValue"])
    assert first["fixedPValue"] * 10 == pytest.approx(first["adjustedFixedPValue"])
    assert {each["outcome"] for each in compared} == {"UNCLEAR"}


# --- days and runs ------------------------------------------------------------------------


def test_results__once_idle_visitors_were_deleted__read_guest_by_guest_only_whole_days(
    database: Database, api: Api
) -> None:
    flow = experiment_with_deleted_guests(api)

    found = read(api, flow)
    by_device = api.read(RESULTS.format(flow.ref) + "/breakdown", by="device")

    variant = next(each for each in found["variants"] if each["name"] == "B")
    plain, capped, median = variant["goals"]
    assert variant["guests"] == 6
    assert (plain["total"], plain["per"], plain["mean"]) == (40, 6, pytest.approx(40 / 6))
    assert (capped["total"], capped["per"], capped["mean"]) == (10, 2, 5)
    assert median["mean"] == 0
    guests = [each["guests"] for part in by_device["parts"] for each in part["variants"]]
    assert sum(guests) == 2
    first = timezone.now().date() - timedelta(days=89)
    assert found["allGuestsSince"] == by_device["allGuestsSince"] == str(first)


def test_days__filtered_by_goal_variant_and_day__are_in_whole_units(
    database: Database, api: Api, shop: Client
) -> None:
    flow = measured.experiment(shop)
    measured.fill(flow, days=4)
    green, goal = flow.variants.get(name="Green"), Goal.objects.get(name="Revenue")
    days = sorted(set(DailyNumbers.objects.values_list("day", flat=True)))
    query = {"flow": flow.friendly_id, "variant": green.ref, "from": days[1], "limit": 100}

    rows = api.read("/v2/analytics/days", goal=goal.ref, **query)["items"]
    everything = api.read("/v2/analytics/days", **query)["items"]

    assert [row["day"] for row in rows] == [str(day) for day in days[1:]]
    assert {(row["goalName"], row["variantName"]) for row in rows} == {("Revenue", "Green")}
    found = read(api, flow, **{"from": days[1]})["variants"][1]
    assert sum(row["total"] for row in rows) == pytest.approx(found["goals"][1]["total"])
    of_guests = [row for row in everything if row["goalRef"] is None]
    assert sum(row["guests"] for row in of_guests) == found["guests"]
    assert sum(row["sessions"] for row in of_guests) == found["sessions"]
    assert {row["step"] for row in everything if row["goalName"] == "Way to the order"} == {
        1, 2, None,
    }  # fmt: skip


def test_days__of_another_client__are_nobody_elses(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    other = ClientFactory.create(key="another-key", token="another-token")
    measured.fill(measured.experiment(other), days=2)

    assert api.read("/v2/analytics/days")["total"] == 0
    assert api.read("/v2/analytics/runs")["total"] == 0
    assert "flow_unknown" in refused(api, RESULTS.format("button_color"), 404)


def test_lists__of_days__ask_for_a_fixed_number_of_queries(
    on_sqlite: Database,
    api: Api,
    shop: Client,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    for number in range(3):
        measured.fill(measured.experiment(shop, f"Test {number}"), days=5, a_day=20)

    counts = []
    for limit in (1, 1, 100):
        for path in ("days", "runs"):
            with count_queries() as queries:
                api.read(f"/v2/analytics/{path}", limit=limit)
            counts.append(len(queries))

    assert len(set(counts[2:])) == 1


# --- what is refused ----------------------------------------------------------------------


def test_results__that_there_cannot_be__are_refused_in_the_callers_terms(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    flow = measured.experiment(shop)
    draft = FlowFactory.create(client=shop, name="Draft")
    path = RESULTS.format(flow.ref)

    assert "flow_unknown" in refused(api, RESULTS.format("none"), 404)
    assert "never published" in refused(api, RESULTS.format(draft.ref), 404)
    assert "no phase 7: 1." in refused(api, path, 400, phase=7)
    assert "phase_invalid" in refused(api, path, 400, phase="first")
    assert "from is a day" in refused(api, path, 400, **{"from": "yesterday"})
    backwards = {"from": "2026-02-01", "to": "2026-01-01"}
    assert "to lies before from" in refused(api, path, 400, **backwards)
    down = f"{path}/breakdown"
    assert "device, channel, or segment:" in refused(api, down, 400, by="weather")
    assert "by_unknown" in refused(api, down, 400, by="segment:none")
    assert "goal_invalid" in refused(api, down, 400, by="device", goal="first")
    assert "goal_unknown" in refused(api, down, 400, by="device", goal=draft.ref)
    assert "from_invalid" in refused(api, "/v2/analytics/days", 400, **{"from": "yesterday"})
    assert "phase_invalid" in refused(api, "/v2/analytics/days", 400, phase="0")
    assert api.http.get(path).status_code == 401
