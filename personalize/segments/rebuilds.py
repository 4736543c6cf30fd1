"""
Segments judged anew for all guests, in the foreground: what `manage.py rebuild_segments` does.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from personalize import memberships
from personalize.models import Segment, SegmentMembership


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Who is in a segment now, and who entered and left it meanwhile."""

    segment: Segment
    members: int
    entered: int
    left: int


def rebuild(
    segments: Collection[Segment],
    *,
    now: datetime,
    progress: Callable[[int], None] | None = None,
) -> list[Rebuilt]:
    """
    Judge all guests by these segments' conditions, however long it takes.

    What else is not built is built with them. `progress` is told of each batch of guests.
    """
    live = Segment.objects.kept().filter(pk__in=[each.pk for each in segments])
    live.filter(kind=Segment.Kind.LIVE).update(built_to=0)
    memberships.build_all(now=now, progress=progress)
    return [_rebuilt(each, since=now) for each in segments]


def _rebuilt(segment: Segment, *, since: datetime) -> Rebuilt:
    rows = SegmentMembership.objects.filter(segment=segment.pk)
    return Rebuilt(
        segment=segment,
        members=rows.current().count(),
        entered=rows.filter(entered_at__gte=since).count(),
        left=rows.filter(left_at__gte=since).count(),
    )
