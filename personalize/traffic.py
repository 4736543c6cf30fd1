"""
Which guests a flow takes beside others: exclusion groups, universal buckets, site holdouts.

Saved and deleted here by the admin and the REST API; `flows` asks for room before a flow runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from personalize import bucketing, catalogs, ranges
from personalize.bucketing import BUCKETS, BucketRange, Split
from personalize.models import ExclusionGroup, Flow, Holdout, Variant
from personalize.ranges import Part
from tracking import db

RUNNING = (Flow.Status.LIVE, Flow.Status.SCHEDULED)


class TrafficError(ValueError):
    """A change that a group or a holdout does not take; `code` names the rule."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a flow's traffic: at which field of the model, by which rule."""

    field: str
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A part of a group that a flow has, or would have: `is_running` says that it has it now."""

    flow: Flow
    part: Part
    is_running: bool


# --- exclusion groups ------------------------------------------------------------------


def save_group(group: ExclusionGroup) -> ExclusionGroup:
    """Store a group. Raises TrafficError."""
    with db.write():
        # What runs has the name it was published with: words alone, so no catalog moves.
        catalogs.lock(group.client_id)
        check_group(group)
        group.save()
    return group


def check_group(group: ExclusionGroup) -> None:
    """Raises TrafficError where a group cannot be stored so."""
    _check_name(group, "an exclusion group")


def delete_group(group: ExclusionGroup) -> None:
    """Delete a group that no flow names. Raises TrafficError."""
    with db.write():
        catalogs.lock(group.client_id)
        users = list(users_of(group).values_list("name", flat=True)[:3])
        if users:
            names = ", ".join(f"“{name}”" for name in users)
            raise TrafficError(
                "group_in_use",
                f"The exclusion group is used by {names}. Take it out of there and publish first.",
            )
        group.delete()


def group_named(client_id: int, named: str) -> ExclusionGroup | None:
    """Find a client's group by its ref or its name."""
    rows = ExclusionGroup.objects.filter(client=client_id)
    try:
        return rows.filter(ref=UUID(named)).first()
    except ValueError:
        return rows.filter(name=named).first()


def users_of(group: ExclusionGroup) -> QuerySet[Flow]:
    """Return the flows whose draft names the group, or what was published of them."""
    named = Q(exclusion_group=group.pk) | Q(
        published__definition__exclusionGroup__ref=str(group.ref)
    )
    rows = Flow.objects.kept().filter(named, client=group.client_id)
    return rows.select_related("published").order_by("name", "pk")


def parts_of(group: ExclusionGroup, *, now: datetime) -> list[Taken]:
    """Return who has which part of a group: what runs first, then what drafts ask for."""
    taken: list[Taken] = []
    planned: list[Taken] = []
    for flow in users_of(group).filter(is_archived=False).exclude(status=Flow.Status.COMPLETED):
        published = _group_of(flow.published.definition) if flow.published else None
        if published and published["ref"] == str(group.ref) and _is_running(flow, now):
            taken.append(Taken(flow, _part(flow, published), is_running=True))
        elif flow.exclusion_group_id == group.pk:
            part = Part(flow.group_low, flow.group_high, flow.name)
            planned.append(Taken(flow, part, is_running=False))
    return sorted(taken, key=_low) + sorted(planned, key=_low)


def room_problem(flow: Flow, definition: Mapping[str, Any], *, now: datetime) -> str:
    """
    Say which running flow has a part of the group already that this definition asks for, and
    what of the group is free; empty where there is room. Asked under the client's lock.
    """
    group = _group_of(definition)
    if group is None:
        return ""
    others = _others(flow, now).filter(published__definition__exclusionGroup__ref=group["ref"])
    taken = [_part(other, _published_group(other)) for other in others]
    wanted = _part(flow, group)
    clash = ranges.overlapping(wanted, taken)
    if not clash:
        return ""
    return (
        f"“{clash[0].owner}” has {ranges.words(clash[:1])} of the exclusion group "
        f"“{group['name']}” already; free is {ranges.words(ranges.free(taken))}."
    )


# --- universal buckets -----------------------------------------------------------------


def overlap_warnings(flow: Flow, definition: Mapping[str, Any], *, now: datetime) -> Iterator[str]:
    """Say which running flows share universal buckets with this one: a guest may see both."""
    buckets = definition.get("buckets")
    if not buckets:
        return
    for other in _others(flow, now).filter(published__definition__has_key="buckets"):
        theirs = other.published.definition["buckets"] if other.published else buckets
        low, high = max(buckets[0], theirs[0]), min(buckets[1], theirs[1])
        if low <= high:
            yield (
                f"“{other.name}” takes buckets {theirs[0]} to {theirs[1]}: the guests of buckets "
                f"{low} to {high} may see both."
            )


# --- what a flow may ask for -----------------------------------------------------------


def problems_of(flow: Flow) -> Iterator[Problem]:
    """Yield what is wrong with a flow's traffic, whatever its variants are."""
    for field, what in (("allocation", "The share of guests let in"), ("holdout", "Held out")):
        if not 0 <= getattr(flow, field) <= 100:
            yield Problem(field, f"{field}_invalid", f"{what} is 0 to 100 percent.")
    if flow.traffic_mode not in Flow.TrafficMode.values:
        yield Problem("traffic_mode", "mode_unknown", f"There is no mode “{flow.traffic_mode}”.")
    if flow.traffic_mode == Flow.TrafficMode.OPTIMIZED:
        yield from _optimized_problems(flow)
    ends = ("bucket_low", "bucket_high")
    wrong = [end for end in ends if not 1 <= getattr(flow, end) <= BUCKETS]
    for end in wrong:
        yield Problem(end, "buckets_invalid", f"Buckets are 1 to {BUCKETS}.")
    if not wrong and flow.bucket_low > flow.bucket_high:
        yield Problem("bucket_high", "buckets_invalid", "The last bucket is below the first one.")
    yield from _group_problems(flow)


def _optimized_problems(flow: Flow) -> Iterator[Problem]:
    if flow.subtype == Flow.Subtype.EXPERIENCE:
        yield Problem(
            "traffic_mode",
            "experience_optimized",
            "An experience has one variant, so there is nothing to optimize: use an experiment.",
        )
    if flow.allocation != 100:
        yield Problem(
            "allocation",
            "allocation_optimized",
            "An optimized experiment lets in everybody who qualifies: its allocation is 100.",
        )


def _group_problems(flow: Flow) -> Iterator[Problem]:
    group = flow.exclusion_group
    if group is None:
        return
    if group.client_id != flow.client_id:
        yield Problem(
            "exclusion_group", "group_unknown", "The exclusion group belongs to another client."
        )
    if flow.traffic_mode == Flow.TrafficMode.UNIVERSAL:
        yield Problem(
            "exclusion_group",
            "group_and_buckets",
            "Universal buckets and an exclusion group both keep flows apart: choose one of them.",
        )
    wrong = [end for end in ("group_low", "group_high") if not 0 <= getattr(flow, end) <= 100]
    for end in wrong:
        yield Problem(end, "group_range_invalid", "A part of a group is 0 to 100 percent.")
    if not wrong and flow.group_low >= flow.group_high:
        yield Problem(
            "group_high", "group_range_invalid", "The part of the group ends before it begins."
        )


def ranges_of(flow: Flow, variants: Sequence[Variant]) -> Mapping[str, BucketRange]:
    """Return the buckets of each variant, by its ref; empty where the flow takes none."""
    if flow.traffic_mode != Flow.TrafficMode.UNIVERSAL:
        return {}
    return bucketing.ranges_of(
        [Split(variant_ref=str(each.ref), weight=each.weight) for each in variants],
        BucketRange(low=flow.bucket_low, high=flow.bucket_high),
    )


def bucket_problem(flow: Flow, variants: Sequence[Variant]) -> str:
    """Say which variant would have no bucket of its own; empty where each with a share has one."""
    if flow.traffic_mode != Flow.TrafficMode.UNIVERSAL:
        return ""
    known = ranges_of(flow, variants)
    for variant in variants:
        if variant.weight > 0 and str(variant.ref) not in known:
            return (
                f"Buckets {flow.bucket_low} to {flow.bucket_high} are too few: the variant "
                f"“{variant.name}” would get none. Take more buckets, or give it more weight."
            )
    return ""


def in_definition(flow: Flow) -> dict[str, Any]:
    """Return a flow's traffic as its definition has it, beside the allocation."""
    found: dict[str, Any] = {}
    if flow.traffic_mode == Flow.TrafficMode.UNIVERSAL:
        found["buckets"] = [flow.bucket_low, flow.bucket_high]
    if flow.traffic_mode == Flow.TrafficMode.OPTIMIZED:
        found["optimized"] = True
    if flow.exclusion_group is not None:
        found["exclusionGroup"] = {
            "ref": str(flow.exclusion_group.ref),
            "name": flow.exclusion_group.name,
            "low": flow.group_low,
            "high": flow.group_high,
        }
    if flow.holdout:
        found["holdout"] = flow.holdout
    return found


# --- site holdouts ---------------------------------------------------------------------


def save_holdout(holdout: Holdout) -> Holdout:
    """Store a holdout; it takes effect at once where it is active. Raises TrafficError."""
    with db.write():
        catalogs.next_version(holdout.client_id)
        check_holdout(holdout)
        holdout.save()
    return holdout


def check_holdout(holdout: Holdout) -> None:
    """Raises TrafficError where a holdout cannot be stored so."""
    _check_name(holdout, "a site holdout")
    if not 0 <= holdout.percent <= 100:
        raise TrafficError("percent_invalid", "The share of guests is 0 to 100 percent.")
    active = Holdout.objects.filter(client=holdout.client_id, is_active=True)
    other = active.exclude(pk=holdout.pk).first()
    if holdout.is_active and other is not None:
        raise TrafficError(
            "holdout_active",
            f"The site holdout “{other.name}” is active, and one at most is: end it first.",
        )


def delete_holdout(holdout: Holdout) -> None:
    """Delete a holdout; its guests are shown what others see, at once."""
    with db.write():
        catalogs.next_version(holdout.client_id)
        holdout.delete()


# --- who runs -----------------------------------------------------------------------------


def running() -> QuerySet[Flow]:
    """Return the flows that answer calls, or will at their time."""
    return Flow.objects.kept().filter(status__in=RUNNING, is_archived=False)


def _others(flow: Flow, now: datetime) -> QuerySet[Flow]:
    """Return the other flows of the client that answer calls, or will at their time."""
    rows = running().filter(client=flow.client_id).exclude(ends_at__lte=now).exclude(pk=flow.pk)
    return rows.select_related("published").order_by("name", "pk")


def _is_running(flow: Flow, now: datetime) -> bool:
    return flow.status in RUNNING and not (flow.ends_at and flow.ends_at <= now)


def _group_of(definition: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return definition.get("exclusionGroup")


def _published_group(flow: Flow) -> Mapping[str, Any]:
    found = _group_of(flow.published.definition) if flow.published else None
    return found or {"low": 0, "high": 0}


def _part(flow: Flow, group: Mapping[str, Any]) -> Part:
    return Part(group["low"], group["high"], flow.name)


def _low(taken: Taken) -> tuple[float, str]:
    return taken.part.low, taken.flow.name


def _check_name(row: ExclusionGroup | Holdout, what: str) -> None:
    if not row.name.strip():
        raise TrafficError("name_missing", f"A name is missing: {what} needs one.")
    same = type(row)._default_manager.filter(client=row.client_id, name=row.name)
    if same.exclude(pk=row.pk).exists():
        raise TrafficError("name_taken", f"There is {what} “{row.name}” already.")
