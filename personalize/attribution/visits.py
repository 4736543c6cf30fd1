"""
What came of each visit that saw a flow: measured again where something of it may have changed.

`settling` calls it with the exposures of the people at stake; what has changed is written.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from personalize.attribution import happenings
from personalize.attribution.happenings import Bought
from personalize.attribution.touched import Flows, MeasuredFlow, Touched
from personalize.goals import measuring
from personalize.goals.types import Amount, Goal, Happening, Kind, Visit
from personalize.models import Exposure
from tracking import db
from tracking.models import Session


def measure(
    rows: Sequence[Exposure],
    flows: Flows,
    touched: Touched,
    bought: Sequence[Bought],
    *,
    since: datetime,
) -> None:
    """
    Bring the amounts of these exposures to what happened in their visits.

    Events before `since` may be gone, so that older exposures keep the amounts that they have.
    """
    rows = [row for row in rows if row.exposed_at >= since]
    heard = [row for row in rows if touched.concerns(row.visit) and row.flow_id in flows]
    types = frozenset[str]().union(*(flows[row.flow_id].types for row in heard))
    happened = happenings.in_visits(heard, types)
    orders: dict[int, list[Bought]] = {}
    for order in bought:
        orders.setdefault(order.visit, []).append(order)
    stories = _stories(rows, flows, touched)
    changed = []
    for row in rows:
        flow = flows.get(row.flow_id)
        if flow is None:
            continue
        found: dict[Goal, dict[UUID, Amount]] = {}
        found |= _by_orders(row, flow, orders.get(row.visit, ()))
        if row.visit in stories:
            found |= {
                goal: measuring.measure(goal, [], [], stories[row.visit]) for goal in flow.bounces
            }
        if touched.concerns(row.visit):
            found |= _by_events(row, flow, happened.get(row.visit, ()))
        amounts = _with(row.amounts, found)
        if amounts != row.amounts:
            row.amounts = amounts
            changed.append({"id": row.pk, "amounts": amounts})
    db.update_rows(Exposure, changed, key="id", sets='"amounts" = new."amounts"')


def _by_orders(
    row: Exposure, flow: MeasuredFlow, bought: Sequence[Bought]
) -> dict[Goal, dict[UUID, Amount]]:
    since = [order for order in bought if order.at >= row.exposed_at]
    orders = happenings.as_purchases(since, flow)
    return {
        goal: measuring.measure(goal, [], orders, Visit())
        for goal in flow.goals
        if goal.is_commerce and goal.reach is None
    }


def _by_events(
    row: Exposure, flow: MeasuredFlow, happened: Sequence[Happening]
) -> dict[Goal, dict[UUID, Amount]]:
    since = [each for each in happened if each.at >= row.exposed_at]
    return {
        goal: measuring.measure(goal, since, [], Visit())
        for goal in flow.goals
        if not goal.is_commerce and goal.reach is None and goal.kind is not Kind.BOUNCE
    }


def _with(
    amounts: Mapping[str, Any], found: Mapping[Goal, Mapping[UUID, Amount]]
) -> dict[str, Any]:
    again = dict(amounts)
    for goal, by_measure in found.items():
        for measure in measuring.measures_of(goal):
            again.pop(str(measure), None)
            if measure in by_measure:
                again[str(measure)] = _packed(by_measure[measure])
    return again


def _stories(rows: Sequence[Exposure], flows: Flows, touched: Touched) -> dict[int, Visit]:
    """Read of visits that may have bounced how many pages they saw, and whether they are over."""
    asked = set()
    for row in rows:
        bounces = flows[row.flow_id].bounces if row.flow_id in flows else []
        is_open = any(str(goal.ref) not in row.amounts for goal in bounces)
        if row.visit > 0 and bounces and (is_open or touched.concerns(row.visit)):
            asked.add(row.visit)
    if not asked:
        return {}
    sessions = Session.objects.filter(db.Among("pk", asked)).values_list(
        "pk", "views_count", "status"
    )
    return {
        pk: Visit(views, is_over=status == Session.Status.CLOSED) for pk, views, status in sessions
    }


def amounts_of(row: Exposure) -> dict[UUID, Amount]:
    """Return what came of a visit, by measure."""
    return {UUID(measure): _unpacked(each) for measure, each in row.amounts.items()}


def _packed(amount: Amount) -> list[int | None]:
    at = None if amount.at is None else round(amount.at.timestamp() * 1000)
    return [amount.y, amount.over, at]


def _unpacked(values: Sequence[Any]) -> Amount:
    y, over, at = values
    return Amount(y, over, None if at is None else datetime.fromtimestamp(at / 1000, tz=UTC))
