"""Refuses every way out of the machine, so that no test can depend on the outside."""

import ipaddress
import os
import sys
from typing import Any
from urllib.parse import urlsplit

# Servers that the person running the tests named are theirs to place anywhere.
_NAMED = ("TEST_DATABASE_URL", "TEST_REDIS_URL")


class NetworkRefused(Exception):
    """A test tried to leave the machine. Not an OSError, so that no retry loop swallows it."""


def guard() -> None:
    """Refuse connections and look-ups beyond loopback; conftest.py calls it once per process."""
    given = {urlsplit(os.environ[name]).hostname for name in _NAMED if os.environ.get(name)}
    if given - {None, "localhost"} and not all(_is_loopback(host) for host in given if host):
        # Their addresses are known only by a look-up, which is what would be refused.
        return
    sys.addaudithook(_refuse)


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        # A Unix socket's address is a path; an unnamed datagram's is None.
        target = args[1][0] if isinstance(args[1], tuple) else None
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        target = args[0]
    else:
        return
    if isinstance(target, bytes):
        target = target.decode()
    if isinstance(target, str) and target and not _is_loopback(target):
        raise NetworkRefused(f"tests stay on this machine: {event} {target!r}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
