"""
What a decision table costs to ask, beside a loop over its rows.

Tables of 10, 100 and 1,000 rows are asked for guests of all kinds, in this
process alone: no server and no database takes part.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from personalize import conditions, decisions
from personalize.conditions import Facts
from tests.benchmarks import report
from tests.benchmarks.report import Goal
from tests.benchmarks.run import Run

_ROWS = (10, 100, 1000)
_COUNTRIES = [f"C{number}" for number in range(50)]
_TIERS = ["gold", "silver", "bronze"]
_ASKED = 2000
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_DECIDE_US = Goal(100, is_least=False)
_REVIEW_MS = Goal(2000, is_least=False)


def measure(run: Run) -> None:
    """Print microseconds a decision, the ratio to a loop, and what saving a table costs."""
    for rows in _ROWS:
        _measure(rows, rounds=run.rounds)


def _measure(rows: int, *, rounds: int) -> None:
    document, people = _table(rows), _people()
    compiled = decisions.compile(document)
    loop = _loop(document)
    if any(loop(facts) != compiled.decide(facts).rows for facts in people):
        raise AssertionError("the loop and the table disagree")
    figures = report.alternate(
        f"{rows:,} rows",
        {
            "table": lambda: _microseconds(compiled.decide, people),
            "loop": lambda: _microseconds(loop, people),
        },
        rounds=rounds,
    )
    name = f"decide, {rows:,} rows"
    report.figure(name, min(figures["table"]), "us", goal=_DECIDE_US)
    report.ratio(name, figures["loop"], figures["table"], to="a loop over the rows", goal=None)
    saved = _milliseconds(lambda: decisions.review(decisions.compile(document)))
    report.figure(f"check before saving, {rows:,} rows", saved, "ms", goal=_REVIEW_MS)


def _table(rows: int) -> dict[str, Any]:
    """Return a table in which one row hits at most, and which covers few of the guests."""
    cells = itertools.product(_COUNTRIES, range(0, 40, 2), _TIERS)
    return {
        "hitPolicy": "UNIQUE",
        "inputs": [
            {"field": "guest.country"},
            {"field": "session.views"},
            {"field": "guest.attributes.tier"},
        ],
        "outputs": [{"name": "discount", "type": "NUMBER", "default": 0}],
        "rows": [
            {
                "when": [
                    {"operator": "is", "value": country},
                    {"operator": "between", "value": [views, views + 1]},
                    {"operator": "is", "value": tier},
                ],
                "then": {"discount": at},
            }
            for at, (country, views, tier) in enumerate(itertools.islice(cells, rows))
        ],
    }


def _people() -> list[Facts]:
    return [
        decisions.facts_of(
            {
                "guest.country": _COUNTRIES[at * 7 % len(_COUNTRIES)],
                "session.views": at * 11 % 40,
                "guest.attributes.tier": _TIERS[at % len(_TIERS)],
            },
            now=_NOW,
        )
        for at in range(_ASKED)
    ]


def _loop(document: dict[str, Any]) -> Callable[[Facts], tuple[int, ...]]:
    fields = [column["field"] for column in document["inputs"]]
    tests = [
        conditions.compile(
            {"all": [{"field": f, **cell} for f, cell in zip(fields, row["when"], strict=True)]}
        ).matches
        for row in document["rows"]
    ]

    def hits(facts: Facts) -> tuple[int, ...]:
        return tuple(number for number, test in enumerate(tests, start=1) if test(facts))

    return hits


def _microseconds(ask: Callable[[Facts], object], people: Sequence[Facts]) -> float:
    started = time.perf_counter()
    for facts in people:
        ask(facts)
    return (time.perf_counter() - started) / len(people) * 1e6


def _milliseconds(do: Callable[[], object]) -> float:
    started = time.perf_counter()
    do()
    return (time.perf_counter() - started) * 1e3
