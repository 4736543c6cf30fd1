"""
The proxies that the Content SDK has for Next.js, as they are published.

They ask the content which variants a page and its components have, the server which of them this
visitor sees, and then rewrite the page's path. Where there is no answer to use, the page stays.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.api import Api
from tests.conftest import Database
from tests.sdks import faults
from tests.sdks.faults import Exchange, FaultyProxy, faulty_proxy
from tests.sdks.test_edge_sdks import BOT, bot_id
from tests.services import Service, free_port

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PAGE_ID = "{110D559F-DEA5-42EA-9C1C-8A5DF7E70EF9}"
PAGE = "110d559fdea542ea9c1c8a5df7e70ef9"
HERO_ID, HERO = "E020FB58-1BE8-4537-AAB8-67916452ECF2", "e020fb581be84537aab867916452ecf2"
LIST_ID, LIST = "0FB1BF67A5C54C5F9B1D6F3A8E9A7C10", "0fb1bf67a5c54c5f9b1d6f3a8e9a7c10"
CREATE = "/v1/events/v1.2/browser/create.json?client_key="
EVENT, RUN = "/v1/events/v1.2/events?siteId=site-de", "/v1/personalize?siteId=site-de"
FAILED = "Personalize proxy failed:"

Visit = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def front(on_postgres: Database, server: Service) -> Iterator[FaultyProxy]:
    """What the site takes for the server: it keeps the calls, and can be told to fail."""
    with faulty_proxy(server.url) as opened:
        yield opened


@pytest.fixture
def visit(api: Api, front: FaultyProxy, node: Callable[..., Any]) -> Visit:
    """Ask the site for pages, one after another, as one visitor with a browser's cookies."""

    def ask(*requests: dict[str, Any], variants: list[str], **options: Any) -> list[dict[str, Any]]:
        page = {"path": "/shoes", "id": PAGE_ID, "variantIds": variants}
        edge = {"edgeUrl": front.url, "contextId": api.client_key}
        got = node("next_proxy.mjs", **edge | {"page": page, "requests": requests} | options)
        assert {call["siteName"] for call in got["asked"]} <= {"site-de"}
        pages: list[dict[str, Any]] = got["pages"]
        return pages

    return ask


def shoes(query: str = "", **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"path": f"/shoes{query}", "headers": named}


def live(api: Api, name: str, *variant_ids: str, **more: Any) -> dict[str, Any]:
    """Make a live flow, with a variant for each variantId that it may answer."""
    variants = [
        {"name": given, "content": {"variantId": given}, "isControl": given.endswith("_default")}
        for given in variant_ids
    ]
    body = {"name": name, "status": "LIVE", "variants": variants} | more
    flow: dict[str, Any] = api.json(api.post("/v2/flowDefinitions", body, basic=True))
    assert flow["friendlyId"] == name
    return flow


def runs(api: Api) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.read("/v2/events", type="TRACKING")["items"]
    return items


def paths(front: FaultyProxy) -> list[str]:
    return [exchange.path for exchange in front.exchanges]


def assert_default(page: dict[str, Any]) -> None:
    """See to it that the page is the one for everybody."""
    assert page["rewrite"] is None
    assert "identified" not in page


def test_next_proxy__with_a_live_flow_of_the_page__shows_its_variant(
    api: Api, front: FaultyProxy, visit: Visit
) -> None:
    campaign = {"field": "request.params.utm.campaign", "operator": "is", "value": "spring"}
    flow = live(api, f"embedded_{PAGE}_en", "v1", audience={"all": [campaign]})

    first, second, other = visit(
        shoes("?utm_campaign=spring", referer="https://news.example/"),
        shoes("?utm_campaign=spring"),
        shoes("?utm_campaign=autumn"),
        variants=["v1", "v2"],
    )

    assert first["rewrite"] == second["rewrite"] == "/shoes/_variantId_v1?utm_campaign=spring"
    assert first["identified"] == second["identified"] == ["v1"]
    assert_default(other)
    assert first["logged"] == second["logged"] == other["logged"] == []
    assert paths(front) == [CREATE, RUN, RUN, RUN]
    call = front.exchanges[1].json()
    assert (call["friendlyId"], call["variants"]) == (flow["friendlyId"], ["v1", "v2"])
    assert call["params"]["referrer"] == "https://news.example/"

    browser_id, guest_ref = (first["cookies"][name] for name in ("sc_cid", "sc_cid_personalize"))
    assert other["cookies"] == first["cookies"]
    assert all("Domain=shop.example" in cookie for cookie in first["setCookie"])
    stored = runs(api)
    assert [(run["browserRef"], run["pointOfSale"], run["channel"]) for run in stored] == [
        (browser_id, "myretailsite/germany", "WEB")
    ] * 2
    for run in stored:
        execution = run["arbitraryData"]["flowExecution"]
        assert execution["flowRef"] == flow["ref"]
        assert execution["guestRef"] == guest_ref
        assert execution["status"] == "SUCCESS"
    (session,) = api.read("/v2/sessions")["items"]
    assert (session["events"], session["browserRef"]) == (2, browser_id)


@pytest.mark.parametrize(
    ("options", "friendly_id"),
    [
        ({"language": "de-DE"}, f"embedded_{PAGE}_de_de"),
        ({"scope": "My Site: 2"}, f"embedded_mysite2_{PAGE}_en"),
    ],
)
def test_next_proxy__of_a_site_with_a_language_or_a_scope__finds_the_flow_named_for_it(
    api: Api, visit: Visit, options: dict[str, str], friendly_id: str
) -> None:
    live(api, f"embedded_{PAGE}_en", "v1")
    flow = live(api, friendly_id, "v2")

    (page,) = visit(shoes(), variants=["v1", "v2"], **options)

    assert page["rewrite"] == "/shoes/_variantId_v2"
    (run,) = runs(api)
    assert run["arbitraryData"]["flowExecution"]["flowRef"] == flow["ref"]


@pytest.mark.parametrize("status", [None, "DRAFT"])
def test_next_proxy__without_a_live_flow__shows_the_default_page(
    api: Api, front: FaultyProxy, visit: Visit, status: str | None
) -> None:
    if status:
        live(api, f"embedded_{PAGE}_en", "v1", status=status)

    (page,) = visit(shoes(), variants=["v1", f"{HERO_ID}_b"])

    assert_default(page)
    assert page["logged"] == []
    assert paths(front) == [CREATE, RUN, RUN]
    assert front.statuses == [200, 200, 200]
    assert api.read("/v2/events")["items"] == []


def test_next_proxy__answered_with_a_variant_that_the_page_lost__shows_the_default_page(
    api: Api, front: FaultyProxy, visit: Visit
) -> None:
    live(api, f"embedded_{PAGE}_en", "gone")
    live(api, f"component_{PAGE}_{HERO}_en_1", f"{HERO_ID}_gone")

    (page,) = visit(shoes(), variants=["v1", f"{HERO_ID}_b"])

    assert_default(page)
    assert page["logged"] == []
    assert front.statuses == [200, 200, 200]
    assert api.read("/v2/events")["items"] == []


def test_next_proxy__with_a_page_and_tests_of_components__runs_all_at_once_in_one_visit(
    api: Api, front: FaultyProxy, visit: Visit
) -> None:
    shares = {"subtype": "EXPERIMENT", "traffic": {"allocation": 100}}
    lists = [f"{LIST_ID}_default", f"{LIST_ID}_b"]
    flows = {
        "page": live(api, f"embedded_{PAGE}_en", "v1"),
        "hero": live(api, f"component_{PAGE}_{HERO}_en_1", f"{HERO_ID}_default"),
        "list": live(api, f"component_{PAGE}_{LIST}_en_1", *lists, **shares),
    }
    live(api, f"component_{PAGE}_{HERO}_de_1", f"{HERO_ID}_b")
    together = threading.Barrier(3, timeout=faults.PATIENCE)

    def meeting(exchange: Exchange) -> None:
        together.wait()
        faults.passing(exchange)

    front.script(faults.passing, meeting, meeting, meeting)

    variants = ["v1", f"{HERO_ID}_b", f"{HERO_ID}_c", f"{LIST_ID}_b"]
    (page,) = visit(shoes(), variants=variants)

    assert paths(front) == [CREATE, RUN, RUN, RUN]
    asked = {
        call["friendlyId"]: call["variants"] for call in map(Exchange.json, front.exchanges[1:])
    }
    assert asked == {
        f"embedded_{PAGE}_en": ["v1"],
        f"component_{PAGE}_{HERO}_en*": [f"{HERO_ID}_{name}" for name in ("default", "b", "c")],
        f"component_{PAGE}_{LIST}_en*": lists,
    }
    # In the order of the answers: any.
    path, *segments = page["rewrite"].split("/_variantId_")
    assert (path, segments) == ("/shoes", page["identified"])
    names = {
        variant["ref"]: variant["name"] for flow in flows.values() for variant in flow["variants"]
    }
    executions = [run["arbitraryData"]["flowExecution"] for run in runs(api)]
    assert sorted(names[run["flowVariantRef"]] for run in executions) == sorted(segments)
    assert {"v1", f"{HERO_ID}_default"} < set(segments)
    assert {run["flowRef"] for run in executions} == {flow["ref"] for flow in flows.values()}
    assert {run["guestRef"] for run in executions} == {page["cookies"]["sc_cid_personalize"]}
    (session,) = api.read("/v2/sessions")["items"]
    assert (session["events"], session["browserRef"]) == (3, page["cookies"]["sc_cid"])


def test_next_proxy__with_two_tests_of_a_component__runs_the_first_that_is_for_the_visitor(
    api: Api, visit: Visit
) -> None:
    nobody = {"all": [{"event": "ADD", "at_least": 1, "within": "session"}]}
    live(api, f"component_{PAGE}_{HERO}_en_1", f"{HERO_ID}_b", audience=nobody)
    second = live(api, f"component_{PAGE}_{HERO}_en_2", f"{HERO_ID}_c")
    live(api, f"component_{PAGE}_{HERO}_en_3", f"{HERO_ID}_b")

    (page,) = visit(shoes(), variants=[f"{HERO_ID}_b", f"{HERO_ID}_c"])

    assert page["rewrite"] == f"/shoes/_variantId_{HERO_ID}_c"
    (run,) = runs(api)
    assert run["arbitraryData"]["flowExecution"]["flowRef"] == second["ref"]


def test_next_proxy__asked_ahead_of_a_visit__sends_nothing(
    api: Api, front: FaultyProxy, visit: Visit
) -> None:
    live(api, f"embedded_{PAGE}_en", "v1")

    prefetched = visit(
        shoes(purpose="prefetch"),
        shoes(next_router_prefetch="1"),
        shoes(x_middleware_prefetch="1", user_agent="Example/1.0"),
        variants=["v1"],
    )

    for page in prefetched:
        assert_default(page)
        assert page["cacheControl"] == "no-store, must-revalidate"
        assert page["cookies"] == {}
    assert front.exchanges == []


def test_next_proxy__asked_for_a_page_that_has_no_variants__sends_nothing(
    api: Api, front: FaultyProxy, visit: Visit
) -> None:
    live(api, f"embedded_{PAGE}_en", "v1")

    (page,) = visit(shoes(), variants=[])
    (unknown,) = visit({"path": "/boots"}, variants=["v1"])

    assert_default(page)
    assert_default(unknown)
    assert front.exchanges == []


def test_next_proxy__visited_by_a_bot__counts_its_views_and_runs_nothing(
    api: Api, front: FaultyProxy, visit: Visit
) -> None:
    live(api, f"embedded_{PAGE}_en", "v1")

    first, marked = visit(shoes(user_agent=BOT), shoes(user_agent=BOT), variants=["v1"])

    # A bot gets a mark with its first page, and no browser id: until it brings the mark along,
    # the proxy calls the flow for nobody.
    assert first["cookies"] == marked["cookies"] == {"sc_bot": "1"}
    assert list(zip(paths(front), front.statuses, strict=True)) == [
        (EVENT, 200),
        (RUN, 400),
        (EVENT, 200),
    ]
    assert front.exchanges[1].json()["browserId"] == ""
    assert_default(first)
    assert_default(marked)
    assert marked["logged"] == []
    events = api.read("/v2/events")["items"]
    assert [(view["type"], view["channel"]) for view in events] == [("VIEW", "BOT")] * 2
    assert {view["browserRef"] for view in events} == {bot_id(BOT)}
    assert api.read("/v2.1/guests")["items"] == []


def test_next_proxy__with_the_server_away__shows_the_default_page(api: Api, visit: Visit) -> None:
    live(api, f"embedded_{PAGE}_en", "v1")

    away = f"http://127.0.0.1:{free_port()}"
    (page,) = visit(shoes(), variants=["v1"], edgeUrl=away)

    assert_default(page)
    assert page["cookies"] == {}
    assert page["logged"][0] == FAILED
    assert api.read("/v2/events")["items"] == []


@pytest.mark.parametrize(
    "fault", [faults.losing_the_request, faults.answering(503)], ids=["lost", "unavailable"]
)
def test_next_proxy__losing_the_server_for_a_moment__has_the_same_visitor_after_it(
    api: Api, front: FaultyProxy, visit: Visit, fault: faults.Fault
) -> None:
    live(api, f"embedded_{PAGE}_en", "v1")
    front.script(faults.passing, fault, faults.passing)

    lost, back = visit(shoes(), shoes(), variants=["v1"])

    assert_default(lost)
    assert lost["logged"][0] == FAILED
    assert back["rewrite"] == "/shoes/_variantId_v1"
    assert back["cookies"] == lost["cookies"]
    (run,) = runs(api)
    assert run["browserRef"] == lost["cookies"]["sc_cid"]
