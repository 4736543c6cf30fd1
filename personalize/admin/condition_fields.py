"""What there is to choose from in a condition: the fields in their groups, and the operators."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from personalize.admin import condition_tree
from personalize.admin.condition_tree import CONVERTED, DAYS, DID, EVER, SAW, SESSION
from personalize.conditions import MEASURES, OPERATORS, default_registry

#: Types of what a line compares, beside those of fields: how often something was done.
COUNTED = "event"
#: And whether a goal was reached.
REACHED = "conversion"

#: Says of the name of a field, or of SESSION, whether an editor offers it.
Offers = Callable[[str], bool]

_GROUPS = {
    "request": _("Page and request"),
    "time": _("Time, where the site is"),
    "guest": _("Guest"),
    "segments": _("Guest"),
    "session": _("Visit"),
    "cart": _("Cart"),
    "orders": _("Orders"),
}
TIMES = [
    (condition_tree.ONCE, _("at least once")),
    (condition_tree.AT_LEAST, _("at least … times")),
    (condition_tree.EXACTLY, _("exactly … times")),
    (condition_tree.AT_MOST, _("at most … times")),
    (condition_tree.BETWEEN, _("between … and … times")),
    (condition_tree.NEVER, _("never")),
]
MEASURED = [
    ("", _("how often")),
    ("sum", _("sum of")),
    ("average", _("average of")),
    ("distinct", _("different values of")),
    ("first", _("first time")),
    ("last", _("last time")),
]
WINDOWS = [
    ("", "—"),
    (SESSION, _("in this visit")),
    (DAYS, _("in the last … days")),
    (EVER, _("ever")),
]
KINDS = [
    (condition_tree.ALL, _("all of them hold")),
    (condition_tree.ANY, _("any of them holds")),
    (condition_tree.NONE, _("none of them holds")),
    (condition_tree.NOT_ALL, _("not all of them hold")),
]


class DescribedSelect(forms.Select):
    """A select whose options tell the script what they go with."""

    def __init__(self, described: Mapping[str, Mapping[str, str]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.described = described

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        option["attrs"].update(self.described.get(str(value), {}))
        return option


class PlainSelect(forms.Select):
    """A select made without a template for each option: a page may have hundreds of selects."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        chosen = "" if value is None else str(value)
        parts = [_option(choice, label, chosen) for choice, label in self.choices]
        given = flatatt(self.build_attrs(self.attrs, {**(attrs or {}), "name": name}))
        return format_html("<select{}>{}</select>", given, SafeString("".join(parts)))


def _option(value: Any, label: Any, chosen: str) -> SafeString:
    if isinstance(label, list | tuple):
        options = SafeString("".join(_option(each, text, chosen) for each, text in label))
        return format_html('<optgroup label="{}">{}</optgroup>', value, options)
    selected = SafeString(" selected") if str(value) == chosen else ""
    return format_html('<option value="{}"{}>{}</option>', value, selected, label)


def grouped_fields() -> list[tuple[Any, list[tuple[Any, Any]]]]:
    """Return the fields there are as groups of choices: those of the site by their sources."""
    groups: dict[Any, list[tuple[Any, Any]]] = {label: [] for label in _GROUPS.values()}
    for field in default_registry.fields():
        label = _GROUPS.get(field.needs) or field.group or _("This site")
        groups.setdefault(label, []).append((field.name, field.label))
    return list(groups.items())


def field_choices() -> list[tuple[Any, Any]]:
    did = [
        (DID, _("Did something")),
        (SAW, _("Saw an experience")),
        (CONVERTED, _("Converted on a goal")),
    ]
    return [("", _("— choose —")), (_("Behaviour"), did), *grouped_fields()]


def narrowed(choices: list[tuple[Any, Any]], offers: Offers) -> list[tuple[Any, Any]]:
    """Return the choices, in their groups, that are offered."""
    kept: list[tuple[Any, Any]] = []
    for value, label in choices:
        if not isinstance(label, list):
            kept.append((value, label))
        elif inner := [choice for choice in label if offers(choice[0])]:
            kept.append((value, inner))
    return kept


def operator_choices() -> list[tuple[Any, Any]]:
    labels = {operator.name: operator.label for operator in OPERATORS}
    return [("", _("— choose —")), (_("Compare"), list(labels.items())), (_("How often"), TIMES)]


def described_fields() -> dict[str, dict[str, str]]:
    """Return what goes with the choice of a field, as attributes of its option."""
    return {
        field.name: {"data-type": field.type, "data-detail": "1" if field.is_prefix else ""}
        for field in default_registry.fields()
    }


def described_operators() -> dict[str, dict[str, str]]:
    described: dict[str, dict[str, str]] = {}
    for operator in OPERATORS:
        known = described.setdefault(operator.name, {"data-types": "", "data-operand": ""})
        known["data-types"] = f"{known['data-types']} {operator.type}".strip()
        known["data-operand"] = known["data-operand"] or operator.operand
    operands = {condition_tree.NEVER: "none", condition_tree.BETWEEN: "range"}
    for name in condition_tree.TIMES:
        described[name] = {"data-types": COUNTED, "data-operand": operands.get(name, "number")}
    described[condition_tree.NEVER]["data-types"] = f"{COUNTED} {REACHED}"
    described[condition_tree.ONCE] = {"data-types": REACHED, "data-operand": "none"}
    return described


def description_json() -> str:
    """Return what the script has to know of fields, operators and measures, once for a page."""
    described = {
        "fields": {
            field.name: {
                "type": field.type,
                "isPrefix": field.is_prefix,
                "choices": list(field.choices),
                "picker": field.picker,
            }
            for field in default_registry.fields()
        },
        "operators": {
            name: {"types": given["data-types"].split(), "operand": given["data-operand"]}
            for name, given in described_operators().items()
        },
        "measures": {name: type_ for name, (_label, type_) in MEASURES.items()},
    }
    return json.dumps(described, ensure_ascii=False)
