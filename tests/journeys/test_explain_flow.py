"""`manage.py explain_flow`: the reasons of one guest, in words, and nothing recorded."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.api import Api
from tests.conftest import Database
from tracking.models import Event, Guest, InboxEntry

pytestmark = pytest.mark.django_db(transaction=True)

ADDED = {"all": [{"event": "ADD", "at_least": 1, "within": "session"}]}
ON_SHOES = {"all": [{"field": "page", "operator": "contains", "value": "shoes"}]}


def make_flow(api: Api, name: str, **attributes: Any) -> Any:
    variant = {"name": "Plain", "content": {"title": "Hello {{ guest.firstName }}"}}
    body = {"name": name, "status": "LIVE", "variants": [variant]} | attributes
    return api.json(api.post("/v2/flowDefinitions", body, basic=True))


def explain(*args: str, **options: Any) -> tuple[int, str]:
    """Return the exit status and everything that was said."""
    said = StringIO()
    try:
        call_command("explain_flow", *args, stdout=said, **options)
    except CommandError as error:
        return error.returncode, f"{said.getvalue()}{error}"
    return 0, said.getvalue()


@pytest.fixture
def ada(api: Api) -> Any:
    browser = api.create_browser()
    api.identify(browser["ref"], ("EMAIL", "ada@example.com"), firstname="Ada", email="a@b.example")
    return browser


def test_explain_flow__for_a_prefix__names_every_gate_and_the_one_that_runs(
    database: Database, api: Api, ada: Any
) -> None:
    make_flow(api, "Offer 1", channels=["MOBILE_APP"])
    make_flow(api, "Offer 2", pageTargeting=ON_SHOES)
    make_flow(api, "Offer 3", traffic={"allocation": 0})
    make_flow(api, "Offer 4")
    api.post("/v2/flowDefinitions/offer_4/status", {"status": "PAUSED"}, basic=True)
    make_flow(api, "Offer 5")
    make_flow(api, "Offer 6")
    before = (Event.objects.count(), Guest.objects.count())

    status, said = explain("offer*", "ada@example.com", page="https://shop.example/hats")

    assert status == 0
    sections = dict(part.split("  ", 1) for part in said.split("\n\n")[1:7])
    assert "CHANNEL: The channel is WEB, wanted MOBILE_APP." in sections["offer_1"]
    assert "PAGE: Page is “https://shop.example/hats”" in sections["offer_2"]
    assert "NOT_ALLOCATED: 0 % of the guests are let in" in sections["offer_3"]
    assert "NOT_LIVE" in sections["offer_4"]
    assert "would run" in sections["offer_5"]
    assert "not asked" in sections["offer_6"]
    assert '"title": "Hello Ada"' in said
    assert (Event.objects.count(), Guest.objects.count()) == before
    assert not InboxEntry.objects.exists()


def test_explain_flow__with_a_decision_model__says_which_rows_hit(
    on_sqlite: Database, api: Api, ada: Any
) -> None:
    outputs = [{"name": "discount", "type": "NUMBER", "default": 0}]
    named = {"operator": "is", "value": "Ada"}
    rows = [
        {"when": [{"operator": "is", "value": "Bob"}]},
        {"when": [named], "then": {"discount": 7}},
    ]
    decision = {"inputs": [{"field": "guest.firstName"}], "outputs": outputs, "rows": rows}
    made = api.post("/v2/decisionModels", {"name": "Rate", "decision": decision}, basic=True)
    api.json(api.post(f"/v2/decisionModels/{api.json(made)['ref']}/publish", {}, basic=True))
    make_flow(api, "Offer", decisionModel="rate")

    status, said = explain("offer", "ada@example.com")

    assert status == 0
    assert "decision “rate”, revision 1: hit by row 2" in said
    assert "discount = 7" in said


@pytest.mark.parametrize("named_by", ["browser", "ref", "email", "identifier"])
def test_explain_flow__however_the_guest_is_named__judges_the_visit_they_are_on(
    database: Database, api: Api, ada: Any, named_by: str
) -> None:
    flow = make_flow(api, "Nudge", audience=ADDED)
    api.send("ADD", ada["ref"], product={"name": "Shoe"})
    guest = {
        "browser": ada["ref"],
        "ref": ada["customer_ref"],
        "email": "ADA@example.com",
        "identifier": "EMAIL:ada@example.com",
    }[named_by]

    status, said = explain(flow["ref"], guest)

    assert (status, "would run" in said) == (0, True), said
    assert f"on browser {ada['ref']}" in said


def test_explain_flow__when_nothing_would_run__says_why_and_exits_with_1(
    database: Database, api: Api, ada: Any
) -> None:
    make_flow(api, "Nudge", audience=ADDED)
    looping = "{% for a in (1..9999) %}{% for b in (1..9999) %}x{% endfor %}{% endfor %}"
    make_flow(api, "Broken", variants=[{"name": "A", "content": {"title": looping}}])

    nudge, why = explain("nudge", ada["ref"])
    broken, how = explain("broken", ada["ref"])

    assert nudge == broken == 1
    assert "closed at AUDIENCE" in why
    assert "its template fails" in how


@pytest.mark.parametrize(
    ("flow", "guest", "said"),
    [
        ("no_such", "ada@example.com", "no flow “no_such”"),
        ("draft", "ada@example.com", "never published"),
        ("gone", "ada@example.com", "was deleted"),
        ("away", "ada@example.com", "is archived"),
        ("zzz*", "ada@example.com", "starts with “zzz”"),
        ("*", "ada@example.com", "A * stands at the end"),
        ("hello", "nobody@example.com", "Nobody is known"),
        ("hello", "nonsense", "Nobody is known"),
        ("hello", "56860bff-94ba-4d84-aa37-2b5a83d5411b", "Nobody is known"),
        ("56860bff-94ba-4d84-aa37-2b5a83d5411b", "ada@example.com", "no flow with the ref"),
    ],
)
def test_explain_flow__for_a_wrong_question__says_what_is_wrong_and_exits_with_2(
    on_sqlite: Database, api: Api, ada: Any, flow: str, guest: str, said: str
) -> None:
    make_flow(api, "Hello")
    make_flow(api, "Draft", status="DRAFT")
    make_flow(api, "Away", archived=True)
    gone = make_flow(api, "Gone")
    api.http.delete(f"/v2/flowDefinitions/{gone['ref']}", headers={"Authorization": api.basic})

    status, answer = explain(flow, guest)

    assert status == 2
    assert said in answer
