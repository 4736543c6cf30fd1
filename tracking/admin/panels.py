"""
What other apps have to say of a guest on its page: a registry, asked when the page is shown.

`register` is called by their admin modules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.functional import Promise

from tracking.models import Guest


@dataclass(frozen=True, slots=True)
class Panel:
    """A titled table of two columns: what, and what of it; safe strings may have links."""

    title: str | Promise
    pairs: Sequence[tuple[str, str]]


#: Makes a guest's panel for whoever asks; None: there is nothing to say to them.
Maker = Callable[[Guest, HttpRequest], Panel | None]

_makers: dict[str, Maker] = {}


def register(name: str, maker: Maker) -> None:
    """Have `maker` asked for a panel of every guest that is shown."""
    _makers[name] = maker


def of_guest(guest: Guest, request: HttpRequest) -> list[Panel]:
    """Return the panels of a guest, in the order in which they were registered."""
    made = (maker(guest, request) for maker in _makers.values())
    return [panel for panel in made if panel is not None]
