"""A condition tree as one field of a form: what the forms of flows and offers import."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from personalize.admin import condition_fields, condition_pickers
from personalize.admin.condition_editor import ConditionEditor
from personalize.admin.condition_fields import Offers
from personalize.conditions import MAX_DEPTH


class ConditionWidget(forms.Widget):
    """Renders the editor; `stored` is the tree as the database has it."""

    template_name = "personalize/admin/conditions.html"
    use_fieldset = True
    stored: object = None
    is_saved = False
    #: Whose experiences and events are offered; None: of whom the page's own choice says.
    client_id: int | None = None
    #: Which fields there are; None: all of them.
    offers: Offers | None = None

    def value_from_datadict(self, data: Any, files: Any, name: str) -> ConditionEditor:
        return ConditionEditor(name, self.stored, data, self.offers)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    def id_for_label(self, id_: str, index: Any = None) -> str:
        return ""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, None, attrs)
        editor = value
        if not isinstance(editor, ConditionEditor):
            editor = ConditionEditor(name, value, offers=self.offers)
        return context | {
            "editor": editor,
            "is_saved": self.is_saved,
            "description": condition_fields.description_json(),
            "pickers_url": condition_pickers.url(),
            "client_id": self.client_id or "",
            "deepest": MAX_DEPTH,
        }

    class Media:
        js = [
            "personalize/packing.js",
            "personalize/condition_lines.js",
            "personalize/conditions.js",
        ]
        css = {"all": ["tracking/admin.css", "personalize/admin.css"]}


class ConditionField(forms.Field):
    """A condition tree in a form."""

    widget = ConditionWidget

    def __init__(self, *, offers: Offers | None = None, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        widget: Any = self.widget
        widget.offers = offers

    def show(self, tree: object, *, client_id: int | None, is_saved: bool) -> None:
        """Say which tree is stored, and whose it is."""
        widget: Any = self.widget
        widget.stored, widget.client_id, widget.is_saved = tree, client_id, is_saved

    def clean(self, value: Any) -> dict[str, Any]:
        return value.tree if isinstance(value, ConditionEditor) else {}

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or {}) != self.clean(data))
        except ValidationError:
            return True
