"""What a flow's page says of its traffic beside the inputs: buckets of variants, free parts."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from personalize import ranges, traffic
from personalize.models import Flow


def variant_buckets(flow: Flow) -> str:
    """Return which buckets each variant gets by its share, as saved: `Plain 1–48, Loud 49–60`."""
    # What is shown beside an error has the values that were refused.
    flow = Flow.objects.get(pk=flow.pk)
    variants = list(flow.variants.order_by("position", "pk"))
    known = traffic.ranges_of(flow, variants)
    told = []
    for variant in variants:
        own = known.get(str(variant.ref))
        told.append(f"{variant.name} {own.low}–{own.high}" if own else f"{variant.name} –")
    return ", ".join(told)


def group_room(flow: Flow, *, now: datetime) -> str:
    """Return what of the group's guests no other running flow has."""
    if flow.exclusion_group is None:
        return ""
    others = [
        each.part
        for each in traffic.parts_of(flow.exclusion_group, now=now)
        if each.is_running and each.flow.pk != flow.pk
    ]
    return _("%(parts)s for this flow") % {"parts": ranges.words(ranges.free(others))}
