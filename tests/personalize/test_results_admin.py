"""Results in the admin: what the page says, what is done there, and who may."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from personalize import flows
from personalize.models import Flow, Goal
from tests.api import Api
from tests.conftest import Database
from tests.experiments import SIGNUP, run, visitor
from tests.experiments import experiment as small
from tests.personalize import measured
from tests.personalize.test_admin import experience
from tests.personalize.test_results_api import experiment_with_deleted_guests
from tests.tracking.test_admin import ATTACK, staff, superuser
from tracking.models import Client

pytestmark = pytest.mark.django_db(transaction=True)

VIEW = "personalize.view_experiment"
PUBLISH = "personalize.publish_flow"


def url(flow: Flow, name: str = "results") -> str:
    kind = "experience" if flow.subtype == "EXPERIENCE" else "experiment"
    return reverse(f"admin:personalize_{kind}_{name}", args=[flow.pk])


def shown(browser: Browser, flow: Flow, name: str = "results", **query: Any) -> str:
    response = browser.get(url(flow, name), query)
    assert response.status_code == 200, response
    return unescape(response.content.decode())


def post(browser: Browser, flow: Flow, name: str, **values: Any) -> str:
    response = browser.post(url(flow, name), values, follow=True)
    assert response.status_code == 200, response
    return unescape(response.content.decode())


# --- what it says -------------------------------------------------------------------------


def test_results_page__of_a_winner__says_to_ship_it_and_what_that_rests_on(
    database: Database, shop: Client
) -> None:
    flow = measured.experiment(shop)
    measured.fill(flow)

    html = shown(staff(VIEW), flow)

    assert "<strong>Ship Green: Signed up +" in html
    assert "of about 21,100 guests per variant. The planned guests are there." in html
    assert "Valid at any time: look as often as you like." in html
    assert "21 guests saw several variants and count for none." in html
    assert "98.0% of the runs belong to a visit." in html
    assert html.count('class="pz-chart"') == 2
    assert html.count('class="pz-bar pz-better"') == 3
    assert "1. VIEW" in html and "3. CHECKOUT" in html
    assert "conclude" not in html


def test_results_page__in_the_classical_view__says_that_it_is_for_one_look(
    on_sqlite: Database, shop: Client
) -> None:
    flow = measured.experiment(shop)
    measured.fill(flow, days=3)
    browser = staff(VIEW)

    always, fixed = shown(browser, flow), shown(browser, flow, view="fixed")

    assert "Classical intervals are right for one look" in fixed
    assert "Classical intervals" not in always
    assert intervals(always) != intervals(fixed)


def intervals(html: str) -> list[str]:
    return [line for line in html.splitlines() if "pz-bar-range" in line]


def test_results_page__of_a_mismatch__warns_and_names_no_winner(
    on_sqlite: Database, shop: Client
) -> None:
    flow = measured.experiment(shop)
    measured.fill(flow, shares=(1.0, 0.8))

    html = shown(staff(VIEW), flow)

    assert "The guests are not divided as the weights say" in html
    assert "Until it is found no winner is shown." in html
    assert "pz-better" not in html and "over time" not in html


def test_results_page__by_a_part__has_its_own_comparison(database: Database, api: Api) -> None:
    flow = small(api, SIGNUP)
    for number in range(6):
        browser = visitor(api)
        run(api, flow, browser)
        if number % 2:
            api.send("SIGNUP", browser)
    api.json(api.post("/v2/segments", {"name": "VIPs", "kind": "LIST"}, basic=True))
    admin = superuser()

    by_segment = shown(admin, flow, by="segment:vips")
    by_channel = shown(admin, flow, by="channel")
    backwards = shown(admin, flow, since="2026-02-01", until="2026-01-01")

    assert "Signed up by VIPs" in by_segment and "not in it" in by_segment
    assert "Signed up by channel" in by_channel and ">WEB<" in by_channel
    assert "This lies before the first day." in backwards
    assert "Valid at any time" in backwards


def test_results_page__without_goals_comparison_or_publication__says_so(
    on_sqlite: Database, shop: Client
) -> None:
    browser = superuser()
    no_goals = measured.experiment(shop, "No goals", goals={})
    draft = measured.experiment(shop, "Draft", status=None)
    alone = experience(shop, status="LIVE")
    Goal.objects.create(flow=alone, name="Signed up", document=measured.SIGNED_UP)
    flows.publish(alone, now=alone.created_at)

    assert "It has no goals" in shown(browser, no_goals)
    assert url(no_goals, "change") in shown(browser, no_goals)
    assert "never published" in shown(browser, draft)
    html = shown(browser, alone)
    assert "There is nothing to compare with." in html
    assert "Were a share of them held out" in html


def test_results_page__of_names_with_markup__shows_them_escaped(
    on_sqlite: Database, shop: Client
) -> None:
    goals = {ATTACK: measured.SIGNED_UP, f"2 {ATTACK}": measured.FUNNEL}
    flow = measured.experiment(shop, ATTACK, variants=(f"A{ATTACK}", f"B{ATTACK}"), goals=goals)
    measured.fill(flow, days=3)
    browser = superuser()

    for page in ("results", "change"):
        assert ATTACK not in browser.get(url(flow, page)).content.decode()


def test_results_page__asks_for_a_fixed_number_of_queries(
    database: Database, shop: Client, count_queries: Callable[[], CaptureQueriesContext]
) -> None:
    few = measured.experiment(shop, "Few", goals={"Signed up": measured.SIGNED_UP})
    measured.fill(few, days=2)
    many = measured.experiment(shop, "Many", variants=("A", "B", "C"))
    measured.fill(many, days=30, a_day=50, rates=(0.05, 0.05, 0.06))
    browser = superuser()

    counts = []
    for flow in (few, few, many):
        with count_queries() as queries:
            shown(browser, flow, by="device")
        counts.append(len(queries))

    assert counts[1] == counts[2] <= 24


def test_flow_page_and_list__lead_to_results_and_say_how_it_stands(
    on_sqlite: Database, shop: Client
) -> None:
    flow = measured.experiment(shop)
    measured.fill(flow, days=5)
    capped = {"kind": "REVENUE", "cap": {"percentile": 99}}
    large = measured.experiment(shop, "Large", goals={"Revenue": capped})
    browser = superuser()

    html = shown(browser, flow, "change")
    listed = browser.get(reverse("admin:personalize_experiment_changelist")).content.decode()

    assert url(flow) in html and url(flow) in listed
    assert "of about 21,100 guests per variant" in html
    assert "guests so far" in html
    # All guests one by one would be too much there.
    assert "guests so far" not in shown(browser, large, "change")
    assert url(large) in shown(browser, large, "change")


# --- the days as a file -------------------------------------------------------------------


def test_days__as_csv__are_what_the_page_shows_and_no_formulas(
    database: Database, shop: Client
) -> None:
    flow = measured.experiment(shop, variants=("=1+1", "Green"))
    measured.fill(flow, days=3)

    response = staff(VIEW).get(url(flow, "days"))

    assert "button_color-days.csv" in response["Content-Disposition"]
    text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    lines = list(csv.DictReader(io.StringIO(text)))
    assert {line["variant"] for line in lines} == {"'=1+1", "Green", "Saw several"}
    green = [line for line in lines if line["variant"] == "Green" and not line["goal"]]
    assert f"{sum(int(line['guests']) for line in green):,}" in shown(staff(VIEW), flow)
    assert {line["goal"] for line in lines} == {"", *measured.GOALS}


# --- what is done there -------------------------------------------------------------------


def test_ship__by_whoever_may_publish__sends_all_traffic_and_is_logged(
    database: Database, shop: Client
) -> None:
    flow = measured.experiment(shop)
    measured.fill(flow)
    green = flow.variants.get(name="Green")
    browser = staff(VIEW, PUBLISH)
    assert "Send all traffic to Green" in shown(browser, flow)

    html = post(browser, flow, "conclude", action="SHIP", variant=green.ref)

    assert "All traffic goes to “Green”, since revision 2." in html
    assert "All traffic goes to one variant: nothing is compared." in html
    flow.refresh_from_db()
    assert flow.published is not None and flow.published.published_by is not None
    assert "goes to “Blue”" in post(browser, flow, "conclude", action="CONTROL")
    assert "runs no more" in post(browser, flow, "conclude", action="COMPLETE")
    assert "nothing runs any more" in post(browser, flow, "conclude", action="CONTROL")


def test_conclusions__with_unpublished_changes__are_not_offered_and_say_why(
    on_sqlite: Database, shop: Client
) -> None:
    flow = measured.experiment(shop)
    flow.allocation = 10
    flows.save(flow)

    html = shown(superuser(), flow)

    assert "The flow has unpublished changes" in html
    assert "Send all traffic" not in html


def test_plan__of_a_draft__is_kept_and_says_how_many_guests_it_takes(
    on_sqlite: Database, shop: Client
) -> None:
    flow = measured.experiment(shop, status=None)
    browser = staff(VIEW, "personalize.change_experiment")
    assert "about 21,100 guests per variant" in shown(browser, flow)
    plan = {
        "baseValue": "5", "minimumDetectableDifference": "10", "confidenceLevel": "95",
        "power": "80",
    }  # fmt: skip

    html = post(browser, flow, "plan", **plan)

    assert "Planned: about 31,200 guests per variant." in html
    flow.refresh_from_db()
    assert flow.sample_size["minimumDetectableDifference"] == 0.1
    assert "greater than or equal to 1" in post(
        browser, flow, "plan", **plan | {"minimumDetectableDifference": "0.1"}
    )
    flows.transition(flow, "LIVE", now=flow.created_at)
    assert "can be changed while the flow is a draft" in post(
        browser, flow, "plan", **plan | {"power": "90"}
    )
    assert "Keep the plan" not in shown(browser, flow)


def test_results__are_for_staff_who_may_see_the_flow_and_act_on_it(
    on_sqlite: Database, shop: Client
) -> None:
    flow = measured.experiment(shop)
    plain, viewer = staff(), staff(VIEW)

    for name in ("results", "days"):
        assert plain.get(url(flow, name)).status_code in (302, 403)
    assert viewer.post(url(flow, "conclude"), {"action": "COMPLETE"}).status_code == 403
    assert viewer.post(url(flow, "plan"), {}).status_code == 403
    assert superuser().post(url(flow, "conclude"), {"action": "WIN"}).status_code == 404
    assert viewer.get(url(flow, "conclude")).status_code == 405
    shop.staff_groups.add(Group.objects.create(name="Shop team"))
    assert viewer.get(url(flow)).status_code in (302, 404)


def test_results_page__once_idle_visitors_were_deleted__says_since_when_goals_count(
    database: Database, api: Api
) -> None:
    flow = experiment_with_deleted_guests(api)
    first = timezone.now().date() - timedelta(days=89)

    html = shown(superuser(), flow, by="device")

    # Of the two goals that are read guest by guest, and of the parts.
    assert html.count(f"Of guests who saw it first on {date_format(first)} or later") == 3


def test_results_page__of_capped_and_quantile_goals__tells_them_guest_by_guest(
    database: Database, api: Api
) -> None:
    spent = {"name": "Spent", "kind": "SUM", "unit": "GUEST", "event": {"type": "PAID"},
             "value": "ext.amount"}  # fmt: skip
    capped = {**spent, "cap": {"percentile": 50}}
    median = {**spent, "name": "Median", "quantile": 0.5}
    flow = small(api, capped, median)
    for amount in (1, 2, 3, 100):
        browser = visitor(api)
        run(api, flow, browser)
        api.send("PAID", browser, ext={"amount": amount})

    html = shown(superuser(), flow)

    assert "visitors have been deleted" not in html
    assert "No guest counts for more than the cap" in html
    assert "Median" in html
