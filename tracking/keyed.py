"""
Keyed hashes: names for people that only this site can make again, and nobody can undo.

Called where somebody must be known again and not be kept in clear: the list of
those who were erased, and the users of families that promise to keep no ids.
"""

import hashlib
import hmac
from functools import lru_cache
from uuid import UUID

from django.conf import settings as django_settings

from tracking import conf


def digest(purpose: str, *parts: object) -> str:
    """
    Return the name of these parts for one purpose: 64 hexadecimal digits (HMAC-SHA-256).

    The key is HASH_KEY, else the host's SECRET_KEY: it is in no database.
    """
    return _digest(_secrets()[0], purpose, parts)


def user(client_ref: UUID, user_id: str) -> str:
    """Return the name of an Ibexa user: each client's is another, so that they cannot be linked."""
    return digest("tracking.ibexa_user", client_ref, user_id)


def digests(purpose: str, *parts: object) -> list[str]:
    """Return the name of now, and those that earlier secret keys of the host gave."""
    return [_digest(secret, purpose, parts) for secret in _secrets()]


def _secrets() -> tuple[str | bytes, ...]:
    key = conf.settings().HASH_KEY
    if key:
        return (key,)
    return (django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS)


def _digest(secret: str | bytes, purpose: str, parts: tuple[object, ...]) -> str:
    said = "\n".join(str(part) for part in parts).encode("utf-8", "surrogatepass")
    return hmac.digest(_key(secret, purpose), said, "sha256").hex()


@lru_cache(maxsize=64)
def _key(secret: str | bytes, purpose: str) -> bytes:
    """Return the key of one purpose, so that no hash means anything for another."""
    raw = secret.encode() if isinstance(secret, str) else secret
    return hashlib.sha256(purpose.encode() + b"\n" + raw).digest()
