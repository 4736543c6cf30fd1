"""
Who is put on a list and taken off it from outside: from a CSV file, or named in a call.

Called by the admin, the REST API and `manage.py import_segment`. People go in chunks, each a
transaction and a fixed number of queries; doing it again changes nothing.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import BinaryIO, Final
from uuid import UUID

from personalize.models import Segment, SegmentMembership
from personalize.segments import files, saving
from personalize.segments.files import GUEST_REF, Named
from personalize.segments.saving import SegmentError
from tracking import db, guest_lookup
from tracking.types import ClientConfig, IdentifierKey

_AT_ONCE: Final = 500
_MOST_TOLD: Final = 100

#: Told how many lines are done, and how many there are.
Progress = Callable[[int, int], None]
_Change = Callable[..., int]


class Mode(StrEnum):
    """What a file does to a list: its people are put on it, taken off it, or are all of it."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@dataclass(slots=True)
class Changed:
    """
    What became of a list.

    `named`: how many were named, `found` of them are guests. `unknown` are
    the first hundred of those that are not; none of them is made.
    """

    column: str = ""
    named: int = 0
    found: int = 0
    added: int = 0
    removed: int = 0
    unknown: list[Named] = field(default_factory=list)

    @property
    def unknown_count(self) -> int:
        return self.named - self.found


def import_file(
    segment: Segment,
    file: BinaryIO,
    client: ClientConfig,
    *,
    mode: Mode,
    now: datetime,
    progress: Progress | None = None,
) -> Changed:
    """
    Change a list as a CSV file says. `file` is open for bytes and can be read again.

    Raises SegmentError for what is no list, FileRefused for a file that
    cannot be read as it is; nothing has changed then. A file that names
    nobody does not replace a list: it would be empty by mistake.
    """
    saving.check_list(segment)
    people = files.check(file, providers=client.rules)
    changed = Changed(people.column)
    seen = array("q")
    change = saving.remove if mode is Mode.REMOVE else saving.add
    for chunk in _chunks(people.rows()):
        seen.extend(_take(segment, chunk, change, changed, now=now))
        if progress:
            progress(changed.named, people.lines)
    if mode is Mode.REPLACE:
        if not seen:
            raise SegmentError(
                "file_names_nobody",
                "No line of the file names a guest, so the list was left as it is. "
                "To empty it, take its guests off.",
            )
        changed.removed += _remove_others(segment, seen, now=now)
    return changed


def change(
    segment: Segment, *, add: Sequence[Named], remove: Sequence[Named], now: datetime
) -> Changed:
    """Put those who are named on a list, and take others off it. Raises SegmentError."""
    saving.check_list(segment)
    changed = Changed()
    for named, verb in ((add, saving.add), (remove, saving.remove)):
        for chunk in _chunks(named):
            _take(segment, chunk, verb, changed, now=now)
    return changed


def _chunks(named: Iterable[Named]) -> Iterator[list[Named]]:
    rows = iter(named)
    while chunk := list(islice(rows, _AT_ONCE)):
        yield chunk


def _take(
    segment: Segment, chunk: Sequence[Named], change: _Change, changed: Changed, *, now: datetime
) -> set[int]:
    """Change the list by one chunk. Returns who was meant."""
    found = _find(segment.client_id, chunk, now=now)
    guests = set(found.values())
    count = db.retried(partial(change, segment, guests, now=now)) if guests else 0
    if change is saving.add:
        changed.added += count
    else:
        changed.removed += count
    unknown = [each for each in chunk if each not in found]
    changed.named += len(chunk)
    changed.found += len(chunk) - len(unknown)
    changed.unknown += unknown[: _MOST_TOLD - len(changed.unknown)]
    return guests


def _find(client_id: int, chunk: Sequence[Named], *, now: datetime) -> dict[Named, int]:
    refs = {each: _ref(each.value) for each in chunk if each.provider == GUEST_REF}
    keys = {
        each: IdentifierKey(each.provider, each.value)
        for each in chunk
        if each.provider != GUEST_REF and each.value
    }
    by_ref = guest_lookup.by_refs(client_id, {ref for ref in refs.values() if ref})
    by_key = guest_lookup.by_identifiers(client_id, set(keys.values()), now=now)
    found = {named: by_ref[ref] for named, ref in refs.items() if ref in by_ref}
    return found | {named: by_key[key] for named, key in keys.items() if key in by_key}


def _ref(value: str) -> UUID | None:
    try:
        return UUID(value)
    except ValueError:
        return None


def _remove_others(segment: Segment, seen: "array[int]", *, now: datetime) -> int:
    """Take off whoever is not among `seen`, a chunk at a time. Returns how many."""
    kept = array("q", sorted(seen))
    removed, last = 0, 0
    current = SegmentMembership.objects.current().filter(segment=segment.pk)
    while True:
        rows = current.filter(guest__gt=last).order_by("guest")
        page = list(rows.values_list("guest", flat=True)[:_AT_ONCE])
        if not page:
            return removed
        last = page[-1]
        others = [guest for guest in page if not _has(kept, guest)]
        if others:
            removed += db.retried(partial(saving.remove, segment, others, now=now))


def _has(kept: "array[int]", guest: int) -> bool:
    at = bisect_left(kept, guest)
    return at < len(kept) and kept[at] == guest
