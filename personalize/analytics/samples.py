"""
Sums of guests, read for statistics: from the numbers of days, or guest by guest.

`results` and `breakdowns` call it. Every sum is whole and exact.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from uuid import UUID

from django.db.models import Q

from personalize.analytics.types import Span
from personalize.attribution import numbers
from personalize.goals.types import MICROS, RATIOS, Goal, Unit
from personalize.models import DailyNumbers
from personalize.statistics.samples import Sample

#: Of each day: variant -> measure -> sums.
Days = Mapping[date, Mapping[UUID, Mapping[UUID, Sequence[int]]]]
_NOTHING = (0,) * len(numbers.SUMS)


def days(flow_id: int, span: Span) -> dict[date, "Sums"]:
    """Read the numbers of a flow's days, the first day first."""
    rows = DailyNumbers.objects.filter(within(span), flow=flow_id).order_by("day")
    found: dict[date, Sums] = {}
    for day, variant, measure, text in rows.values_list("day", "variant_ref", "measure", "sums"):
        # A day on which a phase began has rows of both.
        _add(found.setdefault(day, {}), variant, measure, numbers.numbers(text))
    return found


def phases(flow_id: int, span: Span) -> dict[int, "Sums"]:
    """Add the numbers of a flow's days up by the phase in which the guests saw it first."""
    rows = DailyNumbers.objects.filter(within(span), flow=flow_id)
    found: dict[int, Sums] = {}
    for phase, variant, measure, text in rows.values_list(
        "phase", "variant_ref", "measure", "sums"
    ):
        _add(found.setdefault(phase, {}), variant, measure, numbers.numbers(text))
    return found


def _add(found: "Sums", variant: UUID, measure: UUID, sums: Sequence[int]) -> None:
    of_variant = found.setdefault(variant, {})
    known = of_variant.get(measure)
    of_variant[measure] = sums if known is None else numbers.added(known, sums)


def within(span: Span) -> Q:
    earliest = span.phase if span.earliest is None else span.earliest
    within = Q(phase__gte=earliest, phase__lte=span.phase)
    if span.since is not None:
        within &= Q(day__gte=span.since)
    if span.until is not None:
        within &= Q(day__lte=span.until)
    return within


def summed(days: Iterable[Mapping[UUID, Mapping[UUID, Sequence[int]]]]) -> "Sums":
    """Add days up."""
    found: Sums = {}
    for day in days:
        for variant, measures in day.items():
            for measure, sums in measures.items():
                _add(found, variant, measure, sums)
    return found


#: Variant -> measure -> sums.
Sums = dict[UUID, dict[UUID, Sequence[int]]]


def guests_in(day: Mapping[UUID, Mapping[UUID, Sequence[int]]], variant: UUID) -> int:
    """Return how many guests of a variant there are."""
    sums = day.get(variant, {}).get(numbers.GUESTS)
    return sums[0] if sums else 0


def sample(goal: Goal, measures: Mapping[UUID, Sequence[int]], measure: UUID) -> Sample:
    """Return the guests of a variant by one measure of a goal."""
    guests = dict(zip(numbers.SUMS, measures.get(numbers.GUESTS, _NOTHING), strict=True))
    own = dict(zip(numbers.SUMS, measures.get(measure, _NOTHING), strict=True))
    n = guests["n"]
    if goal.kind in RATIOS:
        d, dd = own["d"], own["dd"]
    elif goal.unit is Unit.SESSION:
        d, dd = guests["y"], guests["yy"]
    else:
        d, dd = n * MICROS, n * MICROS * MICROS
    return Sample(
        n=n, y=own["y"], yy=own["yy"], d=d, dd=dd, yd=own["yd"],
        x=own["x"], xx=own["xx"], xy=own["xy"], xd=own["xd"],
    )  # fmt: skip
