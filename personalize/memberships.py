"""
Who is in which segment, kept up as events arrive, as time passes, and as segments change.

`follow_up` is called by `followers` with each recorded batch and with guests
who changed otherwise, `tend` by the chores. All of them come to `_judge`: it
locks the guests, loads the facts that the segments at stake name in a fixed
number of queries, asks the pure evaluator, and stores the difference. Judging
again changes nothing.

No segment changes while guests of its client are judged: `let_segments_stand`
and `let_nobody_judge` keep them apart. So whoever builds a changed segment
sees all that was made of the old one.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db.models import QuerySet

from personalize import conditions, conf, guest_facts, querying, snapshots
from personalize.models import Segment, SegmentDue, SegmentMembership
from personalize.segment_index import Index
from personalize.snapshots import Catalog, SegmentSnapshot
from tracking import clients, db, guests, inbox
from tracking.followers import Changed, Owed
from tracking.models import Event, Guest
from tracking.types import ClientConfig, Told

logger = logging.getLogger("personalize")

FOLLOWER: Final = "personalize.segments"

_AT_ONCE = 500
# As long as a drain of the inbox: the next one goes on.
_LONGEST = 20.0
# What is due is due later than now, or judging would never end.
_SHORTEST_WAIT = timedelta(seconds=1)

_Names = Collection[str]
_Choose = Callable[[Catalog], Mapping[int, _Names]]
#: Which segments a change of guests can concern; one of their profile can concern any.
_CONCERNED: Final[Mapping[Changed | None, Callable[[Index[SegmentSnapshot]], _Names]]] = {
    Changed.PURCHASES: Index.by_purchases,
    Changed.GOALS: Index.by_goals,
    Changed.FORGOTTEN: Index.by_forgetting,
}


def concerns(told: Told) -> bool:
    """Every event may concern a segment; which ones, `follow_up` finds out batch by batch."""
    return True


def follow_up(owed: Owed) -> None:
    """Judge the guests of these events, or these guests, by the segments that it can concern."""
    if not Segment.objects.kept().exists():
        return
    if owed.event_refs:
        _hear_events(owed)
    elif owed.changed in (Changed.PROFILE, Changed.EVENTS):
        _hear_profiles(owed)
    elif owed.changed in _CONCERNED:
        _hear_of_guests(owed, _CONCERNED[owed.changed])


def _hear_events(owed: Owed) -> None:
    rows = Event.objects.filter(db.Among("ref", owed.event_refs), guest__isnull=False)
    did: dict[int, dict[int, set[str]]] = {}
    told = rows.exclude(guest__type=Guest.Type.BOT)
    for client_id, guest_id, root_id, type in told.values_list(
        "client", "guest", "guest__root", "type"
    ):
        did.setdefault(client_id, {}).setdefault(root_id or guest_id or 0, set()).add(type)
    for client_id, types in sorted(did.items()):
        _judge(client_id, partial(_by_events, types), now=owed.now)


def _by_events(did: Mapping[int, set[str]], catalog: Catalog) -> Mapping[int, _Names]:
    index = catalog.segment_index
    return {guest_id: index.by_events(types) for guest_id, types in did.items()}


def _hear_of_guests(owed: Owed, concerned: Callable[[Index[SegmentSnapshot]], _Names]) -> None:
    for client_id, people in _people(owed.guest_ids).items():

        def choose(catalog: Catalog, people: Collection[int] = people) -> Mapping[int, _Names]:
            return dict.fromkeys(people, concerned(catalog.segment_index))

        _judge(client_id, choose, now=owed.now)


def _hear_profiles(owed: Owed) -> None:
    """Judge by all segments: who is new, or has others' doings now, may be in any of them."""
    rows = Guest.objects.filter(db.Among("pk", owed.guest_ids))
    for client_id in sorted(set(rows.values_list("client", flat=True))):
        let_segments_stand(client_id)
    _retire(owed.guest_ids, now=owed.now)
    _hear_of_guests(owed, Index.everything)


def _people(guest_ids: Collection[int]) -> dict[int, set[int]]:
    """Return those who speak for these guests, by client; bots are nobody."""
    people: dict[int, set[int]] = {}
    rows = Guest.objects.filter(db.Among("pk", guest_ids)).exclude(type=Guest.Type.BOT)
    for client_id, guest_id, root_id in rows.values_list("client", "pk", "root"):
        people.setdefault(client_id, set()).add(root_id or guest_id)
    return dict(sorted(people.items()))


def _retire(guest_ids: Collection[int], *, now: datetime) -> None:
    """Who was merged into another is in no segment; from the lists the other one takes over."""
    merged = Guest.objects.filter(db.Among("pk", guest_ids), root__isnull=False)
    roots = dict(merged.values_list("pk", "root"))
    guests.lock({*roots, *(root for root in roots.values() if root)})
    held = SegmentMembership.objects.current().filter(guest__in=roots)
    listed = held.filter(segment__kind=Segment.Kind.LIST, segment__deleted_at__isnull=True)
    heirs = {
        (segment, roots[guest] or 0) for segment, guest in listed.values_list("segment", "guest")
    }
    held.update(left_at=now)
    SegmentDue.objects.filter(guest__in=roots).delete()
    enter(heirs, now=now)


# --- judging ---------------------------------------------------------------------------


def let_segments_stand(client_id: int) -> None:
    """
    Let no segment of the client change until the transaction ends.

    Called before guests and segments are locked, of clients in their order: whoever waits here
    for a change may hold nothing that those judging want, for whom that change waits.
    """
    db.hold(f"{FOLLOWER} {client_id}", shared=True)


def let_nobody_judge(client_id: int) -> None:
    """Wait for those who judge guests of the client, and keep others out in this transaction."""
    db.hold(f"{FOLLOWER} {client_id}")


@dataclass(slots=True)
class _Verdicts:
    """What has changed: (segment, guest) pairs, and when pairs have to be judged again."""

    entered: set[tuple[int, int]] = field(default_factory=set)
    left: set[tuple[int, int]] = field(default_factory=set)
    due: dict[tuple[int, int], datetime | None] = field(default_factory=dict)


def _judge(client_id: int, choose: _Choose, *, now: datetime) -> None:
    """Judge guests of one client, by the segments that `choose` names for each of them."""
    client = clients.by_id(client_id)
    if client is None:
        return
    let_segments_stand(client_id)
    catalog = snapshots.catalog(client, version=snapshots.current_version(client_id))
    wanted = {guest_id: names for guest_id, names in choose(catalog).items() if names}
    # Nobody else judges them meanwhile.
    guests.lock(wanted)
    at_stake = frozenset[str]().union(*wanted.values())
    segments = [each for each in catalog.segment_index.ordered if each.friendly_id in at_stake]
    if segments:
        verdicts = _verdicts(client, segments, wanted, now=now)
        _store(verdicts, segments, wanted, now=now)


def _verdicts(
    client: ClientConfig,
    segments: Sequence[SegmentSnapshot],
    wanted: Mapping[int, _Names],
    *,
    now: datetime,
) -> _Verdicts:
    needs = conditions.joined(segment.condition.needs for segment in segments)
    fields = frozenset[str]().union(*(segment.condition.fields for segment in segments))
    held = guest_facts.segments_of(wanted)
    facts = guest_facts.of_many(wanted, needs, fields, client=client, now=now, segments=held)
    verdicts = _Verdicts()
    for guest_id, of_guest in facts.items():
        names = wanted[guest_id]
        # The same list that conditions read: a segment sees what was judged before it.
        within: list[str] = of_guest.guest["segments"]  # type: ignore[index,assignment]
        for segment in segments:
            if segment.friendly_id not in names:
                continue
            if segment.condition.needs.site & of_guest.site_faults.keys():
                # Nobody enters or leaves because the site did not answer.
                continue
            pair = (segment.id, guest_id)
            holds, was = segment.condition.matches(of_guest), segment.friendly_id in within
            if holds and not was:
                within.append(segment.friendly_id)
                verdicts.entered.add(pair)
            elif was and not holds:
                within.remove(segment.friendly_id)
                verdicts.left.add(pair)
            until = segment.condition.valid_until(of_guest)
            verdicts.due[pair] = max(until, now + _SHORTEST_WAIT) if until else None
    return verdicts


def _store(
    verdicts: _Verdicts,
    segments: Sequence[SegmentSnapshot],
    wanted: Mapping[int, _Names],
    *,
    now: datetime,
) -> None:
    leave(verdicts.left, now=now)
    enter(verdicts.entered, now=now)
    timed = [segment.id for segment in segments if segment.condition.is_timed]
    if not timed:
        return
    rows = SegmentDue.objects.filter(db.Among("guest", wanted), segment__in=timed)
    known = {
        (segment, guest): (pk, due_at)
        for pk, segment, guest, due_at in rows.values_list("pk", "segment", "guest", "due_at")
    }
    over = [pk for pair, (pk, _) in known.items() if verdicts.due.get(pair, now) is None]
    if over:
        SegmentDue.objects.filter(pk__in=over).delete()
    db.insert_rows(
        SegmentDue,
        [
            {"segment_id": pair[0], "guest_id": pair[1], "due_at": due_at}
            for pair, due_at in sorted(verdicts.due.items())
            if due_at is not None and known.get(pair, (0, None))[1] != due_at
        ],
        on_conflict=db.overwrite(("segment_id", "guest_id"), ("due_at",)),
    )


def enter(pairs: Iterable[tuple[int, int]], *, now: datetime) -> int:
    """Have guests be in segments, (segment, guest) each, from now on. Returns how many were not."""
    rows = [
        {"segment_id": segment, "guest_id": guest, "entered_at": now, "left_at": None}
        for segment, guest in sorted(pairs)
    ]
    return len(db.insert_rows(SegmentMembership, rows, ignore_conflicts=True, returning=("id",)))


def leave(pairs: Collection[tuple[int, int]], *, now: datetime) -> int:
    """Have guests be out of segments, (segment, guest) each, from now on. Returns how many were."""
    if not pairs:
        return 0
    segments, guests = ({pair[at] for pair in pairs} for at in (0, 1))
    rows = SegmentMembership.objects.current().filter(
        db.Among("guest", guests), segment__in=segments
    )
    left = [
        pk
        for pk, segment, guest in rows.values_list("pk", "segment", "guest")
        if (segment, guest) in pairs
    ]
    return SegmentMembership.objects.filter(db.Among("pk", left)).update(left_at=now)


def hear_of_list(segment: Segment, guest_ids: Collection[int], *, now: datetime) -> None:
    """Judge these guests by the segments that depend on a list they were put on or taken off."""

    def choose(catalog: Catalog) -> Mapping[int, _Names]:
        return dict.fromkeys(guest_ids, catalog.segment_index.by_segments([segment.friendly_id]))

    _judge(segment.client_id, choose, now=now)


# --- as time passes --------------------------------------------------------------------


def tend(now: datetime) -> None:
    """
    Judge who is due, and build what is not built, for a while: a chore.

    What fails is logged and done the next time; all else is done now.
    """
    deadline = time.monotonic() + _LONGEST
    _refresh(now=now)
    _sweep_until(deadline, now=now)
    building = _Building(now=now)
    while building.is_left() and time.monotonic() < deadline:
        if building.go_on() is None:
            # Somebody else is building.
            break


def _refresh(*, now: datetime) -> None:
    """Have built anew what is about the site's own tables, now and then."""
    minutes = conf.settings().SEGMENT_REFRESH_MINUTES
    if minutes:
        aged = Segment.objects.kept().filter(
            reads_site=True, built_to__isnull=True, built_at__lt=now - timedelta(minutes=minutes)
        )
        if aged.exists():
            aged.update(built_to=0)


def _due(now: datetime) -> QuerySet[SegmentDue]:
    return SegmentDue.objects.filter(due_at__lte=now)


def _sweep_until(deadline: float, *, now: datetime) -> None:
    failed: set[int] = set()
    while time.monotonic() < deadline:
        rows = _due(now).exclude(segment__client__in=failed).order_by("due_at", "pk")
        client_id = rows.values_list("segment__client", flat=True).first()
        if client_id is None:
            return
        try:
            db.retried(partial(_sweep, client_id, now=now))
        except Exception:
            logger.exception("segments.not_judged", extra={"client": client_id})
            failed.add(client_id)


def _sweep(client_id: int, *, now: datetime) -> None:
    """Judge the pairs of a client that have been due longest."""
    rows = _due(now).filter(segment__client=client_id).order_by("due_at", "pk")
    due: dict[int, set[str]] = {}
    taken = []
    for pk, guest_id, name in rows.values_list("pk", "guest", "segment__friendly_id")[:_AT_ONCE]:
        taken.append(pk)
        due.setdefault(guest_id, set()).add(name)
    _judge(client_id, partial(_with_dependents, due), now=now)
    # What is due still was not judged: the segment was deleted, or the guest is nobody now.
    _due(now).filter(pk__in=taken).delete()


def _with_dependents(due: Mapping[int, set[str]], catalog: Catalog) -> Mapping[int, _Names]:
    index = catalog.segment_index
    return {guest_id: index.by_segments(names) for guest_id, names in due.items()}


# --- as segments change ----------------------------------------------------------------


def hear_of_categories(client_id: int, *, by_click: bool) -> None:
    """
    Have segments built anew that read the categories of what was bought: it is in others now.

    For clicks nothing begins anew that is under way: they would keep it from coming to an end.
    """
    client = clients.by_id(client_id)
    if client is None or not Segment.objects.kept().filter(client=client_id).exists():
        return
    catalog = snapshots.catalog(client, version=snapshots.current_version(client_id))
    reading = [
        segment.id
        for segment in catalog.segment_index.ordered
        if guest_facts.CATEGORIES in segment.condition.fields
    ]
    rows = Segment.objects.filter(pk__in=reading)
    if by_click:
        # The walk that hears of clicks does the chores next.
        rows.filter(built_to__isnull=True).update(built_to=0)
    elif rows.update(built_to=0):
        inbox.announce()


class _Building:
    """Segments being built, a batch of guests at a time."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now
        self.failed: set[int] = set()
        #: Those that failed together: which of them is to blame, each shows alone.
        self.apart: set[int] = set()
        self._together: list[Segment] = []

    def is_left(self) -> bool:
        return self._unbuilt().exists()

    def _unbuilt(self) -> QuerySet[Segment]:
        return Segment.objects.unbuilt().exclude(pk__in=self.failed)

    def go_on(self) -> int | None:
        """Build one batch as `batch` does; a segment that fails is logged, and left for later."""
        self._together = []
        try:
            return db.retried(self.batch)
        except Exception:
            if not self._together:
                raise
            names = [each.friendly_id for each in self._together]
            logger.exception("segments.not_built", extra={"segments": names})
            to_blame = self.failed if len(names) == 1 else self.apart
            to_blame.update(each.pk for each in self._together)
            return 0

    def batch(self) -> int | None:
        """
        Judge the next guests by what is not built. Returns how many.

        None: all is built, or somebody else is building.
        """
        first = self._unbuilt().order_by("client").first()
        client = clients.by_id(first.client_id) if first else None
        if client is None:
            return None
        let_segments_stand(client.id)
        rows = self._unbuilt().filter(client=client.id).order_by("built_to", "pk")
        if db.is_postgres():
            rows = rows.select_for_update(skip_locked=True, no_key=True)
        pending = list(rows)
        if not pending:
            return None
        catalog = snapshots.catalog(client, version=snapshots.current_version(client.id))
        self._together = self._alike(pending, catalog)
        first = self._together[0]
        ids = _candidates(first, catalog, client, now=self.now)
        built = Segment.objects.filter(pk__in=[each.pk for each in self._together])
        if not ids:
            built.update(built_to=None, built_at=self.now)
            return 0
        names = [each.friendly_id for each in self._together]

        def choose(catalog: Catalog) -> Mapping[int, _Names]:
            return dict.fromkeys(ids, catalog.segment_index.by_segments(names))

        _judge(client.id, choose, now=self.now)
        built.update(built_to=ids[-1])
        return len(ids)

    def _alike(self, pending: Sequence[Segment], catalog: Catalog) -> list[Segment]:
        """Return the first of these, and those that the same way through all guests is for."""
        first = pending[0]
        if first.pk in self.apart or not _is_about_everybody(first, catalog):
            return [first]
        return [
            each
            for each in pending
            if each.built_to == first.built_to
            and each.pk not in self.apart
            and _is_about_everybody(each, catalog)
        ]


def _is_about_everybody(segment: Segment, catalog: Catalog) -> bool:
    """Say whether all guests have to be looked at: for whom it does not hold yet, it may later."""
    snapshot = catalog.segments.get(segment.friendly_id)
    return snapshot is None or bool(snapshot.problem) or snapshot.condition.is_timed


def _candidates(
    segment: Segment, catalog: Catalog, client: ClientConfig, *, now: datetime
) -> list[int]:
    """Return whom to judge next: all for whom it may hold, and who is in it now."""
    after = segment.built_to or 0
    if _is_about_everybody(segment, catalog):
        people = Guest.objects.survivors().filter(client=client.id, pk__gt=after)
        rows = people.exclude(type=Guest.Type.BOT).order_by("pk")
        return list(rows.values_list("pk", flat=True)[:_AT_ONCE])
    condition = catalog.segments[segment.friendly_id].condition
    narrowed = querying.matching(condition, client, now=now)
    may = querying.possible_ids(narrowed, after=after, limit=_AT_ONCE)
    current = SegmentMembership.objects.current().filter(segment=segment.pk, guest__gt=after)
    members = list(current.order_by("guest").values_list("guest", flat=True)[:_AT_ONCE])
    return sorted({*may, *members})[:_AT_ONCE]


def build_all(*, now: datetime, progress: Callable[[int], None] | None = None) -> None:
    """Build all segments that are not built, however long it takes."""
    building = _Building(now=now)
    while (done := db.retried(building.batch)) is not None:
        if progress:
            progress(done)
