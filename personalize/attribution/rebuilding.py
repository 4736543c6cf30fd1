"""
All that is known of who saw a flow and what came of it, made again from the events.

Called by `manage.py rebuild_results`. Live numbers equal it: it is needed after rows were changed
past the walks. Days whose events or guests may be gone already are frozen: they stay as they are.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from personalize import conf
from personalize.attribution import numbers, runs, settling, standings
from personalize.attribution.exposures import visit_of
from personalize.attribution.touched import NAMING_TYPES, SHOWING_TYPES, Touched
from personalize.models import Assignment, DailyNumbers, DailyRuns, Exposure, Flow
from tracking import db, retention
from tracking.models import Event

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was made again: days from `since` on. `guests` have seen the flow."""

    flow: Flow
    since: date
    guests: int


def rebuild(flow: Flow, *, now: datetime, progress: Callable[[int], None] | None = None) -> Rebuilt:
    """Make the results of a flow again, in steps that each leave everything consistent."""
    since = first_day_covered(flow, now=now)
    done = 0
    for guest_ids in _in_steps(_guests(flow, since)):
        db.retried(partial(_again, flow, guest_ids, since=since, now=now))
        done += len(guest_ids)
        if progress:
            progress(len(guest_ids))
    db.retried(partial(_add_up, flow, since=since))
    db.retried(partial(_count_runs, flow, since=since, now=now))
    return Rebuilt(flow, since, done)


def first_day_covered(flow: Flow, *, now: datetime) -> date:
    """Return the first day of whose guests and events nothing has been deleted for its age."""
    return _first_whole_day(flow, retention.covered_since(now=now))


def first_day_of_all_guests(flow: Flow, *, now: datetime) -> date:
    """
    Return the first day whose guests are all still there: of those before, idle visitors are gone.

    What was kept of a guest is kept as long, however old the events are.
    """
    return _first_whole_day(flow, retention.visitors_since(now=now))


def _first_whole_day(flow: Flow, oldest: datetime) -> date:
    return oldest.astimezone(ZoneInfo(flow.client.time_zone)).date() + timedelta(days=1)


def _guests(flow: Flow, since: date) -> Iterator[int]:
    """Yield whoever has seen the flow, by what is kept or by what the events say; each once."""
    seen: set[int] = set()
    kept = Assignment.objects.filter(flow=flow.pk, day__gte=since).values_list("guest", flat=True)
    told = Event.objects.filter(flow_ref=flow.ref).values_list("guest", flat=True)
    named = Event.objects.filter(client=flow.client_id, type__in=NAMING_TYPES)
    for rows in (kept, told, named.values_list("guest", flat=True)):
        for guest_id in list(rows.distinct()):
            if guest_id is not None and guest_id not in seen:
                seen.add(guest_id)
                yield guest_id


def _in_steps(guest_ids: Iterable[int]) -> Iterator[set[int]]:
    step: set[int] = set()
    for guest_id in guest_ids:
        step.add(guest_id)
        if len(step) == _AT_ONCE:
            yield step
            step = set()
    if step:
        yield step


def _again(flow: Flow, guest_ids: set[int], *, since: date, now: datetime) -> None:
    """Forget what these guests saw of the flow, and read it again; but not of frozen days."""
    members = settling.locked_members(guest_ids)
    old = Assignment.objects.filter(flow=flow.pk, guest__in=members, day__lt=since)
    frozen = set(old.values_list("guest", flat=True))
    people = {guest for guest, person in members.items() if person not in frozen}
    Exposure.objects.filter(flow=flow.pk, guest__in=people).delete()
    told = Event.objects.filter(guest__in=people, type__in=SHOWING_TYPES)
    shown = told.values_list("session", "guest")
    visits = {visit_of(session, guest or 0) for session, guest in shown}
    touched = Touched(guests=people, visits=visits, types=set(SHOWING_TYPES), other_past=True)
    settling.settle(touched, now=now)


def _add_up(flow: Flow, *, since: date) -> None:
    numbers.lock(DailyNumbers)
    numbers.replace(DailyNumbers, flow.pk, standings.sums_of(flow.pk, since=since), since=since)


def _count_runs(flow: Flow, *, since: date, now: datetime) -> None:
    numbers.lock(DailyRuns)
    kept_since = now - timedelta(days=conf.settings().RETAIN_EXECUTIONS_DAYS)
    runs.recount(flow, since=since, kept_since=kept_since)
