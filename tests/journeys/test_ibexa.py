"""Ibexa's tracker: its addresses, as its documentation and its clients write them."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from tests.api import Api
from tests.conftest import Database
from tests.factories import CLIENT_KEY, ClientFactory
from tests.journeys.test_privacy import found_in_dump
from tracking import keyed, licences, tasks
from tracking.models import Client, Event, Guest, Identifier, InboxEntry, QuarantinedMessage
from tracking.wire import ibexa

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

pytestmark = pytest.mark.django_db(transaction=True)

LICENSE_KEY = "8695-1828-92810-5535-4239"

#: The example section of the tracker's documentation, and its types of events.
EXAMPLES = [
    ("click/Js79009234YU7/1/123?categorypath=%2FShoes%2FChildren", "CLICK"),
    ("rendered/Js79009234YU7/1/128,129,155", "RENDERED"),
    ("clickrecommended/Js79009234YU7/1/155?scenario=also_bought", "CLICKRECOMMENDED"),
    ("consume/Js79009234YU7/3/452", "CONSUME"),
    ("consume/Js79009234YU7/3/466?percentage=60", "CONSUME"),
    ("basket/Js79009234YU7/1/128", "BASKET"),
    ("basket/Js79009234YU7/1/129", "BASKET"),
    ("login/Js79009234YU7/johndoe", "LOGIN"),
    ("buy/johndoe/1/128?quantity=1&fullprice=19.99EUR", "BUY"),
    ("buy/johndoe/1/129?quantity=2&fullprice=4.44EUR", "BUY"),
    ("rate/johndoe/1/133?rating=5", "RATE"),
]
SIGNED = [
    "buy/johndoe/1/11?fullprice=19.99EUR&overridetimestamp=2012-01-01T11%3A00%3A00&quantity=1"
    "&signature=d0026f017ae823f19530d93318c5a2f6",
    "buy/johndoe/1/94?fullprice=23.99EUR&overridetimestamp=2012-01-02T11%3A00%3A00&quantity=5"
    "&signature=53ae5744879d5a3ae833f3ef34109b44",
    "buy/johndoe/1/78?fullprice=7.59EUR&overridetimestamp=2012-01-03T11%3A00%3A00&quantity=1"
    "&signature=d73e76754fb333e9733936bbd11bb5cd",
]


def track(
    api: Api, told: str, *, by_post: bool = False, solution: str = "api", **headers: Any
) -> "Response":
    """Call an address as a server does that hands on how it was sent."""
    target = f"/{solution}/{CLIENT_KEY}/{told}"
    send = api.http.post if by_post else api.http.get
    return send(target, RAW_URI=target, **headers)


def users(guest: Guest) -> list[str]:
    """Return the Ibexa users of a guest, and of everybody merged into it."""
    members = Guest.objects.speaking_through(guest.pk)
    named = Identifier.objects.filter(guest__in=members, provider="IBEXA")
    return sorted(named.values_list("value", flat=True))


def kept(client: Client, user: str) -> str:
    return keyed.user(client.ref, user)


def guest_of(client: Client, user: str) -> Guest:
    identifier = Identifier.objects.get(provider="IBEXA", value=kept(client, user))
    return identifier.guest.root or identifier.guest


def history(guest: Guest) -> list[str]:
    events = Event.objects.of_guest(guest.pk).order_by("occurred_at", "message_id")
    return [f"{event.type} {event.data.get('itemid', '')}".strip() for event in events]


@pytest.mark.parametrize("by_post", [False, True])
def test_tracker__documented_examples__are_recorded_one_event_each(
    database: Database, api: Api, shop: Client, by_post: bool
) -> None:
    for told, _type in EXAMPLES:
        response = track(api, told, by_post=by_post)
        assert response.status_code == 204, response.content
        assert response.content == b""

    types = [event.type for event in Event.objects.order_by("ref")]
    expected = [kind for _, kind in EXAMPLES]
    expected[2:2] = ["RENDERED"] * 2
    assert types == expected
    click = Event.objects.get(type="CLICK")
    assert click.data == {
        "type": "CLICK",
        "itemtypeid": 1,
        "itemid": "123",
        "categorypath": "Shoes/Children",
    }
    rendered = Event.objects.filter(type="RENDERED").order_by("ref")
    assert [event.data["itemid"] for event in rendered] == ["128", "129", "155"]
    johndoe = guest_of(shop, "johndoe")
    assert johndoe.type == "CUSTOMER"
    assert len(history(johndoe)) == 13
    assert InboxEntry.objects.count() == QuarantinedMessage.objects.count() == 0


@pytest.mark.parametrize("solution", ["api", "ebl", "news"])
def test_tracker__under_each_solution__takes_events_and_older_names(
    on_sqlite: Database, api: Api, solution: str
) -> None:
    told = [
        "transfer/anon/johndoe/",
        "follow/u/1/2?scenario=x",
        "render/u/1/3",
        "owns/u/1/4?quantity=2",
        "wishlist/u/1/5?price=2.50EUR",
        "deletefromwishlist/u/1/5",
        "deletefrombasket/u/1/5",
        "blacklist/u/1/6",
        "triggeropened/u?triggername=action_spring",
        "clicktriggered/u/1/7?triggername=action_spring",
    ]

    answers = [track(api, each, solution=solution).status_code for each in told]

    assert answers == [204] * len(told)
    assert [event.type for event in Event.objects.order_by("ref")] == [
        "LOGIN",
        "CLICKRECOMMENDED",
        "RENDERED",
        "OWNS",
        "WISHLIST",
        "DELETEFROMWISHLIST",
        "DELETEFROMBASKET",
        "BLACKLIST",
        "TRIGGEROPENED",
        "CLICKTRIGGERED",
    ]


@pytest.mark.parametrize(
    ("told", "status", "says"),
    [
        ("bought/u/1/2", 404, "no event “bought”"),
        ("click/u/0/2", 400, "item type"),
        ("click/u/abc/2", 400, "item type"),
        ("click/u/2147483648/2", 400, "item type"),
        ("rendered/u/0/2", 400, "item type"),
        ("click/u/1/0", 400, "item id"),
        ("click/u/1/abc", 400, "item id"),
        ("click/u/1/2147483648", 400, "item id"),
        ("click/u/1/-1", 400, "item id"),
        ("click/u/1/١", 400, "item id"),
        ("click/u/1", 400, "item id"),
        ("click/u", 400, "item type"),
        ("click/", 400, "no user"),
        ("click", 400, "no user"),
        ("click//1/2", 400, "no user"),
        ("click/%20/1/2", 400, "no user"),
        ("click/u/1/2/3", 400, "no more"),
        (f"click/{'u' * 257}/1/2", 400, "longer than 256"),
        ("click/u%5C/1/2", 400, "backslash"),
        ("click/u%5c/1/2", 400, "backslash"),
        ("click/u\\/1/2", 400, "backslash"),
        ("click/u/1/2?categorypath=a%5Cb", 400, "backslash"),
        ("click/u/1/2?x=a\\b", 400, "backslash"),
        ("click/%FF/1/2", 400, "UTF-8"),
        ("click/u/1/2?x=%FF", 400, "UTF-8"),
        ("click/u/1/2?x=%00", 400, "NUL"),
        ("buy/u/1/2?fullprice=12,45EUR", 400, "fullprice"),
        ("buy/u/1/2?fullprice=12.45%20EUR", 400, "fullprice"),
        ("buy/u/1/2?fullprice=12.45", 400, "fullprice"),
        ("buy/u/1/2?fullprice=12.45eur", 400, "fullprice"),
        ("buy/u/1/2?fullprice=-1EUR", 400, "fullprice"),
        ("buy/u/1/2?fullprice=1ZZZ", 400, "fullprice"),
        ("buy/u/1/2?fullprice=99999999999999999999EUR", 400, "fullprice"),
        ("buy/u/1/2?fullprice=", 400, "fullprice"),
        ("buy/u/1/2?quantity=", 400, "quantity"),
        ("buy/u/1/2?quantity=0", 400, "quantity"),
        ("buy/u/1/2?quantity=-1", 400, "quantity"),
        ("buy/u/1/2?quantity=1.5", 400, "quantity"),
        ("wishlist/u/1/2?price=1", 400, "price"),
        ("consume/u/1/2?percentage=101", 400, "percentage"),
        ("consume/u/1/2?percentage=x", 400, "percentage"),
        ("rate/u/1/2?rating=-1", 400, "rating"),
        ("rate/u/1/2?rating=101", 400, "rating"),
        ("clickrecommended/u/1/2", 400, "scenario"),
        ("clickrecommended/u/1/2?scenario=", 400, "scenario"),
        ("triggeropened/u", 400, "triggername"),
        ("clicktriggered/u/1/2", 400, "triggername"),
        ("triggeropened/u/1/2?triggername=x", 400, "more segments"),
        ("login/a", 400, "no user"),
        ("login/a/", 400, "no user"),
        ("login//b", 400, "no user"),
        ("login/a/b/c", 400, "two users"),
        ("buy/u/1/2?overridetimestamp=2012-01-01T11:00:00", 401, "signature"),
        (f"click/u/1/2?x={'y' * 8192}", 414, "8192"),
    ],
)
def test_tracker__wrong_address__is_refused_in_words_and_stores_nothing(
    on_sqlite: Database, api: Api, told: str, status: int, says: str
) -> None:
    response = track(api, told)

    assert response.status_code == status
    assert says in response.content.decode()
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Cache-Control"] == "no-store"
    assert InboxEntry.objects.count() == Event.objects.count() == 0


def test_tracker__unknown_customer__is_not_found(on_sqlite: Database, api: Api) -> None:
    target = "/api/00000/click/u/1/2"

    response = api.http.get(target, RAW_URI=target, HTTP_ORIGIN="https://shop.example")

    assert response.status_code == 404
    assert "No customer" in response.content.decode()
    assert response["Access-Control-Allow-Origin"] == "*"


def test_tracker__credentials_that_nobody_asked_for__change_nothing(
    on_sqlite: Database, api: Api
) -> None:
    response = track(api, "click/u/1/2", HTTP_AUTHORIZATION="Basic bm9ib2R5Om5vdGhpbmc=")

    assert response.status_code == 204


def test_tracker__pixel_page_script_and_head__each_get_what_they_can_use(
    on_sqlite: Database, api: Api
) -> None:
    image = track(api, "click/u/1/2", HTTP_ACCEPT="image/avif,image/webp,*/*;q=0.8")
    script = track(api, "click/u/1/2", HTTP_ACCEPT="*/*", HTTP_ORIGIN="https://shop.example")
    target = f"/api/{CLIENT_KEY}/click/u/1/2"
    head = api.http.head(target, RAW_URI=target)

    assert image.status_code == 200
    assert (image["Content-Type"], image.content[:6]) == ("image/gif", b"GIF89a")
    assert script.status_code == 204
    assert script["Access-Control-Allow-Origin"] == "*"
    assert image["Cache-Control"] == script["Cache-Control"] == "no-store"
    assert head.status_code == 405
    assert Event.objects.count() == 2


def test_tracker__parameters_in_a_form__are_read_where_the_address_has_none(
    on_sqlite: Database, api: Api
) -> None:
    form = "fullprice=2.50EUR&quantity=3"

    response = track(
        api,
        "buy/u/1/2?quantity=4",
        by_post=True,
        data=form,
        content_type="application/x-www-form-urlencoded",
    )

    assert response.status_code == 204
    data = Event.objects.get().data
    assert (data["fullprice"], data["quantity"]) == ("2.50EUR", 4)


@pytest.mark.parametrize(
    "path", ["%2FCameras%2F", "Cameras", "/Cameras/", "%2fCameras", "Cameras%2F"]
)
def test_category_path__with_and_without_slashes_at_its_ends__is_the_same(
    on_sqlite: Database, api: Api, path: str
) -> None:
    track(api, f"click/u/1/2?categoryPath={path}")

    assert Event.objects.get().data["categorypath"] == "Cameras"


def test_category_path__with_spaces_and_ampersands__keeps_them(
    on_sqlite: Database, api: Api
) -> None:
    track(api, "click/u/1/2?categorypath=%2FCameras%26Foto%2FCompact%20Cameras%2FCanon")
    # Escaped twice, as one shop system does it: undone once.
    track(api, "click/u/1/2?categorypath=Foto%252FCanon")
    track(api, "click/u/1/2?categorypath=")

    paths = [event.data.get("categorypath") for event in Event.objects.order_by("ref")]
    assert paths == ["Cameras&Foto/Compact Cameras/Canon", "Foto%2FCanon", None]


def test_click__of_a_client_that_wants_categories__needs_one(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    Client.objects.update(requires_category_path=True)

    assert track(api, "click/u/1/2").status_code == 400
    assert track(api, "click/u/1/2?categorypath=%2F").status_code == 400
    assert track(api, "click/u/1/2?categorypath=a").status_code == 204
    assert track(api, "basket/u/1/2").status_code == 204


def test_item_ids__of_a_client_that_allows_text__may_be_addresses_and_titles(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    Client.objects.update(allows_text_item_ids=True)

    track(api, "click/u/1/https%3A%2F%2Fmydoc.pdf")
    track(api, "rendered/u/1/a%2Cb,c")
    assert track(api, "click/u/1/%20").status_code == 400

    ids = [event.data["itemid"] for event in Event.objects.order_by("ref")]
    assert ids == ["https://mydoc.pdf", "a,b", "c"]


def test_users__that_differ_in_case_or_hold_a_slash__are_told_apart(
    database: Database, api: Api, shop: Client
) -> None:
    for user in ("Ab", "ab", "a%2Fb"):
        track(api, f"click/{user}/1/2")

    values = set(Identifier.objects.values_list("value", flat=True))
    assert values == {kept(shop, "Ab"), kept(shop, "ab"), kept(shop, "a/b")}


@pytest.mark.parametrize(
    ("told", "status", "user"),
    [
        ("click/a/b/1/2", 204, "a/b"),
        ("click/a/1/2/", 204, "a"),
        ("triggeropened/a/b?triggername=x", 204, "a/b"),
        ("login/a/b/c", 400, ""),
        ("click//1/2", 400, ""),
        ("click/a\\b/1/2", 400, ""),
    ],
)
def test_tracker__behind_a_server_that_undoes_escapes__reads_what_is_certain(
    on_sqlite: Database, api: Api, shop: Client, told: str, status: int, user: str
) -> None:
    response = api.http.get(f"/api/{CLIENT_KEY}/{told}")

    assert response.status_code == status
    assert [*Identifier.objects.values_list("value", flat=True)] == (
        [kept(shop, user)] if user else []
    )


@pytest.mark.parametrize(
    "told",
    [
        "rendered/u/57/",
        "rendered/u/57",
        "rendered/u/0/",
        "rendered/u/abc/",
        "login/not_defined/johndoe",
        "login/u/not_defined",
    ],
)
def test_tracker__address_that_tells_nothing__is_thanked_for_and_not_kept(
    on_sqlite: Database, api: Api, told: str
) -> None:
    assert track(api, told).status_code == 204
    assert InboxEntry.objects.count() == Event.objects.count() == Guest.objects.count() == 0


def test_tracker__unknown_parameters__are_kept(on_sqlite: Database, api: Api) -> None:
    track(api, "click/u/1/2?lang=eng-GB&storeViewId=1&title=Caf%C3%A9+au+lait&RequestUUID=x")

    assert Event.objects.get().data == {
        "type": "CLICK",
        "itemtypeid": 1,
        "itemid": "2",
        "lang": "eng-GB",
        "storeViewId": "1",
        "title": "Café au lait",
        "requestuuid": "x",
    }


def test_dummy_user__is_recorded_and_nobodys(database: Database, api: Api) -> None:
    track(api, "click/not_defined/1/2")
    track(api, "click/not_defined/1/3")

    assert [event.guest for event in Event.objects.all()] == [None, None]
    assert Guest.objects.count() == 0


def test_request__sent_again_under_its_key__counts_once(database: Database, api: Api) -> None:
    for _ in range(2):
        track(api, "rendered/u/1/2,3", HTTP_IDEMPOTENCY_KEY="once")

    assert Event.objects.count() == 2


# --- events of another time --------------------------------------------------------------------


@pytest.fixture
def licensed(shop: Client) -> Client:
    licences.store(shop, LICENSE_KEY)
    shop.time_zone = "Europe/Berlin"
    shop.save()
    return shop


def test_signed_events__of_the_documentation__are_recorded_at_their_time(
    database: Database, api: Api, licensed: Client
) -> None:
    assert [track(api, told).status_code for told in SIGNED] == [204] * 3

    events = Event.objects.order_by("occurred_at")
    assert [event.occurred_at.isoformat() for event in events] == [
        "2012-01-01T10:00:00+00:00",
        "2012-01-02T10:00:00+00:00",
        "2012-01-03T10:00:00+00:00",
    ]
    assert "signature" not in events[0].data


def _flipped(told: str) -> str:
    return told[:-1] + ("0" if told[-1] != "0" else "1")


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (_flipped(SIGNED[0]), 401),
        (SIGNED[0].replace("johndoe/1/11", "johndoe/1/12"), 401),
        (SIGNED[0].replace("johndoe/1/11", "johndoe/2/11"), 401),
        (SIGNED[0].replace("19.99", "1.99"), 401),
        (SIGNED[0].replace("quantity=1&", ""), 401),
        (SIGNED[0].replace("quantity=1", "quantity="), 401),
        (SIGNED[0].replace("2012-01-01", "2012-01-02"), 401),
        (SIGNED[0].partition("&signature")[0], 401),
        (SIGNED[0] + "&x=1", 401),
        # How it is escaped on its way says nothing: the signature is over the form it has to have.
        (SIGNED[0].replace("%3A", "%3a"), 204),
        (SIGNED[0].replace("%3A", ":"), 204),
        (SIGNED[0].replace("johndoe", "anybody"), 204),
    ],
)
def test_signed_event__that_was_changed__is_refused(
    on_sqlite: Database, api: Api, licensed: Client, told: str, status: int
) -> None:
    assert track(api, told).status_code == status
    assert Event.objects.count() == (1 if status == 204 else 0)


def test_signed_event__over_lower_case_escapes__is_refused(
    on_sqlite: Database, api: Api, licensed: Client
) -> None:
    rest = "overridetimestamp=2012-01-01T11%3a00%3a00"
    forged = ibexa.signature(1, "11", LICENSE_KEY, rest)
    right = ibexa.signature(1, "11", LICENSE_KEY, rest.replace("%3a", "%3A"))

    assert track(api, f"buy/johndoe/1/11?{rest}&signature={forged}").status_code == 401
    assert track(api, f"buy/johndoe/1/11?{rest}&signature={right}").status_code == 204


@pytest.mark.parametrize("time", ["2012-01-01", "2012-13-01T11:00:00", "2012-01-01T11:00:00Z", ""])
def test_signed_event__without_a_time_in_the_documented_form__is_refused(
    on_sqlite: Database, api: Api, licensed: Client, time: str
) -> None:
    rest = f"overridetimestamp={time.replace(':', '%3A')}"
    signature = ibexa.signature(1, "11", LICENSE_KEY, rest)

    assert track(api, f"buy/u/1/11?{rest}&signature={signature}").status_code == 400


def test_revoked_license_key__signs_no_more(
    on_sqlite: Database, api: Api, licensed: Client
) -> None:
    licensed.keys.filter(kind="LICENCE").delete()

    assert track(api, SIGNED[0]).status_code == 401


# --- who is who --------------------------------------------------------------------------------


def test_login__gives_the_user_what_the_visitor_did(
    database: Database, api: Api, shop: Client
) -> None:
    track(api, "click/anon/1/1")
    track(api, "login/anon/johndoe")
    track(api, "buy/johndoe/1/2")

    assert history(guest_of(shop, "johndoe")) == ["CLICK 1", "LOGIN", "BUY 2"]


def test_login__repeated_with_nothing_new__changes_nothing(
    database: Database, api: Api, shop: Client
) -> None:
    track(api, "click/anon/1/1")
    track(api, "login/anon/johndoe")
    before = Guest.objects.count()

    track(api, "login/anon/johndoe")
    track(api, "login/anon/johndoe")

    assert Guest.objects.count() == before
    assert history(guest_of(shop, "johndoe")) == ["CLICK 1", "LOGIN", "LOGIN", "LOGIN"]


def test_login__of_an_id_that_is_used_again__starts_with_nothing(
    database: Database, api: Api, shop: Client
) -> None:
    track(api, "click/shared/1/1")
    track(api, "login/shared/johndoe")
    track(api, "click/shared/1/2")
    stranger = guest_of(shop, "shared")

    assert history(stranger) == ["CLICK 2"]
    assert stranger.type == "VISITOR"

    track(api, "login/shared/janedoe")
    track(api, "click/shared/1/3")
    track(api, "login/shared/johndoe")

    assert history(guest_of(shop, "johndoe")) == ["CLICK 1", "LOGIN", "CLICK 3", "LOGIN"]
    assert history(guest_of(shop, "janedoe")) == ["CLICK 2", "LOGIN"]


def test_login__from_one_account_to_another__joins_nobody(
    database: Database, api: Api, shop: Client
) -> None:
    track(api, "login/anon/johndoe")
    track(api, "click/johndoe/1/1")
    track(api, "login/johndoe/janedoe")

    assert history(guest_of(shop, "johndoe")) == ["LOGIN", "CLICK 1"]
    warned = Event.objects.filter(type="LOGIN").order_by("ref").last()
    assert warned is not None
    assert warned.warnings == ["The earlier id is another known user's. Nothing was joined."]


@pytest.mark.parametrize("order", list(itertools.permutations(range(5))))
def test_logins__in_any_order_of_arrival__come_to_the_same(
    on_sqlite: Database, api: Api, licensed: Client, order: Sequence[int]
) -> None:
    story = [
        "click/a/1/1",
        "login/a/johndoe",
        "click/a/1/2",
        "login/a/janedoe",
        "click/a/1/3",
    ]

    for index in order:
        told = story[index]
        rest = f"overridetimestamp=2020-01-01T{10 + index}%3A00%3A00"
        _, *tail = told.split("/")
        item = ("1", tail[2]) if told.startswith("click") else ("0", "")
        signature = ibexa.signature(int(item[0]), item[1], LICENSE_KEY, rest)
        assert track(api, f"{told}?{rest}&signature={signature}").status_code == 204

    assert history(guest_of(licensed, "johndoe")) == ["CLICK 1", "LOGIN"]
    assert history(guest_of(licensed, "janedoe")) == ["CLICK 2", "LOGIN"]
    assert history(guest_of(licensed, "a")) == ["CLICK 3"]


def test_users__of_two_clients__cannot_be_linked(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    other = ClientFactory.create(name="Other", key="other-client-key-0123456789")

    assert kept(shop, "johndoe") != kept(other, "johndoe")


def test_hash_key__of_another_installation__gives_other_names(
    on_sqlite: Database, shop: Client, settings: Any
) -> None:
    before = kept(shop, "johndoe")
    settings.TRACKING = settings.TRACKING | {"HASH_KEY": "another secret"}

    assert kept(shop, "johndoe") != before


def test_clear_user_ids__are_nowhere_in_the_database_before_and_after_the_walk(
    database: Database, api: Api, shop: Client, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    page = "https://shop.example/account/zaphod-beeblebrox?u=zaphod-beeblebrox"
    user = "zaphod-beeblebrox"
    track(api, f"click/{user}/1/2?uid={user}&back=/{user}/x", HTTP_REFERER=page)
    track(api, f"login/{user}/{user}-2")
    track(api, f"login/anon/{user}")
    track(api, f"triggeropened/{user}?triggername=x")
    track(api, f"click/{user}/1/2?{'&'.join(f'k{n}={user}' for n in range(100))}")
    assert track(api, f"click/{user}/0/2").status_code == 400

    assert InboxEntry.objects.count() == 5
    assert found_in_dump(database, user) == []
    tasks.drain()
    assert Event.objects.count() >= 4
    assert found_in_dump(database, user) == []
    assert user not in caplog.text


# --- one person by several families ------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_hashed_users__joined_with_customer_numbers__are_one_guest(
    database: Database, api: Api, shop: Client, order: Sequence[int]
) -> None:
    Client.objects.update(hashed_provider="CUSTOMER_ID")
    browser = api.create_browser()["ref"]
    api.send("VIEW", browser)

    for index in order:
        if index == 0:
            track(api, "click/johndoe/1/1")
        elif index == 1:
            api.identify(browser, ("CUSTOMER_ID", "johndoe"))
        else:
            track(api, "click/anon/1/2")
            track(api, "login/anon/johndoe")

    told = history(guest_of(shop, "johndoe"))
    assert sorted(told) == ["CLICK 1", "CLICK 2", "IDENTITY", "LOGIN", "VIEW"]
    assert Guest.objects.survivors().count() == 1


def test_hashed_users__joined_with_user_ids__are_one_guest(
    database: Database, api: Api, shop: Client
) -> None:
    Client.objects.update(hashed_provider="USER_ID")
    call = {"writeKey": api.client_key, "type": "track", "event": "Seen", "userId": "johndoe"}
    track(api, "click/johndoe/1/1")
    api.json(api.post("/v1/track", call | {"messageId": "1"}))
    track(api, "click/johndoe/1/2")
    api.json(api.post("/v1/track", call | {"messageId": "2", "anonymousId": "device"}))

    assert sorted(history(guest_of(shop, "johndoe"))) == ["CLICK 1", "CLICK 2", "Seen", "Seen"]


def test_hashed_users__of_a_client_that_did_not_ask__are_kept_apart(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    browser = api.create_browser()["ref"]
    track(api, "click/johndoe/1/1")
    api.identify(browser, ("CUSTOMER_ID", "johndoe"))

    assert history(guest_of(shop, "johndoe")) == ["CLICK 1"]
