"""
What comes along with an event and is another app's to keep: a registry of writers.

`register` is called by other apps when they are ready. The walk's record step hands each writer
all that the batch brought for it, in the transaction that writes the events: so it is kept exactly
once, as they are, and of an event that is known already nothing is written again.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tracking.types import Sessionized


@dataclass(frozen=True, slots=True)
class Companion:
    """
    What came along with one event, as its sender wrote it.

    ref: of the flow's run where the event is one, else the event's own.
    """

    ref: UUID
    client_id: int
    guest_id: int | None
    occurred_at: datetime
    body: bytes


#: Writes what a batch brought, in one statement; what it raises is its events' fault.
Writer = Callable[[Sequence[Companion]], None]

_writers: dict[str, Writer] = {}


def register(name: str, writer: Writer) -> None:
    """Have `writer` keep what comes along with events under this name. Unknown names are passed."""
    _writers[name] = writer


def write(items: Iterable[Sessionized]) -> None:
    """Hand what came along with recorded messages to those who keep it."""
    found: dict[str, list[Companion]] = {}
    for item in items:
        message, guest = item.identified.message, item.identified.guest
        for name, body in message.companions.items():
            companion = Companion(
                ref=message.flow_execution_ref or message.ref,
                client_id=message.client_id,
                guest_id=guest.id if guest else None,
                occurred_at=message.occurred_at,
                body=body,
            )
            found.setdefault(name, []).append(companion)
    for name, companions in found.items():
        if name in _writers:
            _writers[name](companions)
