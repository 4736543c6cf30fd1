"""What a batch of news may have changed of who saw what and what came of it; read by all steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from personalize.goals.types import Goal, Kind
from personalize.models import Exposure, Flow
from personalize.snapshots import Definition
from tracking import clients
from tracking.types import HOLDOUT_TYPE, TRACKING_TYPE

#: Segment's event, and those of Ibexa's trackers: they count where they name a flow.
NAMING_TYPES: Final = ("Experiment Viewed", "RENDERED", "CLICKRECOMMENDED")
#: Types of events that can show a flow to somebody.
SHOWING_TYPES: Final = (TRACKING_TYPE, HOLDOUT_TYPE, *NAMING_TYPES)


@dataclass(slots=True)
class Touched:
    """
    What may be other than before: guests, visits, and what kinds of events there were.

    all_visits: every visit of these guests has to be measured again. other_past: they may have
    done other things than known before, for some of it was others' doing. oldest: when the first
    of the events happened.
    """

    guests: set[int] = field(default_factory=set)
    visits: set[int] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    all_visits: bool = False
    other_past: bool = False
    oldest: datetime | None = None

    @property
    def shows(self) -> bool:
        """Say whether any of the events may have shown a flow."""
        return not self.types.isdisjoint(SHOWING_TYPES)

    def concerns(self, visit: int) -> bool:
        return self.all_visits or visit in self.visits

    def reaches_before(self, moment: datetime) -> bool:
        """Say whether anything before this moment may be other than known."""
        is_early = self.oldest is not None and self.oldest < moment
        return self.all_visits or self.other_past or is_early


@dataclass(frozen=True, slots=True)
class MeasuredFlow:
    """A flow as it is measured: its goals, and by whose clock and currency."""

    id: int
    zone: ZoneInfo
    currency: str
    goals: Sequence[Goal]

    @property
    def types(self) -> frozenset[str]:
        return frozenset[str]().union(*(goal.types for goal in self.goals))

    @property
    def has_commerce(self) -> bool:
        return any(goal.is_commerce for goal in self.goals)

    @property
    def bounces(self) -> list[Goal]:
        return [goal for goal in self.goals if goal.kind is Kind.BOUNCE]

    @property
    def timed(self) -> list[Goal]:
        """The goals that go by time, and not by visits."""
        return [goal for goal in self.goals if goal.reach is not None]


Flows = Mapping[int, MeasuredFlow]
#: Guest -> the guest that speaks for it.
Members = Mapping[int, int]
#: A flow and a person.
Pair = tuple[int, int]

# Revisions never change: their goals are compiled once. By the flow's ref: a row id may mean
# another revision once a database was restored.
_goals: dict[tuple[UUID, int], Sequence[Goal]] = {}


def flows_of(rows: Sequence[Exposure]) -> dict[int, MeasuredFlow]:
    """Return the flows that these exposures are of, also those that were deleted."""
    return measured({row.flow_id for row in rows})


def measured(flow_ids: set[int]) -> dict[int, MeasuredFlow]:
    """Read flows with their goals as they are published, in one query."""
    found = {}
    for flow in Flow.objects.filter(pk__in=flow_ids).select_related("published"):
        client = clients.by_id(flow.client_id)
        revision = flow.published
        if client is None or revision is None:
            continue
        name = flow.ref, revision.number
        known = _goals.get(name)
        if known is None:
            known = _goals[name] = Definition(revision.number, revision.definition).goals
        found[flow.pk] = MeasuredFlow(flow.pk, ZoneInfo(client.time_zone), client.currency, known)
    return found
