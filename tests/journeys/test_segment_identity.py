"""Who is whose by the calls of the Segment family, in whatever order they arrive."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api import Api
from tests.conftest import Database
from tests.factories import ClientFactory
from tests.journeys.test_segment import post, read, send, send_batch
from tests.thoroughness import searched
from tracking.models import Event, Guest, Identifier

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 5, 1, 12, tzinfo=UTC)

Call = dict[str, Any]
#: Ids under which one guest is found: `a1` as a device's, `u1` as a user's.
Names = frozenset[str]


@dataclass(frozen=True)
class Scenario:
    """Calls, one a minute, and what must come of them in every order of arrival."""

    calls: Sequence[Call]
    #: The guests there are in the end, by their ids, with what is known of them.
    guests: Mapping[Names, dict[str, Any]]
    #: The ids of the guest whose each call is.
    owners: Sequence[Names]
    #: Minutes at which the calls happened, where that is not one after the other.
    minutes: Sequence[int] = ()


@dataclass(frozen=True)
class Outcome:
    guests: Mapping[Names, dict[str, Any]]
    owners: Sequence[Names]


def names(text: str) -> Names:
    return frozenset(text.split())


def track(**ids: str) -> Call:
    return {"type": "track", "event": "Opened", **ids}


def seen(device: str) -> Call:
    return track(anonymousId=device)


def done(user: str, device: str = "") -> Call:
    return track(userId=user, **({"anonymousId": device} if device else {}))


def identify(user: str = "", device: str = "", **traits: Any) -> Call:
    ids = {"userId": user, "anonymousId": device}
    return {"type": "identify", **{name: id for name, id in ids.items() if id}, "traits": traits}


def alias(user: str, previous: str, device: str = "") -> Call:
    call = {"type": "alias", "userId": user, "previousId": previous}
    return call | ({"anonymousId": device} if device else {})


PROVIDERS = {"a": "BROWSER", "u": "USER_ID"}
U1, U2 = names("u1"), names("u2")
A1_U1, A2_U2, BOTH = names("a1 u1"), names("a2 u2"), names("a1 a2 u1")
NOTHING: dict[str, Any] = {}

SCENARIOS: dict[str, Scenario] = {
    "a second user on a device that is another's": Scenario(
        calls=[identify("u1", "a1"), done("u2", "a1"), seen("a1")],
        guests={A1_U1: NOTHING, U2: NOTHING},
        owners=[A1_U1, U2, A1_U1],
    ),
    "a second user who identifies there": Scenario(
        calls=[
            identify("u1", "a1", plan="pro"),
            identify("u2", "a1", plan="free"),
            done("u2", "a2"),
        ],
        guests={A1_U1: {"plan": "pro"}, A2_U2: {"plan": "free"}},
        owners=[A1_U1, A2_U2, A2_U2],
    ),
    "two users at one moment: the message id decides": Scenario(
        calls=[identify("u1", "a1"), identify("u2", "a1"), seen("a1")],
        minutes=[1, 1, 0],
        guests={A1_U1: NOTHING, U2: NOTHING},
        owners=[A1_U1, U2, A1_U1],
    ),
    "one user on two devices": Scenario(
        calls=[identify("u1", "a1"), seen("a2"), done("u1", "a2")],
        guests={BOTH: NOTHING},
        owners=[BOTH] * 3,
    ),
    "traits from before and after the user is known": Scenario(
        calls=[
            identify("", "a1", plan="free", color="red", size=7),
            identify("u1", "", plan="pro", town="Cork"),
            identify("u1", "a1", color=None),
            identify("", "a1", size=8, town=None),
        ],
        guests={A1_U1: {"plan": "pro", "size": 8}},
        owners=[A1_U1] * 4,
    ),
    "an alias of a device": Scenario(
        calls=[seen("a1"), alias("u1", "a1"), done("u1")],
        guests={A1_U1: NOTHING},
        owners=[A1_U1] * 3,
    ),
    "an alias that tells its own device": Scenario(
        calls=[alias("u1", "a1", "a1"), done("u1", "a1"), seen("a1")],
        guests={A1_U1: NOTHING},
        owners=[A1_U1] * 3,
    ),
    "an alias of another device than its own": Scenario(
        calls=[alias("u1", "a1", "a2"), done("u1", "a2"), seen("a1")],
        guests={BOTH: NOTHING},
        owners=[BOTH] * 3,
    ),
    "an alias of a user nobody knows": Scenario(
        calls=[alias("u1", "u2"), done("u2"), identify("u2", "a2")],
        guests={names("a2 u1 u2"): NOTHING},
        owners=[names("a2 u1 u2")] * 3,
    ),
    "an alias between known users": Scenario(
        calls=[
            identify("u1", "a1", plan="pro"),
            identify("u2", "a2", plan="free"),
            alias("u1", "u2"),
            done("u2"),
        ],
        guests={A1_U1: {"plan": "pro"}, A2_U2: {"plan": "free"}},
        owners=[A1_U1, A2_U2, A1_U1, A2_U2],
    ),
    "an alias of a known user's device": Scenario(
        calls=[identify("u2", "a2"), alias("u1", "a2"), seen("a2"), done("u1", "a1")],
        guests={A1_U1: NOTHING, A2_U2: NOTHING},
        owners=[A2_U2, A1_U1, A2_U2, A1_U1],
    ),
    "an alias of itself": Scenario(
        calls=[alias("u1", "u1"), alias("u1", "u1", "a1"), done("u1")],
        guests={A1_U1: NOTHING},
        owners=[A1_U1] * 3,
    ),
    "aliases in a circle": Scenario(
        calls=[alias("u2", "u1"), alias("u1", "u2"), done("u1"), done("u2")],
        guests={names("u1 u2"): NOTHING},
        owners=[names("u1 u2")] * 4,
    ),
    "aliases in a chain": Scenario(
        calls=[alias("u1", "a1"), alias("u2", "u1"), done("u2", "a2"), seen("a1")],
        guests={names("a1 a2 u1 u2"): NOTHING},
        owners=[names("a1 a2 u1 u2")] * 4,
    ),
    "ids that name nobody": Scenario(
        calls=[
            identify("null", "a1"),
            identify("null", "a2"),
            alias("u1", "anonymous", "undefined"),
        ],
        guests={names("a1"): NOTHING, names("a2"): NOTHING, U1: NOTHING},
        owners=[names("a1"), names("a2"), U1],
    ),
}


@pytest.fixture(autouse=True)
def _remember_clients(settings: Any) -> None:
    settings.TRACKING = settings.TRACKING | {"CLIENT_CACHE_SECONDS": 60}


@pytest.mark.parametrize("name", SCENARIOS)
def test_calls__in_every_order_of_arrival__name_the_same_guests(
    on_sqlite: Database, api: Api, name: str
) -> None:
    scenario = SCENARIOS[name]

    for order in searched(itertools.permutations(range(len(scenario.calls)))):
        label = "-".join(map(str, order))
        deliver(api, scenario, order, label)

        found = outcome(scenario, label)
        assert found == Outcome(scenario.guests, scenario.owners), order


@pytest.mark.parametrize("name", SCENARIOS)
def test_calls__in_their_order_and_backwards_and_in_one_request__name_the_same_guests(
    on_postgres: Database, api: Api, name: str
) -> None:
    scenario = SCENARIOS[name]
    forth = range(len(scenario.calls))

    deliver(api, scenario, forth, "forth")
    deliver(api, scenario, reversed(forth), "back")
    send_batch(api, *(named(scenario, number, "at once") for number in reversed(forth)))

    expected = Outcome(scenario.guests, scenario.owners)
    assert outcome(scenario, "forth") == outcome(scenario, "at once") == expected
    assert outcome(scenario, "back") == expected


def deliver(api: Api, scenario: Scenario, order: Iterable[int], label: str) -> None:
    for number in order:
        assert send_batch(api, named(scenario, number, label)).json() == {"success": True}


def named(scenario: Scenario, number: int, label: str) -> Call:
    """Return a call as it is sent in one delivery: its ids are nobody else's."""
    call = scenario.calls[number]
    minute = scenario.minutes[number] if scenario.minutes else number
    own = {
        name: f"{value} {label}" if len(value) == 2 else value
        for name, value in call.items()
        if name in ("userId", "anonymousId", "previousId")
    }
    return {
        **call,
        **own,
        "messageId": f"{label} {number}",
        "timestamp": (START + timedelta(minutes=minute)).isoformat(),
    }


def outcome(scenario: Scenario, label: str) -> Outcome:
    """Read who is whose after one delivery."""
    found: dict[int, set[str]] = {}
    known: dict[int, dict[str, Any]] = {}
    rows = Identifier.objects.filter(value__endswith=f" {label}").select_related("guest__root")
    for row in rows:
        if row.provider != PROVIDERS[row.value[0]]:
            # An alias names its earlier id both as a device's and as a user's.
            continue
        guest = row.guest.root or row.guest
        assert guest.root_id is None
        found.setdefault(guest.pk, set()).add(row.value.split()[0])
        known[guest.pk] = guest.attributes
    owners: dict[str, int] = {
        message_id: root or guest
        for message_id, guest, root in Event.objects.filter(
            message_id__startswith=f"{label} "
        ).values_list("message_id", "guest_id", "guest__root")
    }
    return Outcome(
        {frozenset(ids): known[guest] for guest, ids in found.items()},
        [
            frozenset(found.get(owners[f"{label} {number}"], ()))
            for number in range(len(scenario.calls))
        ],
    )


# --- the same through the API -------------------------------------------------------------------


def guest_of(api: Api, user: str) -> dict[str, Any]:
    query = {"identifiers.provider": "USER_ID", "identifiers.id": user}
    (item,) = api.read("/v2.1/guests", **query)["items"]
    guest: dict[str, Any] = api.read(f"/v2.1/guests/{item['href'].rsplit('/', 1)[1]}")
    return guest


def test_device__of_a_user__keeps_its_history_when_another_user_comes(
    database: Database, api: Api
) -> None:
    send(api, "track", **seen("a1"), messageId="m-1")
    send(api, "track", **seen("a1"), messageId="m-2")
    send(api, "identify", **identify("u1", "a1"), messageId="m-3")
    send(api, "track", **done("u2", "a1"), messageId="m-4")
    send(api, "identify", **identify("u2", "a1", firstName="Bob"), messageId="m-5")
    send(api, "track", **seen("a1"), messageId="m-6")

    first, second = guest_of(api, "u1"), guest_of(api, "u2")

    history = {
        user: [call["messageId"] for call in read(api, guestRef=guest["ref"])]
        for user, guest in (("u1", first), ("u2", second))
    }
    assert history == {"u1": ["m-1", "m-2", "m-3", "m-6"], "u2": ["m-4", "m-5"]}
    assert (first["guestType"], second["guestType"]) == ("customer", "customer")
    assert (first["firstName"], second["firstName"]) == ("", "Bob")
    assert Guest.objects.filter(root__isnull=False).count() == 0
    assert api.json(api.show("a1"))["customer"]["ref"] == first["ref"]


def test_alias__of_a_device__brings_its_history_and_profile_to_the_user(
    database: Database, api: Api
) -> None:
    send(api, "identify", **identify("", "a1", lastName="Lovelace", plan="free"))
    visitor = api.json(api.show("a1"))["customer"]["ref"]
    send(api, "identify", **identify("u1", "", firstName="Ada"))

    send(api, "alias", **alias("u1", "a1"))

    guest = guest_of(api, "u1")
    assert (guest["firstName"], guest["lastName"]) == ("Ada", "Lovelace")
    assert guest["attributes"] == {"plan": "free"}
    assert [call["type"] for call in read(api, guestRef=guest["ref"])] == [
        "identify",
        "identify",
        "alias",
    ]
    retired = api.read(f"/v2.1/guests/{visitor}")
    assert (retired["guestType"], retired["mergedInto"]) == ("retired", guest["ref"])


def test_alias__between_known_users__is_kept_with_a_warning_and_joins_nobody(
    database: Database, api: Api
) -> None:
    send(api, "identify", **identify("u1", "a1"))
    send(api, "identify", **identify("u2", "a2"))

    send(api, "alias", **alias("u1", "u2"))
    send(api, "alias", **alias("u1", "a2"))

    events = api.read("/v2/events", type="ALIAS")["items"]
    assert len(events) == 2
    for event in events:
        (warning,) = event["warnings"]
        assert "Nothing was joined." in warning
    assert guest_of(api, "u1")["ref"] != guest_of(api, "u2")["ref"]
    assert api.json(api.show("a2"))["customer"]["ref"] == guest_of(api, "u2")["ref"]
    assert Guest.objects.count() == 2


def test_user__of_two_clients__is_two_guests(database: Database, api: Api) -> None:
    ClientFactory.create(key="another-shops-key", token="another-token")
    other = Api("another-shops-key", "another-token")

    for each, name in ((api, "Ada"), (other, "Bob")):
        call = identify("u1", "a1", firstName=name)
        post(api, "/v1/identify", call | {"writeKey": each.client_key}, {})

    assert guest_of(api, "u1")["firstName"] == "Ada"
    assert guest_of(other, "u1")["firstName"] == "Bob"


# --- ids that name nobody -----------------------------------------------------------------------

BLOCKED = [
    "null",
    "NULL",
    "None",
    "nil",
    "NaN",
    "undefined",
    "true",
    "false",
    "anonymous",
    "anonymousId",
    "guest",
    "distinct_id",
    "id",
    "userId",
    "email",
    "0",
    "000",
    "-1",
    "---",
    "00000000-0000-0000-0000-000000000000",
    "[object Object]",
    '"null"',
    "'undefined'",
    " null ",
]


def test_id__that_names_nobody__is_kept_with_a_warning_and_joins_nobody(
    database: Database, api: Api
) -> None:
    for n, blocked in enumerate(BLOCKED):
        response = send_batch(
            api,
            identify(blocked, f"a{n}"),
            identify(blocked, f"b{n}"),
            identify(f"u{n}", blocked),
            done(f"v{n}", blocked),
            alias(f"u{n}", blocked),
            alias(f"v{n}", blocked),
        )
        assert response.json() == {"success": True}, blocked

    kept = Identifier.objects.exclude(provider="UNNAMED").values_list("provider", "value")
    assert sorted(kept) == sorted(
        (provider, f"{letter}{n}")
        for n in range(len(BLOCKED))
        for provider, letters in (("BROWSER", "ab"), ("USER_ID", "uv"))
        for letter in letters
    )
    assert Guest.objects.count() == 4 * len(BLOCKED)
    assert not Guest.objects.exclude(root=None).exists()
    events = Event.objects.all()
    assert len(events) == 6 * len(BLOCKED)
    assert all("names nobody" in event.warnings[0] for event in events)


def test_event__with_nothing_but_an_id_that_names_nobody__is_stored_outside_of_any_visit(
    database: Database, api: Api
) -> None:
    for blocked in ("null", "NULL", "undefined"):
        send_batch(api, seen(blocked), done(blocked), identify(blocked, blocked))

    events = api.read("/v2/events")["items"]
    assert len(events) == 9
    assert {(event["browserRef"], event["sessionRef"]) for event in events} == {(None, None)}
    assert not Identifier.objects.filter(provider__in=["BROWSER", "USER_ID"]).exists()
    assert not Guest.objects.filter(type="CUSTOMER").exists()
    assert api.json(api.send("VIEW", "null"))["status"] == "NOT_FOUND"


def test_id__that_only_resembles_one_that_names_nobody__is_an_id(
    on_sqlite: Database, api: Api
) -> None:
    users = ["nullable", "guest7", "0a", "10", "-2", "truex", "e-mail", "object Object", "ID7"]

    for user in users:
        send(api, "identify", **identify(user, f"device of {user}"))

    kept = Identifier.objects.filter(provider="USER_ID").values_list("value", flat=True)
    assert sorted(kept) == sorted(users)
    assert not any(Event.objects.values_list("warnings", flat=True))


# --- traits -------------------------------------------------------------------------------------

ADDRESS = {
    "street": "Main Street 1",
    "city": "Cork",
    "state": "Munster",
    "postalCode": "T12",
    "country": "IE",
}
PROFILE = {
    "title": "Dr",
    "firstName": "Ada",
    "lastName": "Lovelace",
    "gender": "female",
    "dateOfBirth": "1815-12-10",
    "email": "ada@example.com",
    "phoneNumbers": ["+353 21"],
    "street": ["Main Street 1"],
    "city": "Cork",
    "state": "Munster",
    "postCode": "T12",
    "country": "IE",
}
CAMEL = {
    "title": "Dr",
    "firstName": "Ada",
    "lastName": "Lovelace",
    "gender": "female",
    "birthday": "1815-12-10",
    "email": "ada@example.com",
    "phone": "+353 21",
    "address": ADDRESS,
}
SNAKE = {
    **{name: CAMEL[name] for name in ("title", "gender", "birthday", "email", "phone")},
    "first_name": "Ada",
    "last_name": "Lovelace",
    "address": {name: value for name, value in ADDRESS.items() if name != "postalCode"}
    | {"postal_code": "T12"},
}


def test_traits__in_either_spelling_and_in_either_place__fill_the_profile(
    database: Database, api: Api
) -> None:
    calls: dict[str, Call] = {
        "camel": {"traits": CAMEL},
        "snake": {"traits": SNAKE},
        "in the context": {"context": {"traits": CAMEL}},
        "in both": {
            "traits": {"firstName": "Ada"},
            "context": {"traits": CAMEL | {"firstName": "x"}},
        },
        "of the batch": {},
    }
    for user, call in calls.items():
        shared = {"context": {"traits": CAMEL}} if user == "of the batch" else {}

        send_batch(api, {"type": "identify", "userId": user, **call}, **shared)

        guest = guest_of(api, user)
        assert {name: guest[name] for name in PROFILE} == PROFILE, user
        assert guest["attributes"]["address"]["city"] == "Cork"


def test_traits__of_later_calls__are_merged_and_null_removes(database: Database, api: Api) -> None:
    first = {"firstName": "Ada", "email": "a@example.com", "plan": "pro", "tags": ["a"], "n": 1}
    later: dict[str, Any] = {
        "email": None,
        "plan": None,
        "tags": [],
        "n": {"deep": None},
        "lastName": "",
        "x": "",
    }

    send(api, "identify", **identify("u1", "", **first, address=ADDRESS))
    send(api, "identify", **identify("u1", "", **later))
    send(api, "identify", **identify("u1"))

    guest = guest_of(api, "u1")
    assert (guest["firstName"], guest["email"], guest["city"]) == ("Ada", "", "Cork")
    assert guest["attributes"] == {
        "tags": [],
        "n": {"deep": None},
        "x": "",
        "address": ADDRESS,
    }


def test_traits__of_an_address_that_is_null__are_removed(database: Database, api: Api) -> None:
    send(api, "identify", **identify("u1", "", address=ADDRESS))

    send(api, "identify", **identify("u1", "", address=None))

    guest = guest_of(api, "u1")
    assert "address" not in guest["attributes"]
    assert [guest[name] for name in ("street", "city", "state", "postCode", "country")] == [
        [],
        "",
        "",
        "",
        "",
    ]


def test_traits__in_every_order_of_arrival__are_those_of_the_last_by_time(
    on_sqlite: Database, api: Api
) -> None:
    statements: list[dict[str, Any]] = [
        {"email": "old@example.com", "plan": "free", "gone": 1, "firstName": "Ada"},
        {"email": None, "gone": None, "plan": "pro", "address": {"city": "Cork"}},
        {"plan": "team", "firstName": "Augusta", "back": 1},
        {"gone": None, "back": None},
    ]
    for order in searched(itertools.permutations(range(4))):
        user = "-".join(map(str, order))
        for number in order:
            at = (START + timedelta(minutes=number)).isoformat()
            send(api, "identify", **identify(user, "", **statements[number]), timestamp=at)

        guest = guest_of(api, user)
        assert (guest["firstName"], guest["email"], guest["city"]) == ("Augusta", "", "Cork"), order
        assert guest["attributes"] == {"plan": "team", "address": {"city": "Cork"}}, order


def test_traits__removed__do_not_come_back_with_an_older_call(database: Database, api: Api) -> None:
    def at(minute: int) -> str:
        return (START + timedelta(minutes=minute)).isoformat()

    send(api, "identify", **identify("u1", "", plan=None, email=None), timestamp=at(2))
    send(api, "identify", **identify("u1", "", plan="pro", email="a@b.c"), timestamp=at(1))
    removed = guest_of(api, "u1")
    send(api, "identify", **identify("u1", "", plan="team", email="d@e.f"), timestamp=at(3))

    stated = guest_of(api, "u1")
    assert (removed["attributes"], removed["email"]) == ({}, "")
    assert (stated["attributes"], stated["email"]) == ({"plan": "team"}, "d@e.f")


def test_traits__of_calls_other_than_identify__are_not_the_persons(
    database: Database, api: Api
) -> None:
    context = {"traits": {"firstName": "Eve", "plan": "free"}}

    send(api, "identify", **identify("u1", "a1", firstName="Ada"))
    send(api, "track", **done("u1", "a1"), context=context, traits={"plan": "free"})
    send(api, "group", userId="u1", groupId="g1", traits={"firstName": "Acme"}, context=context)
    send(api, "page", userId="u1", name="Home", context=context)

    guest = guest_of(api, "u1")
    assert (guest["firstName"], guest["attributes"]) == ("Ada", {})


def test_traits__that_are_no_texts__fill_texts_as_far_as_they_can(
    database: Database, api: Api
) -> None:
    traits = {
        "firstName": 7,
        "lastName": ["x"],
        "phone": 353.5,
        "email": {"a": 1},
        "address": "Main Street 1",
        "title": "D" * 500,
    }

    send(api, "identify", **identify("u1", "", **traits))

    guest = guest_of(api, "u1")
    assert (guest["firstName"], guest["lastName"], guest["email"]) == ("7", "", "")
    assert guest["phoneNumbers"] == ["353.5"]
    assert guest["attributes"]["address"] == "Main Street 1"
    assert guest["title"] == "D" * 50
