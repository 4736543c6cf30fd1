"""UUIDs that sort by time (RFC 9562, version 7): refs of inbox entries and of their events."""

import hashlib
import os
from datetime import datetime
from uuid import UUID


def at(moment: datetime) -> UUID:
    """Return a new UUIDv7 of this moment, to the microsecond, the rest random."""
    return _build(moment, os.urandom(8))


def child(parent: UUID, index: int) -> UUID:
    """
    Return the ref of the index-th message of an entry.

    Always the same for the same entry and index, and right behind its
    siblings in order: a retry or a replay gives the same refs, and the door
    can answer a ref before the worker has seen the message.
    """
    head = parent.int >> 64
    digest = hashlib.blake2b(parent.bytes + index.to_bytes(4, "big"), digest_size=4).digest()
    tail = (0b10 << 62) | ((index & 0x3FFFFFFF) << 32) | int.from_bytes(digest, "big")
    return UUID(int=(head << 64) | tail)


def _build(moment: datetime, random: bytes) -> UUID:
    micros = int(moment.timestamp() * 1_000_000)
    millis, rest = divmod(micros, 1000)
    # RFC 9562, 6.2 method 3: the 12 bits after the version hold the fraction of the millisecond.
    fraction = rest * 4096 // 1000
    tail = (0b10 << 62) | (int.from_bytes(random, "big") >> 2)
    return UUID(int=(millis << 80) | (7 << 76) | (fraction << 64) | tail)
