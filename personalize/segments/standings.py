"""
How many guests are in segments, as of when, and how far those are that are being built.

Read by the REST API, the admin and the commands: a page of segments in a fixed number of queries.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q

from personalize import memberships
from personalize.models import Segment, SegmentMembership
from tracking.models import FollowUp, Guest, InboxEntry


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How many guests are in a segment, as of when.

    `as_of`: everything that was accepted before is counted. `judged` of
    `guests`: how far building has come; None where it is not being built.
    """

    members: int
    as_of: datetime
    judged: int | None = None
    guests: int | None = None

    @property
    def percent(self) -> int | None:
        """How much of it is built; None where it is not being built."""
        if self.judged is None or self.guests is None:
            return None
        # A hundred is said of what is built, and this is not.
        return min(99, self.judged * 100 // self.guests) if self.guests else 0


def standing(segment: Segment, *, now: datetime) -> Standing:
    """Count a segment's guests now."""
    return standings([segment], now=now)[segment.pk]


def standings(segments: Collection[Segment], *, now: datetime) -> dict[int, Standing]:
    """Count the guests of segments now, by their row ids."""
    current = SegmentMembership.objects.current().filter(segment__in=[each.pk for each in segments])
    rows = current.filter(guest__root__isnull=True).values_list("segment").order_by()
    members = dict(rows.annotate(Count("pk")))
    clients = {each.client_id for each in segments}
    as_of = _heard_until(clients, now=now)
    unbuilt = {each.pk: each for each in segments if each.built_to is not None}
    judged, guests = (_judged(unbuilt), _guests(unbuilt)) if unbuilt else ({}, {})
    return {
        each.pk: Standing(
            members.get(each.pk, 0),
            as_of[each.client_id],
            judged[each.pk] if each.pk in unbuilt else None,
            guests.get(each.client_id, 0) if each.pk in unbuilt else None,
        )
        for each in segments
    }


def _judged(unbuilt: dict[int, Segment]) -> dict[int, int]:
    counts = {
        f"of_{pk}": Count("pk", filter=Q(client=each.client_id, pk__lte=each.built_to))
        for pk, each in unbuilt.items()
    }
    clients = {each.client_id for each in unbuilt.values()}
    found = Guest.objects.survivors().filter(client__in=clients).aggregate(**counts)
    return {pk: found[f"of_{pk}"] for pk in unbuilt}


def _guests(unbuilt: dict[int, Segment]) -> dict[int, int]:
    clients = {each.client_id for each in unbuilt.values()}
    rows = Guest.objects.survivors().filter(client__in=clients).values_list("client").order_by()
    return dict(rows.annotate(Count("pk")))


def _heard_until(client_ids: Collection[int], *, now: datetime) -> dict[int, datetime]:
    owed = FollowUp.objects.filter(follower=memberships.FOLLOWER)
    since = owed.aggregate(first=Min("not_before"))["first"]
    waiting = InboxEntry.objects.filter(client__in=client_ids).values_list("client").order_by()
    received = dict(waiting.annotate(Min("received_at")))
    return {
        pk: min((at for at in (since, received.get(pk)) if at is not None), default=now)
        for pk in client_ids
    }
