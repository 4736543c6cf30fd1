"""Why a flow was shown, in the admin: the page of a run, the ways to it, and who may see it."""

from html import unescape

import pytest
from django.contrib.auth.models import Group
from django.test import Client as Browser
from django.urls import reverse

from personalize.models import DecisionRecord, Execution
from tests.api import Api
from tests.conftest import Database
from tests.journeys.test_decision_records import (
    IRISH,
    LOOKED,
    ON_SHOES,
    ada,
    call,
    make_flow,
    make_table,
)
from tests.tracking.test_admin import staff, superuser
from tracking.models import Client, Event

__all__ = ["ada"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(api: Api, ada: str) -> Execution:
    """A run of an experiment, after another flow was passed by."""
    make_table(api)
    make_flow(api, "Offer 1", pageTargeting=ON_SHOES)
    make_flow(api, "Offer 2", audience={"all": [IRISH, LOOKED]}, decisionModel="rate")
    call(api, "offer*", ada, page="/<hats>")
    return Execution.objects.select_related("flow", "guest").get()


def page(browser: Browser, address: str) -> str:
    response = browser.get(address)
    assert response.status_code == 200
    return response.content.decode()


def why(run: Execution) -> str:
    return reverse("admin:personalize_execution_change", args=[run.pk])


def test_why_page__of_a_run__says_in_words_and_as_a_tree_what_held_and_what_would_be_now(
    database: Database, api: Api, ada: str, run: Execution
) -> None:
    api.json(api.identify(ada, ("EMAIL", "ada@example.com"), country="DE"))

    raw = page(superuser(), why(run))
    html = unescape(raw)

    assert "“Offer 2” was shown because Guest country “IE” is “IE” and VIEW happened 3" in html
    assert "“Offer 2” would not be shown (AUDIENCE): Guest country is “DE”" in html
    assert html.count('class="pz-told-yes"') == 4
    assert html.count('class="pz-told-no"') == 2
    assert "“Offer 1” was not shown (PAGE): Page is “/<hats>”" in html
    assert "<hats>" not in raw
    assert "Session views 3 is at least 3" in html
    assert "the same" in html
    assert "falls in" in html


def test_why_page__once_the_record_is_gone__says_so(on_sqlite: Database, run: Execution) -> None:
    DecisionRecord.objects.all().delete()

    html = page(superuser(), why(run))

    assert "The record of this run is not kept any more" in html


def test_why_page__is_linked_from_the_guest_the_event_and_the_flow(
    on_sqlite: Database, run: Execution
) -> None:
    browser = superuser()
    event = Event.objects.get(type="TRACKING")
    places = [
        reverse("admin:tracking_event_change", args=[event.pk]),
        reverse("admin:tracking_guest_change", args=[run.guest_id]),
        reverse("admin:tracking_session_change", args=[run.session_id]),
        reverse("admin:personalize_experiment_change", args=[run.flow_id]),
        reverse("admin:personalize_execution_changelist") + f"?flow={run.flow_id}",
        reverse("admin:personalize_execution_changelist") + f"?q={run.flow.friendly_id}",
    ]

    for place in places:
        assert why(run) in page(browser, place), place


def test_why_page__is_for_staff_who_may_view_executions_of_its_client(
    on_sqlite: Database, run: Execution, shop: Client
) -> None:
    flow_page = reverse("admin:personalize_experiment_change", args=[run.flow_id])
    marketer = staff("personalize.view_experiment")
    assert marketer.get(why(run)).status_code == 403
    assert why(run) not in page(marketer, flow_page)
    shop.staff_groups.add(Group.objects.create(name="Shop team"))
    stranger = staff("personalize.view_execution")

    assert stranger.get(why(run)).status_code == 302
