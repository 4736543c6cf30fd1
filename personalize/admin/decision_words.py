"""A decision in words, line by line: what people compare, and read who may not edit it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from personalize import conditions, decisions
from personalize.conditions import Group
from personalize.decisions import CompiledTable, Row

_ANYBODY = conditions.compile({}).sentence


def lines(document: Any, offers: Mapping[str, str]) -> str:
    """Return a document as lines of text; `offers` are names by ref. JSON, if it is not valid."""
    try:
        decider = decisions.compile(document)
    except decisions.DecisionInvalid:
        return json.dumps(document, indent=2, ensure_ascii=False)
    return "\n".join(_lines(document, decider, offers))


def _lines(
    document: Mapping[str, Any], decider: decisions.Decider, offers: Mapping[str, str]
) -> Iterator[str]:
    if isinstance(decider, CompiledTable):
        yield _("Rows that count: %(policy)s") % {"policy": _policy(decider)}
    else:
        yield _("Decided by the site's code: %(name)s") % {"name": document["callable"]}
    for output in decider.outputs:
        default = _say(output.default, offers)
        shown = {"name": output.name, "type": output.type, "default": default}
        yield _("Output %(name)s: %(type)s, by default %(default)s") % shown
    if isinstance(decider, CompiledTable):
        for row in decider.table.rows:
            yield _row(row, decider, offers)
    for test in document.get("tests") or []:
        facts, expected = _pairs(test.get("facts"), offers), _pairs(test.get("expected"), offers)
        shown = {"name": test.get("name") or "", "facts": facts, "expected": expected}
        yield _("Test “%(name)s”: with %(facts)s expects %(expected)s") % shown


def _policy(compiled: CompiledTable) -> str:
    table = compiled.table
    is_collecting = table.policy is decisions.HitPolicy.COLLECT
    return f"{table.policy} ({table.aggregator})" if is_collecting else str(table.policy)


def _row(row: Row, compiled: CompiledTable, offers: Mapping[str, str]) -> str:
    cells = tuple(cell for cell in row.cells if cell is not None)
    sentence = conditions.compile_condition(Group("all", cells)).sentence if cells else _ANYBODY
    shown = {"n": row.number, "when": sentence, "then": _pairs(row.values, offers)}
    said = _("Row %(n)d: %(when)s → %(then)s") % shown
    if compiled.table.policy is not decisions.HitPolicy.PRIORITY:
        return said
    return _("%(row)s (priority %(n)d)") % {"row": said, "n": row.priority}


def _pairs(values: Any, offers: Mapping[str, str]) -> str:
    if not isinstance(values, Mapping) or not values:
        return _("nothing")
    return ", ".join(f"{name} = {_say(value, offers)}" for name, value in values.items())


def _say(value: Any, offers: Mapping[str, str]) -> str:
    if value is None:
        return _("nothing")
    if isinstance(value, str):
        return f"“{offers.get(value, value)}”"
    return json.dumps(value, ensure_ascii=False)
