"""
Stored records made again, many at once: do past decisions still come out as they did?

Called by the command `replay_decisions`. Reads only.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from personalize import records, replaying
from personalize.models import DecisionRecord
from personalize.revisions import StoredRevisions

_AT_ONCE = 500


@dataclass(slots=True)
class Tally:
    """
    What came of it.

    equal: made again wholly, and the same. differences: ref -> what came out otherwise.
    not_replayable: ref -> why something of it could not be made again; what could be is compared.
    """

    checked: int = 0
    equal: int = 0
    differences: dict[UUID, list[str]] = field(default_factory=dict)
    not_replayable: dict[UUID, list[str]] = field(default_factory=dict)


def replay_stored(
    *, sample: int | None = None, progress: Callable[[int], None] | None = None
) -> Tally:
    """Make all records again, or a random sample; `progress` is told how many after each batch."""
    tally = Tally()
    by_client: dict[int, StoredRevisions] = {}
    for batch in _batches(sample):
        for row in batch:
            revisions = by_client.setdefault(row.client_id, StoredRevisions(row.client_id))
            _replay(row, revisions, tally)
        if progress:
            progress(len(batch))
    return tally


def _replay(row: DecisionRecord, revisions: StoredRevisions, tally: Tally) -> None:
    tally.checked += 1
    try:
        replayed = replaying.replay(records.decode(row.body), revisions)
    except msgspec.DecodeError as error:
        tally.not_replayable[row.ref] = [f"The record cannot be read: {error}"]
        return
    tally.equal += replayed.is_equal
    if replayed.differences:
        tally.differences[row.ref] = [each.sentence for each in replayed.differences]
    if replayed.obstacles:
        tally.not_replayable[row.ref] = replayed.obstacles


def _batches(sample: int | None) -> Iterator[list[DecisionRecord]]:
    """Yield records by their refs, which are random: from any of them on, once round."""
    start = uuid.uuid4() if sample is not None else UUID(int=0)
    left = sample
    for rows in (
        DecisionRecord.objects.filter(ref__gte=start),
        DecisionRecord.objects.filter(ref__lt=start),
    ):
        after: UUID | None = None
        while left is None or left > 0:
            here = rows if after is None else rows.filter(ref__gt=after)
            batch = list(here.order_by("ref")[: _AT_ONCE if left is None else min(_AT_ONCE, left)])
            if not batch:
                break
            yield batch
            after = batch[-1].ref
            left = None if left is None else left - len(batch)
