"""A source of one value, which a function of the site's own says of a guest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from personalize.sources.guests import SiteGuest
from personalize.sources.plain import plain

OfOne = Callable[[SiteGuest], object]
OfMany = Callable[[Sequence[SiteGuest]], Mapping[int, object]]


@dataclass(frozen=True)
class FunctionSource:
    """
    A function of a guest; with `many` one of several guests, which answers by their ids.

    Its name is its field's.
    """

    name: str
    label: str
    function: Callable[[Any], Any]
    many: bool = False
    client_key: str = ""
    #: Whatever it asks, it asks itself.
    database: str = ""

    @property
    def empty(self) -> Mapping[str, object]:
        return {}

    def ask(self, guests: Sequence[SiteGuest]) -> dict[int, Mapping[str, object]]:
        """Return the value of each guest; None where the function has none."""
        zone = timezone.get_default_timezone()
        given: Mapping[int, object]
        if self.many:
            given = self.function(guests)
        else:
            given = {guest.id: self.function(guest) for guest in guests}
        return {guest.id: {self.name: plain(given.get(guest.id), zone=zone)} for guest in guests}

    def problems(self) -> Iterator[str]:
        """A function is known to be right or wrong when it is asked."""
        return iter(())
