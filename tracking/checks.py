"""System checks: what a host got wrong, found at start-up rather than at the first visitor."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections, router

from tracking import conf, db, geo

_MODES = ("celery", "inline", "worker")


@register()
def check_settings(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Unknown keys and impossible values in TRACKING."""
    given = conf.settings.given()
    found: list[CheckMessage] = [
        Warning(
            f"TRACKING has an unknown key: {key}.",
            hint=f"Known keys: {', '.join(sorted(conf.settings.known_keys()))}.",
            id="tracking.W001",
        )
        for key in conf.settings.unknown_keys()
    ]
    if given.get("DISPATCH", "celery") not in _MODES:
        found.append(
            Error(
                f"TRACKING['DISPATCH'] is {given['DISPATCH']!r}.",
                hint=f"One of {', '.join(_MODES)}.",
                id="tracking.E001",
            )
        )
    path = conf.settings().GEO_DATABASE
    if path and (problem := geo.problem_of(path)):
        found.append(
            Error(
                f"TRACKING['GEO_DATABASE'] cannot be read: {problem}.",
                hint="Name an .mmdb file, and install django-personalize[geo].",
                id="tracking.E006",
            )
        )
    return found


@register()
def check_site(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Settings of the whole site that the app cannot live with."""
    found: list[CheckMessage] = []
    if not settings.USE_TZ:
        found.append(
            Error(
                "USE_TZ is False: times of events would be compared across time zones.",
                hint="Set USE_TZ = True.",
                id="tracking.E004",
            )
        )
    users = router.db_for_write(get_user_model())
    if users != db.alias():
        found.append(
            Error(
                f"The app lives in the database “{db.alias()}”, the site's users in “{users}”.",
                hint="Guests point to users: let the router give the app the users' database.",
                id="tracking.E005",
            )
        )
    return found


@register(Tags.database)
def check_database(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Whether the database can do what the walk rests on."""
    alias = db.alias()
    if not databases or alias not in databases:
        return []
    connection = connections[alias]
    if connection.vendor == "postgresql":
        return []
    if connection.vendor != "sqlite":
        return [
            Error(
                f"The database “{alias}” is {connection.vendor}.",
                hint="Use PostgreSQL 14 or newer, or SQLite.",
                id="tracking.E002",
            )
        ]
    found: list[CheckMessage] = []
    if sqlite3.sqlite_version_info < (3, 35):
        found.append(
            Error(
                f"SQLite is {sqlite3.sqlite_version}; RETURNING needs 3.35.",
                hint="Use a Python built with a newer SQLite, or PostgreSQL.",
                id="tracking.E003",
            )
        )
    options = connection.settings_dict.get("OPTIONS", {})
    if options.get("transaction_mode") != "IMMEDIATE":
        found.append(
            Warning(
                "SQLite transactions do not begin with the write lock.",
                hint="Set OPTIONS['transaction_mode'] = 'IMMEDIATE' for this database, and "
                "'PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL' as its init_command.",
                id="tracking.W002",
            )
        )
    return found
