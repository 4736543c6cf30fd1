"""A progress bar for long work: drawn over itself on a terminal, one line at the end elsewhere."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from django.core.management.base import OutputWrapper

T = TypeVar("T")
_WIDTH = 30


def bar(items: Sequence[T], what: str, output: OutputWrapper) -> Iterator[T]:
    """Yield the items, showing how far the caller has come."""
    live = output.isatty()
    total = len(items)
    for done, item in enumerate(items):
        if live:
            output.write(_drawn(what, done, total), ending="")
            output.flush()
        yield item
    output.write(_drawn(what, total, total) if live else f"{what}: {total} of {total}")


def _drawn(what: str, done: int, total: int) -> str:
    filled = _WIDTH * done // total if total else _WIDTH
    return f"\r{what:<24} [{'#' * filled}{'.' * (_WIDTH - filled)}] {done} of {total}"
