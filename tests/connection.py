"""HTTP as bytes on a socket: for requests that no library would send, and for kept connections."""

import http.client
import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

TIMEOUT = 20.0


@dataclass(frozen=True)
class Answer:
    """A server's answer, and whether the connection ends with it."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    is_last: bool

    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json", self
        return json.loads(self.body)


class Connection:
    """
    A connection that is kept for as long as the server keeps it, and opened anew after that.

    A context manager: leaving it closes the socket.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._place = (address.hostname, address.port)
        self._socket: socket.socket | None = None

    def ask(self, request: bytes, *, ends: bool = False) -> Answer | None:
        """
        Send these bytes and return the answer; None where the server closes without one.

        `ends` says that nothing more will come, as a client does that closes in mid-body.
        """
        if self._socket is None:
            self._socket = socket.create_connection(self._place, TIMEOUT)
        # What is refused early need not be read to its end, but is answered.
        with suppress(OSError):
            self._socket.sendall(request)
            if ends:
                self._socket.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(self._socket, method=request.split(b" ", 1)[0].decode())
        try:
            response.begin()
            body = response.read()
        except ConnectionError:
            self.close()
            return None
        if response.will_close or ends:
            self._expect_end()
        return Answer(response.status, response.headers, body, response.will_close)

    def _expect_end(self) -> None:
        """Wait for the server to close, as it said. Raises TimeoutError when it does not."""
        assert self._socket is not None
        with suppress(ConnectionError):
            assert self._socket.recv(1) == b""
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def request(
    path: str,
    body: bytes | None = b"",
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Write a request; None as body leaves its length out."""
    length = {} if body is None else {"Content-Length": str(len(body))}
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in {**length, **(headers or {})}.items()]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def in_chunks(body: bytes, size: int = 1000) -> bytes:
    """Write a body in chunks, the last and empty one included."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
