"""A reverse proxy that stands before the server under test, keeps what passes, and can fail."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.services import wait_until

TIMEOUT = 30.0
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "date", "server"}

Headers = list[tuple[str, str]]


@dataclass(kw_only=True)
class Call:
    """A request that came by; `status` is None until it is answered, and 0 where it never was."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int | None = None

    @property
    def messages(self) -> list[Any]:
        """The messages of a body that has one, or a batch of them."""
        body = json.loads(self.body)
        batch: list[Any] = body.get("batch", [body])
        return batch

    @property
    def message_ids(self) -> list[str]:
        return [message["messageId"] for message in self.messages]


@dataclass(kw_only=True)
class Fault:
    """What goes wrong with one call, in this order: held back, not forwarded, answer spoilt."""

    #: Keeps the call here until it is set.
    held: threading.Event | None = None
    #: Answers in the server's stead.
    instead: tuple[int, Headers] | None = None
    #: The connection ends before the call reaches the server.
    refused: bool = False
    #: The server does the work, and nobody hears of it.
    answer_lost: bool = False
    #: Pages of other origins cannot read the answer.
    cors_lost: bool = False


@dataclass
class Front:
    """Where the clients of a test send; `upstream` is where it goes, and may change."""

    upstream: str
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    #: Those of the next POSTs of events, in order; the settings and preflights pass.
    faults: list[Fault] = field(default_factory=list)

    def posts(self) -> list[Call]:
        return [call for call in self.calls if call.method == "POST"]

    def messages(self) -> list[Any]:
        """All messages in the order in which they came, however often each did."""
        return [message for call in self.posts() for message in call.messages]

    def asked(self) -> dict[str, set[str]]:
        """Which headers were asked for in preflights, by path."""
        wanted: dict[str, set[str]] = {}
        for call in self.calls:
            if call.method == "OPTIONS":
                names = call.headers.get("access-control-request-headers", "")
                wanted.setdefault(call.path, set()).update(names.split(","))
        return wanted

    def wait_for(self, condition: Callable[[list[Call]], object], *, what: str) -> None:
        """Wait for the POSTs so far to be as described."""
        wait_until(lambda: condition(self.posts()), timeout=TIMEOUT, what=what)

    def wait_for_answers(self, count: int) -> None:
        def enough(posts: list[Call]) -> bool:
            return sum(call.status is not None for call in posts) >= count

        self.wait_for(enough, what=f"{count} answered POSTs")


class _Passing(BaseHTTPRequestHandler):
    front: Front

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(method=self.command, path=self.path, headers=headers, body=body)
        fault = Fault()
        if call.method == "POST" and self.front.faults:
            fault = self.front.faults.pop(0)
        self.front.calls.append(call)
        try:
            self._answer(call, fault)
        except OSError:
            # The other side has gone, which is what some tests are about.
            call.status = call.status or 0

    def _answer(self, call: Call, fault: Fault) -> None:
        if fault.held is not None:
            fault.held.wait(TIMEOUT)
        if fault.refused:
            raise ConnectionError
        if fault.instead is not None:
            status, headers = fault.instead
            self._send(call, status, headers, b"")
            return
        status, headers, body = self._forwarded(call)
        if fault.answer_lost:
            raise ConnectionError
        if fault.cors_lost:
            headers = [pair for pair in headers if not pair[0].startswith("access-control-")]
        self._send(call, status, headers, body)

    def _forwarded(self, call: Call) -> tuple[int, Headers, bytes]:
        netloc = urlsplit(self.front.upstream).netloc
        connection = http.client.HTTPConnection(netloc, timeout=TIMEOUT)
        try:
            # The Host stays the client's own: the server's answers name it.
            passed = {k: v for k, v in call.headers.items() if k not in _HOP_BY_HOP}
            connection.request(call.method, call.path, call.body or None, passed)
            answer = connection.getresponse()
            pairs = [(name.lower(), value) for name, value in answer.getheaders()]
            kept = [pair for pair in pairs if pair[0] not in _HOP_BY_HOP | {"content-length"}]
            return answer.status, kept, answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError from error
        finally:
            connection.close()

    def _send(self, call: Call, status: int, headers: Headers, body: bytes) -> None:
        # Before the other side can act on it.
        call.status = status
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_OPTIONS = _pass

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def before(upstream: str) -> Iterator[Front]:
    """Stand before this server until the block ends."""
    front = Front(upstream)
    handler = type("Passing", (_Passing,), {"front": front})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        front.url = f"http://127.0.0.1:{proxy.server_port}"
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            yield front
        finally:
            proxy.shutdown()
