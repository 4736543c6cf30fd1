"""
How soon an accepted event counts, on a system that has nothing else to do.

Real processes: granian, and a Celery worker on a real Redis, or
`process_inbox --follow` without either. The floor is two calls that wait for
nothing: the reference view, and the read of an event that is there.
"""

import json
import statistics
import time
from collections.abc import Callable

from tests import services
from tests.benchmarks import report, seeding
from tests.benchmarks.load import Caller, Target
from tests.benchmarks.report import Goal, Progress, percentile
from tests.benchmarks.run import Run

_GUESTS = 10_000
# Longer than any poll of the inbox has become by then: events come to a system at rest.
_REST = 0.5
_PATIENCE = 5.0
_P50, _P99 = Goal(50, is_least=False), Goal(150, is_least=False)


def measure(run: Run) -> None:
    """Print how long after it was sent an event is read back, and decides about a flow."""
    url = run.database(_GUESTS)
    redis = services.start_redis(run.stack)
    site = run.sites.http(url, dispatch="celery", broker=redis.url).url
    worker = run.sites.worker(url, broker=redis.url)
    _visible(run, site, "Celery on Redis", first=1)
    worker.stop()
    site = run.sites.http(url, dispatch="worker").url
    run.sites.follower(url)
    _visible(run, site, "process_inbox --follow", first=_GUESTS // 2)


def _visible(run: Run, site: str, how: str, *, first: int) -> None:
    count = 25 if run.is_quick else 100
    target = Target(site, "/v1.2/events", [], {"Authorization": seeding.BASIC})
    spent: dict[str, list[float]] = {"floor": [], "until it is read": [], "until it decides": []}
    with (
        Caller(target) as events,
        Caller(target.sent_to("/reference")) as reference,
        Caller(target.sent_to("/v2/callFlows")) as flows,
        Progress(f"visible, {how}", count * 2 + 2) as progress,
    ):
        for at in range(-1, count):
            number = first + 2 * (at + 1)
            progress.step()
            path = "/v2/events/" + _ref(events.send(seeding.event(number, type="ADD")).body)
            _wait(lambda path=path: events.get(path).status == 200)  # type: ignore[misc]
            time.sleep(_REST)
            began = time.perf_counter()
            reference.send(seeding.event(number))
            events.get(path)
            floor = _since(began)
            began = time.perf_counter()
            path = "/v2/events/" + _ref(events.send(seeding.event(number, type="ADD")).body)
            _wait(lambda path=path: events.get(path).status == 200)  # type: ignore[misc]
            read = _since(began)
            time.sleep(_REST)
            progress.step()
            call = seeding.call(number + 1, seeding.BEHAVIOUR_FLOW)
            began = time.perf_counter()
            events.send(seeding.event(number + 1, type="ADD"))
            _wait(lambda call=call: b"thanks" in flows.send(call).body)  # type: ignore[misc]
            decides = _since(began)
            time.sleep(_REST)
            # The first is for connections and caches.
            if at >= 0:
                for name, value in zip(spent, (floor, read, decides), strict=True):
                    spent[name].append(value)
    for name in ("until it is read", "until it decides"):
        report.ratio(
            f"{how}, {name}"[:46], spent[name], spent["floor"], to="calls that wait for nothing",
            goal=None,
        )  # fmt: skip
        report.figure("  p50", statistics.median(spent[name]), "ms", goal=_P50)
        report.figure("  p99", percentile(spent[name], 99), "ms", goal=_P99)


def _ref(answer: bytes) -> str:
    ref: str = json.loads(answer)["ref"]
    return ref


def _wait(is_there: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + _PATIENCE
    while not is_there():
        if time.perf_counter() > deadline:
            raise TimeoutError("an accepted event is not there yet")
        # Asking all the time would take the processor from those who are waited for.
        time.sleep(0.004)


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
