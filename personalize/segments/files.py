"""
PURE. Lists of people in CSV files: which column says who, and who is named in which line.

Read by `lists`, first for what is wrong and then for who is meant. Memory stays flat.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

from tracking.types import BROWSER, EMAIL

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_LINES: Final = 1_000_000

#: Stands where a provider would, for who is named by the guest's own ref.
GUEST_REF: Final = "guestRef"

_LONGEST_LINE: Final = 64 * 1024
_MOST_FLAWS: Final = 20
_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")
_SPLIT: Final = "Split it: the first part may replace the list, the others add to it."


@dataclass(frozen=True, slots=True)
class Named:
    """
    That somebody is named: by a provider's identifier, or by GUEST_REF.

    `where` tells a person where it stands: "line 7", "add[3]".
    """

    where: str
    provider: str
    value: str


class FileRefused(ValueError):
    """A file that cannot be read as it is, so that nothing of it counts; `flaws` are sentences."""

    def __init__(self, flaws: Sequence[str]) -> None:
        super().__init__(" ".join(flaws))
        self.flaws = list(flaws)


@dataclass(frozen=True, slots=True)
class PeopleFile:
    """A file that was read through and found good: `column` says who, in `lines` rows."""

    file: BinaryIO
    column: str
    provider: str
    lines: int

    def rows(self) -> Iterator[Named]:
        """Read it once more. Yields a row for each line in which anything stands."""
        with _opened(self.file) as table:
            at = table.position(self.column)
            for line, cells, flaw in table.rows():
                if flaw:
                    raise FileRefused([f"The file changed while it was read. Line {line}: {flaw}"])
                yield Named(f"line {line}", self.provider, _value(self.provider, cells[at]))


def check(file: BinaryIO, *, providers: Sequence[str]) -> PeopleFile:
    """
    Read a file through to its end. Raises FileRefused with what is wrong, by line.

    `file` is open for bytes and can be read again. `providers`: the client's,
    most trusted first. Of several columns that say who, the first one of
    guestRef, these, email and browserId counts.
    """
    _check_bytes(file)
    with _opened(file) as table:
        column, provider = _column(table.header, providers)
        flaws: list[str] = []
        lines = 0
        for line, _cells, flaw in table.rows():
            lines += 1
            if flaw:
                flaws.append(f"Line {line}: {flaw}")
            if lines > MAX_LINES:
                flaws = [f"The file has more than {MAX_LINES:,} lines. {_SPLIT}"]
                break
            if len(flaws) >= _MOST_FLAWS:
                flaws.append("Further lines were not read.")
                break
    if flaws:
        raise FileRefused(flaws)
    return PeopleFile(file, column, provider, lines)


# --- bytes and lines -------------------------------------------------------------------

_SAVE_AS: Final = "Save it as “CSV UTF-8”."


def _check_bytes(file: BinaryIO) -> None:
    size = file.seek(0, io.SEEK_END)
    if size > MAX_BYTES:
        raise FileRefused([f"The file is larger than {MAX_BYTES // 1024 // 1024} MiB. {_SPLIT}"])
    file.seek(0)
    start = file.read(4)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FileRefused([f"The file is UTF-16. {_SAVE_AS}"])
    if start == b"PK\x03\x04":
        raise FileRefused([f"The file is a workbook. {_SAVE_AS}"])


@contextmanager
def _opened(file: BinaryIO) -> Iterator["_Table"]:
    file.seek(0)
    text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield _Table(text)
    finally:
        # The file is closed by who opened it.
        text.detach()


class _Table:
    """A header, and the rows under it. Raises FileRefused where there is no header."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        first = text.readline(_LONGEST_LINE)
        # How Excel tells itself what stands between the cells.
        told = re.fullmatch(r"(?i)sep=([,;\t])\s*", first)
        self._skipped = 1 if told else 0
        first = text.readline(_LONGEST_LINE) if told else first
        apart = told[1] if told else max(",;\t", key=first.count)
        self._reader = csv.reader(_chained(first, text), delimiter=apart, strict=True)
        try:
            self.header = [cell.strip() for cell in next(self._reader, [])]
        except csv.Error as error:
            raise FileRefused([f"Line {1 + self._skipped}: it is not CSV: {error}."]) from None
        if not any(self.header):
            raise FileRefused(["The file is empty: its first line names the columns."])

    def position(self, column: str) -> int:
        return self.header.index(column)

    def rows(self) -> Iterator[tuple[int, list[str], str]]:
        """Yield each row in which anything stands: its line, its cells, and what is wrong."""
        while True:
            line = self._reader.line_num + 1 + self._skipped
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, [], f"it is not CSV: {error}."
                continue
            if any(cell.strip() for cell in cells):
                yield line, cells, self._wrong(cells)

    def _wrong(self, cells: list[str]) -> str:
        if any(_NOT_UTF8.search(cell) for cell in cells):
            return f"it is not UTF-8. {_SAVE_AS}"
        if any("\0" in cell for cell in cells):
            return f"it has a NUL character. {_SAVE_AS}"
        if len(cells) > len(self.header):
            return (
                f"it has {len(cells)} cells, the first line {len(self.header)}. "
                "Put a cell in quotes that has a comma, semicolon or tab in it."
            )
        if len(cells) < len(self.header):
            return f"it ends after {len(cells)} of the first line's {len(self.header)} cells."
        return ""


def _chained(first: str, text: io.TextIOWrapper) -> Iterator[str]:
    yield first
    while line := text.readline(_LONGEST_LINE):
        yield line


# --- the column that says who ----------------------------------------------------------


def columns(providers: Sequence[str]) -> dict[str, str]:
    """Return the columns that can say who a line is about, the first ones first: -> provider."""
    named = {GUEST_REF: GUEST_REF} | {provider: provider for provider in providers}
    plain = {_plain(name) for name in named}
    also = {"email": EMAIL, "browserId": BROWSER}
    return named | {name: also[name] for name in also if _plain(name) not in plain}


def _column(header: Sequence[str], providers: Sequence[str]) -> tuple[str, str]:
    names = columns(providers)
    given = {_plain(name): name for name in reversed(header)}
    for name, provider in names.items():
        if _plain(name) in given:
            return given[_plain(name)], provider
    raise FileRefused(
        [
            "The first line names no column that says who a line is about. "
            f"It may be one of: {', '.join(names)}."
        ]
    )


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


def _value(provider: str, cell: str) -> str:
    value = cell.strip()
    return value.lower() if provider == EMAIL else value
