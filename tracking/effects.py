"""
What some events do beside being recorded: groups and memberships, devices, deletions.

A follower: `follow_up` is called with each recorded batch that has such
events. Everything here may be done twice and in any order; of two statements
about one thing the newer counts.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tracking import conf, db, privacy, suppression
from tracking.followers import Owed
from tracking.models import Device, Event, Group, Guest, Membership
from tracking.types import USER_ID, IdentifierKey, Told, stamped
from tracking.wire.common import id_text

FOLLOWER: Final = "tracking.effects"
_DEFAULT_KIND = "1"


def follow_up(owed: Owed) -> None:
    """Do what these events ask for."""
    events = Event.objects.filter(
        db.Among("ref", owed.event_refs), type__in=_EFFECTS, original__isnull=False
    )
    gone: set[int] = set()
    for event in events.select_related("guest").order_by("occurred_at", "message_id"):
        if event.guest_id in gone:
            continue
        _EFFECTS[event.type](event)
        if event.type in (suppression.DELETES, suppression.BLOCKS) and event.guest is not None:
            gone |= _forget(event, event.guest)


def _forget(event: Event, guest: Guest) -> set[int]:
    subject = privacy.subject_of(guest)
    # The walk drops what waits: to read all of it for each call would take its time.
    privacy.erase(subject, until=event.occurred_at, leaves_inbox=True)
    return set(subject.guest_ids)


# --- groups ----------------------------------------------------------------------------


def _group(event: Event) -> None:
    """Take what a group call says of the group, and that its person belongs to it."""
    call = event.original or {}
    traits = {**_object(call.get("traits"))}
    kind = id_text(call.get("objectTypeId")) or id_text(traits.pop("object_type_id", None))
    group = _locked_group(event, kind, id_text(call.get("groupId")))
    if group is None:
        return
    stamp = _stamp(event)
    limit = conf.settings().MAX_ATTRIBUTES
    for name, value in traits.items():
        is_known = name in group.stamps
        if group.stamps.get(name, []) > stamp or (not is_known and len(group.stamps) >= limit):
            continue
        group.stamps[name] = stamp
        group.attributes[name] = value
        if value is None:
            del group.attributes[name]
    _revive(group, stamp, is_deleted=False)
    group.save()
    if event.guest is not None:
        _join(event.guest, group, event, is_member=True)


def _leave_group(event: Event) -> None:
    group = _named_group(event)
    if group is not None and event.guest is not None:
        _join(event.guest, group, event, is_member=False)


def _delete_group(event: Event) -> None:
    group = _named_group(event)
    if group is not None:
        _revive(group, _stamp(event), is_deleted=True)
        group.save()


def _named_group(event: Event) -> Group | None:
    properties = _object((event.original or {}).get("properties"))
    kind, key = id_text(properties.get("objectTypeId")), id_text(properties.get("objectId"))
    return _locked_group(event, kind, key)


def _locked_group(event: Event, kind: str, key: str) -> Group | None:
    if not key:
        return None
    rows = Group.objects.select_for_update()
    kind = (kind or _DEFAULT_KIND)[:100]
    return rows.get_or_create(client_id=event.client_id, kind=kind, key=key[:256])[0]


def _revive(group: Group, stamp: list[Any], *, is_deleted: bool) -> None:
    """Say whether the group exists, by the newest word. It is stamped under no attribute's name."""
    if group.stamps.get("", []) <= stamp:
        group.stamps[""] = stamp
        group.is_deleted = is_deleted


def _join(guest: Guest, group: Group, event: Event, *, is_member: bool) -> None:
    stamp = _stamp(event)
    row, is_new = Membership.objects.select_for_update().get_or_create(
        guest=guest,
        group=group,
        defaults={"is_member": is_member, "stamp": stamp, "since": event.occurred_at},
    )
    if not is_new and row.stamp < stamp:
        if is_member != row.is_member:
            row.since = event.occurred_at
        row.is_member, row.stamp = is_member, stamp
        row.save(update_fields=["is_member", "stamp", "since"])


# --- devices ---------------------------------------------------------------------------


def _keep_device(event: Event) -> None:
    _device(event, is_deleted=False)


def _delete_device(event: Event) -> None:
    _device(event, is_deleted=True)


def _device(event: Event, *, is_deleted: bool) -> None:
    call = event.original or {}
    device = _object(_object(call.get("context")).get("device"))
    token = id_text(device.get("token"))[:512]
    if not token or event.guest is None:
        return
    stamp = _stamp(event)
    values = {
        "guest": event.guest,
        "platform": id_text(device.get("type"))[:40],
        "attributes": _object(call.get("properties")),
        "is_deleted": is_deleted,
        "stamp": stamp,
        "last_used_at": event.occurred_at,
    }
    row, is_new = Device.objects.select_for_update().get_or_create(
        client_id=event.client_id, token=token, defaults=values
    )
    if not is_new and row.stamp <= stamp:
        for name, value in values.items():
            setattr(row, name, value)
        row.save()


# --- deletions -------------------------------------------------------------------------


def _user_deleted(event: Event) -> None:
    user = IdentifierKey(USER_ID, _user(event))
    suppression.forget(event.client_id, [user], until=event.occurred_at)


def _user_suppressed(event: Event) -> None:
    suppression.block(
        event.client_id, _user(event), blocked=True, at=event.occurred_at, by=event.message_id
    )


def _user_unsuppressed(event: Event) -> None:
    suppression.block(
        event.client_id, _user(event), blocked=False, at=event.occurred_at, by=event.message_id
    )


def _user(event: Event) -> str:
    return id_text((event.original or {}).get("userId"))


_EFFECTS: Mapping[str, Callable[[Event], None]] = {
    "GROUP": _group,
    "Relationship Deleted": _leave_group,
    "Object Deleted": _delete_group,
    "Device Created or Updated": _keep_device,
    "Device Deleted": _delete_device,
    suppression.DELETES: _user_deleted,
    suppression.BLOCKS: _user_suppressed,
    suppression.UNBLOCKS: _user_unsuppressed,
}


def concerns(told: Told) -> bool:
    """Say whether an event does something."""
    return told.type in _EFFECTS


def _stamp(event: Event) -> list[Any]:
    return stamped(event.occurred_at, event.message_id)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
