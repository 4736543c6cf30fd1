"""
Sums of many guests, and of many runs, kept in one row a day: added to, and never made twice.

Called by `standings` and `projections` within the transaction that writes what is summed up.
Numbers are whole and as large as they come, so that adding in any order gives the same, and what
is made again from the events equals what was added one by one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from django.db import models

from personalize.goals.folding import MIXED, Standing, divided_by
from personalize.goals.measuring import measures_of
from personalize.goals.types import MICROS, Goal
from personalize.models import DailyNumbers, DailyRuns
from tracking import db

#: The measure of the guests themselves: how many, and their visits.
GUESTS: Final = UUID(int=0)
#: What the sums of a measure are, in their order: guests that have any, then first and second
#: moments of y, d and x.
SUMS: Final = ("n", "y", "yy", "d", "dd", "yd", "x", "xx", "xy", "xd")
#: What the sums of runs are: then how many took at most so many milliseconds, and more.
RUN_SUMS: Final = ("runs", "errors", "attributable", "duration_ms")
LATENCIES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

Key = tuple[Any, ...]
Vector = Sequence[int]


def of_standing(flow_id: int, standing: Standing, goals: Iterable[Goal]) -> dict[Key, Vector]:
    """Return what one person adds to the numbers: (flow, day, phase, variant, measure) -> sums."""
    variant = MIXED if standing.is_mixed else standing.variant
    first = (flow_id, standing.day, standing.phase, variant)
    added: dict[Key, Vector] = {(*first, GUESTS): sums_of(standing.visits * MICROS)}
    if standing.is_mixed:
        return added
    for goal in goals:
        for measure in measures_of(goal):
            total = standing.totals.get(measure)
            if total is not None:
                d = divided_by(goal, total, standing.visits)
                added[(*first, measure)] = sums_of(total.y, d, total.x)
    return added


def sums_of(y: int, d: int = 0, x: int = 0) -> Vector:
    """Return what one guest of these values adds to the sums of a measure, as in `SUMS`."""
    return (1, y, y * y, d, d * d, y * d, x, x * x, x * y, x * d)


def of_run(duration_ms: int, *, is_error: bool, is_attributable: bool) -> Vector:
    """Return what one run adds to the numbers of its day."""
    slot = next((i for i, most in enumerate(LATENCIES) if duration_ms <= most), len(LATENCIES))
    slots = [0] * (len(LATENCIES) + 1)
    slots[slot] = 1
    return (1, int(is_error), int(is_attributable), duration_ms, *slots)


def difference(old: Mapping[Key, Vector], new: Mapping[Key, Vector]) -> dict[Key, Vector]:
    """Return what has to be added so that `old` becomes `new`."""
    found = dict(new)
    for key, vector in old.items():
        found[key] = [a - b for a, b in zip(new.get(key, [0] * len(vector)), vector, strict=True)]
    return {key: vector for key, vector in found.items() if any(vector)}


def total(parts: Iterable[Mapping[Key, Vector]]) -> dict[Key, Vector]:
    """Add up what many have to add."""
    found: dict[Key, Vector] = {}
    for part in parts:
        for key, vector in part.items():
            known = found.get(key)
            found[key] = vector if known is None else added(known, vector)
    return {key: vector for key, vector in found.items() if any(vector)}


def added(left: Vector, right: Vector) -> Vector:
    return [a + b for a, b in zip(left, right, strict=True)]


_COLUMNS: Final[Mapping[type[models.Model], Sequence[str]]] = {
    DailyNumbers: ("flow_id", "day", "phase", "variant_ref", "measure"),
    DailyRuns: ("flow_id", "day", "variant_ref"),
}


def add(model: type[models.Model], changes: Mapping[Key, Vector]) -> None:
    """Add to the rows of these keys; those that are not there are made first, in one order."""
    if not changes:
        return
    # Before they are read: rows that `replace` takes away meanwhile would be missed silently.
    _lock(model, "ROW EXCLUSIVE")
    columns = _COLUMNS[model]
    width = len(next(iter(changes.values())))
    missing = sorted(changes.keys() - _read(model, changes, lock=False).keys())
    empty = text([0] * width)
    db.insert_rows(
        model,
        [{**dict(zip(columns, key, strict=True)), "sums": empty} for key in missing],
        ignore_conflicts=True,
    )
    rows = _read(model, changes, lock=True)
    db.update_rows(
        model,
        [
            {"id": pk, "sums": text(added(numbers(sums), changes[key]))}
            for key, (pk, sums) in rows.items()
        ],
        key="id",
        sets='"sums" = new."sums"',
    )


def lock(model: type[models.Model]) -> None:
    """Let nobody else add to these numbers until the transaction ends."""
    _lock(model, "SHARE ROW EXCLUSIVE")


def _lock(model: type[models.Model], mode: str) -> None:
    if db.is_postgres():
        with db.cursor() as cursor:
            cursor.execute(f'LOCK TABLE "{model._meta.db_table}" IN {mode} MODE')


def replace(
    model: type[models.Model], flow_id: int, found: Mapping[Key, Vector], *, since: date
) -> None:
    """Have just these numbers of a flow be there, of this day and later; earlier ones stay."""
    rows = model._default_manager.filter(flow=flow_id, day__gte=since)
    rows.delete()
    add(model, {key: vector for key, vector in found.items() if key[1] >= since})


def _read(
    model: type[models.Model], keys: Iterable[Key], *, lock: bool
) -> dict[Key, tuple[int, str]]:
    wanted = set(keys)
    rows = model._default_manager.filter(
        flow__in={key[0] for key in wanted}, day__in={key[1] for key in wanted}
    ).order_by("pk")
    if lock and db.is_postgres():
        rows = rows.select_for_update(no_key=True)
    found = {}
    for pk, sums, *key in rows.values_list("pk", "sums", *_COLUMNS[model]):
        if tuple(key) in wanted:
            found[tuple(key)] = (pk, sums)
    return found


def text(vector: Vector) -> str:
    """Write sums as they are kept."""
    return " ".join(map(str, vector))


def numbers(sums: str) -> list[int]:
    """Read sums as they are kept."""
    return [int(each) for each in sums.split()]
