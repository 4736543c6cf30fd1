"""System checks: the PERSONALIZE settings, where the app lives, and what the site registered."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import router

from personalize import conf, sources
from tracking import db


@register()
def check_settings(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Unknown keys in PERSONALIZE."""
    return [
        Warning(
            f"PERSONALIZE has an unknown key: {key}.",
            hint=f"Known keys: {', '.join(sorted(conf.settings.known_keys()))}.",
            id="personalize.W001",
        )
        for key in conf.settings.unknown_keys()
    ]


@register()
def check_router(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """One database for both apps: a run and what it counts are written together."""
    alias = router.db_for_write(apps.get_model("personalize", "Flow"))
    if alias == db.alias():
        return []
    return [
        Error(
            f"personalize lives in the database “{alias}”, tracking in “{db.alias()}”.",
            hint="Let the router give both apps the same database.",
            id="personalize.E001",
        )
    ]


@register()
def check_sources(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """What the site's own sources name has to be there."""
    return [
        Error(
            f"The source “{name}” cannot be read. {problem}",
            hint="Correct it where it is registered with personalize.register_source.",
            id="personalize.E002",
        )
        for name, problem in sources.problems()
    ]
