"""
How many guests a condition would have in a segment, before it is saved: what the admin's form asks.

Where the database alone can tell, it counts all of them; else few guests are all judged, and of
many a sample is. Whoever is told is told which.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from personalize import conditions, guest_facts, querying
from tracking.models import Guest
from tracking.types import ClientConfig

#: More guests than this are not all judged.
MOST: Final = 2000
#: More than this the database does not count while somebody waits for the page.
_MOST_COUNTED: Final = 100_000
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many of the `judged` guests the condition holds for; there are `guests` in all."""

    members: int
    judged: int
    guests: int

    @property
    def is_sample(self) -> bool:
        return self.judged < self.guests

    @property
    def projected(self) -> int:
        """How many it would be in all, as far as a sample can tell."""
        return round(self.guests * self.members / self.judged) if self.judged else 0


def estimate(client: ClientConfig, tree: object, *, now: datetime, most: int = MOST) -> Estimate:
    """Judge guests by a tree that was found good. Bots and the merged away are nobody."""
    condition = conditions.compile(tree)
    people = Guest.objects.survivors().filter(client=client.id).exclude(type=Guest.Type.BOT)
    narrowed = querying.matching(condition, client, now=now)
    if narrowed.is_exact and (guests := people.count()) <= _MOST_COUNTED:
        return Estimate(querying.count(narrowed), guests, guests)
    # Refs are random: the first of them are a fair sample, and the same one each time.
    ids = list(people.order_by("ref").values_list("pk", flat=True)[: most + 1])
    is_all = len(ids) <= most
    members = judged = 0
    for chunk in _chunks(ids[:most]):
        facts = guest_facts.of_many(
            chunk, condition.needs, condition.fields, client=client, now=now
        )
        members += sum(condition.matches(of_guest) for of_guest in facts.values())
        judged += len(chunk)
    return Estimate(members, judged, judged if is_all else people.count())


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
