"""The host's PERSONALIZE dict as one typed value, read lazily through `conf.settings()`."""

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every key of PERSONALIZE, with its default."""

    # A page waits no longer for its content than this; it shows its default then.
    PAGE_DEADLINE_MS: int = 400
    # Early exits are counted in memory and written at most this often; 0: with every call.
    EXIT_COUNT_SECONDS: float = 10.0
    MAX_CALL_BYTES: int = 32 * 1024
    RETAIN_EXECUTIONS_DAYS: int = 90


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings in force. Unknown keys are ignored here and reported by a check."""
    given = host_settings()
    known = {field.name for field in fields(Settings)}
    return Settings(**{key: value for key, value in given.items() if key in known})


def host_settings() -> dict[str, Any]:
    return dict(getattr(django_settings, "PERSONALIZE", {}))


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "PERSONALIZE":
        settings.cache_clear()


setting_changed.connect(_forget)
