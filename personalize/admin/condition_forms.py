"""
The editor of a condition tree: plain forms and formsets behind one form field.

It works without JavaScript (each group has an empty row, and there is an empty group); a script
only adds rows on the spot and hides what a row does not need.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.formsets import BaseFormSet
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from personalize import conditions
from personalize.admin import condition_rows
from personalize.admin.condition_rows import EVENT, WINDOWS, Row, RowGroup, Rows
from personalize.conditions import OPERATORS, default_registry

if TYPE_CHECKING:
    _RowFormSet = BaseFormSet["RowForm"]
else:
    _RowFormSet = BaseFormSet

_MOST_GROUPS = 20
_MOST_JSON = 256 * 1024
_TOGETHER = [("all", _("all of them hold")), ("any", _("any of them holds"))]
FIELD_GROUPS = {
    "request": _("Page and request"),
    "time": _("Time, where the site is"),
    "guest": _("Guest"),
    "session": _("Visit"),
    "cart": _("Cart"),
    "orders": _("Orders"),
}
_TIMES = [
    (condition_rows.AT_LEAST, _("at least … times")),
    (condition_rows.EXACTLY, _("exactly … times")),
    (condition_rows.AT_MOST, _("at most … times")),
    (condition_rows.BETWEEN, _("between … and … times")),
    (condition_rows.NEVER, _("never")),
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


def _field_choices() -> list[tuple[Any, Any]]:
    choices: list[tuple[Any, Any]] = [("", _("— choose —"))]
    for group, label in FIELD_GROUPS.items():
        fields = [field for field in default_registry.fields() if field.needs == group]
        choices.append((label, [(field.name, field.label) for field in fields]))
    choices.append((_("Behaviour"), [(name, _window(*known)) for name, known in WINDOWS.items()]))
    return choices


def _window(kind: str, within: Any) -> Any:
    did = kind == EVENT
    if within == "session":
        return _("Did, in this visit") if did else _("Saw the experience, in this visit")
    if within == "ever":
        return _("Did, ever") if did else _("Saw the experience, ever")
    days = within["days"]
    if days == 1:
        return _("Did, in the last day") if did else _("Saw the experience, in the last day")
    words = _("Did, in the last {} days") if did else _("Saw the experience, in the last {} days")
    return format_lazy(words, days)


def described_fields() -> dict[str, dict[str, str]]:
    described = {
        field.name: {"data-type": field.type, "data-detail": "1" if field.is_prefix else ""}
        for field in default_registry.fields()
    }
    return described | {
        name: {"data-type": EVENT, "data-detail": "1", "data-what": kind}
        for name, (kind, _within) in WINDOWS.items()
    }


def _operator_choices() -> list[tuple[Any, Any]]:
    labels = {operator.name: operator.label for operator in OPERATORS}
    times = (_("Behaviour"), _TIMES)
    return [("", _("— choose —")), (_("Compare"), list(labels.items())), times]


def described_operators() -> dict[str, dict[str, str]]:
    described: dict[str, dict[str, str]] = {}
    for operator in OPERATORS:
        known = described.setdefault(operator.name, {"data-types": "", "data-operand": ""})
        known["data-types"] = f"{known['data-types']} {operator.type}".strip()
        known["data-operand"] = known["data-operand"] or operator.operand
    operands = {condition_rows.NEVER: "none", condition_rows.BETWEEN: "range"}
    for name in condition_rows.TIMES:
        described[name] = {"data-types": EVENT, "data-operand": operands.get(name, "number")}
    return described


class RowForm(forms.Form):
    """One condition: what, how compared, with what."""

    field = forms.ChoiceField(
        label=_("Field"),
        required=False,
        choices=_field_choices,
        widget=DescribedSelect(described_fields(), attrs={"class": "pz-field"}),
    )
    detail = forms.CharField(
        label=_("Which one (a path, or an event)"),
        required=False,
        max_length=200,
        widget=forms.TextInput(
            attrs={"class": "pz-detail", "placeholder": _("which, e.g. campaign")}
        ),
    )
    operator = forms.ChoiceField(
        label=_("Comparison"),
        required=False,
        choices=_operator_choices,
        widget=DescribedSelect(described_operators(), attrs={"class": "pz-operator"}),
    )
    value = forms.CharField(
        label=_("Value"),
        required=False,
        strip=False,
        max_length=4096,
        widget=forms.TextInput(attrs={"class": "pz-value", "placeholder": _("value")}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            # The columns have no visible labels; screen readers get one for each input.
            field.widget.attrs["aria-label"] = field.label

    @property
    def row(self) -> Row:
        values = self.cleaned_data
        row = Row(*(values.get(name, "") for name in ("field", "detail", "operator", "value")))
        needs_detail = row.field in WINDOWS or row.field.endswith(".")
        return row if needs_detail else Row(row.field, "", row.operator, row.value)

    @property
    def is_blank(self) -> bool:
        values = self.cleaned_data
        return not any(values.get(name) for name in ("field", "detail", "operator", "value"))

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        if self.errors or values.get("DELETE") or self.is_blank:
            return values
        row = self.row
        if not row.field:
            self.add_error("field", _("Choose a field."))
        elif row.field in WINDOWS and not row.detail:
            names_event = WINDOWS[row.field][0] == EVENT
            told = _("Name the event, such as VIEW or ADD.")
            self.add_error(
                "detail", told if names_event else _("Name the experience by its friendly ID.")
            )
        elif row.field.endswith(".") and not row.detail:
            self.add_error("detail", _("Say which one: the name, such as campaign."))
        elif not row.operator:
            self.add_error("operator", _("Choose a comparison."))
        elif (row.field in WINDOWS) is not (row.operator in condition_rows.TIMES):
            self.add_error("operator", _("This comparison does not go with the field."))
        elif row.field in WINDOWS and not condition_rows.has_counts(row):
            between = row.operator == condition_rows.BETWEEN
            wanted = _("two whole numbers, such as 1 to 3") if between else _("a whole number")
            self.add_error("value", format_lazy("{} {}.", _("Say how many times:"), wanted))
        else:
            for problem in conditions.validate(condition_rows.node_of(row)):
                self.add_error(None, problem.message)
        return values


class _Rows(_RowFormSet):
    """The rows of one group."""

    def get_deletion_widget(self) -> Any:  # type: ignore[override]
        return forms.CheckboxInput(attrs={"class": "pz-delete"})


_row_formset: Any = forms.formset_factory(
    RowForm, formset=_Rows, extra=1, can_delete=True, max_num=conditions.MAX_LEAVES,
    absolute_max=2 * conditions.MAX_LEAVES,
)  # fmt: skip


class GroupForm(forms.Form):
    """How the rows of a group go together."""

    kind = forms.ChoiceField(
        label=_("Rows of this group"),
        choices=_TOGETHER,
        widget=forms.Select(attrs={"aria-label": _("How the rows of this group go together")}),
    )


class RootForm(forms.Form):
    """How the groups go together, and how many were on the page."""

    kind = forms.ChoiceField(label=_("Groups"), choices=_TOGETHER, initial="all")
    groups = forms.IntegerField(
        min_value=0, max_value=_MOST_GROUPS, widget=forms.HiddenInput(attrs={"class": "pz-count"})
    )
    mode = forms.ChoiceField(choices=[("rows", "rows"), ("json", "json")], widget=forms.HiddenInput)
    seen = forms.CharField(max_length=64, widget=forms.HiddenInput)


@dataclass(slots=True)
class GroupEditor:
    """A group on the page: its form and its rows."""

    form: GroupForm
    rows: Any
    is_extra: bool = False


class ConditionEditor:
    """A tree on the page: unbound it shows what is stored, bound what was posted."""

    def __init__(self, name: str, stored: object, data: Any = None) -> None:
        self.name = name
        self.stored = stored or {}
        self.data = data
        self.is_bound = data is not None
        self.tree_errors: list[str] = []

    # --- what the template shows ---

    @cached_property
    def root(self) -> RootForm:
        if self.is_bound:
            return RootForm(self.data, prefix=self.name)
        rows = self.shown_rows
        initial = {
            "kind": rows.kind if rows else "all",
            "groups": len(self.groups),
            "mode": "rows" if rows else "json",
            "seen": _digest(self.stored),
        }
        return RootForm(initial=initial, prefix=self.name)

    @cached_property
    def shown_rows(self) -> Rows | None:
        return condition_rows.rows_of(self.stored)

    @property
    def is_json(self) -> bool:
        if self.is_bound:
            return bool(self.data.get(f"{self.name}-mode") == "json")
        return self.shown_rows is None

    @property
    def json_name(self) -> str:
        return f"{self.name}-json"

    @property
    def json_text(self) -> str:
        if self.is_bound:
            return str(self.data.get(self.json_name, ""))
        return json.dumps(self.stored, indent=2, ensure_ascii=False)

    @property
    def sentence(self) -> str:
        """The stored tree in words; a reminder, not what stands in the inputs."""
        try:
            return conditions.compile(self.stored).sentence
        except conditions.ConditionError as error:
            return str(error)

    @cached_property
    def groups(self) -> list[GroupEditor]:
        if self.is_json:
            return []
        if self.is_bound:
            return [self._bound_group(index) for index in range(self._posted_groups())]
        rows = self.shown_rows or Rows()
        extra = RowGroup(kind="all")
        shown = [self._group(index, group) for index, group in enumerate([*rows.groups, extra])]
        shown[-1].is_extra = bool(rows.groups)
        return shown

    @property
    def blank_group(self) -> GroupEditor:
        """What the script copies to add a group, with `__group__` for its number."""
        return self._group("__group__", RowGroup())

    def _group(self, index: object, group: RowGroup) -> GroupEditor:
        prefix = f"{self.name}-{index}"
        initial = [
            {"field": r.field, "detail": r.detail, "operator": r.operator, "value": r.value}
            for r in group.rows
        ]
        return GroupEditor(
            GroupForm(initial={"kind": group.kind}, prefix=prefix),
            _row_formset(initial=initial, prefix=f"{prefix}-rows"),
        )

    def _bound_group(self, index: int) -> GroupEditor:
        prefix = f"{self.name}-{index}"
        return GroupEditor(
            GroupForm(self.data, prefix=prefix), _row_formset(self.data, prefix=f"{prefix}-rows")
        )

    def _posted_groups(self) -> int:
        try:
            return min(max(int(self.data.get(f"{self.name}-groups", 0)), 0), _MOST_GROUPS)
        except ValueError:
            return 0

    # --- what was posted ---

    @cached_property
    def tree(self) -> dict[str, Any]:
        """Return the posted tree. Raises ValidationError; the rows then say what is wrong."""
        if f"{self.name}-mode" not in self.data:
            # A form that has no editor leaves the tree alone.
            return dict(self.stored) if isinstance(self.stored, Mapping) else {}
        self._check_unchanged()
        tree = self._posted_json() if self.is_json else self._posted_rows()
        problems = conditions.validate(tree)
        if problems:
            raise ValidationError([problem.message for problem in problems[:10]])
        return tree

    def _check_unchanged(self) -> None:
        if self.data.get(f"{self.name}-seen") != _digest(self.stored):
            raise ValidationError(
                gettext(
                    "Somebody else changed these conditions while you edited them. "
                    "Open the page again and repeat your change."
                )
            )

    def _posted_json(self) -> dict[str, Any]:
        text = self.json_text
        if len(text) > _MOST_JSON:
            raise ValidationError(gettext("This is too long for conditions."))
        try:
            tree = json.loads(text) if text.strip() else {}
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", 1)
            raise ValidationError(
                gettext("Line %(line)d: this is not JSON: %(error)s")
                % {"line": line, "error": getattr(error, "msg", gettext("nested too deep"))}
            ) from None
        if not isinstance(tree, dict):
            raise ValidationError(gettext("Conditions are a JSON object."))
        return tree

    def _posted_rows(self) -> dict[str, Any]:
        forms_ok = [self.root.is_valid()]
        for group in self.groups:
            forms_ok += [group.form.is_valid(), group.rows.is_valid()]
        if not all(forms_ok):
            raise ValidationError(gettext("Correct the rows marked below."))
        posted = Rows(self.root.cleaned_data["kind"])
        for group in self.groups:
            rows = [form.row for form in group.rows if _counts(form)]
            if rows:
                posted.groups.append(RowGroup(group.form.cleaned_data["kind"], rows))
        return self._tree_of(posted)

    def _tree_of(self, posted: Rows) -> dict[str, Any]:
        if posted == self.shown_rows and isinstance(self.stored, dict):
            return self.stored
        kept = condition_rows.originals(self.stored)
        groups = [
            (group.kind, [kept.get(row) or condition_rows.node_of(row) for row in group.rows])
            for group in posted.groups
        ]
        return condition_rows.tree_of(posted.kind, groups)


def _counts(form: RowForm) -> bool:
    return not form.is_blank and not form.cleaned_data.get("DELETE")


def _digest(tree: object) -> str:
    text = json.dumps(tree or {}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class ConditionWidget(forms.Widget):
    """Renders the editor; `stored` is the tree as the database has it."""

    template_name = "personalize/admin/conditions.html"
    use_fieldset = True
    stored: object = None
    is_saved = False

    def value_from_datadict(self, data: Any, files: Any, name: str) -> ConditionEditor:
        return ConditionEditor(name, self.stored, data)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    def id_for_label(self, id_: str, index: Any = None) -> str:
        return ""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, None, attrs)
        editor = value if isinstance(value, ConditionEditor) else ConditionEditor(name, value)
        if editor.is_bound:
            # The errors belong to the inputs: judge them before they are shown.
            for group in editor.groups:
                group.rows.is_valid()
        return context | {"editor": editor, "is_saved": self.is_saved}

    class Media:
        js = ["personalize/conditions.js"]
        css = {"all": ["tracking/admin.css", "personalize/admin.css"]}


class ConditionField(forms.Field):
    """A condition tree in a form."""

    widget = ConditionWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def clean(self, value: Any) -> dict[str, Any]:
        return value.tree if isinstance(value, ConditionEditor) else {}

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or {}) != self.clean(data))
        except ValidationError:
            return True
