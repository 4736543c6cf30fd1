"""
How long executions, their records, exit counts and histories of segments are kept.

Called by the purge task, once a day.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from personalize import conf
from personalize.models import (
    DecisionRecord,
    Execution,
    ExitCount,
    SegmentDue,
    SegmentMembership,
)

_AT_ONCE = 1000


def purge(*, now: datetime) -> int:
    """
    Delete what is past its time, in small steps. Returns how many executions.

    RETAIN_EXECUTIONS_DAYS for executions and counts, RETAIN_DECISIONS_DAYS for records, and
    RETAIN_SEGMENT_HISTORY_DAYS for who left a segment; all of deleted segments goes.
    """
    limits = conf.settings()
    before = now - timedelta(days=limits.RETAIN_EXECUTIONS_DAYS)
    decided_before = now - timedelta(days=limits.RETAIN_DECISIONS_DAYS)
    left_before = now - timedelta(days=limits.RETAIN_SEGMENT_HISTORY_DAYS)
    ExitCount.objects.filter(day__lt=before.date()).delete()
    _in_steps(DecisionRecord.objects.filter(decided_at__lt=decided_before))
    _in_steps(SegmentMembership.objects.filter(left_at__lt=left_before))
    _in_steps(SegmentMembership.objects.filter(segment__deleted_at__isnull=False))
    _in_steps(SegmentDue.objects.filter(segment__deleted_at__isnull=False))
    return _in_steps(Execution.objects.filter(occurred_at__lt=before))


def _in_steps(old: QuerySet[Any]) -> int:
    deleted = 0
    while pks := list(old.values_list("pk", flat=True)[:_AT_ONCE]):
        old.model._default_manager.filter(pk__in=pks).delete()
        deleted += len(pks)
    return deleted
