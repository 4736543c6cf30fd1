"""The main journey of the product through a host, call by call, over real HTTP."""

import re
from dataclasses import dataclass
from typing import Any

from tests.packaging.hosts import Caller, Host
from tests.services import wait_until


@dataclass(frozen=True)
class Travelled:
    """What a journey made, for those who look at it afterwards."""

    browser: dict[str, Any]
    flow: dict[str, Any]
    tracking: dict[str, Any]


def make_client(host: Host) -> tuple[str, str]:
    """Make the host's client, or find it; answer its key and an API token."""
    printed = host.manage(
        *("create_client", "Shop", "--client-key", "public-key-of-the-shop"),
        *("--api-token", "secret-of-the-shop", "--point-of-sale", "shop/ie"),
        *("--identity-rule", "EMAIL"),
    )
    key = re.search(r"client key: (\S+)", printed)
    token = re.search(r"API token: (\S+)", printed)
    assert key and token, printed
    return key.group(1), token.group(1)


def travel(host: Host, caller: Caller) -> Travelled:
    """Visit, be known, be shown something, and find it recorded; fail at the first surprise."""
    key, token = make_client(host)
    caller.as_client(key, token)
    browser = caller.read("/v1.2/browser/create.json", client_key=key, message="{}")
    event = {"client_key": key, "browser_id": browser["ref"], "channel": "WEB", "pos": "shop/ie"}

    seen = caller.post("/v1.2/events", {**event, "type": "VIEW", "page": "shoes"})
    slashed = caller.post("/v1.2/events/", {**event, "type": "ADD", "product": {"name": "Shoe"}})
    caller.post(
        "/v1.2/events",
        {
            **event,
            "type": "IDENTITY",
            "firstname": "Ada",
            "identifiers": [{"provider": "EMAIL", "id": "ada@example.com"}],
            "ext": {f"note_{n}": "x" * 100 for n in range(40)},
        },
    )
    batch = caller.post(
        "/v2/events", {"events": [{"type": "SEARCH", "browserId": browser["ref"]}] * 3}
    )
    assert {seen["status"], slashed["status"]} == {"OK"}
    assert batch["accepted"] == 3

    path = "/v1.2/browser/{}/show.json".format(browser["ref"])
    guest = caller.read(path, client_key=key, api_token=key)["customer"]["ref"]
    wait_until(
        lambda: caller.read(f"/v2.1/guests/{guest}")["guestType"] == "customer",
        what="the visitor's promotion",
    )
    flow = caller.post(
        "/v2/flowDefinitions",
        {
            "name": "Hero banner",
            "status": "LIVE",
            "audience": {"all": [{"event": "ADD", "at_least": 1, "within": "session"}]},
            "variants": [{"name": "Greeting", "content": {"title": "Hello {{ guest.firstName }}"}}],
        },
    )
    shown = caller.post(
        "/v2/callFlows",
        {
            "clientKey": key,
            "friendlyId": flow["friendlyId"],
            "browserId": browser["ref"],
            "channel": "WEB",
            "pointOfSale": "shop/ie",
        },
    )
    assert shown == {"title": "Hello Ada"}

    runs: list[dict[str, Any]] = []

    def tracked() -> bool:
        found = caller.read("/v2/events", type="TRACKING", flowRef=flow["ref"])["items"]
        runs.extend(found)
        return bool(found)

    wait_until(tracked, what="the TRACKING event")
    (run,) = runs
    execution = run["arbitraryData"]["flowExecution"]
    assert run["browserRef"] == browser["ref"]
    assert execution["flowFriendlyId"] == flow["friendlyId"]
    assert execution["status"] == "SUCCESS"
    (session,) = caller.read("/v2/sessions", browserRef=browser["ref"])["items"]
    assert session["events"] == 7
    assert caller.get(flow["href"].partition(str(caller.port))[2]).json()["ref"] == flow["ref"]
    return Travelled(browser=browser, flow=flow, tracking=run)
