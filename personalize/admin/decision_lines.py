"""Facts and expected outputs as lines of `name = value`: how test cases and trials are typed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from personalize.conditions import default_registry
from personalize.conditions.operators import as_boolean, as_number
from personalize.decisions import OutputType


def facts_of_lines(text: str) -> tuple[dict[str, Any], list[str]]:
    """Return the facts that these lines state, and what is wrong with the lines."""
    facts: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in _pairs(text, problems):
        facts[name] = _fact(name, value)
    return facts, problems


def lines_of_facts(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"{name} = {_fact_text(name, value)}" for name, value in facts.items())


def expected_of_lines(text: str, types: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return the outputs that these lines expect; `types` are those of the outputs by name."""
    expected: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in _pairs(text, problems):
        expected[name] = _expected(types.get(name, ""), value)
    return expected, problems


def lines_of_expected(expected: Mapping[str, Any], types: Mapping[str, str]) -> str:
    return "\n".join(
        f"{name} = {_expected_text(types.get(name, ''), value)}" for name, value in expected.items()
    )


def _pairs(text: str, problems: list[str]) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if not line.strip():
            continue
        name, separator, value = line.partition("=")
        if separator and name.strip():
            yield name.strip(), value.strip()
        else:
            message = _("write “%(line)s” as name = value.")
            problems.append(message % {"line": line.strip()[:80]})


def _fact(name: str, text: str) -> Any:
    if not text:
        return None
    field = default_registry.resolve(name)
    kind = field.type if field else "any"
    if kind == "number":
        number = as_number(text)
        return text if number is None else number
    if kind == "boolean":
        truth = as_boolean({"yes": "true", "no": "false"}.get(text.lower(), text))
        return text if truth is None else truth
    if kind == "list":
        return [piece.strip() for piece in text.split(",") if piece.strip()]
    return _plain_or_text(text) if kind == "any" else text


def _fact_text(name: str, value: Any) -> str:
    if value is None:
        return ""
    field = default_registry.resolve(name)
    if isinstance(value, list) and field is not None and field.type == "list":
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _expected(kind: str, text: str) -> Any:
    if not text:
        return None
    if text.startswith(("[", "{")):
        return _plain_or_text(text)
    if kind == OutputType.BOOLEAN:
        return {"yes": True, "true": True, "no": False, "false": False}.get(text.lower(), text)
    if kind in (OutputType.NUMBER, OutputType.JSON):
        return _plain_or_text(text)
    # How many rows hit is a number, whatever the column has.
    return text


def _expected_text(kind: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) and kind == OutputType.BOOLEAN:
        return "yes" if value else "no"
    if isinstance(value, str) and kind != OutputType.JSON:
        return value
    return json.dumps(value, ensure_ascii=False)


def _plain_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
