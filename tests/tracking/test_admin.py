"""The admin of the event side: what staff see and may do, and that nothing sent can run there."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from tests.api import Api
from tests.conftest import Database
from tests.factories import BrowserFactory, ClientFactory, GuestFactory
from tracking import clients
from tracking.models import (
    Client,
    Event,
    Guest,
    InboxEntry,
    Key,
    MergeRecord,
    QuarantinedMessage,
    Session,
)

ATTACK = "<script>alert(1)</script>"


def staff(*permissions: str, group: Group | None = None) -> Browser:
    """Return a browser in which somebody with just these permissions has signed in."""
    users = get_user_model()._default_manager
    user: Any = users.create(username=f"staff-{users.count()}", is_staff=True)
    for name in permissions:
        app_label, codename = name.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app_label, codename=codename)
        )
    if group is not None:
        user.groups.add(group)
    browser = Browser()
    browser.force_login(user)
    return browser


def superuser(name: str = "root") -> Browser:
    user: Any = get_user_model()._default_manager.create(
        username=name, is_staff=True, is_superuser=True
    )
    browser = Browser()
    browser.force_login(user)
    return browser


def page(browser: Browser, name: str, *args: Any, **query: Any) -> str:
    response = browser.get(reverse(f"admin:{name}", args=args), query)
    assert response.status_code == 200, response
    return response.content.decode()


@pytest.fixture
def visited(api: Api) -> Guest:
    """A visitor whose events carry markup in every place that a page shows."""
    browser = api.create_browser()
    api.send("VIEW", browser["ref"], page=f"/{ATTACK}", ext={ATTACK: ATTACK}, referrer=ATTACK)
    api.send(f"Clicked {ATTACK}", browser["ref"], title=ATTACK, product={"name": ATTACK})
    api.identify(browser["ref"], ("EMAIL", "eve@example.com"), firstname=ATTACK, city=ATTACK)
    return Guest.objects.get(ref=browser["customer_ref"])


@pytest.mark.django_db(transaction=True)
def test_pages__of_a_guest_who_sent_markup__show_it_escaped(
    database: Database, visited: Guest
) -> None:
    browser = superuser()
    pages = [
        page(browser, "tracking_guest_changelist"),
        page(browser, "tracking_guest_change", visited.pk),
        page(browser, "tracking_event_changelist"),
        page(browser, "tracking_session_changelist"),
        page(browser, "tracking_session_change", Session.objects.get().pk),
        *[page(browser, "tracking_event_change", e.pk) for e in Event.objects.all()],
    ]

    for html in pages:
        assert ATTACK not in html
        assert not re.search(r"<script(?![^>]*\bsrc=)", html), "an inline script"
        assert not re.search(r"\son\w+=", html), "an inline handler"
        assert "&lt;script&gt;" in html


@pytest.mark.django_db(transaction=True)
def test_quarantine__of_a_message_with_markup__shows_it_escaped(
    on_sqlite: Database, api: Api
) -> None:
    hold(api, ATTACK)

    html = page(superuser(), "tracking_quarantinedmessage_change", held().pk)

    assert ATTACK not in html
    assert "&lt;script&gt;" in html


@pytest.mark.django_db(transaction=True)
def test_timeline__groups_by_visit_and_speaks_in_sentences(on_sqlite: Database, api: Api) -> None:
    browser = api.create_browser()
    api.send("VIEW", browser["ref"], page="/shoes")
    api.send("ADD", browser["ref"], product={"name": "Red shoe"})
    guest = Guest.objects.get(ref=browser["customer_ref"])

    html = page(superuser(), "tracking_guest_change", guest.pk)

    assert "Visit on WEB" in html
    assert "2 events" in html
    assert "Viewed “/shoes”" in html
    assert "Added Red shoe to the cart" in html
    assert html.index("Added Red shoe") < html.index("Viewed “/shoes”")


@pytest.mark.django_db(transaction=True)
def test_semantic_event__has_its_badge_and_remarks_on_both_pages(
    on_sqlite: Database, api: Api
) -> None:
    browser = api.create_browser()
    shoes = {"name": "Cool Shoes", "price": "a lot", "quantity": "<b>"}
    api.send("Product Added", browser["ref"], ext=shoes)
    guest = Guest.objects.get(ref=browser["customer_ref"])
    event = Event.objects.get(type="Product Added")

    staff_browser = superuser()
    pages = [
        page(staff_browser, "tracking_guest_change", guest.pk),
        page(staff_browser, "tracking_event_change", event.pk),
    ]

    for html in pages:
        assert "Added Cool Shoes to the cart" in html
        assert '<span class="tr-tag">e-commerce</span>' in html
        assert "price is not a number. quantity is not a number." in html
        assert "<b>" not in html


@pytest.mark.django_db(transaction=True)
def test_timeline__longer_than_a_page__goes_on_under_older_in_bounded_queries(
    on_sqlite: Database, api: Api, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    browser = api.create_browser()
    events = [
        {"type": "VIEW", "browserId": browser["ref"], "page": f"/page-{n:02}"} for n in range(70)
    ]
    api.batch(*events)
    guest = Guest.objects.get(ref=browser["customer_ref"])
    staff_browser = superuser()

    with django_assert_max_num_queries(17):
        first = page(staff_browser, "tracking_guest_change", guest.pk)
    (older,) = re.findall(r'href="\?before=([^"]+)"', first)
    second = page(staff_browser, "tracking_guest_change", guest.pk, before=older)

    assert first.count("Viewed “/page-") == 50
    assert second.count("Viewed “/page-") == 20
    assert "?before=" not in second


@pytest.mark.django_db
def test_guest_list__of_many_guests__takes_a_fixed_number_of_queries(
    database: Database, shop: Client, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    GuestFactory.create_batch(60, client=shop)
    browser = superuser()

    with django_assert_max_num_queries(8):
        html = page(browser, "tracking_guest_changelist")

    assert html.count('class="field-type_pill"') == 50


@pytest.mark.django_db
@pytest.mark.parametrize("term", ["ref", "ADA@example.com", "lovelace ada", "C-42"])
def test_guest_search__by_each_thing_that_names_a_guest__finds_just_that_one(
    database: Database, shop: Client, term: str
) -> None:
    ada = GuestFactory.create(
        client=shop, first_name="Ada", last_name="Lovelace", email="ada@example.com"
    )
    GuestFactory.create(client=shop, first_name="Bob", last_name="Ada")
    BrowserFactory.create(guest=ada, provider="CUSTOMER_ID", value="C-42")
    term = str(ada.ref) if term == "ref" else term

    html = page(superuser(), "tracking_guest_changelist", q=term)

    assert "ada@example.com" in html
    assert "Bob" not in html


@pytest.mark.django_db
def test_guest__with_a_view_permission__cannot_be_changed(
    on_sqlite: Database, shop: Client
) -> None:
    guest = GuestFactory.create(client=shop)
    browser = staff("tracking.view_guest", "tracking.change_guest", "tracking.delete_guest")
    address = reverse("admin:tracking_guest_change", args=[guest.pk])

    assert browser.get(address).status_code == 200
    assert browser.post(address, {"first_name": "x"}).status_code == 403
    assert browser.get(address.replace("change", "delete")).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_merge__undone_by_somebody_who_may__separates_the_guests(
    database: Database, api: Api
) -> None:
    phone, laptop = api.create_browser(), api.create_browser()
    api.identify(phone["ref"], ("EMAIL", "ada@example.com"))
    api.identify(laptop["ref"], ("EMAIL", "ada@example.com"))
    merge = MergeRecord.objects.get()
    address = reverse("admin:tracking_guest_undo_merge", args=[merge.survivor_id, merge.pk])

    looker = staff("tracking.view_guest")
    assert looker.post(address).status_code == 403
    undoer = staff("tracking.view_guest", "tracking.unmerge_guest")
    assert undoer.get(address).status_code == 405
    undone = undoer.post(address, follow=True)
    again = undoer.post(address, follow=True)

    assert "separate guests again" in undone.content.decode()
    assert "undone before" in again.content.decode()
    assert Guest.objects.get(pk=merge.retired_id).root_id is None


# --- clients limited to groups ----------------------------------------------------------


@pytest.fixture
def two_shops(shop: Client) -> tuple[Client, Client]:
    """The shop, which everybody sees, and one that only its own group sees."""
    secret = ClientFactory.create(name="Secret brand", key="k" * 32, token="t" * 32)
    secret.staff_groups.add(Group.objects.create(name="secret"))
    return shop, secret


VIEWS = ("tracking.view_guest", "tracking.view_event", "tracking.view_session",
         "tracking.view_client", "tracking.view_quarantinedmessage")  # fmt: skip


@pytest.mark.django_db
def test_scoping__of_a_client_with_groups__hides_all_its_rows_from_others(
    database: Database, two_shops: tuple[Client, Client]
) -> None:
    _shop, secret = two_shops
    guest = GuestFactory.create(client=secret, email="hidden@example.com")
    message = held_row(secret)
    outsider = staff(*VIEWS)
    insider = staff(*VIEWS, group=Group.objects.get(name="secret"))

    for browser, is_seen in ((outsider, False), (insider, True), (superuser(), True)):
        listed = page(browser, "tracking_guest_changelist")
        assert ("hidden@example.com" in listed) is is_seen
        assert ("Secret brand" in page(browser, "tracking_client_changelist")) is is_seen
        quarantine = page(browser, "tracking_quarantinedmessage_changelist")
        assert ("poisoned" in quarantine) is is_seen
        for name, pk in (
            ("tracking_guest_change", guest.pk),
            ("tracking_client_change", secret.pk),
            ("tracking_quarantinedmessage_change", message.pk),
        ):
            # The admin sends whoever asks for a row that is not there back to its index.
            status = browser.get(reverse(f"admin:{name}", args=[pk])).status_code
            assert status == (200 if is_seen else 302), name


@pytest.mark.django_db
def test_scoping__of_a_replay__leaves_messages_of_hidden_clients_alone(
    on_sqlite: Database, two_shops: tuple[Client, Client]
) -> None:
    message = held_row(two_shops[1])
    browser = staff(*VIEWS, "tracking.replay_quarantinedmessage")

    browser.post(
        reverse("admin:tracking_quarantinedmessage_changelist"),
        {"action": "replay", "_selected_action": [message.pk]},
    )
    direct = browser.post(reverse("admin:tracking_quarantinedmessage_replay", args=[message.pk]))

    assert direct.status_code == 404
    message.refresh_from_db()
    assert message.status == "HELD"


@pytest.mark.django_db
def test_staff_groups__of_a_client__are_for_superusers_to_set(
    on_sqlite: Database, shop: Client
) -> None:
    limited = staff("tracking.view_client", "tracking.change_client")

    assert 'name="staff_groups"' not in page(limited, "tracking_client_change", shop.pk)
    assert 'name="staff_groups"' in page(superuser(), "tracking_client_change", shop.pk)


# --- quarantine --------------------------------------------------------------------------


def hold(api: Api, text: str) -> None:
    """Have a message set aside: its browser is not known."""
    stranger = "56860bff-94ba-4d84-aa37-2b5a83d5411b"
    api.batch({"type": "VIEW", "browserId": stranger, "messageId": "m-1", "page": text})


def held() -> QuarantinedMessage:
    return QuarantinedMessage.objects.get()


def held_row(client: Client) -> QuarantinedMessage:
    return QuarantinedMessage.objects.create(
        client=client,
        entry_ref="0190a0c0-0000-7000-8000-000000000000",
        dialect="batch",
        type="VIEW",
        code="poisoned",
        reason="It broke.",
        body=b"{}",
        received_at=timezone.now(),
        quarantined_at=timezone.now(),
    )


@pytest.mark.django_db(transaction=True)
def test_replay__of_a_message_that_is_now_good__records_it_once(
    database: Database, api: Api
) -> None:
    hold(api, "/late")
    message = held()
    known = BrowserFactory.create(
        guest=GuestFactory.create(client=Client.objects.get()),
        value="56860bff-94ba-4d84-aa37-2b5a83d5411b",
    )
    browser = staff(*VIEWS, "tracking.replay_quarantinedmessage")
    address = reverse("admin:tracking_quarantinedmessage_replay", args=[message.pk])

    answer = browser.post(address, follow=True).content.decode()
    again = browser.post(address, follow=True).content.decode()

    assert "1 message was sent round again" in answer
    assert "replayed before" in again
    assert Event.objects.get().browser_id == known.pk
    assert not InboxEntry.objects.exists()
    message.refresh_from_db()
    assert message.status == "REPLAYED"


@pytest.mark.django_db(transaction=True)
def test_replay__as_an_action_on_a_message_still_bad__says_it_was_set_aside_again(
    on_sqlite: Database, api: Api
) -> None:
    hold(api, "/never")
    browser = staff(*VIEWS, "tracking.replay_quarantinedmessage")

    answer = browser.post(
        reverse("admin:tracking_quarantinedmessage_changelist"),
        {"action": "replay", "_selected_action": [held().pk]},
        follow=True,
    ).content.decode()

    assert "1 of them was set aside again" in answer
    assert held().attempts == 2


@pytest.mark.django_db
def test_replay__without_its_permission__is_neither_offered_nor_done(
    on_sqlite: Database, shop: Client
) -> None:
    message = held_row(shop)
    browser = staff(*VIEWS)

    assert "Replay" not in page(browser, "tracking_quarantinedmessage_change", message.pk)
    address = reverse("admin:tracking_quarantinedmessage_replay", args=[message.pk])
    assert browser.post(address).status_code == 403


# --- clients and keys --------------------------------------------------------------------

KEYS = ("tracking.view_client", "tracking.change_client", "tracking.add_key", "tracking.change_key",
        "tracking.view_pointofsale", "tracking.change_pointofsale",
        "tracking.add_pointofsale")  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["PUBLIC", "SECRET"])
def test_key__made_by_a_button__is_shown_that_once_and_works(
    on_sqlite: Database, shop: Client, kind: str
) -> None:
    browser = staff(*KEYS)

    answer = browser.post(reverse("admin:tracking_client_new_key", args=[shop.pk]), {"kind": kind})

    (value,) = re.findall(r'value="([A-Za-z0-9]{32})"', answer.content.decode())
    assert "no-store" in answer["Cache-Control"]
    assert value not in page(browser, "tracking_client_change", shop.pk)
    assert value not in page(browser, "tracking_client_history", shop.pk)
    if kind == "PUBLIC":
        assert clients.by_key(value) is not None
    else:
        assert not Key.objects.filter(value=value).exists()
        public = Key.objects.get(client=shop, kind="PUBLIC").value
        assert clients.by_secret(public, value) is not None


@pytest.mark.django_db
def test_key__revoked__opens_nothing_any_more(on_sqlite: Database, shop: Client) -> None:
    key = Key.objects.get(client=shop, kind="PUBLIC")
    address = reverse("admin:tracking_client_revoke_key", args=[shop.pk, key.pk])

    assert staff("tracking.view_client").post(address).status_code == 403
    staff(*KEYS).post(address)

    assert clients.by_key(key.value) is None


def client_form(**values: Any) -> dict[str, Any]:
    return {
        "name": "New shop",
        "allowed_origins": "",
        "time_zone": "UTC",
        "currency": "EUR",
        "language": "EN",
        "identity_rules": "",
        "points_of_sale-TOTAL_FORMS": 0,
        "points_of_sale-INITIAL_FORMS": 0,
    } | values


@pytest.mark.django_db
def test_client__made_in_the_admin__has_a_storefront_and_lists_by_lines(
    database: Database, db: None
) -> None:
    superuser().post(
        reverse("admin:tracking_client_add"),
        client_form(
            allowed_origins="https://Shop.example/\nhttps://shop.example:443\nhttp://[::1]:8000",
            identity_rules="CUSTOMER_ID\nEMAIL\n",
        ),
    )

    client = Client.objects.get(name="New shop")
    assert client.allowed_origins == ["https://shop.example", "http://[::1]:8000"]
    assert client.identity_rules == ["CUSTOMER_ID", "EMAIL"]
    assert client.default_point_of_sale is not None
    assert client.default_point_of_sale.client == client


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong",
    [
        {"allowed_origins": "shop.example"},
        {"allowed_origins": "https://shop.example/path"},
        {"allowed_origins": "https://user@shop.example"},
        {"allowed_origins": "javascript:alert(1)"},
        {"allowed_origins": "https://shop.example:99999"},
        {"time_zone": "Nowhere/Land"},
        {"currency": "euro"},
    ],
)
def test_client__with_a_bad_value__is_refused_at_the_field(
    on_sqlite: Database, wrong: dict[str, Any]
) -> None:
    answer = superuser().post(reverse("admin:tracking_client_add"), client_form(**wrong))

    (name,) = wrong
    assert name in answer.context["adminform"].form.errors
    assert not Client.objects.exists()
