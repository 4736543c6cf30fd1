"""An experiment that ran for some weeks: its numbers of days, as if many guests had come."""

import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from personalize import definitions
from personalize.attribution import numbers
from personalize.goals.folding import MIXED
from personalize.goals.measuring import step_ref
from personalize.goals.types import MICROS
from personalize.models import Assignment, DailyNumbers, DailyRuns, Flow, Goal, GuestGoal
from tests.factories import GuestFactory
from tracking import db
from tracking.models import Client, Guest

Vector = Sequence[int]

SIGNED_UP: dict[str, Any] = {"kind": "EVENT", "unit": "GUEST", "event": {"type": "SIGNUP"}}
REVENUE: dict[str, Any] = {"kind": "REVENUE", "unit": "GUEST"}
FUNNEL: dict[str, Any] = {
    "kind": "FUNNEL",
    "unit": "GUEST",
    "steps": [{"type": "VIEW"}, {"type": "ADD"}, {"type": "CHECKOUT"}],
}
BOUNCED: dict[str, Any] = {"kind": "BOUNCE", "direction": "DECREASE", "isGuardrail": True}
GOALS: Mapping[str, dict[str, Any]] = {
    "Signed up": SIGNED_UP,
    "Revenue": REVENUE,
    "Way to the order": FUNNEL,
    "Bounced": BOUNCED,
}


def experiment(
    client: Client,
    name: str = "Button color",
    *,
    variants: Sequence[str] = ("Blue", "Green"),
    goals: Mapping[str, dict[str, Any]] = GOALS,
    status: str | None = "LIVE",
    **values: Any,
) -> Flow:
    """Make an experiment; the first variant is the control."""
    return definitions.create(
        client.pk,
        definitions.Values(
            name=name,
            subtype="EXPERIMENT",
            status=status,
            variants=[
                definitions.VariantValues(name=each, is_control=each == variants[0], weight=50)
                for each in variants
            ],
            goals=[
                definitions.GoalValues(name=each, document=document)
                for each, document in goals.items()
            ],
            **values,
        ),
        now=timezone.now(),
    )


def fill(
    flow: Flow,
    *,
    days: int = 21,
    a_day: int = 1200,
    rates: Sequence[float] = (0.05, 0.058),
    shares: Sequence[float] = (1.0, 1.0, 1.0),
    phase: int = 1,
    seed: int = 7,
    until: date | None = None,
) -> None:
    """
    Add days of guests, `a_day` a variant, who sign up at these rates and buy, walk and bounce.

    shares: of `a_day`, what each variant really gets.
    """
    chance = random.Random(seed)
    last = until or timezone.now().date()
    added: dict[Any, Vector] = {}
    runs: dict[Any, Vector] = {}
    goals = list(Goal.objects.filter(flow=flow).order_by("position"))
    variants = list(flow.variants.order_by("position"))
    for back in range(days):
        day = last - timedelta(days=days - 1 - back)
        for variant, rate, share in zip(variants, rates, shares, strict=False):
            guests = round(a_day * share * chance.uniform(0.9, 1.1))
            key = (flow.pk, day, phase, variant.ref)
            visits = [1 + (chance.random() < 0.3) for _ in range(guests)]
            added[*key, numbers.GUESTS] = summed([(n * MICROS, 0, 0) for n in visits])
            for goal in goals:
                for measure, values in happened(goal, rate, visits, chance).items():
                    added[*key, measure] = summed(values)
            runs[flow.pk, day, variant.ref] = ran(guests * 2, chance)
        added[flow.pk, day, phase, MIXED, numbers.GUESTS] = summed([(2 * MICROS, 0, 0)])
    with db.write():
        numbers.add(DailyNumbers, added)
        numbers.add(DailyRuns, runs)


def happened(
    goal: Goal, rate: float, visits: Sequence[int], chance: random.Random
) -> dict[UUID, list[tuple[int, int, int]]]:
    """Return (y, d, x) of each guest who came to anything, by measure."""
    kind = goal.document["kind"]
    if kind == "BOUNCE":
        bounces = [(chance.random() < 0.4, seen) for seen in visits]
        return {goal.ref: [(MICROS * left, seen * MICROS, 0) for left, seen in bounces]}
    came = [seen for seen in visits if chance.random() < rate]
    if kind == "REVENUE":
        spent = [round(chance.lognormvariate(3.5, 0.6) * 100) * MICROS // 100 for _ in came]
        return {goal.ref: [(amount, MICROS, 0) for amount in spent]}
    if kind == "FUNNEL":
        looked = [seen for seen in visits if chance.random() < rate * 8]
        put = looked[: len(looked) // 3]
        steps = {step_ref(goal.ref, 0): looked, step_ref(goal.ref, 1): put}
        steps[goal.ref] = put[: round(len(put) * rate * 8)]
        return {ref: [(MICROS, MICROS, 0)] * len(each) for ref, each in steps.items()}
    return {goal.ref: [(MICROS, MICROS, 0)] * len(came)}


def divide(flow: Flow, *, device: str, signups: Sequence[int], guests: int = 200) -> None:
    """Add guests of a device, as many to each variant, of whom so many sign up."""
    goal = Goal.objects.get(flow=flow, name="Signed up")
    now = timezone.now()
    for variant, count in zip(flow.variants.order_by("position"), signups, strict=True):
        people = Guest.objects.bulk_create(
            GuestFactory.build_batch(guests, client=flow.client, first_seen=now)
        )
        Assignment.objects.bulk_create(
            Assignment(
                flow=flow,
                guest=guest,
                variant_ref=variant.ref,
                first_at=now,
                day=now.date(),
                device=device,
            )
            for guest in people
        )
        GuestGoal.objects.bulk_create(
            GuestGoal(flow=flow, guest=guest, measure=goal.ref, y=MICROS, reached_at=now)
            for guest in people[:count]
        )


def summed(values: Sequence[tuple[int, int, int]]) -> Vector:
    total = [0] * len(numbers.SUMS)
    for y, d, x in values:
        own = (1, y, y * y, d, d * d, y * d, x, x * x, x * y, x * d)
        total = [a + b for a, b in zip(total, own, strict=True)]
    return total


def ran(count: int, chance: random.Random) -> Vector:
    total: Vector = [0] * (len(numbers.RUN_SUMS) + len(numbers.LATENCIES) + 1)
    each = numbers.of_run(4, is_error=False, is_attributable=True)
    slow = numbers.of_run(18, is_error=True, is_attributable=False)
    few = count // 50
    for vector, times in ((each, count - few), (slow, few)):
        total = numbers.added(total, [value * times for value in vector])
    return total
