"""
Reads the sources that conditions name, for as many guests as there are.

The flow walk asks for one guest, whoever evaluates segments for hundreds: each source is asked
once for every 500, and whose ids they have is one query more for all sources together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from personalize.sources import guarding, registry
from personalize.sources.guests import SiteGuest
from personalize.sources.registry import Source
from tracking import guests as known_guests
from tracking.types import ClientConfig

_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    values: guest id -> whole name of a field -> plain value; what is not there is missing.
    faults: name of a source that failed -> why; its values are missing for the guests asked.
    """

    values: Mapping[int, Mapping[str, object]] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)


def load(
    names: Collection[str],
    guests: Sequence[SiteGuest],
    client: ClientConfig,
    *,
    deadline_ms: int | None = None,
) -> Loaded:
    """
    Return what the sources of these names know of guests. Never raises.

    The guests' identifiers are read here. deadline_ms: how long each source may take, None: as
    long as it does.
    """
    sources = list(_named(names, client))
    if not sources or not guests:
        return Loaded()
    values: dict[int, dict[str, object]] = {guest.id: {} for guest in guests}
    faults: dict[str, str] = {}
    for at in range(0, len(guests), _TOGETHER):
        chunk = _identified(guests[at : at + _TOGETHER])
        for source in sources:
            found, fault = guarding.ask(source, chunk, deadline_ms=deadline_ms)
            if fault:
                faults[source.name] = fault
            for guest_id, given in found.items():
                values[guest_id].update(given)
    return Loaded(values, faults)


def of_nobody(names: Collection[str], client: ClientConfig) -> dict[str, object]:
    """Return the values of somebody whom nobody knows: there are no rows of theirs."""
    return {name: value for source in _named(names, client) for name, value in source.empty.items()}


def _named(names: Collection[str], client: ClientConfig) -> Iterator[Source]:
    for name in sorted(names):
        source = registry.find(name)
        if source is not None and source.client_key in ("", client.client_key):
            yield source


def _identified(guests: Sequence[SiteGuest]) -> list[SiteGuest]:
    found = known_guests.identifiers_of([guest.id for guest in guests])
    return [replace(guest, identifiers=found.get(guest.id, {})) for guest in guests]
