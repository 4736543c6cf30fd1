"""The admin as a marketer uses it, in a real browser: what only the scripts of the page do."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from playwright.sync_api import Page, expect, sync_playwright

from personalize import memberships, offers, segments, traffic
from personalize.models import (
    DecisionModel,
    ExclusionGroup,
    Flow,
    Offer,
    OfferTemplate,
    Segment,
)
from tests.conftest import Database
from tests.factories import FlowFactory, GuestFactory
from tests.personalize import measured
from tracking.models import Client, EventModel, SeenEvent, SeenProperty

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

_CHROMIUMS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@pytest.fixture
def marketer(
    on_sqlite: Database, live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Page]:
    """A page of the admin, signed in; whatever goes wrong in its scripts fails the test."""
    chromium = next((path for path in _CHROMIUMS if Path(path).exists()), None)
    if chromium is None:
        pytest.skip("Chromium is not installed.")
    get_user_model()._default_manager.create_superuser(username="root", password="root")
    # The driver has an event loop in this thread, which is no sign of Django in one.
    monkeypatch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        page = browser.new_page(base_url=live_server.url)
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto("/admin/")
        page.fill("#id_username", "root")
        page.fill("#id_password", "root")
        page.click("[type=submit]")
        yield page
        browser.close()
    assert errors == []


def test_experience__typed_in_a_browser__shows_its_id_and_goes_live(
    marketer: Page, shop: Client
) -> None:
    page = marketer
    page.goto("/admin/personalize/experience/add/")
    page.locator("#id_name").press_sequentially("Été Sale!")
    page.wait_for_function("document.getElementById('id_friendly_id').value === 'ete_sale'")

    audience = page.locator(".pz-conditions[data-name=audience]")
    rows = audience.locator(".pz-row:visible")
    fill(rows.nth(0), field="guest.country", operator="is", value="GB")
    audience.locator(".pz-add-row").first.click()
    assert rows.count() == 2
    fill(rows.nth(1), field="event", detail="ADD", operator="times_at_least", value="2")
    page.fill("#id_variants-0-name", "Banner")
    page.fill("#id_variants-0-content", '{"title": "Hello"}')
    page.click("[name=_continue]")

    saved = audience.locator(".pz-sentence").inner_text()
    assert "Guest country is “GB” and Guest did ADD at least 2 times" in saved
    page.click("button[value=go_live]")
    assert page.locator(".pz-state .tr-pill").inner_text() == "Live"
    flow = Flow.objects.get()
    assert (flow.friendly_id, flow.status) == ("ete_sale", "LIVE")
    assert len(flow.audience["all"]) == 2


def test_traffic__in_a_browser__asks_for_what_the_mode_and_the_group_need(
    marketer: Page, shop: Client
) -> None:
    page = marketer
    traffic.save_group(ExclusionGroup(client=shop, name="Checkout"))
    page.goto("/admin/personalize/experience/add/")

    def shown() -> set[str]:
        names = ("allocation", "bucket_low", "exclusion_group", "group_low", "holdout")
        return {name for name in names if page.locator(f"#id_{name}").is_visible()}

    assert shown() == {"allocation", "exclusion_group", "holdout"}
    page.select_option("#id_exclusion_group", label="Checkout")
    assert shown() == {"allocation", "exclusion_group", "group_low", "holdout"}
    page.select_option("#id_exclusion_group", "")
    page.select_option("#id_traffic_mode", "UNIVERSAL")
    assert shown() == {"bucket_low", "holdout"}
    page.fill("#id_bucket_low", "9")
    page.fill("#id_bucket_high", "4")
    page.fill("#id_name", "Buckets")
    page.fill("#id_variants-0-name", "V")
    page.click("[name=_continue]")
    expect(page.locator(".pz-traffic .errorlist")).to_have_text(
        "The last bucket is below the first one."
    )
    page.select_option("#id_traffic_mode", "UNIQUE")
    # What is wrong stays in sight.
    assert shown() == {"allocation", "bucket_low", "exclusion_group", "holdout"}


def test_traffic__optimized_in_a_browser__asks_for_no_weights(marketer: Page, shop: Client) -> None:
    page = marketer
    page.goto("/admin/personalize/experiment/add/")
    weights = page.locator("#variants-group .fieldBox.field-weight:visible")
    assert weights.count() == 2

    page.select_option("#id_traffic_mode", "OPTIMIZED")
    page.locator("#variants-group .add-row a").click()

    assert weights.count() == 0
    assert not page.locator("#id_allocation").is_visible()
    page.select_option("#id_traffic_mode", "UNIQUE")
    assert weights.count() == 3
    assert page.locator("#id_allocation").is_visible()


def test_friendly_id__set_by_hand__is_kept_while_the_name_changes(
    marketer: Page, shop: Client
) -> None:
    page = marketer
    page.goto("/admin/personalize/experience/add/")

    page.fill("#id_friendly_id", "my_own")
    page.locator("#id_name").press_sequentially("Something else")
    page.wait_for_timeout(500)
    page.fill("#id_variants-0-name", "V")
    page.click("[name=_continue]")

    assert Flow.objects.get().friendly_id == "my_own"


def test_rows__removed_and_grouped_in_a_browser__are_saved_so(marketer: Page, shop: Client) -> None:
    page = marketer
    page.goto("/admin/personalize/experience/add/")
    page.fill("#id_name", "Grouped")
    page.fill("#id_variants-0-name", "V")

    audience = page.locator(".pz-conditions[data-name=audience]")
    rows = audience.locator(".pz-row:visible")
    fill(rows.nth(0), field="guest.city", operator="is", value="Cork")
    audience.locator(".pz-add-row").first.click()
    fill(rows.nth(1), field="guest.email", operator="exists")
    rows.nth(0).locator(".pz-remove-row").click()
    audience.locator(".pz-add-group").last.click()
    fill(rows.nth(1), field="request.params.", detail="tier", operator="is", value="gold")
    audience.locator(".pz-kind-of-group").first.select_option("any")
    rows.nth(0).locator(".pz-nest").click()
    audience.locator(".pz-kind-of-group").nth(1).select_option("none")
    audience.locator(".pz-add-row").first.click()
    fill(rows.nth(1), field="event", detail="ADD", operator="times_at_least", value="1")
    rows.nth(1).locator(".pz-add-where").click()
    where = rows.nth(1).locator(".pz-wherein")
    where.locator(".pz-path").fill("items.*.sku")
    where.locator(".pz-operator").select_option("is")
    where.locator(".pz-value").fill("shoe")
    page.click("[name=_continue]")
    page.locator(".messagelist").wait_for()

    sku = {"field": "items.*.sku", "operator": "is", "value": "shoe"}
    assert Flow.objects.get().audience == {
        "any": [
            {
                "not": {
                    "any": [
                        {"field": "guest.email", "operator": "exists"},
                        {"event": "ADD", "where": [sku], "at_least": 1, "within": "session"},
                    ]
                }
            },
            {"all": [{"field": "request.params.tier", "operator": "is", "value": "gold"}]},
        ]
    }


def test_audience__who_saw_the_popup_and_has_not_purchased__takes_less_than_ten_clicks(
    marketer: Page, shop: Client
) -> None:
    popup = FlowFactory.create(client=shop, name="Pop-up", live=True)
    page = marketer
    page.goto("/admin/personalize/experience/add/")
    page.fill("#id_name", "Reminder")
    page.fill("#id_variants-0-name", "V")
    audience = page.locator(".pz-conditions[data-name=audience]")
    rows = audience.locator(".pz-row:visible")
    clicks = 0

    def choose(select: Any, value: str) -> None:
        nonlocal clicks
        # One to open the list, and one to choose from it.
        clicks += 2
        select.select_option(value)

    choose(rows.nth(0).locator(".pz-field"), "saw")
    choose(rows.nth(0).locator(".pz-chooser").first, popup.friendly_id)
    audience.locator(".pz-add-row").click()
    choose(rows.nth(1).locator(".pz-field"), "orders.count")
    rows.nth(1).locator(".pz-value").click()
    page.keyboard.type("0")
    clicks += 2
    assert clicks < 10
    page.click("[name=_continue]")
    page.locator(".messagelist").wait_for()

    assert Flow.objects.get(name="Reminder").audience == {
        "all": [
            {"saw": "pop_up", "at_least": 1, "within": "ever"},
            {"field": "orders.count", "operator": "is", "value": 0},
        ]
    }


def test_pickers__in_a_browser__offer_what_is_known_and_keep_the_keyboards_place(
    marketer: Page, shop: Client
) -> None:
    FlowFactory.create(client=shop, name="Pop-up", variants=[{"name": "A"}, {"name": "B"}])
    now = timezone.now()
    seen = SeenEvent.objects.create(
        client=shop, event_type="ADD", count=5, first_seen=now, last_seen=now
    )
    SeenProperty.objects.create(
        event=seen, path="products[].sku", kind="string", count=5, first_seen=now, last_seen=now
    )
    page = marketer
    page.goto("/admin/personalize/experience/add/")
    page.fill("#id_name", "Picked")
    page.fill("#id_variants-0-name", "V")
    audience = page.locator(".pz-conditions[data-name=audience]")
    rows = audience.locator(".pz-row:visible")

    # All by the keyboard: each choice leads on to the next input.
    rows.nth(0).locator(".pz-field").focus()
    page.keyboard.type("Saw an")
    rows.nth(0).locator(".pz-chooser").nth(1).wait_for(state="attached")
    page.keyboard.press("Tab")
    page.keyboard.type("Pop")
    expect(rows.nth(0).locator(".pz-detail")).to_have_value("pop_up")
    page.keyboard.press("Tab")
    page.keyboard.type("B")
    expect(rows.nth(0).locator(".pz-variant")).to_have_value("B")
    audience.locator(".pz-add-row").press("Enter")
    rows.nth(1).locator(".pz-field").select_option("event")
    rows.nth(1).locator(".pz-detail").fill("ADD")
    rows.nth(1).locator(".pz-measure").select_option("sum")
    of = rows.nth(1).locator(".pz-of")
    expect(rows.nth(1).locator("datalist option[value='products.*.sku']").first).to_be_attached()
    of.fill("products.*.sku")
    rows.nth(1).locator(".pz-value").fill("9")
    audience.locator(".pz-add-row").press("Enter")
    fill(rows.nth(2), field="time.weekday", operator="is_one_of")
    for day in ("saturday", "sunday"):
        rows.nth(2).locator(".pz-chooser").select_option(day)
    page.click("[name=_continue]")
    page.locator(".messagelist").wait_for()

    assert Flow.objects.get(name="Picked").audience == {
        "all": [
            {"saw": "pop_up", "variant": "B", "at_least": 1, "within": "ever"},
            {
                "event": "ADD",
                "measure": "sum",
                "of": "products.*.sku",
                "operator": "is",
                "value": 9,
                "within": "session",
            },
            {"field": "time.weekday", "operator": "is_one_of", "value": ["saturday", "sunday"]},
        ]
    }


def test_event_model__typed_in_a_browser__is_saved_with_the_rows_that_are_left(
    marketer: Page, shop: Client
) -> None:
    page = marketer
    page.goto("/admin/tracking/eventmodel/add/")
    rows = page.locator(".tr-row:visible")
    assert rows.count() == 1
    page.fill("#id_event_type", "VIEW")
    rows.nth(0).locator(".tr-path").fill("ext.gone")
    for path, type in (("ext.score", "integer"), ("page", "string")):
        page.click(".tr-add-row")
        rows.last.locator(".tr-path").fill(path)
        rows.last.locator("select").select_option(type)
    rows.nth(0).locator(".tr-remove-row").click()
    page.click("[name=_continue]")
    page.locator(".messagelist").wait_for()

    expect(rows).to_have_count(2)
    assert EventModel.objects.get().fields == [
        {"path": "ext.score", "type": "integer"},
        {"path": "page", "type": "string"},
    ]


def test_decision__typed_in_a_browser__is_saved_in_the_order_of_its_rows(
    marketer: Page, shop: Client
) -> None:
    page = marketer
    page.goto("/admin/personalize/decisionmodel/add/")
    page.fill("#id_name", "Discount")
    rows, heads = page.locator(".pz-grid-row:visible"), page.locator(".pz-heads")
    assert rows.count() == 1
    heads.locator(".pz-in-field:visible").first.select_option("session.views")
    heads.locator(".pz-out-name:visible").first.fill("discount")
    heads.locator(".pz-out-type:visible").first.select_option("NUMBER")
    compare(rows.nth(0), 0, "at_least", "3")
    rows.nth(0).locator(".pz-plain-value:visible").fill("10")
    page.click(".pz-add-in")
    heads.locator(".pz-in-field:visible").nth(1).select_option("guest.country")
    page.click(".pz-add-in")
    heads.locator("th.pz-in .pz-x:visible").nth(2).click()
    page.click(".pz-add-row")
    compare(rows.nth(1), 1, "is", "IE")
    rows.nth(1).locator(".pz-plain-value:visible").fill("20")
    page.click(".pz-add-row")
    rows.nth(2).locator(".pz-plain-value:visible").fill("1")
    page.click(".pz-add-row")
    rows.nth(3).locator(".pz-tools .pz-x").click()
    rows.nth(1).locator("button[title='Move up']").click()
    page.click(".pz-add-test")
    test = page.locator(".pz-test:visible")
    test.locator("textarea").nth(0).fill("guest.country = IE")
    test.locator("textarea").nth(1).fill("discount = 20")
    page.click("[name=_continue]")

    page.locator(".messagelist").wait_for()
    assert rows.count() == 3
    assert DecisionModel.objects.get().draft == {
        "hitPolicy": "FIRST",
        "inputs": [{"field": "session.views"}, {"field": "guest.country"}],
        "outputs": [{"name": "discount", "type": "NUMBER"}],
        "rows": [
            {"when": [None, {"operator": "is", "value": "IE"}], "then": {"discount": 20}},
            {"when": [{"operator": "at_least", "value": 3}, None], "then": {"discount": 10}},
            {"when": [None, None], "then": {"discount": 1}},
        ],
        "tests": [{"name": "", "facts": {"guest.country": "IE"}, "expected": {"discount": 20}}],
    }
    page.click(".pz-buttons button.default")
    assert page.locator(".pz-state .tr-pill").inner_text() == "In production"


def test_offer_column__chosen_in_a_browser__offers_names_instead_of_refs(
    marketer: Page, shop: Client
) -> None:
    template = offers.save_template(OfferTemplate(client=shop, name="Banner"))
    spring = offers.save(Offer(client=shop, template=template, name="Spring", status="LIVE"))
    page = marketer
    page.goto("/admin/personalize/decisionmodel/add/")
    page.fill("#id_name", "Best offer")
    heads = page.locator(".pz-heads")
    heads.locator(".pz-out-name").fill("offer")
    heads.locator(".pz-out-type").select_option("OFFER")
    assert not page.locator(".pz-grid .pz-plain-value:visible").count()
    page.locator("td .pz-offer-value:visible").select_option(label="Spring")
    page.locator(".pz-policy-select").select_option("PRIORITY")
    page.locator("td.pz-priority input:visible").fill("7")
    page.click("[name=_continue]")
    page.locator(".messagelist").wait_for()

    assert DecisionModel.objects.get().draft["rows"] == [
        {"when": [], "then": {"offer": str(spring.ref)}, "priority": 7}
    ]


def compare(row: Any, column: int, operator: str, value: str) -> None:
    cell = row.locator("td.pz-in:visible").nth(column)
    cell.locator(".pz-operator").select_option(operator)
    cell.locator(".pz-value").fill(value)


def fill(row: Any, *, field: str, operator: str, detail: str = "", value: str = "") -> None:
    row.locator(".pz-field").select_option(field)
    row.locator(".pz-operator").select_option(operator)
    if detail:
        row.locator(".pz-detail").fill(detail)
    if value:
        row.locator(".pz-value").fill(value)


def test_segment__of_who_saw_and_did_not_buy__is_built_in_under_ten_clicks(
    marketer: Page, shop: Client
) -> None:
    flow = FlowFactory.create(client=shop, name="Running shoes popup", live=True)
    page = marketer
    page.goto("/admin/")
    clicks = 0

    def click(selector: str) -> None:
        nonlocal clicks
        clicks += 1
        page.locator(selector).last.click()

    def choose(row: Any, selector: str, value: str) -> None:
        nonlocal clicks
        # One to open the list, and one to choose from it.
        clicks += 2
        row.locator(selector).first.select_option(value)

    click("#content .model-segment .addlink")
    # The name has the focus: it is typed without a click.
    expect(page.locator("#id_name")).to_be_focused()
    page.keyboard.type("Saw the pop-up, has not purchased")
    rows = page.locator(".pz-row:visible")
    choose(rows.nth(0), ".pz-field", "saw")
    choose(rows.nth(0), ".pz-chooser", flow.friendly_id)
    click(".pz-add-row:visible")
    choose(rows.nth(1), ".pz-field", "orders.count")
    rows.nth(1).locator(".pz-operator").focus()
    page.keyboard.press("Tab")
    page.keyboard.type("0")
    click("[name=_save]")
    page.locator(".messagelist").wait_for()

    assert clicks < 10
    assert Segment.objects.get().condition == {
        "all": [
            {"saw": "running_shoes_popup", "at_least": 1, "within": "ever"},
            {"field": "orders.count", "operator": "is", "value": 0},
        ]
    }


def test_segment__before_it_is_saved__tells_how_many_guests_it_would_have(
    marketer: Page, shop: Client
) -> None:
    GuestFactory.create_batch(2, client=shop, country="IE")
    GuestFactory.create(client=shop, country="DE")
    segments.save(Segment(client=shop, name="VIPs", kind="LIST"))
    page = marketer
    page.goto("/admin/personalize/segment/add/")
    row = page.locator(".pz-row:visible").first
    answer = page.locator(".pz-estimated")

    page.click(".pz-estimate button")
    expect(answer).to_have_text(re.compile("A segment needs a condition"))
    fill(row, field="guest.country", operator="is", value="IE")
    page.click(".pz-estimate button")
    expect(answer).to_have_text("2 of 3 guests would be in it. All of them were judged.")
    row.locator(".pz-field").select_option("guest.segments")
    expect(row.locator(".pz-chooser:visible option", has_text="VIPs (vips)")).to_have_count(1)
    assert not row.locator(".pz-field option[value='session.views']").count()
    assert not Segment.objects.exclude(kind="LIST").exists()


def test_segment__that_is_being_built__shows_on_its_page_when_it_is_done(
    marketer: Page, shop: Client
) -> None:
    condition = {"field": "guest.country", "operator": "is", "value": "IE"}
    segment = segments.save(Segment(client=shop, name="Irish", condition=condition))
    GuestFactory.create(client=shop, country="IE")
    Segment.objects.filter(pk=segment.pk).update(built_to=0)
    page = marketer
    page.goto(f"/admin/personalize/segment/{segment.pk}/change/")
    expect(page.locator(".pz-building")).to_contain_text("0 of 1 guests are judged")

    memberships.build_all(now=timezone.now())

    expect(page.locator(".pz-building")).to_be_hidden(timeout=15_000)
    expect(page.locator(".pz-members")).to_contain_text("1 guest is in it")
    expect(page.locator(".pz-state .tr-pill")).to_have_text("Live")


def test_results__opened_in_a_browser__are_drawn_and_shipped_without_errors(
    marketer: Page, shop: Client
) -> None:
    flow = measured.experiment(shop)
    measured.fill(flow, a_day=400, rates=(0.05, 0.08))
    page = marketer
    problems: list[str] = []
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)

    page.goto(f"/admin/personalize/experiment/{flow.pk}/change/")
    page.click("text=Results")
    expect(page.locator(".pz-verdict .tr-pill")).to_have_text("Ship")
    for drawing in page.locator(".pz-chart, .pz-bar").all():
        box = drawing.bounding_box()
        assert box is not None and box["width"] > 100
    page.locator("summary", has_text="As a table").first.click()
    expect(page.locator("details[open] table tbody tr")).to_have_count(21)
    page.click("text=Classical, for one look")
    expect(page.locator(".pz-views strong")).to_have_text("Classical, for one look")
    page.click("text=Send all traffic to Green…")
    page.click("text=Send it all")

    expect(page.locator(".messagelist")).to_contain_text("All traffic goes to “Green”")
    assert problems == []


def test_goals__made_by_clicking__are_saved_in_their_order(marketer: Page, shop: Client) -> None:
    seen_at = {"first_seen": timezone.now(), "last_seen": timezone.now()}
    seen = SeenEvent.objects.create(client=shop, event_type="SIGNUP", count=1, **seen_at)
    SeenProperty.objects.create(event=seen, path="plan", kind="string", count=1, **seen_at)
    flow = FlowFactory.create(client=shop, name="Hero", live=True)
    page = marketer
    page.goto(f"/admin/personalize/experience/{flow.pk}/change/")
    goals = page.locator(".pz-goal:visible")
    assert goals.count() == 0

    page.click(".pz-add-goal")
    goals.nth(0).locator(".pz-goal-name input").fill("Signed up")
    goals.nth(0).locator(".pz-goal-kind").select_option("EVENT")
    goals.nth(0).locator(".pz-event-type:visible").fill("SIGNUP")
    goals.nth(0).locator(".pz-event-type:visible").press("Tab")
    goals.nth(0).locator(".pz-add-where:visible").click()
    where = goals.nth(0).locator(".pz-wherein:visible")
    expect(where.locator("datalist option[value=plan]")).to_be_attached()
    where.locator(".pz-path").fill("plan")
    where.locator(".pz-operator").select_option("is")
    where.locator(".pz-value").fill("gold")

    page.click(".pz-add-goal")
    goals.nth(1).locator(".pz-goal-name input").fill("To the till")
    goals.nth(1).locator(".pz-goal-kind").select_option("FUNNEL")
    goals.nth(1).locator(".pz-add-event").click()
    steps = goals.nth(1).locator(".pz-goal-event:visible")
    for number, name in enumerate(("CHECKOUT", "ADD", "VIEW")):
        steps.nth(number).locator(".pz-event-type").fill(name)
    steps.nth(2).locator(".pz-up").click()
    steps.nth(1).locator(".pz-up").click()
    steps.nth(1).locator(".pz-down").click()
    goals.nth(1).locator(".pz-goal-tools .pz-up").click()
    expect(goals.nth(0).locator(".pz-goal-no")).to_have_text("Primary")

    page.click(".pz-add-goal")
    goals.nth(2).locator(".pz-remove-goal").click()
    page.click("[name=_continue]")
    page.locator(".messagelist").wait_for()

    sentences = page.locator(".pz-goal .pz-sentence").all_inner_texts()
    assert sentences == [
        "Saved: Visits with VIEW, then ADD, then CHECKOUT",
        "Saved: Visits with SIGNUP (where plan is “gold”)",
    ]
    # A goal that came back with an error shows its inputs, and what was typed.
    goals.nth(1).locator(".pz-event-type:visible").fill("")
    page.click("[name=_continue]")
    expect(goals.nth(1)).to_contain_text("Name the event, such as VIEW or ADD.")
    goals.nth(1).locator(".pz-event-type:visible").fill("JOINED")
    goals.nth(0).locator(".pz-remove-goal").click()
    page.click("[name=_continue]")
    page.locator(".messagelist").wait_for()
    assert "its numbers begin anew" in page.locator(".messagelist").inner_text()
    (goal,) = flow.goals.all()
    assert (goal.name, goal.position, goal.document["event"]["type"]) == ("Signed up", 0, "JOINED")


def test_condition__about_a_goal__is_chosen_from_those_of_the_experience(
    marketer: Page, shop: Client
) -> None:
    flow = FlowFactory.create(client=shop, name="Hero", live=True)
    flow.goals.create(name="Signed up", document={"kind": "EVENT", "event": {"type": "SIGNUP"}})
    page = marketer
    page.goto("/admin/personalize/segment/add/")
    page.fill("#id_name", "Signed up lately")

    row = page.locator(".pz-row:visible").first
    row.locator(".pz-field").select_option("converted")
    row.locator(".pz-chooser").nth(0).select_option("hero")
    row.locator(".pz-chooser").nth(1).select_option("Signed up")
    expect(row.locator(".pz-operator")).to_have_value("times_once")
    row.locator(".pz-within").select_option("days")
    row.locator(".pz-days").fill("30")
    page.click("[name=_continue]")

    said = page.locator(".pz-sentence").inner_text()
    assert "Guest converted on goal “Signed up” of “hero” for the first time" in said
    leaf = {"converted": "hero", "goal": "Signed up", "within": {"days": 30}}
    assert Segment.objects.get().condition == {"all": [leaf]}
