"""
Executions and how many there were, derived from TRACKING events, and the records that come along.

`follow_up` is what `followers` calls with each recorded batch. It is
idempotent: an execution's key is its event's, so hearing of an event twice
changes nothing, and a rebuild from the events gives the same rows.
`keep_records` is called in the transaction that writes the events.
"""

from collections.abc import Callable, Sequence
from uuid import UUID

from personalize.attribution import runs
from personalize.models import DecisionRecord, Execution, Flow
from tracking import db, events
from tracking.companions import Companion
from tracking.followers import Owed
from tracking.models import Event
from tracking.types import TRACKING_TYPE, Told

FOLLOWER = "personalize.executions"


def concerns(told: Told) -> bool:
    """Say whether an event is a run's."""
    return told.type == TRACKING_TYPE


def follow_up(owed: Owed) -> None:
    """Write the executions among these events."""
    rows = Event.objects.filter(db.Among("ref", owed.event_refs), type=TRACKING_TYPE)
    told = list(rows.select_related("guest"))
    fresh = _project(told)
    runs.count([event for event in told if event.flow_execution_ref in fresh])


def keep_records(companions: Sequence[Companion]) -> None:
    """Write the records of a batch's runs, in one statement."""
    db.insert_rows(
        DecisionRecord,
        [
            {
                "ref": companion.ref,
                "client_id": companion.client_id,
                "guest_id": companion.guest_id,
                "decided_at": companion.occurred_at,
                "body": companion.body.decode(),
            }
            for companion in companions
            if companion.guest_id is not None
        ],
        ignore_conflicts=True,
    )


def rebuild(*, progress: Callable[[int], None] | None = None) -> int:
    """
    Write the executions of all TRACKING events that are still there. Returns how many.

    The numbers of days stay: `attribution.rebuilding` counts these again.
    """
    done = 0
    for batch in events.in_batches(Event.objects.filter(type=TRACKING_TYPE)):
        _project(batch)
        done += len(batch)
        if progress:
            progress(len(batch))
    return done


def _project(told: Sequence[Event]) -> set[UUID]:
    flows = dict(
        Flow.objects.filter(ref__in={event.flow_ref for event in told}).values_list("ref", "pk")
    )
    made = db.insert_rows(
        Execution,
        [
            _row(event, flows[event.flow_ref])
            for event in told
            if event.flow_ref is not None and event.flow_ref in flows
        ],
        ignore_conflicts=True,
        returning=("ref",),
    )
    return {db.loaded_uuid(ref) for (ref,) in made}


def _row(event: Event, flow_id: int) -> dict[str, object]:
    run = event.data["flowExecution"]
    return {
        "ref": event.flow_execution_ref,
        "flow_id": flow_id,
        "variant_ref": UUID(run["flowVariantRef"]),
        "revision": event.data.get("decision", {}).get("revision", 0),
        "guest_id": event.guest_id,
        "session_id": event.session_id,
        "occurred_at": runs.time_of(event),
        "duration_ms": run["flowExecutionTimeMs"],
        "status": run["status"],
    }
