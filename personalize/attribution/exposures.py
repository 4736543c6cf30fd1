"""
Which events say that somebody saw a flow: its runs, who was held out, and what others' tools tell.

`settling` calls `keep` with visits of many people at once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from personalize.attribution.touched import SHOWING_TYPES, Touched
from personalize.devices import device
from personalize.goals.folding import HELD_OUT
from personalize.models import Exposure, Flow, FlowRevision
from tracking import db
from tracking.models import Event, Guest, Session
from tracking.types import HOLDOUT_TYPE
from tracking.wire.common import BOT_CHANNEL

_FLOW_NAMES: Final = ("experiment_id", "experiment_name", "scenario")
_VARIANT_NAMES: Final = (
    "variation_id", "variant_id", "variation_name", "variant_name",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """
    That a flow was shown to somebody, as an event tells: which variant, in which phase, when.

    is_mixed: so was another variant, of which no event tells any more.
    """

    flow_id: int
    variant: UUID
    phase: int
    at: datetime
    guest_id: int
    visit: int
    channel: str
    is_mixed: bool = False


def visit_of(session_id: int | None, guest_id: int) -> int:
    """Name the visit that an event belongs to; what has no session is one visit of the guest."""
    return session_id if session_id is not None else -guest_id


def within(visits: Iterable[int]) -> Q:
    """Select the events of these visits."""
    sessions = {visit for visit in visits if visit > 0}
    alone = {-visit for visit in visits if visit < 0}
    return db.Among("session", sessions) | Q(db.Among("guest", alone), session__isnull=True)


def owners_of(visits: Collection[int]) -> set[int]:
    """Return whose these visits are as far as is known: they may turn out to be others'."""
    return set(Exposure.objects.filter(db.Among("visit", visits)).values_list("guest", flat=True))


def keep(touched: Touched, *, since: datetime) -> None:
    """
    Write what these visits saw, as their events say now: a visit is whose first saw the flow.

    Events before `since` may be gone: what was seen then is known by what is kept alone.
    """
    told = Event.objects.filter(within(touched.visits), type__in=SHOWING_TYPES)
    by_visit: dict[tuple[int, int], list[Seen]] = {}
    told = told.exclude(guest__type=Guest.Type.BOT).exclude(channel=BOT_CHANNEL)
    for seen in read(told):
        by_visit.setdefault((seen.visit, seen.flow_id), []).append(seen)
    devices = _devices([visit for visit in touched.visits if visit > 0])
    known = {
        (row.visit, row.flow_id): row
        for row in Exposure.objects.filter(db.Among("visit", touched.visits))
    }
    for key, row in known.items():
        if row.exposed_at < since:
            by_visit.setdefault(key, []).append(_kept(row))
    Exposure.objects.filter(
        pk__in=[row.pk for key, row in known.items() if key not in by_visit]
    ).delete()
    rows = []
    for (visit, flow_id), found in sorted(by_visit.items()):
        first = min(found, key=lambda seen: (seen.at, seen.variant))
        rows.append(
            {
                "visit": visit,
                "flow_id": flow_id,
                "guest_id": first.guest_id,
                "variant_ref": first.variant,
                "phase": first.phase,
                "exposed_at": first.at,
                "is_mixed": len({seen.variant for seen in found}) > 1
                or any(seen.is_mixed for seen in found),
                "channel": first.channel,
                "device": devices.get(visit, ""),
                "amounts": {},
            }
        )
    db.insert_rows(Exposure, rows, on_conflict=_UPDATED)


_UPDATED: Final = db.overwrite(
    ("visit", "flow_id"),
    ("guest_id", "variant_ref", "phase", "exposed_at", "is_mixed", "channel", "device"),
)


def _kept(row: Exposure) -> Seen:
    return Seen(
        row.flow_id,
        row.variant_ref,
        row.phase,
        row.exposed_at,
        row.guest_id,
        row.visit,
        row.channel,
        row.is_mixed,
    )


def _devices(session_ids: Sequence[int]) -> dict[int, str]:
    rows = Session.objects.filter(db.Among("pk", session_ids)).values_list("pk", "user_agent")
    return {pk: device(agent) if agent else "" for pk, agent in rows}


def read(events: Iterable[Event]) -> list[Seen]:
    """Return what these events show, in two queries at most. Those that show nothing are passed."""
    events = [event for event in events if event.guest_id is not None]
    flows = _Flows(events)
    seen = []
    for event in events:
        found = _told(event) if event.flow_ref is not None else flows.named_by(event)
        flow_id = flows.ids.get(event.flow_ref) if event.flow_ref else flows.id_of(event)
        if found is None or flow_id is None or event.guest_id is None:
            continue
        variant, phase = found
        seen.append(
            Seen(
                flow_id,
                variant,
                phase,
                event.occurred_at,
                event.guest_id,
                visit_of(event.session_id, event.guest_id),
                event.channel,
            )
        )
    return seen


def _told(event: Event) -> tuple[UUID, int] | None:
    """Read a run: one whose content failed showed nothing."""
    run = event.data.get("flowExecution", {})
    phase = event.data.get("decision", {}).get("phase", 1)
    if event.type == HOLDOUT_TYPE:
        return HELD_OUT, phase
    return None if run.get("status") != "SUCCESS" else (UUID(run["flowVariantRef"]), phase)


class _Flows:
    """The flows that a batch of events names, by ref or as their senders call them."""

    def __init__(self, events: Sequence[Event]) -> None:
        refs = {event.flow_ref for event in events if event.flow_ref is not None}
        names = {
            (event.client_id, name)
            for event in events
            if event.flow_ref is None
            for name in _texts(event.data, _FLOW_NAMES)
        }
        rows = _rows(refs, names)
        self.ids: dict[UUID, int] = {flow.ref: flow.pk for flow in rows}
        self._named = {
            (flow.client_id, name): flow
            for flow in rows
            for name in (flow.friendly_id, str(flow.ref))
        }
        self._revisions = _revisions([flow.pk for flow in rows]) if names else {}

    def id_of(self, event: Event) -> int | None:
        flow = self._flow(event)
        return flow.pk if flow else None

    def _flow(self, event: Event) -> Flow | None:
        found = (self._named.get((event.client_id, n)) for n in _texts(event.data, _FLOW_NAMES))
        return next((flow for flow in found if flow is not None), None)

    def named_by(self, event: Event) -> tuple[UUID, int] | None:
        """Find the variant that an event names, in the flow as it was published then."""
        flow = self._flow(event)
        revision = self._revision(flow.pk, event.occurred_at) if flow else None
        if revision is None:
            return None
        variants: list[dict[str, Any]] = revision["variants"]
        wanted = set(_texts(event.data, _VARIANT_NAMES))
        chosen = [each for each in variants if {each["ref"], each["name"]} & wanted]
        if not chosen and not wanted and len(variants) == 1:
            chosen = variants
        return (UUID(chosen[0]["ref"]), revision.get("phase", 1)) if chosen else None

    def _revision(self, flow_id: int, at: datetime) -> Mapping[str, Any] | None:
        revisions = self._revisions.get(flow_id, [])
        before = [definition for published_at, definition in revisions if published_at <= at]
        return before[-1] if before else None


def _rows(refs: set[UUID], names: set[tuple[int, str]]) -> list[Flow]:
    called = {name for _, name in names}
    by_ref = refs | {ref for name in called if (ref := _uuid(name)) is not None}
    if not by_ref and not called:
        return []
    wanted = Q(ref__in=by_ref)
    if called:
        clients = {client for client, _ in names}
        wanted |= Q(client__in=clients, friendly_id__in=called)
    return list(Flow.objects.filter(wanted).only("ref", "friendly_id", "client"))


def _revisions(flow_ids: Sequence[int]) -> dict[int, list[tuple[datetime, Mapping[str, Any]]]]:
    found: dict[int, list[tuple[datetime, Mapping[str, Any]]]] = {}
    rows = FlowRevision.objects.filter(flow__in=flow_ids).order_by("flow", "number")
    for flow_id, published_at, definition in rows.values_list("flow", "published_at", "definition"):
        found.setdefault(flow_id, []).append((published_at, definition))
    return found


def _texts(data: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [str(data[name]) for name in names if isinstance(data.get(name), str | int)]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
