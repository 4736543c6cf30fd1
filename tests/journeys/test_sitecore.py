"""What every generation of Sitecore client sends, answered as that client needs it."""

import json
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from tests.api import Api
from tests.conftest import Database
from tests.factories import CLIENT_KEY, ClientFactory
from tests.journeys.test_call_flows import make_flow
from tracking import retention
from tracking.models import Event, Guest, Identifier, InboxEntry

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

pytestmark = pytest.mark.django_db(transaction=True)

NOWHERE_BROWSERS = ["", "undefined", "null", str(uuid.UUID(int=7))]


@dataclass(frozen=True)
class Generation:
    """How one generation of clients says whose it is, and under which paths it calls."""

    name: str
    events: str
    flows: str
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, str] = field(default_factory=dict)
    headers: dict[str, Any] = field(default_factory=dict)

    def url(self, path: str, **query: str) -> str:
        return f"{path}?{urlencode(self.query | query)}"

    def create(self, api: Api) -> dict[str, Any]:
        url = self.url(f"{self.events}/v1.2/browser/create.json")
        browser: dict[str, Any] = api.json(api.http.get(url, **self.headers))
        return browser

    def show(self, api: Api, browser_id: str) -> "Response":
        url = self.url(f"{self.events}/v1.2/browser/{browser_id}/show.json")
        return api.http.get(url, **self.headers)

    def send(self, api: Api, query: dict[str, str] | None = None, **event: Any) -> "Response":
        url = self.url(f"{self.events}/v1.2/events", **(query or {}))
        return api.post(url, self.body | event, **self.headers)

    def call(self, api: Api, **call: Any) -> "Response":
        body = {"clientKey": self.body.get("client_key", ""), "channel": "WEB", **call}
        return api.post(self.url(self.flows), body, **self.headers)


CONTEXT = {"sitecoreContextId": CLIENT_KEY}
EMPTY = {"client_key": "", "pos": ""}
GENERATIONS = [
    Generation("raw HTTP", "", "/v2/callFlows", {"client_key": CLIENT_KEY, "message": "{}"}, {}),
    Generation(
        "Engage",
        "",
        "/v2/callFlows",
        {"client_key": CLIENT_KEY},
        {"client_key": CLIENT_KEY, "pos": "myretailsite/ireland"},
        {"HTTP_X_LIBRARY_VERSION": "1.4.3"},
    ),
    Generation("Cloud SDK", "/v1/events", "/v1/personalize", CONTEXT | {"client_key": ""}, EMPTY),
    Generation("older Cloud SDK", "/events", "/personalize/v2/callFlows", CONTEXT, EMPTY),
    Generation(
        "Content SDK",
        "/v1/events",
        "/v1/personalize",
        {"client_key": ""},
        EMPTY,
        {"HTTP_X_SITECORE_CONTEXTID": CLIENT_KEY},
    ),
]
each_generation = pytest.mark.parametrize(
    "generation", [pytest.param(one, id=one.name) for one in GENERATIONS]
)


@each_generation
def test_browser_create__by_any_generation__gives_an_id_and_the_visitor_behind_it(
    on_sqlite: Database, api: Api, generation: Generation
) -> None:
    first, second = generation.create(api), generation.create(api)

    assert first["ref"] != second["ref"]
    assert {first["status"], first["version"]} == {"OK", "1.2"}
    assert first["client_key"] == CLIENT_KEY
    guest = Guest.objects.get(ref=first["customer_ref"])
    assert guest.type == Guest.Type.VISITOR
    shown = api.json(generation.show(api, first["ref"]))
    assert shown["customer"] == {"ref": first["customer_ref"]}


@each_generation
def test_show__of_an_unknown_id__says_what_sdks_read(
    on_sqlite: Database, api: Api, generation: Generation
) -> None:
    response = generation.show(api, str(uuid.uuid4()))

    assert response.status_code == 404
    assert response.json()["error_msg"] == "Invalid browser id/ref specified"
    assert response.json()["moreInfo"] == "unknown_browser"


@each_generation
def test_event_and_call__by_any_generation__reach_one_tenant(
    on_sqlite: Database, api: Api, generation: Generation
) -> None:
    make_flow(api, audience={"all": [{"event": "VIEW", "at_least": 1, "within": "session"}]})
    browser = generation.create(api)
    before = api.json(generation.call(api, friendlyId="hero_banner", browserId=browser["ref"]))

    sent = api.json(generation.send(api, type="VIEW", browser_id=browser["ref"], page="home"))
    after = api.json(generation.call(api, friendlyId="hero_banner", browserId=browser["ref"]))

    assert sent.items() >= {"status": "OK", "version": "1.2", "client_key": CLIENT_KEY}.items()
    assert before == {"message": "No flow executed"}
    assert after == {"title": "Hello "}
    view, run = api.read(f"/v2/events/{sent['ref']}"), api.read("/v2/events")["items"][0]
    assert view["pointOfSale"] == "myretailsite/ireland"
    assert run["type"] == "TRACKING"
    assert run["sessionRef"] == view["sessionRef"]
    assert "client_key" not in view["arbitraryData"]


@each_generation
def test_tenant_key__unknown_or_missing__is_a_400_in_json(
    on_sqlite: Database, api: Api, generation: Generation
) -> None:
    browser_id = generation.create(api)["ref"]
    for wrong in ("nobodys-key", ""):
        stranger = Generation(
            generation.name,
            generation.events,
            generation.flows,
            {name: value.replace(CLIENT_KEY, wrong) for name, value in generation.query.items()},
            {name: value.replace(CLIENT_KEY, wrong) for name, value in generation.body.items()},
            {name: value.replace(CLIENT_KEY, wrong) for name, value in generation.headers.items()},
        )
        answers = [
            stranger.send(api, type="VIEW", browser_id=browser_id),
            stranger.call(api, friendlyId="hero_banner", browserId=browser_id),
            stranger.show(api, browser_id),
        ]
        for response in answers:
            assert response.status_code == 400
            assert {"status", "code", "message", "developerMessage", "moreInfoUrl"} <= set(
                response.json()
            )
    assert Event.objects.count() + InboxEntry.objects.count() == 0


@each_generation
@pytest.mark.parametrize("browser_id", NOWHERE_BROWSERS)
def test_event__with_a_broken_browser_id__is_not_found_and_makes_nobody(
    on_sqlite: Database, api: Api, generation: Generation, browser_id: str
) -> None:
    answer = api.json(generation.send(api, type="VIEW", browser_id=browser_id))

    assert answer["status"] == "NOT_FOUND"
    assert answer["error_msg"] == "Invalid browser id/ref specified"
    assert Guest.objects.count() + Event.objects.count() == 0


@each_generation
@pytest.mark.parametrize(("keys", "status"), [(0, 200), (50, 200), (51, 400), (52, 400)])
def test_ext__within_its_limit__is_kept_as_it_came(
    on_sqlite: Database, api: Api, generation: Generation, keys: int, status: int
) -> None:
    browser_id = generation.create(api)["ref"]
    values: list[Any] = ["text", True, 7, 1.5, ["a", "b"]]
    ext = {f"nested_{n}": values[n % 5] for n in range(keys)}

    response = generation.send(api, type="CLICK", browser_id=browser_id, ext=ext)

    assert response.status_code == status
    kept = [event["arbitraryData"]["ext"] for event in api.read("/v2/events")["items"]]
    assert kept == ([ext] if status == 200 else [])


@each_generation
def test_view__with_50_attributes_and_its_page_variant__is_accepted(
    on_sqlite: Database, api: Api, generation: Generation
) -> None:
    browser_id = generation.create(api)["ref"]
    ext = {f"a{n}": n for n in range(50)} | {"pageVariantId": "v1"}

    answer = api.json(generation.send(api, type="VIEW", browser_id=browser_id, ext=ext))

    assert len(api.read(f"/v2/events/{answer['ref']}")["arbitraryData"]["ext"]) == 51


def test_point_of_sale__left_empty__is_the_sites_own(database: Database, api: Api) -> None:
    cloud = GENERATIONS[2]
    germany = {"field": "request.pointOfSale", "operator": "is", "value": "myretailsite/germany"}
    make_flow(api, audience={"all": [germany]})
    browser_id = cloud.create(api)["ref"]

    sent = api.json(cloud.send(api, {"siteId": "site-de"}, type="VIEW", browser_id=browser_id))
    unknown = api.json(cloud.send(api, {"siteId": "nowhere"}, type="VIEW", browser_id=browser_id))
    body = {"clientKey": "", "pointOfSale": "", "friendlyId": "hero_banner", "channel": "WEB"}
    url = cloud.url("/v1/personalize", siteId="site-de")
    answer = api.json(api.post(url, body | {"browserId": browser_id}))

    assert api.read(f"/v2/events/{sent['ref']}")["pointOfSale"] == "myretailsite/germany"
    assert api.read(f"/v2/events/{unknown['ref']}")["pointOfSale"] == "myretailsite/ireland"
    assert answer == {"title": "Hello "}


def test_bot_view__is_kept_apart_from_visitors(database: Database, api: Api) -> None:
    content = GENERATIONS[4]
    bot = str(uuid.UUID(hex="00112233445566778899aabbccddeeff"))
    ext = {"sourceUserAgent": "Googlebot/2.1"}

    for _ in range(2):
        answer = api.json(content.send(api, type="VIEW", channel="bot", browser_id=bot, ext=ext))
        assert answer["status"] == "OK"

    guest = Guest.objects.get()
    assert guest.type == Guest.Type.BOT
    event = api.read(f"/v2/events/{answer['ref']}")
    assert (event["channel"], event["browserRef"]) == ("BOT", bot)
    assert api.read("/v2.1/guests")["items"] == []
    assert len(api.read("/v2.1/guests", guestType="bot")["items"]) == 1
    assert content.show(api, bot).status_code == 404
    assert not Identifier.objects.filter(provider="BROWSER").exists()


def test_bot__that_states_identifiers__joins_nobody(database: Database, api: Api) -> None:
    content = GENERATIONS[4]
    api.identify(api.create_browser()["ref"], ("EMAIL", "ada@example.com"))
    stated = [{"provider": "EMAIL", "id": "ada@example.com"}]
    bot = str(uuid.uuid4())

    content.send(api, type="IDENTITY", channel="bot", browser_id=bot, identifiers=stated)

    assert sorted(Guest.objects.values_list("type", flat=True)) == ["BOT", "CUSTOMER"]


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        (["sale", "other"], {"variantId": "sale"}),
        ([], {"variantId": "sale"}),
        (["other"], {"message": "No matching variant"}),
    ],
)
def test_variants__that_a_page_can_show__limit_what_it_is_given(
    database: Database, api: Api, variants: list[str], expected: dict[str, str]
) -> None:
    flow = make_flow(api, variants=[{"name": "Sale", "content": {"variantId": "sale"}}])
    browser_id = api.create_browser()["ref"]

    answer = api.json(api.call_flows(flow["friendlyId"], browserId=browser_id, variants=variants))

    assert answer == expected
    runs = api.read("/v2/events", type="TRACKING")["items"]
    assert len(runs) == ("variantId" in answer)


def test_variants__for_a_component_as_it_stands__are_not_asked(
    on_sqlite: Database, api: Api
) -> None:
    content = {"variantId": "c1_default"}
    make_flow(api, "component c1 en", variants=[{"name": "Default", "content": content}])
    browser_id = api.create_browser()["ref"]

    answer = api.json(api.call_flows("component_c1_en*", browserId=browser_id, variants=["a", "b"]))

    assert answer == content


def test_guest_ref__that_contradicts_the_browser__is_ignored(database: Database, api: Api) -> None:
    make_flow(api)
    ada, bob = api.create_browser(), api.create_browser()

    api.json(api.call_flows("hero_banner", browserId=ada["ref"], guestRef=bob["customer_ref"]))

    (run,) = api.read("/v2/events", type="TRACKING")["items"]
    assert run["arbitraryData"]["flowExecution"]["guestRef"] == ada["customer_ref"]


def test_cdn_url__unless_the_site_names_a_script__is_a_404(
    on_sqlite: Database, api: Api, settings: Any
) -> None:
    path = "/v1/personalize/cdn-url"

    off = api.get(path, sitecoreContextId=CLIENT_KEY, client_key="")
    settings.PERSONALIZE = {"WEB_LIBRARY_URL": "https://cdn.example/web.js"}
    on = api.http.get(f"{path}?client_key=", HTTP_X_SITECORE_CONTEXTID=CLIENT_KEY)

    assert off.status_code == 404
    assert off.json()["error"] == "web_personalization_off"
    assert (on.status_code, on.content) == (200, b"https://cdn.example/web.js")
    assert on["Content-Type"].startswith("text/plain")


def test_form__without_context__takes_the_visits_channel_and_the_clients_defaults(
    database: Database, api: Api
) -> None:
    browser_id = api.create_browser()["ref"]
    api.send("VIEW", browser_id, channel="MOBILE_WEB")
    form = {
        "type": "FORM",
        "browser_id": browser_id,
        "client_key": CLIENT_KEY,
        "ext": {"formId": "f-1", "interactionType": "VIEWED"},
    }

    answer = api.json(api.post("/v1.2/events", form))

    event = api.read(f"/v2/events/{answer['ref']}")
    assert (event["channel"], event["pointOfSale"]) == ("MOBILE_WEB", "myretailsite/ireland")


PREFLIGHTS = [
    "x-library-version",
    "content-type,x-library-version",
    "content-type,x-client-software-id,x-library-version",
    "content-type,x-client-software-id,x-library-version,x-sitecore-contextid",
    "content-type,x-library-version,x-sc-correlation-id",
    "content-type,x-library-version,x-sc-correlation-id,x-sitecore-contextid",
    "x-sitecore-contextid",
]
PATHS = [
    "/v1.2/browser/create.json",
    "/v1.2/events",
    "/v2/callFlows",
    "/v1/events/v1.2/browser/create.json",
    f"/v1/events/v1.2/browser/{uuid.UUID(int=1)}/show.json",
    "/v1/events/v1.2/events",
    "/v1/personalize",
    "/v1/personalize/cdn-url",
]


@pytest.mark.parametrize("asked", PREFLIGHTS)
def test_preflight__for_the_headers_that_sdks_send__is_granted_on_every_path(
    on_sqlite: Database, api: Api, asked: str
) -> None:
    ClientFactory.create(key="other", token="other", allowed_origins=["https://shop.example"])
    for path in PATHS:
        response = api.http.options(
            path,
            HTTP_ORIGIN="https://shop.example",
            HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST",
            HTTP_ACCESS_CONTROL_REQUEST_HEADERS=asked,
        )

        assert 200 <= response.status_code < 300
        assert response["Access-Control-Allow-Origin"] in ("*", "https://shop.example")
        allowed = {name.strip() for name in response["Access-Control-Allow-Headers"].split(",")}
        assert set(asked.split(",")) <= allowed
        assert {"GET", "POST"} <= set(response["Access-Control-Allow-Methods"].split(", "))


def test_view__with_all_that_pages_add__is_found_by_conditions(
    database: Database, api: Api
) -> None:
    browser_id = api.create_browser()["ref"]
    where = [
        {"field": "utm_source", "operator": "is", "value": "letter"},
        {"field": "sc_search.data.keyword", "operator": "is", "value": "boots"},
        {"field": "referrer", "operator": "contains", "value": "search.example"},
    ]
    leaf = {"event": "VIEW", "at_least": 1, "within": "session", "where": where}
    make_flow(api, audience={"all": [leaf]})
    enriched = {
        "utm_source": "letter",
        "referrer": "https://search.example/",
        "requested_at": "2026-01-10T18:07:59.247Z",
        "sc_search": {"data": {"keyword": "boots"}, "metadata": {"ut_api_version": "1.0"}},
    }

    api.send("VIEW", browser_id)
    before = api.json(api.call_flows("hero_banner", browserId=browser_id))
    api.send("VIEW", browser_id, **enriched)
    after = api.json(api.call_flows("hero_banner", browserId=browser_id))

    assert before == {"message": "No flow executed"}
    assert after == {"title": "Hello "}
    newest = api.read("/v2/events", type="VIEW")["items"][0]
    assert newest["arbitraryData"].items() >= json.loads(json.dumps(enriched)).items()


def test_visitor__purged_and_back_after_months__begins_anew_under_their_id(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()
    api.send("VIEW", browser["ref"])
    retention.purge(now=timezone.now() + timedelta(days=91))
    assert Guest.objects.count() == 0

    back = api.json(api.send("VIEW", browser["ref"]))

    assert back["status"] == "OK"
    assert api.read(f"/v2/events/{back['ref']}")["browserRef"] == browser["ref"]
    assert Guest.objects.get().type == Guest.Type.VISITOR
    assert api.json(api.send("VIEW", browser["ref"]))["status"] == "OK"
    assert Guest.objects.count() == 1


def test_visitor__who_was_deleted__is_not_taken_up_again(database: Database, api: Api) -> None:
    browser = api.create_browser()
    path = f"/v2.1/guests/{browser['customer_ref']}"
    assert api.http.delete(path, HTTP_AUTHORIZATION=api.basic).status_code == 204

    answer = api.json(api.send("VIEW", browser["ref"]))

    assert answer["status"] == "NOT_FOUND"
    assert Guest.objects.count() == 0


def test_browser_id__of_another_client__is_not_taken_up(database: Database, api: Api) -> None:
    other = ClientFactory.create(key="other", token="other")
    theirs = Api(client_key="other", api_token="other").create_browser()["ref"]
    Guest.objects.filter(client=other).delete()

    answer = api.json(api.send("VIEW", theirs))

    assert answer["status"] == "NOT_FOUND"


def test_place__is_the_calls_else_a_proxys_else_the_visits(
    database: Database, api: Api, settings: Any
) -> None:
    settings.TRACKING = settings.TRACKING | {"GEO_HEADERS": {"city": "X-Geo-City"}}
    here = {"field": "request.geo.city", "operator": "is", "value": "Galway"}
    make_flow(api, audience={"all": [here]})
    browser_id = api.create_browser()["ref"]
    call = {"friendlyId": "hero_banner", "browserId": browser_id, "clientKey": CLIENT_KEY}
    view = {"type": "VIEW", "browser_id": browser_id, "client_key": CLIENT_KEY}

    def answer(params: dict[str, Any], **headers: Any) -> Any:
        return api.json(api.post("/v2/callFlows", call | {"params": params}, **headers))

    nothing = {"message": "No flow executed"}
    assert answer({}) == nothing
    assert answer({"geo": {"city": "Galway"}}) == {"title": "Hello "}
    assert answer({}, HTTP_X_GEO_CITY="Galway") == {"title": "Hello "}
    assert answer({"geo": {"city": "Cork"}}, HTTP_X_GEO_CITY="Galway") == nothing
    api.post("/v1.2/events", view, HTTP_X_GEO_CITY="Galway")
    assert answer({}) == {"title": "Hello "}
    assert answer({}, HTTP_X_GEO_CITY="Cork") == nothing


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148", "mobile"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0", "desktop"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", "bot"),
    ],
)
def test_device__is_told_by_the_visitors_user_agent(
    on_sqlite: Database, api: Api, user_agent: str, device: str
) -> None:
    is_device = {"field": "request.device", "operator": "is", "value": device}
    make_flow(api, audience={"all": [is_device]})
    call = {"friendlyId": "hero_banner", "browserId": api.create_browser()["ref"]}

    right = api.post(
        "/v1/personalize?sitecoreContextId=" + CLIENT_KEY, call, HTTP_USER_AGENT=user_agent
    )
    wrong = api.post(
        "/v1/personalize?sitecoreContextId=" + CLIENT_KEY, call, HTTP_USER_AGENT="node"
    )

    assert api.json(right) == {"title": "Hello "}
    assert api.json(wrong) == {"message": "No flow executed"}


@pytest.mark.parametrize(
    "params", [{"utm": {"source": "bing"}}, {"utm_source": "bing"}, {"utm.source": "bing"}]
)
def test_utm__nested_or_flat__is_one_fact(
    on_sqlite: Database, api: Api, params: dict[str, Any]
) -> None:
    bing = {"field": "request.params.utm.source", "operator": "is", "value": "bing"}
    make_flow(api, audience={"all": [bing]})
    browser_id = api.create_browser()["ref"]

    answer = api.json(api.call_flows("hero_banner", browserId=browser_id, params=params))

    assert answer == {"title": "Hello "}
