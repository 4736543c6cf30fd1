"""When a revision begins a new phase, what it began with, and what of a whole is free."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from personalize import phases, ranges
from personalize.phases import Period
from personalize.ranges import Part


def variant(ref: str, weight: float = 1, **values: Any) -> dict[str, Any]:
    control = {"isControl": ref == "a"}
    return {"ref": ref, "name": ref.upper(), "weight": weight, "content": "{}", **control, **values}


def definition(**values: Any) -> dict[str, Any]:
    return {"allocation": 100, "variants": [variant("a", 50), variant("b", 50)], **values}


ALONE = {"variants": [variant("a")]}
GROUP = {"ref": "g", "name": "Checkout", "low": 0, "high": 50}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {"variants": [variant("a", 80), variant("b", 20)]}, "weights 50/50 → 80/20"),
        ({}, {"variants": [variant("a"), variant("b"), variant("c", 2)]},
         "variants “A” 50 + “B” 50 → “A” 25 + “B” 25 + “C” 50"),
        ({}, {"variants": [variant("a", isControl=False), variant("b", isControl=True)]},
         "control “A” → “B”"),
        ({}, {"variants": [variant("b"), variant("a")]},
         "variants “A” 50 + “B” 50 → “B” 50 + “A” 50"),
        ({}, {"buckets": [1, 60]}, "unique mode → buckets 1–60"),
        ({"buckets": [1, 60]}, {"buckets": [1, 90]}, "buckets 1–60 → buckets 1–90"),
        ({}, {"exclusionGroup": GROUP}, "no exclusion group → 0–50 % of “Checkout”"),
        ({"exclusionGroup": GROUP}, {"exclusionGroup": {**GROUP, "high": 60}},
         "0–50 % of “Checkout” → 0–60 % of “Checkout”"),
        ({}, {"optimized": True}, "weights by hand → weights by the results"),
        (ALONE, {**ALONE, "holdout": 20}, "held out 0 % → 20 %"),
        ({**ALONE, "holdout": 20}, {**ALONE, "holdout": 7.5}, "held out 20 % → 7.5 %"),
    ],
)  # fmt: skip
def test_phase__of_another_division__is_the_next_and_says_what_differs(
    before: dict[str, Any], after: dict[str, Any], words: str
) -> None:
    old, new = definition(phase=3, **before), definition(**after)

    assert phases.number_of(old, new) == 4
    assert phases.words(old, new) == words


@pytest.mark.parametrize(
    "after",
    [
        {},
        {"allocation": 20},
        {"holdout": 10},
        {"audience": {"all": []}},
        {"variants": [variant("a", 1), variant("b", 1)]},
        {"variants": [variant("a", 0.3), variant("b", 0.3)]},
        {"variants": [variant("a", 5, content='{"new": 1}'), variant("b", 5)]},
        {"variants": [variant("a", 5, name="Renamed"), variant("b", 5)]},
        {"variants": [variant("a"), variant("none", 0), variant("b")]},
    ],
)
def test_phase__of_the_same_division__goes_on(after: dict[str, Any]) -> None:
    old, new = definition(phase=3), definition(**after)

    assert phases.number_of(old, new) == 3
    assert phases.words(old, new) == ""


def test_phase__of_a_group_renamed__goes_on() -> None:
    old = definition(exclusionGroup=GROUP)
    new = definition(exclusionGroup={**GROUP, "name": "Basket"})

    assert phases.number_of(old, new) == 1


# --- phases in time -----------------------------------------------------------------------

START = datetime(2026, 3, 1, tzinfo=UTC)


def published(*definitions: dict[str, Any]) -> list[Period]:
    """Publish these, a day apart, each in the phase that it begins or goes on with."""
    revisions: list[tuple[datetime, dict[str, Any]]] = []
    for each in definitions:
        before = revisions[-1][1] if revisions else None
        phase = phases.number_of(before, each)
        revisions.append((START + timedelta(days=len(revisions)), {**each, "phase": phase}))
    return phases.periods_of(revisions)


def optimized(a: float = 50, b: float = 50, **values: Any) -> dict[str, Any]:
    split = {"variants": [variant("a", a), variant("b", b)]}
    return definition(**{"optimized": True, **split, **values})


def test_periods__of_revisions__are_one_a_phase_from_its_first_to_the_next() -> None:
    first, second = published(definition(), definition(name="New"), optimized(), optimized())

    assert (first.phase, second.phase) == (1, 2)
    assert (first.since, first.until) == (START, START + timedelta(days=2))
    assert (second.since, second.until) == (START + timedelta(days=2), None)
    assert first.definition["name"] == "New"
    assert (first.is_optimized, second.is_optimized) == (False, True)
    assert second.shares == {"a": 0.5, "b": 0.5}
    assert phases.periods_of([]) == []


@pytest.mark.parametrize(
    ("definitions", "expected"),
    [
        ([], []),
        ([definition()], []),
        ([optimized()], [1]),
        ([optimized(), optimized(20, 80), optimized(1, 99)], [1, 2, 3]),
        ([definition(), optimized(), optimized(20, 80)], [2, 3]),
        ([optimized(), definition(), optimized(20, 80)], [3]),
        ([optimized(), definition()], []),
        (
            [optimized(), optimized(variants=[variant("a"), variant("c")]), optimized(20, 80)],
            [3],
        ),
    ],
)
def test_run__has_the_periods_whose_guests_add_up(
    definitions: list[dict[str, Any]], expected: list[int]
) -> None:
    assert [each.phase for each in phases.run_of(published(*definitions))] == expected


def test_phase__of_the_first_revision__is_one() -> None:
    assert phases.number_of(None, definition()) == 1
    assert phases.number_of(None, {"variants": []}) == 1


@pytest.mark.parametrize(
    ("taken", "words"),
    [
        ([], "0 to 100 %"),
        ([(0, 50)], "50 to 100 %"),
        ([(20, 50)], "0 to 20 and 50 to 100 %"),
        ([(0, 30), (60, 70), (20, 40)], "40 to 60 and 70 to 100 %"),
        ([(0, 33.3), (33.3, 100)], "nothing"),
    ],
)
def test_free__of_a_whole__is_what_nobody_has(taken: list[tuple[float, float]], words: str) -> None:
    assert ranges.words(ranges.free([Part(low, high) for low, high in taken])) == words


def test_overlapping__of_parts_side_by_side__is_nothing() -> None:
    others = [Part(50, 100, "right"), Part(0, 20, "left")]

    assert ranges.overlapping(Part(20, 50), others) == []
    assert [each.owner for each in ranges.overlapping(Part(19, 51), others)] == ["left", "right"]
