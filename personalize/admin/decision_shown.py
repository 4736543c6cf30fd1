"""The parts of a decision's table as its page shows them: columns, rows, cells and choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from personalize.admin.condition_fields import described_operators, grouped_fields
from personalize.admin.decision_grid import WHOLE, Cell, InColumn, OutColumn
from personalize.conditions import OPERATORS

POLICIES = [
    ("FIRST", _("FIRST: the first row that hits")),
    ("UNIQUE", _("UNIQUE: one row can hit at most")),
    ("ANY", _("ANY: several may hit if they answer alike")),
    ("PRIORITY", _("PRIORITY: the row with the highest priority")),
    ("RULE_ORDER", _("RULE ORDER: a list of all that hit")),
    ("COLLECT", _("COLLECT: what all that hit make together")),
]
AGGREGATORS = [
    ("LIST", _("a list")),
    ("SUM", _("their sum")),
    ("MIN", _("the smallest")),
    ("MAX", _("the largest")),
    ("COUNT", _("how many hit")),
]
TYPES = [
    ("TEXT", _("Text")),
    ("NUMBER", _("Number")),
    ("BOOLEAN", _("Yes or no")),
    ("OFFER", _("Offer")),
    ("JSON", _("JSON")),
]


def field_choices() -> list[tuple[Any, Any]]:
    other = (_("Other"), [(WHOLE, _("A whole condition, as JSON"))])
    return [("", _("— choose —")), *grouped_fields(), other]


def operator_options(chosen: str) -> SafeString:
    described = described_operators()
    labels = {operator.name: operator.label for operator in OPERATORS}
    return format_html(
        '<option value="">{}</option>{}',
        gettext("any"),
        format_html_join(
            "",
            '<option value="{}" data-types="{}" data-operand="{}"{}>{}</option>',
            (
                (
                    name,
                    described[name]["data-types"],
                    described[name]["data-operand"],
                    SafeString(" selected") if name == chosen else "",
                    label,
                )
                for name, label in labels.items()
            ),
        ),
    )


def offer_options(known: Mapping[str, str], chosen: str) -> SafeString:
    gone = {} if not chosen or chosen in known else {chosen: gettext("an offer that is gone")}
    return format_html(
        '<option value="">–</option>{}',
        format_html_join(
            "",
            '<option value="{}"{}>{}</option>',
            (
                (ref, SafeString(" selected") if ref == chosen else "", name)
                for ref, name in {**gone, **known}.items()
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class ShownInput:
    """A column of conditions on the page."""

    at: object
    column: InColumn
    select: SafeString
    is_extra: bool = False


@dataclass(frozen=True, slots=True)
class ShownOutput:
    """A column of answers on the page."""

    at: object
    column: OutColumn
    select: SafeString
    offers: SafeString
    is_extra: bool = False


@dataclass(frozen=True, slots=True)
class ShownCell:
    """A comparison on the page: its names end in r<row>-i<column>."""

    key: str
    cell: Cell
    operators: SafeString
    is_whole: bool
    is_extra: bool = False


@dataclass(frozen=True, slots=True)
class ShownValue:
    """An answer on the page: its names end in r<row>-o<column>."""

    key: str
    text: str
    offers: SafeString
    is_offer: bool
    is_extra: bool = False


@dataclass(frozen=True, slots=True)
class ShownRow:
    at: object
    number: int
    priority: str
    cells: Sequence[ShownCell]
    values: Sequence[ShownValue]
    is_wrong: bool = False
    is_extra: bool = False
