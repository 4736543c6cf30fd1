"""
Guests as the REST API writes them: created and changed by a server, at once.

What a server states wins like any newer statement, and a `guestType` it sets
holds until it sets another.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tracking import db, followers, merging
from tracking.models import Guest, Identifier
from tracking.types import ClientConfig, StatedIdentifier, stamped


class IdentifierTaken(ValueError):
    """An identifier that the guest was to get names somebody else."""


def create(
    client: ClientConfig,
    *,
    guest_type: str,
    traits: Mapping[str, Any],
    attributes: Mapping[str, Any],
    identifiers: Sequence[StatedIdentifier],
    now: datetime,
) -> Guest:
    """Make a guest with these identifiers as its own. Raises IdentifierTaken."""
    ref = uuid.uuid4()
    with db.write():
        guest = Guest.objects.create(
            ref=ref,
            bucket_ref=ref,
            client_id=client.id,
            first_seen=now,
            last_seen=now,
            created_at=now,
            modified_at=now,
        )
        _write(guest, guest_type, traits, attributes, identifiers, now=now)
    return guest


def change(
    guest: Guest,
    *,
    guest_type: str | None,
    traits: Mapping[str, Any],
    attributes: Mapping[str, Any],
    identifiers: Sequence[StatedIdentifier],
    now: datetime,
) -> Guest:
    """Set the given fields; others stay. Raises IdentifierTaken."""
    with db.write():
        _write(guest, guest_type, traits, attributes, identifiers, now=now)
    return guest


def _write(
    guest: Guest,
    guest_type: str | None,
    traits: Mapping[str, Any],
    attributes: Mapping[str, Any],
    identifiers: Sequence[StatedIdentifier],
    *,
    now: datetime,
) -> None:
    by = str(uuid.uuid4())
    stated = {**traits, **{merging.attribute(name): value for name, value in attributes.items()}}
    merging.state_traits(guest, stated, at=now, by=by)
    if guest_type:
        guest.type = guest_type
        if guest_type == Guest.Type.CUSTOMER:
            guest.stamps[merging.TYPE_STAMP] = stamped(now, by)
        else:
            guest.stamps.pop(merging.TYPE_STAMP, None)
    guest.modified_at = now
    guest.save()
    for item in identifiers:
        _own(guest, item, now=now)
    followers.note_guests([guest.pk], followers.Changed.PROFILE, now=now, soon=True)


def _own(guest: Guest, item: StatedIdentifier, *, now: datetime) -> None:
    row, _ = Identifier.objects.get_or_create(
        client_id=guest.client_id,
        provider=item.key.provider,
        value=item.key.value,
        defaults={
            "guest": guest,
            "birth_guest": guest,
            "expires_at": item.expires_at,
            "created_at": now,
        },
    )
    owner = row.guest.root_id or row.guest_id
    if owner != guest.pk:
        raise IdentifierTaken(
            f"The identifier {item.key.provider} {item.key.value} belongs to another guest."
        )
