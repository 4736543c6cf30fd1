"""Guests at random, with the values that databases and Python read differently."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from personalize.models import Flow, GuestGoal, Segment
from tests.factories import ClientFactory
from tracking import catalogue, clients, items
from tracking.items import CatalogueItem
from tracking.models import Cart, Client, Event, Guest, Identifier, Order, OrderItem
from tracking.types import ClientConfig, ItemKey

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GUESTS = 50

#: Pieces of texts: ASCII, what folds to it, to more than one character, or not as lower() does.
PIECES = (
    "aBk", "s", "i", "I", "5", ".", "%", "_", "[", "*", "?", "\\", "'", " ", "ß", "ẞ", "ss", "SS",
    "ſ", "İ", "i̇", "ı", "σ", "ς", "Σ", "ﬁ", "FI", "ﬃ", "K", "é", "É", "ŉ", "ǰ", "ΐ", "ῼ", "Ǆ",
    "👍", "日",
)  # fmt: skip
WORDS = (
    "true", "TRUE", "false", "False", "trUE", "blue", "Blue", "BLUE", "Straße", "STRASSE",
    "strasse", "strasze", "ΌΣΟΣ", "όσος", "", "x" * 9000, "ß" * 3000,
    # What is a number, and what only looks like one.
    "5", "5.0", "05", "+5", "-5", ".5", "5.", "1e5", "1e999", "1e-999", "5e0", "５", "5_0", "0x5",
    "1e22", "inf", "nan", "1.0", "0.1", "19.99", "9007199254740993", "9223372036854775808", "1e+22",
    "1e-05", "e", " 5", "5 ", "9" * 19,
    "2026-02-27", "2026-02-27T12:00:00Z", "20260227", "2026-02-30", "2026", "12345", "2026-W09-5",
    "2026-02-27 12:00+02:00",
)  # fmt: skip
NUMBERS = (
    0, 1, 5, -5, 2, 10, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 9007199254740993, 123456,
    0.0, -0.0, 5.0, 0.1, 0.30000000000000004, 19.99, 5.000000000000001, 1e15, 1e16, 1e22, 1e300,
    -1e300, 1e-5, 0.0001, 5e-324, 123456.75, 4.999999999999999, 1.7976931348623157e308, 1e14 + 0.5,
)  # fmt: skip
KEYS = (
    "a",
    "b",
    "c",
    "0",
    "1",
    "007",
    "-1",
    "+1",
    "é",
    'q"q',
    "b c",
    "0000000001",
    "$x",
    "3d",
    "*",
)
PROPERTIES = ("price", "product", "items", "name")
PROVIDERS = ("BROWSER", "EMAIL", "Customer", "Straße", "A,B", "BOT", "browser")
WINDOWS = tuple(timedelta(days=days) for days in (1, 3, 7, 30))


def text(random: Random) -> str:
    if random.random() < 0.4:
        return random.choice(WORDS)
    return "".join(random.choices(PIECES, k=random.randint(0, 4)))


def value(random: Random, depth: int = 0) -> Any:
    """Return any JSON value that the doors let in."""
    kind = random.random()
    if kind < 0.12:
        return None
    if kind < 0.22:
        return random.random() < 0.5
    if kind < 0.42:
        return random.choice(NUMBERS) if random.random() < 0.7 else random.randint(-9, 9)
    if kind < 0.72 or depth > 2:
        return text(random)
    if kind < 0.86:
        return [value(random, depth + 1) for _ in range(random.randint(0, 3))]
    return record(random, KEYS, depth + 1)


def record(random: Random, keys: tuple[str, ...], depth: int = 0) -> dict[str, Any]:
    found = random.sample(keys, k=random.randint(0, min(5, len(keys))))
    return {key: value(random, depth) for key in found}


def moment(random: Random) -> datetime:
    """Return when something was: often just on, or beside, where a window of days begins."""
    if random.random() < 0.3:
        return NOW - random.choice(WINDOWS) + timedelta(microseconds=random.choice((-1, 0, 1)))
    return NOW - timedelta(seconds=random.uniform(-3 * 86_400, 40 * 86_400))


@dataclass
class World:
    """A client's guests as they are stored, and the texts that are among what they have."""

    client: ClientConfig
    guest_ids: list[int]
    texts: list[str] = field(default_factory=list)


class _Maker:
    def __init__(self, random: Random, client: Client) -> None:
        self.random, self.client = random, client
        self.texts: list[str] = []

    def text(self) -> str:
        found = text(self.random)
        self.texts.append(found)
        return found

    def short(self, most: int) -> str:
        return self.text()[:most] if self.random.random() < 0.7 else ""

    def guest(self, **given: Any) -> Guest:
        ref = uuid.UUID(int=self.random.getrandbits(128), version=4)
        values: dict[str, Any] = {
            "type": self.random.choice(["VISITOR", "CUSTOMER"]),
            "first_name": self.short(200),
            "last_name": self.short(200),
            "gender": self.short(20),
            "email": self.short(320),
            "phone": self.short(50),
            "city": self.short(200),
            "country": self.short(100),
            "language": self.short(20),
            "attributes": record(self.random, KEYS),
            "first_seen": moment(self.random),
            "last_seen": moment(self.random),
        }
        times = {"created_at": NOW, "modified_at": NOW}
        made: dict[str, Any] = {"ref": ref, "bucket_ref": ref, **values, **times, **given}
        return Guest(client=self.client, **made)

    def data(self, type: str) -> dict[str, Any]:
        if type == "TRACKING" and self.random.random() < 0.8:
            return {
                "flowExecution": {"flowFriendlyId": self.random.choice(["hero", "Hero", "five"])},
                "decision": {"variant": self.random.choice(["A", "B", None, 5])},
            }
        data = record(self.random, PROPERTIES)
        if self.random.random() < 0.6:
            data["price"] = self.random.choice([5, 10, 5.0, 19.99, 0.1, 100, -5])
        if self.random.random() < 0.3:
            data["product"] = {"type": self.text(), "price": self.random.choice(NUMBERS)}
        if self.random.random() < 0.4:
            data["items"] = [
                {"sku": self.text()[:50], "price": self.random.choice(NUMBERS), "count": 1}
                for _ in range(self.random.randint(0, 3))
            ]
        return data

    def event(self, guest: Guest) -> Event:
        type = self.random.choice(["ADD", "ADD", "VIEW", "TRACKING", "add"])
        ref = uuid.UUID(int=self.random.getrandbits(128), version=4)
        return Event(
            ref=ref,
            client=self.client,
            type=type,
            dialect="test",
            message_id=str(ref),
            occurred_at=moment(self.random),
            received_at=NOW,
            recorded_at=NOW,
            guest=guest,
            channel="WEB",
            data=self.data(type),
        )

    def order(self, guest: Guest) -> Order:
        amount = [None, 0, 500, 1999, 10_000, -500, 10**17, 2**62, 333]
        return Order(
            client=self.client,
            guest=guest,
            reference_id=str(self.random.getrandbits(64)),
            status=self.random.choice(["CREATED", "COMPLETED", "CANCELLED", "cancelled"]),
            ordered_at=moment(self.random),
            currency=self.random.choice(["EUR", "EUR", "EUR", "USD", ""]),
            total=self.random.choice(amount[:5] if self.random.random() < 0.8 else amount),
            refunded=self.random.choice([0, 0, 0, 500, 1]),
            created_at=NOW,
            modified_at=NOW,
        )

    def cart(self, guest: Guest) -> Cart:
        lines = [
            {
                "type": 1,
                "id": self.text()[:200],
                "quantity": self.random.randint(1, 4),
                "price": 500,
                "currency": "EUR",
                "name": "",
            }
            for _ in range(self.random.randint(0, 3))
        ]
        values = {"EUR": self.random.choice([0, 500, 1999, 10_000, 10**17]), "USD": 700}
        return Cart(
            client=self.client,
            guest=guest,
            cart_id=str(self.random.getrandbits(64)),
            began_at=NOW,
            changed_at=self.random.choice([moment(self.random), NOW - timedelta(days=1)]),
            lines=lines,
            values=values if self.random.random() < 0.7 else {},
        )


def make(random: Random) -> World:
    """Store a client with 50 guests and all that they did."""
    row = ClientFactory.create(key=f"key-{random.getrandbits(64)}", token=str(random.random()))
    client = clients.by_id(row.pk)
    assert client is not None
    maker = _Maker(random, row)
    guests = Guest.objects.bulk_create([maker.guest() for _ in range(GUESTS)])
    merged = [maker.guest(type="RETIRED", root=random.choice(guests)) for _ in range(15)]
    merged = Guest.objects.bulk_create(merged)
    Guest.objects.bulk_create(maker.guest(type=type) for type in ("BOT", "RETIRED", "BOT"))
    _fill(maker, guests + merged)
    Identifier.objects.bulk_create(
        Identifier(client=row, guest=guest, provider=provider, value=f"{guest.pk}", created_at=NOW)
        for guest in guests
        for provider in random.sample(PROVIDERS, k=random.randint(0, 3))
    )
    _join_segments(maker, guests)
    _reach_goals(maker, guests)
    return World(client, [guest.pk for guest in guests], maker.texts)


def _join_segments(maker: _Maker, guests: list[Guest]) -> None:
    names = ("vip", "big_spenders", "sale")
    segments = [Segment(client=maker.client, name=name, friendly_id=name) for name in names]
    segments.append(Segment(client=maker.client, name="gone", friendly_id="gone", deleted_at=NOW))
    for segment in segments:
        segment.save()
        for guest in maker.random.sample(guests, k=20):
            left_at = maker.random.choice([None, None, NOW])
            segment.memberships.create(guest=guest, entered_at=NOW, left_at=left_at)
    maker.texts += [segment.friendly_id for segment in segments] * 5


def _reach_goals(maker: _Maker, guests: list[Guest]) -> None:
    """Two flows and a deleted one, with goals of one name, goals of old, and steps of funnels."""
    random = maker.random
    for name in ("hero", "five", "gone"):
        ended = {"deleted_at": NOW} if name == "gone" else {}
        flow = Flow.objects.create(client=maker.client, name=name, friendly_id=name, **ended)
        refs = [uuid.UUID(int=random.getrandbits(128), version=4) for _ in range(5)]
        goals = [
            {"ref": str(ref), "name": called}
            for ref, called in zip(refs, ("Won", "Straße", "Won"), strict=False)
        ]
        revision = flow.revisions.create(
            number=1, published_at=NOW, definition={"goals": goals} if name != "five" else {}
        )
        flow.published = revision
        flow.save()
        GuestGoal.objects.bulk_create(
            GuestGoal(
                flow=flow,
                guest=guest,
                measure=ref,
                y=random.choice([0, 1_000_000, -5]),
                d=5,
                reached_at=random.choice([None, moment(random), moment(random)]),
            )
            for guest in guests
            for ref in random.sample(refs, k=random.choice([0, 1, 2]))
        )


def _fill(maker: _Maker, guests: list[Guest]) -> None:
    random = maker.random
    Event.objects.bulk_create(
        maker.event(guest) for guest in guests for _ in range(random.choice([0, 0, 1, 3, 6]))
    )
    orders = Order.objects.bulk_create(
        maker.order(guest) for guest in guests for _ in range(random.choice([0, 0, 1, 3]))
    )
    lines = [
        OrderItem(order=order, item_type=1, item_id=maker.text()[:200])
        for order in orders
        for _ in range(random.randint(0, 2))
    ]
    OrderItem.objects.bulk_create(lines)
    Cart.objects.bulk_create(
        maker.cart(guest) for guest in guests for _ in range(random.choice([0, 0, 1, 2]))
    )
    known = {ItemKey(1, line.item_id) for line in lines if line.item_id.isalnum()}
    catalogue.put(
        maker.client.pk,
        [
            items.checked(CatalogueItem(key=key, categories=("Shoes/Trail", "Straße")))
            for key in sorted(known)[::2]
        ],
        now=NOW,
    )
