"""
The bandit: lets the weights of optimized experiments follow their results, now and then.

`tend` is called by the chores. Guests are read as the numbers of days have them, and what runs
goes on with other weights by a revision, so that each period is a phase with weights on record.
"""

import logging
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db.models import QuerySet

from personalize import catalogs, conf, flows, traffic, weighting
from personalize.analytics import bandits, publications
from personalize.goals.types import Goal
from personalize.models import Flow, FlowRevision
from personalize.snapshots import Definition
from tracking import db

CHORE: Final = "personalize.optimizing"

logger = logging.getLogger("personalize")


def tend(now: datetime) -> None:
    """Weigh the flows anew whose time has come: a chore."""
    for flow in _due(now):
        if not flow.is_live(now):
            continue
        try:
            db.retried(partial(weigh, flow.pk, flow.client_id, now=now))
        except Exception:
            # The others are weighed all the same, and this one again the next time.
            logger.exception("flow.not_weighed", extra={"ref": str(flow.ref)})


def _due(now: datetime) -> QuerySet[Flow]:
    hours = conf.settings().BANDIT_HOURS
    if not hours:
        return Flow.objects.none()
    since = now - timedelta(hours=hours)
    # Numbers of goals that are new are not complete while they are measured.
    rows = traffic.running().filter(weighed_at__lte=since, measured_to__isnull=True)
    return rows.select_related("published").order_by("pk")


def weigh(flow_id: int, client_id: int, *, now: datetime) -> FlowRevision | None:
    """
    Ask the results of one flow for its weights; return the revision if they have moved.

    Called in a transaction. None as well where somebody else has just asked.
    """
    # Whoever publishes has this lock: what is read now is what runs until the end.
    catalogs.lock(client_id)
    flow = _due(now).filter(pk=flow_id).first()
    if flow is None:
        return None
    Flow.objects.filter(pk=flow_id).update(weighed_at=now)
    run = publications.run_of(list(FlowRevision.objects.filter(flow=flow_id).order_by("number")))
    goal = _primary(flow)
    if not run or goal is None:
        return None
    weights = weighting.from_shares(bandits.next_shares(flow, run, goal))
    if not weighting.is_move(run[-1].shares, weights):
        return None
    revision = flows.reweigh(flow, weights, now=now)
    logger.info("flow.reweighed", extra={"ref": str(flow.ref), "revision": revision.number})
    return revision


def _primary(flow: Flow) -> Goal | None:
    """Return the goal that sets the weights; None where it can be read no more."""
    published = flow.published
    if published is None:
        return None
    stated = published.definition.get("goals", ())
    goals = Definition(published.number, published.definition).goals
    if not goals or not stated or str(goals[0].ref) != stated[0]["ref"]:
        return None
    return goals[0]
