"""
Lines of a CSV file that nothing runs: what a spreadsheet would take for a formula is a text.

Called by the exports of segments and of results.
"""

import csv
import re
from collections.abc import Sequence
from typing import Any, Final

from tracking.events import stamp

CONTENT_TYPE: Final = "text/csv; charset=utf-8"
#: By this at the start of a file spreadsheets know UTF-8.
UTF8_MARK: Final = "\ufeff"
_FORMULA: Final = re.compile(r"[=+\-@\t\r\n]")


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        return line


_writer: Final = csv.writer(_Echo())


def line(cells: Sequence[Any]) -> str:
    """Return a line; a text that a spreadsheet would run has an apostrophe in front of it."""
    written: str = _writer.writerow([_cell(value) for value in cells])
    return written


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if hasattr(value, "tzinfo"):
        return stamp(value)
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    is_run = not isinstance(value, int | float) and _FORMULA.match(text)
    return f"'{text}" if is_run else text
