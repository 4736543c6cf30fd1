"""
Browser ids as we give them out: random, and signed, so that they can be known again.

Browsers keep an id for years, and visitors who stay away are purged long
before. Their return is told from an invented id by the signature alone.
"""

import secrets
import uuid

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from tracking.types import ClientConfig

_SALT = "tracking.browser_id"
_RANDOM_BITS, _SIGNED_BITS = 62, 60


def new(client: ClientConfig) -> str:
    """Return a new browser id of this client, in the form of a UUID of version 4."""
    drawn = secrets.randbits(_RANDOM_BITS)
    return _written(drawn, _signature(client, drawn, settings.SECRET_KEY))


def is_ours(client: ClientConfig, browser_id: str) -> bool:
    """Say whether this client gave the id out, under the secret key of now or an earlier one."""
    try:
        drawn = uuid.UUID(browser_id).int & ((1 << _RANDOM_BITS) - 1)
    except ValueError:
        return False
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return any(
        constant_time_compare(browser_id, _written(drawn, _signature(client, drawn, key)))
        for key in keys
    )


def _signature(client: ClientConfig, drawn: int, key: str | bytes) -> int:
    name = f"{client.ref}\n{drawn}"
    digest = salted_hmac(_SALT, name, secret=key, algorithm="sha256").digest()
    return int.from_bytes(digest, "big") >> (256 - _SIGNED_BITS)


def _written(drawn: int, signature: int) -> str:
    # The signature takes the bits before and after the version, what was drawn all the others.
    upper, lower = signature >> 12, signature & 0xFFF
    number = (upper << 80) | (4 << 76) | (lower << 64) | (0b10 << 62) | drawn
    return str(uuid.UUID(int=number))
