"""What a host is told at start-up, before its first visitor finds out."""

from typing import Any

import pytest

import personalize.checks
import tracking.checks


class ElsewhereRouter:
    """Keeps the models of one app in another database than all others."""

    app = ""

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "postgres" if model._meta.app_label == self.app else "default"

    db_for_read = db_for_write


class UsersElsewhere(ElsewhereRouter):
    app = "auth"


class FlowsElsewhere(ElsewhereRouter):
    app = "personalize"


def found() -> list[str]:
    messages = [
        *tracking.checks.check_settings(),
        *tracking.checks.check_site(),
        *personalize.checks.check_settings(),
        *personalize.checks.check_router(),
    ]
    return [str(message.id) for message in messages]


def test_checks__of_the_demo_site__find_nothing() -> None:
    assert found() == []


def test_checks__without_time_zones__are_an_error(settings: Any) -> None:
    settings.USE_TZ = False

    assert found() == ["tracking.E004"]


@pytest.mark.parametrize(
    ("router", "said"), [(UsersElsewhere, "tracking.E005"), (FlowsElsewhere, "personalize.E001")]
)
def test_checks__with_a_router_that_parts_what_belongs_together__are_an_error(
    settings: Any, router: type[ElsewhereRouter], said: str
) -> None:
    settings.DATABASE_ROUTERS = [router()]

    assert found() == [said]


def test_checks__with_settings_nobody_knows__warn_of_them(settings: Any) -> None:
    settings.TRACKING = {"DISPATCH": "pigeon", "MAX_EVENTS": 1}
    settings.PERSONALIZE = {"DEADLINE": 1}

    assert found() == ["tracking.W001", "tracking.E001", "personalize.W001"]
