"""
A flow's results: what each variant came to, how it compares, and what to do.

Called by the admin's results page, the API and `simulate_experiment`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from personalize.analytics import arms, bandits, course, guestwise, publications, rules, samples
from personalize.analytics.arms import Arm
from personalize.analytics.guestwise import Gathered
from personalize.analytics.publications import Published
from personalize.analytics.samples import Days, Sums
from personalize.analytics.types import (
    DayGuests,
    FlowResults,
    GoalResult,
    Moment,
    Optimized,
    Runs,
    Span,
    VariantResult,
)
from personalize.attribution import numbers, rebuilding
from personalize.goals import measuring
from personalize.goals.folding import HELD_OUT, MIXED
from personalize.goals.types import MICROS, Goal, Kind
from personalize.models import DailyRuns, Flow
from personalize.statistics import report
from personalize.statistics.comparisons import Comparison, Measured
from personalize.statistics.report import Report, VariantData
from personalize.statistics.samples import Sample

#: By the guests of today and of so many days before it is reckoned how many come a day.
_RECENT: Final = timedelta(days=6)
_AN_HOUR: Final = timedelta(hours=1)


def of(
    flow: Flow,
    *,
    now: datetime,
    phase: int | None = None,
    since: date | None = None,
    until: date | None = None,
    has_course: bool = True,
) -> FlowResults:
    """
    Return what came of a flow, by all who saw it first in these days of a phase.

    phase: None is the one that runs; where results set the weights, all periods up to this one
    are taken together. has_course: with the effect over time, which is half of the work. Raises
    NothingPublished and UnknownPhase.
    """
    published = publications.of(flow, phase=phase)
    span = published.span(since=since, until=until)
    return _Reading(flow, published, span, now=now).results(has_course=has_course)


def optimized_of(flow: Flow, *, now: datetime) -> Optimized | None:
    """
    Return that part of the results alone, which costs no more where goals ask for single guests.

    None where the flow does not run optimized. Raises NothingPublished.
    """
    published = publications.of(flow)
    return _Reading(flow, published, published.span(), now=now).optimized()


class _Reading:
    """One reading of a flow's results; everything in it is of one span."""

    def __init__(self, flow: Flow, published: Published, span: Span, *, now: datetime) -> None:
        self.flow, self.span, self.now = flow, span, now
        self.published, self.goals = published, published.goals
        self.definition = published.definition
        self.days: Days = samples.days(flow.pk, span)
        self.sums: Sums = samples.summed(self.days.values())
        self.arms = arms.arms_of(self.definition, has_held_out=HELD_OUT in self.sums)
        self._gathered: Gathered | None = None

    def results(self, *, has_course: bool) -> FlowResults:
        judged = self._report()
        runs = self._runs()
        total = sum(each.executions for each in runs.values())
        known = sum(each.attributable for each in runs.values())
        return FlowResults(
            span=self.span,
            phases=self.published.phases,
            variants=[self._variant(arm, runs.get(arm.ref, Runs()), judged) for arm in self.arms],
            mixed=self._guests(MIXED)["n"],
            attributable=known / total if total else None,
            report=judged,
            optimized=self.optimized(),
            over_time=self._course() if has_course else [],
            by_day=self._by_day(),
            is_measuring=self.flow.measured_to is not None,
            frozen_before=rebuilding.first_day_covered(self.flow, now=self.now),
            all_guests_since=rebuilding.first_day_of_all_guests(self.flow, now=self.now),
        )

    def _guests(self, variant: UUID) -> dict[str, int]:
        sums = self.sums.get(variant, {}).get(numbers.GUESTS, [0] * len(numbers.SUMS))
        return dict(zip(numbers.SUMS, sums, strict=True))

    def _course(self) -> list[Moment]:
        compared = self._compared()
        if not compared or not self.goals:
            return []
        return course.over_time(self.days, self.goals[0], compared, rules.settings_of(self.flow))

    # --- judging ---

    def optimized(self) -> Optimized | None:
        """Judge a flow whose weights moved."""
        run = self.published.run
        if not run:
            return None
        ruled = [
            (goal, rules.rule_of(goal, is_primary=at == 0)) for at, goal in enumerate(self.goals)
        ]
        by_phase = samples.phases(self.flow.pk, self.span)
        return bandits.judged(run, by_phase, ruled, rules.settings_of(self.flow))

    def _compared(self) -> list[Arm]:
        """Choose what plain intervals compare: nothing where the weights moved."""
        if self.published.run:
            return []
        return arms.compared_arms(self.arms, self.definition)

    def _report(self) -> Report | None:
        compared = self._compared()
        if not compared or not self.goals:
            return None
        counts = [
            [samples.guests_in(day, arm.ref) for arm in compared] for day in self.days.values()
        ]
        cumulated = list(itertools.accumulate(counts, numbers.added))
        mixed = self._guests(MIXED)["n"]
        everybody = mixed + sum(map(sum, counts))
        return report.analyse(
            variants=[self._data(arm) for arm in compared],
            goals=[rules.rule_of(goal, is_primary=at == 0) for at, goal in enumerate(self.goals)],
            settings=rules.settings_of(self.flow),
            guests_a_day=self._guests_a_day(counts),
            mixed_share=mixed / everybody if everybody else 0.0,
            earlier_guests=cumulated[:-1],
        )

    def _guests_a_day(self, counts: Sequence[Sequence[int]]) -> float:
        """Say how many come a day now: 0 where nobody has of late, as to a paused flow."""
        if not counts:
            return 0.0
        zone = ZoneInfo(self.flow.client.time_zone)
        first = max(next(iter(self.days)), self.now.astimezone(zone).date() - _RECENT)
        recent = [sum(count) for day, count in zip(self.days, counts, strict=True) if day >= first]
        # The day is not over: an hour of the first one is no day with few guests.
        since = datetime.combine(first, time.min, tzinfo=zone)
        return sum(recent) / (max(self.now - since, _AN_HOUR) / timedelta(days=1))

    def _data(self, arm: Arm) -> VariantData:
        return VariantData(
            ref=str(arm.ref),
            name=arm.name,
            guests=self._guests(arm.ref)["n"],
            samples={str(goal.ref): self._measured(goal, arm.ref) for goal in self.goals},
            weight=arm.weight,
            is_control=arm.is_control,
        )

    def _measured(self, goal: Goal, variant: UUID) -> Measured:
        if goal.quantile is not None:
            return guestwise.quantile_of(self._guest_by_guest(), goal, variant)
        if goal.cap_percentile is not None:
            gathered = self._guest_by_guest()
            cap = guestwise.cap_of(gathered, goal)
            return samples.sample(goal, gathered.sums(variant, goal, goal.ref, cap=cap), goal.ref)
        return samples.sample(goal, self.sums.get(variant, {}), goal.ref)

    def _guest_by_guest(self) -> Gathered:
        """Read the guests one by one, once: sums do not know who came to how much."""
        if self._gathered is None:
            refs = [goal.ref for goal in self.goals if goal.is_guest_by_guest]
            found = guestwise.gather(self.flow, self.span, refs, now=self.now)
            self._gathered = found.get(guestwise.EVERYBODY, Gathered())
        return self._gathered

    def _by_day(self) -> list[DayGuests]:
        shown = [*(arm.ref for arm in self.arms), MIXED]
        return [
            DayGuests(day=day, guests={ref: samples.guests_in(of_day, ref) for ref in shown})
            for day, of_day in self.days.items()
        ]

    # --- what each variant came to ---

    def _variant(self, arm: Arm, runs: Runs, judged: Report | None) -> VariantResult:
        guests = self._guests(arm.ref)
        compared = {
            each.goal.ref: each
            for each in (judged.comparisons if judged else ())
            if each.variant == str(arm.ref)
        }
        return VariantResult(
            ref=arm.ref,
            name=arm.name,
            is_control=arm.is_control,
            weight=arm.weight,
            guests=guests["n"],
            visits=guests["y"] // MICROS,
            runs=runs,
            goals=[self._goal(goal, arm.ref, compared.get(str(goal.ref))) for goal in self.goals],
        )

    def _goal(self, goal: Goal, variant: UUID, compared: Comparison | None) -> GoalResult:
        measures = self.sums.get(variant, {})
        plain = samples.sample(goal, measures, goal.ref)
        found = GoalResult(
            goal=goal,
            total=plain.y / MICROS,
            per=plain.d / MICROS,
            mean=plain.mean,
            comparison=compared,
        )
        if goal.quantile is not None:
            return replace(found, mean=self._measured(goal, variant).mean)
        if goal.cap_percentile is not None:
            capped = self._measured(goal, variant)
            assert isinstance(capped, Sample)
            share = guestwise.share_above(self._guest_by_guest(), goal, variant)
            total, per = capped.y / MICROS, capped.d / MICROS
            return replace(found, total=total, per=per, mean=capped.mean, capped=share)
        if goal.kind is Kind.FUNNEL:
            steps = [
                samples.sample(goal, measures, step).y // MICROS
                for step in measuring.measures_of(goal)
            ]
            return replace(found, steps=steps)
        return found

    def _runs(self) -> dict[UUID, Runs]:
        rows = DailyRuns.objects.filter(flow=self.flow.pk)
        if self.span.since is not None:
            rows = rows.filter(day__gte=self.span.since)
        if self.span.until is not None:
            rows = rows.filter(day__lte=self.span.until)
        sums: dict[UUID, Sequence[int]] = {}
        for variant, text in rows.values_list("variant_ref", "sums"):
            vector = numbers.numbers(text)
            sums[variant] = numbers.added(sums[variant], vector) if variant in sums else vector
        return {variant: runs_of(vector) for variant, vector in sums.items()}


def runs_of(vector: Sequence[int]) -> Runs:
    """Return runs as they are kept."""
    executions, errors, attributable, duration_ms, *slots = vector
    return Runs(
        executions=executions,
        errors=errors,
        attributable=attributable,
        duration_ms=duration_ms,
        latencies=dict(zip((*numbers.LATENCIES, None), slots, strict=True)),
    )
