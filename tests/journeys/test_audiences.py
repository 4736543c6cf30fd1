"""Experiences for those who did something, saw something or bought something: or did not."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test.utils import CaptureQueriesContext

from personalize import conditions, rendering, snapshots
from personalize.conditions import patterns
from personalize.models import ExitCount
from tests.api import Api
from tests.conftest import Database
from tests.factories import FlowFactory
from tracking.models import Client

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def launch(shop: Client) -> Callable[[str, Any], None]:
    def launch(name: str, audience: Any) -> None:
        FlowFactory.create(client=shop, name=name, audience=audience, live=True)

    return launch


def field(name: str, operator: str, value: Any = None) -> dict[str, Any]:
    return {"field": name, "operator": operator, "value": value}


def runs(api: Api, friendly_id: str, browser: str) -> bool:
    answer = api.json(api.call_flows(friendly_id, browserId=browser))
    return bool(answer != {"message": "No flow executed"})


def add(api: Api, browser: str, id: str, price: float) -> None:
    product = {"item_id": id, "productId": id, "name": id, "price": price, "currency": "EUR"}
    api.json(api.send("ADD", browser, product=product))


def test_audience__who_saw_the_popup_and_did_not_buy__is_just_that(
    database: Database, api: Api, launch: Callable[[str, Any], None]
) -> None:
    launch("popup", {})
    launch("reminder", {"all": [{"saw": "popup"}, field("orders.count", "is", 0)]})
    browser, other = (api.create_browser()["ref"] for _ in range(2))

    assert not runs(api, "reminder", browser)
    assert runs(api, "popup", browser)
    assert runs(api, "reminder", browser)
    assert not runs(api, "reminder", other)

    add(api, browser, "shoe", 10)
    api.json(api.send("CHECKOUT", browser, reference_id="R-1"))
    assert not runs(api, "reminder", browser)


def test_audience__by_what_was_done_in_other_visits__reads_all_of_them(
    database: Database, api: Api, launch: Callable[[str, Any], None]
) -> None:
    shoes = {"event": "ADD", "where": [field("product.productId", "is", "shoe")]}
    launch("this_visit", shoes)
    launch("lately", shoes | {"within": {"days": 30}, "at_least": 2})
    spent = {"event": "ADD", "measure": "sum", "of": "product.price", "within": "ever"}
    launch("spender", spent | {"operator": "at_least", "value": 100})
    browser = api.create_browser()["ref"]
    add(api, browser, "shoe", 60)
    api.json(api.send("FORCE_CLOSE", browser))

    assert not runs(api, "this_visit", browser)
    assert not runs(api, "lately", browser)
    add(api, browser, "shoe", 39.99)
    assert runs(api, "this_visit", browser)
    assert runs(api, "lately", browser)
    assert not runs(api, "spender", browser)
    add(api, browser, "lace", 0.01)
    assert runs(api, "spender", browser)


def test_audience__by_attributes_and_items_of_events__reads_them_by_their_paths(
    database: Database, api: Api, launch: Callable[[str, Any], None]
) -> None:
    launch("pro", {"event": "Signed up", "where": [field("ext.plan", "is", "pro")]})
    launch("shoes", {"event": "Viewed", "where": [field("ext.items.*.sku", "is", "shoe")]})
    prices = {"event": "Viewed", "measure": "sum", "of": "ext.items.*.price", "within": "ever"}
    launch("dear", prices | {"operator": "is", "value": 12})
    launch("tagged", field("request.params.tags.*", "is", "new"))
    browser = api.create_browser()["ref"]
    flows = ("pro", "shoes", "dear")
    assert [runs(api, name, browser) for name in flows] == [False] * 3

    api.json(api.send("Signed up", browser, ext={"plan": "pro"}))
    items = [{"sku": "cap", "price": 5}, {"sku": "shoe", "price": 7}]
    event = {"type": "Viewed", "browserId": browser, "ext": {"items": items}}
    api.json(api.post("/v2/events", {"events": [event]}, basic=True))

    assert [runs(api, name, browser) for name in flows] == [True] * 3
    call = api.call_flows("tagged", browserId=browser, params={"tags": ["old", "new"]})
    assert api.json(call) == {"shown": True}


def test_audience__by_cart_and_orders__reads_what_is_in_them(
    database: Database, api: Api, launch: Callable[[str, Any], None]
) -> None:
    launch("full_cart", field("cart.value", "at_least", 50))
    launch("loyal", {"all": [field("orders.revenue", "at_least", 50),
                             field("orders.lastAt", "in_last_days", 1),
                             field("orders.products", "includes", "shoe"),
                             field("orders.categories", "includes", "Shoes")]})  # fmt: skip
    item = {"type": 1, "id": "shoe", "name": "Shoe", "categories": ["Shoes/Trail"]}
    api.json(api.post("/v2.1/items", {"items": [item]}, basic=True))
    browser = api.create_browser()["ref"]

    assert not runs(api, "full_cart", browser)
    add(api, browser, "shoe", 50)
    assert runs(api, "full_cart", browser)
    assert not runs(api, "loyal", browser)
    api.json(api.send("CHECKOUT", browser, reference_id="R-1"))
    assert not runs(api, "full_cart", browser)
    assert runs(api, "loyal", browser)


def test_audience__of_whom_nobody_knows__has_bought_and_done_nothing(
    on_sqlite: Database, api: Api, launch: Callable[[str, Any], None]
) -> None:
    launch(
        "newcomers",
        {
            "all": [
                field("orders.count", "is", 0),
                field("cart.items", "is", 0),
                {"event": "ADD", "at_most": 0, "within": "ever"},
                {"not": {"saw": "newcomers", "at_least": 9}},
            ]
        },
    )

    answer = api.json(api.call_flows("newcomers", email="nobody@example.com"))

    assert answer != {"message": "No flow executed"}


def test_call__reads_history_orders_and_cart_only_where_a_condition_is_about_them(
    database: Database,
    api: Api,
    launch: Callable[[str, Any], None],
    count_queries: Callable[[], CaptureQueriesContext],
    settings: Any,
) -> None:
    launch("plain", field("guest.type", "is", "visitor"))
    history = {"event": "ADD", "within": {"days": 7}, "at_most": 3}
    launch("history", {"all": [history, {"event": "VIEW", "at_most": 9}]})
    launch("orders", field("orders.count", "is", 0))
    launch("cart", field("cart.value", "is", 0))
    browser = api.create_browser()["ref"]
    api.json(api.send("VIEW", browser))

    # Else the request walks its own event, and reads for that.
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}

    def about(friendly_id: str, table: str) -> int:
        """Say how often a call reads from a table."""
        with count_queries() as queries:
            assert runs(api, friendly_id, browser)
        texts = [query["sql"] for query in queries.captured_queries]
        return sum(sql.startswith("SELECT") and f'FROM "{table}"' in sql for sql in texts)

    assert [about("plain", table) for table in ("tracking_event", "tracking_order")] == [0, 0]
    assert about("history", "tracking_event") == 1
    assert about("orders", "tracking_order") == 1
    assert about("cart", "tracking_cart") == 1


def test_flow__whose_condition_can_be_read_no_more__runs_nothing_and_says_why(
    on_sqlite: Database,
    api: Api,
    launch: Callable[[str, Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launch("by_expression", field("page", "matches_regex", "^/shoes"))
    browser = api.create_browser()["ref"]
    api.json(api.send("VIEW", browser, page="/shoes/42"))
    assert runs(api, "by_expression", browser)

    # The site is deployed anew, without the library that the operator needs.
    monkeypatch.setattr(patterns, "HAS_REGEX", False)
    snapshots.forget()

    assert not runs(api, "by_expression", browser)
    (row,) = ExitCount.objects.filter(reason="UNREADABLE")
    assert row.count == 1
    with pytest.raises(CommandError):
        call_command("explain_flow", "by_expression", browser, stdout=(said := StringIO()))
    assert "the extra “regex”" in said.getvalue()


@pytest.mark.parametrize("end", ["9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59-05:00"])
def test_audience__until_the_end_of_the_calendar__is_everybody(
    on_sqlite: Database, api: Api, launch: Callable[[str, Any], None], end: str
) -> None:
    launch("for_ever", field("time.now", "before", end))
    launch("never", field("time.now", "after", end))
    browser = api.create_browser()["ref"]

    assert [runs(api, name, browser) for name in ("for_ever", "never")] == [True, False]


def test_flow__whose_condition_breaks_as_it_is_compiled__leaves_the_others_of_its_prefix_running(
    on_sqlite: Database,
    api: Api,
    launch: Callable[[str, Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launch("hero_1", field("page", "contains", "shoes"))
    launch("hero_2", {})
    browser = api.create_browser()["ref"]
    compile_sound = conditions.compile

    def compile(tree: object) -> conditions.Compiled:
        if tree:
            raise ZeroDivisionError
        return compile_sound(tree)

    monkeypatch.setattr(conditions, "compile", compile)
    snapshots.forget()

    assert runs(api, "hero_*", browser)
    assert not runs(api, "hero_1", browser)
    (row,) = ExitCount.objects.filter(reason="UNREADABLE")
    assert (row.flow.friendly_id, row.count) == ("hero_1", 2)
    with pytest.raises(CommandError):
        call_command("explain_flow", "hero_1", browser, stdout=(said := StringIO()))
    assert "It breaks as it is compiled: ZeroDivisionError." in said.getvalue()


def test_flow__whose_template_breaks_as_it_is_compiled__says_so_and_is_no_success(
    on_sqlite: Database,
    api: Api,
    launch: Callable[[str, Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launch("hero", {})
    browser = api.create_browser()["ref"]
    monkeypatch.setattr(rendering, "compile_content", lambda *_: 1 // 0)
    snapshots.forget()

    answer = api.json(api.call_flows("hero", browserId=browser))

    assert answer == {"message": "Templating transformation failed"}
    (event,) = api.read("/v2/events", type="TRACKING")["items"]
    assert event["arbitraryData"]["flowExecution"]["status"] == "ERROR"
