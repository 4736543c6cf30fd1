"""What some calls do beside being recorded: groups, devices, deletions and suppressions."""

import itertools
from typing import Any

import pytest

from tests.api import Api
from tests.conftest import Database
from tracking.models import Event, Group, Guest, IdentityLink, InboxEntry

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = "2026-03-01T{:02d}:00:00Z"


def call(api: Api, kind: str, hour: int, **fields: Any) -> None:
    message = {"messageId": f"{kind}-{hour}", "timestamp": HOUR.format(hour)}
    body = message | {"type": kind, "writeKey": api.client_key} | fields
    answer = api.json(api.post(f"/v1/{kind}", body))
    assert answer == {"success": True}


def track(api: Api, event: str, hour: int, **fields: Any) -> None:
    call(api, "track", hour, event=event, **fields)


def guest_of(api: Api, user_id: str) -> dict[str, Any] | None:
    query = {"identifiers.provider": "USER_ID", "identifiers.id": user_id}
    items = api.read("/v2.1/guests", **query)["items"]
    return api.read(items[0]["href"].removeprefix("http://testserver")) if items else None


def groups_of(api: Api, user_id: str) -> list[str]:
    guest = guest_of(api, user_id)
    assert guest is not None
    return [group["groupId"] for group in guest["groups"]]


def test_group_call__with_a_person__makes_them_a_member(database: Database, api: Api) -> None:
    call(api, "group", 1, userId="u1", groupId=7, traits={"name": "Runners", "plan": "free"})
    call(api, "group", 2, groupId="7", traits={"plan": "paid"})

    guest = guest_of(api, "u1")

    assert guest is not None
    (group,) = guest["groups"]
    assert (group["groupId"], group["objectTypeId"]) == ("7", "1")
    assert group["since"] == "2026-03-01T01:00:00.000Z"
    assert group["attributes"] == {"name": "Runners", "plan": "paid"}


def test_group_call__without_a_person__is_kept_and_nobodys(database: Database, api: Api) -> None:
    call(api, "group", 1, groupId="g", traits={"name": "Runners", "object_type_id": 2})

    event = Event.objects.get()

    assert event.guest is None
    assert Guest.objects.count() == 0
    assert Group.objects.get().kind == "2"
    assert api.read(f"/v2/events/{event.ref}", form="track")["groupId"] == "g"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_membership__whatever_the_order_of_arrival__is_as_last_said(
    on_sqlite: Database, api: Api, order: tuple[int, ...]
) -> None:
    left = {"objectId": "g", "objectTypeId": 1}
    steps = [
        lambda: call(api, "group", 1, userId="u1", groupId="g", traits={"plan": "free"}),
        lambda: track(api, "Relationship Deleted", 2, userId="u1", properties=left),
        lambda: call(api, "group", 3, userId="u1", groupId="h", traits={}),
    ]

    for index in order:
        steps[index]()

    assert groups_of(api, "u1") == ["h"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_group__deleted_and_told_of_again__is_there_again(
    on_sqlite: Database, api: Api, order: tuple[int, ...]
) -> None:
    gone = {"objectId": "g"}
    steps = [
        lambda: call(api, "group", 1, userId="u1", groupId="g", traits={"plan": "free"}),
        lambda: track(api, "Object Deleted", 2, anonymousId="a", properties=gone),
        lambda: call(api, "group", 3, groupId="g", traits={"plan": "paid"}),
    ]

    for index in order:
        steps[index]()

    assert groups_of(api, "u1") == ["g"]
    assert Group.objects.get().attributes == {"plan": "paid"}


def test_group__deleted__has_nobody(database: Database, api: Api) -> None:
    call(api, "group", 1, userId="u1", groupId="g", traits={})

    track(api, "Object Deleted", 2, properties={"objectId": "g", "objectTypeId": "1"})

    assert groups_of(api, "u1") == []


def test_device__told_of_and_deleted__is_the_guests_until_then(
    database: Database, api: Api
) -> None:
    device = {"device": {"token": "token-1", "type": "ios"}}
    properties = {"app_version": "1.4"}
    track(api, "Device Created or Updated", 1, userId="u1", context=device, properties=properties)

    before = guest_of(api, "u1")
    track(api, "Device Deleted", 2, userId="u1", context=device)
    after = guest_of(api, "u1")

    assert before is not None and after is not None
    assert before["devices"] == [
        {
            "token": "token-1",
            "type": "ios",
            "lastUsedAt": "2026-03-01T01:00:00.000Z",
            "attributes": properties,
        }
    ]
    assert after["devices"] == []


def test_device__that_changes_hands__is_the_last_ones(database: Database, api: Api) -> None:
    device = {"device": {"token": "token-1", "type": "android"}}
    for hour, user_id in ((2, "u2"), (1, "u1")):
        track(api, "Device Created or Updated", hour, userId=user_id, context=device)

    first, second = guest_of(api, "u1"), guest_of(api, "u2")

    assert first is not None and second is not None
    assert (first["devices"], len(second["devices"])) == ([], 1)


def test_user_deleted__is_gone_with_all_that_was_recorded(database: Database, api: Api) -> None:
    call(api, "page", 1, anonymousId="a1")
    call(api, "identify", 2, userId="u1", anonymousId="a1", traits={"email": "ada@example.com"})

    track(api, "User Deleted", 3, userId="u1")

    assert guest_of(api, "u1") is None
    rows = (Guest, Event, IdentityLink, InboxEntry)
    assert [model._default_manager.count() for model in rows] == [0, 0, 0, 0]


def test_user_deleted__and_told_of_again__is_a_new_person(database: Database, api: Api) -> None:
    call(api, "identify", 1, userId="u1", traits={"email": "ada@example.com", "age": 36})
    track(api, "User Deleted", 3, userId="u1")

    call(api, "identify", 2, userId="u1", traits={"age": 35})
    before = guest_of(api, "u1")
    call(api, "identify", 4, userId="u1", traits={"firstName": "Ada"})
    after = guest_of(api, "u1")

    assert before is None
    assert after is not None
    assert (after["firstName"], after["email"], after["attributes"]) == ("Ada", "", {})


def test_user_suppressed__is_recorded_again_only_when_allowed(database: Database, api: Api) -> None:
    call(api, "identify", 1, userId="u1", traits={"email": "ada@example.com"})

    track(api, "User Suppressed", 2, userId="u1")
    call(api, "identify", 3, userId="u1", traits={"email": "ada@example.com"})
    suppressed = guest_of(api, "u1")
    track(api, "User Unsuppressed", 4, userId="u1")
    call(api, "identify", 5, userId="u1", traits={"firstName": "Ada"})

    assert suppressed is None
    guest = guest_of(api, "u1")
    assert guest is not None
    assert (guest["firstName"], guest["email"]) == ("Ada", "")


def test_user_suppressed__older_than_the_permission__changes_nothing(
    database: Database, api: Api
) -> None:
    track(api, "User Unsuppressed", 4, userId="u1")
    track(api, "User Suppressed", 2, userId="u1")

    call(api, "identify", 5, userId="u1", traits={"firstName": "Ada"})

    assert guest_of(api, "u1") is not None


def test_anonymous_visitor__of_a_suppressed_users_device__starts_anew(
    database: Database, api: Api
) -> None:
    call(api, "identify", 1, userId="u1", anonymousId="a1", traits={"firstName": "Ada"})
    track(api, "User Suppressed", 2, userId="u1")

    call(api, "page", 3, anonymousId="a1")

    guest = Guest.objects.get()
    assert (guest.type, guest.first_name) == ("VISITOR", "")
