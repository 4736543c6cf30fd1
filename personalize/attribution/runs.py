"""
How often variants ran, how fast and how often they failed, by day: a sum of TRACKING events.

`projections` counts each execution in the transaction that writes it; `rebuilding` all of a flow.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from personalize.attribution import numbers
from personalize.models import DailyRuns, Execution, Flow
from tracking import db, events
from tracking.models import Event, Guest
from tracking.types import TRACKING_TYPE
from tracking.wire.common import BOT_CHANNEL


def count(told: Sequence[Event]) -> None:
    """Add these runs to the numbers of their days; their guests are read along."""
    rows = Flow.objects.filter(ref__in={event.flow_ref for event in told})
    flows = {
        ref: (pk, ZoneInfo(zone))
        for ref, pk, zone in rows.values_list("ref", "pk", "client__time_zone")
    }
    parts = (
        _counted(event, *flows[event.flow_ref])
        for event in told
        if event.flow_ref is not None and event.flow_ref in flows
    )
    numbers.add(DailyRuns, numbers.total(parts))


def _counted(event: Event, flow_id: int, zone: ZoneInfo) -> dict[numbers.Key, numbers.Vector]:
    """Return what a run adds to its day. Those for crawlers add nothing."""
    is_person = event.guest is not None and event.guest.type != Guest.Type.BOT
    if not is_person or event.channel == BOT_CHANNEL:
        return {}
    run = event.data["flowExecution"]
    key = (flow_id, time_of(event).astimezone(zone).date(), UUID(run["flowVariantRef"]))
    return {
        key: numbers.of_run(
            run["flowExecutionTimeMs"],
            is_error=run["status"] != Execution.Status.SUCCESS,
            is_attributable=event.browser_id is not None,
        )
    }


def time_of(event: Event) -> datetime:
    """Return when a run was."""
    milliseconds: int = event.data["flowExecution"]["occurredAt"]
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def recount(flow: Flow, *, since: date, kept_since: datetime) -> None:
    """
    Count the runs of a flow again, of this day and later.

    Within a transaction that keeps everybody else from counting: a run that has its execution is
    counted, another one will be when that is written. Before `kept_since` executions are gone.
    """
    zone = ZoneInfo(flow.client.time_zone)
    found: dict[numbers.Key, numbers.Vector] = {}
    told = Event.objects.filter(flow_ref=flow.ref, type=TRACKING_TYPE).select_related("guest")
    for batch in events.in_batches(told):
        refs = [event.flow_execution_ref for event in batch if event.flow_execution_ref]
        known = set(Execution.objects.filter(db.Among("ref", refs)).values_list("ref", flat=True))
        parts = [
            _counted(event, flow.pk, zone)
            for event in batch
            if event.flow_execution_ref in known or time_of(event) < kept_since
        ]
        found = numbers.total([found, *parts])
    numbers.replace(DailyRuns, flow.pk, found, since=since)
