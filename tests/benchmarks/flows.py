"""
What it costs to run a flow and record the run, and what flows and guests add to that.

Two databases, of few guests and of many, are called in turn with 1, 100 and
1,000 live flows. The server's own time is measured at a pace that leaves it
idle most of the time: under full load it would be the queue's.
"""

import statistics
from collections.abc import Callable, Sequence

from tests.benchmarks import accept, load, report, seeding
from tests.benchmarks import cluster as clusters
from tests.benchmarks.accept import Slice
from tests.benchmarks.load import Target
from tests.benchmarks.report import Goal, percentile
from tests.benchmarks.run import Run
from tests.benchmarks.seeding import FLOWS

_FEW_GUESTS = 10_000
_LIVE_FLOWS = (1, 100, FLOWS)
_CALLERS = 2_000
_PER_SECOND = 50
_SERVER_P99 = Goal(10, is_least=False)
_NOTHING = b"No flow executed"


class _Shop:
    """One measured site and its database."""

    def __init__(self, run: Run, guests: int) -> None:
        self.guests = guests
        self.url = run.database(guests)
        service = run.sites.http(self.url)
        self.site = service.url
        self.pids = (service.pid, run.cluster.pid)

    def target(self, friendly_id: str, *, tier: int = 1) -> Target:
        # Guests from all over the table, so that a large one is really read.
        step = max(1, self.guests // _CALLERS)
        bodies = [
            seeding.call(1 + at * step, friendly_id, tier=tier)
            for at in range(min(_CALLERS, self.guests))
        ]
        return Target(self.site, "/v2/callFlows", bodies)

    def prepare(self, target: Target, flows: int) -> None:
        """Have this many flows live, and the site know it: what it reads once is not measured."""
        clusters.use(self.url)
        seeding.set_live(flows)
        accept.empty_inbox()
        with load.Caller(target) as caller:
            for body in target.bodies[:8]:
                answer = caller.send(body)
                if answer.status != 200 or _NOTHING in answer.body:
                    raise load.LoadFailed(f"no flow ran: {answer.status} {answer.body!r}")


def measure(run: Run) -> None:
    """Print the ratios to the reference view, the growth, and the server's times."""
    few, many = _Shop(run, min(_FEW_GUESTS, run.guests // 10)), _Shop(run, run.guests)
    _ratios(run, few, many, clients=8)
    _ratios_of_many(run, many, clients=32)
    for shop in (few, many):
        for flows in (1, FLOWS):
            exact = shop.target(seeding.friendly_id(1))
            _server_times(run, shop, exact, flows, _name(shop, flows))
    prefix = many.target("flow_*", tier=FLOWS)
    name = f"prefix*, {FLOWS:,} flows"
    _server_times(run, many, prefix, FLOWS, name, goal=None, per_second=_PER_SECOND // 5)


def _ratios(run: Run, few: _Shop, many: _Shop, *, clients: int) -> None:
    slices: dict[str, Callable[[], Slice]] = {}
    for shop in (few, many):
        exact = shop.target(seeding.friendly_id(1))
        reference = exact.sent_to("/reference")
        slices[f"reference view, {shop.guests:,} guests"] = accept.saturated(
            run, reference, clients, shop.pids
        )
        for flows in _LIVE_FLOWS:
            slices[_name(shop, flows)] = _running(run, shop, exact, flows, clients)
        prefix = shop.target("flow_*", tier=FLOWS)
        slices[f"prefix*, {shop.guests:,} guests"] = _running(run, shop, prefix, FLOWS, clients)
    figures = report.alternate(f"callFlows, {clients} clients", slices, rounds=run.rounds)
    for shop in (few, many):
        reference_name = f"reference view, {shop.guests:,} guests"
        for name in (_name(shop, flows) for flows in _LIVE_FLOWS):
            accept.ratios(
                f"callFlows, {name}",
                figures[name],
                figures[reference_name],
                to=f"the reference view, {clients} clients",
                goal=Goal(0.4),
            )
        accept.ratios(
            f"prefix*, the last passes, {shop.guests:,} guests",
            figures[f"prefix*, {shop.guests:,} guests"],
            figures[reference_name],
            to=f"the reference view, {clients} clients",
            goal=None,
        )
    for shop in (few, many):
        for flows in _LIVE_FLOWS[1:]:
            _growth(
                f"1 to {flows:,} flows, {shop.guests:,} guests",
                figures[_name(shop, 1)],
                figures[_name(shop, flows)],
            )
    _growth(
        f"{few.guests:,} to {many.guests:,} guests",
        figures[_name(few, FLOWS)],
        figures[_name(many, FLOWS)],
    )
    _growth("both", figures[_name(few, 1)], figures[_name(many, FLOWS)])


def _growth(name: str, small: Sequence[Slice], large: Sequence[Slice]) -> None:
    limit = Goal(1.3, is_least=False)
    rates = [each.per_second for each in small], [each.per_second for each in large]
    report.ratio(f"growth, {name}", *rates, to="the time of the smaller", goal=limit)
    if all(each.cpu_micros for each in (*small, *large)):
        spent = [each.cpu_micros for each in large], [each.cpu_micros for each in small]
        report.ratio("  by processor time", *spent, to="that of the smaller", goal=None)


def _ratios_of_many(run: Run, shop: _Shop, *, clients: int) -> None:
    exact = shop.target(seeding.friendly_id(1))
    figures = report.alternate(
        f"callFlows, {clients} clients",
        {
            "reference view": accept.saturated(
                run, exact.sent_to("/reference"), clients, shop.pids
            ),
            "callFlows": _running(run, shop, exact, FLOWS, clients),
        },
        rounds=run.rounds,
    )
    accept.ratios(
        f"callFlows, {_name(shop, FLOWS)}",
        figures["callFlows"],
        figures["reference view"],
        to=f"the reference view, {clients} clients",
        goal=Goal(0.4),
    )


def _server_times(
    run: Run,
    shop: _Shop,
    target: Target,
    flows: int,
    name: str,
    *,
    goal: Goal | None = _SERVER_P99,
    per_second: int = _PER_SECOND,
) -> None:
    seconds = 4 if run.is_quick else 20
    with report.Progress("server time", 2) as progress:
        progress.step(name)
        shop.prepare(target, flows)
        load.paced(target, per_second=per_second, seconds=1)
        progress.step(name)
        answers = load.paced(target, per_second=per_second, seconds=seconds)
    server = [answer.server_ms for answer in answers]
    client = [answer.client_ms for answer in answers]
    note = f"p50 {statistics.median(server):.1f}; client p50 {statistics.median(client):.1f}, "
    note += f"p99 {percentile(client, 99):.1f}"
    report.figure(f"server p99, {name}", percentile(server, 99), "ms", note, goal=goal)


def _running(
    run: Run, shop: _Shop, target: Target, flows: int, clients: int
) -> Callable[[], Slice]:
    saturated = accept.saturated(run, target, clients, shop.pids)

    def measure() -> Slice:
        shop.prepare(target, flows)
        return saturated()

    return measure


def _name(shop: _Shop, flows: int) -> str:
    return f"{flows:,} flow{'s' if flows > 1 else ''}, {shop.guests:,} guests"
