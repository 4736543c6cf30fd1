"""How long executions, their records and exit counts are kept: called by the purge task, daily."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from personalize import conf
from personalize.models import DecisionRecord, Execution, ExitCount

_AT_ONCE = 1000


def purge(*, now: datetime) -> int:
    """
    Delete what is past its time, in small steps. Returns how many executions.

    RETAIN_EXECUTIONS_DAYS for executions and counts, RETAIN_DECISIONS_DAYS for records.
    """
    limits = conf.settings()
    before = now - timedelta(days=limits.RETAIN_EXECUTIONS_DAYS)
    decided_before = now - timedelta(days=limits.RETAIN_DECISIONS_DAYS)
    ExitCount.objects.filter(day__lt=before.date()).delete()
    _in_steps(DecisionRecord.objects.filter(decided_at__lt=decided_before))
    return _in_steps(Execution.objects.filter(occurred_at__lt=before))


def _in_steps(old: QuerySet[Any]) -> int:
    deleted = 0
    while refs := list(old.values_list("ref", flat=True)[:_AT_ONCE]):
        old.model._default_manager.filter(ref__in=refs).delete()
        deleted += len(refs)
    return deleted
