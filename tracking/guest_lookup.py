"""
Whose refs, e-mail addresses and identifiers these are: many at once, in a fixed number of queries.

Called where lists of people come in from outside, in files or by REST. Merges are followed, bots
are nobody, and what is past its expiry names nobody.
"""

import json
from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import F, Q
from django.db.models.functions import Coalesce

from tracking import db
from tracking.models import Guest, Identifier
from tracking.types import EMAIL, IdentifierKey


def by_refs(client_id: int, refs: Collection[UUID]) -> dict[UUID, int]:
    """Return the row ids of those who speak for the guests of these refs."""
    if not refs:
        return {}
    rows = Guest.objects.filter(client=client_id, ref__in=refs).exclude(type=Guest.Type.BOT)
    return dict(rows.values_list("ref", Coalesce(F("root"), F("pk"))))


def by_identifiers(
    client_id: int, keys: Collection[IdentifierKey], *, now: datetime
) -> dict[IdentifierKey, int]:
    """
    Return the row ids of those who speak for whoever has these identifiers.

    An e-mail address that is nobody's identifier names the guest whose
    profile has it, if only one does. Addresses are in lower case.
    """
    if not keys:
        return {}
    rows = Identifier.objects.filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=now),
        client=client_id,
        provider__in={key.provider for key in keys},
        value__in={key.value for key in keys},
    ).exclude(guest__type=Guest.Type.BOT)
    speakers = Coalesce(F("guest__root"), F("guest"))
    named = {
        IdentifierKey(provider, value): guest
        for provider, value, guest in rows.values_list("provider", "value", speakers)
    }
    found = {key: named[key] for key in keys if key in named}
    emails = {key.value for key in keys if key.provider == EMAIL and key not in found}
    return found | _by_profiles(client_id, emails)


_PROFILES: Final = (
    "SELECT g.id FROM tracking_guest g WHERE g.client_id = %s AND g.root_id IS NULL "
    "AND g.email <> '' AND g.type <> 'BOT' AND LOWER(g.email) = w.value"
)
# One look into the index for each address: asked for as a list, a database may read all guests.
_ON_POSTGRES: Final = (
    "SELECT w.value, p.id FROM UNNEST(%s::text[]) AS w(value) "
    f"CROSS JOIN LATERAL ({_PROFILES} LIMIT 2) p"
)
_ON_SQLITE: Final = (
    f"SELECT w.value, ({_PROFILES} LIMIT 1), ({_PROFILES} LIMIT 1 OFFSET 1) FROM json_each(%s) w"
)


def _by_profiles(client_id: int, emails: Collection[str]) -> dict[IdentifierKey, int]:
    """Return whose profile has an address, where only one does."""
    wanted = sorted(emails)
    if not wanted:
        return {}
    having: dict[str, list[int]] = {}
    with db.cursor() as cursor:
        if db.is_postgres():
            cursor.execute(_ON_POSTGRES, [wanted, client_id])
        else:
            cursor.execute(_ON_SQLITE, [client_id, client_id, json.dumps(wanted)])
        for email, *pks in cursor.fetchall():
            having.setdefault(email, []).extend(pk for pk in pks if pk is not None)
    return {IdentifierKey(EMAIL, email): pks[0] for email, pks in having.items() if len(pks) == 1}
