"""The API's documentation: complete, true, and served from the site itself."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from django import test
from django.core.management import call_command
from django.test import override_settings
from django.urls import URLPattern, URLResolver
from rest_framework.viewsets import ViewSetMixin

import personalize.urls
import tracking.urls
from personalize import conditions
from personalize.api import decision_examples, segment_examples
from personalize.api.examples import BUCKETS, EXPERIMENT, SMALLEST_LIVE_FLOW
from tests.api import Api
from tests.conftest import Database
from tracking import semantics

spectacular_settings = pytest.importorskip("drf_spectacular.settings").spectacular_settings
# It comes with drf-spectacular.
jsonschema = pytest.importorskip("jsonschema")

ROOT = Path(__file__).resolve().parents[1]
VERBS = ("get", "post", "put", "patch", "delete")


def published(path: str = "/api/schema/") -> dict[str, Any]:
    response = test.Client().get(path, HTTP_ACCEPT="application/vnd.oai.openapi+json")
    assert response.status_code == 200
    schema: dict[str, Any] = json.loads(response.content)
    return schema


def doors() -> Iterator[tuple[str, Any]]:
    modules: list[ModuleType] = [tracking.urls, personalize.urls]
    for module in modules:
        yield from walk(module.urlpatterns)


def walk(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, address)
        else:
            yield address, pattern.callback


def documented_path(address: str) -> str:
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", address).rstrip("/")


# --- Complete -----------------------------------------------------------------------------------


def test_spectacular__over_the_whole_site__is_valid_and_has_nothing_to_warn_of(
    tmp_path: Path,
) -> None:
    file = tmp_path / "schema.yml"

    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))

    schema = yaml.safe_load(file.read_text())
    assert schema["openapi"] == "3.0.3"
    assert set(schema["paths"]) == set(published()["paths"])


def test_spectacular__for_openapi_3_1__is_valid_too(tmp_path: Path) -> None:
    file = tmp_path / "schema.yml"

    call_command(
        "spectacular",
        "--validate",
        "--fail-on-warn",
        "--custom-settings",
        "tests.test_openapi.OPENAPI_3_1",
        "--file",
        str(file),
    )

    schema = yaml.safe_load(file.read_text())
    assert schema["openapi"].startswith("3.1")
    page = schema["components"]["schemas"]["EventBody"]["properties"]["page"]
    assert {"type": "null"} in page["anyOf"]


OPENAPI_3_1 = {"OAS_VERSION": "3.1.0"}


@pytest.mark.parametrize(
    ("address", "callback"), [pytest.param(*door, id=door[0]) for door in doors()]
)
def test_url__of_either_app__is_a_viewset_and_documented(address: str, callback: Any) -> None:
    assert issubclass(callback.cls, ViewSetMixin)
    if callback.cls.schema is None or callback.initkwargs.get("is_twin"):
        # Nobody's to call, or another address of a documented door.
        return

    operations = published()["paths"][documented_path(address)]

    verbs = {verb for verb in callback.actions if verb in VERBS}
    assert verbs <= set(operations)
    for verb in verbs:
        assert operations[verb]["operationId"]
        assert operations[verb]["summary"]


def test_operations__have_names_of_their_own_and_describe_every_parameter() -> None:
    operations = [
        operation for path in published()["paths"].values() for operation in path.values()
    ]

    names = [operation["operationId"] for operation in operations]
    assert sorted(set(names)) == sorted(names)
    for operation in operations:
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (operation["operationId"], parameter["name"])


def test_security__is_basic_for_servers_and_none_for_the_public() -> None:
    schema = published()

    secured = {
        operation["operationId"]: operation.get("security", [])
        for path in schema["paths"].values()
        for operation in path.values()
    }
    public = {name for name, requirements in secured.items() if not requirements}
    # Their key may be in the body too, and is told to be wrong by a 401.
    calls = {
        *("sendBatch", "sendTrack", "sendIdentify", "sendPage", "sendScreen", "sendGroup"),
        "sendAlias",
        # A signature that is wrong is told by one as well.
        *("trackByAddress", "trackByAddressPost"),
    }
    assert public == calls | {
        "createBrowser",
        "showBrowser",
        "sendEvent",
        "sendEventByGet",
        "callFlows",
        "callFlowsByGet",
        "webLibraryUrl",
        "readBrowserSettings",
        "readItemSchema",
        "sendSdkMetrics",
    }
    assert schema["components"]["securitySchemes"]["clientKeyAndToken"]["scheme"] == "basic"
    for path in schema["paths"].values():
        for operation in path.values():
            is_keyed = operation["operationId"] not in public - calls
            assert ("401" in operation["responses"]) == is_keyed


def test_flow_definition__names_every_field_that_conditions_can_use() -> None:
    schema = published()

    about = schema["paths"]["/v2/flowDefinitions"]["post"]["description"]

    for field in conditions.default_registry.fields():
        assert f"`{field.name}{'<path>' if field.is_prefix else ''}`" in about
    assert "`request.params.<path>`" in about
    assert "did-event" in about
    assert "Condition" in schema["components"]["schemas"]


def test_track_call__names_every_semantic_event_and_property() -> None:
    about = published()["paths"]["/v1/track"]["post"]["description"]

    for event in semantics.events():
        assert re.search(rf"[|,] {event.name}(,| \|)", about), event.name
        for name in event.properties:
            assert f"`{name}`" in about


def test_host_settings__of_drf_spectacular__neither_matter_nor_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = published()
    monkeypatch.setattr(spectacular_settings, "TITLE", "The host's own")
    monkeypatch.setattr(spectacular_settings, "CAMELIZE_NAMES", True)

    assert published() == before
    assert spectacular_settings.TITLE == "The host's own"
    assert spectacular_settings.CAMELIZE_NAMES is True


@override_settings(ROOT_URLCONF="tests.test_openapi")
def test_schema__where_the_site_has_a_prefix__has_it_too() -> None:
    paths = published("/shop/api/schema/")["paths"]

    assert "/shop/v2/callFlows" in paths
    assert "/shop/v1.2/events" in paths


def _urlpatterns() -> list[URLPattern | URLResolver]:
    from django.urls import include, path

    return [
        path("shop/", include(("tracking.urls", "events"), namespace="shop-events")),
        path("shop/", include("personalize.urls")),
        path("shop/api/", include("tracking.openapi")),
    ]


urlpatterns = _urlpatterns()


# --- True ---------------------------------------------------------------------------------------


class Contract:
    """Checks answers against the schema, without tolerance for keys that it does not name."""

    #: Their keys are the caller's.
    OPEN = ("EventBody", "BatchEventBody", "CallBody", "ExtensionBody")

    def __init__(self) -> None:
        self.schema = published()
        for name, component in self.schema["components"]["schemas"].items():
            if "properties" in component and name not in self.OPEN:
                component["additionalProperties"] = False
        self.components = _without_nullable(self.schema["components"])

    def check(self, verb: str, path: str, status: int, body: Any) -> None:
        answer = self.schema["paths"][path][verb]["responses"][str(status)]
        self.validate(body, self._resolved(answer)["content"]["application/json"]["schema"])

    def examples(self) -> Iterator[tuple[str, Any, Any]]:
        """Yield where, schema and value of every example there is."""
        for path, operations in self.schema["paths"].items():
            for verb, operation in operations.items():
                bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
                medias = [
                    self._resolved(body)["content"]["application/json"]
                    for body in bodies
                    if "application/json" in self._resolved(body).get("content", {})
                ]
                for parameter in operation.get("parameters", []):
                    medias.append(parameter.get("content", {}).get("application/json", parameter))
                for media in medias:
                    values = [item["value"] for item in media.get("examples", {}).values()]
                    if "example" in media:
                        values.append(media["example"])
                    for value in values:
                        yield f"{verb} {path}", media["schema"], value

    def validate(self, value: Any, schema: Any) -> None:
        whole = {**_without_nullable(schema), "components": self.components}
        jsonschema.Draft202012Validator(whole).validate(value)

    def _resolved(self, answer: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in answer:
            return answer
        resolved: dict[str, Any] = self.schema["components"]["responses"][
            answer["$ref"].rpartition("/")[2]
        ]
        return resolved


def _without_nullable(schema: Any) -> Any:
    """Say in JSON Schema what OpenAPI 3.0 says with `nullable`."""
    if isinstance(schema, list):
        return [_without_nullable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {name: _without_nullable(value) for name, value in schema.items() if name != "nullable"}
    return {"anyOf": [rest, {"type": "null"}]} if schema.get("nullable") is True else rest


def test_examples__of_requests_and_answers__fit_their_schemas() -> None:
    contract = Contract()
    examples = list(contract.examples())

    assert len(examples) > 100
    for where, schema, value in examples:
        try:
            contract.validate(value, schema)
        except jsonschema.ValidationError as error:
            pytest.fail(f"{where}: {error}")


@pytest.mark.django_db(transaction=True)
def test_answers__of_every_door__are_as_documented(database: Database, api: Api) -> None:
    contract = Contract()

    def call(verb: str, path: str, body: Any = None, *, status: int = 200, **query: Any) -> Any:
        address = path.format(**query)
        rest = {name: value for name, value in query.items() if f"{{{name}}}" not in path}
        if verb == "get":
            response = api.get(address, basic=True, **rest)
        else:
            response = api.http.generic(
                verb.upper(),
                address,
                json.dumps(body),
                content_type="application/json",
                headers={"Authorization": api.basic},
            )
        assert response.status_code == status, response.content
        if status != 204:
            contract.check(verb, path, status, json.loads(response.content))
            return json.loads(response.content)
        return None

    key = api.client_key
    browser = call("get", "/v1.2/browser/create.json", client_key=key)
    guest = browser["customer_ref"]
    call("get", "/v1.2/browser/{browser_id}/show.json", browser_id=browser["ref"], client_key=key)
    event = {"type": "VIEW", "browser_id": browser["ref"], "client_key": key, "page": "/"}
    call("post", "/v1.2/events", event)
    call("post", "/v1.2/events", event | {"browser_id": "unknown"})
    call("get", "/v1.2/event/create.json", message=json.dumps(event))
    call("post", "/v2/events", {"events": [event, {"type": "VIEW"}]})
    call("post", "/v2/events", {"type": "VIEW"}, status=400)
    odd = event | {"language": "English", "identifiers": [{"provider": "NO_RULE", "id": 1}]}
    call("post", "/v2/events", odd)
    flow = call("post", "/v2/flowDefinitions", SMALLEST_LIVE_FLOW, status=201)
    template = call("post", "/v2/offerTemplates", decision_examples.TEMPLATE, status=201)
    call("get", "/v2/offerTemplates")
    call("put", "/v2/offerTemplates/{ref}", decision_examples.TEMPLATE, ref="Banner")
    call("get", "/v2/offerTemplates/{ref}", ref=template["ref"])
    offer = call("post", "/v2/offers", decision_examples.OFFER, status=201)
    call("get", "/v2/offers")
    call("put", "/v2/offers/{ref}", decision_examples.OFFER, ref=offer["ref"])
    call("get", "/v2/offers/{ref}", ref=offer["ref"])
    call("delete", "/v2/offers/{ref}", ref=offer["ref"], status=204)
    call("delete", "/v2/offerTemplates/{ref}", ref="Banner", status=400)
    group = call("post", "/v2/exclusionGroups", {"name": "Checkout"}, status=201)
    part = {"name": "Checkout", "low": 0, "high": 50}
    grouped = SMALLEST_LIVE_FLOW | {"traffic": {"exclusionGroup": part, "holdout": 5}}
    call("post", "/v2/flowDefinitions", grouped, status=201)
    call("post", "/v2/flowDefinitions", grouped, status=400)
    call("post", "/v2/flowDefinitions", BUCKETS, status=201)
    call("get", "/v2/exclusionGroups")
    call("get", "/v2/exclusionGroups/{ref}", ref="Checkout")
    call("put", "/v2/exclusionGroups/{ref}", {"name": "Basket"}, ref=group["ref"])
    call("delete", "/v2/exclusionGroups/{ref}", ref="Basket", status=400)
    everything = {"name": "All", "percent": 0, "active": True}
    holdout = call("post", "/v2/holdouts", everything, status=201)
    call("post", "/v2/holdouts", everything, status=400)
    call("get", "/v2/holdouts")
    call("get", "/v2/holdouts/{ref}", ref="All")
    call("put", "/v2/holdouts/{ref}", everything, ref=holdout["ref"])
    call("delete", "/v2/holdouts/{ref}", ref=holdout["ref"], status=204)
    model = call("post", "/v2/decisionModels", decision_examples.DISCOUNT_TABLE, status=201)
    call("get", "/v2/decisionModels")
    call("put", "/v2/decisionModels/{ref}", decision_examples.DISCOUNT_TABLE, ref="discount")
    call("post", "/v2/decisionModels/{ref}/publish", ref=model["ref"])
    call("get", "/v2/decisionModels/{ref}", ref="discount")
    call("post", "/v2/decisionModels", decision_examples.OFFER_TABLE, status=400)
    call("delete", "/v2/decisionModels/{ref}", ref="discount", status=204)
    segment = call("post", "/v2/segments", segment_examples.NOT_PURCHASED, status=201)
    listed = call("post", "/v2/segments", segment_examples.LIST, status=201)
    call("get", "/v2/segments")
    call("put", "/v2/segments/{ref}", segment_examples.LATELY | {"friendlyId": None},
         ref=segment["ref"])  # fmt: skip
    call("get", "/v2/segments/{ref}", ref=segment["friendlyId"])
    called = {"add": [{"guestRef": guest}, {"email": "nobody@example.com"}]}
    call("post", "/v2/segments/{ref}/guests", called, ref=listed["ref"])
    call("post", "/v2/segments/{ref}/guests", called, ref=segment["ref"], status=400)
    call("get", "/v2/segments/{ref}/guests", ref=listed["ref"], history="true")
    call("get", "/v2/guests/{guestRef}/segments", guestRef=guest)
    call("delete", "/v2/segments/{ref}", ref=segment["ref"], status=204)
    run = {"friendlyId": flow["friendlyId"], "clientKey": key, "browserId": browser["ref"]}
    call("post", "/v2/callFlows", run)
    call("get", "/v2/callFlows", message=json.dumps(run | {"friendlyId": "none"}))
    call("post", "/v2/callFlows", {}, status=400)
    events = call("get", "/v2/events", limit=2)
    call("get", "/v2/events/{ref}", ref=events["items"][0]["ref"])
    (tracked,) = call("get", "/v2/events", type="TRACKING")["items"]
    contract.validate(tracked["arbitraryData"], {"$ref": "#/components/schemas/TrackingData"})
    (ran,) = call("get", "/v2/executions", limit=2, guestRef=guest)["items"]
    call("get", "/v2/executions/{ref}", ref=ran["ref"])
    call("get", "/v2/executions/{ref}", ref="none", status=404)
    call("get", "/v2/executions", since="yesterday", status=400)
    asked = {"ref": guest, "friendlyId": flow["friendlyId"], "params": "{}"}
    call("get", "/v2/guests/{ref}/decisions", **asked)
    call("get", "/v2/guests/{ref}/decisions", status=400, ref=guest)
    call("get", "/v2/guests/{ref}/decisions", status=404, **asked | {"friendlyId": "none"})
    call("get", "/v2/events", since="yesterday", status=400)
    sessions = call("get", "/v2/sessions", status=200)
    call("get", "/v2/sessions/{ref}", ref=sessions["items"][0]["ref"])
    call("get", "/v2/sessions/{ref}", ref="none", status=404)
    customer = {
        "guestType": "customer",
        "identifiers": [{"provider": "EMAIL", "id": "a@b.example"}],
    }
    made = call("post", "/v2.1/guests", customer, status=201)["ref"]
    call("get", "/v2.1/guests", limit=1)
    call("get", "/v2.1/guests/{ref}", ref=guest)
    call("get", "/v2.1/guests/{ref}/timeline", ref=guest, limit=2)
    call("put", "/v2.1/guests/{ref}", {"firstName": "Ada"}, ref=made)
    call("patch", "/v2.1/guests/{ref}", {"attributes": {"tier": "gold"}}, ref=made)
    api.identify(browser["ref"], ("EMAIL", "a@b.example"))
    merged = [call("get", "/v2.1/guests/{ref}", ref=ref) for ref in (made, guest)]
    assert {one["guestType"] for one in merged} == {"customer", "retired"}
    call("delete", "/v2.1/guests/{ref}", ref=made, status=204)
    item = {"name": "Shoe", "price": 12.45, "attributes": [{"key": "size", "value": 42}]}
    call("post", "/v2.1/items", {"items": [item | {"id": 1}, {"id": "2", "type": 2}]})
    call("post", "/v2.1/items", {"items": [{}]}, status=400)
    call("put", "/v2.1/items/{type}/{id}", item, type=1, id="sku-3")
    call("patch", "/v2.1/items/{type}/{id}", {"validTo": "2031-01-01"}, type=1, id="sku-3")
    call("get", "/v2.1/items/{type}/{id}", type=1, id="sku-3")
    call("get", "/v2.1/items", limit=2, valid="true")
    call("delete", "/v2.1/items/{type}/{id}", type=1, id="sku-3", status=204)
    call("get", "/v2.1/items/{type}/{id}", type=1, id="sku-3", status=404)
    ref = flow["ref"]
    call("get", "/v2/flowDefinitions")
    call("get", "/v2/flowDefinitions/{ref}", ref=ref)
    call("get", "/v2/flowDefinitions/{ref}/results", ref=ref)
    call("get", "/v2/flowDefinitions/{ref}/results", ref=ref, phase="9", status=400)
    call("get", "/v2/flowDefinitions/{ref}/results/breakdown", ref=ref, by="device")
    call("get", "/v2/flowDefinitions/{ref}/results/breakdown", ref=ref, by="no", status=400)
    call("get", "/v2/analytics/days")
    call("get", "/v2/analytics/runs")
    call("post", "/v2/flowDefinitions/{ref}/conclude", {"action": "CONTROL"}, ref=ref, status=400)
    test = call("post", "/v2/flowDefinitions", EXPERIMENT, status=201)
    call("post", "/v2/flowDefinitions/{ref}/conclude", {"action": "CONTROL"}, ref=test["ref"])
    call("get", "/v2/flowDefinitions/{ref}/results", ref=test["ref"])
    call("put", "/v2/flowDefinitions/{ref}", SMALLEST_LIVE_FLOW, ref=ref)
    call("post", "/v2/flowDefinitions/{ref}/status", {"status": "PAUSED"}, ref=ref)
    call("put", "/v2/flowDefinitions/{ref}/status", {"status": "LIVE"}, ref=ref)
    call("delete", "/v2/flowDefinitions/{ref}", ref=ref, status=204)
    assert api.http.get("/v2/events").status_code == 401
    contract.check("get", "/v2/events", 401, json.loads(api.http.get("/v2/events").content))


@pytest.mark.django_db(transaction=True)
def test_examples__of_flow_definitions__are_taken_and_the_smallest_one_runs(
    on_sqlite: Database, api: Api
) -> None:
    operation = published()["paths"]["/v2/flowDefinitions"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    browser = api.create_browser()

    flows = {
        name: api.json(api.post("/v2/flowDefinitions", example["value"], basic=True))
        for name, example in examples.items()
    }

    assert {flow["status"] for flow in flows.values()} == {"LIVE"}
    smallest = flows["smallest"]["friendlyId"]
    assert api.json(api.call_flows(smallest, browserId=browser["ref"])) == {"title": "Hello "}


# --- Optional, and at home ----------------------------------------------------------------------

WITHOUT_SPECTACULAR = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("drf_spectacular", "drf_spectacular_sidecar"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="urls",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework",
                    "django_filters", "tracking", "personalize"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()
import types
from django.urls import include, path
urls = sys.modules["urls"] = types.ModuleType("urls")
urls.urlpatterns = [path("", include("tracking.urls")), path("", include("personalize.urls"))]

from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.test import Client
answers = [
    Client().get("/v1.2/browser/create.json"),
    Client().post("/v2/callFlows", b"{}", content_type="application/json"),
    Client().get("/v2/flowDefinitions"),
]
print([answer.status_code for answer in answers], "drf_spectacular" in sys.modules)
"""


def test_doors__where_drf_spectacular_is_absent__answer_the_same() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_SPECTACULAR],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.stdout.strip() == "[400, 400, 401] False", run.stderr


def test_docs__load_nothing_from_other_sites() -> None:
    http = test.Client()

    page = http.get("/api/docs/")
    script = http.get("/api/docs/?script=")

    assert page.status_code == script.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page.content.decode())
    assert len(addresses) >= 4
    for address in addresses:
        assert address.startswith("/") and not address.startswith("//"), address
    assert '"../schema/"' in script.content.decode().replace("\\u002D", "-")
    assert "//" not in re.sub(r"^\s*//.*$", "", script.content.decode(), flags=re.MULTILINE)


@pytest.mark.slow
@pytest.mark.django_db
def test_docs__in_a_browser__show_the_doors(live_server: Any) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    asked: list[str] = []

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--no-first-run",
                  "--disable-background-networking"],
        )  # fmt: skip
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{live_server.url}/api/docs/")
        page.wait_for_selector("#operations-Flow_execution-callFlows", timeout=30_000)
        browser.close()

    assert all(url.startswith((live_server.url, "data:")) for url in asked), asked
