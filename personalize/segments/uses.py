"""
What names a segment, and so may ask for it: other segments, flows, offers, decision models.

Called before a segment is deleted, and by the admin's list, for all segments of it at once.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from personalize import conditions, decisions
from personalize.models import DecisionModel, Flow, Offer, Segment

#: A segment by its client and its friendly id.
Key = tuple[int, str]
_Use = tuple[int, str, frozenset[str]]


def users_of(segment: Segment) -> list[str]:
    """Return what names a segment and may still ask for it, in words: the flow “Popup”, ..."""
    key = (segment.client_id, segment.friendly_id)
    return users_in([segment.client_id]).get(key, [])


def users_in(client_ids: Collection[int]) -> dict[Key, list[str]]:
    """Return the same of all segments of these clients that are named, in four queries."""
    found: dict[Key, list[str]] = {}
    for client_id, user, names in _uses(client_ids):
        for name in names:
            found.setdefault((client_id, name), []).append(user)
    return found


def segments_in(tree: object) -> frozenset[str]:
    """Return the friendly ids of the segments that a stored tree names."""
    try:
        return conditions.segments_in(conditions.parse(tree))
    except conditions.ConditionError:
        # It cannot be read any more, so it holds for nobody.
        return frozenset()


def _uses(client_ids: Collection[int]) -> Iterator[_Use]:
    live = Segment.objects.kept().filter(client__in=client_ids, kind=Segment.Kind.LIVE)
    for segment in live.order_by("name", "pk"):
        names = segments_in(segment.condition) - {segment.friendly_id}
        yield segment.client_id, f"the segment “{segment.name}”", names
    flows = Flow.objects.kept().filter(client__in=client_ids)
    running = flows.exclude(status=Flow.Status.COMPLETED).select_related("published")
    for flow in running.order_by("name", "pk"):
        yield flow.client_id, f"the flow “{flow.name}”", _named_in(_trees_of(flow))
    offers = Offer.objects.kept().filter(client__in=client_ids)
    for offer in offers.order_by("name", "pk"):
        yield offer.client_id, f"the offer “{offer.name}”", segments_in(offer.audience)
    models = DecisionModel.objects.kept().filter(client__in=client_ids)
    for model in models.select_related("published").order_by("name", "pk"):
        named = [decisions.segments_in(document) for document in _documents_of(model)]
        names = frozenset[str]().union(*named)
        yield model.client_id, f"the decision model “{model.name}”", names


def _named_in(trees: list[Any]) -> frozenset[str]:
    return frozenset[str]().union(*(segments_in(tree) for tree in trees))


def _trees_of(flow: Flow) -> list[Any]:
    trees = [flow.page_targeting, flow.audience]
    if flow.published is not None:
        published: Mapping[str, Any] = flow.published.definition
        trees += [published.get("pageTargeting"), published.get("audience")]
    return trees


def _documents_of(model: DecisionModel) -> list[Any]:
    return [model.draft, *([model.published.document] if model.published else [])]
