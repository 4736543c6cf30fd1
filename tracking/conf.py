"""
The host's TRACKING dict as one typed, lazily read value.

Everybody in the app calls `conf.settings()`; nothing is bound at import, so
an override (or `override_settings` in a test) takes effect at once.
"""

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal

from django.conf import settings as django_settings
from django.core.signals import setting_changed

Dispatch = Literal["celery", "inline", "worker"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every key of TRACKING, with its default. Sizes are bytes, times seconds."""

    DISPATCH: Dispatch = "celery"
    # One event, one batch: after inflating.
    MAX_EVENT_BYTES: int = 32 * 1024
    MAX_BATCH_BYTES: int = 512 * 1024
    # A secret key may send larger batches: it is a server, not a visitor.
    MAX_TRUSTED_BATCH_BYTES: int = 4 * 1024 * 1024
    MAX_BATCH_EVENTS: int = 2_500
    MAX_INFLATE_RATIO: int = 100
    MAX_DEPTH: int = 32
    MAX_NODES: int = 10_000
    MAX_KEYS: int = 1_000
    MAX_EXT_KEYS: int = 50
    MAX_KEY_BYTES: int = 150
    MAX_TYPE_LENGTH: int = 200
    MAX_MESSAGE_ID_LENGTH: int = 100
    MAX_IDENTIFIER_LENGTH: int = 256
    MAX_URL_LENGTH: int = 4_096
    MAX_IDENTIFIERS: int = 50
    # Of one guest, with everything that links connect to it.
    MAX_LINKED_IDENTIFIERS: int = 1_000
    MAX_ATTRIBUTES: int = 1_000
    # Inbox rows one transaction walks.
    BATCH_ROWS: int = 200
    BATCH_MESSAGES: int = 1_000
    # Deaths of a worker on one message before that message is set aside.
    MAX_DEATHS: int = 3
    SESSION_TIMEOUT_MINUTES: int = 30
    MAX_FUTURE_SECONDS: int = 24 * 3600
    CLIENT_CACHE_SECONDS: float = 5.0
    RETAIN_QUARANTINE_DAYS: int = 30
    RETAIN_EVENTS_DAYS: int = 400
    RETAIN_VISITORS_DAYS: int = 90
    # The first-party browser cookie of the middleware.
    COOKIE_NAME: str = "bid"
    COOKIE_AGE: int = 400 * 24 * 3600
    COOKIE_DOMAIN: str | None = None
    # Dotted path of `consent(request) -> bool`; None asks nobody.
    CONSENT: str | None = None
    # The client that the site's own pages belong to; None takes the only one there is.
    SITE_CLIENT_KEY: str | None = None


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings in force. Unknown keys are ignored here and reported by a check."""
    given = host_settings()
    known = {field.name for field in fields(Settings)}
    return Settings(**{key: value for key, value in given.items() if key in known})


def host_settings() -> dict[str, Any]:
    return dict(getattr(django_settings, "TRACKING", {}))


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "TRACKING":
        settings.cache_clear()


setting_changed.connect(_forget)
