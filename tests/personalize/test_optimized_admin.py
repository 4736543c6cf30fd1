"""Optimized traffic in the admin: who sets the weights, how they stand and how they moved."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from personalize import definitions, optimizing
from personalize.attribution import numbers
from personalize.goals.types import MICROS
from personalize.models import DailyNumbers, Flow, FlowRevision
from tests.conftest import Database
from tests.personalize.test_admin import act, experience, posted, save
from tests.personalize.test_traffic_admin import told
from tests.tracking.test_admin import ATTACK, page, superuser
from tracking.models import Client

pytestmark = pytest.mark.django_db

GOAL = definitions.GoalValues(
    name="Signed up", document={"kind": "EVENT", "event": {"type": "SIGNUP"}, "unit": "GUEST"}
)
CountQueries = Callable[[], CaptureQueriesContext]


def bandit(client: Client, **values: Any) -> Flow:
    variants = [
        definitions.VariantValues(name="Plain", is_control=True),
        definitions.VariantValues(name=f"Loud {ATTACK}"),
    ]
    whole = {"subtype": "EXPERIMENT", "traffic_mode": "OPTIMIZED", "goals": [GOAL], **values}
    return experience(client, "Test", variants=variants, **whole)


def came(flow: Flow, *, phase: int = 1, **guests: tuple[int, int]) -> None:
    """Have so many guests seen a variant, of whom so many came to the goal."""
    refs = {variant.name.split()[0]: variant.ref for variant in flow.variants.all()}
    goal = flow.goals.get()
    day = timezone.now().date()
    for name, (n, reached) in guests.items():
        key = (flow.pk, day, phase, refs[name])
        of_guests = (n, n * MICROS, n * MICROS**2, *([0] * 7))
        of_goal = (reached, reached * MICROS, reached * MICROS**2, *([0] * 7))
        sums = {(*key, numbers.GUESTS): of_guests, (*key, goal.ref): of_goal}
        numbers.add(DailyNumbers, sums)


def weigh(*, hours: float = 7) -> None:
    optimizing.tend(timezone.now() + timedelta(hours=hours))


def test_traffic__optimized_on_the_page__leaves_weights_and_allocation_to_the_results(
    database: Database, shop: Client
) -> None:
    flow = bandit(shop, traffic_mode="UNIQUE", allocation=40)

    answer = save(superuser(), flow, traffic_mode="OPTIMIZED", **{"variants-0-weight": "9"})

    flow = Flow.objects.get(pk=flow.pk)
    assert (flow.traffic_mode, flow.allocation) == ("OPTIMIZED", 100)
    assert [variant.weight for variant in flow.variants.all()] == [50, 50]
    assert "it begins with even weights" in told(answer)


def test_weights__posted_while_results_set_them__change_nothing(
    database: Database, shop: Client
) -> None:
    flow = bandit(shop, status="LIVE")
    came(flow, Plain=(200, 10), Loud=(200, 60))
    html = page(superuser(), "personalize_experiment_change", flow.pk)
    weigh()

    browser = superuser("second")
    browser.post(
        reverse("admin:personalize_experiment_change", args=[flow.pk]),
        posted(html, **{"variants-0-weight": "70"}),
    )

    flow = Flow.objects.select_related("published").get(pk=flow.pk)
    assert [variant.weight for variant in flow.variants.order_by("position")] == [1, 99]
    assert "Unpublished changes" not in page(browser, "personalize_experiment_change", flow.pk)


def test_weights__of_a_running_flow__are_shown_with_their_periods_and_what_came_of_them(
    database: Database, shop: Client
) -> None:
    flow = bandit(shop, status="LIVE")
    came(flow, Plain=(60, 10), Loud=(200, 60))
    browser = superuser()
    html = told(browser.get(reverse("admin:personalize_experiment_change", args=[flow.pk])))
    assert "even until each variant has 100 guests; the fewest so far: 60." in html
    came(flow, Plain=(140, 0), Loud=(0, 0))
    weigh()
    came(flow, phase=2, Plain=(1, 0), Loud=(99, 40))

    html = page(browser, "personalize_experiment_change", flow.pk)

    assert "Next look at the results:" in html
    assert "<strong>99 %</strong>" in html
    assert "over 99.9 %" in html
    assert html.count('class="pz-series pz-series-1"') == 2
    assert "99 guests" in html
    assert "In some period" not in html
    assert ATTACK not in html
    assert "the bandit" in html
    revision = page(browser, "personalize_experiment_revision", flow.pk, 2)
    assert "published by the bandit" in revision
    assert "weights 50/50 → 1/99" in revision


def test_weights__of_a_period_that_lost_guests__are_warned_of(
    on_sqlite: Database, shop: Client
) -> None:
    flow = bandit(shop, status="LIVE")
    came(flow, Plain=(120, 10), Loud=(300, 60))

    html = page(superuser(), "personalize_experiment_change", flow.pk)

    assert "In some period the variants have other numbers of guests" in html
    assert "guests do not fit" in html


@pytest.mark.parametrize(
    ("hours", "status", "words"),
    [
        (0, "LIVE", 'Weights stay as they are: PERSONALIZE["BANDIT_HOURS"] is 0.'),
        (6, "PAUSED", "It does not run now, so its weights stay as they are."),
    ],
)
def test_weights__that_nothing_moves__say_why(
    on_sqlite: Database, shop: Client, settings: Any, hours: float, status: str, words: str
) -> None:
    settings.PERSONALIZE = {"BANDIT_HOURS": hours}
    flow = bandit(shop, status="LIVE")
    Flow.objects.filter(pk=flow.pk).update(status=status)

    address = reverse("admin:personalize_experiment_change", args=[flow.pk])

    assert words in told(superuser().get(address))


def test_page__of_many_periods__costs_as_many_queries_as_of_one(
    on_sqlite: Database, shop: Client, count_queries: CountQueries
) -> None:
    flow = bandit(shop, status="LIVE")
    browser = superuser()
    page(browser, "personalize_experiment_change", flow.pk)
    with count_queries() as first:
        page(browser, "personalize_experiment_change", flow.pk)
    for phase in range(1, 6):
        reached = (60, 10) if phase % 2 else (10, 90)
        came(flow, phase=phase, Plain=(200, reached[0]), Loud=(200, reached[1]))
        weigh(hours=7 * phase)
    assert FlowRevision.objects.filter(flow=flow).count() > 2

    with count_queries() as many:
        page(browser, "personalize_experiment_change", flow.pk)

    assert len(many) == len(first)


def test_publish__without_a_goal_that_sums_tell__is_refused_in_words(
    on_sqlite: Database, shop: Client
) -> None:
    flow = bandit(shop, goals=[])

    answer = act(superuser(), flow, "go_live")

    assert "An optimized experiment needs a goal: the first one sets its weights." in told(answer)
    assert Flow.objects.get(pk=flow.pk).status == "DRAFT"


def test_experience__has_no_results_that_could_set_weights(
    on_sqlite: Database, shop: Client
) -> None:
    flow = experience(shop)

    html = page(superuser(), "personalize_experience_change", flow.pk)
    save(superuser("second"), flow, traffic_mode="OPTIMIZED")

    assert "OPTIMIZED" not in html
    assert Flow.objects.get(pk=flow.pk).traffic_mode == "UNIQUE"
