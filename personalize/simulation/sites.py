"""Where a simulation's calls go: through the site's own request handler, or to a live server."""

import http.client
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec
from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.test import RequestFactory
from django.urls import reverse

from tracking import db

_JSON: Final = "application/json"
_TIMEOUT: Final = 30.0


class CallFailed(RuntimeError):
    """The site answered a call with an error: the text has the address, the status and why."""


class Site(Protocol):
    """Takes a call, a JSON body, and gives the answer. Raises CallFailed."""

    def post(self, door: str, body: Any) -> Any: ...

    def together(self) -> AbstractContextManager[object]:
        """Commit the calls made meanwhile together, where that can be."""

    def close(self) -> None: ...


class OwnSite:
    """
    The site's own middleware, addresses and views, in this process.

    No signal ends a request: the connection to the database stays open between calls.
    """

    def __init__(self) -> None:
        self._handler = BaseHandler()
        self._handler.load_middleware()
        named = [host for host in settings.ALLOWED_HOSTS if not host.startswith(("*", "."))]
        self._requests = RequestFactory(HTTP_HOST=named[0] if named else "localhost")

    def post(self, door: str, body: Any) -> Any:
        path = reverse(door)
        request = self._requests.post(
            path, msgspec.json.encode(body), content_type=_JSON, secure=True
        )
        response = self._handler.get_response(request)
        return _answer(path, response.status_code, bytes(getattr(response, "content", b"")))

    def together(self) -> AbstractContextManager[object]:
        # What guests of a simulation do may be lost: a commit for each call would take longest.
        return db.atomic()

    def close(self) -> None:
        pass


class LiveSite:
    """A server at an address, over one connection that stays open."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CallFailed(
                f"“{url}” is no address of a server: it begins with http:// or https://."
            )
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname, parts.port, timeout=_TIMEOUT)

    def post(self, door: str, body: Any) -> Any:
        path = reverse(door)
        try:
            self._connection.request(
                "POST", path, msgspec.json.encode(body), {"Content-Type": _JSON}
            )
            with closing(self._connection.getresponse()) as response:
                return _answer(path, response.status, response.read())
        except OSError as error:
            self._connection.close()
            raise CallFailed(f"{path}: the server could not be reached: {error}.") from error

    def together(self) -> AbstractContextManager[object]:
        return nullcontext()

    def close(self) -> None:
        self._connection.close()


def _answer(path: str, status: int, content: bytes) -> Any:
    if status != http.HTTPStatus.OK:
        raise CallFailed(f"{path} answered {status}: {content[:500].decode(errors='replace')}")
    return msgspec.json.decode(content) if content else None
