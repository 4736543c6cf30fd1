"""
Where a request comes from, as a proxy in front of the site tells it in headers.

Called by the doors that visitors' browsers call. TRACKING["GEO_HEADERS"] says
which headers: what names no header is never looked for, since anybody can
send one.
"""

from collections.abc import Mapping

from tracking import conf

#: What a place is told by: names of parts, in this order.
PARTS = ("city", "region", "country")
_LENGTH = 100


def told(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the parts of the place that these headers tell: city, region, country."""
    found = {part: headers.get(name, "") for part, name in conf.settings().GEO_HEADERS.items()}
    return cut(found)


def cut(place: Mapping[str, object]) -> dict[str, str]:
    """Keep the parts of a place that are texts."""
    return {
        part: value[:_LENGTH]
        for part in PARTS
        if isinstance(value := place.get(part), str) and value
    }
