"""Trying a decision: the question, of facts or of a guest, and its answer."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from personalize import decisions, trying, visits
from personalize.admin import decision_lines
from personalize.models import DecisionModel
from tracking import clients


class TryForm(forms.Form):
    """Facts to try a decision with, or a guest; posted, for a guest's e-mail is nobody's."""

    facts = forms.CharField(
        label=_("Facts"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 8, "class": "tr-code", "spellcheck": "false"}),
        help_text=_("One a line, such as guest.country = IE, session.views = 3, event.ADD = 1."),
    )
    guest = forms.CharField(
        label=_("Or a guest"),
        required=False,
        max_length=400,
        help_text=_(
            "A ref, an e-mail, or an identifier such as CUSTOMER_ID:42, on the visit that is open."
        ),
    )
    page = forms.CharField(
        label=_("Page of the guest"),
        required=False,
        max_length=4096,
        help_text=_("An address or a path, such as /pricing."),
    )

    def clean_facts(self) -> dict[str, Any]:
        stated, problems = decision_lines.facts_of_lines(self.cleaned_data["facts"])
        problems = problems or decisions.check_facts(stated)
        if problems:
            raise forms.ValidationError(problems)
        return stated


def ask(model: DecisionModel, form: TryForm, *, user: Any) -> trying.Trial | None:
    """Ask the draft what the form says; None where the form now says why not."""
    client, now = clients.load(model.client), timezone.now()
    wanted = form.cleaned_data["guest"].strip()
    try:
        if not wanted:
            return trying.with_facts(model, client, form.cleaned_data["facts"], now=now)
        if not (user.has_perm("tracking.view_guest") or user.has_perm("tracking.change_guest")):
            form.add_error("guest", _("You may try it with facts only."))
            return None
        guest = visits.find_guest(client, wanted)
        if guest is None:
            form.add_error("guest", _("There is no such guest."))
            return None
        return trying.as_guest(model, client, guest, page=form.cleaned_data["page"], now=now)
    except decisions.DecisionInvalid as error:
        form.add_error(None, str(error))
        return None
