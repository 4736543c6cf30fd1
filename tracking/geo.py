"""
Where an address is, by a database of the site's own (TRACKING["GEO_DATABASE"], an .mmdb file).

Asked by `places`; takes the extra `geo`. The file may be replaced while the site runs, by renaming
another one over it: its time is looked at once a minute.
"""

import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

try:
    import maxminddb
except ImportError:
    HAS_GEO = False
else:
    HAS_GEO = True

logger = logging.getLogger("tracking")

_LOOK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Opened:
    """A database as it was opened: None where it could not be."""

    path: str
    changed_at: float
    looked_at: float
    reader: Any


_opened: _Opened | None = None
_lock = threading.Lock()


def place_of(address: str, path: str) -> dict[str, str]:
    """
    Return the parts of an address's place: city by its English name, region and country by code.

    Empty where the database has nothing of it, or cannot be read: that is logged, once a minute.
    """
    reader = _reader(path)
    try:
        record = reader.get(address) if reader is not None and address else None
    except ValueError:
        # No address of the internet's: a socket's name, say.
        return {}
    return _parts(record) if isinstance(record, Mapping) else {}


def problem_of(path: str) -> str:
    """Return why a database cannot be read, or nothing."""
    if not HAS_GEO:
        return "it takes the extra “geo”, which is not installed"
    try:
        with maxminddb.open_database(path):
            return ""
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        return str(error)


def _reader(path: str) -> Any:
    global _opened
    known, now = _opened, time.monotonic()
    if known is not None and known.path == path and now - known.looked_at < _LOOK_SECONDS:
        return known.reader
    with _lock:
        changed_at = _changed_at(path)
        if known is not None and (known.path, known.changed_at) == (path, changed_at):
            reader = known.reader
        else:
            reader = _open(path)
        _opened = _Opened(path, changed_at, now, reader)
        return reader


def _changed_at(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _open(path: str) -> Any:
    problem = problem_of(path)
    if problem:
        logger.warning("geo.not_readable", extra={"path": path, "error": problem})
        return None
    return maxminddb.open_database(path)


def _parts(record: Mapping[str, Any]) -> dict[str, str]:
    """Read a record as MaxMind's and DB-IP's have it, or a flat one of names and codes."""
    regions = record.get("subdivisions")
    region = regions[0] if isinstance(regions, list) and regions else record.get("region")
    found = {
        "city": _text(record.get("city"), "names", "en"),
        "region": _text(region, "iso_code"),
        "country": _text(record.get("country"), "iso_code"),
    }
    return {part: text for part, text in found.items() if text}


def _text(value: Any, *path: str) -> str:
    if isinstance(value, str):
        return value
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
