"""Why a run ran: kept with its event, explained, made again, and let go."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from personalize import records, replaying, retention
from personalize.models import DecisionRecord, Execution, Flow
from personalize.records import MAX_BYTES, Record
from personalize.revisions import StoredRevisions
from personalize.types import OfferState
from tests.api import Api
from tests.conftest import Database
from tests.factories import ClientFactory
from tracking import tasks
from tracking.models import Event, Guest, InboxEntry

pytestmark = pytest.mark.django_db(transaction=True)

IRISH = {"field": "guest.country", "operator": "is", "value": "IE"}
LOOKED = {"event": "VIEW", "at_least": 3, "within": "session"}
ON_SHOES = {"field": "page", "operator": "contains", "value": "shoes"}


def make_flow(api: Api, name: str, **attributes: Any) -> Any:
    variants = [
        {"name": "A", "isControl": True, "content": {"n": "{{ decision.n }}"}},
        {"name": "B", "content": {"n": "{{ decision.n }}"}},
    ]
    body = {"name": name, "status": "LIVE", "subtype": "EXPERIMENT", "variants": variants}
    return api.json(api.post("/v2/flowDefinitions", body | attributes, basic=True))


def make_table(api: Api, **attributes: Any) -> str:
    decision = {
        "inputs": [{"field": "session.views"}],
        "outputs": [{"name": "n", "type": "NUMBER", "default": 0}],
        "rows": [{"when": [{"operator": "at_least", "value": 3}], "then": {"n": 7}}],
        **attributes,
    }
    made = api.json(
        api.post("/v2/decisionModels", {"name": "Rate", "decision": decision}, basic=True)
    )
    api.json(api.post("/v2/decisionModels/rate/publish", {}, basic=True))
    return str(made["ref"])


@pytest.fixture
def ada(api: Api) -> str:
    """A guest from Ireland, who has looked at three pages."""
    browser: str = api.create_browser()["ref"]
    api.json(api.identify(browser, ("EMAIL", "ada@example.com"), country="IE", firstname="Ada"))
    for _ in range(3):
        api.json(api.send("VIEW", browser))
    return browser


def call(api: Api, friendly_id: str, browser: str, **params: Any) -> Any:
    return api.json(api.call_flows(friendly_id, browserId=browser, params=params))


def record_of(row: DecisionRecord) -> Record:
    return records.decode(row.body)


def replayed(row: DecisionRecord) -> replaying.Replayed:
    return replaying.replay(record_of(row), StoredRevisions(row.client_id))


def test_run__of_a_flow__leaves_a_record_of_what_was_known_and_decided(
    database: Database, api: Api, ada: str
) -> None:
    make_table(api)
    make_flow(api, "Offer 1", channels=["MOBILE_APP"])
    make_flow(api, "Offer 2", pageTargeting=ON_SHOES)
    flow = make_flow(api, "Offer 3", audience={"all": [IRISH, LOOKED]}, decisionModel="rate")

    assert call(api, "offer*", ada, page="/hats") == {"n": 7}

    row, execution = DecisionRecord.objects.get(), Execution.objects.get()
    record = record_of(row)
    assert (row.ref, row.guest, row.decided_at) == (
        execution.ref, execution.guest, execution.occurred_at,
    )  # fmt: skip
    assert (record.flow, record.revision, record.variant) == (
        flow["friendlyId"], 1, str(execution.variant_ref),
    )  # fmt: skip
    assert [(one.flow, one.reason) for one in record.passed] == [
        ("offer_1", "CHANNEL"),
        ("offer_2", "PAGE"),
    ]
    assert record.recalled().values == {
        "guest.country": "IE",
        "event.VIEW session": 3,
        "session.views": 3,
        "page": ("/hats", "/hats"),
    }
    assert record.decision is not None
    assert (record.decision.rows, record.decision.outputs) == ([1], {"n": 7})
    assert replayed(row).is_equal
    event = Event.objects.get(type="TRACKING")
    assert "readings" not in json.dumps(event.data)
    assert event.data["decision"]["variant"] in ("A", "B")


def test_record__once_the_flow_changed_and_the_guest_too__is_made_again_as_it_was(
    database: Database, api: Api, ada: str
) -> None:
    make_table(api)
    flow = make_flow(api, "Offer", audience={"all": [IRISH, LOOKED]}, decisionModel="rate")
    call(api, "offer", ada)
    row = DecisionRecord.objects.get()

    audience = {"field": "guest.country", "operator": "is", "value": "DE"}
    body = {key: flow[key] for key in ("name", "subtype", "variants", "decisionModel")}
    headers = {"Authorization": api.basic}
    put: dict[str, Any] = {"content_type": "application/json", "headers": headers}
    address = f"/v2/flowDefinitions/{flow['ref']}"
    api.json(api.http.put(address, body | {"audience": audience}, **put))
    rows = {"rows": [{"then": {"n": 9}}], "outputs": [{"name": "n", "type": "NUMBER"}]}
    table = {"name": "Rate", "decision": rows}
    api.json(api.http.put("/v2/decisionModels/rate", table, **put))
    api.json(api.post("/v2/decisionModels/rate/publish", {}, basic=True))
    api.json(api.identify(ada, ("EMAIL", "ada@example.com"), country="DE"))
    assert call(api, "offer", ada) == {"n": 9}

    assert Flow.objects.get().published.number == 2  # type: ignore[union-attr]
    assert replayed(row).is_equal
    (newest,) = DecisionRecord.objects.exclude(pk=row.pk)
    assert (record_of(newest).revision, replayed(newest).is_equal) == (2, True)


def test_record__of_an_offer_that_was_over__keeps_that_it_was(
    on_sqlite: Database, api: Api, ada: str
) -> None:
    template = {"name": "Banner", "attributes": [{"name": "title", "type": "TEXT"}]}
    api.json(api.post("/v2/offerTemplates", template, basic=True))

    def offer(**values: Any) -> str:
        body = {
            "name": "Spring",
            "template": "Banner",
            "status": "LIVE",
            "attributes": {},
            **values,
        }
        return str(api.json(api.post("/v2/offers", body, basic=True))["ref"])

    over, german = offer(validTo="2020-01-01T00:00:00Z"), offer(audience={"not": IRISH})
    good = offer(audience=IRISH)
    make_table(
        api,
        inputs=[],
        outputs=[{"name": "n", "type": "OFFER"}],
        rows=[{"then": {"n": ref}} for ref in (over, german, good)],
    )
    make_flow(api, "Offer", decisionModel="rate")

    call(api, "offer", ada)

    row = DecisionRecord.objects.get()
    record = record_of(row)
    assert record.decision is not None
    assert record.decision.offers == {
        over: OfferState.OVER,
        german: OfferState.AUDIENCE,
        good: OfferState.HAD,
    }
    assert record.recalled().values == {"guest.country": "IE"}
    headers = {"Authorization": api.basic}
    changed = {"name": "Spring", "template": "Banner", "status": "PAUSED", "attributes": {}}
    address, kind = f"/v2/offers/{good}", "application/json"
    api.json(api.http.put(address, changed, content_type=kind, headers=headers))
    assert replayed(row).is_equal


def test_record__of_a_very_long_attribute__stays_small_and_replays(
    database: Database, api: Api, ada: str
) -> None:
    long = "x" * 20_000
    api.json(api.identify(ada, ("EMAIL", "ada@example.com"), ext={"story": long}))
    story = {"field": "guest.attributes.story", "operator": "starts_with", "value": "xx"}
    make_flow(api, "Offer", audience={"any": [story, {"not": story}]})

    call(api, "offer", ada)

    row = DecisionRecord.objects.get()
    assert len(row.body) < MAX_BYTES
    assert long[:2000] not in row.body
    assert replayed(row).is_equal


def test_explanation__of_a_row_that_read_too_much__does_not_say_that_it_did_not_hit(
    database: Database, api: Api, ada: str
) -> None:
    api.json(api.identify(ada, ("EMAIL", "ada@example.com"), ext={"story": "x" * 20_000}))
    attribute = "guest.attributes.story"
    make_table(
        api,
        inputs=[{"field": attribute}],
        rows=[{"when": [{"operator": "ends_with", "value": "xxx"}], "then": {"n": 7}}],
    )
    audience = {"field": attribute, "operator": "starts_with", "value": "xx"}
    make_flow(api, "Offer", audience=audience, decisionModel="rate")
    assert call(api, "offer", ada) == {"n": 7}

    read = api.read(f"/v2/executions/{Execution.objects.get().ref}")

    said = read["explanation"]["sentences"]
    assert said[0].startswith("“Offer” was shown because It held that Guest attribute “story”")
    assert said[2] == "Decision “Rate”, revision 1: hit by row 1."
    assert "did not hold" not in json.dumps(read["explanation"])
    assert read["replay"]["equal"] is True


@override_settings(TRACKING={"DISPATCH": "worker"})
def test_record__of_a_run_that_is_walked_twice__stands_once(
    database: Database, api: Api, ada: str
) -> None:
    make_flow(api, "Offer")
    tasks.drain()
    call(api, "offer", ada)
    waiting = InboxEntry.objects.get()
    again = {field.attname: getattr(waiting, field.attname) for field in waiting._meta.fields}
    assert not DecisionRecord.objects.exists()
    tasks.drain()
    before = DecisionRecord.objects.values_list().get()

    again["body"] = bytes(again["body"]).replace(b'"channel":"WEB"', b'"channel":"XXX"')
    InboxEntry.objects.create(**again)
    tasks.drain()

    assert not InboxEntry.objects.exists()
    assert DecisionRecord.objects.values_list().get() == before


@override_settings(TRACKING={"DISPATCH": "worker"})
def test_records__of_a_batch__are_written_by_one_statement(
    database: Database,
    api: Api,
    ada: str,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    make_flow(api, "Offer")
    tasks.drain()

    def walked(runs: int) -> list[str]:
        for _ in range(runs):
            call(api, "offer", ada)
        with count_queries() as queries:
            tasks.drain()
        return [query["sql"] for query in queries if "personalize_decisionrecord" in query["sql"]]

    assert len(walked(1)) == 1
    assert len(walked(9)) == 1
    assert DecisionRecord.objects.count() == 10


@override_settings(TRACKING={"DISPATCH": "worker"})
def test_companion__that_nobody_keeps__costs_its_event_nothing(
    on_sqlite: Database, api: Api, ada: str
) -> None:
    make_flow(api, "Offer")
    tasks.drain()
    call(api, "offer", ada)
    entry = InboxEntry.objects.get()
    body = bytes(entry.body).replace(b'"companions":{"decision"', b'"companions":{"of_another_app"')
    assert body != bytes(entry.body)
    InboxEntry.objects.update(body=body)

    tasks.drain()

    assert Event.objects.filter(type="TRACKING").count() == 1
    assert not DecisionRecord.objects.exists()


def test_run__on_the_channel_of_crawlers__leaves_no_record(
    on_sqlite: Database, api: Api, ada: str
) -> None:
    make_flow(api, "Offer")

    api.json(api.call_flows("offer", browserId=ada, channel="BOT"))

    assert Execution.objects.count() == 1
    assert not DecisionRecord.objects.exists()


@override_settings(PERSONALIZE={"RETAIN_DECISIONS_DAYS": 30})
def test_purge__of_records__goes_by_their_own_time(database: Database, api: Api, ada: str) -> None:
    make_flow(api, "Offer")
    call(api, "offer", ada)
    now = timezone.now()

    retention.purge(now=now + timedelta(days=29))
    assert DecisionRecord.objects.count() == 1
    retention.purge(now=now + timedelta(days=31))

    assert not DecisionRecord.objects.exists()
    assert Execution.objects.count() == 1


# --- Asked about --------------------------------------------------------------------------------


def run(command: str, *args: str, **options: Any) -> tuple[int, str]:
    """Return the exit status and everything that was said."""
    said = StringIO()
    try:
        call_command(command, *args, stdout=said, stderr=StringIO(), **options)
    except CommandError as error:
        return error.returncode, f"{said.getvalue()}{error}"
    return 0, said.getvalue()


def test_explain_flow__of_a_past_run__names_what_was_known_then_and_what_would_be_now(
    database: Database, api: Api, ada: str
) -> None:
    make_table(api)
    make_flow(api, "Offer 1", pageTargeting=ON_SHOES)
    make_flow(api, "Offer 2", audience={"all": [IRISH, LOOKED]}, decisionModel="rate")
    call(api, "offer*", ada, page="/hats")
    ref = str(Execution.objects.get().ref)
    api.json(api.identify(ada, ("EMAIL", "ada@example.com"), country="DE"))

    status, said = run("explain_flow", execution=ref)

    assert status == 0
    assert "closed at PAGE: Page is “/hats”, wanted it to contain “shoes”" in said
    assert "ran: every gate was open" in said
    assert "Audience open: Guest country “IE” is “IE”; VIEW happened 3 times in this" in said
    assert "row 1: Session views 3 is at least 3" in said
    assert "n = 7" in said
    assert "Made again from its record, it is the same." in said
    assert "would not be shown (AUDIENCE): Guest country is “DE”" in said


def test_explain_flow__of_a_run_that_is_not_known__says_so_and_exits_with_2(
    on_sqlite: Database, api: Api
) -> None:
    assert run("explain_flow", execution="none")[0] == 2
    assert run("explain_flow", execution="56860bff-94ba-4d84-aa37-2b5a83d5411b")[0] == 2
    assert run("explain_flow", "offer")[0] == 2


def test_execution__read_by_a_server__is_explained_as_it_was_and_as_it_would_be(
    database: Database, api: Api, ada: str
) -> None:
    make_table(api)
    make_flow(api, "Offer 1", pageTargeting=ON_SHOES)
    flow = make_flow(api, "Offer 2", audience={"all": [IRISH, LOOKED]}, decisionModel="rate")
    call(api, "offer*", ada, page="/hats")
    (brief,) = api.read("/v2/executions", flowRef=flow["ref"])["items"]
    api.json(api.identify(ada, ("EMAIL", "ada@example.com"), country="DE"))

    read = api.read(f"/v2/executions/{brief['ref']}")

    assert read["guestRef"] == brief["guestRef"]
    said = read["explanation"]["sentences"]
    assert said[0] == (
        "“Offer 2” was shown because Guest country “IE” is “IE” and VIEW happened 3 times in this "
        "session (at least 3 times wanted)."
    )
    variant = read["explanation"]["flows"][1]["variant"]
    bucket = f"{variant['splitBucket']:.2f}"
    span = {"A": "0 to 50", "B": "50 to 100"}[variant["name"]]
    assert said[1] == f"Variant “{variant['name']}” because bucket {bucket} falls in {span}."
    assert said[2].startswith("“Offer 1” was not shown (PAGE): Page is “/hats”")
    assert read["readings"]["event.VIEW session"] == 3
    assert read["replay"]["equal"] is True
    assert read["now"]["sentences"] == [
        "“Offer 2” would not be shown (AUDIENCE): Guest country is “DE”, wanted it to be “IE”."
    ]
    audience = read["explanation"]["flows"][1]["gates"][2]
    assert [part["matched"] for part in audience["tree"]["children"]] == [True, True]


def test_executions__as_a_list__are_those_of_the_client_by_guest_flow_and_time(
    database: Database, api: Api, ada: str
) -> None:
    first, second = make_flow(api, "First"), make_flow(api, "Second")
    other = api.create_browser()
    for browser in (ada, ada, other["ref"]):
        call(api, "first", browser)
    call(api, "second", ada)

    def refs(**query: Any) -> list[str]:
        return [item["friendlyId"] for item in api.read("/v2/executions", **query)["items"]]

    assert refs() == ["second", "first", "first", "first"]
    assert refs(flowRef=second["ref"]) == ["second"]
    assert refs(friendlyId=first["friendlyId"], guestRef=other["customer_ref"]) == ["first"]
    assert refs(since="2999-01-01T00:00:00Z") == []
    page = api.read("/v2/executions", limit=3)
    assert len(page["items"]) == 3
    assert len(api.json(api.http.get(page["next"], HTTP_AUTHORIZATION=api.basic))["items"]) == 1
    assert api.http.get("/v2/executions").status_code == 401
    stranger = Api(client_key="x" * 32, api_token="token")
    ClientFactory.create(name="Other", key="x" * 32, token="token")
    assert stranger.read("/v2/executions")["items"] == []
    ref = api.read("/v2/executions", limit=1)["items"][0]["ref"]
    assert stranger.get(f"/v2/executions/{ref}", basic=True).status_code == 404


def test_execution__whose_record_is_gone__is_read_without_reasons(
    on_sqlite: Database, api: Api, ada: str
) -> None:
    make_flow(api, "Offer")
    call(api, "offer", ada)
    DecisionRecord.objects.all().delete()

    read = api.read(f"/v2/executions/{Execution.objects.get().ref}")

    assert [read[key] for key in ("explanation", "readings", "replay", "now")] == [
        None, {}, None, None,
    ]  # fmt: skip


def test_decisions__of_a_guest_now__tell_every_gate_of_every_flow_that_is_meant(
    database: Database, api: Api, ada: str
) -> None:
    make_flow(api, "Offer 1", pageTargeting=ON_SHOES, audience={"not": IRISH})
    make_flow(api, "Offer 2", traffic={"allocation": 0})
    make_flow(api, "Offer 3", audience=IRISH)
    make_flow(api, "Offer 4")
    api.json(api.post("/v2/flowDefinitions/offer_4/status", {"status": "PAUSED"}, basic=True))
    make_flow(api, "Offer 5")
    guest = str(Guest.objects.get(type="CUSTOMER").ref)
    address = f"/v2/guests/{guest}/decisions"
    before = Event.objects.count()

    told = api.read(address, friendlyId="offer_*", params='{"page": "/hats"}')

    assert [(flow["outcome"], flow["reason"]) for flow in told["flows"]] == [
        ("CLOSED", "PAGE"),
        ("CLOSED", "NOT_ALLOCATED"),
        ("SHOWN", "EXECUTED"),
        ("CLOSED", "NOT_LIVE"),
        ("NOT_ASKED", "EXECUTED"),
    ]
    closed = [gate["name"] for gate in told["flows"][0]["gates"] if not gate["open"]]
    assert closed == ["Pages", "Audience"]
    assert told["content"] == {"n": None}
    assert "“Offer 3” would be shown because Guest country “IE”" in told["sentences"][0]
    assert (Event.objects.count(), Execution.objects.count()) == (before, 0)
    refused = [
        api.get(address, basic=True, **query).status_code
        for query in (
            {},
            {"friendlyId": "none"},
            {"friendlyId": "offer_1", "params": "[]"},
            {"friendlyId": "offer_1", "pointOfSale": "mars"},
        )
    ]
    assert refused == [400, 404, 400, 400]
    none = "/v2/guests/56860bff-94ba-4d84-aa37-2b5a83d5411b/decisions"
    assert api.get(none, basic=True, friendlyId="offer_1").status_code == 404


def test_replay_decisions__of_all_that_ran__are_equal_and_the_last_line_says_so(
    database: Database, api: Api, ada: str
) -> None:
    make_table(api)
    make_flow(api, "Offer", audience=LOOKED, decisionModel="rate")
    for _ in range(5):
        call(api, "offer", ada)

    status, said = run("replay_decisions", "--json")
    _, sampled = run("replay_decisions", "--json", "--sample", "2")

    assert status == 0
    assert json.loads(said.splitlines()[-1]) == {
        "checked": 5, "equal": 5, "differences": [], "notReplayable": [],
    }  # fmt: skip
    assert json.loads(sampled)["checked"] == 2


def test_replay_decisions__where_one_was_tampered_with__names_it_and_fails(
    database: Database, api: Api, ada: str
) -> None:
    make_flow(api, "Offer", audience=IRISH)
    for _ in range(3):
        call(api, "offer", ada)
    good, bad, broken = DecisionRecord.objects.order_by("ref")
    DecisionRecord.objects.filter(pk=bad.pk).update(body=bad.body.replace('"IE"', '"DE"'))
    DecisionRecord.objects.filter(pk=broken.pk).update(body="{}")

    status, said = run("replay_decisions", "--json")

    assert status == 1
    found = json.loads(said.splitlines()[0])
    assert (found["checked"], found["equal"]) == (3, 1)
    assert [each["ref"] for each in found["differences"]] == [str(bad.ref)]
    assert [each["ref"] for each in found["notReplayable"]] == [str(broken.ref)]


# --- Let go -------------------------------------------------------------------------------------


def test_record__of_a_person__is_exported_and_erased_with_them(
    database: Database, api: Api, ada: str
) -> None:
    make_flow(api, "Offer", audience=IRISH)
    call(api, "offer", ada)
    other = api.create_browser()["ref"]
    make_flow(api, "Open")
    call(api, "open", other)
    guest = Guest.objects.get(email="", type="CUSTOMER")
    out = StringIO()

    call_command("guest_data", "export", "--client", "Shop", "--ref", str(guest.ref), stdout=out)

    (exported,) = json.loads(out.getvalue())["personalize.decisionrecord"]
    assert exported["body"]["readings"] == {"guest.country": "IE"}
    headers = {"Authorization": api.basic}
    assert api.http.delete(f"/v2.1/guests/{guest.ref}", headers=headers).status_code == 204
    (left,) = DecisionRecord.objects.all()
    assert record_of(left).flow == "open"
