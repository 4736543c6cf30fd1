"""
The form of a goal: what a marketer chooses becomes the goal's document, or an error at an input.

`goal_formset` has one for each goal of a flow. The rules are those of `personalize.goals.document`.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from personalize import flows
from personalize.admin import goal_events, goal_inputs
from personalize.admin.goal_events import EventsEditor, EventsField
from personalize.admin.goal_inputs import HOURS, PAGE_OPERATORS, PERCENTILE, VALUE, VISIT
from personalize.admin.goal_kinds import KINDS, PAGES
from personalize.goals import document as documents
from personalize.goals import wording
from personalize.goals.document import MOST_DAYS, MOST_HOURS, MOST_STEPS, GoalInvalid
from personalize.goals.types import Kind, Unit
from personalize.models import Goal
from personalize.statistics.types import Direction

if TYPE_CHECKING:
    _GoalModelForm = forms.ModelForm[Goal]
else:
    _GoalModelForm = forms.ModelForm

_PARTS = frozenset[str]().union(*map(goal_inputs.uses, Kind))
#: Part of a document -> the input where what is wrong with it is said.
_INPUTS = {
    "baseValue": "base_value",
    "days": "days_to",
    "windowHours": "hours",
}


def _number(label: Any, least: float, most: float, **attributes: Any) -> forms.FloatField:
    return forms.FloatField(
        label=label,
        required=False,
        min_value=least,
        max_value=most,
        widget=forms.NumberInput(attrs={"step": "any", **attributes}),
    )


def _path(label: Any, placeholder: Any) -> forms.CharField:
    attributes = {"class": "pz-goal-of", "placeholder": placeholder, "autocomplete": "off"}
    widget = forms.TextInput(attrs=attributes)
    return forms.CharField(label=label, required=False, max_length=200, widget=widget)


class GoalForm(_GoalModelForm):
    """One goal. Inputs that its kind has no use for are passed over."""

    kind = forms.ChoiceField(
        label=_("Kind"),
        choices=[
            ("", _("— choose —")),
            *((kind.value, label) for kind, (label, _s) in KINDS.items()),
        ],
        widget=forms.Select(attrs={"class": "pz-goal-kind"}),
    )
    page_operator = forms.ChoiceField(
        label=_("How the page is compared"),
        required=False,
        choices=[(name, PAGES[name]) for name in PAGE_OPERATORS],
        initial=PAGE_OPERATORS[0],
    )
    page = forms.CharField(
        label=_("Page"),
        required=False,
        max_length=4096,
        widget=forms.TextInput(attrs={"placeholder": _("any page, or e.g. thanks")}),
    )
    event = EventsField(label=_("Event"))
    value = _path(_("Property"), _("property, e.g. product.price"))
    base = EventsField(label=_("Divided by"))
    base_value = _path(_("Property of that"), _("property; empty: how often"))
    steps = EventsField(label=_("Steps, in their order"), fewest=2, most=MOST_STEPS)
    days_from = forms.IntegerField(
        label=_("From day"), required=False, min_value=0, max_value=MOST_DAYS
    )
    days_to = forms.IntegerField(
        label=_("to day"), required=False, min_value=1, max_value=MOST_DAYS
    )
    unit = forms.ChoiceField(
        label=_("Counted per"),
        required=False,
        choices=[(Unit.SESSION.value, _("visit")), (Unit.GUEST.value, _("guest"))],
        initial=Unit.SESSION.value,
    )
    within = forms.ChoiceField(
        label=_("Counts if it happens"),
        required=False,
        choices=[
            (VISIT, _("later in the visit that saw it")),
            (HOURS, _("within … hours of the first time")),
        ],
        initial=VISIT,
        widget=forms.Select(attrs={"class": "pz-goal-within"}),
    )
    hours = _number(_("Hours"), 0.01, MOST_HOURS, placeholder=_("hours"))
    direction = forms.ChoiceField(
        label=_("Better when it goes"),
        required=False,
        choices=[(Direction.INCREASE.value, _("up")), (Direction.DECREASE.value, _("down"))],
        initial=Direction.INCREASE.value,
    )
    is_guardrail = forms.BooleanField(label=_("A guardrail"), required=False)
    cap_kind = forms.ChoiceField(
        label=_("No guest counts for more than"),
        required=False,
        choices=[("", _("no limit")), (VALUE, _("the value …")), (PERCENTILE, _("percentile …"))],
        widget=forms.Select(attrs={"class": "pz-goal-cap-kind"}),
    )
    cap = forms.FloatField(
        label=_("Limit"),
        required=False,
        widget=forms.NumberInput(attrs={"step": "any", "class": "pz-goal-cap"}),
    )
    quantile = _number(
        _("Compare a quantile of the guests"), 0, 1, placeholder=_("e.g. 0.9; empty: averages")
    )
    place = forms.IntegerField(
        label=_("Place"),
        required=False,
        min_value=0,
        widget=forms.NumberInput(attrs={"class": "pz-goal-place"}),
    )

    #: Whether what was saved measures something else than before.
    is_renewed = False

    class Meta:
        model = Goal
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before: dict[str, Any] = self.instance.document if self.instance.pk else {}
        shown = goal_inputs.shown(self.before) if self.instance.pk else {}
        #: No input can hold it: it stays as it is.
        self.is_kept = shown is None
        for name, value in (shown or {}).items():
            if name not in goal_inputs.EVENTS:
                self.initial[name] = value
        for name in goal_inputs.EVENTS:
            field: Any = self.fields[name]
            field.show((shown or {}).get(name, ()))
        if self.instance.pk:
            self.initial["place"] = self.instance.position + 1
        if self.is_kept:
            for name in set(self.fields) - {"name", "place", "DELETE", "id"}:
                del self.fields[name]
        for field in self.fields.values():
            if not field.widget.is_hidden:
                field.widget.attrs.setdefault("aria-label", field.label)

    @property
    def sentence(self) -> str:
        """The stored goal in words: what is saved, not what stands in the inputs."""
        return wording.sentence(self.before)

    @property
    def hidden_parts(self) -> frozenset[str]:
        """The parts that the chosen kind has no use for; none as long as no kind is chosen."""
        chosen = self["kind"].value()
        known = chosen in Kind.__members__
        return _PARTS - goal_inputs.uses(Kind(chosen)) if known else frozenset()

    @property
    def is_extra(self) -> bool:
        """Say whether it is there for browsers that cannot add one."""
        return not self.is_bound and not self.instance.pk

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        kind = values.get("kind")
        if self.is_kept or not kind:
            return values
        events, known = self._events(Kind(kind))
        self._check_pairs(Kind(kind))
        if self.errors:
            return values
        document = goal_inputs.document_of(values, events, known)
        try:
            documents.read({**document, "ref": str(uuid.uuid4()), "name": values["name"]})
        except GoalInvalid as error:
            name = _INPUTS.get(error.part, error.part)
            self.add_error(name if name in self.fields else None, str(error))
        if not goal_inputs.same(document, self.before):
            self.instance.document = document
        return values

    def _events(self, kind: Kind) -> tuple[dict[str, list[dict[str, Any]]], dict[Any, Any]]:
        """Return the events of the inputs that the kind uses, and the comparisons of before."""
        known = goal_events.known_nodes(goal_inputs.events_of(self.before))
        found: dict[str, list[dict[str, Any]]] = {}
        for name in goal_inputs.EVENTS:
            editor = self.cleaned_data.get(name)
            found[name] = []
            if name in goal_inputs.uses(kind) and isinstance(editor, EventsEditor):
                of_type = documents.VIEW if kind is Kind.PAGE_VIEW else ""
                found[name] = editor.read(known, of_type=of_type)
                field: Any = self.fields[name]
                field.judged(editor)
                if editor.has_errors:
                    self.add_error(name, _("Correct the rows marked below."))
        return found, known

    def _check_pairs(self, kind: Kind) -> None:
        """Say at an input what another one asks of it."""
        values, used = self.cleaned_data, goal_inputs.uses(kind)
        if "within" in used and values.get("within") == HOURS and values.get("hours") is None:
            self._lacks("hours", _("Say within how many hours."))
        if "cap" in used and values.get("cap_kind") and values.get("cap") is None:
            self._lacks("cap", _("Say how much a guest counts for at most."))
        if "days" in used and None in (values.get("days_from"), values.get("days_to")):
            self._lacks("days_to", _("Say from which day to which, such as 1 to 7."))

    def _lacks(self, name: str, told: Any) -> None:
        if name not in self.errors:
            self.add_error(name, told)

    def save(self, commit: bool = True) -> Goal:
        if self.instance.pk:
            ref = self.instance.ref
            flows.renew_goal(self.instance, self.before)
            self.is_renewed = self.instance.ref != ref
        return super().save(commit=commit)
