"""
What of a flow was published, by phase: which variants were compared, and by which goals.

`results`, `breakdowns` and `days` begin here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personalize.goals.types import Goal
from personalize.models import DailyNumbers, Flow, FlowRevision
from personalize.snapshots import Definition


class NothingPublished(LookupError):
    """The flow never ran, so nothing came of it."""


class UnknownPhase(ValueError):
    """There was no such phase; the text says which there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """
    A phase of a flow, as it was published last. phases: all that there are.

    goals: as they are now, whichever the phase. The first is the primary one.
    """

    phase: int
    phases: Sequence[int]
    definition: Mapping[str, Any]
    goals: Sequence[Goal]


def of(flow: Flow, *, phase: int | None = None) -> Published:
    """
    Return what was published of a flow in a phase; None is the one that runs.

    Raises NothingPublished and UnknownPhase.
    """
    revisions = list(FlowRevision.objects.filter(flow=flow.pk).order_by("number"))
    if not revisions:
        raise NothingPublished("The flow was never published, so nothing came of it yet.")
    newest = revisions[-1]
    wanted = _phase(newest) if phase is None else phase
    seen = DailyNumbers.objects.filter(flow=flow.pk).values_list("phase", flat=True).distinct()
    phases = sorted({*map(_phase, revisions), *seen})
    if wanted not in phases:
        raise UnknownPhase(f"There is no phase {wanted}: {', '.join(map(str, phases))}.")
    of_phase = [each for each in revisions if _phase(each) == wanted]
    return Published(
        phase=wanted,
        phases=phases,
        definition=(of_phase or revisions)[-1].definition,
        goals=Definition(newest.number, newest.definition).goals,
    )


def _phase(revision: FlowRevision) -> int:
    return int(revision.definition.get("phase", 1))
