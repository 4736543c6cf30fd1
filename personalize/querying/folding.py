"""
PURE. What upper and lower case spellings a text has: case folding, put as replacements.

Databases do not fold as Unicode does. What is compared with a text is therefore folded only as
far as it matters: characters that fold to something with a character of that text in it.
"""

import sys
from collections.abc import Iterable
from functools import cache


@cache
def _by_folded() -> dict[str, list[str]]:
    """Return each character of a folded text -> the characters that fold to something with it."""
    found: dict[str, list[str]] = {}
    # ASCII is left to lower(), which both databases have.
    for char in map(chr, range(128, sys.maxunicode + 1)):
        folded = char.casefold()
        if folded != char:
            for each in set(folded):
                found.setdefault(each, []).append(char)
    return found


def replacements(folded: Iterable[str]) -> list[tuple[str, str]]:
    """
    Return (character, what it folds to) of all that could make a text be, or have, one of these.

    A text whose ASCII is in lower case and in which these are replaced has, starts with, ends
    with or is a folded text exactly when its own folding does: what is left as it was has no
    character in common with it, and what replaces is never replaced again.
    """
    by_folded = _by_folded()
    chars = {char for text in folded for char in text}
    found = {source for char in chars for source in by_folded.get(char, ())}
    return [(source, source.casefold()) for source in sorted(found)]


def is_storable(text: str) -> bool:
    """Say whether a database could hold this text: not with NUL or half a surrogate pair in it."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def spells_no_number(text: str) -> bool:
    """Say whether no number, written as text, has this in it."""
    return bool(set(text) - set("0123456789.+-e"))
