"""Decisions that a host writes in Python."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from personalize import conditions, decisions
from personalize.conditions import Facts
from personalize.decisions import Decision

NOW = datetime(2026, 5, 1, tzinfo=UTC)
OFFER, OTHER = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
OUTPUTS: dict[str, str | tuple[str, object]] = {
    "offer": ("OFFER", OTHER),
    "discount": ("NUMBER", 0),
    "text": "TEXT",
    "json": "JSON",
}
DOCUMENT = {
    "callable": "best",
    "outputs": [
        {"name": "offer", "type": "OFFER", "default": OTHER},
        {"name": "discount", "type": "NUMBER", "default": 0},
        {"name": "text", "type": "TEXT"},
        {"name": "json", "type": "JSON"},
    ],
}
NOTHING = {"offer": OTHER, "discount": 0, "text": None, "json": None}


class Whole(int):
    pass


class Measured(float):
    pass


class Marked(str):
    __slots__ = ()


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    decisions.unregister("best")


def answer(given: Any, has_offer: Any = lambda ref: True) -> Decision:
    @decisions.register("best", outputs=OUTPUTS, reads=["session.views"], events=["ADD"])
    def best(facts: Facts) -> Any:
        if isinstance(given, Exception):
            raise given
        return given

    return decisions.compile(DOCUMENT).decide(decisions.facts_of({}, now=NOW), has_offer=has_offer)


def test_callable__that_answers_some_outputs__leaves_the_others_at_their_defaults() -> None:
    assert answer({"discount": 7}) == Decision({**NOTHING, "discount": 7})


def test_callable__that_answers_none__gives_the_defaults() -> None:
    assert answer(None) == Decision(NOTHING)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (ValueError("x"), "“best” raised ValueError."),
        ({"discount": "7"}, "“best”: its output “discount” needs a number, at most"),
        ({"price": 7}, "“best”: it answered with “price”, which it has not declared."),
        ([1], "“best”: its answer has to be a dict of outputs."),
        ({"text": object()}, "“best”: its output “text” needs a text of at most"),
        ({"text": "\ud83d"}, "“best”: its output “text” needs a text without NUL and half"),
        ({"text": "a\x00"}, "“best”: its output “text” needs a text without NUL and half"),
        ({"json": {"a": ["\udc00"]}}, "“best”: its output “json” needs a JSON value without NUL"),
        ({"json": {"\x00": 1}}, "“best”: its output “json” needs a JSON value without NUL"),
        ({"json": [2**63]}, "“best”: its output “json” needs a JSON value whose whole numbers"),
        ({"json": {(1, 2): 1}}, "“best”: its output “json” needs a JSON value."),
        ({"json": [float("nan")]}, "“best”: its output “json” needs a JSON value."),
        (
            {"json": nested(31)},
            "“best”: its output “json” needs a JSON value of at most 30 levels.",
        ),
        ({"json": nested(700)}, "“best”: its output “json” needs a JSON value"),
        ({"json": nested(100_000)}, "“best”: its output “json” needs a JSON value"),
    ],
)
def test_callable__that_fails__gives_the_defaults_and_says_why(given: Any, fault: str) -> None:
    decision = answer(given)

    assert decision.outputs == NOTHING
    assert decision.fault.startswith(fault)


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        ({"discount": Whole(3)}, {"discount": 3}),
        ({"discount": Measured(2.5)}, {"discount": 2.5}),
        ({"text": Marked("<b>")}, {"text": "<b>"}),
        ({"json": {"a": (Whole(1), Measured(0.5), Marked("x"))}}, {"json": {"a": [1, 0.5, "x"]}}),
        ({"json": {None: 1, 2: Marked("x")}}, {"json": {"null": 1, "2": "x"}}),
        ({"json": nested(30)}, {"json": nested(30)}),
        ({"offer": Marked(OFFER)}, {"offer": OFFER}),
    ],
)
def test_callable__that_answers_with_values_of_its_librarys_own__answers_plain_ones(
    given: Any, answered: Any
) -> None:
    decision = answer(given)

    assert decision == Decision({**NOTHING, **answered})
    # Only plain values can be written down as fast as each call has to be.
    assert msgspec.json.decode(msgspec.json.encode(decision.outputs)) == decision.outputs


def test_callable__whose_offer_the_guest_cannot_have__gives_the_default_offer() -> None:
    decision = answer({"offer": OFFER}, has_offer=lambda ref: ref != OFFER)

    assert decision == Decision(NOTHING)


def test_callable__whose_offer_is_gone__says_so() -> None:
    decision = answer({"offer": OFFER}, has_offer=lambda ref: None)

    assert decision.outputs == {**NOTHING, "offer": None}
    assert decision.fault == "“offer” names an offer that is gone or broken."


def test_callable__that_is_registered_no_more__gives_the_defaults() -> None:
    decision = decisions.compile(DOCUMENT).decide(decisions.facts_of({}, now=NOW))

    assert decision.outputs == NOTHING
    assert "registered any more" in decision.fault


def test_callable__says_which_facts_it_reads() -> None:
    answer(None)
    compiled = decisions.compile(DOCUMENT)

    assert compiled.needs == conditions.Needs(session=True, events=frozenset({"ADD"}))
    assert compiled.fields == {"session.views"}


@pytest.mark.parametrize(
    ("outputs", "reads", "message"),
    [
        ({}, [], "declares no outputs"),
        ({"x": "SHOE"}, [], "there is no type “SHOE”"),
        ({"1": "TEXT"}, [], "cannot be the name of an output"),
        ({"x": "TEXT"}, ["guest.shoes"], "there is no field 'guest.shoes'"),
    ],
)
def test_register__what_cannot_be__is_refused_at_once(
    outputs: Any, reads: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        decisions.register("best", outputs=outputs, reads=reads)


def test_register__a_name_that_is_taken__is_refused() -> None:
    answer(None)

    with pytest.raises(ValueError, match="already registered"):
        answer(None)
