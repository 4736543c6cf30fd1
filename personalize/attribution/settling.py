"""
The walk of attribution: what was seen, what came of it, what each person comes to. Read this first.

`follow_up` is called by `followers` with each recorded batch and with guests who changed
otherwise, `tend` by the chores where goals have changed. All come to `settle`, which is the
list of steps. It reads again whatever the news may touch, so that news that comes late, twice
or in another order leaves the same.
"""

import time
from collections.abc import Collection
from datetime import datetime
from functools import partial
from typing import Final

from personalize.attribution import exposures, happenings, standings, visits
from personalize.attribution.exposures import visit_of
from personalize.attribution.touched import SHOWING_TYPES, Touched, flows_of
from personalize.models import DailyNumbers, Exposure, Flow, GuestGoal
from personalize.snapshots import definition_of
from tracking import db, guests, retention
from tracking.followers import Changed, Owed
from tracking.models import Event, Guest
from tracking.types import Told

FOLLOWER: Final = "personalize.attribution"

_AT_ONCE = 500
# As long as a drain of the inbox: the next one goes on.
_LONGEST = 20.0


def concerns(told: Told) -> bool:
    """Any event may be what a goal is about; which ones are, `follow_up` finds out."""
    return True


def follow_up(owed: Owed) -> None:
    """Settle the people of these events, or these guests."""
    if owed.event_refs:
        settle(_touched_by(owed), now=owed.now)
    elif owed.guest_ids:
        settle(_changed_of(owed), now=owed.now)


def _changed_of(owed: Owed) -> Touched:
    touched = Touched(guests=set(owed.guest_ids), other_past=owed.changed is not Changed.VISITS)
    if owed.changed is Changed.EVENTS:
        # An event is told to whom it went to; in a visit it is found by that, whosever it was.
        touched.visits = {visit_of(None, guest_id) for guest_id in touched.guests}
        touched.types = set(SHOWING_TYPES)
    return touched


def _touched_by(owed: Owed) -> Touched:
    touched = Touched()
    rows = Event.objects.filter(db.Among("ref", owed.event_refs), guest__isnull=False)
    told = rows.exclude(guest__type=Guest.Type.BOT)
    for guest_id, session_id, type, at in told.values_list(
        "guest", "session", "type", "occurred_at"
    ):
        assert guest_id is not None
        touched.guests.add(guest_id)
        touched.visits.add(visit_of(session_id, guest_id))
        touched.types.add(type)
        touched.oldest = at if touched.oldest is None else min(at, touched.oldest)
    return touched


def settle(touched: Touched, *, now: datetime) -> None:
    """
    Bring all that is kept of these guests to what their events say.

    What began before the oldest events that are kept stays as it is known.
    """
    if not touched.guests or not (touched.shows or _have_seen(touched.guests)):
        return
    if touched.shows:
        touched.guests |= exposures.owners_of(touched.visits)
    members = locked_members(touched.guests)
    since = retention.events_since(now=now)
    if touched.shows:
        exposures.keep(touched, since=since)
    rows = _exposures_of({*members, *touched.guests})
    flows = flows_of(rows)
    has_commerce = any(flow.has_commerce for flow in flows.values())
    bought = happenings.bought_by(members) if has_commerce else []
    visits.measure(rows, flows, touched, bought, since=since)
    standings.keep(rows, flows, touched, members, bought, since=since, now=now)


def _have_seen(guest_ids: Collection[int]) -> bool:
    """Say whether any of these people saw a flow."""
    people = guests.speakers_of(guest_ids)
    kin = {*guest_ids, *guests.members_of(people)}
    return Exposure.objects.filter(db.Among("guest", kin)).exists()


def locked_members(guest_ids: Collection[int]) -> dict[int, int]:
    """
    Lock those who speak for these guests; return everybody who speaks through them.

    Who that is may change until they are locked.
    """
    people = guests.speakers_of(guest_ids)
    while True:
        guests.lock(people)
        now = guests.speakers_of(guest_ids)
        if now == people:
            return guests.members_of(people)
        people = now


def _exposures_of(guest_ids: Collection[int]) -> list[Exposure]:
    return list(Exposure.objects.filter(db.Among("guest", guest_ids)).order_by("pk"))


# --- as goals change -------------------------------------------------------------------


def tend(now: datetime) -> None:
    """Measure what was seen before by goals that are new, for a while: a chore."""
    deadline = time.monotonic() + _LONGEST
    while Flow.objects.unmeasured().exists() and time.monotonic() < deadline:
        if db.retried(partial(_measure_next, now=now)) is None:
            # Somebody else is at it.
            break


def _measure_next(*, now: datetime) -> int | None:
    """Measure the next exposures of a flow whose goals changed. Returns how many; None: all are."""
    rows = Flow.objects.unmeasured().order_by("pk")
    if db.is_postgres():
        rows = rows.select_for_update(skip_locked=True, no_key=True, of=("self",))
    flow = rows.first()
    if flow is None:
        return None
    after = flow.measured_to or 0
    pending = Exposure.objects.filter(flow=flow.pk, pk__gt=after).order_by("pk")
    batch = list(pending.values_list("pk", "guest", "visit")[:_AT_ONCE])
    if not batch:
        _forget_old_goals(flow)
        Flow.objects.filter(pk=flow.pk).update(measured_to=None)
        return 0
    settle(Touched(guests={guest for _, guest, _ in batch}, all_visits=True), now=now)
    Flow.objects.filter(pk=flow.pk).update(measured_to=batch[-1][0])
    return len(batch)


def _forget_old_goals(flow: Flow) -> None:
    """Take away what was kept by goals that the flow has no more."""
    assert flow.published is not None
    kept = standings.measures_of(definition_of(flow, flow.published))
    for model in (GuestGoal, DailyNumbers):
        model.objects.filter(flow=flow.pk).exclude(measure__in=kept).delete()
