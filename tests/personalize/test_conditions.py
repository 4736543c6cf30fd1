from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalize import conditions
from personalize.conditions import ConditionError, Facts, Field, Needs, Registry, patterns
from personalize.conditions.globs import compile_glob
from tests.thoroughness import searches

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CASES = json.loads((Path(__file__).parents[1] / "cases" / "conditions.json").read_text("utf-8"))


def facts(**given: Any) -> Facts:
    given = {"now": NOW, "request": {}, **given}
    given["events"] = [tuple(event) for event in given.get("events", ())]
    given["history"] = [
        (name, data, datetime.fromisoformat(at) if isinstance(at, str) else at)
        for name, data, at in given.get("history", ())
    ]
    return Facts(**given)


def leaf(field: str, operator: str, value: object = None) -> dict[str, object]:
    return {"field": field, "operator": operator, "value": value}


def messages(tree: object) -> list[str]:
    return [problem.message for problem in conditions.validate(tree)]


# What trees mean


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_matches__stored_cases__give_the_stored_answer(case: dict[str, Any]) -> None:
    compiled = conditions.compile(case["tree"])

    assert compiled.matches(facts(**case["facts"])) is case["matched"]


@pytest.mark.parametrize(
    "case", [case for case in CASES if "because" in case], ids=lambda case: case["name"]
)
def test_explain__stored_cases__say_why(case: dict[str, Any]) -> None:
    explanation = conditions.compile(case["tree"]).explain(facts(**case["facts"]))

    assert [part.sentence for part in explanation.leaves()] == case["because"]


@pytest.mark.parametrize("tree", [None, {}, {"all": []}])
def test_matches__an_empty_tree__is_everybody(tree: object) -> None:
    compiled = conditions.compile(tree)

    assert compiled.matches(facts())
    assert compiled.needs == Needs()
    assert compiled.sentence == "Everybody"


TEXT_OPERATORS = [op for op in conditions.operators_for("text") if op.operand == "text"]


@pytest.mark.parametrize("operator", TEXT_OPERATORS, ids=lambda operator: operator.name)
@pytest.mark.parametrize("guest", [None, {}, {"email": None}, {"email": ["x"]}, {"email": {}}])
def test_matches__a_value_that_is_missing_or_no_text__is_false_for_every_operator(
    operator: conditions.Operator, guest: dict[str, object] | None
) -> None:
    compiled = conditions.compile(leaf("guest.email", operator.name, "z"))

    assert not compiled.matches(facts(guest=guest))


def test_matches__not_of_a_missing_value__is_true() -> None:
    tree = {"not": leaf("guest.email", "contains", "@acme")}

    assert conditions.compile(tree).matches(facts(guest=None))


def test_compiled__needs__name_only_what_the_tree_reads() -> None:
    tree = {
        "any": [
            leaf("page", "is", "/"),
            {"not": leaf("guest.email", "exists")},
            {"event": "ADD"},
            {"event": "CONFIRM", "at_most": 0},
        ]
    }

    compiled = conditions.compile(tree)

    assert compiled.needs == Needs(guest=True, session=False, events=frozenset({"ADD", "CONFIRM"}))
    assert compiled.fields == {"page", "guest.email"}


def test_compiled__sentence__reads_as_english() -> None:
    tree = {
        "all": [
            leaf("guest.country", "is_one_of", ["IE", "GB"]),
            {"any": [leaf("session.views", "at_least", 3), leaf("session.isNew", "is_true")]},
            {"not": {"event": "ADD", "where": [leaf("price", "between", [5, 9])]}},
            {"event": "CONFIRM", "at_most": 0},
        ]
    }

    assert conditions.compile(tree).sentence == (
        "Guest country is one of “IE”, “GB” and (Session views is at least 3 or First session is "
        "true) and not (Guest did ADD (where price is between 5 and 9) at least 1 time in this "
        "session) and Guest did not do CONFIRM in this session"
    )


def test_explain__a_tree__records_every_value_read() -> None:
    tree = {"any": [leaf("guest.country", "is", "IE"), {"event": "ADD"}]}

    explanation = conditions.compile(tree).explain(facts(guest={"country": "IE"}))

    assert explanation.matched
    assert explanation.facts_read() == {"guest.country": "IE", "event.ADD": 0}
    assert json.loads(json.dumps(explanation.as_dict())) == {
        "matched": True,
        "kind": "any",
        "sentence": "Guest country is “IE” or Guest did ADD at least 1 time in this session",
        "children": [
            {
                "matched": True,
                "kind": "field",
                "sentence": "Guest country “IE” is “IE”",
                "facts": {"guest.country": "IE"},
            },
            {
                "matched": False,
                "kind": "event",
                "sentence": "ADD happened 0 times in this session, wanted at least 1 time",
                "facts": {"event.ADD": 0},
            },
        ],
    }


@pytest.mark.parametrize(
    ("tree", "because"),
    [
        ({"all": ["yes", "no", "nope"]}, ["no", "nope"]),
        ({"all": ["yes", "also"]}, ["yes", "also"]),
        ({"any": ["no", "yes", "also"]}, ["yes", "also"]),
        ({"any": ["no", "nope"]}, ["no", "nope"]),
        ({"not": {"any": ["no", "yes"]}}, ["yes"]),
        ({"not": {"all": ["no", "yes"]}}, ["no"]),
        ({"any": [{"all": ["yes", "no"]}, {"not": "yes"}]}, ["no", "yes"]),
        ({}, []),
    ],
)
def test_because__a_tree__names_the_leaves_that_decided(
    tree: dict[str, Any], because: list[str]
) -> None:
    def spell(node: Any) -> Any:
        if isinstance(node, str):
            return leaf(f"request.params.{node}", "exists")
        if isinstance(node, list):
            return [spell(each) for each in node]
        return {kind: spell(nodes) for kind, nodes in node.items()}

    explanation = conditions.compile(spell(tree)).explain(
        facts(request={"params": {"yes": 1, "also": 1}})
    )

    assert [sentence.split("“")[1].split("”")[0] for sentence in explanation.because()] == because


def test_matches__objects_in_the_facts__are_never_asked_for_attributes() -> None:
    class Guest:
        email = "bob@acme.com"

    compiled = conditions.compile(leaf("guest.attributes.owner.email", "exists"))

    assert not compiled.matches(facts(guest={"attributes": {"owner": Guest()}}))


# What may be saved


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([], "A condition has to be an object."),
        ({"all": {}}, "“all” needs a list of conditions."),
        ({"any": []}, "“any” of no conditions can never hold: add a condition."),
        ({"not": {}}, "This condition is empty: fill it in or remove it."),
        (
            {"all": [], "any": []},
            "A group has one key: “all” stands beside something else.",
        ),
        (
            {"operator": "is"},
            "A condition needs “all”, “any” or “not”, or a “field”, an “event”, “saw” or "
            "“converted”.",
        ),
        (
            leaf("guest.shoeSize", "is", "9"),
            "There is no field “guest.shoeSize”: choose one of the fields listed.",
        ),
        (leaf("guest.email", "starts_with", 5), "Guest email: “starts with” needs a text value."),
        (
            leaf("guest.email", "contains", ""),
            "Guest email: “contains” needs a text that is not empty.",
        ),
        (
            leaf("guest.email", "greater_than", 5),
            "Guest email: “is greater than” compares numbers, but this is a text.",
        ),
        (
            leaf("session.isNew", "equals", True),
            "First session: there is no operator “equals”; use “is_true”, “is_false”, “exists”, "
            "“is_missing”.",
        ),
        (leaf("session.views", "at_least", True), "Session views: “is at least” needs a number."),
        (
            leaf("session.views", "between", [9, 5]),
            "Session views: “is between” needs two numbers, the lower one first.",
        ),
        (
            leaf("guest.firstSeen", "before", "soon"),
            "Guest first seen: “is before” needs a date or time such as 2026-01-31 or "
            "2026-01-31T12:00:00Z.",
        ),
        (
            leaf("guest.country", "is_one_of", []),
            "Guest country: “is one of” needs a list with at least one value.",
        ),
        (
            leaf("guest.type", "is", "wizard"),
            "Guest type is never “wizard”: use “visitor”, “customer”.",
        ),
        (leaf("session.isNew", "is_true", "x"), "First session: “is true” needs no value."),
        (leaf("page", "matches_glob", "*" * 501), None),
        ({**leaf("page", "is", "/"), "case": 1}, "“case” means nothing here: remove it."),
        (
            {"event": "ADD", "measure": "most"},
            "“measure” is one of “sum”, “average”, “distinct”, “first”, “last”.",
        ),
        (
            {"event": "ADD", "measure": "sum", "operator": "at_least", "value": 1},
            "“sum” needs “of”: the path of a property.",
        ),
        (
            {
                "event": "A",
                "measure": "last",
                "of": "x",
                "within": "ever",
                "operator": "in_last_days",
                "value": 1,
            },
            "“last” is a time: it is not “of” a property.",
        ),
        (
            {"event": "A", "measure": "last", "operator": "in_last_days", "value": 1},
            "“last” needs “within” days, or “ever”.",
        ),
        (
            {"event": "A", "measure": "sum", "of": "x", "operator": "in_last_days", "value": 1},
            "sum of x: “is in the last … days” compares dates, but this is a number.",
        ),
        (
            {
                "event": "A",
                "measure": "sum",
                "of": "x",
                "operator": "at_least",
                "value": 1,
                "at_most": 3,
            },
            "“measure” decides instead of the number of times: remove one of them.",
        ),
        (
            {"event": "A", "where": [leaf("at", "in_last_days", 3)]},
            "at: “is in the last … days” is for dates of guests and orders.",
        ),
        ({"saw": 3}, "“saw” needs the friendly ID of an experience."),
        ({"saw": "x", "variant": ""}, "“variant” needs the name of a variant."),
        (
            {"converted": "", "goal": "Won"},
            "“converted” needs the friendly ID of an experience.",
        ),
        (
            {"converted": "hero"},
            "“converted” needs “goal”: the name of one of its goals.",
        ),
        (
            {"converted": "hero", "goal": "Won", "at_most": 1},
            "“converted” takes “at_most” 0 alone: a goal is reached, or is not.",
        ),
        (
            {"converted": "hero", "goal": "Won", "within": "session"},
            "“converted” is “within” days or “ever”: visits are not told apart.",
        ),
        (
            leaf("guest.firstSeen", "in_last_days", 0),
            "Guest first seen: “is in the last … days” needs a number of days, more than 0 and at "
            "most 3650.",
        ),
        ({"event": ""}, "“event” needs the type of an event, such as VIEW or ADD."),
        (
            {"event": "ADD", "within": "days"},
            "“within” “days” is not possible: use “session”, “ever”, or {“days”: n} with a whole "
            "number from 1 to 3650.",
        ),
        (
            {"event": "ADD", "at_least": 0},
            "“at least 0 times” always holds: raise it, or set “at_most”.",
        ),
        (
            {"event": "ADD", "at_least": 3, "at_most": 1},
            "At least 3 and at most 1 times can never both hold.",
        ),
        ({"event": "ADD", "at_least": True}, "“at_least” needs a whole number from 0 to 10000."),
        ({"event": "ADD", "where": {}}, None),
        (
            {"event": "ADD", "where": [leaf("a..b", "is", "x")]},
            "“a..b” is not the path of a property.",
        ),
    ],
)
def test_validate__one_mistake__is_told_in_one_sentence(tree: object, message: str | None) -> None:
    found = messages(tree)

    assert len(found) == 1
    assert message is None or found == [message]


def test_parse__several_mistakes__are_all_told_with_their_place() -> None:
    tree = {"all": [leaf("nope", "is", "x"), {"not": {"any": [leaf("page", "is", 5)]}}]}

    with pytest.raises(ConditionError) as caught:
        conditions.parse(tree)

    assert [problem.path for problem in caught.value.problems] == ["all[0]", "all[1].not.any[0]"]


def test_validate__groups_nested_too_deep__are_refused() -> None:
    tree: dict[str, object] = leaf("page", "is", "/")
    for _ in range(8):
        tree = {"not": tree}

    assert messages(tree) == []
    assert messages({"not": tree}) == ["Groups are nested more than 8 deep: flatten them."]


def test_validate__nesting_without_end__is_refused() -> None:
    tree: dict[str, object] = {}
    for _ in range(100_000):
        tree = {"all": [tree]}

    assert messages(tree) == ["Groups are nested more than 8 deep: flatten them."]


def test_validate__too_many_leaves__are_refused() -> None:
    tree = {"all": [leaf("page", "is", "/")] * 100}

    assert messages(tree) == []
    assert messages({"all": [tree, {"event": "ADD"}]}) == [
        "There are 101 conditions; at most 100 fit together."
    ]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["2026-01-01", "12", "1e999", "true", "ADD", "x" * 9000, 10**400]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
odd_nodes = st.recursive(
    json_values,
    lambda inner: st.dictionaries(
        st.sampled_from(
            ["all", "any", "not", "field", "operator", "value", "event", "where", "at_least"]
        ),
        inner | st.lists(inner, max_size=3) | st.sampled_from(["guest.email", "is", "between"]),
        max_size=4,
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(odd_nodes)
def test_validate__any_json__is_answered_and_agrees_with_parse(tree: object) -> None:
    problems = conditions.validate(tree)

    if problems:
        with pytest.raises(ConditionError):
            conditions.parse(tree)
    else:
        conditions.compile(tree).matches(facts())


# The evaluator is total, and agrees with its explanation

OPERANDS: dict[str, st.SearchStrategy[object]] = {
    "none": st.none(),
    "text": st.text(min_size=1, max_size=5) | st.sampled_from(["a", "IE", "2026-01-01"]),
    "pattern": st.text(alphabet="ab*?", min_size=1, max_size=8),
    "regex": st.sampled_from(["a+", "^[0-9]{4}-", "(x|y)*$"]),
    "texts": st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=3),
    "number": st.integers(-5, 5) | st.floats(-5, 5),
    "range": st.tuples(st.integers(-5, 0), st.integers(0, 5)).map(list),
    "datetime": st.sampled_from(["2026-01-01", "2026-01-01T00:00:00+14:00", "0001-01-01"]),
    "days": st.integers(1, 40) | st.floats(0.5, 3650),
}
FIELDS = [
    field.name + rest
    for field in conditions.default_registry.fields()
    for rest in (("a.0", "a.*", "a.*.b") if field.is_prefix else ("",))
]


@st.composite
def leaves(draw: st.DrawFn, names: list[str] = FIELDS) -> dict[str, object]:
    name = draw(st.sampled_from(names))
    field = conditions.default_registry.resolve(name)
    operator = draw(st.sampled_from(conditions.operators_for(field.type if field else "any")))
    value = draw(OPERANDS[operator.operand])
    if field and field.choices and operator.operand in ("text", "texts"):
        value = [field.choices[0]] if operator.operand == "texts" else field.choices[0]
    return leaf(name, operator.name, value)


windows: st.SearchStrategy[object] = st.sampled_from(["session", "ever"]) | st.builds(
    lambda days: {"days": days}, st.integers(1, 40)
)
counts = st.sampled_from([{}, {"at_most": 0}, {"at_least": 2}, {"at_least": 1, "at_most": 2}])
measures = st.sampled_from(["sum", "average", "distinct"]).flatmap(
    lambda kind: st.builds(
        lambda of, value: {"measure": kind, "of": of, "operator": "at_least", "value": value},
        st.sampled_from(["price", "product.type", "items.0", "items.*.price", "items.*"]),
        st.integers(-5, 5),
    )
) | st.builds(
    lambda kind, operator, value: {"measure": kind, "operator": operator, "value": value},
    st.sampled_from(["first", "last"]),
    st.sampled_from(["in_last_days", "longer_ago"]),
    st.integers(1, 40),
)
behaviours = (
    st.builds(
        lambda event, where, how, within: {"event": event, "where": where, "within": within, **how},
        st.sampled_from(["ADD", "VIEW"]),
        st.lists(leaves(["price", "product.type", "items.0", "items.*.price"]), max_size=2),
        counts | measures,
        windows,
    )
    | st.builds(
        lambda variant, how, within: {"saw": "hero", "within": within, **variant, **how},
        st.sampled_from([{}, {"variant": "B"}]),
        counts,
        windows,
    )
    | st.builds(
        lambda goal, within, never: {"converted": "hero", "goal": goal, "within": within, **never},
        st.sampled_from(["Won", "Lost"]),
        st.just("ever") | st.builds(lambda days: {"days": days}, st.integers(1, 40)),
        st.sampled_from([{}, {"at_most": 0}]),
    )
)


def _trees_of(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        parts,
        lambda inner: (
            st.builds(
                lambda kind, nodes: {kind: nodes},
                st.sampled_from(["all", "any"]),
                st.lists(inner, min_size=1, max_size=3),
            )
            | st.builds(lambda node: {"not": node}, inner)
        ),
        max_leaves=6,
    )


trees = _trees_of(leaves() | behaviours)
#: Trees of which two as a rule read the same, and ask other things of it.
trees_of_few_fields = _trees_of(leaves(["guest.segments", "guest.country"])).filter(
    lambda tree: not conditions.validate(tree)
)
values = json_values | st.datetimes(timezones=st.none() | st.just(UTC))
objects = st.dictionaries(
    st.sampled_from([name.split(".")[1] for name in FIELDS if "." in name] + ["page"]),
    values
    | st.dictionaries(
        st.just("a"),
        values | st.lists(values | st.dictionaries(st.just("b"), values), max_size=2),
    ),
)
moments = st.builds(
    lambda hours: NOW - timedelta(hours=hours), st.floats(0, 50 * 24) | st.integers(0, 50 * 24)
)
event_data = (
    st.dictionaries(
        st.sampled_from(["price", "product", "items"]),
        values | st.lists(st.dictionaries(st.just("price"), values), max_size=3),
    )
    | json_values
)
any_facts = st.builds(
    facts,
    request=objects,
    guest=st.none() | objects,
    session=st.none() | objects,
    orders=st.none() | objects,
    cart=st.none() | objects,
    goals=st.dictionaries(
        st.just("hero"), st.dictionaries(st.sampled_from(["Won", "Lost"]), moments | values)
    ),
    site=st.dictionaries(st.sampled_from(FIELDS), values),
    time_zone=st.sampled_from(["UTC", "Europe/Dublin", "Australia/Lord_Howe", "America/St_Johns"]),
    events=st.lists(st.tuples(st.sampled_from(["ADD", "VIEW", "CONFIRM"]), event_data), max_size=4),
    history=st.lists(
        st.tuples(
            st.sampled_from(["ADD", "VIEW", "TRACKING"]),
            event_data | st.just({"flowExecution": {"flowFriendlyId": "hero"}}),
            moments,
        ),
        max_size=6,
    ),
)


def is_shallow(tree: object) -> bool:
    return not conditions.validate(tree)


@pytest.mark.parametrize(
    ("tree", "because"),
    [
        ({"not": leaf("guest.country", "is", "IE")}, "Guest country is “DE”"),
        (
            {"not": leaf("guest.country", "is", "DE")},
            "Guest country “DE” is “DE”, which it should not",
        ),
        (
            {"not": {"not": leaf("guest.country", "is", "IE")}},
            "Guest country is “DE”, wanted it to be “IE”",
        ),
        ({"not": {"saw": "popup"}}, "“popup” was seen 0 times ever"),
        (
            {"not": {"event": "ADD", "measure": "sum", "of": "price", "within": "ever",
                     "operator": "at_least", "value": 5}},
            "Sum of price is 0, of ADD ever",
        ),
    ],
)  # fmt: skip
def test_because__of_what_should_not_hold__says_what_there_is(tree: Any, because: str) -> None:
    explanation = conditions.compile(tree).explain(facts(guest={"country": "DE"}))

    assert explanation.because() == [because]


@settings(max_examples=searches(500), deadline=None)
@given(trees.filter(is_shallow), any_facts)
def test_explain__any_tree_and_facts__agrees_with_matches(
    tree: dict[str, object], given_facts: Facts
) -> None:
    compiled = conditions.compile(tree)

    assert compiled.explain(given_facts).matched is compiled.matches(given_facts)


@settings(max_examples=searches(500), deadline=None)
@given(trees.filter(is_shallow), any_facts, st.floats(0, 1), st.floats(0, 60))
def test_valid_until__any_tree_and_facts__is_not_after_the_first_change(
    tree: dict[str, object], given_facts: Facts, share: float, days: float
) -> None:
    compiled = conditions.compile(tree)
    until = compiled.valid_until(given_facts)
    then = NOW + timedelta(days=days) if until is None else NOW + (until - NOW) * share

    assert until is None or until > NOW
    if until is None or then < until:
        later = replace(given_facts, now=then)
        assert compiled.matches(later) is compiled.matches(given_facts)


@pytest.mark.parametrize(
    ("tree", "days"),
    [
        # Forgetting one of the three is not enough; of two wanted, the second oldest is.
        ({"event": "VIEW", "at_least": 1, "within": {"days": 30}}, 29),
        ({"event": "VIEW", "at_least": 2, "within": {"days": 30}}, 28),
        ({"event": "VIEW", "at_least": 3, "within": {"days": 30}}, 27),
        ({"event": "VIEW", "at_least": 4, "within": {"days": 30}}, None),
        ({"event": "VIEW", "at_most": 3, "within": {"days": 30}}, None),
        ({"event": "VIEW", "at_most": 2, "within": {"days": 30}}, 27),
        ({"event": "VIEW", "at_most": 0, "within": {"days": 30}}, 29),
        ({"converted": "hero", "goal": "Won", "within": {"days": 30}}, 20),
        ({"converted": "hero", "goal": "Won", "within": {"days": 30}, "at_most": 0}, 20),
        ({"converted": "hero", "goal": "Won", "within": {"days": 3}}, None),
        ({"converted": "hero", "goal": "Lost", "within": {"days": 30}}, None),
        ({"converted": "hero", "goal": "Won"}, None),
        # Who is not Irish may forget what they like.
        (
            {"all": [leaf("guest.country", "is", "IE"), {"event": "VIEW", "within": {"days": 30}}]},
            None,
        ),
        (
            {"any": [leaf("guest.country", "is", "FR"), {"event": "VIEW", "within": {"days": 30}}]},
            None,
        ),
    ],
)
def test_valid_until__is_when_the_answer_turns_and_not_when_any_event_is_forgotten(
    tree: dict[str, object], days: int | None
) -> None:
    history: list[Any] = [("VIEW", {}, NOW - timedelta(days=age)) for age in (1, 2, 3)]

    goals = {"hero": {"Won": NOW - timedelta(days=10)}}
    given = facts(guest={"country": "FR"}, history=history, goals=goals)

    until = conditions.compile(tree).valid_until(given)

    assert until == (None if days is None else NOW + timedelta(days=days))


@settings(deadline=None)
@given(st.sampled_from(conditions.OPERATORS), st.data())
def test_operator__any_value__answers_true_or_false(
    operator: conditions.Operator, data: st.DataObject
) -> None:
    tree = leaf("guest.attributes.a", operator.name, data.draw(OPERANDS[operator.operand]))
    value = data.draw(values)

    answer = conditions.compile(tree).matches(facts(guest={"attributes": {"a": value}}))

    assert answer is True or answer is False


# Regular expressions


@pytest.mark.parametrize(
    ("pattern", "page", "matched"),
    [
        ("^/shoes/[0-9]+$", "/Shoes/42", True),
        ("^/shoes/[0-9]+$", "/shoes/x", False),
        ("hats?", "/my/HAT", True),
        (r"^(\w+\s?)*$", "x" * 4000 + "!", False),
        ("(a*)*b", "a" * 8000, False),
        ("a", "a" * 9000, False),
    ],
)
def test_regex__is_found_anywhere_in_linear_time(pattern: str, page: str, matched: bool) -> None:
    compiled = conditions.compile(leaf("page", "matches_regex", pattern))

    assert compiled.matches(facts(request={"page": page})) is matched


@pytest.mark.parametrize("pattern", ["(", "(?=x)", r"(a)\1", "a{5000}", "(a{900}){900}", "x" * 501])
def test_regex__that_cannot_run_in_linear_time__is_refused(pattern: str) -> None:
    (message,) = messages(leaf("page", "matches_regex", pattern))

    assert message.startswith("Page: “matches the expression” needs a ")


def test_regex__without_its_library__is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "HAS_REGEX", False)

    (message,) = messages(leaf("page", "matches_regex", "a"))

    assert "the extra “regex”" in message


# Items of lists

ITEMS = "guest.attributes.items.*.sku"


def of_items(operator: str, value: object, items: object) -> bool:
    compiled = conditions.compile(leaf(ITEMS, operator, value))
    return compiled.matches(facts(guest={"attributes": {"items": items}}))


@pytest.mark.parametrize(
    ("operator", "value", "items", "matched"),
    [
        ("is", "b", [{"sku": "a"}, {"sku": "B"}], True),
        ("is", "c", [{"sku": "a"}, {"sku": "b"}], False),
        ("is_not", "b", [{"sku": "a"}, {"sku": "b"}], False),
        ("is_not", "c", [{"sku": "a"}, {"sku": "b"}], True),
        ("is_not", "c", [{"sku": "a"}, {"name": "no sku"}], True),
        ("is_not", "c", [], False),
        ("is_not", "c", None, False),
        ("is_not", "c", [{}], False),
        ("is_not", "c", {"sku": "a"}, False),
        ("exists", None, [{}, {"sku": 0}], True),
        ("exists", None, [{}, 5], False),
        ("is_missing", None, [], True),
        ("is_missing", None, [{"sku": "a"}], False),
        ("at_least", 5, [{"sku": 1}, {"sku": "7"}], True),
        ("includes", "x", [{"sku": ["y"]}, {"sku": ["x", "z"]}], True),
        ("excludes", "x", [{"sku": ["y"]}, {"sku": ["x", "z"]}], False),
        ("in_last_days", 3, [{"sku": "2025-01-01"}, {"sku": "2026-02-28"}], True),
        ("in_last_days", 3, [{"sku": "2025-01-01"}], False),
    ],
)
def test_items__of_a_list__hold_if_any_does_or_for_negatives_if_all_do(
    operator: str, value: object, items: object, matched: bool
) -> None:
    assert of_items(operator, value, items) is matched


def test_items__of_lists_in_lists_and_of_the_list_itself__are_all_meant() -> None:
    orders = [{"lines": [{"sku": "a"}]}, {"lines": []}, {}, {"lines": [{"sku": "b"}]}]
    given = facts(request={"params": {"orders": orders, "tags": ["new", "sale"], "flat": [["x"]]}})

    for path, value in (("orders.*.lines.*.sku", "b"), ("tags.*", "sale"), ("flat.*.0", "x")):
        assert conditions.compile(leaf(f"request.params.{path}", "is", value)).matches(given)
        assert not conditions.compile(leaf(f"request.params.{path}", "is", "?")).matches(given)


def test_items__in_an_events_where_and_measures__are_counted_one_by_one() -> None:
    bought = {"ext": {"plan": "pro"}, "items": [{"sku": "a", "price": 5}, {"sku": "b", "price": 7}]}
    given = facts(events=[("BUY", bought), ("BUY", {"items": [{"sku": "a", "price": "1"}, {}]})])

    def holds(**behaviour: Any) -> bool:
        return conditions.compile({"event": "BUY", **behaviour}).matches(given)

    assert holds(where=[leaf("items.*.sku", "is", "b"), leaf("ext.plan", "is", "pro")], at_most=1)
    assert holds(where=[leaf("items.*.sku", "is_not", "b")], at_least=1, at_most=1)
    for kind, value in (("sum", 13), ("average", 13 / 3), ("distinct", 3)):
        assert holds(measure=kind, of="items.*.price", operator="is", value=value)
    assert holds(measure="distinct", of="items.*.sku", operator="is", value=2)


def test_items__explained__show_the_item_that_decided_or_all_of_them() -> None:
    given = facts(guest={"attributes": {"items": [{"sku": "a"}, {"sku": "b"}]}})

    said = [
        conditions.compile(leaf(ITEMS, operator, value)).explain(given).sentence
        for operator, value in (("is", "b"), ("is", "c"), ("is_not", "b"))
    ]

    assert said == [
        "Guest attribute “items.*.sku” “b” is “b”",
        "Guest attribute “items.*.sku” is [“a”, “b”], wanted it to be “c”",
        "Guest attribute “items.*.sku” is “b”, wanted it not to be “b”",
    ]


@given(
    st.sampled_from([op for op in conditions.OPERATORS if op.type != "any"]),
    st.lists(st.dictionaries(st.just("sku"), json_values, max_size=1), max_size=4),
    st.data(),
)
def test_items__any_list__agree_with_asking_for_each_item(
    operator: conditions.Operator, items: list[dict[str, Any]], data: st.DataObject
) -> None:
    value = data.draw(OPERANDS[operator.operand])
    alone = conditions.compile(leaf("guest.attributes.sku", operator.name, value))
    each = [
        alone.matches(facts(guest={"attributes": item}))
        for item in items
        if item.get("sku") is not None
    ]

    expected = bool(each) and (all if operator.negative else any)(each)
    assert of_items(operator.name, value, items) is expected


# Names and spellings


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"utm": {"source": "a"}}, {"utm": {"source": "a"}}),
        ({"utm.source": "a"}, {"utm": {"source": "a"}}),
        ({"utm_source": "a"}, {"utm": {"source": "a"}}),
        (
            {"utm_source": "c", "utm.source": "b", "utm": {"source": "a"}, "q": 1},
            {"q": 1, "utm": {"source": "a"}},
        ),
        ({"utm_source": "c", "utm.source": "b"}, {"utm": {"source": "b"}}),
        (
            {"utm": {"source": None}, "utm_source": "c", "utm.medium": "m"},
            {"utm": {"source": "c", "medium": "m"}},
        ),
        ({"utm": "junk", "utm_": 1, "utm.": 2}, {"utm": "junk", "utm_": 1, "utm.": 2}),
        ([], {}),
        (None, {}),
    ],
)
def test_normalise_params__utm_spellings__are_one_fact(params: object, expected: object) -> None:
    assert conditions.normalise_params(params) == expected


@pytest.mark.parametrize("name", ["utm.source", "utm_source"])
def test_resolve__utm_spellings_of_a_field__are_one_field(name: str) -> None:
    field = conditions.default_registry.resolve(f"request.params.{name}")

    assert field is not None
    assert (field.name, field.label) == (
        "request.params.utm.source",
        "Request parameter “utm.source”",
    )


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "guest",
        "guest.",
        "request.params",
        "request.params.",
        "request.params..a",
        "guest.attributes." + "a." * 40 + "a",
        "page.",
        "x" * 1000,
    ],
)
def test_resolve__no_field_of_that_name__is_none(name: str) -> None:
    assert conditions.default_registry.resolve(name) is None


def test_register__a_name_that_is_taken__is_refused() -> None:
    registry = Registry([Field(name="guest.vip", label="VIP", type="boolean", needs="guest")])

    with pytest.raises(ValueError, match="already registered"):
        registry.register(Field(name="guest.vip", label="VIP", type="text", needs="guest"))


def test_register__a_field_with_its_own_reader__is_used() -> None:
    registry = Registry()
    registry.register(
        Field(
            name="time.hour",
            label="Hour of day",
            type="number",
            needs="request",
            read=lambda given: given.now.hour,
        )
    )

    assert conditions.compile(leaf("time.hour", "is", 12), registry).matches(facts())


# Globs


@given(st.text(alphabet="ab*?", max_size=8), st.text(alphabet="ab", max_size=12))
def test_glob__any_pattern__agrees_with_the_shell(pattern: str, text: str) -> None:
    assert compile_glob(pattern)(text) is fnmatchcase(text, pattern)


@pytest.mark.parametrize("pattern", ["*a?" * 160 + "b", "*a" * 240 + "b", "?*" * 240 + "b"])
def test_glob__a_pattern_made_to_blow_up__is_over_soon(pattern: str) -> None:
    match = compile_glob(pattern)
    assert match("a" * 8192) is False


def test_glob__a_text_beyond_the_limit__does_not_match() -> None:
    assert compile_glob("*")("a" * 8192)
    assert not compile_glob("*")("a" * 8193)
