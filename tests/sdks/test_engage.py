"""The Engage SDK as it is published, on a site's own server and in its visitors' browsers."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api import Api
from tests.sdks.conftest import LOOPBACK, NOT_FOUND, SHOW_REFUSED, UNKNOWN, UUID, NetworkLog
from tests.services import Service
from tracking.models import Client

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def flow(api: Api) -> dict[str, Any]:
    """A live experience for those who put something into their cart."""
    body = {
        "name": "Hero banner",
        "status": "LIVE",
        "audience": {"all": [{"event": "ADD", "at_least": 1, "within": "session"}]},
        "variants": [{"name": "Greeting", "content": {"title": "Hello {{ guest.firstName }}"}}],
    }
    made: dict[str, Any] = api.json(api.post("/v2/flowDefinitions", body, basic=True))
    return made


@pytest.fixture
def shop_page(serve_page: Callable[[str], str]) -> str:
    """The address of a shop's page: another origin than the API's."""
    return serve_page("engage_browser.html")


def test_engage_on_a_server__through_a_visit__is_recorded_and_personalised(
    api: Api, server: Service, flow: dict[str, Any], node: Callable[..., Any]
) -> None:
    options = {"targetURL": server.url, "clientKey": api.client_key, "friendlyId": "hero_banner"}

    got = node("engage_server.mjs", **options)

    cookie = re.match(rf"bid_{api.client_key}=({UUID}); Max-Age=63072000; ", got["cookie"])
    assert cookie, got["cookie"]
    assert got["cookieAgain"] == got["cookie"]
    for name in ("pageView", "event", "form", "identity"):
        assert got[name].items() >= {"status": "OK", "version": "1.2"}.items(), name
        assert got[name]["client_key"] == api.client_key
    assert got["before"] == {"message": "No flow executed"}
    assert got["personalize"] == {"title": "Hello Ada"}

    browser_id = cookie.group(1)
    events = api.read("/v2/events", browserRef=browser_id)["items"]
    kept = {event["ref"]: event for event in events}
    types = ["VIEW", "ADD", "FORM", "IDENTITY", "TRACKING"]
    assert [event["type"] for event in reversed(events)] == types
    view, form = kept[got["pageView"]["ref"]], kept[got["form"]["ref"]]
    assert view["pointOfSale"] == "myretailsite/ireland"
    assert view["arbitraryData"]["ext"] == {"size_eu": 43}
    assert view["arbitraryData"]["utm_source"] == "letter"
    assert form["arbitraryData"]["ext"] == {"formId": "f-1", "interactionType": "SUBMITTED"}
    run = events[0]["arbitraryData"]["flowExecution"]
    assert (run["flowRef"], run["status"]) == (flow["ref"], "SUCCESS")
    guest = api.read(f"/v2.1/guests/{run['guestRef']}")
    assert guest["guestType"] == "customer"
    assert (guest["firstName"], guest["lastName"]) == ("Ada", "Lovelace")
    (identifier,) = guest["identifiers"]
    assert (identifier["provider"], identifier["id"]) == ("EMAIL", "ada@example.com")
    assert identifier["expiryDate"].startswith("2199-01-01")
    (session,) = api.read("/v2/sessions", browserRef=browser_id)["items"]
    assert session["events"] == 5


def test_engage_on_a_server__addressing_a_guest_otherwise__finds_them(
    api: Api, server: Service, node: Callable[..., Any]
) -> None:
    variant = {"name": "Greeting", "content": {"title": "Hello {{ guest.firstName }}"}}
    body = {"name": "Letter", "status": "LIVE", "variants": [variant]}
    api.json(api.post("/v2/flowDefinitions", body, basic=True))

    got = node(
        "engage_server.mjs",
        targetURL=server.url,
        clientKey=api.client_key,
        friendlyId="letter",
    )

    assert got["byEmail"] == got["byIdentifier"] == {"title": "Hello Ada"}


def test_engage_on_a_server__refused__hands_the_reason_to_the_site(
    api: Api, server: Service, flow: dict[str, Any], node: Callable[..., Any]
) -> None:
    options = {"targetURL": server.url, "clientKey": api.client_key, "friendlyId": "hero_banner"}

    got = node("engage_server.mjs", **options)

    assert got["unknownBrowser"].items() >= NOT_FOUND.items()
    assert got["wrongLanguage"]["status"] == 400
    assert "language" in got["wrongLanguage"]["message"]
    assert got["unknownKey"]["status"] == 400
    assert got["unknownKey"]["message"] == "client_key is not known."
    assert got["unknownKeyCookie"].startswith("[IE-0004]")


VISIT = """
async ({ targetURL, clientKey }) => {
  const engage = await init({ clientKey, targetURL, pointOfSale: 'myretailsite/ireland' });
  const place = { channel: 'WEB', currency: 'EUR' };
  const answers = { browserId: engage.getBrowserId(), guestId: await engage.getGuestId() };
  answers.pageView = await engage.pageView(place);
  engage.addToEventQueue('ADD', { ...place, product: { name: 'Shoe' } });
  engage.addToEventQueue('SEARCH', { ...place, product_name: 'boots' });
  await engage.processEventQueue();
  answers.form = await engage.form('f-1', 'submitted', 'myretailsite/ireland');
  const identifiers = [{ id: 'ada@example.com', provider: 'EMAIL' }];
  answers.identity = await engage.identity({ ...place, firstName: 'Ada', identifiers });
  answers.personalize = await engage.personalize({ ...place, friendlyId: 'hero_banner' }, 5000);
  const other = await init({ clientKey, targetURL, pointOfSale: 'myretailsite/ireland' });
  answers.returning = other.getBrowserId();
  return answers;
}
"""
LOST = """
async ({ targetURL, clientKey, unknown }) => {
  document.cookie = `bid_${clientKey}=${unknown}; Path=/; SameSite=None; Secure`;
  const engage = await init({ clientKey, targetURL, pointOfSale: 'myretailsite/ireland' });
  return {
    guestId: await engage.getGuestId().then(() => 'a guest', (error) => error.message),
    pageView: await engage.pageView({ channel: 'WEB', currency: 'EUR' }),
    wrong: await engage.personalize({ channel: 'WEB', friendlyId: 'x', language: 'English' }),
  };
}
"""


def test_engage_in_a_browser__on_a_page_of_another_origin__works_through_preflights(
    api: Api, server: Service, flow: dict[str, Any], shop_page: str, browser: Callable[..., Any]
) -> None:
    with browser() as context:
        page = context.new_page()
        network = NetworkLog(page)
        page.goto(f"{shop_page}/shoes?utm_source=letter", wait_until="load")
        options = {"targetURL": server.url, "clientKey": api.client_key}
        got = page.evaluate(VISIT, options)
        cookies = {cookie["name"]: cookie["value"] for cookie in context.cookies()}

    assert urlsplit(shop_page).netloc != urlsplit(server.url).netloc
    assert re.fullmatch(UUID, got["browserId"])
    assert cookies == {f"bid_{api.client_key}": got["browserId"]}
    assert got["returning"] == got["browserId"]
    shown = api.json(api.show(got["browserId"]))
    assert got["guestId"] == shown["customer"]["ref"]
    assert {got[name]["status"] for name in ("pageView", "form", "identity")} == {"OK"}
    assert got["personalize"] == {"title": "Hello Ada"}
    events = api.read("/v2/events", browserRef=got["browserId"])["items"]
    types = ["VIEW", "ADD", "SEARCH", "FORM", "IDENTITY", "TRACKING"]
    assert [event["type"] for event in reversed(events)] == types
    assert events[-1]["arbitraryData"]["page"] == "shoes"
    assert events[-1]["arbitraryData"]["utm_source"] == "letter"
    assert api.read(f"/v2.1/guests/{got['guestId']}")["guestType"] == "customer"
    preflights = {"/v1.2/browser/create.json", "/v1.2/events", "/v2/callFlows"}
    assert preflights <= set(network.paths("OPTIONS"))
    assert network.hosts() <= LOOPBACK


def test_engage_in_a_browser__with_an_id_nobody_knows__can_read_why(
    api: Api, server: Service, shop_page: str, browser: Callable[..., Any]
) -> None:
    options = {"targetURL": server.url, "clientKey": api.client_key, "unknown": UNKNOWN}
    with browser() as context:
        page = context.new_page()
        page.goto(shop_page, wait_until="load")
        got = page.evaluate(LOST, options)

    assert got["guestId"] == SHOW_REFUSED
    assert got["pageView"].items() >= NOT_FOUND.items()
    assert got["wrong"]["status"] == 400
    assert api.read("/v2/events")["items"] == []


def test_engage_in_a_browser__on_a_page_of_a_foreign_site__gets_nothing(
    api: Api, server: Service, shop_page: str, browser: Callable[..., Any]
) -> None:
    client = Client.objects.get()
    client.allowed_origins = ["https://shop.example"]
    client.save()
    with browser() as context:
        page = context.new_page()
        page.goto(shop_page, wait_until="load")
        got = page.evaluate(
            "async (s) => { const e = await init({ ...s, pointOfSale: 'x' });"
            " return [e.getBrowserId(), await e.pageView({ channel: 'WEB', currency: 'EUR' })]; }",
            {"targetURL": server.url, "clientKey": api.client_key},
        )

    assert got == ["", None]
    assert api.read("/v2/events")["items"] == []
