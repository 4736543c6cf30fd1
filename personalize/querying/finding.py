"""
The guests that match a condition, found by SQL as far as it can tell and finished in Python.

Agrees with the evaluator that the flow walk uses, but for guests with more than 10,000 events:
there Python reads the newest, and SQL counts all. Who is in a segment is read as it stands.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet, Value

from personalize import guest_facts
from personalize.conditions import Compiled
from personalize.querying.compiling import compiled
from personalize.querying.sql import TRUE, About, Sql, certain, undecided
from tracking import db
from tracking.models import Guest
from tracking.types import ClientConfig

#: So many guests are read at a time, and so many of them judged in Python at once.
_AT_ONCE: Final = 2000
_JUDGED_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Narrowed:
    """
    The guests who may match a condition.

    `guests` has everybody who does, and those of whom only Python can tell; with `is_exact` it
    has nobody else. Merged guests and bots are never among them.
    """

    guests: QuerySet[Guest]
    is_exact: bool
    condition: Compiled
    client: ClientConfig
    now: datetime
    _test: Sql


def matching(condition: Compiled, client: ClientConfig, *, now: datetime) -> Narrowed:
    """
    Return the client's guests who may match, without asking the database yet.

    Raises NotOfAGuest where the condition is about a call, a visit or the time of day.
    """
    test = compiled(condition.condition, client, now=now)
    guests = Guest.objects.using(db.alias()).survivors().filter(client=client.id)
    guests = guests.exclude(type__in=[Guest.Type.BOT, Guest.Type.RETIRED])
    if test.superset != TRUE:
        guests = guests.filter(About(test.superset))
    return Narrowed(guests, test.whole.is_exact, condition, client, now, test.whole)


def guest_ids(narrowed: Narrowed) -> Iterator[int]:
    """Yield the ids of all who match, in their order, reading so many at a time."""
    is_sure = Value(True) if narrowed.is_exact else About(certain(narrowed._test))
    rows = narrowed.guests.annotate(is_sure=is_sure).values_list("pk", "is_sure")
    for batch in _batches(rows):
        judged = _judged(narrowed, [pk for pk, is_sure in batch if not is_sure])
        yield from (pk for pk, is_sure in batch if is_sure or pk in judged)


def possible_ids(narrowed: Narrowed, *, after: int, limit: int) -> list[int]:
    """Return the next ids of those who may match, in their order: whoever judges them goes on."""
    rows = narrowed.guests.filter(pk__gt=after).order_by("pk")
    with _as_it_is():
        return list(rows.values_list("pk", flat=True)[:limit])


def count(narrowed: Narrowed) -> int:
    """Return how many match: by SQL alone where it can tell, else those by name that it cannot."""
    sure = narrowed.guests
    if not narrowed.is_exact:
        sure = sure.filter(About(certain(narrowed._test)))
    with _as_it_is():
        found = sure.count()
    if narrowed.is_exact:
        return found
    rows = narrowed.guests.filter(About(undecided(narrowed._test))).values_list("pk")
    return found + sum(len(_judged(narrowed, [pk for (pk,) in batch])) for batch in _batches(rows))


def _batches(rows: QuerySet[Guest, Any]) -> Iterator[list[Any]]:
    """Yield all rows, which begin with their id, so many at a time."""
    last, is_over = 0, False
    while not is_over:
        with _as_it_is():
            batch = list(rows.filter(pk__gt=last).order_by("pk")[:_AT_ONCE])
        is_over = len(batch) < _AT_ONCE
        if batch:
            last = batch[-1][0]
            yield batch


@contextmanager
def _as_it_is() -> Iterator[None]:
    """Have PostgreSQL run a query without compiling it: of so many tests that takes seconds."""
    with db.atomic():
        if db.is_postgres():
            with db.cursor() as cursor:
                cursor.execute("SET LOCAL jit = off")
        yield


def _judged(narrowed: Narrowed, ids: Collection[int]) -> set[int]:
    """Return those of the guests who match, as the evaluator says."""
    asked, found = sorted(ids), set[int]()
    for start in range(0, len(asked), _JUDGED_AT_ONCE):
        facts = guest_facts.of_many(
            asked[start : start + _JUDGED_AT_ONCE],
            narrowed.condition.needs,
            narrowed.condition.fields,
            client=narrowed.client,
            now=narrowed.now,
        )
        found |= {pk for pk, known in facts.items() if narrowed.condition.matches(known)}
    return found
