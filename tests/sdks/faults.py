"""
A proxy in front of a live server that makes it fail, for clients that must try again.

Every request takes the next fault of the script, and passes when there is none left. A fault is a
function of the exchange, so that a test can write one of its own.
"""

import gzip
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import urlsplit

PATIENCE = 30.0

#: What belongs to one connection and not to the message that goes through it.
_HOP_BY_HOP = {"connection", "keep-alive", "content-length", "date", "server", "transfer-encoding"}

UNAVAILABLE = {"code": "unavailable", "message": "Try again.", "meta": {"errors": ["Try again."]}}


@dataclass(frozen=True)
class Answer:
    """What came back, or is to come back; the names of headers are in small letters."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    reason: str | None = None

    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """One request, and the answer that its client got: None when the connection was cut instead."""

    def __init__(self, handler: "_Handler", target: str) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        self.method = handler.command
        self.path = handler.path
        self.headers: Message = handler.headers
        self.body = handler.rfile.read(length)
        self.answer: Answer | None = None
        self._handler = handler
        self._target = target

    def json(self) -> Any:
        """The request's body, inflated if it is compressed."""
        compressed = self.headers.get("Content-Encoding") == "gzip"
        return json.loads(gzip.decompress(self.body) if compressed else self.body)

    def start(self) -> http.client.HTTPConnection:
        """Hand the request to the server and come back before it has answered."""
        place = urlsplit(self._target)
        upstream = http.client.HTTPConnection(place.netloc, timeout=PATIENCE)
        kept = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        upstream.request(self.method, self.path, self.body, kept)
        return upstream

    def forward(self) -> Answer:
        """Let the server answer, without telling the client."""
        with closing(self.start()) as upstream:
            response = upstream.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            for name in _HOP_BY_HOP & headers.keys():
                del headers[name]
            return Answer(response.status, headers, response.read(), response.reason)

    def reply(self, answer: Answer) -> None:
        self.answer = answer
        handler = self._handler
        handler.send_response_only(answer.status, answer.reason)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)

    def cut(self) -> None:
        """Close the connection without a word."""
        self._handler.close_connection = True
        with suppress(OSError):
            self._handler.connection.shutdown(socket.SHUT_RDWR)


Fault: TypeAlias = Callable[[Exchange], None]


def passing(exchange: Exchange) -> None:
    """No fault: what the server says is what the client hears."""
    exchange.reply(exchange.forward())


def losing_the_request(exchange: Exchange) -> None:
    """The server never sees the request."""
    exchange.cut()


def losing_the_answer(exchange: Exchange) -> None:
    """The server does all of its work, and the client never hears of it."""
    exchange.forward()
    exchange.cut()


def answering(status: int, body: object = UNAVAILABLE, **headers: str) -> Fault:
    """In the server's place, as a balancer would; `Retry_After="1"` names a header."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, bytes) else "application/json"
    named = {name.lower().replace("_", "-"): value for name, value in headers.items()}
    answer = Answer(status, {"content-type": kind} | named, raw)
    return lambda exchange: exchange.reply(answer)


class Killing:
    """Kills the server over a request: once it has done its work, or while it is at it."""

    def __init__(self, kill: Callable[[], None], *, at_work: bool = False) -> None:
        self._kill = kill
        self._at_work = at_work
        self._dead = threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        try:
            if self._at_work:
                with closing(exchange.start()):
                    self._kill()
            else:
                exchange.forward()
                self._kill()
        finally:
            exchange.cut()
            self._dead.set()

    def wait(self) -> None:
        """Return once the server is dead."""
        assert self._dead.wait(PATIENCE), "no request came that could have killed the server"


class FaultyProxy:
    """What happened so far, and what is to happen to the next requests; `url` reaches it."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.url = ""
        self.exchanges: list[Exchange] = []
        self._script: list[Fault] = []
        self._lock = threading.Lock()

    def script(self, *faults: Fault) -> None:
        """Say what the next requests meet, one each, in this order."""
        with self._lock:
            self._script = list(faults)

    @property
    def statuses(self) -> list[int | None]:
        """What each request was answered, None where it was not."""
        return [exchange.answer.status if exchange.answer else None for exchange in self.exchanges]

    def _meet(self, handler: "_Handler") -> None:
        exchange = Exchange(handler, self.target)
        with self._lock:
            self.exchanges.append(exchange)
            fault = self._script.pop(0) if self._script else passing
        try:
            fault(exchange)
        except (OSError, http.client.HTTPException):
            # The server is down, or died over it; a client in front of it would see that too.
            exchange.cut()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    #: Head and body of an answer leave together, else each waits for the other's receipt.
    wbufsize = -1
    server: "_Listener"

    def do_POST(self) -> None:
        self.server.proxy._meet(self)

    do_GET = do_OPTIONS = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, proxy: FaultyProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy
        self._open: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        accepted, address = super().get_request()
        self._open.add(accepted)
        return accepted, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End what clients keep alive; the threads that serve it then end by themselves."""
        for kept in list(self._open):
            with suppress(OSError):
                kept.shutdown(socket.SHUT_RDWR)


@contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    """Serve a proxy on a loopback port for the length of a `with` block."""
    proxy = FaultyProxy(target)
    with _Listener(proxy) as listener:
        proxy.url = f"http://127.0.0.1:{listener.server_port}"
        serving = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
        serving.start()
        try:
            yield proxy
        finally:
            listener.shutdown()
            listener.hang_up()
            serving.join()
