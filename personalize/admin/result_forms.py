"""What is asked of a flow's results page: which days and parts, and by what a draft is planned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from personalize import sample_size
from personalize.models import Flow, Segment


class SpanForm(forms.Form):
    """Read from the address: which guests results are of, and by what they are divided."""

    phase = forms.TypedChoiceField(label=_("Phase"), coerce=int, required=False, empty_value=None)
    since = forms.DateField(
        label=_("First seen from"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label=_("to"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    by = forms.ChoiceField(label=_("Broken down by"), required=False)
    goal = forms.TypedChoiceField(label=_("for"), required=False, empty_value="")

    def __init__(
        self, *args: Any, flow: Flow, phases: Sequence[int], goals: Sequence[Any], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        segments = Segment.objects.kept().filter(client=flow.client_id).order_by("name")
        named = [
            (f"segment:{key}", name) for key, name in segments.values_list("friendly_id", "name")
        ]
        self._parts = {"device": _("device"), "channel": _("channel"), **dict(named)}
        self._choose(
            by=[
                ("", _("nothing")),
                ("device", _("Device")),
                ("channel", _("Channel")),
                *([(_("Segment"), named)] if named else []),
            ],
            phase=[("", _("the one that runs")), *((number, number) for number in phases)],
            goal=[(str(goal.ref), goal.name) for goal in goals],
        )

        if len(phases) < 2:
            del self.fields["phase"]
        if len(goals) < 2:
            del self.fields["goal"]

    def part(self, by: str) -> str:
        """Name what results are broken down by, within a sentence."""
        return str(self._parts[by])

    def _choose(self, **choices: Any) -> None:
        for name, offered in choices.items():
            field: Any = self.fields[name]
            field.choices = offered

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        since, until = values.get("since"), values.get("until")
        if since and until and since > until:
            raise ValidationError({"until": _("This lies before the first day.")})
        return values


def _percent(name: str, label: Any, help_text: Any) -> forms.FloatField:
    number = sample_size.NUMBERS[name]
    return forms.FloatField(
        label=label,
        help_text=help_text,
        min_value=number.least * 100,
        max_value=number.most * 100,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )


class PlanForm(forms.Form):
    """By what a draft is planned, in percents."""

    baseValue = _percent(
        "baseValue",
        _("The control converts (%)"),
        _("The share of guests expected to reach the primary goal."),
    )
    minimumDetectableDifference = _percent(
        "minimumDetectableDifference",
        _("Smallest change (%)"),
        _("That is worth finding, relative: 20 finds 2% becoming 2.4%."),
    )
    confidenceLevel = _percent(
        "confidenceLevel",
        _("Confidence (%)"),
        _("How sure to be before a difference is claimed."),
    )
    power = _percent("power", _("Power (%)"), _("The chance to find a difference that is there."))

    def stated(self) -> dict[str, float]:
        """Return the plan as it is stored: shares from 0 to 1."""
        return {name: round(self.cleaned_data[name] / 100, 6) for name in sample_size.NUMBERS}

    @staticmethod
    def initial_of(flow: Flow) -> dict[str, str]:
        """Return a flow's plan in percents."""
        plan = sample_size.whole(flow.sample_size)
        return {name: f"{value * 100:.6g}" for name, value in plan.items()}
