"""Forms of segments. The rules themselves are `segments`': here they become errors at a field."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from personalize import segments
from personalize.admin.condition_editor import ConditionEditor
from personalize.admin.condition_field import ConditionField
from personalize.admin.condition_tree import SESSION
from personalize.conditions import default_registry
from personalize.models import Segment
from personalize.segments.files import MAX_BYTES, MAX_LINES
from personalize.segments.lists import Mode

if TYPE_CHECKING:
    _SegmentModelForm = forms.ModelForm[Segment]
else:
    _SegmentModelForm = forms.ModelForm

#: Rule that a segment breaks -> the field to say it at.
_FIELDS: Final = {
    "name_missing": "name",
    "friendly_id_fixed": "friendly_id",
    "friendly_id_invalid": "friendly_id",
    "friendly_id_taken": "friendly_id",
    "condition_invalid": "condition",
    "segment_circular": "condition",
}


def offers(name: str) -> bool:
    """Say whether a segment's condition can have this field, or be about a visit."""
    if name == SESSION:
        return False
    known = {field.name: field for field in default_registry.fields()}
    return name not in known or segments.can_judge(known[name].needs)


def posted_condition(segment: Segment, data: Any) -> dict[str, Any]:
    """Return the condition that stands in a posted form. Raises ValidationError."""
    editor = ConditionEditor("condition", segment.condition, data, offers)
    try:
        return editor.tree
    except ValidationError:
        said = [
            text
            for part in editor.root.everything()
            for texts in part.form.errors.values()
            for text in texts
        ]
        if not said:
            raise
        # On the page they would stand at their rows.
        raise ValidationError(said) from None


class SegmentForm(_SegmentModelForm):
    """A segment; a list has no condition."""

    friendly_id = forms.CharField(
        label=_("Friendly ID"),
        required=False,
        max_length=120,
        help_text=_("What conditions and calls name it by. Made from the name, then fixed."),
    )
    condition = ConditionField(label=_("Guests for whom this holds"), offers=offers)

    class Meta:
        model = Segment
        fields = ("name", "friendly_id", "client", "description", "condition")
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}

    #: Of a segment that is being added.
    kind_of_new: str = Segment.Kind.LIVE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_new = self.instance.pk is None
        if is_new:
            self.instance.kind = self.kind_of_new
        if "name" in self.fields and is_new:
            self.fields["name"].widget.attrs["autofocus"] = True
        if self.instance.kind == Segment.Kind.LIST:
            self.fields.pop("condition", None)
        if "condition" in self.fields:
            field: Any = self.fields["condition"]
            field.show(
                self.instance.condition, client_id=self.instance.client_id, is_saved=not is_new
            )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        client_id = self.instance.client_id or getattr(values.get("client"), "pk", None)
        if client_id is not None and "condition" in values:
            for problem in segments.problems_of(client_id, values["condition"]):
                self.add_error("condition", problem)
        if client_id is not None and "name" in values:
            self._check(client_id, values)
        return values

    def _check(self, client_id: int, values: dict[str, Any]) -> None:
        wanted = copy(self.instance)
        wanted.client_id = client_id
        for name in {"name", "friendly_id", "condition"} & set(values):
            setattr(wanted, name, values[name])
        try:
            segments.check(wanted)
        except segments.SegmentError as error:
            name = _FIELDS.get(error.code, "")
            # Of a condition all that is wrong was said above.
            if name not in self.errors:
                self.add_error(name if name in self.fields else None, str(error))


class UploadForm(forms.Form):
    """A file of people, and what it does to a list."""

    file = forms.FileField(
        label=_("CSV file"),
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,.tsv,text/csv"}),
        # An empty one is told of like any other that cannot be read.
        allow_empty_file=True,
    )
    mode = forms.ChoiceField(
        label=_("What to do with its guests"),
        choices=[
            (str(Mode.ADD), _("Put them on the list, too")),
            (str(Mode.REMOVE), _("Take them off the list")),
            (str(Mode.REPLACE), _("Let them be all of the list: who is not in the file, goes")),
        ],
        initial=str(Mode.ADD),
        widget=forms.RadioSelect,
    )

    def clean_file(self) -> Any:
        upload = self.cleaned_data["file"]
        if upload.size > MAX_BYTES:
            message = _("The file is larger than %(size)d MiB: split it.")
            raise ValidationError(message, params={"size": MAX_BYTES // 1024 // 1024})
        return upload


LIMITS: Final = {"lines": f"{MAX_LINES:,}", "mebibytes": MAX_BYTES // 1024 // 1024}
