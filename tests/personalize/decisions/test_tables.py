"""What a decision table answers: its policies, its words, and what it refuses to be."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalize import conditions, decisions
from personalize.decisions import CompiledTable, Decision
from tests.personalize.decisions.tables import FACTS, TABLES, naive_hits, table

NOW = datetime(2026, 5, 1, tzinfo=UTC)
OFFER, OTHER = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"

COUNTRY = {"field": "guest.country", "label": "Country"}
VIEWS = {"field": "session.views", "label": "Views"}
NUMBER = {"name": "discount", "type": "NUMBER", "default": 0}
IRISH = {"operator": "is", "value": "IE"}
EAGER = {"operator": "at_least", "value": 3}
ROWS = [
    {"when": [IRISH], "then": {"discount": 5}, "priority": 1},
    {"when": [None, EAGER], "then": {"discount": 20}, "priority": 3},
    {"when": [IRISH, EAGER], "then": {"discount": 10}, "priority": 2},
]


def ask(document: dict[str, Any], has_offer: Any = None, **facts: object) -> Decision:
    known = decisions.facts_of({k.replace("_", ".", 1): v for k, v in facts.items()}, now=NOW)
    compiled = decisions.compile(document)
    return compiled.decide(known, has_offer=has_offer or (lambda ref: True))


def problems(document: object) -> list[str]:
    with pytest.raises(decisions.DecisionInvalid) as refused:
        decisions.compile(document)
    return [problem.message for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("policy", "aggregator", "discount", "rows"),
    [
        ("FIRST", None, 5, (1,)),
        ("PRIORITY", None, 20, (2,)),
        ("RULE_ORDER", None, [5, 20, 10], (1, 2, 3)),
        ("COLLECT", "LIST", [5, 20, 10], (1, 2, 3)),
        ("COLLECT", "SUM", 35, (1, 2, 3)),
        ("COLLECT", "MIN", 5, (1, 2, 3)),
        ("COLLECT", "MAX", 20, (1, 2, 3)),
        ("COLLECT", "COUNT", 3, (1, 2, 3)),
    ],
)
def test_table__whose_rows_all_hit__answers_by_its_hit_policy(
    policy: str, aggregator: str | None, discount: object, rows: tuple[int, ...]
) -> None:
    document = table(policy, [COUNTRY, VIEWS], [NUMBER], ROWS) | {"aggregator": aggregator}

    assert ask(document, guest_country="ie", session_views=7) == Decision(
        {"discount": discount}, rows
    )


@pytest.mark.parametrize("policy", ["UNIQUE", "ANY"])
def test_table__whose_rows_may_not_hit_together__answers_the_defaults_and_says_why(
    policy: str,
) -> None:
    document = table(policy, [COUNTRY, VIEWS], [NUMBER], ROWS)

    alone = ask(document, guest_country="IE", session_views=1)
    collided = ask(document, guest_country="IE", session_views=3)

    assert alone == Decision({"discount": 5}, (1,))
    assert (collided.outputs, collided.rows) == ({"discount": 0}, ())
    assert collided.fault.startswith("Rows 1, 2 and 3 hit")


def test_any__of_rows_that_answer_alike__answers_once() -> None:
    rows = [{"when": [IRISH], "then": {"discount": 5}}, {"then": {"discount": 5}}]

    decision = ask(table("ANY", [COUNTRY], [NUMBER], rows), guest_country="IE")

    assert decision == Decision({"discount": 5}, (1, 2))


@pytest.mark.parametrize(
    ("policy", "aggregator", "nothing"),
    [
        ("FIRST", None, 0),
        ("UNIQUE", None, 0),
        ("RULE_ORDER", None, []),
        ("COLLECT", "LIST", []),
        ("COLLECT", "COUNT", 0),
        ("COLLECT", "MAX", 0),
    ],
)
def test_table__that_no_row_hits__answers_its_defaults(
    policy: str, aggregator: str | None, nothing: object
) -> None:
    document = table(policy, [COUNTRY], [NUMBER], ROWS[:1]) | {"aggregator": aggregator}

    assert ask(document, guest_country="DE") == Decision({"discount": nothing})


def test_row__with_a_cell_left_empty__answers_the_columns_default() -> None:
    outputs = [{"name": "text", "type": "TEXT", "default": "hello"}, NUMBER]
    document = table("FIRST", [COUNTRY], outputs, [{"when": [], "then": {"discount": 1}}])

    assert ask(document).outputs == {"text": "hello", "discount": 1}


OFFERS = {"name": "offer", "type": "OFFER", "default": OTHER}
OFFER_ROWS = [{"then": {"offer": OFFER, "discount": 5}}, {"then": {"discount": 9}}]


@pytest.mark.parametrize("policy", ["FIRST", "PRIORITY", "UNIQUE", "ANY"])
def test_row__whose_offer_this_guest_cannot_have__is_passed_by(policy: str) -> None:
    document = table(policy, [COUNTRY], [OFFERS, NUMBER], OFFER_ROWS)

    decision = ask(document, has_offer=lambda ref: ref != OFFER)

    assert decision == Decision({"offer": OTHER, "discount": 9}, (2,))


def test_default__that_this_guest_cannot_have__is_nothing() -> None:
    document = table("FIRST", [COUNTRY], [OFFERS, NUMBER], OFFER_ROWS)

    decision = ask(document, has_offer=lambda ref: False)

    assert decision == Decision({"offer": None, "discount": 9}, (2,))


def test_row__whose_offer_is_gone__is_passed_by_and_told_of() -> None:
    document = table("FIRST", [COUNTRY], [OFFERS, NUMBER], OFFER_ROWS)

    decision = ask(document, has_offer=lambda ref: None if ref == OFFER else True)

    assert decision.outputs == {"offer": OTHER, "discount": 9}
    assert decision.fault == "Row 1 names an offer that is gone or broken."


def test_condition_column__holds_whole_conditions() -> None:
    tree = {"any": [{"field": "guest.country", "operator": "is", "value": "IE"}, {"event": "ADD"}]}
    rows = [{"when": [tree], "then": {"discount": 5}}]
    document = table("FIRST", [{"label": "Whoever"}], [NUMBER], rows)

    assert ask(document, guest_country="IE").rows == (1,)
    assert ask(document, event_ADD=1).rows == (1,)
    assert ask(document, guest_country="DE").rows == ()
    assert decisions.compile(document).needs == conditions.Needs(
        guest=True, events=frozenset({"ADD"})
    )


def test_explain__of_every_row__says_why_it_hit_or_not() -> None:
    compiled = decisions.compile(table("FIRST", [COUNTRY, VIEWS], [NUMBER], ROWS))
    assert isinstance(compiled, CompiledTable)

    facts = decisions.facts_of({"guest.country": "IE", "session.views": 1}, now=NOW)

    assert [(r.number, r.is_hit, list(r.because)) for r in compiled.explain(facts)] == [
        (1, True, ["Guest country “IE” is “IE”"]),
        (2, False, ["Session views is 1, wanted it to be at least 3"]),
        (3, False, ["Session views is 1, wanted it to be at least 3"]),
    ]


@given(TABLES, st.lists(FACTS, min_size=1, max_size=10))
def test_table__whatever_it_holds__hits_the_rows_that_a_plain_loop_finds(
    document: dict[str, Any], many: list[dict[str, Any]]
) -> None:
    compiled = decisions.compile(document)
    assert isinstance(compiled, CompiledTable)
    for stated in many:
        facts = decisions.facts_of(stated, now=NOW)

        hits = [report.number for report in compiled.explain(facts) if report.is_hit]
        decision = compiled.decide(facts)

        assert hits == naive_hits(document, facts)
        first = ROW_OF_POLICY[document["hitPolicy"]](hits, document["rows"])
        assert decision.rows == tuple(first)


ROW_OF_POLICY: dict[str, Any] = {
    "FIRST": lambda hits, rows: hits[:1],
    "PRIORITY": lambda hits, rows: sorted(hits, key=lambda n: (-rows[n - 1]["priority"], n))[:1],
    "UNIQUE": lambda hits, rows: hits if len(hits) == 1 else [],
    "RULE_ORDER": lambda hits, rows: hits,
    "COLLECT": lambda hits, rows: hits,
}


@pytest.mark.parametrize(
    ("document", "messages"),
    [
        ({}, ["A decision needs “outputs” and “rows”, or a “callable”."]),
        ([], ["A decision needs “outputs” and “rows”, or a “callable”."]),
        ({"outputs": [], "rows": []}, ["Add an output: the column of what is answered."]),
        (
            table("BEST", [], [NUMBER], []),
            [
                "There is no hitPolicy “BEST”: use “UNIQUE”, “FIRST”, “ANY”, “RULE_ORDER”, "
                "“PRIORITY”, “COLLECT”."
            ],
        ),
        (
            table("COLLECT", [], [{"name": "t", "type": "TEXT"}], []) | {"aggregator": "SUM"},
            [
                "Output “t”: SUM calculates with numbers. Make it a NUMBER, or collect a LIST.",
            ],
        ),
        (
            table("FIRST", [{"field": "guest.shoes"}, VIEWS], [NUMBER, NUMBER], []),
            [
                "Two outputs are called “discount”: rename one.",
                "There is no field “guest.shoes”: choose one of the fields listed.",
            ],
        ),
        (
            table(
                "FIRST",
                [COUNTRY, VIEWS],
                [NUMBER, {"name": "offer", "type": "OFFER"}],
                [
                    {"when": [IRISH, {"operator": "contains", "value": "x"}]},
                    {"then": {"discount": "five", "price": 1, "offer": "spring"}},
                    {"when": [None, None, None], "what": 1},
                ],
            ),
            [
                "Row 1, “Views”: Session views: “contains” compares texts, but this is a number.",
                "Row 2, “discount”: it needs a number, at most 1,000,000,000,000,000.",
                "Row 2: there is no output “price”.",
                "Row 2, “offer”: it needs the ref of an offer.",
                "Row 3: “what” means nothing here: remove it.",
                "Row 3: “when” is a list of one cell for each input.",
            ],
        ),
    ],
)
def test_document__that_is_not_right__says_everything_that_is_wrong(
    document: object, messages: list[str]
) -> None:
    assert problems(document) == messages


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(
                        ["rows", "outputs", "inputs", "when", "then", "name", "type", "field",
                         "hitPolicy", "callable", "operator", "value", "default", "priority"]),
                        inner, max_size=4), max_leaves=20))  # fmt: skip
def test_document__that_is_any_json__is_read_or_refused_in_words(document: object) -> None:
    try:
        decisions.compile(document)
    except decisions.DecisionInvalid as refused:
        assert refused.problems


def test_tests__of_a_document__pass_or_say_what_came_instead() -> None:
    compiled = decisions.compile(table("FIRST", [COUNTRY, VIEWS], [NUMBER], ROWS))
    given = [
        {"facts": {"guest.country": "IE"}, "expected": {"discount": 5}},
        {"name": "Eager", "facts": {"session.views": 3}, "expected": {"discount": 5}},
        {"name": "Nobody", "facts": {}, "expected": {"discount": False}},
    ]

    cases, wrong = decisions.read_cases(given, compiled.outputs)
    failed = decisions.failures(compiled, cases, now=NOW)

    assert not wrong
    assert [failure.message for failure in failed] == [
        "Test “Eager” fails: “discount” is 20, expected 5 (row 2 hits).",
        "Test “Nobody” fails: “discount” is 0, expected false (no row hits).",
    ]


def test_tests__that_are_not_right__say_so() -> None:
    compiled = decisions.compile(table("FIRST", [COUNTRY], [NUMBER], ROWS[:1]))
    given = [{"facts": {"guest.shoes": 1, "event.ADD": -1}, "expected": {"x": 1}}, {"facts": {}}, 5]

    cases, wrong = decisions.read_cases(given, compiled.outputs)

    assert not cases
    assert [problem.message for problem in wrong] == [
        "Test “Test 1”: There is no field “guest.shoes”: choose one of the fields listed.",
        "Test “Test 1”: “event.ADD” needs how often it happened: 0 to 100.",
        "Test “Test 1”: there is no output “x”.",
        "Test “Test 2”: say what is “expected” of an output.",
        "Test 3 is an object with a “name”, “facts” and what is “expected”.",
    ]
