"""
Where a visitor is: as a proxy in front of the site tells it, else by the address of the request.

Called by the doors that visitors' browsers call, and by the site's own pages.
TRACKING["GEO_HEADERS"] says which headers tell it: what names no header is
never looked for, since anybody can send one. TRACKING["GEO_DATABASE"] knows
addresses, which are never kept.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from tracking import conf, geo

#: What a place is told by: names of parts, in this order.
PARTS = ("city", "region", "country")
_LENGTH = 100


class Sent(Protocol):
    """A request, as Django and REST framework have it."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def META(self) -> Mapping[str, Any]: ...  # noqa: N802 - Django's own name


def told(request: Sent, *, by_visitor: bool = True) -> dict[str, str]:
    """
    Return the parts of the place that a request comes from: city, region, country.

    `by_visitor`: it was the visitor's own browser that sent it; the address of
    a server says nothing of the visitor.
    """
    limits = conf.settings()
    found = cut({part: request.headers.get(name, "") for part, name in limits.GEO_HEADERS.items()})
    if found or not by_visitor or not limits.GEO_DATABASE:
        return found
    return cut(geo.place_of(_address(request), limits.GEO_DATABASE))


def _address(request: Sent) -> str:
    """Return the visitor's address: of several, the one that the nearest proxy has seen itself."""
    name = conf.settings().GEO_ADDRESS_HEADER
    given = request.headers.get(name, "") if name else request.META.get("REMOTE_ADDR", "")
    return str(given).rpartition(",")[2].strip()


def cut(place: Mapping[str, object]) -> dict[str, str]:
    """Keep the parts of a place that are texts."""
    return {
        part: value[:_LENGTH]
        for part in PARTS
        if isinstance(value := place.get(part), str) and value
    }
