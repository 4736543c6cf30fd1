"""The shop's own server, as a caller of the HTTP API: one kept connection, JSON in and out."""

import base64
import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode


@dataclass(frozen=True)
class Answer:
    """What the server said, and how long it took."""

    status: int
    body: Any
    milliseconds: float


class Api:
    """Calls the doors of one client, with its public key and its API token."""

    def __init__(self, *, host: str, port: int, client_key: str, api_token: str) -> None:
        self.client_key = client_key
        self._connection = http.client.HTTPConnection(host, port, timeout=60)
        pair = base64.b64encode(f"{client_key}:{api_token}".encode()).decode()
        self._basic = {"Authorization": f"Basic {pair}"}

    def create_browser(self) -> Answer:
        return self.get("/v1.2/browser/create.json", client_key=self.client_key)

    def send(self, event: dict[str, Any]) -> Answer:
        return self.post("/v1.2/events", {**event, "client_key": self.client_key})

    def call_flows(self, call: dict[str, Any]) -> Answer:
        return self.post("/v2/callFlows", {**call, "clientKey": self.client_key})

    def batch(self, events: list[dict[str, Any]]) -> Answer:
        return self.post("/v2/events", {"events": events}, basic=True)

    def read(self, path: str, **query: str | int) -> Answer:
        """Read as the client's own server, which proves itself with the API token."""
        return self._call("GET", _with_query(path, query), headers=self._basic)

    def get(self, path: str, **query: str | int) -> Answer:
        return self._call("GET", _with_query(path, query))

    def post(self, path: str, body: Any, *, basic: bool = False) -> Answer:
        return self._send("POST", path, body, basic=basic)

    def put(self, path: str, body: Any) -> Answer:
        return self._send("PUT", path, body, basic=True)

    def _send(self, method: str, path: str, body: Any, *, basic: bool) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **(self._basic if basic else {})}
        return self._call(method, quote(path), raw, headers)

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        started = time.perf_counter()
        self._connection.request(method, path, body, headers or {})
        response = self._connection.getresponse()
        raw = response.read()
        spent = (time.perf_counter() - started) * 1000
        try:
            return Answer(response.status, json.loads(raw), spent)
        except ValueError:
            return Answer(response.status, raw.decode("utf-8", "replace"), spent)


def _with_query(path: str, query: dict[str, str | int]) -> str:
    path = quote(path)
    return f"{path}?{urlencode(query)}" if query else path
