"""
PURE. Test cases stored with a decision: facts, and the outputs that are expected of them.

`failures` is asked before a decision is published. Offers count as there and to be had: what is
tested is the decision, not what is on sale today.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from personalize.conditions import Problem
from personalize.conditions.wording import show
from personalize.decisions.samples import check_facts, facts_of
from personalize.decisions.types import Decider, Output

MAX_CASES = 100
MAX_NAME = 100

_KEYS = frozenset({"name", "facts", "expected"})


@dataclass(frozen=True)
class Case:
    """One example of what the decision has to say. Outputs that are not named may be anything."""

    name: str
    facts: Mapping[str, object]
    expected: Mapping[str, object]


@dataclass(frozen=True)
class Failure:
    """A case that does not pass, and why, in a sentence."""

    name: str
    message: str


def read_cases(given: object, outputs: Sequence[Output]) -> tuple[list[Case], list[Problem]]:
    """Return the cases of a document, and everything that is wrong with them."""
    if given is None:
        return [], []
    if not isinstance(given, list | tuple) or len(given) > MAX_CASES:
        return [], [Problem("tests", f"“tests” is a list of at most {MAX_CASES} test cases.")]
    cases: list[Case] = []
    problems: list[Problem] = []
    for at, item in enumerate(given):
        found = _read_case(at, item, {output.name for output in outputs}, problems)
        if found is not None:
            cases.append(found)
    return cases, problems


def _read_case(at: int, item: object, outputs: set[str], problems: list[Problem]) -> Case | None:
    path = f"tests[{at}]"
    if not isinstance(item, Mapping) or not item.keys() <= _KEYS:
        message = f"Test {at + 1} is an object with a “name”, “facts” and what is “expected”."
        problems.append(Problem(path, message))
        return None
    name, facts = str(item.get("name") or f"Test {at + 1}"), item.get("facts", {})
    expected = item.get("expected")
    found = [f"Test “{name}”: {problem}" for problem in check_facts(facts)]
    if len(name) > MAX_NAME:
        found.append(f"Test {at + 1}: a name has at most {MAX_NAME} characters.")
    if not isinstance(expected, Mapping) or not expected:
        found.append(f"Test “{name}”: say what is “expected” of an output.")
    else:
        unknown = [key for key in expected if key not in outputs]
        found += [f"Test “{name}”: there is no output {show(key)}." for key in unknown]
    problems += [Problem(path, message) for message in found]
    if found or not isinstance(facts, Mapping) or not isinstance(expected, Mapping):
        return None
    return Case(name, facts, expected)


def failures(decider: Decider, cases: Sequence[Case], *, now: datetime) -> list[Failure]:
    """Return the cases that the decision does not pass."""
    return [failure for case in cases if (failure := _failure(decider, case, now)) is not None]


def _failure(decider: Decider, case: Case, now: datetime) -> Failure | None:
    decision = decider.decide(facts_of(case.facts, now=now))
    if decision.fault:
        return Failure(case.name, f"Test “{case.name}” fails: {decision.fault}")
    for name, wanted in case.expected.items():
        given = decision.outputs.get(name)
        # In Python yes is 1 and no is 0; here they are not.
        if given != wanted or isinstance(given, bool) is not isinstance(wanted, bool):
            because = _because(decision.rows)
            return Failure(
                case.name,
                f"Test “{case.name}” fails: “{name}” is {_say(given)}, expected {_say(wanted)} "
                f"({because}).",
            )
    return None


def _say(value: object) -> str:
    return "empty" if value is None else show(value)


def _because(rows: Sequence[int]) -> str:
    if not rows:
        return "no row hits"
    listed = ", ".join(map(str, rows))
    return f"row {listed} hits" if len(rows) == 1 else f"rows {listed} hit"
