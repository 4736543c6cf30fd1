"""How long executions and exit counts are kept: called by the purge task, once a day."""

from datetime import datetime, timedelta

from personalize import conf
from personalize.models import Execution, ExitCount

_AT_ONCE = 1000


def purge(*, now: datetime) -> int:
    """Delete what is past RETAIN_EXECUTIONS_DAYS, in small steps. Returns how many executions."""
    before = now - timedelta(days=conf.settings().RETAIN_EXECUTIONS_DAYS)
    ExitCount.objects.filter(day__lt=before.date()).delete()
    old = Execution.objects.filter(occurred_at__lt=before)
    deleted = 0
    while refs := list(old.values_list("ref", flat=True)[:_AT_ONCE]):
        Execution.objects.filter(ref__in=refs).delete()
        deleted += len(refs)
    return deleted
