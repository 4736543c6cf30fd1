"""
What may happen to segments: saved, deleted, and the members of lists changed.

The admin, the REST API and the commands come here, so that a rule holds for all. A segment takes
effect as soon as it is saved; who is in it is judged right after, by `memberships`.
"""

from collections.abc import Collection
from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser

from personalize import (
    catalogs,
    conditions,
    friendly_ids,
    memberships,
    segment_index,
    stored_conditions,
)
from personalize.conditions import Behaviour, Conversion, Leaf
from personalize.models import Segment, SegmentDue
from personalize.segments import uses
from tracking import db, guests, inbox
from tracking.models import Guest

#: What is known only of somebody who is here, and when.
_OF_A_CALL = {
    "request": "of a call",
    "session": "of a visit",
    "time": "of the moment",
}


class SegmentError(ValueError):
    """A change that a segment does not take; the text says what to do, `code` names the rule."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


# --- saving ----------------------------------------------------------------------------


def save(segment: Segment, *, by: AbstractBaseUser | None = None) -> Segment:
    """
    Store a segment and let it take effect. Raises SegmentError.

    With another condition than before all guests are judged anew, in the background.
    """
    with db.write():
        segment.catalog_version = catalogs.next_version(segment.client_id)
        memberships.let_nobody_judge(segment.client_id)
        stored = check(segment)
        is_live = segment.kind == Segment.Kind.LIVE
        segment.reads_site = is_live and bool(conditions.compile(segment.condition).needs.site)
        if is_live and (stored is None or stored.condition != segment.condition):
            segment.built_to = 0
        elif stored is not None:
            # However far it has come meanwhile.
            segment.built_to, segment.built_at = stored.built_to, stored.built_at
        segment.modified_by = by  # type: ignore[assignment]
        segment.save()
        inbox.announce()
    return segment


def check(segment: Segment) -> Segment | None:
    """
    Return what is stored of a segment, None if it is new. Raises SegmentError where it cannot be.

    One without a friendly id gets one.
    """
    if not segment.name.strip():
        raise SegmentError("name_missing", "A segment needs a name.")
    stored = Segment.objects.filter(pk=segment.pk).first() if segment.pk else None
    _check_kind(segment, stored)
    _name(segment, stored)
    _check_condition(segment)
    return stored


def _check_kind(segment: Segment, stored: Segment | None) -> None:
    if segment.kind not in Segment.Kind.values:
        kinds = ", ".join(Segment.Kind.values)
        raise SegmentError("kind_unknown", f"There is no kind {segment.kind}: {kinds}.")
    if stored is None:
        return
    if stored.deleted_at is not None:
        raise SegmentError("segment_deleted", "The segment was deleted.")
    if stored.kind != segment.kind:
        raise SegmentError("kind_fixed", "A list stays one; make a segment with a condition.")


def _name(segment: Segment, stored: Segment | None) -> None:
    """Give it a friendly id, or check the one that was chosen. Raises SegmentError."""
    rows = Segment.objects.filter(client=segment.client_id)
    if not segment.friendly_id:
        wanted = friendly_ids.from_name(segment.name, fallback="segment")
        taken = rows.filter(friendly_id__startswith=wanted)
        known = set(taken.values_list("friendly_id", flat=True))
        segment.friendly_id = friendly_ids.first_free(wanted, known)
        return
    if stored is not None and stored.friendly_id != segment.friendly_id:
        raise SegmentError("friendly_id_fixed", "The friendly ID is fixed: conditions name it.")
    if not friendly_ids.is_valid(segment.friendly_id):
        raise SegmentError("friendly_id_invalid", friendly_ids.RULE)
    owner = rows.filter(friendly_id=segment.friendly_id).exclude(pk=segment.pk).first()
    if owner is not None:
        gone = "belongs to a deleted segment and is never used again"
        state = gone if owner.deleted_at else f"belongs to “{owner.name}”"
        raise SegmentError("friendly_id_taken", f"The friendly ID “{segment.friendly_id}” {state}.")


def _check_condition(segment: Segment) -> None:
    if segment.kind == Segment.Kind.LIST:
        if segment.condition:
            raise SegmentError("condition_invalid", "A list has no condition.")
        return
    wrong = problems_of(segment.client_id, segment.condition)
    if wrong:
        raise SegmentError("condition_invalid", wrong[0])
    circle = _circle(segment)
    if circle:
        way = " → ".join(f"“{name}”" for name in circle)
        raise SegmentError("segment_circular", f"The segment would depend on itself: {way}.")


def problems_of(client_id: int, tree: object) -> list[str]:
    """Return everything that is wrong with the condition of a segment, as sentences."""
    wrong = stored_conditions.problems_of(client_id, tree)
    if wrong:
        return wrong
    leaves = list(conditions.leaves_of(conditions.parse(tree)))
    if not leaves:
        return ["A segment needs a condition; everybody is in no need of one."]
    return [problem for leaf in leaves if (problem := _out_of_place(leaf))]


def can_judge(group: str) -> bool:
    """Say whether facts of this group are known of guests who are not here."""
    return group not in _OF_A_CALL


def _out_of_place(leaf: Leaf | Behaviour | Conversion) -> str:
    """Say why a condition cannot be one of a segment, who are judged when they are not here."""
    if isinstance(leaf, Conversion):
        return ""
    if isinstance(leaf, Behaviour):
        if not leaf.within.in_session:
            return ""
        return (
            f"{leaf.subject or leaf.event} “in this session” is of a visit: a segment also knows "
            "guests who are not here. Choose “ever” or a number of days."
        )
    of = _OF_A_CALL.get(leaf.field.needs)
    if of is None:
        return ""
    return (
        f"{leaf.field.label} is {of}: a segment also knows guests who are not here. Put it into "
        "the audience of the experience instead."
    )


def _circle(segment: Segment) -> list[str]:
    rows = Segment.objects.kept().filter(client=segment.client_id).exclude(pk=segment.pk)
    named = dict(rows.filter(kind=Segment.Kind.LIVE).values_list("friendly_id", "condition"))
    named[segment.friendly_id] = segment.condition
    names = {name: uses.segments_in(tree) for name, tree in named.items()}
    return segment_index.circle(names, segment.friendly_id)


# --- deleting --------------------------------------------------------------------------


def delete(segment: Segment, *, now: datetime) -> None:
    """Take a segment away for good. Raises SegmentError while anything names it."""
    with db.write():
        version = catalogs.next_version(segment.client_id)
        memberships.let_nobody_judge(segment.client_id)
        users = uses.users_of(segment)
        if users:
            raise SegmentError(
                "segment_in_use",
                f"The segment is used by {', '.join(users)}. Take it out of there first.",
            )
        Segment.objects.filter(pk=segment.pk, deleted_at__isnull=True).update(
            deleted_at=now, catalog_version=version, built_to=None
        )
        SegmentDue.objects.filter(segment=segment.pk).delete()
    segment.deleted_at = now


# --- lists -----------------------------------------------------------------------------


def add(segment: Segment, guest_ids: Collection[int], *, now: datetime) -> int:
    """Put guests on a list. Returns how many were not on it. Raises SegmentError."""
    check_list(segment)
    with db.write():
        memberships.let_segments_stand(segment.client_id)
        # Whoever is merged meanwhile is so before this, or hears of it after.
        guests.lock(guest_ids)
        own = Guest.objects.filter(client=segment.client_id, pk__in=guest_ids)
        people = {root or pk for pk, root in own.values_list("pk", "root")}
        guests.lock(people)
        entered = memberships.enter({(segment.pk, guest) for guest in people}, now=now)
        memberships.hear_of_list(segment, people, now=now)
    return entered


def remove(segment: Segment, guest_ids: Collection[int], *, now: datetime) -> int:
    """Take guests off a list. Returns how many were on it. Raises SegmentError."""
    check_list(segment)
    people = set(guest_ids)
    with db.write():
        memberships.let_segments_stand(segment.client_id)
        guests.lock(people)
        left = memberships.leave({(segment.pk, guest) for guest in people}, now=now)
        memberships.hear_of_list(segment, people, now=now)
    return left


def check_list(segment: Segment) -> None:
    """Raise SegmentError for what is no list, or was deleted."""
    if segment.kind != Segment.Kind.LIST:
        raise SegmentError(
            "not_a_list", "Who is in this segment follows from its condition; it is no list."
        )
    if segment.deleted_at is not None:
        raise SegmentError("segment_deleted", "The segment was deleted.")
