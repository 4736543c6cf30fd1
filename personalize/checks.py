"""System checks of the PERSONALIZE settings."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Warning, register

from personalize import conf


@register()
def check_settings(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Unknown keys in PERSONALIZE."""
    known = {field.name for field in fields(conf.Settings)}
    return [
        Warning(
            f"PERSONALIZE has an unknown key: {key}.",
            hint=f"Known keys: {', '.join(sorted(known))}.",
            id="personalize.W001",
        )
        for key in sorted(set(conf.host_settings()) - known)
    ]
