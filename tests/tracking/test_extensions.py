"""A guest's extension groups: six at most, a hundred pairs each, read by conditions."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.api import Api
from tests.conftest import Database
from tests.journeys.test_call_flows import make_flow

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

pytestmark = pytest.mark.django_db(transaction=True)


def path(guest_ref: str, name: str = "") -> str:
    return f"/v2.1/guests/{guest_ref}/extensions" + (f"/{name}" if name else "")


def send(api: Api, verb: str, address: str, body: Any = None) -> "Response":
    method = getattr(api.http, verb)
    sent: Response = method(
        address, body, content_type="application/json", HTTP_AUTHORIZATION=api.basic
    )
    return sent


def test_extension__made_changed_replaced_and_deleted__is_as_last_said(
    database: Database, api: Api
) -> None:
    guest_ref = api.create_browser()["customer_ref"]
    body = {"name": "ext1", "key": "default", "loyaltyTier": "gold", "points": 1200}

    made = send(api, "post", path(guest_ref), body)
    again = send(api, "post", path(guest_ref), body)
    changed = send(api, "patch", path(guest_ref, "ext1"), {"points": None, "vip": True})
    listed = api.read(path(guest_ref))["items"]
    replaced = send(api, "put", path(guest_ref, "ext1"), {"score": 0.5})
    deleted = send(api, "delete", path(guest_ref, "ext1"))

    assert (made.status_code, again.status_code) == (201, 400)
    assert made.json()["href"].endswith(path(guest_ref, "ext1"))
    assert changed.json().items() >= {"loyaltyTier": "gold", "vip": True}.items()
    assert "points" not in changed.json()
    assert listed == [changed.json()]
    assert replaced.json().keys() == {"name", "key", "href", "score"}
    assert deleted.status_code == 204
    assert api.read(path(guest_ref)) == {"items": []}


def test_extension__of_a_guest__is_read_by_conditions(database: Database, api: Api) -> None:
    browser = api.create_browser()
    gold = {"field": "guest.attributes.ext.loyaltyTier", "operator": "is", "value": "gold"}
    make_flow(api, audience={"all": [gold]})
    before = api.json(api.call_flows("hero_banner", browserId=browser["ref"]))

    send(api, "post", path(browser["customer_ref"]), {"name": "ext", "loyaltyTier": "gold"})

    assert before == {"message": "No flow executed"}
    assert api.json(api.call_flows("hero_banner", browserId=browser["ref"])) == {"title": "Hello "}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"name": "ext6"}, "name_invalid"),
        ({}, "name_invalid"),
        ({"name": "ext1", **{f"k{n}": n for n in range(101)}}, "too_many_pairs"),
        ({"name": "ext1", "not_camel": 1}, "key_invalid"),
        ({"name": "ext1", "list": [1]}, "value_invalid"),
        ({"name": "ext1", "taken": 1}, "key_taken"),
        ([1], "extension_invalid"),
    ],
)
def test_extension__that_cannot_be__is_refused_and_says_why(
    on_sqlite: Database, api: Api, body: Any, error: str
) -> None:
    guest_ref = api.create_browser()["customer_ref"]
    send(api, "post", path(guest_ref), {"name": "ext", "taken": 1})

    response = send(api, "post", path(guest_ref), body)

    assert response.status_code == 400
    assert response.json()["error"] == error
    assert [group["name"] for group in api.read(path(guest_ref))["items"]] == ["ext"]


def test_extension__with_a_hundred_pairs__in_each_of_six_groups__is_kept(
    on_sqlite: Database, api: Api
) -> None:
    guest_ref = api.create_browser()["customer_ref"]

    for number, name in enumerate(["ext", "ext1", "ext2", "ext3", "ext4", "ext5"]):
        pairs = {f"g{number}k{n}": n for n in range(100)}
        assert send(api, "post", path(guest_ref), {"name": name, **pairs}).status_code == 201

    assert len(api.read(path(guest_ref))["items"]) == 6


def test_extension__of_nobody_or_not_there__is_a_404(on_sqlite: Database, api: Api) -> None:
    guest_ref = api.create_browser()["customer_ref"]

    for address in (path(guest_ref, "ext1"), path(guest_ref, "other"), path("no-ref", "ext")):
        assert send(api, "get", address).status_code == 404
