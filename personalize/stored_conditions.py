"""
What is wrong with a condition where it is stored: the language's problems, and names that are none.

Called wherever a tree is saved: flows, offers, decision models, segments.
"""

from collections.abc import Iterable

from personalize import conditions
from personalize.models import Segment


def problems_of(client_id: int, tree: object) -> list[str]:
    """Return everything that is wrong with a client's tree, as sentences."""
    try:
        condition = conditions.parse(tree)
    except conditions.ConditionError as error:
        return [problem.message for problem in error.problems]
    return unknown_segments(client_id, conditions.segments_in(condition))


def unknown_segments(client_id: int, names: Iterable[str]) -> list[str]:
    """Return a sentence for each of these friendly ids that no segment of the client has."""
    wanted = set(names)
    if not wanted:
        return []
    rows = Segment.objects.kept().filter(client=client_id, friendly_id__in=wanted)
    missing = wanted - set(rows.values_list("friendly_id", flat=True))
    return [
        f"There is no segment “{name}”: make it first, or choose one that there is."
        for name in sorted(missing)
    ]
