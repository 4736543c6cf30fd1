"""What conditions read, kept as JSON, gives the same answers again without any facts."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from personalize import conditions
from personalize.conditions import Compiled, Facts, Field, NotKept, Recalled, Registry, Unkeepable
from tests.personalize.test_conditions import (
    NOW,
    any_facts,
    facts,
    is_shallow,
    leaf,
    trees,
    trees_of_few_fields,
)
from tests.thoroughness import searches


def kept(readings: dict[str, object]) -> dict[str, object]:
    """Take readings through JSON and back."""
    written = msgspec.json.encode(
        {name: conditions.pack(value) for name, value in readings.items()}
    )
    return {name: conditions.unpack(value) for name, value in msgspec.json.decode(written).items()}


def is_keepable(value: object) -> bool:
    """Say whether a record keeps a value: what it does not, it keeps by its outcome."""
    try:
        conditions.pack(value)
    except conditions.Unkeepable:
        return False
    return True


@settings(max_examples=searches(500), deadline=None)
@given(trees.filter(is_shallow), any_facts)
def test_recall__any_tree_of_what_it_read__is_the_explanation_of_then(
    tree: dict[str, object], given_facts: Facts
) -> None:
    compiled = conditions.compile(tree)
    readings = compiled.readings(given_facts)
    assume(all(map(is_keepable, readings.values())))

    recalled = Recalled(now=NOW, values=kept(readings))

    assert compiled.recall(recalled).as_dict() == compiled.explain(given_facts).as_dict()


def outcomes(compiled: Compiled, given_facts: Facts) -> Recalled:
    """Return what is known of a tree where no value was kept."""
    kept: dict[bool, dict[str, list[str]]] = {True: {}, False: {}}
    for ask in compiled.asks:
        of = kept[ask.explain(ask.read(given_facts), NOW).matched]
        of.setdefault(ask.subject, []).append(ask.key)
    return Recalled(now=NOW, held=kept[True], not_held=kept[False])


@settings(deadline=None)
@given(trees.filter(is_shallow), any_facts)
def test_recall__of_outcomes_alone__comes_to_the_same(
    tree: dict[str, object], given_facts: Facts
) -> None:
    compiled = conditions.compile(tree)

    assert compiled.recall(outcomes(compiled, given_facts)).matched is compiled.matches(given_facts)


@settings(max_examples=searches(500), deadline=None)
@given(trees_of_few_fields, trees_of_few_fields, any_facts)
def test_recall__of_the_outcomes_of_another_tree__is_not_known_or_the_same(
    tree: dict[str, object], other: dict[str, object], given_facts: Facts
) -> None:
    compiled = conditions.compile(tree)
    recalled = outcomes(conditions.compile(other), given_facts)

    with suppress(NotKept):
        assert compiled.recall(recalled).matched is compiled.matches(given_facts)


ODD: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        2**70,
        -(2**63),
        1e22,
        1.0,
        -0.0,
        float("inf"),
        "",
        "ä\x00",
        5e-324,
    ),
    *(
        {},
        [],
        (),
        {"$time": "x"},
        {"$object": {"$int": 1}},
        {"$int": 1, "b": 2},
        ["a", ("b", None)],
    ),
    {"deep": [{"$tuple": (1.5, {"x": [None]})}]},
    *(NOW, NOW.replace(tzinfo=None), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)),
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
]


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_pack__a_value_that_json_has_no_word_for__comes_back_the_same(value: Any) -> None:
    (back,) = kept({"it": value}).values()

    assert repr(back) == repr(value)


@pytest.mark.parametrize("value", ["\ud800", {1: 2}, {"a": {3}}, 2**2000, {1}, b"x"])
def test_pack__what_json_could_not_give_back__is_refused(value: Any) -> None:
    with pytest.raises(Unkeepable):
        conditions.pack(value)


def test_readings__of_a_tree__stand_once_by_what_is_read() -> None:
    tree = {
        "all": [
            leaf("guest.country", "is", "IE"),
            {"not": leaf("guest.country", "is_one_of", ["DE", "FR"])},
            {"event": "ADD", "at_least": 2},
            {"event": "ADD", "at_most": 9},
            {"event": "ADD", "within": {"days": 30}},
            {"event": "ADD", "where": [leaf("price", "at_least", 5)]},
            {"event": "ADD", "measure": "sum", "of": "price", "operator": "at_least", "value": 1},
        ]
    }
    given_facts = facts(guest={"country": "IE"}, events=[("ADD", {"price": 7}), ("ADD", {})])

    readings = conditions.compile(tree).readings(given_facts)

    (where,) = (name for name in readings if " where " in name)
    assert readings == {
        "guest.country": "IE",
        "event.ADD session": 2,
        "event.ADD 30d": 0,
        where: 1,
        "event.ADD session sum(price)": 7,
    }


def test_reading__of_a_field__keeps_its_name_whatever_it_is_called_later() -> None:
    def labelled(label: str) -> Registry:
        reads = {"name": "loyalty.tier", "type": "text", "needs": "guest"}
        return Registry([Field(label=label, read=lambda facts: "gold", **reads)])  # type: ignore[arg-type]

    subjects = [
        [ask.subject for ask in conditions.compile(leaf("loyalty.tier", "is", "gold"), each).asks]
        for each in (labelled("Tier"), labelled("Loyalty"))
    ]

    assert subjects == [["loyalty.tier"], ["loyalty.tier"]]


def test_recall__where_nothing_was_kept__says_of_what() -> None:
    with pytest.raises(NotKept, match=r"guest\.country"):
        conditions.compile(leaf("guest.country", "is", "IE")).recall(Recalled(now=NOW))


def test_recall__where_only_the_outcome_is_known__says_so_in_words() -> None:
    compiled = conditions.compile(leaf("guest.country", "is", "IE"))

    told = [
        compiled.recall(outcomes(compiled, facts(guest={"country": country}))).sentence
        for country in ("IE", "DE")
    ]

    assert told == [
        "It held that Guest country is “IE” (the value was not kept)",
        "It did not hold that Guest country is “IE” (the value was not kept)",
    ]


@given(st.lists(trees.filter(is_shallow), min_size=2, max_size=2))
def test_keys__of_leaves_of_one_subject__tell_them_apart(pair: list[dict[str, object]]) -> None:
    asks = [ask for tree in pair for ask in conditions.compile(tree).asks]

    for one in asks:
        for other in asks:
            if one.subject == other.subject and one.key == other.key:
                assert one.of == other.of
