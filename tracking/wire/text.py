"""
JSON as clients really send it, made safe to store.

Both databases and every parser disagree about NUL, lone surrogates, NaN and
huge numbers. So: a strict parser first; where it refuses, a tolerant one, so
that one odd value never costs its neighbours; then one pass that replaces
what cannot be stored and refuses what is too large.
"""

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tracking import conf

#: Nesting that is refused before any object is built.
HARD_DEPTH = 900

_SURROGATE = re.compile("[\ud800-\udfff]")
_OPENING = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_INT64 = range(-(2**63), 2**63)
# Digits enough for an integer beyond 64 bits, and the tables that find runs of them, or of what
# is no quote, ten times faster than a pattern does.
_NINETEEN_DIGITS = b"0" * 19
_DIGITS = bytes(ord("0" if chr(byte) in "0123456789" else " ") for byte in range(256))
_QUOTES = bytes(ord(" " if chr(byte) == '"' else "x") for byte in range(256))


class Unreadable(ValueError):
    """The bytes are not JSON that anybody could read; the text says where and why."""


class Unstorable(ValueError):
    """The value is JSON, but over a limit. `code` names the limit."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Cleaned:
    """A storable value, and what had to be replaced in it."""

    value: Any
    warnings: list[str] = field(default_factory=list)


def read(raw: bytes) -> Any:
    """Parse JSON bytes. Raises Unreadable."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as strict:
        return _read_tolerantly(raw, str(strict))


def clean(value: Any) -> Cleaned:
    """
    Return the value with what no database stores replaced, and the warnings.

    Raises Unstorable over the limits of depth, nodes, keys and integers.
    """
    return _Cleaner().clean(value)


def clean_unless_plain(raw: bytes) -> Cleaned:
    """
    Parse JSON bytes and clean the value; what can be seen to need no cleaning is just parsed.

    Raises Unreadable, and Unstorable over the limits.
    """
    if is_plain(raw):
        try:
            return Cleaned(msgspec.json.decode(raw))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    return clean(read(raw))


def is_plain(raw: bytes) -> bool:
    """Say whether these bytes are too short for a limit, and free of what is ever replaced."""
    limits = conf.settings()
    # A key with its value takes five bytes at least, a value in a list two.
    return (
        len(raw) < min(5 * limits.MAX_KEYS, 2 * limits.MAX_NODES)
        and b"\\u" not in raw
        and raw.count(b"{") + raw.count(b"[") <= limits.MAX_DEPTH
        and _NINETEEN_DIGITS not in raw.translate(_DIGITS)
        and not _has_long_key(raw, limits.MAX_KEY_BYTES)
    )


def _has_long_key(raw: bytes, limit: int) -> bool:
    """Say whether a key may be too long: whether a text that long is followed by a colon."""
    if b'\\"' in raw:
        # An escaped quote hides where a text ends.
        return True
    texts = raw.translate(_QUOTES)
    at = texts.find(b"x" * (limit + 1))
    while at >= 0:
        end = raw.find(b'"', at)
        after = raw[end + 1 : end + 65].lstrip()
        if end < 0 or not after or after.startswith(b":"):
            return True
        at = texts.find(b"x" * (limit + 1), end)
    return False


def encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _read_tolerantly(raw: bytes, complaint: str) -> Any:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"The body is not UTF-8: byte {error.start} cannot be read."
        raise Unreadable(message) from None
    if _depth(raw) > HARD_DEPTH:
        raise Unreadable(f"The JSON is nested more than {HARD_DEPTH} levels deep.")
    try:
        return json.loads(text, parse_int=_integer, parse_constant=_constant)
    except (ValueError, RecursionError):
        raise Unreadable(f"The body is not valid JSON: {complaint}.") from None


def _depth(raw: bytes) -> int:
    deepest = depth = 0
    for token in _OPENING.finditer(raw):
        mark = token.group()[:1]
        if mark in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > HARD_DEPTH:
                break
        elif mark in b"]}":
            depth -= 1
    return deepest


def _integer(digits: str) -> int:
    # Python refuses to read thousands of digits. Forty are enough for the cleaner to refuse it.
    return int(digits[:40])


def _constant(name: str) -> float:
    return math.nan


class _Cleaner:
    def __init__(self) -> None:
        self.limits = conf.settings()
        self.nodes = 0
        self.warnings: set[str] = set()

    def clean(self, value: Any) -> Cleaned:
        return Cleaned(self._walk(value, 1), sorted(self.warnings))

    def _walk(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return self._text(value)
        if kind is dict or kind is list:
            self._count(len(value), depth)
            if kind is list:
                return [self._walk(item, depth + 1) for item in value]
            if len(value) > self.limits.MAX_KEYS:
                raise Unstorable("too_many_keys", f"More than {self.limits.MAX_KEYS} keys.")
            return {self._key(key): self._walk(item, depth + 1) for key, item in value.items()}
        if kind is int:
            if value not in _INT64:
                raise Unstorable("integer_too_large", "An integer does not fit 64 bits.")
        elif kind is float:
            return self._number(value)
        return value

    def _count(self, size: int, depth: int) -> None:
        self.nodes += size
        if depth > self.limits.MAX_DEPTH:
            raise Unstorable("too_deep", f"Nested more than {self.limits.MAX_DEPTH} levels deep.")
        if self.nodes > self.limits.MAX_NODES:
            raise Unstorable("too_many_nodes", f"More than {self.limits.MAX_NODES} values.")

    def _key(self, key: str) -> str:
        if key.isascii() and len(key) <= self.limits.MAX_KEY_BYTES and "\x00" not in key:
            return key
        if len(key.encode("utf-8", "replace")) > self.limits.MAX_KEY_BYTES:
            limit = self.limits.MAX_KEY_BYTES
            raise Unstorable("key_too_long", f"A key is longer than {limit} bytes.")
        return self._text(key)

    def _text(self, text: str) -> str:
        if text.isascii() and "\x00" not in text:
            return text
        cleaned = _SURROGATE.sub("\ufffd", text.replace("\x00", "\ufffd"))
        if cleaned != text:
            self.warnings.add("Characters that cannot be stored were replaced by U+FFFD.")
        return cleaned

    def _number(self, value: float) -> float | None:
        if math.isfinite(value):
            return value
        self.warnings.add("A number that is not finite was stored as null.")
        return None


def rewrite(value: Any) -> bytes:
    """Write a tolerantly read value as JSON again, so that one item of a batch can stand alone."""
    return json.dumps(value, ensure_ascii=True).encode()
