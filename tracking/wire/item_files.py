"""
Items in files: JSON, NDJSON, CSV and Ibexa's XML, read row by row in flat memory.

The import command calls `read`. A row that is no item is answered as a flaw,
and the rows after it are read, unless the file cannot be understood any further.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Final

from tracking.items import CatalogueItem, NotAnItem
from tracking.types import ClientConfig
from tracking.wire import text
from tracking.wire.flaws import Flaw
from tracking.wire.ibexa_items import read_items
from tracking.wire.items import ItemFields, item_of

Rows = Iterator[CatalogueItem | Flaw]

_PIECE: Final = 64 * 1024
_LONGEST_ROW: Final = 1024 * 1024
_MOST_COLUMNS: Final = 1000
_LIST: Final = re.compile(r'\s*(?:\{\s*"items"\s*:\s*)?\[')
_BETWEEN: Final = re.compile(r"[\s,]*")
_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")
#: Between the categories of an item in a CSV file.
_CATEGORIES_APART: Final = "|"


def read(file: BinaryIO, form: str, client: ClientConfig) -> Rows:
    """Yield the items of a file that is open for bytes; `form` is one of FORMS."""
    return FORMS[form](file, client)


def _xml(file: BinaryIO, client: ClientConfig) -> Rows:
    return read_items(iter(lambda: file.read(_PIECE), b""), client)


def _judged(line: int, document: Any, client: ClientConfig) -> CatalogueItem | Flaw:
    try:
        return item_of(document, client)
    except NotAnItem as error:
        named = str(document.get("id", ""))[:40] if isinstance(document, dict) else ""
        return Flaw(line, f"Item {named}: {error}" if named else str(error))


# --- JSON ------------------------------------------------------------------------------


def _ndjson(file: BinaryIO, client: ClientConfig) -> Rows:
    line = 0
    while raw := file.readline(_LONGEST_ROW + 1):
        line += 1
        if len(raw) > _LONGEST_ROW:
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(_PIECE)
            yield Flaw(line, f"The line is longer than {_LONGEST_ROW} bytes.")
            continue
        row = raw.strip().removeprefix(b"\xef\xbb\xbf")
        if not row:
            continue
        try:
            document = text.read(row)
        except text.Unreadable as error:
            yield Flaw(line, str(error))
            continue
        yield _judged(line, document, client)


def _json(file: BinaryIO, client: ClientConfig) -> Rows:
    """Read a list of objects, alone or as `items` of an object; never all of it at once."""
    window = _Window(file)
    try:
        yield from _elements(window, client)
    finally:
        window.release()


def _elements(window: "_Window", client: ClientConfig) -> Rows:
    window.more()
    opening = _LIST.match(window.text)
    if opening is None:
        yield Flaw(1, "The file is no list of items.")
        return
    window.advance(opening.end())
    while True:
        window.advance(_between(window))
        if window.at == len(window.text):
            yield Flaw(window.line, "The file ends before its list does.")
            return
        if window.text[window.at] == "]":
            return
        try:
            document, end = window.value()
        except (ValueError, RecursionError) as error:
            # Where the next one begins, nobody can tell.
            yield Flaw(window.line, f"The rest is not JSON, and was not read: {error}.")
            return
        if _NOT_UTF8.search(window.text, window.at, end):
            yield Flaw(window.line, "The item is not UTF-8.")
        else:
            yield _judged(window.line, document, client)
        window.advance(end)


def _between(window: "_Window") -> int:
    """Return where the next value begins; at the end of the text where there is none."""
    while True:
        found = _BETWEEN.match(window.text, window.at)
        end = found.end() if found else window.at
        if end < len(window.text):
            return end
        window.advance(end)
        if not window.more():
            return len(window.text)


class _Window:
    """The part of a text file that is being read, and the line it is at."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
        self.text = ""
        self.at = 0
        self.line = 1

    def release(self) -> None:
        """Leave the file to who opened it, instead of closing it."""
        self._file.detach()

    def more(self) -> bool:
        """Read on; what was passed is dropped. Returns False at the end of the file."""
        piece = self._file.read(_PIECE)
        self.text = self.text[self.at :] + piece
        self.at = 0
        return bool(piece)

    def advance(self, to: int) -> None:
        self.line += self.text.count("\n", self.at, to)
        self.at = to

    def value(self) -> tuple[Any, int]:
        """Return the value that begins here, and its end. Raises ValueError and RecursionError."""
        while True:
            try:
                return _DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if len(self.text) - self.at > _LONGEST_ROW or not self.more():
                    raise ValueError(error.msg) from None


_DECODER: Final = json.JSONDecoder()


# --- CSV -------------------------------------------------------------------------------

_COLUMNS: Final[Mapping[str, str]] = {
    name.lower(): name
    for name in ("type", "id", *ItemFields.__struct_fields__)
    if name not in ("attributes", "content", "importedAt")
}


def _csv(file: BinaryIO, client: ClientConfig) -> Rows:
    """Read a table whose first row names its columns, with commas, semicolons or tabs between."""
    lines = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _rows(lines, client)
    finally:
        # The file is closed by who opened it.
        lines.detach()


def _rows(lines: io.TextIOWrapper, client: ClientConfig) -> Rows:
    first = lines.readline(_LONGEST_ROW)
    apart = max(",;\t", key=first.count)
    rows = csv.reader(_chained(first, lines), delimiter=apart, strict=True)
    header, problem = _header(rows)
    if problem:
        yield Flaw(1, problem)
        return
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Flaw(line, f"The row is not CSV: {error}.")
            continue
        if any(cell.strip() for cell in row):
            yield _of_row(line, header, row, client)


def _chained(first: str, lines: io.TextIOWrapper) -> Iterator[str]:
    yield first
    while line := lines.readline(_LONGEST_ROW):
        yield line


def _header(rows: Iterator[list[str]]) -> tuple[list[str], str]:
    """Return the columns' names as the JSON form has them, and what is wrong with them."""
    try:
        names = [_column(cell.strip()) for cell in next(rows, [])]
    except csv.Error as error:
        return [], f"The row is not CSV: {error}."
    unknown = [name for name in names if name[:1] == "?"]
    plain = [name for name in names if "." not in name]
    if unknown:
        known = ", ".join([*_COLUMNS.values(), "attributes.KEY", "content.KEY"])
        return [], f"There is no column “{unknown[0][1:41]}”. There are: {known}."
    if "id" not in names or len(plain) != len(set(plain)) or len(names) > _MOST_COLUMNS:
        return [], "The first row names the columns, each once, and id among them."
    return names, ""


def _column(given: str) -> str:
    group, dot, key = given.partition(".")
    if dot and key and group.lower() in ("attributes", "content"):
        return f"{group.lower()}.{key}"
    return _COLUMNS.get(given.replace("_", "").lower(), f"?{given}")


def _of_row(
    line: int, header: list[str], row: list[str], client: ClientConfig
) -> CatalogueItem | Flaw:
    if len(row) != len(header):
        return Flaw(line, f"The row has {len(row)} cells, the first one {len(header)}.")
    if any(_NOT_UTF8.search(cell) for cell in row):
        return Flaw(line, "The row is not UTF-8.")
    document: dict[str, Any] = {}
    for name, cell in zip(header, row, strict=True):
        group, dot, key = name.partition(".")
        value = cell.strip()
        if not value:
            continue
        if group == "content" and dot:
            document.setdefault("content", {})[key] = value
        elif group == "attributes" and dot:
            attribute, _, kind = key.partition(":")
            typed = {"key": attribute, "value": value} | ({"type": kind.upper()} if kind else {})
            document.setdefault("attributes", []).append(typed)
        elif name == "categories":
            document[name] = value.split(_CATEGORIES_APART)
        elif name == "type":
            document[name] = int(value) if value.isascii() and value.isdecimal() else value
        else:
            document[name] = value
    return _judged(line, document, client)


#: Names of the forms, which are those of the files' endings too.
FORMS: Final[Mapping[str, Callable[[BinaryIO, ClientConfig], Rows]]] = {
    "json": _json,
    "ndjson": _ndjson,
    "csv": _csv,
    "xml": _xml,
}
