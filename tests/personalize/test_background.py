"""What runs beside the calls: retention, catching up with the clock, rebuilding, device facts."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from personalize import execution, tasks
from personalize.devices import device
from personalize.models import Execution, ExitCount, Flow
from personalize.types import FlowRequest
from tests.conftest import Database
from tests.factories import BrowserFactory, FlowFactory
from tracking import clients
from tracking import tasks as tracking_tasks
from tracking.models import Client, Event, Session

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(shop: Client) -> Execution:
    """A run of a live flow, and a call that its audience kept out."""
    browser = BrowserFactory.create(guest__client=shop)
    FlowFactory.create(client=shop, name="Hero", live=True)
    FlowFactory.create(client=shop, name="Closed", live=True, allocation=0)
    for name in ("hero", "closed"):
        request = FlowRequest(friendly_id=name, browser_id=browser.value)
        execution.execute(request, clients.load(shop), now=timezone.now())
    return Execution.objects.get()


def test_purge__of_old_executions_and_counts__keeps_the_young(
    database: Database, run: Execution
) -> None:
    tasks.purge()
    assert (Execution.objects.count(), ExitCount.objects.count()) == (1, 1)

    Execution.objects.update(occurred_at=timezone.now() - timedelta(days=91))
    ExitCount.objects.update(day=timezone.now().date() - timedelta(days=91))
    tasks.purge()

    assert (Execution.objects.count(), ExitCount.objects.count()) == (0, 0)
    assert Event.objects.filter(type="TRACKING").exists()


def test_rebuild_command__writes_executions_again_and_says_how_many(
    database: Database, run: Execution
) -> None:
    Execution.objects.all().delete()
    out = StringIO()

    call_command("rebuild_executions", stdout=out, stderr=StringIO())

    assert Execution.objects.get().ref == run.ref
    assert "1 executions" in out.getvalue()


def test_background_tasks__with_nothing_to_do__do_nothing(
    database: Database, run: Execution
) -> None:
    before = (Event.objects.count(), Session.objects.open().count(), Flow.objects.count())

    tracking_tasks.process_inbox()
    tracking_tasks.sweep_inbox()
    tracking_tasks.close_idle_sessions()
    tracking_tasks.purge()
    tasks.catch_up()

    after = (Event.objects.count(), Session.objects.open().count(), Flow.objects.count())
    assert after == before


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Mobile/15E148 Safari", "mobile"),
        ("Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/126.0 Mobile Safari/537.36", "mobile"),
        ("Mozilla/5.0 (Linux; Android 14; SM-X710) Chrome/126.0 Safari/537.36", "tablet"),
        ("Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) Mobile/15E148 Safari", "tablet"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126.0 Safari/537.36", "desktop"),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/126.0", "bot"),
        ("Googlebot/2.1 (+http://www.google.com/bot.html)", "bot"),
        ("node", "unknown"),
        ("", "unknown"),
    ],
)
def test_device__of_a_user_agent__is_its_kind(agent: str, kind: str) -> None:
    assert device(agent) == kind
