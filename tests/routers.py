"""Sends every query of a test to the database that the test chose."""

from typing import Any

DEFAULT = "default"

# A module global, not a context variable: threads that a test starts must follow it too.
_alias = DEFAULT


def select(alias: str) -> None:
    """Route everything to this alias from now on; only the fixtures in conftest.py call it."""
    global _alias
    _alias = alias


class SelectedDatabaseRouter:
    """The router of project.settings.test: one answer for all models and instances."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return _alias

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return _alias

    def allow_relation(self, obj1: Any, obj2: Any, **hints: Any) -> bool:
        return True
