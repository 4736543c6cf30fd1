"""Segments over REST: made, read, changed and deleted by servers, and who is in them."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from personalize import segments
from personalize.api.segment_examples import LATELY, LIST, NOT_PURCHASED
from personalize.models import Segment
from tests.api import Api
from tests.conftest import Database
from tests.factories import ClientFactory, FlowFactory, GuestFactory
from tracking.models import Client, Guest, Identifier

pytestmark = pytest.mark.django_db(transaction=True)

IRISH = {
    "name": "Irish",
    "condition": {"field": "guest.country", "operator": "is", "value": "IE"},
}


def make(api: Api, body: Any) -> Any:
    return api.json(api.post("/v2/segments", body, basic=True))


def send(api: Api, verb: str, path: str, body: Any = None, *, type: str = "") -> Any:
    raw = body if isinstance(body, bytes) else b"" if body is None else None
    options: dict[str, Any] = {
        "content_type": type or "application/json",
        "headers": {"Authorization": api.basic},
    }
    call: Any = getattr(api.http, verb)
    return call(path, body if raw is None else raw, **options)


def refusal(response: Any) -> tuple[int, str, str]:
    body = response.json()
    return response.status_code, body["error"], body["message"]


def people(api: Api, segment: str, **query: Any) -> Any:
    return api.read(f"/v2/segments/{segment}/guests", **query)


# --- the segment --------------------------------------------------------------------------


def test_segment__made_by_a_server__counts_its_guests_and_says_as_of_when(
    database: Database, api: Api, shop: Client
) -> None:
    GuestFactory.create_batch(2, client=shop, country="IE")
    GuestFactory.create(client=shop, country="DE")

    made = make(api, IRISH)

    assert (made["friendlyId"], made["kind"], made["members"]) == ("irish", "LIVE", 2)
    assert made["building"] is None
    assert made["asOf"] > made["createdAt"]
    assert api.read("/v2/segments/irish")["ref"] == api.read(f"/v2/segments/{made['ref']}")["ref"]
    assert [item["name"] for item in api.read("/v2/segments")["items"]] == ["Irish"]


def test_segment__that_is_being_built__says_how_far(
    database: Database, api: Api, shop: Client, settings: Any
) -> None:
    settings.TRACKING = settings.TRACKING | {"DISPATCH": "worker"}
    GuestFactory.create_batch(3, client=shop, country="IE")

    made = make(api, IRISH)

    assert (made["members"], made["building"]) == (0, {"judged": 0, "guests": 3})


def test_segment__replaced__is_judged_anew_and_keeps_its_id(
    database: Database, api: Api, shop: Client
) -> None:
    GuestFactory.create(client=shop, country="IE")
    make(api, IRISH)
    german = IRISH["condition"] | {"value": "DE"}  # type: ignore[operator]

    changed = api.json(
        send(api, "put", "/v2/segments/irish", {"name": "German", "condition": german})
    )

    assert (changed["friendlyId"], changed["name"], changed["members"]) == ("irish", "German", 0)
    renamed = send(api, "put", "/v2/segments/irish", IRISH | {"friendlyId": "celts"})
    assert refusal(renamed)[:2] == (400, "friendly_id_fixed")
    as_list = send(api, "put", "/v2/segments/irish", LIST)
    assert refusal(as_list)[:2] == (400, "kind_fixed")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"name": " "}, "name_missing", "A segment needs a name"),
        ({"name": "X"}, "condition_invalid", "needs a condition"),
        (LIST | {"condition": IRISH["condition"]}, "condition_invalid", "A list has no condition"),
        ({"name": "X", "kind": "OTHER"}, "segment_invalid", "Invalid enum value 'OTHER'"),
        (
            {"name": "X", "condition": {"field": "page", "operator": "exists"}},
            "condition_invalid",
            "Page is of a call: a segment also knows guests who are not here.",
        ),
    ],
)
def test_segment__that_cannot_be__is_refused_in_the_callers_terms(
    on_sqlite: Database, api: Api, body: Any, code: str, message: str
) -> None:
    status, error, said = refusal(api.post("/v2/segments", body, basic=True))

    assert (status, error) == (400, code)
    assert message in said
    assert not Segment.objects.exists()


def test_segment__in_use__is_not_deleted_and_the_refusal_names_who_uses_it(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    make(api, IRISH)
    audience = {"field": "guest.segments", "operator": "includes", "value": "irish"}
    flow = FlowFactory.create(client=shop, name="Thanks", audience=audience)

    used = refusal(send(api, "delete", "/v2/segments/irish"))
    assert used[:2] == (400, "segment_in_use")
    assert "the flow “Thanks”" in used[2]
    flow.delete()
    assert send(api, "delete", "/v2/segments/irish").status_code == 204
    assert api.read("/v2/segments/irish")["deleted"] is True
    assert api.read("/v2/segments")["total"] == 0
    gone = send(api, "get", "/v2/segments/irish/guests")
    assert refusal(gone)[:2] == (404, "segment_deleted")


def test_segments__of_another_client__are_not_there(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    other = ClientFactory.create(key="k", token="t")
    theirs = segments.save(Segment(client=other, name="Theirs", kind="LIST"))
    stranger = GuestFactory.create(client=other)
    make(api, LIST)

    for path in ("", "/guests", "/export.csv"):
        gone = send(api, "get", f"/v2/segments/{theirs.ref}{path}")
        assert refusal(gone)[:2] == (404, "segment_unknown")
    gone = send(api, "get", f"/v2/guests/{stranger.ref}/segments")
    assert refusal(gone)[:2] == (404, "guest_unknown")
    named = {"add": [{"guestRef": str(stranger.ref)}]}
    changed = api.json(api.post("/v2/segments/winter_campaign/guests", named, basic=True))
    assert (changed["added"], changed["unknown"]) == (0, 1)
    assert api.http.get("/v2/segments").status_code == 401


def test_list_of_segments__when_it_grows__takes_no_more_queries(
    database: Database,
    api: Api,
    shop: Client,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    def count() -> int:
        with count_queries() as queries:
            api.read("/v2/segments", limit=100)
        return len(queries)

    for name in ("Irish", "Celts"):
        make(api, IRISH | {"name": name})
    Segment.objects.filter(friendly_id="irish").update(built_to=0)
    count()
    few = count()
    for number in range(6):
        make(api, IRISH | {"name": f"More {number}"})
    Segment.objects.filter(name__startswith="More").update(built_to=0)
    assert count() == few


# --- who is in it -------------------------------------------------------------------------


def test_list__changed_by_names__says_who_is_not_known(
    database: Database, api: Api, shop: Client
) -> None:
    one, two, three = GuestFactory.create_batch(3, client=shop, customer=True)
    Identifier.objects.create(
        client=shop, provider="CUSTOMER_ID", value="17", guest=three, created_at=timezone.now()
    )
    make(api, LIST)
    path = "/v2/segments/winter_campaign/guests"

    changed = api.json(
        api.post(
            path,
            {
                "add": [
                    {"guestRef": str(one.ref)},
                    {"email": two.email.upper()},
                    {"identifier": {"provider": "CUSTOMER_ID", "id": 17}},
                    {"email": "nobody@example.com"},
                ],
                "remove": [{"guestRef": str(one.ref)}, {"guestRef": "no ref"}],
            },
            basic=True,
        )
    )

    assert changed == {
        "named": 6,
        "added": 3,
        "removed": 1,
        "unknown": 2,
        "unknownGuests": [
            {"where": "add[3]", "value": "nobody@example.com"},
            {"where": "remove[1]", "value": "no ref"},
        ],
    }
    found = people(api, "winter_campaign")["items"]
    assert {item["guestRef"] for item in found} == {str(two.ref), str(three.ref)}
    assert {item["leftAt"] for item in found} == {None}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"add": [{}]}, "add[0] needs one of guestRef, email and identifier."),
        ({"remove": [{"email": "a", "guestRef": "b"}]}, "remove[0] needs one of"),
        ({"add": "x"}, "Expected `array`"),
    ],
)
def test_list__changed_by_what_names_nobody__is_refused(
    on_sqlite: Database, api: Api, body: Any, message: str
) -> None:
    make(api, LIST)

    answer = refusal(api.post("/v2/segments/winter_campaign/guests", body, basic=True))

    assert answer[:2] == (400, "guests_invalid")
    assert message in answer[2]


def test_list__sent_as_csv__is_added_to_or_replaced(
    database: Database, api: Api, shop: Client
) -> None:
    one, two = GuestFactory.create_batch(2, client=shop)
    make(api, LIST)
    path = "/v2/segments/winter_campaign/guests"
    csv_type = "text/csv; charset=utf-8"

    first = send(api, "post", path, f"guestRef\n{one.ref}\nx\n".encode(), type=csv_type)
    assert api.json(first)["unknownGuests"] == [{"where": "line 3", "value": "x"}]
    again = send(
        api, "post", f"{path}?mode=replace", f"guestRef\n{two.ref}".encode(), type=csv_type
    )
    assert (api.json(again)["added"], api.json(again)["removed"]) == (1, 1)
    assert [item["guestRef"] for item in people(api, "winter_campaign")["items"]] == [str(two.ref)]

    wrong = refusal(send(api, "post", path, b"guestRef,x\na\n", type=csv_type))
    assert wrong[:2] == (400, "file_invalid")
    assert wrong[2].endswith("2 cells. Nothing was changed.")
    assert "Line 2: it ends after 1 of" in wrong[2]
    other = refusal(send(api, "post", f"{path}?mode=merge", b"email\n", type=csv_type))
    assert other == (400, "mode_invalid", "mode is one of add, remove, replace.")


def test_guests_of_a_condition__are_not_changed_by_hand(on_sqlite: Database, api: Api) -> None:
    make(api, LATELY)

    answer = refusal(api.post("/v2/segments/lately/guests", {}, basic=True))

    assert answer[:2] == (400, "not_a_list")


def test_guests__are_read_in_pages_newest_first_and_with_history(
    database: Database, api: Api, shop: Client
) -> None:
    guests = GuestFactory.create_batch(5, client=shop)
    make(api, LIST)
    segment = Segment.objects.get()
    for guest in guests:
        segments.add(segment, [guest.pk], now=timezone.now())
    segments.remove(segment, [guests[4].pk], now=timezone.now())

    page = people(api, "winter_campaign", limit=3)
    refs = [item["guestRef"] for item in page["items"]]
    assert refs == [str(guest.ref) for guest in (guests[3], guests[2], guests[1])]
    rest = api.json(send(api, "get", page["next"]))
    assert [item["guestRef"] for item in rest["items"]] == [str(guests[0].ref)]
    with_history = people(api, "winter_campaign", history="true")["items"]
    assert with_history[0]["guestRef"] == str(guests[4].ref)
    assert with_history[0]["leftAt"] >= with_history[0]["enteredAt"]
    odd = send(api, "get", "/v2/segments/winter_campaign/guests?history=maybe")
    assert refusal(odd)[:2] == (400, "history_invalid")


def test_guests__of_a_longer_page__take_no_more_queries(
    database: Database,
    api: Api,
    shop: Client,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    make(api, LIST)
    guests = GuestFactory.create_batch(20, client=shop)
    segments.add(Segment.objects.get(), [guest.pk for guest in guests], now=timezone.now())

    def count(limit: int) -> int:
        with count_queries() as queries:
            assert len(people(api, "winter_campaign", limit=limit)["items"]) == limit
        return len(queries)

    count(1)
    assert count(2) == count(20)


def test_segments_of_a_guest__are_those_of_whoever_speaks_for_it(
    database: Database, api: Api, shop: Client
) -> None:
    guest = GuestFactory.create(client=shop, country="IE")
    make(api, IRISH)
    make(api, LIST)
    listed = Segment.objects.get(kind="LIST")
    segments.add(listed, [guest.pk], now=timezone.now())
    segments.remove(listed, [guest.pk], now=timezone.now())
    merged = GuestFactory.create(client=shop, root=guest, type=Guest.Type.RETIRED)

    (now_in,) = api.read(f"/v2/guests/{merged.ref}/segments")["items"]
    assert (now_in["friendlyId"], now_in["leftAt"]) == ("irish", None)
    ever = api.read(f"/v2/guests/{guest.ref}/segments", history="true")["items"]
    assert [item["friendlyId"] for item in ever] == ["winter_campaign", "irish"]


def test_export__over_rest__is_a_csv_file(database: Database, api: Api, shop: Client) -> None:
    guest = GuestFactory.create(client=shop, country="IE", email="ada@example.com")
    make(api, IRISH)

    response: Any = api.get("/v2/segments/irish/export.csv", basic=True)

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="irish.csv"'
    (row,) = csv.DictReader(io.StringIO(response.getvalue().decode()))
    assert (row["guestRef"], row["email"]) == (str(guest.ref), "ada@example.com")


def test_example__of_the_popup__is_a_segment(on_sqlite: Database, api: Api) -> None:
    assert make(api, NOT_PURCHASED)["friendlyId"] == "saw_the_pop_up_has_not_purchased"
