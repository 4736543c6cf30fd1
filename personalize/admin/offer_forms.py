"""Forms of offers and their templates: attributes are inputs and rows; nobody writes JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.formsets import BaseFormSet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from personalize import offer_attributes
from personalize.admin.condition_field import ConditionField
from personalize.models import Offer, OfferTemplate
from personalize.offer_attributes import MAX_ATTRIBUTES, Attribute, AttributeType

if TYPE_CHECKING:
    _OfferModelForm = forms.ModelForm[Offer]
    _TemplateModelForm = forms.ModelForm[OfferTemplate]
    _RowFormSet = BaseFormSet["AttributeForm"]
else:
    _OfferModelForm = forms.ModelForm
    _TemplateModelForm = forms.ModelForm
    _RowFormSet = BaseFormSet

_TYPES = [
    (AttributeType.TEXT, _("Text")),
    (AttributeType.NUMBER, _("Number")),
    (AttributeType.BOOLEAN, _("Yes or no")),
    (AttributeType.URL, _("Address (URL)")),
    (AttributeType.JSON, _("JSON")),
]
_HINTS = {
    AttributeType.NUMBER: _("a number"),
    AttributeType.URL: _("https://… or /path"),
}


class Posted(dict[str, str]):
    """Attributes as they were typed, to be told from those that are stored."""


class AttributesWidget(forms.Widget):
    """One input for each attribute that the offer's template has."""

    template_name = "personalize/admin/offer_attributes.html"
    use_fieldset = True
    attributes: Sequence[Attribute] = ()

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Posted:
        return Posted({each.name: data.get(f"{name}-{each.name}", "") for each in self.attributes})

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    def id_for_label(self, id_: str, index: Any = None) -> str:
        return ""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        shown = value if isinstance(value, Mapping) else {}
        inputs = [
            {
                "name": f"{name}-{each.name}",
                "label": each.name,
                "type": str(each.type),
                "is_required": each.is_required,
                "hint": _HINTS.get(each.type, ""),
                "value": _text(each, shown.get(each.name), is_typed=isinstance(value, Posted)),
            }
            for each in self.attributes
        ]
        return super().get_context(name, None, attrs) | {"inputs": inputs}


def _text(attribute: Attribute, value: Any, *, is_typed: bool) -> str:
    if value is None:
        return ""
    is_text = isinstance(value, str) and attribute.type is not AttributeType.JSON
    return str(value) if is_typed or is_text else json.dumps(value, ensure_ascii=False)


class AttributesField(forms.Field):
    """The attributes of an offer."""

    widget = AttributesWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def clean(self, value: Any) -> dict[str, Any]:
        problems: list[str] = []
        values: dict[str, Any] = {}
        for attribute in self._attributes:
            text = str((value or {}).get(attribute.name, ""))
            try:
                found = _value(attribute, text)
            except ValueError as error:
                problems.append(str(error))
                continue
            if found is not None:
                values[attribute.name] = found
        problems = problems or offer_attributes.problems_of(values, self._attributes)
        if problems:
            raise ValidationError(problems)
        return values

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or {}) != self.clean(data))
        except ValidationError:
            return True

    @property
    def _attributes(self) -> Sequence[Attribute]:
        widget: Any = self.widget
        found: Sequence[Attribute] = widget.attributes
        return found


def _value(attribute: Attribute, text: str) -> Any:
    """Read what was typed. Raises ValueError with a sentence; None is an empty input."""
    if not text.strip():
        return None
    if attribute.type is AttributeType.BOOLEAN:
        return text == "true"
    if attribute.type is AttributeType.NUMBER:
        return _number(attribute, text)
    if attribute.type is AttributeType.JSON:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            message = gettext('“%(name)s” is not JSON: texts stand in quotes, such as "red".')
            raise ValueError(message % {"name": attribute.name}) from None
    return text.strip() if attribute.type is AttributeType.URL else text


def _number(attribute: Attribute, text: str) -> int | float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        message = gettext("“%(name)s” needs a number, such as 12.5.")
        raise ValueError(message % {"name": attribute.name})
    return int(number) if number.is_integer() else number


class OfferForm(_OfferModelForm):
    """An offer; its template is fixed, for the inputs are its."""

    attributes = AttributesField(label=_("Attributes"))
    audience = ConditionField(label=_("Audience"))

    class Meta:
        model = Offer
        fields = ("name", "description", "status", "valid_from", "valid_to", "attributes",
                  "audience")  # fmt: skip
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}

    #: The template of an offer that is being added.
    template_of_new: OfferTemplate | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.template_of_new is not None and self.instance.pk is None:
            self.instance.template = self.template_of_new
            self.instance.client_id = self.template_of_new.client_id
        audience: Any = self.fields.get("audience")
        if audience is not None:
            audience.show(
                self.instance.audience,
                client_id=self.instance.client_id,
                is_saved=self.instance.pk is not None,
            )
        if "attributes" in self.fields and self.instance.template_id is not None:
            inputs: Any = self.fields["attributes"].widget
            template = self.instance.template
            inputs.attributes, _problems = offer_attributes.read_template(template.attributes)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        begins, ends = values.get("valid_from"), values.get("valid_to")
        if begins and ends and begins >= ends:
            self.add_error("valid_to", _("The offer ends before it begins."))
        return values


class AttributeForm(forms.Form):
    """One attribute of a template: a row."""

    name = forms.CharField(
        label=_("Name"),
        required=False,
        max_length=offer_attributes.MAX_NAME,
        widget=forms.TextInput(attrs={"class": "tr-path", "placeholder": "title"}),
    )
    type = forms.ChoiceField(label=_("Type"), choices=_TYPES, initial=AttributeType.TEXT)
    is_required = forms.BooleanField(label=_("Required"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = field.label

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        if values.get("name") and "type" in values and not values.get("DELETE"):
            for problem in offer_attributes.read_template([self.declared])[1]:
                self.add_error("name", problem)
        return values

    @property
    def declared(self) -> dict[str, Any]:
        values = self.cleaned_data
        return {
            "name": values["name"],
            "type": values["type"],
            "required": values["is_required"],
        }


class _Rows(_RowFormSet):
    """The attributes of a template."""

    def get_deletion_widget(self) -> Any:  # type: ignore[override]
        return forms.CheckboxInput(attrs={"class": "tr-delete", "aria-label": _("Remove")})


class OfferTemplateForm(_TemplateModelForm):
    """A template, and the rows of its attributes."""

    class Meta:
        model = OfferTemplate
        fields = ("name", "client", "description")
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored, _problems = offer_attributes.read_template(self.instance.attributes)
        initial = [
            {"name": each.name, "type": each.type, "is_required": each.is_required}
            for each in stored
        ]
        made: Any = forms.formset_factory(
            AttributeForm,
            formset=_Rows,
            extra=1 if stored else 3,
            can_delete=True,
            max_num=MAX_ATTRIBUTES,
            absolute_max=2 * MAX_ATTRIBUTES,
        )
        self.rows = made(self.data if self.is_bound else None, initial=initial, prefix="rows")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.rows.is_valid():
            raise ValidationError(_("Correct the attributes marked below."))
        given = [
            row.declared
            for row in self.rows
            if row.cleaned_data.get("name") and not row.cleaned_data.get("DELETE")
        ]
        _attributes, problems = offer_attributes.read_template(given)
        if problems:
            raise ValidationError(problems)
        self.instance.attributes = given
        return values

    def has_changed(self) -> bool:
        return super().has_changed() or self.rows.has_changed()
