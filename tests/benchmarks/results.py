"""
What results cost: keeping them up with every thousand events, and reading them of a million runs.

Views of guests who have seen an experiment are walked against views of guests who have not; a
report against counting the runs it is about, once.
"""

import time
from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from personalize import definitions, execution
from personalize.analytics import breakdowns, results
from personalize.attribution import numbers, standings
from personalize.definitions import GoalValues, Values, VariantValues
from personalize.models import Assignment, DailyNumbers, Execution, Flow
from personalize.types import FlowRequest
from tests.benchmarks import drain, report, seeding
from tests.benchmarks.run import Run
from tracking import clients, db, followers, pipeline
from tracking.models import Client
from tracking.types import ClientConfig

_EXECUTIONS = 1_000_000
_DAYS = 30
_UPKEEP = report.Goal(2.0, is_least=False)
_REPORT_MS = report.Goal(500, is_least=False)


def measure(run: Run) -> None:
    """Print the upkeep of results by events and by runs, and the time of reports."""
    run.database(run.guests, "results")
    client = clients.by_id(Client.objects.get().pk)
    assert client is not None
    _upkeep(run, client)
    _reports(run, client)


def _experiment(client: ClientConfig, name: str) -> Flow:
    views = {"kind": "COUNT", "event": {"type": "VIEW"}}
    goals = (
        GoalValues(name="Signed up", document={"kind": "EVENT", "event": {"type": "SIGNUP"}}),
        GoalValues(name="Views", document=views),
        GoalValues(name="Revenue", document={"kind": "REVENUE", "unit": "GUEST"}),
    )
    variants = [
        VariantValues(name=variant, content='{"shown": true}', is_control=variant == "A")
        for variant in "AB"
    ]
    values = Values(
        name=name, friendly_id=name, subtype="EXPERIMENT", status="LIVE", variants=variants,
        goals=goals,
    )  # fmt: skip
    return definitions.create(client.id, values, now=timezone.now())


# --- upkeep ----------------------------------------------------------------------------


def _upkeep(run: Run, client: ClientConfig) -> None:
    size = 1_000
    flow = _experiment(client, "measured")
    strangers = iter(range(1, run.guests // 2))
    exposed = iter(range(run.guests // 2, run.guests))
    seen: list[int] = []

    def views_of_strangers() -> float:
        drain.fill(client.id, strangers, size)
        return _walked(size)

    def runs() -> float:
        seen[:] = [next(exposed) for _ in range(size)]
        for number in seen:
            request = FlowRequest(
                friendly_id=flow.friendly_id, browser_id=seeding.browser_id(number)
            )
            assert execution.execute(request, client, now=timezone.now()).is_executed
        return _walked(size)

    def views_of_exposed() -> float:
        drain.fill(client.id, iter(seen), size)
        return _walked(size)

    slices: dict[str, Callable[[], float]] = {
        "strangers": views_of_strangers,
        "runs": runs,
        "exposed": views_of_exposed,
    }
    figures = report.alternate("upkeep", slices, rounds=run.rounds + 1)
    floor = figures["strangers"][1:]
    for name, title in (("exposed", "views of guests who saw it"), ("runs", "runs of it")):
        spent = figures[name][1:]
        to = "1,000 views of guests who saw nothing"
        goal = _UPKEEP if name == "exposed" else None
        report.ratio(f"walk 1,000 {title}, 3 goals", spent, floor, to=to, goal=goal)
        added = sorted(a - b for a, b in zip(spent, floor, strict=True))
        report.figure("  that is more by", added[len(added) // 2], "ms")


def _walked(size: int) -> float:
    """Walk what waits, followers and all. Returns milliseconds for 1,000 events."""
    began = time.perf_counter()
    while pipeline.process_batch(now=timezone.now()):
        followers.run_due(now=timezone.now())
    return (time.perf_counter() - began) / size * 1e6


# --- reports ---------------------------------------------------------------------------


def _reports(run: Run, client: ClientConfig) -> None:
    flow = _experiment(client, "reported")
    _fill(flow, run.guests)
    began = time.perf_counter()
    since = (timezone.now() - timedelta(days=_DAYS + 2)).date()
    sums = standings.sums_of(flow.pk, since=since)
    took = time.perf_counter() - began
    with db.write():
        numbers.replace(DailyNumbers, flow.pk, sums, since=since)
    report.figure("add up all guests again", took / run.guests * 1e6, "us a guest")

    def counted() -> float:
        return _seconds(lambda: Execution.objects.filter(flow=flow.pk).count())

    def read() -> float:
        found = results.of(flow, now=timezone.now())
        assert sum(each.guests for each in found.variants) == run.guests
        return _seconds(lambda: results.of(flow, now=timezone.now()))

    def broken_down() -> float:
        return _seconds(lambda: breakdowns.of(flow, "device", now=timezone.now()))

    slices = {"count": counted, "results": read, "by device": broken_down}
    figures = report.alternate("reports", slices, rounds=run.rounds)
    to = f"counting its {_EXECUTIONS:,} executions"
    for name, goal in (("results", _REPORT_MS), ("by device", None)):
        report.ratio(f"report: {name}", figures[name], figures["count"], to=to, goal=None)
        middle = sorted(figures[name])[len(figures[name]) // 2]
        report.figure("  that is", middle * 1000, "ms", goal=goal)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _fill(flow: Flow, guests: int) -> None:
    """Make a million executions, of all guests; every tenth of whom came to something."""
    variants = list(flow.variants.order_by("position").values_list("ref", flat=True))
    goals = list(flow.goals.order_by("position").values_list("ref", flat=True))
    variant = f"CASE WHEN g % 2 = 0 THEN '{variants[0]}'::uuid ELSE '{variants[1]}'::uuid END"
    first = f"now() - (g % {_DAYS}) * interval '1 day'"
    ranked = "SELECT id, row_number() OVER (ORDER BY id) AS g FROM tracking_guest"
    everybody = f"({ranked} LIMIT {guests})"
    each = _EXECUTIONS // guests
    statements = [
        f"INSERT INTO {Execution._meta.db_table} (ref, flow_id, variant_ref, revision, guest_id, "
        "occurred_at, duration_ms, status) "
        f"SELECT gen_random_uuid(), {flow.pk}, {variant}, 1, p.id, {first}, 3, 'SUCCESS' "
        f"FROM {everybody} p, generate_series(1, {each})",
        f"INSERT INTO {Assignment._meta.db_table} (flow_id, guest_id, variant_ref, phase, "
        "first_at, day, is_mixed, visits, channel, device) "
        f"SELECT {flow.pk}, p.id, {variant}, 1, {first}, ({first})::date, false, 1 + g % 3, 'WEB', "
        f"CASE WHEN g % 3 = 0 THEN 'mobile' ELSE 'desktop' END FROM {everybody} p",
        *(
            "INSERT INTO personalize_guestgoal (flow_id, guest_id, measure, y, d, x, reached_at) "
            f"SELECT {flow.pk}, p.id, '{goal}', 1000000 * (1 + g % 7), 0, 0, {first} "
            f"FROM {everybody} p WHERE g % 10 = {at}"
            for at, goal in enumerate(goals)
        ),
    ]
    with report.Progress("a million executions", len(statements)) as progress:
        for statement in statements:
            progress.step()
            with db.cursor() as cursor:
                cursor.execute(statement)
