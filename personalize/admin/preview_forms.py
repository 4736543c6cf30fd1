"""The question of a preview: which guest, on which page, with what."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from personalize.admin.flow_forms import CHANNELS
from personalize.conditions import normalise_params

_MOST_PARAMS = 8 * 1024


class PreviewForm(forms.Form):
    """Posted, not put into the address: addresses are logged, and a guest's e-mail is nobody's."""

    guest = forms.CharField(
        label=_("Guest"),
        required=False,
        max_length=400,
        help_text=_(
            "A ref, an e-mail, or an identifier such as CUSTOMER_ID:42. Empty: a new visitor."
        ),
    )
    channel = forms.ChoiceField(label=_("Channel"), choices=list(CHANNELS.items()), initial="WEB")
    page = forms.CharField(
        label=_("Page"),
        required=False,
        max_length=4096,
        help_text=_("An address or a path, such as /pricing."),
    )
    language = forms.CharField(label=_("Language"), required=False, max_length=2)
    params = forms.CharField(
        label=_("Parameters"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "tr-code", "spellcheck": "false"}),
        help_text=_("One a line, such as campaign=summer; or a JSON object."),
    )

    def clean_language(self) -> str:
        return str(self.cleaned_data["language"]).upper()

    def clean_params(self) -> dict[str, Any]:
        text = self.cleaned_data["params"].strip()
        if len(text) > _MOST_PARAMS:
            raise ValidationError(_("These are too many parameters for a preview."))
        return normalise_params(_json(text) if text.startswith("{") else _lines(text))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError(
            _("This is not JSON: %(error)s"), params={"error": str(error)}
        ) from None


def _lines(text: str) -> dict[str, str]:
    pairs = [line.partition("=") for line in text.splitlines() if line.strip()]
    if any(not separator or not name.strip() for name, separator, _value in pairs):
        raise ValidationError(_("Write each parameter as name=value."))
    return {name.strip(): value.strip() for name, _separator, value in pairs}
