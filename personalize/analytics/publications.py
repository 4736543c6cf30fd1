"""
What of a flow was published, by phase: which variants were compared, and by which goals.

`results`, `breakdowns` and `days` begin here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from personalize import phases
from personalize.analytics.types import Span
from personalize.goals.types import Goal
from personalize.models import DailyNumbers, Flow, FlowRevision
from personalize.phases import Period
from personalize.snapshots import Definition


class NothingPublished(LookupError):
    """The flow never ran, so nothing came of it."""


class UnknownPhase(ValueError):
    """There was no such phase; the text says which there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """
    A phase of a flow, as it was published last. phases: all that there are.

    goals: as they are now, whichever the phase. The first is the primary one. run: of a phase in
    which results set the weights, the periods up to it, whose guests add up.
    """

    phase: int
    phases: Sequence[int]
    definition: Mapping[str, Any]
    goals: Sequence[Goal]
    run: Sequence[Period]

    def span(self, *, since: date | None = None, until: date | None = None) -> Span:
        """Return whose results these are: who came in the phase, or in the periods of its run."""
        earliest = self.run[0].phase if self.run else None
        return Span(phase=self.phase, earliest=earliest, since=since, until=until)


def of(flow: Flow, *, phase: int | None = None) -> Published:
    """
    Return what was published of a flow in a phase; None is the one that runs.

    Raises NothingPublished and UnknownPhase.
    """
    revisions = list(FlowRevision.objects.filter(flow=flow.pk).order_by("number"))
    if not revisions:
        raise NothingPublished("The flow was never published, so nothing came of it yet.")
    newest = revisions[-1]
    wanted = phases.phase_of(newest.definition) if phase is None else phase
    seen = DailyNumbers.objects.filter(flow=flow.pk).values_list("phase", flat=True).distinct()
    known = sorted({*(phases.phase_of(each.definition) for each in revisions), *seen})
    if wanted not in known:
        raise UnknownPhase(f"There is no phase {wanted}: {', '.join(map(str, known))}.")
    of_phase = [each for each in revisions if phases.phase_of(each.definition) == wanted]
    return Published(
        phase=wanted,
        phases=known,
        definition=(of_phase or revisions)[-1].definition,
        goals=Definition(newest.number, newest.definition).goals,
        run=run_of(revisions, phase=wanted),
    )


def run_of(revisions: Sequence[FlowRevision], *, phase: int | None = None) -> list[Period]:
    """Return the periods of an optimized flow whose guests add up, the last one being `phase`."""
    periods = phases.periods_of((each.published_at, each.definition) for each in revisions)
    return phases.run_of([each for each in periods if phase is None or each.phase <= phase])
