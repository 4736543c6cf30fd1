"""
What each person comes to: folded from what they saw and did, stored, and added to the numbers.

`settling` calls `keep` as its last step, with everything of the people at stake.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from personalize.attribution import happenings, numbers, visits
from personalize.attribution.happenings import Bought, Span
from personalize.attribution.touched import (
    Flows,
    MeasuredFlow,
    Members,
    Pair,
    Touched,
    measured,
)
from personalize.goals import folding, measuring
from personalize.goals.document import MOST_STEPS
from personalize.goals.folding import Standing, Total
from personalize.goals.types import Amount, Goal, Happening, Visit
from personalize.models import Assignment, DailyNumbers, Exposure, GuestGoal
from personalize.snapshots import Definition
from tracking import db, followers
from tracking.followers import Changed

#: What somebody did so long before the first exposure tells how much they would do anyway.
BEFORE: Final = timedelta(days=14)
_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class _Basis:
    """
    By what the times of people are measured, before their first exposures and after.

    known: of people of whom something is known since then. orders: what each person has bought.
    Events before `since` may be gone.
    """

    firsts: Mapping[Pair, datetime]
    known: Mapping[Pair, Standing]
    flows: Flows
    touched: Touched
    members: Members
    orders: Mapping[int, Sequence[Bought]]
    since: datetime


def keep(
    rows: Sequence[Exposure],
    flows: Flows,
    touched: Touched,
    members: Members,
    bought: Sequence[Bought],
    *,
    since: datetime,
    now: datetime,
) -> None:
    """
    Fold what each person saw of each flow, and store and add up the difference.

    Events before `since` may be gone: of times that began before it, what is known stays.
    """
    seen: dict[Pair, list[folding.Exposure]] = {}
    for row in rows:
        person = members.get(row.guest_id)
        if person is not None and row.flow_id in flows:
            seen.setdefault((row.flow_id, person), []).append(_exposure(row))
    old = _stored({*members, *touched.guests})
    firsts = {pair: folding.first_of(each).at for pair, each in seen.items()}
    orders: dict[int, list[Bought]] = {}
    for order in bought:
        orders.setdefault(order.person, []).append(order)
    known = _known(old, firsts, members)
    basis = _Basis(firsts, known, flows, touched, members, orders, since)
    in_time, before = _in_time(basis), _before(basis)
    new = {
        (flow_id, person): folding.fold(
            each,
            flows[flow_id].goals,
            day=_day(firsts[flow_id, person], flows[flow_id], known.get((flow_id, person))),
            in_time=in_time.get((flow_id, person), {}),
            before=before[flow_id, person],
            known=old[flow_id, person].totals if (flow_id, person) in old else {},
        )
        for (flow_id, person), each in seen.items()
    }
    _store(old, new, flows)
    followers.note_guests(_who_reached_others(old, new), Changed.GOALS, now=now)


def _who_reached_others(old: Mapping[Pair, Standing], new: Mapping[Pair, Standing]) -> set[int]:
    """Name the people who have reached other goals than were known, or at another time."""
    return {pair[1] for pair in {*old, *new} if _reached(old.get(pair)) != _reached(new.get(pair))}


def _reached(standing: Standing | None) -> dict[UUID, datetime | None]:
    totals = standing.totals if standing is not None else {}
    return {measure: total.at for measure, total in totals.items() if total.y}


def _exposure(row: Exposure) -> folding.Exposure:
    return folding.Exposure(
        variant=row.variant_ref,
        phase=row.phase,
        at=row.exposed_at,
        is_mixed=row.is_mixed,
        channel=row.channel,
        device=row.device,
        amounts=visits.amounts_of(row),
    )


def _stored(guest_ids: Collection[int]) -> dict[Pair, Standing]:
    """Read the standings as they were."""
    totals: dict[Pair, dict[UUID, Total]] = {}
    for flow_id, guest_id, measure, y, d, x, at in GuestGoal.objects.filter(
        db.Among("guest", guest_ids)
    ).values_list("flow", "guest", "measure", "y", "d", "x", "reached_at"):
        totals.setdefault((flow_id, guest_id), {})[measure] = Total(y, d, x, at)
    return {
        (row.flow_id, row.guest_id): Standing(
            variant=row.variant_ref,
            phase=row.phase,
            first_at=row.first_at,
            day=row.day,
            is_mixed=row.is_mixed,
            visits=row.visits,
            channel=row.channel,
            device=row.device,
            totals=totals.get((row.flow_id, row.guest_id), {}),
        )
        for row in Assignment.objects.filter(db.Among("guest", guest_ids))
    }


def _known(
    old: Mapping[Pair, Standing], firsts: Mapping[Pair, datetime], members: Members
) -> dict[Pair, Standing]:
    """Return what is known of people since their first exposure, by whichever guest of theirs."""
    found: dict[Pair, Standing] = {}
    for (flow_id, guest_id), standing in sorted(old.items(), key=lambda each: each[0]):
        pair = flow_id, members.get(guest_id, guest_id)
        if firsts.get(pair) == standing.first_at and (guest_id == pair[1] or pair not in found):
            found[pair] = standing
    return found


def _in_time(basis: _Basis) -> dict[Pair, dict[UUID, Amount]]:
    """Measure by the goals that go by time from the first exposure on."""
    found: dict[Pair, dict[UUID, Amount]] = {}
    asked: list[tuple[Pair, Goal, Span]] = []
    for pair, first in basis.firsts.items():
        standing = basis.known.get(pair)
        for goal in basis.flows[pair[0]].timed:
            span = _span(goal, first)
            if first < basis.since or _is_as_known(goal, span, standing, basis.touched):
                found.setdefault(pair, {}).update(_known_of(goal, standing))
            else:
                asked.append((pair, goal, span))
    types = frozenset[str]().union(*(goal.types for _, goal, _ in asked))
    spans = [(person, span) for (_, person), goal, span in asked if goal.types]
    done = happenings.in_spans(spans, types, basis.members)
    for (flow_id, person), goal, span in asked:
        happened, paid = done.get(person, ()), basis.orders.get(person, ())
        amounts = _within(span, [goal], basis.flows[flow_id], happened, paid)
        found.setdefault((flow_id, person), {}).update(amounts)
    return found


def _is_as_known(goal: Goal, span: Span, standing: Standing | None, touched: Touched) -> bool:
    """Say whether nothing may have changed of the events of a goal's time. Orders are at hand."""
    return standing is not None and not goal.is_commerce and not touched.reaches_before(span[1])


def _known_of(goal: Goal, standing: Standing | None) -> dict[UUID, Amount]:
    totals = standing.totals if standing is not None else {}
    return {
        measure: Amount(totals[measure].y, totals[measure].d, totals[measure].at)
        for measure in measuring.measures_of(goal)
        if measure in totals
    }


def _within(
    span: Span,
    goals: Iterable[Goal],
    flow: MeasuredFlow,
    happened: Iterable[Happening],
    bought: Iterable[Bought],
) -> dict[UUID, Amount]:
    """Measure what of this was within the span."""
    start, end = span
    done = [each for each in happened if start <= each.at < end]
    paid = happenings.as_purchases([each for each in bought if start <= each.at < end], flow)
    amounts: dict[UUID, Amount] = {}
    for goal in goals:
        amounts |= measuring.measure(goal, done, paid, Visit())
    return amounts


def _span(goal: Goal, first: datetime) -> Span:
    if goal.returns is not None:
        return first + goal.returns[0], first + goal.returns[1]
    return first, first + (goal.window or timedelta())


def _before(basis: _Basis) -> dict[Pair, dict[UUID, int]]:
    """Return what people came to in the time before their first exposure, by measure."""
    found: dict[Pair, dict[UUID, int]] = {}
    asked: list[Pair] = []
    for pair, first in basis.firsts.items():
        standing = basis.known.get(pair)
        is_whole = first - BEFORE >= basis.since
        if standing is None or (is_whole and basis.touched.reaches_before(first)):
            asked.append(pair)
        else:
            found[pair] = {m: total.x for m, total in standing.totals.items() if total.x}
    types = frozenset[str]().union(*(basis.flows[flow_id].types for flow_id, _ in asked))
    spans = {pair: (basis.firsts[pair] - BEFORE, basis.firsts[pair]) for pair in asked}
    done = happenings.in_spans(
        [(person, span) for (_, person), span in spans.items()], types, basis.members
    )
    for (flow_id, person), span in spans.items():
        flow = basis.flows[flow_id]
        happened, paid = done.get(person, ()), basis.orders.get(person, ())
        amounts = _within(span, flow.goals, flow, happened, paid)
        found[flow_id, person] = {m: each.y for m, each in amounts.items() if each.y}
    return found


def _store(old: Mapping[Pair, Standing], new: Mapping[Pair, Standing], flows: Flows) -> None:
    missing = measured({flow_id for flow_id, _ in old} - flows.keys())
    known = {**flows, **missing}
    changed = {pair for pair in old.keys() | new.keys() if old.get(pair) != new.get(pair)}
    parts = [
        numbers.difference(_added(known, pair, old.get(pair)), _added(known, pair, new.get(pair)))
        for pair in sorted(changed)
    ]
    _write_assignments(changed, new)
    _write_totals(changed, old, new)
    numbers.add(DailyNumbers, numbers.total(parts))


def _added(
    flows: Flows, pair: Pair, standing: Standing | None
) -> dict[numbers.Key, numbers.Vector]:
    flow = flows.get(pair[0])
    if standing is None or flow is None:
        return {}
    return numbers.of_standing(flow.id, standing, flow.goals)


def _day(first: datetime, flow: MeasuredFlow, known: Standing | None) -> date:
    """Return the day of a first exposure: a client whose clock was changed since moves nobody."""
    return first.astimezone(flow.zone).date() if known is None else known.day


def _write_assignments(changed: Collection[Pair], new: Mapping[Pair, Standing]) -> None:
    gone = [pair for pair in changed if pair not in new]
    _delete_pairs(Assignment, gone)
    _delete_pairs(GuestGoal, gone)
    rows = [
        {
            "flow_id": flow_id,
            "guest_id": person,
            "variant_ref": standing.variant,
            "phase": standing.phase,
            "first_at": standing.first_at,
            "day": standing.day,
            "is_mixed": standing.is_mixed,
            "visits": standing.visits,
            "channel": standing.channel,
            "device": standing.device,
        }
        for (flow_id, person) in sorted(changed)
        if (standing := new.get((flow_id, person))) is not None
    ]
    db.insert_rows(Assignment, rows, on_conflict=_ASSIGNED_ANEW)


_ASSIGNED_ANEW: Final = db.overwrite(
    ("flow_id", "guest_id"),
    ("variant_ref", "phase", "first_at", "day", "is_mixed", "visits", "channel", "device"),
)
_TOTALLED_ANEW: Final = db.overwrite(
    ("flow_id", "measure", "guest_id"), ("y", "d", "x", "reached_at")
)


def _delete_pairs(model: Any, pairs: Collection[Pair]) -> None:
    by_flow: dict[int, list[int]] = {}
    for flow_id, guest_id in pairs:
        by_flow.setdefault(flow_id, []).append(guest_id)
    for flow_id, guest_ids in sorted(by_flow.items()):
        model.objects.filter(flow=flow_id, guest__in=guest_ids).delete()


def _write_totals(
    changed: Collection[Pair], old: Mapping[Pair, Standing], new: Mapping[Pair, Standing]
) -> None:
    rows: list[dict[str, Any]] = []
    over: dict[tuple[int, UUID], list[int]] = {}
    for pair in sorted(pair for pair in changed if pair in new):
        before = old[pair].totals if pair in old else {}
        after = new[pair].totals
        for measure in before.keys() - after.keys():
            over.setdefault((pair[0], measure), []).append(pair[1])
        rows += [
            {
                "flow_id": pair[0],
                "guest_id": pair[1],
                "measure": measure,
                "y": total.y,
                "d": total.d,
                "x": total.x,
                "reached_at": total.at,
            }
            for measure, total in after.items()
            if before.get(measure) != total
        ]
    for (flow_id, measure), guest_ids in sorted(over.items()):
        GuestGoal.objects.filter(flow=flow_id, guest__in=guest_ids, measure=measure).delete()
    db.insert_rows(GuestGoal, rows, on_conflict=_TOTALLED_ANEW)


def measures_of(definition: Definition) -> list[UUID]:
    """Name what may be kept of a flow: the guests themselves, and its goals, readable or not."""
    refs = definition.goal_refs
    steps = [measuring.step_ref(ref, step) for ref in refs for step in range(MOST_STEPS)]
    return [numbers.GUESTS, *refs, *steps]


def forget(guest_ids: Collection[int]) -> int:
    """Take what these guests come to out of the numbers, and delete it. Returns how many it was."""
    with db.write():
        old = _stored(guest_ids)
        _store(old, {}, measured({flow_id for flow_id, _ in old}))
    return len(old)


def sums_of(flow_id: int, *, since: date) -> dict[numbers.Key, numbers.Vector]:
    """Add up what is stored of all who saw a flow first on this day or later."""
    flow = measured({flow_id}).get(flow_id)
    found: dict[numbers.Key, numbers.Vector] = {}
    if flow is None:
        return found
    last = 0
    rows = Assignment.objects.filter(flow=flow_id, day__gte=since).order_by("guest")
    while ids := list(rows.filter(guest__gt=last).values_list("guest", flat=True)[:_AT_ONCE]):
        parts = [
            numbers.of_standing(flow_id, standing, flow.goals)
            for (each, _), standing in _stored(ids).items()
            if each == flow_id
        ]
        found = numbers.total([found, *parts])
        last = ids[-1]
    return found
