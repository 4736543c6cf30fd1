"""
XML from strangers, read safely and piece by piece: whoever takes XML calls `elements`.

Document types are refused before anything in them is looked at. So there are
no entities but the five that XML has of its own, nothing to expand, and no
address that anybody else chose is ever opened.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers import expat

# Of one child of the root: it is in memory as a whole.
_MOST_CHARACTERS: Final = 1024 * 1024
_MOST_ELEMENTS: Final = 10_000
_DEEPEST: Final = 16


class Unreadable(ValueError):
    """The bytes are no XML that is read; a sentence says why. `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class Element:
    """An element with all in it. `text` is its own, without that of its children."""

    name: str
    attributes: Mapping[str, str]
    line: int
    text: str = ""
    children: list["Element"] = field(default_factory=list)


def elements(pieces: Iterable[bytes]) -> Iterator[Element]:
    """
    Yield the root as it begins, without what is in it, then its children one by one.

    Memory is that of one child and one piece. Raises Unreadable.
    """
    reader = _Reader()
    for piece in pieces:
        yield from reader.feed(piece)
    yield from reader.feed(b"", is_last=True)


class _Reader:
    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._open: list[Element] = []
        self._ready: list[Element] = []
        self._elements = 0
        self._characters_left = _MOST_CHARACTERS

    def feed(self, piece: bytes, *, is_last: bool = False) -> list[Element]:
        try:
            self._parser.Parse(piece, is_last)
        except expat.ExpatError as error:
            said = expat.ErrorString(error.code)
            raise Unreadable(f"The XML is not well-formed: {said}.", error.lineno) from None
        except (LookupError, ValueError) as error:
            if isinstance(error, Unreadable):
                raise
            self._refuse("The XML is in an encoding that is not known here.")
        ready, self._ready = self._ready, []
        return ready

    def _refuse(self, message: str) -> NoReturn:
        raise Unreadable(message, self._parser.CurrentLineNumber)

    def _refuse_doctype(self, *args: object) -> NoReturn:
        self._refuse("A document type is not allowed, nor what it could define.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._count(sum(map(len, attributes.values())))
        if len(self._open) >= _DEEPEST or self._elements > _MOST_ELEMENTS:
            self._refuse("An element has too many others in it.")
        element = Element(name, attributes, self._parser.CurrentLineNumber)
        if not self._open:
            self._ready.append(element)
        elif len(self._open) > 1:
            self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, name: str) -> None:
        element = self._open.pop()
        if len(self._open) == 1:
            self._ready.append(element)
            self._elements, self._characters_left = 0, _MOST_CHARACTERS

    def _characters(self, text: str) -> None:
        self._count(len(text))
        if len(self._open) > 1:
            self._open[-1].text += text

    def _count(self, size: int) -> None:
        self._characters_left -= size
        if self._characters_left < 0:
            self._refuse(f"An element is larger than {_MOST_CHARACTERS} characters.")
