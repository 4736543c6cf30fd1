"""
The Celery tasks. They carry no data: each reads the clock and makes one domain call.

A host that runs no Celery gets the same from `manage.py process_inbox`.
"""

import logging
import time
from datetime import timedelta
from typing import Any

from celery import shared_task
from django.utils import timezone

from tracking import chores, followers, pipeline, retention, sessions
from tracking.event_models import seen

logger = logging.getLogger("tracking")

# Well under the task limits that a host is advised to set; the next ring goes on.
_LONGEST_DRAIN = timedelta(seconds=20)


def drain(*, longest: timedelta = _LONGEST_DRAIN) -> pipeline.Walked:
    """
    Walk the inbox until it is empty or the time is up, let the followers follow, do the chores.

    Returns what was done. A database at fault ends it: the entries stay.
    """
    deadline = time.monotonic() + longest.total_seconds()
    entries = events = quarantined = 0
    while time.monotonic() < deadline:
        walked = pipeline.process_batch(now=timezone.now())
        followers.run_due(now=timezone.now())
        if walked is None:
            break
        entries += walked.entries
        events += walked.events
        quarantined += walked.quarantined
    chores.run(now=timezone.now())
    seen.write()
    return pipeline.Walked(entries, events, quarantined)


@shared_task(name="tracking.process_inbox", ignore_result=True)
def process_inbox(**kwargs: Any) -> None:
    """Drain the inbox. Carries no data: losing this message loses nothing."""
    drain()


@shared_task(name="tracking.sweep_inbox", ignore_result=True)
def sweep_inbox(**kwargs: Any) -> None:
    """Drain what no ring announced, and pay the followers' debts that have come due."""
    drain()


@shared_task(name="tracking.close_idle_sessions", ignore_result=True)
def close_idle_sessions(**kwargs: Any) -> None:
    """Close the sessions whose pause has become longer than their storefront allows."""
    sessions.close_idle(now=timezone.now())


@shared_task(name="tracking.purge", ignore_result=True)
def purge(**kwargs: Any) -> None:
    """Delete what is older than it may be kept."""
    retention.purge(now=timezone.now())
