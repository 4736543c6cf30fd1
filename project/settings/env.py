"""What the settings modules read from the environment; none of it has to be there."""

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

ENGINES = {
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
    "sqlite": "django.db.backends.sqlite3",
}

# A write transaction takes the lock at its start (IMMEDIATE), so that two writers wait for each
# other instead of failing half-way; WAL lets readers go on meanwhile; FULL keeps what a 2xx
# promised through a power cut.
SQLITE_OPTIONS: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
    "timeout": 20,
}

# A connection (CONN_MAX_AGE) and its plans are kept: opening one and planning anew for each
# request costs more than the statements do. Behind a transaction-mode pooler, turn both off.
POSTGRES_OPTIONS: dict[str, Any] = {"server_side_binding": True, "prepare_threshold": 2}


def flag(name: str, *, default: bool) -> bool:
    """Read a yes-or-no variable; anything but 1, true, yes or on means no."""
    value = os.environ.get(name)
    return default if not value else value.strip().lower() in {"1", "true", "yes", "on"}


def words(name: str, *, default: str = "") -> list[str]:
    """Read a comma-separated variable, without the empty pieces."""
    pieces = (piece.strip() for piece in os.environ.get(name, default).split(","))
    return [piece for piece in pieces if piece]


def database_from_url(url: str) -> dict[str, Any]:
    """
    Translate `postgresql://user:password@host:port/name?option=value` into a DATABASES entry.

    `sqlite:///relative.db` and `sqlite:////absolute.db` work too; the settings modules call it.
    """
    parts = urlsplit(url)
    if parts.scheme not in ENGINES:
        raise ValueError(f"DATABASE_URL must begin with one of {sorted(ENGINES)}: {parts.scheme!r}")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    entry = {"ENGINE": ENGINES[parts.scheme], "NAME": unquote(parts.path[1:])}
    if parts.scheme == "sqlite":
        if "timeout" in options:
            options["timeout"] = float(options["timeout"])
        return {**entry, "OPTIONS": SQLITE_OPTIONS | options}
    return {
        **entry,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": None,
        "OPTIONS": POSTGRES_OPTIONS | options,
    }


def stored_secret_key(path: Path) -> str:
    """
    Make a secret key once and keep it in a file, so that sessions survive a restart.

    The settings call it when SECRET_KEY is not given: no key is ever shared or committed.
    """
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(48))
        try:
            # Several processes may start at once: the first link wins, and all read the winner's.
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text().strip()
