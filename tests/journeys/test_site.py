"""A Django site's own pages: the cookie, the three calls, and the tag that never breaks a page."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import Client as Browser
from django.urls import include, path
from pytest_django import Settings

import personalize
import tracking
from personalize import matching
from project.demo import flows
from tests.api import Api
from tests.conftest import Database
from tests.factories import ClientFactory
from tracking import db
from tracking.models import Event, Guest, InboxEntry, PointOfSale

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]

PAGE = """{% load personalize %}{% experience name %}\
<h1>{{ experience.title|default:"Default" }}</h1>{% endexperience %}"""


# --- A site ------------------------------------------------------------------------------------


def page(request: HttpRequest, name: str = "hero_banner") -> HttpResponse:
    return HttpResponse(engines["django"].from_string(PAGE).render({"name": name}, request))


def buy(request: HttpRequest) -> HttpResponse:
    ref = tracking.track(request, "Added to cart", {"sku": "S-1", "price": 12.5}, message_id="m-1")
    return HttpResponse(str(ref))


def sign_in(request: HttpRequest) -> HttpResponse:
    tracking.identify(
        request, {"CUSTOMER_ID": "7"}, email="Ada@example.com", first_name="Ada", tier="gold"
    )
    return HttpResponse()


def add(request: HttpRequest) -> HttpResponse:
    tracking.track(request, "ADD", {"product": {"name": "Cool Shoes"}})
    return HttpResponse()


def offer(request: HttpRequest) -> HttpResponse:
    outcome = personalize.execute(request, "hero*", params={"seat": 3})
    return HttpResponse(
        json.dumps({"reason": outcome.reason, "content": outcome.content}),
        content_type="application/json",
    )


def page_that_writes(request: HttpRequest) -> HttpResponse:
    """What a host does after its page was personalised: its own rows, in the same transaction."""
    shown = page(request)
    PointOfSale.objects.filter(name="myretailsite/germany").update(brand="Written after")
    return shown


urlpatterns = [
    path("page/", page),
    path("page/<str:name>/", page),
    path("buy/", buy),
    path("add/", add),
    path("sign-in/", sign_in),
    path("offer/", offer),
    path("writes/", page_that_writes),
    path("", include("tracking.urls")),
    path("", include("personalize.urls")),
]


@pytest.fixture
def stranger() -> Browser:
    """A browser whose visitor was not asked yet."""
    return Browser()


@pytest.fixture
def browser() -> Browser:
    """A browser whose visitor said yes to the site's consent hook."""
    browser = Browser()
    browser.cookies["consent"] = "yes"
    return browser


@pytest.fixture
def second_browser(browser: Browser) -> Browser:
    """The same, on another device."""
    second = Browser()
    second.cookies["consent"] = "yes"
    return second


@pytest.fixture
def make_flow(api: Api) -> Callable[..., Any]:
    def make(content: Any = None, **attributes: Any) -> Any:
        if content is None:
            content = {"title": "Hello {{ guest.firstName | default: 'you' }}"}
        variant = {"name": "A", "content": content}
        if isinstance(content, str):
            variant["contentType"] = "text/html"
        body = {"name": "Hero banner", "status": "LIVE", "variants": [variant]} | attributes
        return api.json(api.post("/v2/flowDefinitions", body, basic=True))

    return make


def text(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


# --- The cookie --------------------------------------------------------------------------------


def test_middleware__without_a_consent_hook__gives_every_browser_one_lasting_id(
    on_sqlite: Database, stranger: Browser, api: Api, settings: Settings
) -> None:
    settings.TRACKING = settings.TRACKING | {"CONSENT": None, "COOKIE_NAME": "visitor"}

    first = stranger.get("/page/")
    second = stranger.get("/page/")

    cookie = first.cookies["visitor"]
    assert len(cookie.value) == 36
    assert cookie["samesite"] == "Lax"
    assert cookie["max-age"] == 400 * 24 * 3600
    assert "visitor" not in second.cookies


def test_middleware__before_consent__sets_no_cookie_and_stores_nothing(
    database: Database, stranger: Browser, api: Api, make_flow: Callable[..., Any]
) -> None:
    make_flow()

    shown, bought = stranger.get("/page/"), stranger.get("/buy/")
    stranger.get("/sign-in/")

    assert text(shown) == "<h1>Default</h1>"
    assert text(bought) == "None"
    assert not shown.cookies
    assert [model.objects.count() for model in (Event, Guest, InboxEntry)] == [0, 0, 0]


def test_middleware__when_consent_is_withdrawn__takes_the_cookie_back(
    on_sqlite: Database, browser: Browser, api: Api
) -> None:
    given = browser.get("/page/").cookies["bid"].value
    del browser.cookies["consent"]

    response = browser.get("/page/")

    assert given
    assert response.cookies["bid"].value == ""
    assert response.cookies["bid"]["max-age"] == 0


# --- The three calls ---------------------------------------------------------------------------


def test_track__from_a_view__becomes_an_event_of_this_browser(
    database: Database, browser: Browser, api: Api
) -> None:
    ref = text(browser.get("/buy/?utm_campaign=spring"))
    browser.get("/buy/")

    event = api.read(f"/v2/events/{ref}")
    assert event["type"] == "Added to cart"
    assert event["browserRef"] == browser.cookies["bid"].value
    assert event["arbitraryData"]["sku"] == "S-1"
    assert event["arbitraryData"]["price"] == 12.5
    assert event["arbitraryData"]["utm_campaign"] == "spring"
    assert event["sessionRef"] is not None
    assert len(api.read("/v2/events")["items"]) == 1


def test_track__of_a_product__is_told_by_its_name(
    on_sqlite: Database, browser: Browser, api: Api
) -> None:
    browser.get("/add/")

    (guest,) = api.read("/v2.1/guests")["items"]
    (line,) = api.json(api.get(f"{guest['href']}/timeline", basic=True))["items"]
    assert line["sentence"] == "Added Cool Shoes to the cart"


def test_identify__from_a_view__joins_the_browsers_of_one_customer(
    database: Database,
    browser: Browser,
    second_browser: Browser,
    api: Api,
    make_flow: Callable[..., Any],
) -> None:
    make_flow()
    browser.get("/sign-in/")
    second_browser.get("/buy/")

    before = text(second_browser.get("/page/"))
    second_browser.get("/sign-in/")
    after = text(second_browser.get("/page/"))

    assert before == "<h1>Hello you</h1>"
    assert after == "<h1>Hello Ada</h1>"
    (guest,) = api.read("/v2.1/guests", email="ada@example.com")["items"]
    guest = api.json(api.get(guest["href"], basic=True))
    assert guest["guestType"] == "customer"
    assert guest["attributes"] == {"tier": "gold"}
    assert len(api.read("/v2/events", guestRef=guest["ref"], type="TRACKING")["items"]) == 2


def test_execute__in_a_view__answers_by_prefix_with_the_pages_facts(
    database: Database, browser: Browser, api: Api, make_flow: Callable[..., Any]
) -> None:
    make_flow({"seat": "{{ request.params.seat }}", "from": "{{ request.params.utm.source }}"})

    answer = browser.get("/offer/?utm_source=bing").json()

    assert answer == {"reason": "EXECUTED", "content": {"seat": 3, "from": "bing"}}
    (run,) = api.read("/v2/events", type="TRACKING")["items"]
    assert run["browserRef"] == browser.cookies["bid"].value


def test_execute__on_a_first_page_view__runs_for_the_guest_that_the_next_event_finds(
    database: Database, browser: Browser, api: Api, make_flow: Callable[..., Any]
) -> None:
    make_flow()

    browser.get("/page/")
    browser.get("/buy/")

    (run,) = api.read("/v2/events", type="TRACKING")["items"]
    (bought,) = api.read("/v2/events", type="Added to cart")["items"]
    guest = run["arbitraryData"]["flowExecution"]["guestRef"]
    assert len(api.read("/v2/events", guestRef=guest)["items"]) == 2
    assert run["sessionRef"] == bought["sessionRef"]


# --- The tag -----------------------------------------------------------------------------------


def test_experience_tag__with_a_json_variant__offers_its_values_to_the_page(
    database: Database, browser: Browser, api: Api, make_flow: Callable[..., Any]
) -> None:
    make_flow({"title": "<b>Sale</b>"})

    shown = text(browser.get("/page/"))

    assert shown == "<h1>&lt;b&gt;Sale&lt;/b&gt;</h1>"


def test_experience_tag__with_an_html_variant__takes_the_defaults_place(
    database: Database, browser: Browser, api: Api, make_flow: Callable[..., Any]
) -> None:
    make_flow("<p>For {{ request.params.name }}</p>")

    shown = text(browser.get("/page/?name=<script>"))

    assert shown == "<p>For &lt;script&gt;</p>"


@pytest.mark.parametrize("trouble", ["nobody", "unknown", "closed", "template", "late", "several"])
def test_experience_tag__with_nothing_to_show__shows_the_default(
    database: Database,
    browser: Browser,
    api: Api,
    make_flow: Callable[..., Any],
    settings: Settings,
    trouble: str,
) -> None:
    name = "unknown" if trouble == "unknown" else "hero_banner"
    looping = "{% for a in (1..9999) %}{% for b in (1..9999) %}x{% endfor %}{% endfor %}"
    make_flow(
        {"title": looping if trouble == "template" else "Personal"},
        traffic={"allocation": 0 if trouble == "closed" else 100},
    )
    if trouble == "late":
        settings.PERSONALIZE = {"PAGE_DEADLINE_MS": -1}
    elif trouble == "several":
        ClientFactory.create(name="Another", key="another-key", token="another-token")
    elif trouble == "nobody":
        settings.TRACKING = settings.TRACKING | {"SITE_CLIENT_KEY": "nobody-has-this-key"}

    assert text(browser.get(f"/page/{name}/")) == "<h1>Default</h1>"


def test_experience_tag__without_the_request_in_its_context__shows_the_default(
    on_sqlite: Database, api: Api, make_flow: Callable[..., Any]
) -> None:
    make_flow({"title": "Personal"})

    shown = engines["django"].from_string(PAGE).render({"name": "hero_banner"})

    assert shown == "<h1>Default</h1>"


@pytest.mark.parametrize("atomic", [False, True])
def test_experience_tag__when_the_database_fails__leaves_the_page_and_its_transaction_alone(
    database: Database,
    browser: Browser,
    api: Api,
    make_flow: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    atomic: bool,
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        with db.cursor() as cursor:
            cursor.execute("SELECT * FROM there_is_no_such_table")

    make_flow({"title": "Personal"})
    monkeypatch.setitem(connections.settings[database.alias], "ATOMIC_REQUESTS", atomic)
    monkeypatch.setattr(matching, "match", fail)

    shown = text(browser.get("/writes/"))

    assert shown == "<h1>Default</h1>"
    assert PointOfSale.objects.filter(brand="Written after").count() == 1


def test_experience_tag__in_an_atomic_request__runs_and_is_recorded_once_it_commits(
    database: Database,
    browser: Browser,
    api: Api,
    make_flow: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_flow({"title": "Personal"})
    monkeypatch.setitem(connections.settings[database.alias], "ATOMIC_REQUESTS", True)

    shown = text(browser.get("/writes/"))

    assert shown == "<h1>Personal</h1>"
    assert len(api.read("/v2/events", type="TRACKING")["items"]) == 1


# --- The demo shop -----------------------------------------------------------------------------


@pytest.mark.urls("project.urls")
def test_demo_shop__from_consent_to_popup__follows_the_visitor(
    database: Database, stranger: Browser, api: Api
) -> None:
    for definition in flows.SHOP.values():
        api.json(api.post("/v2/flowDefinitions", {**definition, "status": "LIVE"}, basic=True))

    welcomed = text(stranger.get("/"))
    stranger.post("/consent/", {"answer": "yes", "next": "https://elsewhere.example/"})
    greeted = text(stranger.get("/"))
    stranger.post("/me/", {"name": "Ada", "email": "ada@example.com"})
    named = text(stranger.get("/"))
    before = text(stranger.get("/products/running-shoes-swift/"))
    cart = text(stranger.post("/products/cool-shoes/add/", follow=True))
    after = text(stranger.get("/products/running-shoes-swift/"))
    stranger.post("/me/forget/")
    forgotten = text(stranger.get("/"))

    assert "Good things for moving about" in welcomed
    assert "Every run starts here" in greeted
    assert "Welcome back, Ada" in named
    assert "Still deciding" not in before
    assert "Cool Shoes added to your cart." in cart
    assert "Chosen for you" in cart
    assert "Still deciding, Ada?" in after
    assert "Good things for moving about" in forgotten


@pytest.mark.urls("project.urls")
def test_demo_shop__with_a_strange_request__answers_with_a_page_of_its_own(
    on_sqlite: Database, browser: Browser, api: Api
) -> None:
    browser.cookies["consent"] = "perhaps"

    assert browser.get("/products/nothing/").status_code == 404
    assert browser.get("/cart/empty/").status_code == 405
    assert browser.post("/me/", {"email": " "}).status_code == 200
    assert browser.post("/consent/", {"next": "//elsewhere.example"}).headers["Location"] == "/"


def test_middleware__on_an_answer_that_is_no_page__sets_no_cookie(
    on_sqlite: Database, api: Api, settings: Any
) -> None:
    settings.MIDDLEWARE = ["tracking.middleware.BrowserMiddleware"]

    response = api.get("/v1.2/browser/create.json", client_key=api.client_key)

    assert response.status_code == 200
    assert not response.cookies


def test_track__when_the_database_refuses__leaves_the_page_and_its_transaction_whole(
    database: Database, api: Api, rf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**kwargs: Any) -> None:
        with connections[database.alias].cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")

    request = rf.get("/")
    request.COOKIES["bid"] = "56860bff-94ba-4d84-aa37-2b5a83d5411b"
    monkeypatch.setattr("tracking.inbox.accept", refuse)

    with transaction.atomic(using=database.alias):
        assert tracking.track(request, "Ordered") is None
        assert not Event.objects.exists()
