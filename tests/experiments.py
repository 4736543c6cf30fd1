"""Experiments made and run through the doors, and all that is kept of their results."""

from typing import Any
from uuid import UUID

from personalize.attribution import numbers
from personalize.attribution.numbers import GUESTS
from personalize.goals.folding import HELD_OUT, MIXED
from personalize.models import Assignment, DailyNumbers, DailyRuns, Flow, GuestGoal
from tests.api import Api

SIGNUP = {"name": "Signed up", "kind": "EVENT", "event": {"type": "SIGNUP"}}
REVENUE = {"name": "Revenue", "kind": "REVENUE"}


def experiment(api: Api, *goals: dict[str, Any], **more: Any) -> Flow:
    body = {
        "name": "Test",
        "subtype": "EXPERIMENT",
        "status": "LIVE",
        "variants": [
            {"name": "A", "content": {"v": "A"}, "isControl": True},
            {"name": "B", "content": {"v": "B"}},
        ],
        "goals": list(goals),
        **more,
    }
    answer = api.json(api.post("/v2/flowDefinitions", body, basic=True))
    return Flow.objects.get(ref=answer["ref"])


def run(api: Api, flow: Flow, browser: str, **more: Any) -> str:
    """Run the flow; return the variant."""
    answer = api.json(api.call_flows(flow.friendly_id, browserId=browser, **more))
    return str(answer["v"])


def visitor(api: Api) -> str:
    return str(api.create_browser()["ref"])


def sums(flow: Flow, measure: UUID = GUESTS) -> dict[str, dict[str, int]]:
    """Return the sums of a measure over all days, by the variant's name."""
    names = {variant.ref: variant.name for variant in flow.variants.all()}
    names |= {MIXED: "mixed", HELD_OUT: "held out"}
    found: dict[str, dict[str, int]] = {}
    for row in DailyNumbers.objects.filter(flow=flow, measure=measure):
        of_day = dict(zip(numbers.SUMS, numbers.numbers(row.sums), strict=True))
        known = found.setdefault(names[row.variant_ref], dict.fromkeys(numbers.SUMS, 0))
        for name, value in of_day.items():
            known[name] += value
    return {name: each for name, each in found.items() if any(each.values())}


def state(flow: Flow) -> dict[str, Any]:
    """Return all that is kept of a flow's results, for comparing."""
    runs = {
        (row.day, row.variant_ref): row.sums
        for row in DailyRuns.objects.filter(flow=flow)
        if any(numbers.numbers(row.sums))
    }
    days = {
        (row.day, row.phase, row.variant_ref, row.measure): row.sums
        for row in DailyNumbers.objects.filter(flow=flow)
        if any(numbers.numbers(row.sums))
    }
    people = Assignment.objects.filter(flow=flow).order_by("guest")
    totals = GuestGoal.objects.filter(flow=flow).order_by("guest", "measure")
    return {
        "runs": runs,
        "days": days,
        "people": list(people.values_list("guest", "variant_ref", "is_mixed", "visits")),
        "totals": list(totals.values_list("guest", "measure", "y", "d", "x", "reached_at")),
    }
