"""The Celery tasks of the app: each reads the clock and makes one domain call."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from personalize import flows, retention


@shared_task(name="personalize.catch_up", ignore_result=True)
def catch_up(**kwargs: Any) -> None:
    """Let stored statuses follow the clock. Calls never wait for it: they compute what is live."""
    flows.catch_up(now=timezone.now())


@shared_task(name="personalize.purge", ignore_result=True)
def purge(**kwargs: Any) -> None:
    """Delete executions, counts and memberships that are older than they may be kept."""
    retention.purge(now=timezone.now())
