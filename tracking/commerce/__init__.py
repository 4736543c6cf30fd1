"""
PURE. What events say of commerce, whichever family brought them.

`read` is called by whoever keeps what people did with items; `folding` makes
carts and orders of that.
"""

from collections.abc import Mapping
from typing import Any

from tracking import semantics
from tracking.commerce import ibexa, semantic, stream
from tracking.commerce.vocabulary import Act
from tracking.types import ClientConfig

_IBEXA = "ibexa"


def concerns(dialect: str, type: str, data: Mapping[str, Any]) -> bool:
    """Say whether an event may be about items at all: cheap, and asked of every event."""
    if dialect == _IBEXA:
        return type in ibexa.VERBS
    if type == "VIEW":
        ext = data.get("ext")
        return stream.names_product(data) or (
            isinstance(ext, Mapping) and stream.names_product(ext)
        )
    return type in stream.READERS or _named(type) in semantic.READERS


def read(dialect: str, type: str, data: Mapping[str, Any], client: ClientConfig) -> Act | None:
    """
    Return what an event says of commerce, or None where that is nothing.

    Raises Unusable for amounts, quantities and ids that cannot be meant: such
    an event counts in no cart and no order.
    """
    if dialect == _IBEXA:
        return ibexa.read(type, data, client) if type in ibexa.VERBS else None
    given = semantics.own(type, data)
    if type in stream.READERS:
        return stream.READERS[type](given, client)
    reader = semantic.READERS.get(_named(type))
    return reader(given, client) if reader else None


def _named(type: str) -> str:
    event = semantics.named(type)
    return event.name if event else ""
