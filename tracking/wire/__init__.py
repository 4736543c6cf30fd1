"""
The client families' message formats: bytes to messages, one module each.

The doors use a module's types to judge a request and word the answer; the
walk calls `parse` to read the stored bytes again. Nothing else in the app
knows which family a message came from.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tracking.types import Entry, Message, Refused
from tracking.wire import batch, common, execution, ibexa, segment, site, sitecore

Parser = Callable[[Entry], Iterator[Message | Refused]]

PARSERS: dict[str, Parser] = {
    sitecore.DIALECT: sitecore.parse,
    batch.DIALECT: batch.parse,
    segment.DIALECT: segment.parse,
    ibexa.DIALECT: ibexa.parse,
    site.DIALECT: site.parse,
    execution.DIALECT: execution.parse,
}


def stated(
    type: str, data: Mapping[str, Any], original: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the profile fields and the attributes that a recorded event states of its guest."""
    if original is not None:
        return segment.profile_of(original)
    if type != common.IDENTITY_TYPE:
        return {}, {}
    ext = data.get("ext")
    return sitecore.traits(data), dict(ext) if isinstance(ext, dict) else {}


def parse(entry: Entry) -> Iterator[Message | Refused]:
    """Yield the messages of an accepted request, each good or refused with a reason."""
    parser = PARSERS.get(entry.dialect)
    if parser is None:
        yield Refused(
            entry=entry,
            index=0,
            code="unknown_dialect",
            reason=f"No reader for requests of the kind “{entry.dialect}” is installed.",
            raw=entry.body,
        )
        return
    yield from parser(entry)
