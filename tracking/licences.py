"""
Licence keys: they sign addresses, so they must be read again, and are kept encrypted.

The encryption key derives from the host's SECRET_KEY (older ones in
SECRET_KEY_FALLBACKS still read); the `licence` extra brings the cipher.
"""

import base64
import hashlib
from typing import Any

from django.conf import settings

from tracking.models import Client, Key


class Unavailable(RuntimeError):
    """The library that encrypts is not installed."""


def store(client: Client, licence: str) -> None:
    """Keep this licence key for the client, unless it has it. Raises Unavailable."""
    if licence in read(client):
        return
    value = _cipher().encrypt(licence.encode()).decode()
    Key.objects.create(client=client, kind=Key.Kind.LICENCE, value=value, prefix=licence[:4])


def of(client_id: int) -> list[str]:
    """Return the live licence keys of the client of this row id. Raises Unavailable."""
    client = Client.objects.filter(pk=client_id).first()
    return read(client) if client else []


def read(client: Client) -> list[str]:
    """Return the client's live licence keys, newest first. Raises Unavailable."""
    rows = client.keys.filter(kind=Key.Kind.LICENCE, revoked_at__isnull=True).order_by("-pk")
    cipher = _cipher()
    return [cipher.decrypt(row.value.encode()).decode() for row in rows]


def _cipher() -> Any:
    try:
        from cryptography.fernet import Fernet, MultiFernet
    except ImportError:
        raise Unavailable(
            "License keys need encryption: pip install 'django-personalize[licence]'."
        ) from None
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    keys = [hashlib.sha256(b"tracking.licence\n" + str(s).encode()).digest() for s in secrets]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
