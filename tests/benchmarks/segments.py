"""
What segments cost: the walk of events beside 1, 50 and 500 of them, against the walk without any.

Each segment is about a type of event of its own, as marketers' are; every
tenth is about views, which all the walked events are. Beside it, what a
condition costs to ask, and a call of a flow for guests with ever longer
histories.
"""

import itertools
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from personalize import conditions, definitions, execution
from personalize import segments as saved
from personalize.conditions import Facts
from personalize.definitions import Values, VariantValues
from personalize.models import FlowCatalog, Segment, SegmentMembership
from personalize.types import FlowRequest
from tests.benchmarks import accept, drain, report, seeding
from tests.benchmarks.report import Goal
from tests.benchmarks.run import Run
from tracking import clients, followers, pipeline
from tracking.models import Client, Event, Identifier
from tracking.types import ClientConfig

_SEGMENTS = (0, 1, 50, 500)
_HISTORIES = (10, 100, 1000, 10_000)
_CALLS = 200
_ASKED = 20_000
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_CONDITION_US = Goal(20, is_least=False)
_GROWTH = Goal(1.5, is_least=False)


def measure(run: Run) -> None:
    """Print microseconds a condition, the upkeep of segments, and growth over history."""
    _conditions()
    guests = run.guests // 10
    run.database(guests, "segments")
    client = clients.by_id(Client.objects.get().pk)
    assert client is not None
    _upkeep(run, client, guests)
    _growth(run, client)


# --- conditions ------------------------------------------------------------------------


def _conditions() -> None:
    views = {"event": "VIEW", "where": [_field("page", "contains", "shoes")], "at_least": 3}
    trees = {
        "one field": _field("guest.country", "is", "IE"),
        "three fields": {"all": [_field("guest.country", "is", "IE"),
                                 _field("guest.attributes.tier", "is_one_of", ["gold", "silver"]),
                                 _field("guest.firstSeen", "in_last_days", 30)]},
        "3 views of 20 in 30 days": views | {"within": {"days": 30}},
    }  # fmt: skip
    history = [
        ("VIEW", {"page": f"https://shop.example/shoes/{at}"}, _NOW - timedelta(days=at))
        for at in range(20)
    ]
    guest = {"country": "IE", "attributes": {"tier": "gold"}, "firstSeen": _NOW - timedelta(days=9)}
    facts = Facts(now=_NOW, request={}, guest=guest, history=history)
    for name, tree in trees.items():
        compiled = conditions.compile(tree)
        assert compiled.matches(facts)
        for what, ask, times in (
            ("ask", compiled.matches, _ASKED),
            ("explain", compiled.explain, _ASKED // 10),
        ):
            best = min(_microseconds(ask, facts, times) for _ in range(5))
            goal = _CONDITION_US if what == "ask" else None
            report.figure(f"{what} {name}", best, "us", goal=goal)


def _microseconds(ask: Callable[[Facts], object], facts: Facts, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        ask(facts)
    return (time.perf_counter() - started) / times * 1e6


def _field(name: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": name, "operator": operator, "value": value}


# --- upkeep ----------------------------------------------------------------------------


def _upkeep(run: Run, client: ClientConfig, guests: int) -> None:
    size = 1_000 if run.is_quick else 5_000
    numbers = itertools.cycle(range(1, guests + 1))
    for at in range(max(_SEGMENTS)):
        type = "VIEW" if at % 10 == 0 else f"TYPE_{at}"
        tree = {"event": type, "within": {"days": 30}, "at_least": 1 + at // 10}
        # Nobody has done anything yet: there is nothing to build.
        segment = saved.save(Segment(client_id=client.id, name=f"Segment {at}", condition=tree))
        Segment.objects.filter(pk=segment.pk).update(built_to=None)

    def walk(segments: int) -> Callable[[], float]:
        def slice() -> float:
            _keep(segments)
            drain.fill(client.id, numbers, size)
            began = time.perf_counter()
            while pipeline.process_batch(now=timezone.now()):
                followers.run_due(now=timezone.now())
            took = time.perf_counter() - began
            entered = SegmentMembership.objects.count()
            assert bool(entered) is bool(segments), f"{entered} entered {segments} segments"
            SegmentMembership.objects.all().delete()
            return took / size * 1e6

        return slice

    slices = {f"{number} segments": walk(number) for number in _SEGMENTS}
    figures = report.alternate("upkeep", slices, rounds=run.rounds + 1)
    # In the first round the caches are cold.
    warm = {name: values[1:] for name, values in figures.items()}
    floor = warm["0 segments"]
    for number in _SEGMENTS[1:]:
        spent = warm[f"{number} segments"]
        name = f"walk 1,000 events beside {number} segments"
        report.ratio(name, spent, floor, to="the walk without any", goal=None)
        added = sorted(a - b for a, b in zip(spent, floor, strict=True))
        report.figure("  that is more by", added[len(added) // 2], "ms")


def _keep(segments: int) -> None:
    """Leave this many segments in the catalog; the others are deleted."""
    version = FlowCatalog.objects.get().version + 1
    kept = Segment.objects.order_by("pk").values_list("pk", flat=True)[:segments]
    Segment.objects.update(deleted_at=timezone.now(), catalog_version=version)
    Segment.objects.filter(pk__in=list(kept)).update(deleted_at=None)
    FlowCatalog.objects.update(version=version)


# --- growth ----------------------------------------------------------------------------


def _growth(run: Run, client: ClientConfig) -> None:
    """Compare calls for guests with few events and with many."""
    now = timezone.now()
    country = {"not": _field("guest.country", "is", "XX")}
    views = {"event": "VIEW", "within": {"days": 30}, "at_least": 3}
    for name, audience in (("plain", country), ("reads_history", views)):
        variants = [VariantValues(name="Only", content='{"shown": true}')]
        values = Values(
            name=name, friendly_id=name, audience=audience, status="LIVE", variants=variants
        )
        definitions.create(client.id, values, now=now)
    for at, length in enumerate(_HISTORIES, start=1):
        _fill_history(client, at, length, now)
    slices = {
        f"{name}, {length:,} events": _calls(client, name, at)
        for name in ("plain", "reads_history")
        for at, length in enumerate(_HISTORIES, start=1)
    }
    figures = report.alternate("growth", slices, rounds=run.rounds)
    accept.empty_inbox()
    for name, goal in (("plain", _GROWTH), ("reads_history", None)):
        shortest = figures[f"{name}, {_HISTORIES[0]:,} events"]
        for length in _HISTORIES[1:]:
            spent = figures[f"{name}, {length:,} events"]
            title = f"call “{name}” with {length:,} events"
            report.ratio(title, spent, shortest, to=f"the same with {_HISTORIES[0]}", goal=goal)


def _fill_history(client: ClientConfig, number: int, length: int, now: datetime) -> None:
    guest = Identifier.objects.get(value=seeding.browser_id(number)).guest
    Event.objects.bulk_create(
        [
            Event(
                ref=uuid.uuid4(),
                client_id=client.id,
                type="VIEW",
                dialect="sitecore",
                message_id=str(uuid.uuid4()),
                occurred_at=now - timedelta(minutes=at),
                received_at=now,
                recorded_at=now,
                guest=guest,
                channel="WEB",
                data={"page": f"https://shop.example/products/{at}"},
            )
            for at in range(length)
        ],
        batch_size=1000,
    )


def _calls(client: ClientConfig, friendly_id: str, number: int) -> Callable[[], float]:
    request = FlowRequest(friendly_id=friendly_id, browser_id=seeding.browser_id(number))

    def slice() -> float:
        times = _CALLS if friendly_id == "plain" else _CALLS // 10
        began = time.perf_counter()
        for _ in range(times):
            outcome = execution.execute(request, client, now=timezone.now())
            assert outcome.is_executed, outcome.reason
        return (time.perf_counter() - began) / times

    return slice
