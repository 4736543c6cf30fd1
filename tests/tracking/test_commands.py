"""The management commands: what they do, say, and refuse."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.api import Api
from tests.conftest import Database
from tracking import checks, licences, retention
from tracking.models import Client, Event, Guest, InboxEntry, Key, QuarantinedMessage

pytestmark = pytest.mark.django_db(transaction=True)


def run(name: str, *args: str) -> str:
    out = StringIO()
    call_command(name, *args, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_create_client__with_keys_given__makes_what_was_asked_and_can_be_run_again(
    database: Database,
) -> None:
    arguments = [
        "Shop",
        "--client-key=the-public-key",
        "--api-token=a-long-enough-api-token",
        "--license-key=12345-license",
        "--origin=https://shop.example",
        "--point-of-sale=ireland:site-ie",
        "--point-of-sale=germany",
        "--identity-rule=EMAIL",
        "--identity-rule=CUSTOMER_ID",
    ]

    said = [run("create_client", *arguments) for _ in range(2)]

    client = Client.objects.get()
    assert client.identity_rules == ["EMAIL", "CUSTOMER_ID"]
    assert client.allowed_origins == ["https://shop.example"]
    assert client.default_point_of_sale is not None
    assert client.default_point_of_sale.name == "ireland"
    assert {pos.name: pos.site_id for pos in client.points_of_sale.all()} == {
        "ireland": "site-ie",
        "germany": "",
    }
    assert Key.objects.count() == 3
    assert licences.read(client) == ["12345-license"]
    assert "12345-license" not in Key.objects.get(kind="LICENCE").value
    assert "made" in said[0] and "updated" in said[1]
    api = Api("the-public-key", "a-long-enough-api-token")
    assert api.read("/v2/events")["items"] == []


def test_create_client__without_keys__makes_and_prints_them_once(on_sqlite: Database) -> None:
    first = dict(line.split(": ", 1) for line in run("create_client", "Shop").splitlines()[1:])
    second = run("create_client", "Shop")

    api = Api(first["client key"], first["API token"])
    assert api.read("/v2/events")["items"] == []
    assert first["API token"] not in second
    assert first["client key"] in second


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (["Other", "--client-key=taken"], "belongs to another client"),
        (["Other", "--origin=shop.example"], "is not an origin"),
        (["Other", "--point-of-sale=:site"], "has no name"),
    ],
)
def test_create_client__with_what_cannot_be__fails_and_changes_nothing(
    on_sqlite: Database, arguments: list[str], refused: str
) -> None:
    run("create_client", "Shop", "--client-key=taken")

    with pytest.raises(CommandError, match=refused):
        run("create_client", *arguments)

    assert Client.objects.count() == 1


def test_process_inbox__once__walks_what_waits_and_says_what_it_did(
    database: Database, api: Api, settings: Any
) -> None:
    settings.TRACKING = {"DISPATCH": "worker", "CLIENT_CACHE_SECONDS": 0}
    browser = api.create_browser()["ref"]
    for _ in range(3):
        api.send("VIEW", browser)
    status = json.loads(run("tracking_status", "--json"))

    said = run("process_inbox")

    assert (status["backlog"], status["quarantine"]) == (3, 0)
    assert status["oldestAgeSeconds"] >= 0
    assert "3 requests walked: 3 events, 0 set aside." in said
    assert Event.objects.count() == 3
    assert InboxEntry.objects.count() == 0
    assert "Backlog:    0 requests" in run("tracking_status")


def test_purge__by_age__deletes_old_events_and_idle_visitors_and_keeps_customers(
    database: Database, api: Api, shop: Client
) -> None:
    idle, customer = api.create_browser(), api.create_browser()
    api.send("VIEW", idle["ref"])
    api.identify(customer["ref"], ("EMAIL", "ada@example.com"))
    now = datetime.now(tz=UTC)

    nothing = retention.purge(now=now)
    visitors = retention.purge(now=now + timedelta(days=100))
    events = retention.purge(now=now + timedelta(days=500))

    assert (nothing.events, nothing.visitors) == (0, 0)
    assert visitors.visitors == 1
    assert [guest.ref.hex for guest in Guest.objects.all()] == [
        customer["customer_ref"].replace("-", "")
    ]
    assert events.events == 1
    assert not Event.objects.exists()
    assert not QuarantinedMessage.objects.exists()


def test_checks__of_unknown_or_impossible_settings__name_them(settings: Any) -> None:
    settings.TRACKING = {"DISPATCH": "pigeon", "MAX_EVENTBYTES": 1}

    found = {message.id: message.msg for message in checks.check_settings()}

    assert "MAX_EVENTBYTES" in found["tracking.W001"]
    assert "pigeon" in found["tracking.E001"]


@pytest.mark.parametrize(
    ("key", "said"), [("a:b", "no colon"), ("", "printable"), ("revoked-key", "revoked")]
)
def test_create_client__with_a_key_that_cannot_be_used__says_why_and_makes_nothing(
    on_sqlite: Database, key: str, said: str
) -> None:
    run("create_client", "Shop", "--client-key", "revoked-key")
    Key.objects.update(revoked_at=timezone.now())
    out = StringIO()

    with pytest.raises(CommandError, match=said):
        call_command("create_client", "Other", "--client-key", key, stdout=out)

    assert out.getvalue() == ""
    assert not Client.objects.filter(name="Other").exists()
