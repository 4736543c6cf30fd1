"""What it costs to accept events durably, against the least that a DRF view does with the body."""

from collections.abc import Callable

from django.db import connection

from tests.benchmarks import load, report, seeding
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
    site = run.sites.http(url).url
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
                    "reference view": saturated(run, reference, clients),
                    "door": _counted(run, target, clients),
                },
                rounds=run.rounds,
            )
            report.ratio(
                f"accept {name}, {clients} clients",
                figures["door"],
                figures["reference view"],
                to="the reference view, same body",
                goal=Goal(0.6) if events == 1 else None,
            )
            if events > 1:
                per_second = sorted(figures["door"])[len(figures["door"]) // 2] * events
                report.figure(f"  that is, {clients} clients", per_second, "ev/s")


def saturated(run: Run, target: Target, clients: int) -> Callable[[], float]:
    return lambda: load.saturate(target, clients=clients, seconds=run.seconds).per_second


def _counted(run: Run, target: Target, clients: int) -> Callable[[], float]:
    """Measure, and check that every answered request left its row."""

    def measure() -> float:
        empty_inbox()
        rate = load.saturate(target, clients=clients, seconds=run.seconds)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM tracking_inboxentry")
            (stored,) = cursor.fetchone()
        if stored < rate.requests:
            raise load.LoadFailed(f"{rate.requests} requests answered, but {stored} stored")
        return rate.per_second

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
