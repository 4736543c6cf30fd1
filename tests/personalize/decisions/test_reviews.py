"""Rows that collide, rows that never hit, and inputs that no row covers."""

from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalize import decisions
from personalize.decisions import CompiledTable, readings
from personalize.decisions.reviewing import Looking
from tests.personalize.decisions.tables import (
    EXACT,
    LOOSE,
    PROPER,
    Document,
    naive_hits,
    table,
    tables,
)

NOW = datetime(2026, 5, 1, tzinfo=UTC)
COUNTRY, VIEWS = {"field": "guest.country"}, {"field": "session.views"}
EMAIL, TIER = {"field": "guest.email"}, {"field": "guest.attributes.tier"}
OUT = [{"name": "n", "type": "NUMBER"}]


def cell(operator: str, value: object = None) -> dict[str, object]:
    return {"operator": operator, "value": value}


def said(document: Document) -> tuple[list[str], list[str]]:
    found = decisions.review(decisions.compile(document))
    return [p.message for p in found.problems], [p.message for p in found.warnings]


def unique(inputs: Any, *whens: Any) -> Document:
    rows = [{"when": when, "then": {"n": at}} for at, when in enumerate(whens)]
    return table("UNIQUE", inputs, OUT, rows)


def test_unique__with_rows_that_collide__names_both_and_an_example() -> None:
    problems, _ = said(
        unique(
            [COUNTRY, VIEWS],
            [cell("is_one_of", ["IE", "GB"]), cell("at_least", 3)],
            [cell("is", "ie"), cell("between", [1, 4])],
        )
    )

    assert problems == [
        "Rows 1 and 2 both hit when Guest country is “IE” and Session views is 3. "
        "UNIQUE lets one row hit: narrow one of them, or choose FIRST."
    ]


@pytest.mark.parametrize(
    ("inputs", "one", "other"),
    [
        ([COUNTRY], [cell("is", "IE")], [cell("is_not", "ie")]),
        ([COUNTRY], [cell("is_one_of", ["IE", "GB"])], [cell("is_not_one_of", ["GB", "ie"])]),
        # Views are whole: there are none between 1 and 2.
        ([VIEWS], [cell("greater_than", 1)], [cell("less_than", 2)]),
        ([VIEWS, VIEWS], [cell("at_least", 1), cell("at_most", 3)], [cell("at_least", 4)]),
        ([{"field": "session.isNew"}], [cell("is_true")], [cell("is_false")]),
        (
            [{"field": "guest.firstSeen"}],
            [cell("before", "2026-01-01")],
            [cell("after", "2026-01-01")],
        ),
        ([EMAIL], [cell("is", "a@b.c")], [cell("contains", "@acme")]),
        ([EMAIL], [cell("is_exactly", "a")], [cell("is_exactly", "A")]),
        ([TIER], [cell("is", "gold")], [cell("is", "silver")]),
        ([{"field": "guest.type"}], [cell("is_not", "visitor")], [cell("is_not", "customer")]),
    ],
)
def test_unique__with_rows_that_exclude_each_other__is_taken(
    inputs: Any, one: Any, other: Any
) -> None:
    problems, warnings = said(unique(inputs, one, other))

    assert problems == []
    assert not [message for message in warnings if "may both hit" in message]


def test_unique__with_texts_that_may_meet__finds_one_that_does() -> None:
    problems, _ = said(unique([EMAIL], [cell("starts_with", "ada")], [cell("ends_with", ".com")]))

    assert problems[0].startswith("Rows 1 and 2 both hit when Guest email is “ada.com”.")


def test_unique__where_it_cannot_be_told__warns() -> None:
    tree = {"event": "ADD"}
    problems, warnings = said(unique([{"label": "Who"}], [tree], [{"event": "VIEW"}]))

    assert problems == []
    assert warnings[0].startswith("Rows 1 and 2 may both hit")


def named(count: int, prefix: str = "sku") -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


def skus(rows: int, each: int) -> list[list[object]]:
    return [[cell("is_one_of", named(each, f"sku-{row}"))] for row in range(rows)]


def test_unique__with_texts_by_the_thousand__finds_the_one_that_two_rows_name() -> None:
    problems, warnings = said(
        unique(
            [TIER],
            [cell("starts_with", "promo")],
            *skus(10, 250),
            [cell("is_one_of", ["zz1", "zz2"])],
            [cell("is_one_of", ["ZZ1", "zz3"])],
        )
    )

    assert [problem.split(".")[0] for problem in problems] == [
        "Rows 12 and 13 both hit when Guest attribute “tier” is “zz1”"
    ]
    assert not [message for message in warnings if "may both hit" in message]


def test_unique__with_more_texts_than_can_be_tried__says_what_may_meet_and_no_more() -> None:
    some = cell("starts_with", "promo")
    problems, warnings = said(unique([TIER], *skus(30, 1000), [some]))

    assert problems == []
    meeting = [message.split(":")[0] for message in warnings if "may both hit" in message]
    assert len(meeting) == 10
    assert all("and 31 may" in message for message in meeting)


def test_unique__with_more_shared_texts_than_can_be_tried__says_which_rows_may_meet() -> None:
    columns = [TIER, VIEWS]
    shared = [
        [cell("is_one_of", named(1000, f"sku-{row // 2}")), cell("is", row)] for row in range(44)
    ]
    loose = [[cell("starts_with", "promo"), cell("is", 99)]]
    some = ["own", *(f"sku-21-{number}" for number in range(500, 700))]
    last = [[cell("is_one_of", some), cell("is", 43)]]
    problems, warnings = said(unique(columns, *shared, *loose, *last))

    assert problems == []
    meeting = [message for message in warnings if "may both hit" in message]
    assert [message.split(":")[0] for message in meeting] == ["Rows 44 and 46 may both hit"]


def test_unique__with_more_texts_than_can_be_tried__finds_who_meets_a_row_without_a_cell() -> None:
    inputs = [TIER, VIEWS]
    skus_and_views = [[*when, cell("is", at)] for at, when in enumerate(skus(30, 1000))]
    problems, _ = said(
        unique(inputs, [cell("starts_with", "promo"), cell("is", -1)], *skus_and_views,
               [None, cell("is", 29)])
    )  # fmt: skip

    assert len(problems) == 1
    assert problems[0].startswith("Rows 31 and 32 both hit when Guest attribute “tier” is “sku-29-")


def test_any__refuses_rows_that_meet_only_if_their_answers_differ() -> None:
    rows = [{"when": [cell("is", "IE")], "then": {"n": 1}}, {"then": {"n": 1}}, {"then": {"n": 2}}]

    alike, _ = said(table("ANY", [COUNTRY], OUT, rows[:2]))
    unlike, _ = said(table("ANY", [COUNTRY], OUT, rows))

    assert alike == []
    assert len(unlike) == 2
    assert "make their answers equal" in unlike[0]


def test_row__that_contradicts_itself__is_told_of() -> None:
    rows = [{"when": [cell("at_least", 5), cell("at_most", 3)]}, {"when": []}]

    _, warnings = said(table("FIRST", [VIEWS, VIEWS], OUT, rows))

    assert warnings == ["Row 1 can never hit: its conditions exclude it."]


def test_table__that_does_not_cover_an_input__names_one() -> None:
    rows = [{"when": [cell("is", "IE"), cell("at_least", 3)]}, {"when": [cell("is_not", "IE")]}]

    _, warnings = said(table("FIRST", [COUNTRY, VIEWS], OUT, rows))

    assert warnings == [
        "No row hits when Guest country is “IE” and Session views is 0: the answer is then the "
        "defaults."
    ]


@pytest.mark.parametrize(
    "whens",
    [
        [[cell("is", "IE")], []],
        [[cell("is", "IE")], [cell("is_not", "IE")]],
    ],
)
def test_table__that_covers_every_known_input__has_no_warning(whens: Any) -> None:
    rows = [{"when": when} for when in whens]

    assert said(table("FIRST", [COUNTRY], OUT, rows)) == ([], [])


@given(tables(EXACT | LOOSE, ["UNIQUE"]))
def test_collision__that_is_named__has_an_example_that_hits_both_rows(document: Document) -> None:
    compiled = decisions.compile(document)
    assert isinstance(compiled, CompiledTable)
    looking = Looking(compiled)

    for first, second, is_sure in looking.pairs():
        example = looking.example(first, second) if is_sure else None
        if example is not None:
            numbers = {compiled.ranked[bit].number for bit in (first, second)}
            assert numbers <= set(naive_hits(document, decisions.facts_of(example, now=NOW)))


@given(tables(EXACT, ["UNIQUE"]), st.lists(PROPER, min_size=1, max_size=20))
def test_unique__that_passed_the_check__is_never_hit_twice(
    document: Document, many: list[dict[str, Any]]
) -> None:
    problems, warnings = said(document)
    if problems or any("may both hit" in message for message in warnings):
        return
    for stated in many:
        assert len(naive_hits(document, decisions.facts_of(stated, now=NOW))) <= 1


@pytest.mark.parametrize("most", [0, 2, 2_000])
@given(tables(EXACT | LOOSE, ["UNIQUE"]), st.lists(PROPER, min_size=1, max_size=20))
def test_rows__that_are_not_said_to_meet__never_do(
    most: int, document: Document, many: list[dict[str, Any]]
) -> None:
    compiled = decisions.compile(document)
    assert isinstance(compiled, CompiledTable)
    with mock.patch.object(readings, "_most", lambda comparisons: most):
        may_meet = {
            frozenset((first + 1, second + 1)) for first, second, _ in Looking(compiled).pairs()
        }
    for stated in many:
        hits = naive_hits(document, decisions.facts_of(stated, now=NOW))
        for at, one in enumerate(hits):
            assert all(frozenset((one, other)) in may_meet for other in hits[at + 1 :])


@given(tables(EXACT | LOOSE, ["FIRST"]))
def test_gap__that_is_named__is_hit_by_no_row(document: Document) -> None:
    compiled = decisions.compile(document)
    assert isinstance(compiled, CompiledTable)

    gap = Looking(compiled).gap()

    if gap is not None:
        assert naive_hits(document, decisions.facts_of(gap, now=NOW)) == []
