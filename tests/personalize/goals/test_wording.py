"""How a goal reads, whatever is stored."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalize.goals import document, wording
from tests.personalize.test_conditions import json_values

THANKS = {"type": "VIEW", "where": [{"field": "page", "operator": "contains", "value": "thanks"}]}
ADD, CLICK = {"type": "ADD"}, {"type": "CLICK"}


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        (
            {"kind": "PAGE_VIEW", "event": THANKS},
            "Visits with VIEW (where page contains “thanks”)",
        ),
        (
            {"kind": "EVENT", "event": ADD, "windowHours": 48, "isGuardrail": True},
            "Guests with ADD, within 48 hours of the first exposure; a guardrail",
        ),
        ({"kind": "CONVERSION", "unit": "GUEST"}, "Guests with an order"),
        (
            {"kind": "REVENUE", "cap": {"value": 500}},
            "Revenue per visit, at most 500 counted of a guest",
        ),
        (
            {"kind": "REVENUE", "unit": "GUEST", "quantile": 0.9, "cap": {"percentile": 99}},
            "Revenue per guest, capped at percentile 99; compared by quantile 0.9 of the guests",
        ),
        ({"kind": "AVERAGE_ORDER_VALUE"}, "Revenue per order"),
        ({"kind": "COUNT", "event": ADD}, "Number of ADD per visit"),
        ({"kind": "SUM", "event": ADD, "value": "price"}, "Sum of price of ADD per visit"),
        ({"kind": "MEAN", "event": ADD, "value": "price"}, "Average price of ADD"),
        (
            {"kind": "RATIO", "event": CLICK, "base": ADD, "baseValue": "price"},
            "Number of CLICK divided by price of ADD",
        ),
        ({"kind": "FUNNEL", "steps": [ADD, CLICK]}, "Visits with ADD, then CLICK"),
        (
            {"kind": "RETENTION", "event": ADD, "days": [1, 7]},
            "Guests back with ADD, 1 to 7 days after the first exposure",
        ),
        (
            {"kind": "BOUNCE", "direction": "DECREASE"},
            "Visits that end after one page; better when it goes down",
        ),
        ({"kind": "EVENT"}, "Goal “-” has to say which event it is about."),
    ],
)
def test_sentence__of_each_kind__says_what_is_measured(goal: dict[str, Any], words: str) -> None:
    assert wording.sentence(goal) == words


@given(st.dictionaries(st.sampled_from(["kind", "event", "steps", "cap", "x"]), json_values))
def test_sentence__of_anything__is_a_text(goal: dict[str, Any]) -> None:
    assert wording.sentence(goal)


@pytest.mark.parametrize(
    ("left", "right", "alike"),
    [
        ({"kind": "EVENT", "event": ADD}, {"kind": "EVENT", "event": ADD, "unit": "SESSION"}, True),
        ({"kind": "EVENT", "event": ADD}, {"kind": "EVENT", "event": ADD | {"where": []}}, True),
        ({"kind": "EVENT", "event": ADD}, {"kind": "EVENT", "event": ADD, "unit": "GUEST"}, False),
        ({"kind": "AVERAGE_ORDER_VALUE"}, {"kind": "AVERAGE_ORDER_VALUE", "unit": "GUEST"}, True),
        ({"kind": "REVENUE"}, {"kind": "REVENUE", "cap": {"percentile": 99}}, True),
        ({"kind": "REVENUE"}, {"kind": "REVENUE", "cap": {"value": 99}}, False),
        ({"kind": "EVENT", "event": ADD}, {"kind": "EVENT", "event": CLICK}, False),
    ],
)
def test_goals__written_in_two_ways__measure_the_same_if_they_mean_the_same(
    left: dict[str, Any], right: dict[str, Any], alike: bool
) -> None:
    assert document.measures_alike(left, right) is alike
