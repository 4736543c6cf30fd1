"""Sixty days of a small shop: about 200 guests and exactly 5,000 events, the same every time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from project import goods

GUESTS = 200
EVENTS_PER_GUEST = 25
GUESTS_PER_BATCH = 20
DAYS = 60
POINTS_OF_SALE = ("myretailsite/ireland", "myretailsite/germany")

_FIRST_NAMES = (
    "Aoife", "Ben", "Carla", "Dara", "Emil", "Fiona", "Greta", "Hugo", "Ines", "Jonas",
    "Katja", "Liam", "Mia", "Nils", "Orla", "Paul", "Rosa", "Sean", "Tara", "Wim",
)  # fmt: skip
_LAST_NAMES = ("Byrne", "Fischer", "Kelly", "Klein", "Murphy", "Neumann", "Ryan", "Vogel", "Walsh")
_CAMPAIGNS: tuple[dict[str, str], ...] = (
    {},
    {},
    {"utm_source": "bing", "utm_medium": "social", "utm_campaign": "content_promotion"},
    {"utm_source": "newsletter", "utm_medium": "email", "utm_campaign": "spring_sale"},
)
_QUERIES = ("shoes", "trail", "bottle", "cap", "long sleeve")


@dataclass(frozen=True)
class Batch:
    """The events of some guests; `{n}` in a browser id stands for the batch's n-th browser."""

    number: int
    events: Sequence[dict[str, Any]]

    @property
    def last_message_id(self) -> str:
        return str(self.events[-1]["messageId"])

    def addressed(self, browser_ids: Sequence[str]) -> list[dict[str, Any]]:
        return [{**event, "browserId": browser_ids[event["browserId"]]} for event in self.events]


def batches(*, now: datetime) -> list[Batch]:
    """Return the whole history, ready to be sent batch by batch."""
    random = Random(20)
    made = []
    for number in range(GUESTS // GUESTS_PER_BATCH):
        events = [
            event
            for place in range(GUESTS_PER_BATCH)
            for event in _guest(number * GUESTS_PER_BATCH + place, place, random, now)
        ]
        # A log is sent as it was written: by time.
        events.sort(key=lambda event: str(event["occurredAt"]))
        made.append(Batch(number, events))
    return made


def _guest(number: int, place: int, random: Random, now: datetime) -> list[dict[str, Any]]:
    """One guest's visits, oldest first, until they make EVENTS_PER_GUEST events."""
    point_of_sale = random.choice(POINTS_OF_SALE)
    is_known = random.random() < 0.4
    common = {
        "browserId": place,
        "channel": random.choice(("WEB", "WEB", "MOBILE_WEB")),
        "pointOfSale": point_of_sale,
        "language": "DE" if point_of_sale.endswith("germany") else "EN",
        "currency": "EUR",
    }
    at = now - timedelta(days=DAYS * (0.5 + 0.5 * random.random()))
    events: list[dict[str, Any]] = []
    while len(events) < EVENTS_PER_GUEST:
        visit = list(_visit(number, random, is_known=is_known and bool(events)))
        # The visits that are still to come have to fit between this one and now.
        step = (now - timedelta(hours=3) - at) / max(2, (EVENTS_PER_GUEST - len(events)) // 4)
        for event in visit:
            at += timedelta(seconds=random.randint(5, 200))
            events.append(
                {
                    **common,
                    **event,
                    "messageId": f"history-{number}-{len(events)}",
                    "occurredAt": min(at, now).isoformat(),
                }
            )
        at += timedelta(minutes=45) + step * random.random()
    return events[:EVENTS_PER_GUEST]


def _visit(number: int, random: Random, *, is_known: bool) -> Iterator[dict[str, Any]]:
    yield {"type": "VIEW", "page": "home", **random.choice(_CAMPAIGNS)}
    if is_known and random.random() < 0.5:
        yield _identity(number)
    if random.random() < 0.3:
        yield {"type": "SEARCH", "page": "search", "ext": {"query": random.choice(_QUERIES)}}
    looked_at = random.sample(goods.PRODUCTS, random.randint(1, 3))
    for product in looked_at:
        yield {"type": "VIEW", "page": f"products/{product.slug}"}
    if random.random() < 0.35:
        product = looked_at[-1]
        yield added(product)
        if random.random() < 0.5:
            yield {"type": "CONFIRM", "page": "cart", "product": [{"item_id": product.sku}]}
            yield {
                "type": "CHECKOUT",
                "page": "checkout",
                "reference_id": f"ORDER-{number}-{random.randint(1000, 9999)}",
                "status": "PURCHASED",
            }


def added(product: goods.Product) -> dict[str, Any]:
    return {
        "type": "ADD",
        "page": f"products/{product.slug}",
        "product": {
            "type": product.kind,
            "item_id": product.sku,
            "name": product.name,
            "price": float(product.price),
            "quantity": 1,
            "currency": "EUR",
            "productId": product.sku,
            "referenceId": product.sku,
        },
    }


def _identity(number: int) -> dict[str, Any]:
    first = _FIRST_NAMES[number % len(_FIRST_NAMES)]
    last = _LAST_NAMES[number % len(_LAST_NAMES)]
    email = f"{first}.{last}.{number}@example.com".lower()
    return {
        "type": "IDENTITY",
        "page": "account",
        "firstname": first,
        "lastname": last,
        "email": email,
        "identifiers": [{"provider": "EMAIL", "id": email}],
    }
