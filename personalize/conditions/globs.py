"""Globs in time linear in the text, whatever the pattern: no regular expressions involved."""

from __future__ import annotations

from collections.abc import Callable

MAX_PATTERN = 500
MAX_SUBJECT = 8192


def compile_glob(pattern: str) -> Callable[[str], bool]:
    """
    Return a matcher of whole texts: `*` is any run of characters, `?` exactly one.

    There are no escapes and no character classes. Texts longer than MAX_SUBJECT do not match.
    """
    if "?" in pattern:
        return _automaton(pattern)
    return _segments(pattern)


def _segments(pattern: str) -> Callable[[str], bool]:
    """Without `?` the parts between stars are searched for, leftmost first: that is never wrong."""
    first, *rest = pattern.split("*")
    if not rest:
        return lambda text: text == pattern
    *middle, last = rest
    middle = [part for part in middle if part]
    least = len(first) + len(last)

    def match(text: str) -> bool:
        if not least <= len(text) <= MAX_SUBJECT:
            return False
        if not (text.startswith(first) and text.endswith(last)):
            return False
        position, end = len(first), len(text) - len(last)
        for part in middle:
            position = text.find(part, position, end)
            if position < 0:
                return False
            position += len(part)
        return True

    return match


def _automaton(pattern: str) -> Callable[[str], bool]:
    """
    Follow every way to match at once, one bit per way.

    The two-pointer matcher is quadratic on patterns like `*a?a?a?b`; this one does the same
    few operations for every character of the text.
    """
    tokens = pattern.replace("*", "")
    stars, any_char = 0, 0
    chars: dict[str, int] = {}
    position = 0
    for token in pattern:
        if token == "*":
            stars |= 1 << position
            continue
        if token == "?":
            any_char |= 1 << position
        else:
            chars[token] = chars.get(token, 0) | 1 << position
        position += 1
    masks = {char: mask | any_char for char, mask in chars.items()}
    accept = 1 << len(tokens)

    def match(text: str) -> bool:
        if len(text) > MAX_SUBJECT:
            return False
        state = 1
        for char in text:
            state = ((state & masks.get(char, any_char)) << 1) | (state & stars)
            if not state:
                return False
        return bool(state & accept)

    return match
