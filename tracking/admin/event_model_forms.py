"""
The form of an event model: its fields are rows of a table, so that nobody writes JSON.

It works without JavaScript (there are empty rows to fill in); a script only
adds and removes rows on the spot.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.forms.formsets import BaseFormSet
from django.utils.translation import gettext_lazy as _

from tracking.event_models import editing, fields, paths
from tracking.event_models.fields import MOST_FIELDS, TYPES, Field, Scalar, Type
from tracking.models import EventModel

if TYPE_CHECKING:
    _EventModelForm = forms.ModelForm[EventModel]
    _RowFormSet = BaseFormSet["FieldForm"]
else:
    _EventModelForm = forms.ModelForm
    _RowFormSet = BaseFormSet

#: Part of a fault -> input of the row that it stands beside.
_INPUTS = {"path": "path", "type": "type", "allowedValues": "allowed", "description": "description"}
_EMPTY_ROWS = 3


class FieldForm(forms.Form):
    """One field of the model: a row."""

    path = forms.CharField(
        label=_("Path"),
        required=False,
        widget=forms.TextInput(attrs={"class": "tr-path", "placeholder": "ext.score"}),
    )
    type = forms.ChoiceField(
        label=_("Type"), required=False, choices=[(each, each) for each in TYPES], initial="string"
    )
    required = forms.BooleanField(label=_("Required"), required=False)
    allowed = forms.CharField(
        label=_("Allowed values"),
        required=False,
        widget=forms.TextInput(attrs={"class": "tr-allowed", "placeholder": _("any")}),
    )
    description = forms.CharField(label=_("Description"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            # The column says what it is; screen readers get a label for each input.
            field.widget.attrs["aria-label"] = field.label

    @property
    def is_blank(self) -> bool:
        values = self.cleaned_data
        return bool(values.get("DELETE")) or not any(
            values.get(name) for name in ("path", "allowed", "description")
        )

    @property
    def field(self) -> Field:
        """Return the row as a field; the type is one of those there are."""
        values = self.cleaned_data
        return Field(
            path=values["path"],
            type=values["type"] or "any",
            required=values["required"],
            allowed_values=values["allowed"],
            description=values["description"],
        )

    def clean_path(self) -> str:
        path: str = self.cleaned_data["path"]
        try:
            # Whether a path is needed is known only once the whole row is.
            return paths.write(paths.read(path)) if path else path
        except paths.BadPath as error:
            raise ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        if "allowed" in values:
            try:
                values["allowed"] = allowed_values(values.get("type") or "any", values["allowed"])
            except ValueError as error:
                self.add_error("allowed", str(error))
        return values


def allowed_values(type: Type, text: str) -> tuple[Scalar, ...]:
    """
    Read values that stand between commas; one that has a comma itself stands in quotes.

    Raises ValueError for one that is not of the type.
    """
    row = next(csv.reader([" ".join(text.splitlines())], skipinitialspace=True), [])
    return tuple(_value(type, each.strip()) for each in row if each.strip())


def _value(type: Type, text: str) -> Scalar:
    try:
        if type == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if type == "integer":
            return int(text)
        if type == "float":
            number = float(text)
            if math.isfinite(number):
                return int(text) if text.lstrip("+-").isdecimal() else number
            raise ValueError(text)
    except (ValueError, KeyError):
        raise ValueError(f"“{text[:40]}” is not of the type {type}.") from None
    return text


def allowed_text(values: Sequence[Scalar]) -> str:
    """Write values so that `allowed_values` reads them."""
    return ", ".join(_quoted(value) for value in values)


def _quoted(value: Scalar) -> str:
    written = io.StringIO()
    text = str(value).lower() if isinstance(value, bool) else str(value)
    csv.writer(written, lineterminator="").writerow([text])
    return written.getvalue()


class _Rows(_RowFormSet):
    """The table of fields."""

    def get_deletion_widget(self) -> Any:  # type: ignore[override]
        return forms.CheckboxInput(attrs={"class": "tr-delete", "aria-label": _("Remove")})


def _rows(data: Any, given: Sequence[Field]) -> Any:
    initial = [
        {
            "path": field.path,
            "type": field.type,
            "required": field.required,
            "allowed": allowed_text(field.allowed_values),
            "description": field.description,
        }
        for field in given
    ]
    made: Any = forms.formset_factory(
        FieldForm,
        formset=_Rows,
        extra=1 if given else _EMPTY_ROWS,
        can_delete=True,
        max_num=MOST_FIELDS,
        absolute_max=2 * MOST_FIELDS,
    )
    return made(data, initial=initial, prefix="rows")


class EventModelForm(_EventModelForm):
    """A model, and the rows of its fields."""

    #: Fields to show beside those that are stored: what the page proposes.
    proposed: ClassVar[Sequence[Field]] = ()

    version = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = EventModel
        fields = ("client", "event_type", "mode", "description")
        widgets: ClassVar = {"description": forms.Textarea(attrs={"rows": 2})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "version" in self.fields:
            self.fields["version"].initial = self._version
        given = [*_stored(self.instance), *self.proposed]
        self.rows = _rows(self.data if self.is_bound else None, given)

    @property
    def _version(self) -> str:
        return self.instance.updated_at.isoformat() if self.instance.pk else ""

    def clean_event_type(self) -> str:
        name: str = self.cleaned_data["event_type"]
        fault = fields.type_fault(name)
        if fault:
            raise ValidationError(fault)
        return name

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("version", "") != self._version:
            raise ValidationError(
                _(
                    "Somebody else changed this model while you edited it. "
                    "Open the page again and repeat your change."
                )
            )
        self.instance.fields = self._posted()
        return values

    def _posted(self) -> list[dict[str, Any]]:
        if not self.rows.is_valid():
            raise ValidationError(_("Correct the fields marked below."))
        rows = [row for row in self.rows if not row.is_blank]
        given = [row.field for row in rows]
        faults = list(fields.faults_of(given, most_extension=editing.most_extension()))
        for fault in faults:
            if fault.position is not None:
                rows[fault.position].add_error(_INPUTS.get(fault.part), fault.message)
        if faults:
            whole = [fault.message for fault in faults if fault.position is None]
            raise ValidationError([*whole, _("Correct the fields marked below.")])
        return fields.plain(given)

    def has_changed(self) -> bool:
        return super().has_changed() or self.rows.has_changed()


def _stored(model: EventModel) -> Sequence[Field]:
    try:
        return fields.parse(model.fields, most_extension=MOST_FIELDS)
    except fields.InvalidModel:
        # Written past the form; saving it again makes it a model.
        return ()
