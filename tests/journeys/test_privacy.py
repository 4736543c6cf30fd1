"""Export and erase: everything kept of a person is found, goes, and stays gone."""

import json
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import connections
from django.urls import reverse

from tests.api import Api
from tests.conftest import Database
from tests.factories import FlowFactory
from tests.tracking.test_admin import staff
from tracking import privacy, tasks
from tracking.models import Client, Event, Guest, Identifier, InboxEntry, QuarantinedMessage
from tracking.types import BROWSER

pytestmark = pytest.mark.django_db(transaction=True)

MARKER = "zaphod-beeblebrox"
EMAIL = f"{MARKER}@example.com"


def found_in_dump(database: Database, marker: str = MARKER) -> list[str]:
    """Name the columns of the whole database in which the marker stands."""
    connection = connections[database.alias]
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    raw = bytes(value) if isinstance(value, memoryview | bytes) else str(value)
                    text = raw.decode("latin-1") if isinstance(raw, bytes) else raw
                    if marker in text.lower():
                        found.append(f"{table}.{name}")
    return sorted(set(found))


def segment(api: Api, kind: str, hour: int, **fields: Any) -> dict[str, Any]:
    message = {
        "messageId": f"{kind}-{hour}",
        "timestamp": f"2026-03-01T{hour:02d}:00:00Z",
        "type": kind,
        "writeKey": api.client_key,
        **fields,
    }
    assert api.json(api.post(f"/v1/{kind}", message))["success"]
    return message


def everywhere(api: Api, shop: Client) -> Guest:
    """Have the person do something by every way in, and let each table get to know of it."""
    flow = FlowFactory.create(client=shop, live=True)
    browser = api.create_browser()["ref"]
    api.send("VIEW", browser, page=f"/{MARKER}", referrer=f"https://{MARKER}.example/")
    who = {"email": EMAIL, "firstname": MARKER, "ext": {"motto": MARKER}}
    api.identify(browser, ("EMAIL", EMAIL), **who)
    api.json(api.call_flows(flow.friendly_id, browserId=browser))
    device = {"device": {"token": f"token-{MARKER}", "type": "ios"}}
    segment(api, "identify", 1, userId=MARKER, anonymousId=f"anon-{MARKER}", traits={"a": MARKER})
    segment(api, "group", 2, userId=MARKER, groupId="crew", traits={"plan": "paid"})
    segment(api, "track", 3, userId=MARKER, event="Device Created or Updated", context=device)
    segment(api, "alias", 4, userId=MARKER, previousId=f"old-{MARKER}")
    order: dict[str, Any] = {
        "referenceId": f"order-{MARKER}",
        "contact": {"email": EMAIL, "motto": MARKER},
    }
    order["orderItems"] = [{"productId": "7", "price": 1}]
    api.json(api.send("ORDER_CHECKOUT", browser, order=order))
    api.json(api.send("SEARCH", browser, query=MARKER))
    added = {"product_id": "7", "cart_id": f"cart-{MARKER}"}
    segment(api, "track", 5, userId=MARKER, event="Product Added", properties=added)
    guest = Guest.objects.survivors().get(email=EMAIL)
    assert Guest.objects.survivors().filter(type="CUSTOMER").count() == 2
    return guest


def set_aside(api: Api, browser: str) -> None:
    """Send what is set aside: messages over a limit, read or not."""
    ext = {f"key{n}": MARKER for n in range(60)}
    api.batch({"type": "VIEW", "browser_id": browser, "ext": ext})
    segment(api, "track", 7, userId=MARKER, event="Deep", properties=_deep(MARKER))
    assert QuarantinedMessage.objects.count() == 2


def _deep(value: str) -> Any:
    nested: Any = value
    for _ in range(50):
        nested = {"in": nested}
    return nested


def erase_all(*who: str) -> None:
    call_command("guest_data", "erase", "--client", "Shop", *who, "--yes", stdout=StringIO())


def exported(*who: str) -> dict[str, list[dict[str, Any]]]:
    out = StringIO()
    call_command("guest_data", "export", "--client", "Shop", *who, stdout=out)
    document: dict[str, list[dict[str, Any]]] = json.loads(out.getvalue())
    return document


def browser_of(guest: Guest) -> str:
    return Identifier.objects.get(guest=guest, provider=BROWSER).value


def test_tables__of_both_apps__are_all_declared(db: None) -> None:
    tables = [
        model
        for label in ("tracking", "personalize")
        for model in apps.get_app_config(label).get_models(include_auto_created=True)
        if not model._meta.proxy and model is not Client.staff_groups.through
    ]

    assert privacy.undeclared(tables) == [], "say in the app's privacy.py what they hold of people"


def test_erased_person__is_nowhere_in_the_database_and_stays_gone(
    database: Database, api: Api, shop: Client, settings: Any
) -> None:
    guest = everywhere(api, shop)
    browser = browser_of(guest)
    set_aside(api, browser)
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    late = segment(api, "track", 5, userId=MARKER, event=f"Met {MARKER}")
    other = api.create_browser()["ref"]
    theirs = {"type": "VIEW", "browser_id": other, "page": "/theirs"}
    api.batch({"type": "VIEW", "browser_id": browser, "page": f"/{MARKER}"}, theirs)
    places = found_in_dump(database)
    assert {"tracking_inboxentry.body", "tracking_quarantinedmessage.body"} <= set(places)

    erase_all("--email", EMAIL)
    erase_all("--identifier", "USER_ID", MARKER)

    assert found_in_dump(database) == []
    tasks.drain()
    api.post("/v1/track", late)
    tasks.drain()
    assert found_in_dump(database) == []
    assert not Guest.objects.filter(pk=guest.pk).exists()
    assert Event.objects.get(data__page="/theirs").type == "VIEW", "a neighbour's message was lost"
    assert api.json(api.send("VIEW", browser))["status"] == "NOT_FOUND"


def test_erased_person__whose_message_is_replayed__does_not_come_back(
    database: Database, api: Api, shop: Client
) -> None:
    everywhere(api, shop)
    erase_all("--email", EMAIL)
    erase_all("--identifier", "USER_ID", MARKER)

    segment(api, "identify", 1, userId=MARKER, anonymousId=f"anon-{MARKER}")
    segment(api, "identify", 2, userId="u2", traits={"email": EMAIL})
    segment(api, "page", 3, anonymousId=f"anon-{MARKER}", name=MARKER)

    assert found_in_dump(database) == []


def test_erased_person__who_does_something_later__is_a_new_one(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    everywhere(api, shop)
    erase_all("--identifier", "USER_ID", MARKER)

    message = {"writeKey": api.client_key, "type": "track", "event": "Back", "userId": MARKER}
    api.json(api.post("/v1/track", message | {"messageId": "back"}))

    (event,) = exported("--identifier", "USER_ID", MARKER)["tracking.event"]
    assert event["type"] == "Back"


def test_erased_person__known_by_no_guest__is_taken_out_of_what_waits(
    on_postgres: Database, api: Api, settings: Any
) -> None:
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    segment(api, "identify", 1, userId=MARKER)
    segment(api, "identify", 2, userId="another")

    erase_all("--identifier", "USER_ID", MARKER)

    assert found_in_dump(on_postgres) == []
    assert InboxEntry.objects.count() == 1


def test_export__has_all_that_is_kept_and_nothing_of_others(
    database: Database, api: Api, shop: Client, settings: Any
) -> None:
    guest = everywhere(api, shop)
    browser = browser_of(guest)
    api.batch({"type": "VIEW", "browser_id": browser, "ext": {f"k{n}": 1 for n in range(60)}})
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    other = api.create_browser()["ref"]
    theirs = {"type": "VIEW", "browser_id": other, "page": "/theirs"}
    api.batch({"type": "VIEW", "browser_id": browser, "page": "/mine"}, theirs)

    known = exported("--email", EMAIL)

    assert [each["email"] for each in known["tracking.guest"]] == [EMAIL]
    types = [each["type"] for each in known["tracking.event"]]
    assert sorted(types) == ["IDENTITY", "ORDER_CHECKOUT", "SEARCH", "TRACKING", "VIEW"]
    (order,) = known["tracking.order"]
    assert order["contact"]["email"] == EMAIL
    assert len(known["tracking.orderitem"]) == 1
    assert len(known["personalize.execution"]) == 1
    assert len(known["tracking.quarantinedmessage"]) == 1
    (waiting,) = known["tracking.inboxentry"]
    assert "/mine" in waiting["body"]
    assert "/theirs" not in json.dumps(known)
    assert set(known) == {store.name for store in privacy.stores()}
    devices = exported("--identifier", "USER_ID", MARKER)["tracking.device"]
    assert [each["token"] for each in devices] == [f"token-{MARKER}"]
    path = f"/v2.1/guests/{guest.ref}/export"
    response = api.get(path, basic=True)
    over_http = json.loads(b"".join(response))
    assert {name: len(rows) for name, rows in over_http.items()} == {
        name: len(rows) for name, rows in known.items()
    }
    assert api.get(path).status_code == 401


def test_erasing__a_customer_whose_browser_had_been_anothers__leaves_the_other_alone(
    database: Database, api: Api
) -> None:
    browser = api.create_browser()["ref"]
    api.send("VIEW", browser, page="/first")
    api.identify(browser, ("EMAIL", "first@example.com"))
    api.identify(browser, ("EMAIL", EMAIL), firstname=MARKER)
    api.send("VIEW", browser, page="/second")

    erase_all("--email", EMAIL)

    assert found_in_dump(database) == []
    first = exported("--email", "first@example.com")
    assert {each["type"] for each in first["tracking.event"]} == {"VIEW", "IDENTITY"}
    assert len(first["tracking.session"]) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["erase", "--client", "Nobody", "--email", EMAIL], "There is no client “Nobody”"),
        (["erase", "--client", "Shop", "--email", EMAIL], "say --yes"),
        (["export", "--client", "Shop", "--ref", "x"], "--ref"),
        (
            ["export", "--client", "Shop", "--ref", "00000000-0000-0000-0000-000000000000"],
            "no guest with this ref",
        ),
    ],
)
def test_guest_data__without_a_person_or_a_yes__fails_in_words(
    shop: Client, arguments: list[str], says: str
) -> None:
    with pytest.raises(CommandError, match=says):
        call_command("guest_data", *arguments, stdout=StringIO())


# --- in the admin ------------------------------------------------------------------------------


def test_admin__staff_with_the_permissions__exports_and_erases(
    database: Database, api: Api, shop: Client
) -> None:
    guest = everywhere(api, shop)
    browser = staff("tracking.view_guest", "tracking.export_guest", "tracking.erase_guest")
    page = reverse("admin:tracking_guest_change", args=[guest.pk])
    export = reverse("admin:tracking_guest_export", args=[guest.pk])
    listed = reverse("admin:tracking_guest_changelist")

    response = browser.get(export)
    assert response["Content-Disposition"] == f'attachment; filename="guest-{guest.ref}.json"'
    assert MARKER in b"".join(response).decode()
    assert export in browser.get(page).content.decode()
    action = {"action": "erase_selected", "_selected_action": [guest.pk]}
    asked = browser.post(listed, action, follow=True)
    assert EMAIL in asked.content.decode()
    done = browser.post(asked.request["PATH_INFO"], {"id": guest.pk}, follow=True)

    assert "1 guest was erased" in done.content.decode()
    assert not Guest.objects.filter(pk=guest.pk).exists()
    erase_all("--identifier", "USER_ID", MARKER)
    assert found_in_dump(database) == []
    logged = LogEntry.objects.values_list("object_repr", flat=True)
    assert set(logged) == {"Erased"}


def test_admin__staff_who_may_only_look__neither_exports_nor_erases(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    guest = everywhere(api, shop)
    browser = staff("tracking.view_guest")
    export = reverse("admin:tracking_guest_export", args=[guest.pk])
    erase = reverse("admin:tracking_guest_erase")

    assert browser.get(export).status_code == 403
    assert browser.get(erase, {"id": guest.pk}).status_code == 403
    assert browser.post(erase, {"id": guest.pk}).status_code == 403
    html = browser.get(reverse("admin:tracking_guest_change", args=[guest.pk])).content.decode()
    assert export not in html and erase not in html


def test_admin__guest_of_a_client_that_staff_may_not_see__is_not_found(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    guest = everywhere(api, shop)
    shop.staff_groups.add(Group.objects.create(name="Others"))
    browser = staff("tracking.view_guest", "tracking.export_guest", "tracking.erase_guest")

    erase = reverse("admin:tracking_guest_erase")
    assert browser.post(erase, {"id": guest.pk}).status_code == 404
    # The admin sends whoever asks for a page that is not there to its start.
    assert browser.get(reverse("admin:tracking_guest_export", args=[guest.pk])).status_code == 404
