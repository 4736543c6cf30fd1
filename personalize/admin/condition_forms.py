"""
The forms that a condition tree is edited in: one of a box, of a line, of a comparison in it.

They work without scripts: what a line has no use for is left empty, and the server says what
does not fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from personalize import conditions
from personalize.admin import condition_fields, condition_tree
from personalize.admin.condition_fields import Offers
from personalize.admin.condition_rows import Row
from personalize.admin.condition_tree import (
    CONVERTED,
    DAYS,
    DEEDS,
    DID,
    EVER,
    KEPT,
    SAW,
    SESSION,
    Line,
)


def _text(label: Any, css: str, placeholder: Any, *, longest: int = 200) -> forms.CharField:
    attributes = {"class": css, "placeholder": placeholder, "autocomplete": "off"}
    return forms.CharField(
        label=label,
        required=False,
        strip=False,
        max_length=longest,
        widget=forms.TextInput(attrs=attributes),
    )


def _choice(label: Any, css: str, choices: Any) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=label,
        required=False,
        choices=choices,
        widget=condition_fields.PlainSelect(attrs={"class": css}),
    )


def _field_choices() -> list[tuple[Any, Any]]:
    return [*condition_fields.field_choices(), (KEPT, _("Kept as it is"))]


class PartForm(forms.Form):
    """What all parts have: what they are, where they lie, and whether they go."""

    part = forms.CharField(widget=forms.HiddenInput(attrs={"class": "pz-part"}))
    parent = forms.IntegerField(
        required=False, min_value=0, widget=forms.HiddenInput(attrs={"class": "pz-parent"})
    )
    place = forms.IntegerField(
        required=False, min_value=0, widget=forms.HiddenInput(attrs={"class": "pz-place"})
    )
    was = forms.IntegerField(
        required=False, min_value=0, widget=forms.HiddenInput(attrs={"class": "pz-was"})
    )
    DELETE = forms.BooleanField(
        required=False, widget=forms.CheckboxInput(attrs={"class": "pz-delete"})
    )

    #: Inputs that make a part count.
    TEXTS: Sequence[str] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            # The columns have no visible labels; screen readers get one for each input.
            if field.label and not field.widget.is_hidden:
                field.widget.attrs["aria-label"] = field.label

    @property
    def is_blank(self) -> bool:
        return not any(self.text(name).strip() for name in self.TEXTS)

    def text(self, name: str) -> str:
        return str(self.cleaned_data.get(name) or "")


class GroupForm(PartForm):
    """How what is in a box holds together."""

    kind = forms.ChoiceField(
        label=_("How the conditions of this group hold together"),
        choices=condition_fields.KINDS,
        widget=condition_fields.PlainSelect(attrs={"class": "pz-kind-of-group"}),
    )


class WhereForm(PartForm):
    """A comparison of a property of an event."""

    TEXTS = ("detail", "operator", "value")

    detail = _text(_("Property"), "pz-path", _("property, e.g. product.price"))
    operator = _choice(
        _("Comparison"), "pz-operator", lambda: condition_fields.operator_choices()[:2]
    )
    value = _text(_("Value"), "pz-value", _("value"), longest=4096)

    @property
    def row(self) -> Row:
        return Row("", self.text("detail").strip(), self.text("operator"), self.text("value"))


class RowForm(PartForm):
    """One condition: what, how compared, with what; or what was done, how often, and when."""

    TEXTS = (
        "field", "detail", "variant", "measure", "of", "operator", "value", "within", "days",
    )  # fmt: skip

    field = _choice(_("Field"), "pz-field", _field_choices)
    detail = _text(_("Which one"), "pz-detail", _("which, e.g. campaign"))
    variant = _text(_("Variant, or goal"), "pz-variant", _("variant, or goal"))
    measure = _choice(_("What counts"), "pz-measure", condition_fields.MEASURED)
    of = _text(_("Property that is measured"), "pz-of", _("property, e.g. product.price"))
    operator = _choice(_("Comparison"), "pz-operator", condition_fields.operator_choices)
    value = _text(_("Value"), "pz-value", _("value"), longest=4096)
    within = _choice(_("When"), "pz-within", condition_fields.WINDOWS)
    days = _text(_("Days"), "pz-days", _("days"), longest=10)

    where: Sequence[WhereForm] = ()
    #: Whether there is a visit that it can be about.
    has_visit = True

    def narrow(self, offers: Offers) -> None:
        """Offer these fields alone, and what was done in this visit only if it is one of them."""
        self.has_visit = offers(SESSION)
        fields: Any = self.fields["field"]
        fields.choices = condition_fields.narrowed(_field_choices(), offers)
        if not self.has_visit:
            windows: Any = self.fields["within"]
            windows.choices = [each for each in condition_fields.WINDOWS if each[0] != SESSION]

    @property
    def line(self) -> Line:
        """The condition, without what its kind has no use for."""
        name = self.text("field")
        line = Line(
            name, operator=self.text("operator"), value=self.text("value"),
            was=self.cleaned_data.get("was"),
        )  # fmt: skip
        detail = self.text("detail").strip()
        if name == KEPT:
            return Line(KEPT, was=line.was)
        if name not in DEEDS:
            is_open = name.endswith(".")
            return Line(
                name, detail if is_open else "", operator=line.operator, value=line.value,
                was=line.was,
            )  # fmt: skip
        is_of_visit = name == DID and self.has_visit
        within = self.text("within") or (SESSION if is_of_visit else EVER)
        return Line(
            name,
            detail,
            variant=self.text("variant").strip() if name != DID else "",
            measure=self._measure,
            of=self.text("of").strip() if self._is_of_property else "",
            operator=line.operator,
            value=line.value,
            within=within,
            days=self.text("days").strip() if within == DAYS else "",
            where=tuple(form.row for form in self.where) if name == DID else (),
            was=line.was,
        )

    @property
    def _measure(self) -> str:
        return self.text("measure") if self.text("field") == DID else ""

    @property
    def _is_of_property(self) -> bool:
        return self._measure in ("sum", "average", "distinct")

    def judge(self, where: Sequence[WhereForm]) -> None:
        """Say at the inputs what is wrong with the line; `where` are the comparisons in it."""
        self.where = [
            form for form in where if not form.cleaned_data.get("DELETE") and not form.is_blank
        ]
        is_left = not self.cleaned_data.get("DELETE") and not self.is_blank
        if not is_left or self.errors or any(form.errors for form in self.where):
            return
        line = self.line
        missing = _missing(line)
        if missing:
            self.add_error(*missing)
            return
        for problem in conditions.validate(condition_tree.leaf_of(line)):
            self.add_error(None, problem.message)


def _missing(line: Line) -> tuple[str, Any] | None:
    """Return the input that lacks something, and what to say there."""
    counts = line.field in (DID, SAW) and not line.measure
    if not line.field:
        return "field", _("Choose a field.")
    if line.field == DID and not line.detail:
        return "detail", _("Name the event, such as VIEW or ADD.")
    if line.field in (SAW, CONVERTED) and not line.detail:
        return "detail", _("Name the experience by its friendly ID.")
    if line.field == CONVERTED and not line.variant:
        return "variant", _("Name the goal, as the experience has it.")
    if line.field.endswith(".") and not line.detail:
        return "detail", _("Say which one: the name, such as campaign.")
    if line.measure in ("sum", "average", "distinct") and not line.of:
        return "of", _("Say of which property: its path, such as product.price.")
    if not line.operator:
        return "operator", _("Choose a comparison.")
    if line.field == CONVERTED:
        fits = line.operator in (condition_tree.ONCE, condition_tree.NEVER)
        return None if fits else ("operator", _("A goal is reached at least once, or never."))
    if counts is not (line.operator in condition_tree.TIMES):
        return "operator", _("This comparison does not go with the field.")
    if counts and not condition_tree.has_counts(line):
        between = line.operator == condition_tree.BETWEEN
        wanted = _("two whole numbers, such as 1 to 3") if between else _("a whole number")
        return "value", format_lazy("{} {}.", _("Say how many times:"), wanted)
    return None
