"""PURE. Friendly ids: what calls name flows and decision models by, made from any name."""

import re
import unicodedata
from collections.abc import Collection

MAX_LENGTH = 100
#: What an id has to be, for whoever chose one that is not.
RULE = f"A friendly ID has lowercase letters, digits and underscores, {MAX_LENGTH} at most."

_VALID = re.compile(r"[a-z0-9_]+")


def from_name(name: str, *, fallback: str) -> str:
    """
    Make an id from any name: lower case, accents folded, signs dropped, spaces to underscores.

    A name that leaves nothing gives the fallback, so that there always is one.
    """
    folded = unicodedata.normalize("NFKD", name.casefold())
    plain = folded.encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", re.sub(r"['’`]", "", plain).replace("_", " "))
    return "_".join(words)[:MAX_LENGTH].strip("_") or fallback


def first_free(wanted: str, taken: Collection[str]) -> str:
    """Return the id, or the first free of `_2`, `_3`, ..."""
    if wanted not in taken:
        return wanted
    number = 2
    while f"{wanted}_{number}" in taken:
        number += 1
    return f"{wanted}_{number}"


def is_valid(text: str) -> bool:
    """Say whether an id that was chosen by hand can be one."""
    return _VALID.fullmatch(text) is not None and len(text) <= MAX_LENGTH
