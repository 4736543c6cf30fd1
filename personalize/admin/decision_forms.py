"""The form of a decision model; the rules themselves are `decision_models`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from personalize import decision_models, friendly_ids
from personalize.admin.decision_editor import DecisionEditor
from personalize.models import DecisionModel

if TYPE_CHECKING:
    _DecisionModelForm = forms.ModelForm[DecisionModel]
else:
    _DecisionModelForm = forms.ModelForm


class DecisionWidget(forms.Widget):
    """Renders the editor; `stored` is the document as the database has it."""

    template_name = "personalize/admin/decision_table.html"
    use_fieldset = True
    stored: Any = None
    client_id: int | None = None
    as_json = False
    _posted: tuple[Any, DecisionEditor] | None = None

    def value_from_datadict(self, data: Any, files: Any, name: str) -> DecisionEditor:
        # Forms ask more than once, and the checks note on the editor which rows are wrong.
        if self._posted is None or self._posted[0] is not data:
            values = _unpacked(data, name)
            editor = DecisionEditor(name, self.stored, values, client_id=self.client_id)
            self._posted = data, editor
        return self._posted[1]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    def id_for_label(self, id_: str, index: Any = None) -> str:
        return ""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, None, attrs)
        if not isinstance(value, DecisionEditor):
            value = DecisionEditor(name, value, client_id=self.client_id, as_json=self.as_json)
        return context | {"editor": value}

    class Media:
        js = ["personalize/packing.js", "personalize/decisions.js"]
        css = {"all": ["tracking/admin.css", "personalize/admin.css"]}


def _unpacked(data: Any, name: str) -> Mapping[str, Any]:
    """Return what was posted; the script sends a table's many inputs as one value."""
    packed = data.get(f"{name}-packed")
    if not packed:
        found: Mapping[str, Any] = data
        return found
    try:
        values = json.loads(packed)
    except (ValueError, RecursionError):
        values = {}
    kept = {key: data.get(key) for key in data}
    return {**kept, **values} if isinstance(values, dict) else kept


class DecisionField(forms.Field):
    """A decision document in a form."""

    widget = DecisionWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def clean(self, value: Any) -> Any:
        return value.document if isinstance(value, DecisionEditor) else {}

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or {}) != self.clean(data))
        except ValidationError:
            return True


class DecisionModelForm(_DecisionModelForm):
    """The draft of a decision model."""

    friendly_id = forms.CharField(
        label=_("Friendly ID"),
        required=False,
        max_length=friendly_ids.MAX_LENGTH,
        help_text=_("What flows name it by. Made from the name; fixed once published."),
    )
    draft = DecisionField(label=_("Decision"))

    class Meta:
        model = DecisionModel
        fields = ("name", "friendly_id", "client", "description", "draft")
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}

    #: Whether the page asks for the document as JSON.
    as_json = False
    #: The client whose offers a new model's page offers, where there is only one.
    only_client: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "draft" in self.fields:
            widget: Any = self.fields["draft"].widget
            widget.stored = self.instance.draft
            widget.client_id = self.instance.client_id or self.only_client
            widget.as_json = self.as_json

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        client = values.get("client")
        client_id = client.pk if client is not None else self.instance.client_id
        if client_id is None:
            return values
        wanted = values.get("friendly_id")
        known = DecisionModel(
            pk=self.instance.pk, client_id=client_id, published_id=self.instance.published_id
        )
        if wanted:
            self._ask("friendly_id", lambda: decision_models.check_friendly_id(known, wanted))
        if "draft" in values:
            draft = values["draft"]
            self._ask("draft", lambda: decision_models.check(client_id, draft))
        return values

    def _ask(self, name: str, check: Any) -> None:
        try:
            check()
        except decision_models.DecisionError as error:
            said = [problem.message for problem in error.problems] or [str(error)]
            editor = self[name].value()
            if isinstance(editor, DecisionEditor):
                editor.problems = error.problems
            self.add_error(name, said[:20])
