"""`manage.py demo --once`, run as its reader runs it: a process on an empty database."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from project.demo import history, payloads
from project.demo.api import Answer, Api
from project.demo.journey import Journey
from tests.services import ROOT


def run_demo(database: Path) -> "subprocess.CompletedProcess[str]":
    env = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    env["DATABASE_URL"] = f"sqlite:///{database}"
    return subprocess.run(
        [sys.executable, "manage.py", "demo", "--once"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
def test_demo__on_an_empty_database_and_again__answers_everything_right(tmp_path: Path) -> None:
    first = run_demo(tmp_path / "demo.sqlite3")
    again = run_demo(tmp_path / "demo.sqlite3")

    assert first.returncode == 0, first.stdout + first.stderr
    assert "5000 events sent, 200 guests in all" in first.stdout
    event, answer = documents(first.stdout)
    assert payloads.form_of(event) == payloads.TRACKING_FORM
    assert event["arbitraryData"]["flowExecution"]["flowFriendlyId"] == "running_shoes_popup_02"
    assert answer["title"] == "Still deciding, Ada?"
    assert again.returncode == 0, again.stdout + again.stderr
    assert " 0 events sent" in again.stdout


def test_journey__with_a_server_that_answers_nonsense__counts_what_is_wrong_to_the_end() -> None:
    class Nonsense(Api):
        def _call(self, *args: Any, **kwargs: Any) -> Answer:
            return Answer(500, "<h1>Server Error</h1>", 1.0)

    told: list[str] = []
    journey = Journey(Nonsense(host="-", port=0, client_key="k", api_token="t"), told.append)

    journey.walk()

    assert journey.calls == 47
    assert len(journey.wrong) > journey.calls
    assert any(line.startswith("  WRONG: Expected status 200") for line in told)


def documents(output: str) -> list[dict[str, Any]]:
    """Return the JSON documents printed between the lines."""
    found, rest = [], output
    while (start := rest.find("\n{\n")) >= 0:
        document, length = json.JSONDecoder().raw_decode(rest[start + 1 :])
        found.append(document)
        rest = rest[start + 1 + length :]
    return found


def test_history__made_twice__is_the_same_5000_events() -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)

    first, second = history.batches(now=now), history.batches(now=now)

    events = [event for batch in first for event in batch.events]
    assert first == second
    assert len(events) == 5000
    assert len({event["messageId"] for event in events}) == 5000
    assert len({event["messageId"].split("-")[1] for event in events}) == 200
    oldest = min(event["occurredAt"] for event in events)
    assert datetime(2025, 12, 1, tzinfo=UTC) < datetime.fromisoformat(oldest) < now
