"""
The Cloud SDK and the Content SDK as they are published, on servers and in visitors' browsers.

Both speak to an edge server, which they name by `edgeUrl` (`sitecoreEdgeUrl`),
and say whose site it is by `contextId` and `siteName`. The same scenes run
with both; where their callers are told different things, the test says so.
"""

import hashlib
import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api import Api
from tests.conftest import Database, StartServer
from tests.sdks.conftest import LOOPBACK, NOT_FOUND, SHOW_REFUSED, UNKNOWN, UUID, NetworkLog
from tests.services import Service
from tracking.models import Client

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

NOTHING = {"message": "No flow executed"}
LETTER_CONTENT = {"title": "Hello {{ guest.firstName }}", "variantId": "ada_page"}
LETTER = {"title": "Hello Ada", "variantId": "ada_page"}
#: How each says that it was given no browser id.
NO_VISITOR = {"cloud": "[IE-0003]", "content": "[IE-005]"}
FORM_SENT = {
    "formId": "f-1",
    "interactionType": "SUBMITTED",
    "componentInstanceId": "component-1",
}
#: The SDKs keep bots out, and what the driver's Chromium calls itself is one to them.
PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
BOT = "Mozilla/5.0 (compatible; Examplebot/2.1; +http://example.com/bot.html)"

both = pytest.mark.parametrize("sdk", ["cloud", "content"])


@pytest.fixture
def flows(api: Api) -> dict[str, Any]:
    """Live experiences by friendlyId: one for those with something in their cart, one for all."""
    greeting = {
        "title": "Hello {{ guest.firstName }}",
        "from": "{{ request.params.utm.source }}",
        "city": "{{ request.params.geo.city }}",
        "row": "{{ request.params.seat.row }}",
    }
    bodies: list[dict[str, Any]] = [
        {
            "name": "Hero banner",
            "audience": {"all": [{"event": "ADD", "at_least": 1, "within": "session"}]},
            "variants": [{"name": "Greeting", "content": greeting}],
        },
        {"name": "Letter", "variants": [{"name": "Greeting", "content": LETTER_CONTENT}]},
    ]
    made = [
        api.json(api.post("/v2/flowDefinitions", {"status": "LIVE", **body}, basic=True))
        for body in bodies
    ]
    return {flow["friendlyId"]: flow for flow in made}


@pytest.fixture
def edge(api: Api, server: Service) -> dict[str, str]:
    """How a site names the server, and itself."""
    return {"edgeUrl": server.url, "contextId": api.client_key}


@both
def test_edge_sdk_on_a_server__through_a_visit__is_recorded_and_personalised(
    sdk: str,
    api: Api,
    edge: dict[str, str],
    flows: dict[str, Any],
    node: Callable[..., Any],
) -> None:
    got = node(f"{sdk}_server.mjs", scene="visit", **edge)

    browser_id, guest_ref = visitor_of(got["cookies"])
    assert got.get("clientId", browser_id) == browser_id
    # A server sends forms with one of the two only.
    form = ["form"] if sdk == "content" else []
    calls = ["pageView", "fullView", "bareView", "event", *form, "identity"]
    for name in calls:
        assert got[name].items() >= {"status": "OK", "version": "1.2"}.items(), name
        assert got[name]["client_key"] == api.client_key
    assert got["before"] == NOTHING
    assert got["personalize"] == {"title": "Hello Ada", "from": "letter", "city": "Cork", "row": 3}
    assert got["byEmail"] == got["byIdentifier"] == got["offered"] == LETTER
    assert got["notOffered"] == {"message": "No matching variant"}

    events = api.read("/v2/events", browserRef=browser_id)["items"]
    kept = {event["ref"]: event["arbitraryData"] for event in events}
    assert [event["type"] for event in reversed(events)] == [
        *["VIEW", "VIEW", "VIEW", "ADD", *(["FORM"] if form else []), "IDENTITY"],
        *["TRACKING", "TRACKING"],
    ]
    assert {event["pointOfSale"] for event in events} == {"myretailsite/germany"}
    assert {event["channel"] for event in events} == {"WEB"}
    view = kept[got["pageView"]["ref"]]
    assert view["ext"] == {"pageVariantId": "variant-1", "size_eu": 43, "colours": ["red", "blue"]}
    assert (view["page"], view["referrer"]) == ("shoes", "https://news.example/")
    assert (view["utm_source"], view["utm_campaign"]) == ("letter", "spring")
    assert view["sc_search"] == {
        "data": {"keyword": "boots"},
        "metadata": {"ut_api_version": "1.0"},
    }
    assert len(kept[got["fullView"]["ref"]]["ext"]) == 51
    assert kept[got["bareView"]["ref"]]["ext"] == {}
    assert kept[got["event"]["ref"]]["product"]["price"] == 80.5
    assert kept[got["event"]["ref"]]["ext"] == {"gift": True}
    for name in form:
        assert kept[got[name]["ref"]]["ext"] == FORM_SENT
    run = events[1]["arbitraryData"]["flowExecution"]
    assert (run["flowRef"], run["status"]) == (flows["hero_banner"]["ref"], "SUCCESS")
    assert run["guestRef"] == guest_ref
    addressed = api.read("/v2/events", flowRef=flows["letter"]["ref"])["items"]
    assert [event["browserRef"] for event in addressed] == [browser_id, None, None]

    assert api.json(api.show(browser_id))["customer"]["ref"] == guest_ref
    guest = api.read(f"/v2.1/guests/{guest_ref}")
    assert guest["guestType"] == "customer"
    assert (guest["firstName"], guest["lastName"]) == ("Ada", "Lovelace")
    assert guest["dateOfBirth"].startswith("1815-12-10")
    (identifier,) = guest["identifiers"]
    assert (identifier["provider"], identifier["id"]) == ("EMAIL", "ada@example.com")
    assert identifier["expiryDate"].startswith("2199-01-01")
    (session,) = api.read("/v2/sessions", browserRef=browser_id)["items"]
    assert (session["events"], session["views"]) == (len(events), 3)
    assert session["utm"] == {"source": "letter", "campaign": "spring"}


@both
def test_edge_sdk_on_a_server__with_a_returning_visitor__finds_out_their_guest(
    sdk: str,
    api: Api,
    edge: dict[str, str],
    flows: dict[str, Any],
    node: Callable[..., Any],
) -> None:
    known = api.create_browser()

    got = node(f"{sdk}_server.mjs", scene="returning", browserId=known["ref"], **edge)

    assert visitor_of(got["cookies"]) == (known["ref"], known["customer_ref"])
    assert got["pageView"]["status"] == "OK"
    assert [got["personalize"], *got["abroad"]] == [{**LETTER, "title": "Hello "}] * 4
    events = api.read("/v2/events", browserRef=known["ref"])["items"]
    assert [event["type"] for event in events] == [*["TRACKING"] * 4, "VIEW"]


@both
def test_edge_sdk_on_a_server__of_a_site_nobody_knows__counts_for_the_default(
    sdk: str,
    api: Api,
    edge: dict[str, str],
    flows: dict[str, Any],
    node: Callable[..., Any],
) -> None:
    known = api.create_browser()

    got = node(f"{sdk}_server.mjs", scene="elsewhere", browserId=known["ref"], **edge)

    assert got["pageView"]["status"] == "OK"
    assert got["personalize"] == {**LETTER, "title": "Hello "}
    events = api.read("/v2/events", browserRef=known["ref"])["items"]
    assert [event["pointOfSale"] for event in events] == ["myretailsite/ireland"] * 2


def test_cloud_sdk_on_a_server__sending_another_visitors_guest__is_answered_by_browser(
    api: Api, edge: dict[str, str], flows: dict[str, Any], node: Callable[..., Any]
) -> None:
    second = api.create_browser()

    got = node("cloud_server.mjs", scene="mixedUp", browserId=second["ref"], **edge)

    _, ada = visitor_of(got["first"])
    assert visitor_of(got["second"]) == (second["ref"], ada)
    assert got["before"] == {**LETTER, "title": "Hello "}
    assert got["joined"] == LETTER
    runs = api.read("/v2/events", browserRef=second["ref"], type="TRACKING")["items"]
    guests = [run["arbitraryData"]["flowExecution"]["guestRef"] for run in runs]
    assert guests == [ada, second["customer_ref"]]
    assert api.json(api.show(second["ref"]))["customer"]["ref"] == ada


def test_cloud_sdk_in_next_middleware__calling_all_at_once__is_one_visit(
    api: Api, edge: dict[str, str], flows: dict[str, Any], node: Callable[..., Any]
) -> None:
    got = node("cloud_server.mjs", scene="next", **edge)

    browser_id, guest_ref = got["cookies"]["sc_cid"], got["cookies"]["sc_cid_personalize"]
    assert api.json(api.show(browser_id))["customer"]["ref"] == guest_ref
    assert [view["status"] for view in got["views"]] == ["OK", "OK"]
    stranger = {**LETTER, "title": "Hello "}
    assert got["calls"] == [stranger, stranger, NOTHING]
    events = api.read("/v2/events", browserRef=browser_id)["items"]
    assert sorted(event["type"] for event in events) == ["TRACKING", "TRACKING", "VIEW", "VIEW"]
    (session,) = api.read("/v2/sessions", browserRef=browser_id)["items"]
    assert (session["events"], session["views"]) == (4, 2)


def test_cloud_sdk_on_a_server__refused__hands_the_reason_to_the_site(
    api: Api, edge: dict[str, str], node: Callable[..., Any]
) -> None:
    got = node("cloud_server.mjs", scene="refused", browserId=UNKNOWN, **edge)

    assert got["lost"] == SHOW_REFUSED
    for name in ("lostView", "lostIdentity", "withoutCookie"):
        assert got[name].items() >= NOT_FOUND.items(), name
    assert got["wrongLanguage"]["status"] == 400
    assert "language" in got["wrongLanguage"]["message"]
    assert got["unknownKey"].startswith(NO_VISITOR["cloud"])
    for name in ("unknownKeyView", "unknownKeyPersonalize"):
        assert got[name]["status"] == 400
        assert got[name]["moreInfo"] == "client_key_unknown"
    assert api.read("/v2/events")["items"] == []
    assert api.read("/v2.1/guests")["items"] == []


def test_content_sdk_on_a_server__refused__gives_the_site_nothing(
    api: Api, edge: dict[str, str], node: Callable[..., Any]
) -> None:
    got = node("content_server.mjs", scene="refused", browserId=UNKNOWN, **edge)

    assert got["lost"] == SHOW_REFUSED
    for name in ("lostView", "lostIdentity"):
        assert got[name].items() >= NOT_FOUND.items(), name
    assert got["unknownKey"].startswith(NO_VISITOR["content"])
    # It keeps from its callers what comes with any other status than 200.
    for name in ("wrongLanguage", "unknownKeyView", "unknownKeyPersonalize"):
        assert got[name] is None, name
    assert api.read("/v2/events")["items"] == []
    assert api.read("/v2.1/guests")["items"] == []


def test_content_sdk_on_a_server__visited_by_a_bot__counts_it_apart(
    api: Api, edge: dict[str, str], node: Callable[..., Any]
) -> None:
    got = node("content_server.mjs", scene="bot", **edge)

    assert got["sent"] == {}
    assert got["pageView"] is None
    assert got["botPageView"]["status"] == got["botPageViewAgain"]["status"] == "OK"
    events = api.read("/v2/events")["items"]
    assert [event["arbitraryData"]["page"] for event in events] == ["boots", "shoes"]
    assert {event["channel"] for event in events} == {"BOT"}
    assert {event["browserRef"] for event in events} == {bot_id(BOT)}
    assert events[0]["arbitraryData"]["ext"] == {"sourceUserAgent": BOT}
    assert api.read("/v2.1/guests")["items"] == []
    (guest,) = api.read("/v2.1/guests", guestType="bot")["items"]
    (session,) = api.read("/v2/sessions")["items"]
    assert guest["href"].endswith(session["guestRef"])


VISIT = """
async (settings) => {
  const { sdk } = window;
  await sdk.start(settings);
  const place = { channel: 'WEB', currency: 'EUR' };
  const answers = { pageView: await sdk.pageView(place) };
  answers.ids = [sdk.browserId(), await sdk.guestId()];
  answers.viewAgain = await sdk.pageView(place);
  await sdk.addToEventQueue({ type: 'LEFT_OUT', ...place });
  await sdk.clearEventQueue();
  await sdk.addToEventQueue({ type: 'ADD', ...place, product: { name: 'Shoe' } });
  await sdk.addToEventQueue({ type: 'SEARCH', ...place, product_name: 'boots' });
  await sdk.processEventQueue();
  // It does not wait for what it sends, but it empties the queue when that is done.
  while (sessionStorage.getItem('EventQueue')) await new Promise(requestAnimationFrame);
  const extensionData = { button: { label: 'Buy' } };
  answers.event = await sdk.event({ type: 'CLICK', ...place, extensionData });
  answers.form = await sdk.form('f-1', 'submitted', 'component-1');
  const identifiers = [{ id: 'ada@example.com', provider: 'EMAIL' }];
  const ada = { firstName: 'Ada', email: 'ada@example.com', identifiers };
  answers.identity = await sdk.identity({ ...place, ...ada });
  const friendlyId = 'hero_banner';
  answers.personalize = await sdk.personalize({ ...place, friendlyId }, { timeout: 5000 });
  const letter = { ...place, friendlyId: 'let*' };
  answers.byEmail = await sdk.personalize({ ...letter, email: 'ada@example.com' });
  answers.byIdentifier = await sdk.personalize({ ...letter, identifier: identifiers[0] });
  answers.offered = await sdk.personalize({ ...letter, pageVariantIds: ['ada_page'] });
  answers.scripts = [...document.scripts].map((script) => script.src).filter(Boolean);
  return answers;
}
"""
RETURN = """
async (settings) => {
  await window.sdk.start(settings);
  const pageView = await window.sdk.pageView();
  return { pageView, ids: [window.sdk.browserId(), await window.sdk.guestId()] };
}
"""
LOST = """
async ({ unknown, ...settings }) => {
  document.cookie = `sc_cid=${unknown}; Path=/; SameSite=None; Secure`;
  document.cookie = `sc_cid_personalize=${unknown}; Path=/; SameSite=None; Secure`;
  await window.sdk.start(settings);
  return {
    guestId: await window.sdk.guestId().then(() => 'a guest', (error) => error.message),
    pageView: await window.sdk.pageView(),
    wrong: await window.sdk.personalize({ friendlyId: 'x', language: 'English' }),
  };
}
"""
REFUSED = """
async (settings) => {
  const visit = async () => {
    await window.sdk.start(settings);
    await window.sdk.pageView();
  };
  return [await visit().then(() => 'a visit', (error) => error.message), document.cookie];
}
"""


@both
def test_edge_sdk_in_a_browser__on_a_page_of_another_origin__works_through_preflights(
    sdk: str,
    api: Api,
    edge: dict[str, str],
    flows: dict[str, Any],
    serve_page: Callable[[str], str],
    browser: Callable[..., Any],
) -> None:
    shop_page = serve_page(f"{sdk}_browser.html")
    with browser(user_agent=PERSON) as context:
        page = context.new_page()
        network = NetworkLog(page)
        address = f"{shop_page}/shoes?utm_source=letter&utm_campaign=spring"
        page.goto(address, wait_until="load", referer="http://news.example/")
        got = page.evaluate(VISIT, edge)
        page.goto(f"{shop_page}/boots", wait_until="load")
        back = page.evaluate(RETURN, edge)
        cookies = {cookie["name"]: cookie for cookie in context.cookies()}

    assert urlsplit(shop_page).netloc != urlsplit(edge["edgeUrl"]).netloc
    browser_id, guest_ref = got["ids"]
    assert {name: cookie["value"] for name, cookie in cookies.items()} == {
        "sc_cid": browser_id,
        "sc_cid_personalize": guest_ref,
    }
    assert {(cookie["secure"], cookie["sameSite"]) for cookie in cookies.values()} == {
        (True, "None")
    }
    assert back["ids"] == got["ids"]
    assert api.json(api.show(browser_id))["customer"]["ref"] == guest_ref
    calls = ("pageView", "viewAgain", "event", "form", "identity")
    assert {got[name]["status"] for name in calls} == {back["pageView"]["status"]} == {"OK"}
    assert got["personalize"].items() >= {"title": "Hello Ada", "from": "letter"}.items()
    assert got["byEmail"] == got["byIdentifier"] == got["offered"] == LETTER

    events = api.read("/v2/events", browserRef=browser_id)["items"]
    assert [event["type"] for event in reversed(events)] == [
        *["VIEW", "VIEW", "ADD", "SEARCH", "CLICK", "FORM", "IDENTITY"],
        *["TRACKING", "TRACKING", "VIEW"],
    ]
    assert {event["pointOfSale"] for event in events} == {"myretailsite/germany"}
    kept = {event["ref"]: event["arbitraryData"] for event in events}
    view, again = kept[got["pageView"]["ref"]], kept[got["viewAgain"]["ref"]]
    assert (view["page"], view["language"]) == ("shoes", "EN")
    assert (view["utm_source"], view["utm_campaign"]) == ("letter", "spring")
    assert view["referrer"] == "http://news.example/"
    assert again["utm_source"] == "letter"
    assert "referrer" not in again
    assert kept[got["event"]["ref"]]["ext"] == {"button_label": "Buy"}
    assert kept[got["form"]["ref"]]["ext"] == FORM_SENT
    assert kept[back["pageView"]["ref"]]["page"] == "boots"
    assert api.read(f"/v2.1/guests/{guest_ref}")["guestType"] == "customer"
    (session,) = api.read("/v2/sessions", browserRef=browser_id)["items"]
    assert (session["events"], session["views"]) == (len(events), 3)
    assert session["referrer"] == "http://news.example/"

    create, cdn = "/v1/events/v1.2/browser/create.json", "/v1/personalize/cdn-url"
    assert {create, "/v1/events/v1.2/events", "/v1/personalize"} <= set(network.paths("OPTIONS"))
    assert network.paths("GET").count(create) == 1
    # Web personalisation is asked for, and is off: no script comes, and all else works.
    assert network.paths("GET").count(cdn) == 2
    assert got["scripts"] == []
    assert network.hosts() <= LOOPBACK


@both
def test_edge_sdk_in_a_browser__with_web_personalization__loads_the_script_that_uses_it(
    sdk: str,
    on_postgres: Database,
    api: Api,
    http_server: StartServer,
    serve_page: Callable[[str], str],
    browser: Callable[..., Any],
) -> None:
    shop_page = serve_page(f"{sdk}_browser.html")
    settings = {
        "DJANGO_SETTINGS_MODULE": "tests.sdks.settings",
        "WEB_LIBRARY_URL": f"{shop_page}/web_library.js",
    }
    server = http_server(database_url=on_postgres.url, env=settings)
    with browser(user_agent=PERSON) as context:
        page = context.new_page()
        network = NetworkLog(page)
        page.goto(shop_page, wait_until="load")
        page.evaluate(RETURN, {"edgeUrl": server.url, "contextId": api.client_key})
        page.wait_for_function("() => window.answer", timeout=10_000)
        answer = page.evaluate("() => window.answer")

    (event,) = api.read("/v2/events", type="LIBRARY_RAN")["items"]
    assert event["ref"] == answer["ref"]
    assert network.hosts() <= LOOPBACK


@both
def test_edge_sdk_in_a_browser__with_a_key_or_an_id_nobody_knows__can_read_why(
    sdk: str,
    api: Api,
    edge: dict[str, str],
    serve_page: Callable[[str], str],
    browser: Callable[..., Any],
) -> None:
    with browser(user_agent=PERSON) as context:
        page = context.new_page()
        page.goto(serve_page(f"{sdk}_browser.html"), wait_until="load")
        message, cookies = page.evaluate(REFUSED, {**edge, "contextId": "nobodys-key"})
        page.reload(wait_until="load")
        got = page.evaluate(LOST, {**edge, "unknown": UNKNOWN})

    assert message.startswith(NO_VISITOR[sdk])
    assert cookies == ""
    assert got["guestId"] == SHOW_REFUSED
    assert got["pageView"].items() >= NOT_FOUND.items()
    if sdk == "cloud":
        assert got["wrong"]["status"] == 400
        assert "language" in got["wrong"]["message"]
    else:
        assert got["wrong"] is None
    assert api.read("/v2/events")["items"] == []


@both
def test_edge_sdk_in_a_browser__on_a_page_of_a_foreign_site__gets_no_visitor(
    sdk: str,
    api: Api,
    edge: dict[str, str],
    serve_page: Callable[[str], str],
    browser: Callable[..., Any],
) -> None:
    client = Client.objects.get()
    client.allowed_origins = ["https://shop.example"]
    client.save()
    with browser(user_agent=PERSON) as context:
        page = context.new_page()
        page.goto(serve_page(f"{sdk}_browser.html"), wait_until="load")
        message, cookies = page.evaluate(REFUSED, edge)

    assert message.startswith(NO_VISITOR[sdk])
    assert cookies == ""
    assert api.read("/v2/events")["items"] == []


def visitor_of(cookies: list[str]) -> tuple[str, str]:
    """Read the browser id and the guest's ref from the cookies that an SDK set, kept for long."""
    text = "\n".join(cookies)
    found = [
        re.search(rf"\b{name}=({UUID}); Max-Age=63072000; SameSite=None; Secure; Path=/", text)
        for name in ("sc_cid", "sc_cid_personalize")
    ]
    assert found[0] and found[1], text
    return found[0].group(1), found[1].group(1)


def bot_id(user_agent: str) -> str:
    """Make the browser id that the Content SDK makes for a bot of this name."""
    return str(uuid.UUID(bytes=hashlib.sha256(user_agent.encode()).digest()[:16]))
