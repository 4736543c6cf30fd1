"""
Regular expressions in time linear in the text, by RE2: none without it (the extra `regex`).

Python's own engine takes exponential time over some patterns, so it is never used.
"""

from __future__ import annotations

from collections.abc import Callable

from personalize.conditions.globs import MAX_PATTERN, MAX_SUBJECT

try:
    import re2
except ImportError:
    HAS_REGEX = False
else:
    HAS_REGEX = True

# Of a compiled pattern: what repeats itself a thousand times is refused.
_MOST_BYTES = 1 << 20


class PatternInvalid(ValueError):
    """A pattern cannot be used; the text says why, to whoever wrote it."""


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """
    Return what finds the pattern anywhere in a text, whatever its case.

    Texts longer than MAX_SUBJECT do not match. Raises PatternInvalid.
    """
    if not HAS_REGEX:
        raise PatternInvalid(
            "the extra “regex” to be installed; “matches” takes * and ? without it"
        )
    if len(pattern) > MAX_PATTERN:
        raise PatternInvalid(f"a pattern of at most {MAX_PATTERN} characters")
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _MOST_BYTES
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        raise PatternInvalid(f"a regular expression that RE2 can run: {_words(error)}") from None
    return lambda text: len(text) <= MAX_SUBJECT and compiled.search(text) is not None


def _words(error: Exception) -> str:
    given = error.args[0] if error.args else ""
    return given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given)
