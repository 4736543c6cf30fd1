"""
What it costs to walk accepted events, against copying the finished rows and against a plain way.

The floor is PostgreSQL's COPY of the very rows that the walk has written, a
commit per 1,000, into a table with the same indexes. The plain way is what a
first version would do: per event one transaction of the ORM.
"""

import itertools
import time
import uuid
from collections.abc import Callable, Iterator

import msgspec
import psycopg
from django.db import connection, transaction
from django.utils import timezone

from tests.benchmarks import accept, report, seeding
from tests.benchmarks.report import Goal
from tests.benchmarks.run import Run
from tracking import clients, followers, pipeline, uuid7
from tracking.models import Client, Event, Guest, Identifier, InboxEntry, Session

_COPY_ROWS = 1000
_COPY = "tracking_event_copy"


def measure(run: Run) -> None:
    """Print the walk's rate against both, each slice on events of other guests."""
    guests = run.guests
    url = run.database(guests)
    client = clients.by_id(Client.objects.get().pk)
    assert client is not None
    size = 2_000 if run.is_quick else 10_000
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {_COPY} (LIKE tracking_event INCLUDING DEFAULTS INCLUDING INDEXES)"
        )
    numbers = itertools.cycle(range(1, guests + 1))
    recorded: list[str] = []

    def walk() -> float:
        refs = fill(client.id, numbers, size)
        began = time.perf_counter()
        while pipeline.process_batch(now=timezone.now()):
            followers.run_due(now=timezone.now())
        took = time.perf_counter() - began
        stored = Event.objects.filter(ref__in=[uuid7.child(ref, 0) for ref in refs]).count()
        assert stored == size, f"{stored} of {size} events were recorded"
        recorded[:] = [str(uuid7.child(ref, 0)) for ref in refs]
        return size / took

    def copy() -> float:
        with psycopg.connect(url, autocommit=True) as server:
            return size / _copied(server, recorded)

    few = size // 20

    def singly() -> float:
        refs = fill(client.id, numbers, few)
        began = time.perf_counter()
        for ref in refs:
            pipeline.process_entries([ref], now=timezone.now())
        return few / (time.perf_counter() - began)

    def plainly() -> float:
        refs = fill(client.id, numbers, few)
        began = time.perf_counter()
        for ref in refs:
            _record_plainly(ref)
        return few / (time.perf_counter() - began)

    slices: dict[str, Callable[[], float]] = {
        "walk": walk,
        "COPY": copy,
        "plain ORM": plainly,
        "walk, one by one": singly,
    }
    figures = report.alternate("drain", slices, rounds=run.rounds + 1)
    # In the first round the tables are empty and the caches cold.
    warm = {name: values[1:] for name, values in figures.items()}
    walked = warm["walk"]
    name = f"drain, {guests:,} guests"
    report.ratio(name, walked, warm["COPY"], to="COPY of the same rows", goal=Goal(0.3))
    report.ratio(name, walked, warm["plain ORM"], to="one ORM transaction per event", goal=Goal(10))
    report.ratio(
        name, walked, warm["walk, one by one"], to="the same walk, event by event", goal=None
    )
    report.figure("  that is", sorted(walked)[len(walked) // 2], "ev/s")


def fill(client_id: int, numbers: Iterator[int], size: int) -> list[uuid.UUID]:
    """Put events into an empty inbox, each of another guest."""
    accept.empty_inbox()
    now = timezone.now()
    refs = sorted(uuid7.at(now) for _ in range(size))
    InboxEntry.objects.bulk_create(
        InboxEntry(
            ref=ref,
            client_id=client_id,
            dialect="sitecore",
            body=seeding.event(next(numbers)),
            headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64)"},
            received_at=now,
        )
        for ref in refs
    )
    return refs


def _copied(server: psycopg.Connection, refs: list[str]) -> float:
    """Copy these events' rows into the other table; return the seconds that writing them took."""
    took = 0.0
    for start in range(0, len(refs), _COPY_ROWS):
        among = ", ".join(f"'{ref}'" for ref in refs[start : start + _COPY_ROWS])
        sql = f"COPY (SELECT * FROM tracking_event WHERE ref IN ({among}) ORDER BY ref)"
        with server.cursor().copy(f"{sql} TO STDOUT (FORMAT BINARY)") as out:
            rows = b"".join(bytes(piece) for piece in out)
        began = time.perf_counter()
        with server.cursor().copy(f"COPY {_COPY} FROM STDIN (FORMAT BINARY)") as into:
            into.write(rows)
        took += time.perf_counter() - began
    return took


def _record_plainly(ref: uuid.UUID) -> None:
    """Do to one event what the walk does, as its models suggest."""
    with transaction.atomic():
        entry = InboxEntry.objects.select_for_update().get(ref=ref)
        data = msgspec.json.decode(bytes(entry.body))
        browser = (
            Identifier.objects.select_for_update()
            .select_related("guest")
            .get(client=entry.client_id, provider="BROWSER", value=data["browser_id"])
        )
        client = Client.objects.get(pk=entry.client_id)
        session, _ = Session.objects.select_for_update().get_or_create(
            browser=browser,
            channel=data["channel"],
            point_of_sale_id=client.default_point_of_sale_id,
            status="OPEN",
            defaults={
                "client": client,
                "guest": browser.guest,
                "started_at": entry.received_at,
                "ended_at": entry.received_at,
                "created_at": entry.received_at,
            },
        )
        session.ended_at = entry.received_at
        session.events_count += 1
        session.save()
        Event.objects.create(
            ref=uuid7.child(ref, 0),
            client=client,
            type=data["type"],
            dialect=entry.dialect,
            message_id=str(uuid7.child(ref, 0)),
            occurred_at=entry.received_at,
            received_at=entry.received_at,
            recorded_at=timezone.now(),
            guest=browser.guest,
            session=session,
            browser=browser,
            channel=data["channel"],
            point_of_sale_id=client.default_point_of_sale_id,
            data=data,
        )
        Guest.objects.filter(pk=browser.guest_id).update(last_seen=entry.received_at)
        entry.delete()
