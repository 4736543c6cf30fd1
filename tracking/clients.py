"""
Clients and their keys, read once and kept for a few seconds.

The doors ask whose key this is; the walk asks for a client by row id. A
revoked key or a changed setting is seen after `CLIENT_CACHE_SECONDS` at most.
"""

import hmac
import time
from collections.abc import Callable, Hashable
from datetime import timedelta
from typing import Any, TypeVar

from django.core.signals import setting_changed

from tracking import conf
from tracking.models import Client, Key, PointOfSale
from tracking.types import ClientConfig, PointOfSaleConfig

T = TypeVar("T")

_LONGEST_KEY = 512

#: What was asked for -> what was found, and until when that is believed.
_kept: dict[Hashable, tuple[Any, float]] = {}


def by_key(client_key: str) -> ClientConfig | None:
    """Return the client that this public key belongs to, or None for a key nobody has."""
    return _keep(("key", client_key), lambda: _find_by_key(client_key))


def by_secret(client_key: str, secret: str) -> ClientConfig | None:
    """Return the client when the secret is a live API token of it, else None."""
    digest = Key.digest(secret)
    return _keep(("secret", client_key, digest), lambda: _find_by_secret(client_key, digest))


def by_id(client_id: int) -> ClientConfig | None:
    """Return the client of this row id, or None when it is gone."""
    return _keep(("id", client_id), lambda: _find_by_id(client_id))


def site_client() -> ClientConfig | None:
    """
    Return the client that the site's own pages belong to.

    That is the one SITE_CLIENT_KEY names, else the only client there is; with
    several clients and no setting there is none.
    """
    key = conf.settings().SITE_CLIENT_KEY
    if key:
        return by_key(key)
    return _keep(("site",), _find_only)


def origins_of_all() -> frozenset[str]:
    """Return the origins that clients list, or none at all when one of them lists none."""
    return _keep(("origins",), _find_origins) or frozenset()


def forget() -> None:
    """Drop what is kept in this process: after a change that must be seen at once."""
    _kept.clear()


def _keep(name: Hashable, find: Callable[[], T | None]) -> T | None:
    now = time.monotonic()
    found: T | None
    found, until = _kept.get(name, (None, 0.0))
    if until > now:
        return found
    found = find()
    lifetime = conf.settings().CLIENT_CACHE_SECONDS
    if found is None:
        # Unknown keys are not kept: anybody can invent any number of them.
        _kept.pop(name, None)
    elif lifetime > 0:
        _kept[name] = (found, now + lifetime)
    return found


def _find_by_key(client_key: str) -> ClientConfig | None:
    key = _live_key(client_key)
    return load(key.client, client_key=client_key) if key else None


def _find_by_secret(client_key: str, digest: str) -> ClientConfig | None:
    key = _live_key(client_key)
    if key is None:
        return None
    secrets = key.client.keys.filter(kind=Key.Kind.SECRET, revoked_at__isnull=True)
    matches = [hmac.compare_digest(secret.value, digest) for secret in secrets]
    return load(key.client, client_key=client_key) if any(matches) else None


def _find_by_id(client_id: int) -> ClientConfig | None:
    client = Client.objects.filter(pk=client_id).first()
    return load(client) if client else None


def _find_origins() -> frozenset[str]:
    lists = list(Client.objects.values_list("allowed_origins", flat=True))
    return (
        frozenset(origin for origins in lists for origin in origins) if all(lists) else frozenset()
    )


def _find_only() -> ClientConfig | None:
    some = list(Client.objects.all()[:2])
    return load(some[0]) if len(some) == 1 else None


def _live_key(client_key: str) -> Key | None:
    if not client_key.isprintable() or len(client_key) > _LONGEST_KEY:
        # No key is like that, and databases refuse some of those characters.
        return None
    return (
        Key.objects.filter(kind=Key.Kind.PUBLIC, value=client_key, revoked_at__isnull=True)
        .select_related("client")
        .first()
    )


def load(client: Client, *, client_key: str = "") -> ClientConfig:
    """Read a client's settings as they stand now."""
    points = [_point(row) for row in client.points_of_sale.order_by("pk")]
    if not points:
        points = [_point(PointOfSale.objects.get_or_create(client=client, name="default")[0])]
    default = next((p for p in points if p.id == client.default_point_of_sale_id), points[0])
    return ClientConfig(
        id=client.pk,
        ref=client.ref,
        name=client.name,
        client_key=client_key or _public_key(client),
        origins=frozenset(client.allowed_origins),
        time_zone=client.time_zone,
        currency=client.currency,
        language=client.language,
        rules=tuple(client.identity_rules),
        hashed_provider=client.hashed_provider,
        dummy_users=frozenset(client.dummy_users),
        requires_category_path=client.requires_category_path,
        clicks_update_categories=client.clicks_update_categories,
        allows_text_item_ids=client.allows_text_item_ids,
        prefers_sku=client.prefers_sku,
        default_point_of_sale=default,
        points_of_sale={point.name: point for point in points},
        sites={point.site_id: point for point in points if point.site_id},
    )


def _public_key(client: Client) -> str:
    live = client.keys.filter(kind=Key.Kind.PUBLIC, revoked_at__isnull=True)
    return live.order_by("-pk").values_list("value", flat=True).first() or ""


def _point(row: PointOfSale) -> PointOfSaleConfig:
    minutes = row.session_timeout_minutes or conf.settings().SESSION_TIMEOUT_MINUTES
    return PointOfSaleConfig(row.pk, row.name, row.site_id, timedelta(minutes=minutes))


def _forget_on_change(**kwargs: object) -> None:
    forget()


setting_changed.connect(_forget_on_change)
