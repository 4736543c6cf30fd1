"""The product as its callers see it: a small client over HTTP, for journeys."""

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.test import Client as TestClient

from tests.factories import API_TOKEN, CLIENT_KEY

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response


class Api:
    """Calls the doors through the whole stack of the demo site."""

    def __init__(self, client_key: str = CLIENT_KEY, api_token: str = API_TOKEN) -> None:
        self.http = TestClient()
        self.client_key = client_key
        self.api_token = api_token

    @property
    def basic(self) -> str:
        text = f"{self.client_key}:{self.api_token}"
        return "Basic " + base64.b64encode(text.encode()).decode()

    def create_browser(self) -> dict[str, Any]:
        path = "/v1.2/browser/create.json"
        browser: dict[str, Any] = self.json(self.get(path, client_key=self.client_key))
        return browser

    def show(self, browser_id: str) -> "Response":
        return self.get(f"/v1.2/browser/{browser_id}/show.json", client_key=self.client_key)

    def send(self, type: str, browser_id: str, **attributes: Any) -> "Response":
        event = {
            "type": type,
            "browser_id": browser_id,
            "client_key": self.client_key,
            "channel": "WEB",
            "pos": "myretailsite/ireland",
            "language": "EN",
            "currency": "EUR",
            "page": "home",
        }
        return self.post("/v1.2/events", event | attributes)

    def identify(self, browser_id: str, *identifiers: tuple[str, str], **traits: Any) -> "Response":
        stated = [{"provider": provider, "id": value} for provider, value in identifiers]
        return self.send("IDENTITY", browser_id, identifiers=stated, **traits)

    def batch(self, *events: dict[str, Any]) -> "Response":
        return self.post("/v2/events", {"events": list(events)}, basic=True)

    def call_flows(self, friendly_id: str, **attributes: Any) -> "Response":
        wire = {"friendlyId": friendly_id, "clientKey": self.client_key, "channel": "WEB"}
        return self.post("/v2/callFlows", wire | attributes)

    def post(self, path: str, body: Any, *, basic: bool = False, **headers: str) -> "Response":
        if basic:
            headers["HTTP_AUTHORIZATION"] = self.basic
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(path, raw, content_type="application/json", **headers)  # type: ignore[arg-type]

    def put(self, path: str, body: Any) -> "Response":
        """Replace a document as the client's own server."""
        return self.http.put(
            path,
            json.dumps(body).encode(),
            content_type="application/json",
            headers={"authorization": self.basic},
        )

    def get(self, path: str, *, basic: bool = False, **query: Any) -> "Response":
        headers = {"HTTP_AUTHORIZATION": self.basic} if basic else {}
        return self.http.get(f"{path}?{urlencode(query)}", **headers)  # type: ignore[arg-type]

    def read(self, path: str, **query: Any) -> Any:
        """Read a list or a document as the client's own server."""
        return self.json(self.get(path, basic=True, **query))

    @staticmethod
    def json(response: "Response") -> Any:
        assert response.status_code in (200, 201), (response.status_code, response.content)
        return json.loads(response.content)
