"""
The effect over time: the primary goal's comparisons as they stood at the end of days.

Called by `results`. Each day is judged by all who had come until then, as the whole is.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final
from uuid import UUID

from personalize.analytics import rules, samples
from personalize.analytics.arms import Arm
from personalize.analytics.samples import Days, Sums
from personalize.analytics.types import Moment
from personalize.attribution import numbers
from personalize.goals.types import Goal
from personalize.statistics import report
from personalize.statistics.report import VariantData
from personalize.statistics.types import Settings

#: Of more days some are told of, at even distances: a drawing has no room for more.
MOST_MOMENTS: Final = 60


def over_time(days: Days, goal: Goal, compared: Sequence[Arm], settings: Settings) -> list[Moment]:
    """Judge by a goal as it would have been; nothing for one that is read guest by guest."""
    if goal.is_guest_by_guest:
        return []
    moments = []
    wanted = _spread(list(days))
    reached: Sums = {}
    for day, of_day in days.items():
        reached = samples.summed([reached, _only(of_day, goal)])
        if day in wanted:
            moments.append(_moment(day, reached, goal, compared, settings))
    return moments


def _moment(
    day: date, reached: Sums, goal: Goal, compared: Sequence[Arm], settings: Settings
) -> Moment:
    judged = report.analyse(
        variants=[
            VariantData(
                ref=str(arm.ref),
                name=arm.name,
                guests=samples.guests_in(reached, arm.ref),
                samples={str(goal.ref): samples.sample(goal, reached.get(arm.ref, {}), goal.ref)},
                weight=arm.weight,
                is_control=arm.is_control,
            )
            for arm in compared
        ],
        goals=[rules.rule_of(goal, is_primary=True)],
        settings=settings,
    )
    return Moment(
        day=day,
        guests={arm.ref: samples.guests_in(reached, arm.ref) for arm in compared},
        comparisons={UUID(each.variant): each for each in judged.comparisons},
    )


def _only(
    day: Mapping[UUID, Mapping[UUID, Sequence[int]]], goal: Goal
) -> dict[UUID, dict[UUID, Sequence[int]]]:
    """Leave what other goals came to."""
    wanted = (numbers.GUESTS, goal.ref)
    return {
        variant: {ref: measures[ref] for ref in wanted if ref in measures}
        for variant, measures in day.items()
    }


def _spread(days: Sequence[date]) -> set[date]:
    """Choose days at even distances, the last among them: all of them where they are few."""
    every = -(-len(days) // MOST_MOMENTS)
    return set(days[:: -every or -1])
