"""What it costs to accept events durably, against the least that a DRF view does with the body."""

import gzip
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import connection

from tests.benchmarks import load, report, seeding, usage
from tests.benchmarks.load import Target
from tests.benchmarks.report import Goal
from tests.benchmarks.run import Run

_GUESTS = 10_000
_BODIES = 500
_BATCH = 100
CLIENTS = (8, 32)


@dataclass(frozen=True)
class Door:
    """A door, what is sent to it, and the reference view with the same body."""

    name: str
    events: int
    target: Target
    floor: Target
    goal: Goal | None = None


def measure(run: Run) -> None:
    """Print the ratios of every door, and of each family's batches to its single events."""
    service = run.sites.http(run.database(_GUESTS))
    pids = (service.pid, run.cluster.pid)
    for clients in CLIENTS:
        single: dict[str, list[float]] = {}
        for door in _doors(service.url):
            figures = report.alternate(
                f"accept {door.name}, {clients} clients",
                {
                    "reference view": saturated(run, door.floor, clients, pids),
                    "door": _counted(run, door.target, clients, pids),
                },
                rounds=run.rounds,
            )
            ratios(
                f"accept {door.name}, {clients} clients",
                figures["door"],
                figures["reference view"],
                to="the reference view, same body",
                goal=door.goal,
            )
            rates = [each.per_second * door.events for each in figures["door"]]
            report.figure("  that is", statistics.median(rates), "ev/s")
            family = door.name.partition(",")[0]
            if door.events == 1:
                single[family] = rates
            else:
                report.ratio(
                    "  events a second", rates, single[family], to="one by one", goal=_GAIN
                )


_GAIN = Goal(15)


def _doors(site: str) -> list[Door]:
    events = [seeding.event(number) for number in range(1, _BODIES + 1)]
    addresses = [seeding.address(number) for number in range(1, _BODIES + 1)]
    tracker = Target(site, f"/api/{seeding.CLIENT_KEY}/click", addresses, method="GET")
    calls = [seeding.track_call(number) for number in range(1, _BODIES + 1)]
    basic = {"Authorization": seeding.BASIC}
    packed = basic | {"Content-Encoding": "gzip"}
    batches = [_batch(b"events", _named_event, start) for start in range(8)]
    many = [_batch(b"batch", seeding.track_call, start) for start in range(8)]
    floor = Target(site, "/reference", many, basic)
    return [
        _door(Target(site, "/v1.2/events", events), "Stream API, one event", 1),
        _door(Target(site, "/v2/events", batches, basic), "Stream API, batch of 100", _BATCH),
        _door(Target(site, "/v1/track", calls, basic), "track calls, one call", 1),
        _door(Target(site, "/v1/batch", many, basic), "track calls, batch of 100", _BATCH),
        Door(
            "Ibexa's tracker, one address by GET",
            1,
            tracker,
            tracker.sent_to("/reference"),
            # A view without a body to parse does next to nothing: what is left is the row.
            Goal(0.25),
        ),
        Door(
            "track calls, batch of 100 in gzip",
            _BATCH,
            Target(site, "/v1/batch", [gzip.compress(body) for body in many], packed),
            # It does not inflate: it is given what is inside.
            floor,
        ),
    ]


def _door(target: Target, name: str, events: int) -> Door:
    goal = Goal(0.6) if events == 1 else None
    return Door(name, events, target, target.sent_to("/reference"), goal)


@dataclass(frozen=True)
class Slice:
    """What one slice came to: requests a second, and the servers' processor time for each."""

    per_second: float
    cpu_micros: float


def saturated(run: Run, target: Target, clients: int, pids: Sequence[int]) -> Callable[[], Slice]:
    return lambda: _saturate(run, target, clients, pids)[1]


def ratios(
    name: str, door: Sequence[Slice], floor: Sequence[Slice], *, to: str, goal: Goal | None
) -> None:
    """Print the door's rate against the floor's, and beside it the ratio by processor time."""
    report.ratio(name, _rates(door), _rates(floor), to=to, goal=goal)
    if all(each.cpu_micros for each in (*door, *floor)):
        spent = [each.cpu_micros for each in door], [each.cpu_micros for each in floor]
        note = "the floor's processor time, site and database"
        report.ratio("  by processor time", spent[1], spent[0], to=note, goal=None)


def _rates(slices: Sequence[Slice]) -> list[float]:
    return [each.per_second for each in slices]


def _saturate(
    run: Run, target: Target, clients: int, pids: Sequence[int]
) -> tuple[load.Rate, Slice]:
    before = usage.processor_seconds(*pids)
    rate = load.saturate(target, clients=clients, seconds=run.seconds)
    spent = usage.processor_seconds(*pids) - before
    return rate, Slice(rate.per_second, spent / rate.requests * 1e6)


def _counted(run: Run, target: Target, clients: int, pids: Sequence[int]) -> Callable[[], Slice]:
    """Measure, and check that every answered request left its row."""

    def measure() -> Slice:
        empty_inbox()
        rate, measured = _saturate(run, target, clients, pids)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM tracking_inboxentry")
            (stored,) = cursor.fetchone()
        if stored < rate.requests:
            raise load.LoadFailed(f"{rate.requests} requests answered, but {stored} stored")
        return measured

    return measure


def empty_inbox() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE tracking_inboxentry")


def _batch(name: bytes, written: Callable[[int], bytes], start: int) -> bytes:
    first = start * _BATCH + 1
    items = b", ".join(written(number) for number in range(first, first + _BATCH))
    return b'{"' + name + b'": [' + items + b"]}"


def _named_event(number: int) -> bytes:
    return seeding.event(number, message_id=f"message-{number}")
