"""
Executions, derived from TRACKING events: what `followers` calls with each recorded batch.

Idempotent: an execution's key is its event's, so hearing of an event twice
changes nothing, and a rebuild from the events gives the same rows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

from django.db.models import QuerySet

from personalize.models import Execution, Flow
from tracking import db
from tracking.models import Event
from tracking.types import TRACKING_TYPE, Told

FOLLOWER = "personalize.executions"
_AT_ONCE = 1000


def concerns(told: Told) -> bool:
    """Say whether an event is a run's."""
    return told.type == TRACKING_TYPE


def follow_up(event_refs: Sequence[UUID]) -> None:
    """Write the executions among these events."""
    _project(Event.objects.filter(ref__in=event_refs, type=TRACKING_TYPE))


def rebuild(*, progress: Callable[[int], None] | None = None) -> int:
    """Write the executions of all TRACKING events that are still there. Returns how many."""
    done = 0
    for refs in _batches(Event.objects.filter(type=TRACKING_TYPE).order_by("ref")):
        follow_up(refs)
        done += len(refs)
        if progress:
            progress(len(refs))
    return done


def _project(events: Iterable[Event]) -> None:
    events = list(events)
    flows = dict(
        Flow.objects.filter(ref__in={event.flow_ref for event in events}).values_list("ref", "pk")
    )
    db.insert_rows(
        Execution,
        [
            _row(event, flows[event.flow_ref])
            for event in events
            if event.flow_ref is not None and event.flow_ref in flows
        ],
        ignore_conflicts=True,
    )


def _row(event: Event, flow_id: int) -> dict[str, object]:
    run = event.data["flowExecution"]
    return {
        "ref": event.flow_execution_ref,
        "flow_id": flow_id,
        "variant_ref": UUID(run["flowVariantRef"]),
        "revision": event.data.get("decision", {}).get("revision", 0),
        "guest_id": event.guest_id,
        "session_id": event.session_id,
        "occurred_at": datetime.fromtimestamp(run["occurredAt"] / 1000, tz=UTC),
        "duration_ms": run["flowExecutionTimeMs"],
        "status": run["status"],
    }


def _batches(events: QuerySet[Event]) -> Iterator[list[UUID]]:
    last: UUID | None = None
    while True:
        rows = events if last is None else events.filter(ref__gt=last)
        refs = list(rows.values_list("ref", flat=True)[:_AT_ONCE])
        if not refs:
            return
        yield refs
        last = refs[-1]
