"""One story told by clients of either family, in any order and with repeats, comes to the same."""

import itertools
import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api import Api
from tests.conftest import Database
from tests.factories import ClientFactory
from tests.thoroughness import searches
from tracking.models import Client, Event, Guest, Identifier

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 3, 1, tzinfo=UTC)
DEVICES = ("phone of ada", "desk of ada", "phone of bob")
TRAITS = {"first_name": ("firstname", "firstName"), "email": ("email", "email")}
_numbers = itertools.count()


@dataclass(frozen=True)
class Deed:
    """Something that a person did on a device of theirs, at a minute of the story."""

    minute: int
    device: str
    what: str
    name: str = ""

    @property
    def person(self) -> str:
        return self.device.rpartition(" ")[2]

    @property
    def at(self) -> str:
        return (START + timedelta(minutes=self.minute)).isoformat()

    @property
    def message_id(self) -> str:
        return f"deed-{self.minute}"


DEEDS = st.lists(
    st.builds(
        Deed,
        minute=st.integers(0, 200),
        device=st.sampled_from(DEVICES),
        what=st.sampled_from(["view", "identify", "identify", "Added to cart"]),
        name=st.sampled_from(["Ada", "Bob", "Cleo"]),
    ),
    min_size=1,
    max_size=9,
    unique_by=lambda deed: deed.minute,
)


class Teller:
    """A client that tells the story, and what the server then knows."""

    def __init__(self) -> None:
        self.key = f"teller-{next(_numbers)}-{uuid.uuid4()}"
        self.client: Client = ClientFactory.create(
            key=self.key, token=self.key, identity_rules=["USER_ID"]
        )
        self.api = Api(client_key=self.key, api_token=self.key)
        self.devices: dict[str, str] = {}

    def tell(self, deed: Deed) -> None:
        raise NotImplementedError

    def device(self, name: str) -> str:
        return self.devices[name]

    def knows(self) -> list[dict[str, Any]]:
        """Return what is known of each person: who they are, and what they did."""
        names = {device: name for name, device in self.devices.items()}
        people = []
        for guest in Guest.objects.filter(client=self.client, root__isnull=True):
            members = Guest.objects.speaking_through(guest.pk)
            events = Event.objects.filter(guest__in=members)
            if not events.exists():
                # A browser id was given out, and never used.
                continue
            ids = Identifier.objects.filter(guest__in=members).values_list("provider", "value")
            used = {event.browser.value for event in events if event.browser}
            people.append(
                {
                    "type": guest.type,
                    "ids": sorted(names.get(value, value) for _, value in ids if value in used)
                    + sorted(value for provider, value in ids if provider == "USER_ID"),
                    "profile": {name: getattr(guest, name) for name in TRAITS},
                    "events": sorted(
                        (event.type, event.occurred_at, event.message_id) for event in events
                    ),
                }
            )
        return sorted(people, key=lambda person: person["ids"])


class OfSitecore(Teller):
    """Sends Stream API events, each under an Idempotency-Key."""

    def __init__(self) -> None:
        super().__init__()
        self.devices = {name: self.api.create_browser()["ref"] for name in DEVICES}

    def tell(self, deed: Deed) -> None:
        event: dict[str, Any] = {
            "type": {"view": "VIEW", "identify": "IDENTITY"}.get(deed.what, deed.what),
            "browser_id": self.device(deed.device),
            "client_key": self.key,
            "requested_at": deed.at,
        }
        if deed.what == "identify":
            event["identifiers"] = [{"provider": "USER_ID", "id": deed.person}]
            event |= {sent: deed.name for sent, _ in TRAITS.values()}
        answer = self.api.post("/v1.2/events", event, HTTP_IDEMPOTENCY_KEY=deed.message_id)
        assert answer.json()["status"] == "OK"


class OfSegment(Teller):
    """Sends calls, each under its messageId."""

    def __init__(self) -> None:
        super().__init__()
        self.devices = {name: f"{name} {uuid.uuid4()}" for name in DEVICES}

    def tell(self, deed: Deed) -> None:
        call: dict[str, Any] = {
            "anonymousId": self.device(deed.device),
            "messageId": deed.message_id,
            "timestamp": deed.at,
        }
        if deed.what == "view":
            call["type"] = "page"
        elif deed.what == "identify":
            call |= {"type": "identify", "userId": deed.person}
            call["traits"] = {sent: deed.name for _, sent in TRAITS.values()}
        else:
            call |= {"type": "track", "event": deed.what}
        answer = self.api.post("/v1/batch", {"writeKey": self.key, "batch": [call]})
        assert answer.json() == {"success": True}


@settings(max_examples=searches(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=DEEDS, seed=st.integers(0, 2**32))
def test_story__told_by_either_family_in_any_order__comes_to_the_same(
    on_sqlite: Database, deeds: list[Deed], seed: int
) -> None:
    in_order = sorted(deeds, key=lambda deed: deed.minute)
    tellers: list[Teller] = [OfSitecore(), OfSegment(), OfSitecore(), OfSegment()]
    shuffled = random.Random(seed)

    for teller in tellers[:2]:
        for deed in in_order:
            teller.tell(deed)
    for teller in tellers[2:]:
        repeated = in_order + shuffled.choices(in_order, k=len(in_order) // 2)
        shuffled.shuffle(repeated)
        for deed in repeated:
            teller.tell(deed)

    first, *others = [teller.knows() for teller in tellers]
    assert all(known == first for known in others)
    done = {event for person in first for event in person["events"]}
    assert len(done) == len(deeds)
