"""
The host's TRACKING dict as one typed, lazily read value.

Everybody in the app calls `conf.settings()`; nothing is bound at import, so
an override (or `override_settings` in a test) takes effect at once.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic, Literal, TypeVar

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
    # Of one identify call of the Segment family.
    MAX_TRAITS: int = 300
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
    BATCH_ROWS: int = 1_000
    BATCH_MESSAGES: int = 1_000
    # Deaths of a worker on one message before that message is set aside.
    MAX_DEATHS: int = 3
    SESSION_TIMEOUT_MINUTES: int = 30
    MAX_FUTURE_SECONDS: int = 24 * 3600
    CLIENT_CACHE_SECONDS: float = 5.0
    # How often counts of seen properties are written.
    SEEN_COUNT_SECONDS: float = 10.0
    # Folders of the Customer.io and Segment browser SDKs (dist/umd of their packages), for sites
    # whose pages load them by the script-tag snippet; None serves no scripts.
    CUSTOMERIO_SDK_FOLDER: str | None = None
    SEGMENT_SDK_FOLDER: str | None = None
    RETAIN_QUARANTINE_DAYS: int = 30
    RETAIN_EVENTS_DAYS: int = 400
    RETAIN_VISITORS_DAYS: int = 90
    # An item's category that only clicks tell of, after the last of them.
    CATEGORY_DAYS: int = 90
    # The first-party browser cookie of the middleware.
    COOKIE_NAME: str = "bid"
    COOKIE_AGE: int = 400 * 24 * 3600
    COOKIE_DOMAIN: str | None = None
    # Dotted path of `consent(request) -> bool`; None asks nobody.
    CONSENT: str | None = None
    # Part of a place (city, region, country) -> the request header in which a proxy of yours
    # tells it. Name none that a visitor could send past the proxy.
    GEO_HEADERS: Mapping[str, str] = field(default_factory=dict)
    # Path of an .mmdb file that knows where addresses are, for requests of which no header tells.
    GEO_DATABASE: str = ""
    # The header in which a proxy of yours tells the visitor's address; "" takes REMOTE_ADDR.
    GEO_ADDRESS_HEADER: str = ""
    # Secret of the hashes by which people are known again who are not kept in clear: those who
    # were erased, and Ibexa's users. None takes SECRET_KEY; whoever may change that sets this one
    # for good, for under another key nobody is known again.
    HASH_KEY: str | None = None
    # The client that the site's own pages belong to; None takes the only one there is.
    SITE_CLIENT_KEY: str | None = None


S = TypeVar("S")


class HostDict(Generic[S]):
    """
    A dict of the host's settings as a typed value: read when asked for, kept until it changes.

    Unknown keys are ignored here; `unknown_keys` is what a check reports.
    """

    def __init__(self, name: str, kind: type[S]) -> None:
        self._name = name
        self._kind = kind
        self._value: S | None = None
        setting_changed.connect(self._forget)

    def __call__(self) -> S:
        if self._value is None:
            given = self.given()
            self._value = self._kind(**{key: given[key] for key in self.known_keys() & set(given)})
        return self._value

    def given(self) -> dict[str, Any]:
        return dict(getattr(django_settings, self._name, {}))

    def known_keys(self) -> set[str]:
        return {field.name for field in fields(self._kind)}  # type: ignore[arg-type]

    def unknown_keys(self) -> list[str]:
        return sorted(set(self.given()) - self.known_keys())

    @contextmanager
    def changed(self, **values: Any) -> Iterator[None]:
        """Have other values in this process for a while: for commands that do their own work."""
        before = self()
        self._value = replace(before, **values)  # type: ignore[type-var]
        try:
            yield
        finally:
            self._value = before

    def _forget(self, *, setting: str, **kwargs: Any) -> None:
        if setting == self._name:
            self._value = None


settings = HostDict("TRACKING", Settings)
