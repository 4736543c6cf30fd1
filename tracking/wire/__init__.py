"""
The client families' message formats: bytes to messages, one module each.

The doors use a module's types to judge a request and word the answer; the
walk calls `parse` to read the stored bytes again. Nothing else in the app
knows which family a message came from.
"""

from collections.abc import Callable, Iterator

from tracking.types import Entry, Message, Refused
from tracking.wire import batch, execution, segment, site, sitecore

Parser = Callable[[Entry], Iterator[Message | Refused]]

PARSERS: dict[str, Parser] = {
    sitecore.DIALECT: sitecore.parse,
    batch.DIALECT: batch.parse,
    segment.DIALECT: segment.parse,
    site.DIALECT: site.parse,
    execution.DIALECT: execution.parse,
}


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
