"""
Guests read one by one, where sums cannot tell: caps, quantiles, and parts of the guests.

`results` and `breakdowns` call it. It costs as much as there are guests who came to anything.
Visitors who stay away are deleted, and who has bought stays: only days are read whose guests are
all still there.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import BooleanField, Count, Exists, OuterRef, Q, Subquery, Value
from django.db.models.expressions import Combinable, F

from personalize.analytics import samples
from personalize.analytics.types import Span
from personalize.attribution import numbers, rebuilding
from personalize.goals.folding import Total, divided_by
from personalize.goals.types import MICROS, Goal
from personalize.models import Assignment, Flow, GuestGoal, Segment, SegmentMembership
from personalize.statistics import capping, quantiles

#: The one part that there is where nothing tells parts apart.
EVERYBODY: Final = ""


@dataclass(slots=True)
class Gathered:
    """
    The guests of a part: variant -> visits -> how many; and of measures those who have any.

    rows: (variant, measure) -> (visits, y, d, x) of each.
    """

    guests: dict[UUID, Counter[int]] = field(default_factory=dict)
    rows: dict[tuple[UUID, UUID], list[tuple[int, int, int, int]]] = field(default_factory=dict)

    def count(self, variant: UUID) -> int:
        return sum(self.guests.get(variant, Counter()).values())

    def values(self, variant: UUID, measure: UUID) -> list[int]:
        """Return what each guest of a variant came to who came to anything, in millionths."""
        return [y for _, y, _, _ in self.rows.get((variant, measure), ()) if y]

    def sums(
        self, variant: UUID, goal: Goal, measure: UUID, *, cap: int | None = None
    ) -> dict[UUID, Sequence[int]]:
        """Return the sums that `sample` takes; `cap`: no guest counts for more."""
        visits = self.guests.get(variant, Counter())
        total: Sequence[int] = [0] * len(numbers.SUMS)
        for seen, y, d, x in self.rows.get((variant, measure), ()):
            per = divided_by(goal, Total(y, d, x), seen)
            y = y if cap is None else min(y, cap)
            x = x if cap is None else min(x, cap)
            total = numbers.added(total, numbers.sums_of(y, per, x))
        all_visits = sum(seen * count for seen, count in visits.items()) * MICROS
        squares = sum(seen * seen * count for seen, count in visits.items()) * MICROS * MICROS
        guests = [self.count(variant), all_visits, squares, *([0] * (len(numbers.SUMS) - 3))]
        return {numbers.GUESTS: guests, measure: total}


def gather(
    flow: Flow,
    span: Span,
    measures: Sequence[UUID],
    *,
    now: datetime,
    by: Combinable | None = None,
) -> dict[Any, Gathered]:
    """Read guests one by one, in two queries: by the value that `by` gives of each."""
    within = samples.within(_of_all_guests(flow, span, now=now))
    people = Assignment.objects.filter(within, flow=flow.pk, is_mixed=False)
    people = people.annotate(part=by if by is not None else Value(EVERYBODY))
    found: dict[Any, Gathered] = {}
    counted = people.values("part", "variant_ref", "visits").annotate(count=Count("pk"))
    for row in counted.order_by():
        gathered = found.setdefault(row["part"], Gathered())
        gathered.guests.setdefault(row["variant_ref"], Counter())[row["visits"]] += row["count"]
    # Of each row the person's assignment, by its index: a join of the tables may be planned badly.
    own = people.filter(guest=OuterRef("guest"))
    rows = GuestGoal.objects.filter(flow=flow.pk, measure__in=measures).annotate(
        part=Subquery(own.values("part")[:1]),
        variant=Subquery(own.values("variant_ref")[:1]),
        visits=Subquery(own.values("visits")[:1]),
    )
    columns = rows.values_list("measure", "y", "d", "x", "part", "variant", "visits")
    for measure, y, d, x, part, variant, visits in columns.iterator():
        if variant is not None:
            found[part].rows.setdefault((variant, measure), []).append((visits, y, d, x))
    return found


def _of_all_guests(flow: Flow, span: Span, *, now: datetime) -> Span:
    """Leave the days of a span whose guests are all still there."""
    first = rebuilding.first_day_of_all_guests(flow, now=now)
    return replace(span, since=max(first, span.since or first))


def in_segment(segment: Segment) -> Combinable:
    """Say of assignments whether the guest was in a segment at the first exposure."""
    was = SegmentMembership.objects.filter(
        Q(left_at__isnull=True) | Q(left_at__gt=OuterRef("first_at")),
        segment=segment.pk,
        guest=OuterRef("guest"),
        entered_at__lte=OuterRef("first_at"),
    )
    return Exists(was, output_field=BooleanField())


def column(name: str) -> Combinable:
    """Take a column of assignments."""
    return F(name)


def cap_of(gathered: Gathered, goal: Goal) -> int | None:
    """Return the most that a guest counts for: a percentile of all who came to anything."""
    values = sorted(
        value for variant in gathered.guests for value in gathered.values(variant, goal.ref)
    )
    if not values or goal.cap_percentile is None:
        return None
    rank = capping.cap_rank(values=len(values), percentile=goal.cap_percentile / 100)
    return values[rank - 1]


def share_above(gathered: Gathered, goal: Goal, variant: UUID) -> float:
    """Return the share of a variant's guests who count for less than they came to."""
    cap = cap_of(gathered, goal)
    values = gathered.values(variant, goal.ref)
    above = sum(value > cap for value in values) if cap is not None else 0
    return capping.Capped(cap=(cap or 0) / MICROS, above=above, values=len(values)).share


def quantile_of(gathered: Gathered, goal: Goal, variant: UUID) -> quantiles.Quantile:
    """Return the quantile of what a variant's guests came to; who came to nothing counts as 0."""
    assert goal.quantile is not None
    values = gathered.values(variant, goal.ref)
    ordered = sorted([*values, *([0] * (gathered.count(variant) - len(values)))])
    asked = quantiles.ranks(n=len(ordered), quantile=goal.quantile)

    def at(rank: int | None) -> float | None:
        return None if rank is None else ordered[rank - 1] / MICROS

    return quantiles.Quantile(
        ranks=asked, lower=at(asked.lower), middle=at(asked.middle), upper=at(asked.upper)
    )
