"""The trial of the whole path: what results say of guests whose truth is known."""

import json
from collections import defaultdict
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from personalize.analytics import results
from personalize.attribution import rebuilding
from personalize.goals.types import MICROS
from personalize.models import Assignment, DailyNumbers, Flow, GuestGoal
from personalize.statistics.samples import Sample
from tests.conftest import Database, StartServer

pytestmark = pytest.mark.django_db(transaction=True)


def values(flow: Flow, measure: UUID) -> dict[UUID, list[float]]:
    """Return what every guest of each variant came to, one by one."""
    totals = dict(GuestGoal.objects.filter(flow=flow, measure=measure).values_list("guest", "y"))
    found = defaultdict(list)
    for guest, variant in Assignment.objects.filter(flow=flow).values_list("guest", "variant_ref"):
        found[variant].append(totals.get(guest, 0) / MICROS)
    return found


def test_simulate_experiment__some_guests__reports_what_the_guests_did(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    # What is compiled in this process goes by refs, which follow from the seed.
    seed = {"sqlite": "101", "postgresql": "102"}[database.vendor]
    options = ("--guests", "120", "--lift", "0.5", "--seed", seed, "--json")
    call_command("simulate_experiment", *options)

    *said, last = capsys.readouterr().out.splitlines()
    report = json.loads(last)
    assert {"true_lift", "interval", "chance_to_win", "verdict", "srm_p"} <= report.keys()
    assert {"aa_verdict", "broken_split_verdict"} <= report.keys()
    assert report["true_lift"] == 0.5
    assert any("120 guests" in line for line in said)
    flow = Flow.objects.get(friendly_id="with_a_lift")
    found = results.of(flow, now=timezone.now())
    assert sum(each.guests for each in found.variants) == 120
    assert found.mixed == 0
    for at, goal in enumerate(found.variants[0].goals):
        by_hand = values(flow, goal.goal.ref)
        for variant in found.variants:
            expected = Sample.of(by_hand[variant.ref])
            shown = variant.goals[at]
            assert shown.total == pytest.approx(sum(by_hand[variant.ref]))
            assert shown.mean == pytest.approx(expected.mean)
    before = list(DailyNumbers.objects.filter(flow=flow).order_by("pk").values_list("sums"))
    rebuilding.rebuild(flow, now=timezone.now())
    assert sorted(before) == sorted(DailyNumbers.objects.filter(flow=flow).values_list("sums"))


def test_simulate_experiment__options_that_make_no_sense__are_refused(database: Database) -> None:
    with pytest.raises(CommandError, match="--guests is 1 or more"):
        call_command("simulate_experiment", "--guests", "0")
    with pytest.raises(CommandError, match="no chance is above 1"):
        call_command("simulate_experiment", "--lift", "20")
    with pytest.raises(CommandError, match="begins with http"):
        call_command("simulate_experiment", "--url", "shop.example")


@pytest.mark.slow
def test_simulate_experiment__against_a_live_server__reports_too(
    on_postgres: Database, http_server: StartServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server = http_server(database_url=on_postgres.url)

    call_command(
        "simulate_experiment", "--guests", "20", "--seed", "103", "--url", server.url, "--json"
    )

    assert json.loads(capsys.readouterr().out.splitlines()[-1])["guests"] == 20


@pytest.mark.slow
def test_simulate_experiment__enough_guests__finds_all_three_out(
    on_sqlite: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("simulate_experiment", "--guests", "3000", "--lift", "0.6", "--json")

    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    low, high = report["interval"]
    assert low <= 0.6 <= high
    assert report["verdict"] == "SHIP"
    assert report["broken_split_verdict"] == "UNHEALTHY"
    assert report["aa_verdict"] in ("COLLECTING", "NO_DIFFERENCE")
