"""What it costs to accept events durably, against the least that a DRF view does with the body."""

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


def measure(run: Run) -> None:
    """Print the ratios of both doors, for few clients and for many."""
    url = run.database(_GUESTS)
    service = run.sites.http(url)
    pids, site = (service.pid, run.cluster.pid), service.url
    single = Target(
        site, "/v1.2/events", [seeding.event(number) for number in range(1, _BODIES + 1)]
    )
    batch = Target(
        site, "/v2/events", [_batch(start) for start in range(8)], {"Authorization": seeding.BASIC}
    )
    for name, target, events in (("one event", single, 1), (f"{_BATCH} events", batch, _BATCH)):
        reference = target.sent_to("/reference")
        for clients in CLIENTS:
            figures = report.alternate(
                f"accept {name}, {clients} clients",
                {
                    "reference view": saturated(run, reference, clients, pids),
                    "door": _counted(run, target, clients, pids),
                },
                rounds=run.rounds,
            )
            ratios(
                f"accept {name}, {clients} clients",
                figures["door"],
                figures["reference view"],
                to="the reference view, same body",
                goal=Goal(0.6) if events == 1 else None,
            )
            if events > 1:
                per_second = statistics.median(each.per_second for each in figures["door"])
                report.figure("  that is", per_second * events, "ev/s")


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


def _batch(start: int) -> bytes:
    first = start * _BATCH + 1
    events = [
        seeding.event(number, message_id=f"message-{number}")
        for number in range(first, first + _BATCH)
    ]
    return b'{"events": [' + b", ".join(events) + b"]}"
