"""
The forms of a flow's goals: what a marketer chooses becomes a goal's document, or an error.

`goals` puts them on the flow's page. The rules are those of `personalize.goals.document`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django import forms
from django.forms.models import BaseInlineFormSet
from django.utils.translation import gettext_lazy as _

from personalize import flows
from personalize.admin import condition_fields, condition_pickers, goal_events, goal_inputs
from personalize.admin.goal_events import EventsEditor, EventsField
from personalize.admin.goal_inputs import HOURS, PAGE_OPERATORS, PERCENTILE, VALUE, VISIT
from personalize.goals import document as documents
from personalize.goals import wording
from personalize.goals.document import MOST_DAYS, MOST_HOURS, MOST_STEPS, GoalInvalid
from personalize.goals.types import Kind, Unit
from personalize.models import Flow, Goal
from personalize.statistics.types import Direction

if TYPE_CHECKING:
    _GoalModelForm = forms.ModelForm[Goal]
    _GoalFormSet = BaseInlineFormSet[Goal, Flow, "GoalForm"]
else:
    _GoalModelForm = forms.ModelForm
    _GoalFormSet = BaseInlineFormSet

KINDS: Mapping[Kind, tuple[Any, Any]] = {
    Kind.PAGE_VIEW: (
        _("Page view"),
        _("Somebody sees a certain page, such as the thank-you page."),
    ),
    Kind.EVENT: (_("Event"), _("Somebody does something, once or more, such as signing up.")),
    Kind.CONVERSION: (_("Order"), _("Somebody orders. Orders that are cancelled do not count.")),
    Kind.REVENUE: (_("Revenue"), _("How much is paid for orders, less what is given back.")),
    Kind.AVERAGE_ORDER_VALUE: (
        _("Average order value"),
        _("How much an order is worth, among those who order."),
    ),
    Kind.COUNT: (_("Count"), _("How often something is done, such as adding to the cart.")),
    Kind.SUM: (_("Sum"), _("A property of events, added up, such as the points of all games.")),
    Kind.MEAN: (_("Mean"), _("The average of a property over the events that have it.")),
    Kind.RATIO: (
        _("Ratio"),
        _("One event, or a property of it, divided by another: clicks by views, say."),
    ),
    Kind.FUNNEL: (
        _("Funnel"),
        _("Somebody goes through steps in their order, with anything in between."),
    ),
    Kind.RETENTION: (
        _("Came back"),
        _("Somebody does something again days after they first saw it."),
    ),
    Kind.BOUNCE: (
        _("Bounce"),
        _("A visit ends after one page. Usually better when it goes down."),
    ),
}
_PAGES = {
    "contains": _("contains"),
    "is": _("is"),
    "starts_with": _("starts with"),
    "matches_regex": _("matches the expression"),
}
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
        choices=[(name, _PAGES[name]) for name in PAGE_OPERATORS],
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


class GoalFormSet(_GoalFormSet):
    """The goals of a flow in the order of their places; no two have one name."""

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(_unpacked(data), *args, **kwargs)

    def clean(self) -> None:
        super().clean()
        seen: set[str] = set()
        for form in self._kept():
            name = form.cleaned_data.get("name", "").strip().casefold()
            if name and name in seen:
                form.add_error("name", _("Another goal has this name: conditions tell them by it."))
            seen.add(name)

    def save(self, commit: bool = True) -> list[Goal]:
        saved = super().save(commit=commit)
        if commit:
            for position, form in enumerate(self._kept()):
                if form.instance.position != position:
                    Goal.objects.filter(pk=form.instance.pk).update(position=position)
        return saved

    @property
    def renewed(self) -> list[Goal]:
        """Goals whose numbers begin anew by what was saved."""
        return [form.instance for form in self.forms if form.is_renewed]

    def _kept(self) -> list[GoalForm]:
        """Return those that stay, in their order; one without a place comes after the others."""
        kept = [
            form
            for form in self.forms
            if (form.instance.pk or form.has_changed())
            and not getattr(form, "cleaned_data", {}).get("DELETE")
        ]
        return sorted(kept, key=_place)

    # --- what the template and its script need ---

    @property
    def in_order(self) -> list[GoalForm]:
        """The forms by the places that stand in them, also where something else is refused."""
        return sorted(self.forms, key=_shown_place)

    @cached_property
    def client_id(self) -> int | str:
        return self.instance.client_id or ""

    @property
    def pickers_url(self) -> str:
        return condition_pickers.url()

    @property
    def description(self) -> str:
        return condition_fields.description_json()

    @property
    def kinds(self) -> str:
        """What each kind uses, and its sentence, for the script."""
        return json.dumps(
            {
                kind.value: {"uses": sorted(goal_inputs.uses(kind)), "sentence": str(sentence)}
                for kind, (_label, sentence) in KINDS.items()
            },
            ensure_ascii=False,
        )

    @property
    def sentences(self) -> list[tuple[Any, Any]]:
        """The kinds with their sentences, for a page without a script."""
        return list(KINDS.values())


def _place(form: GoalForm) -> int:
    place = getattr(form, "cleaned_data", {}).get("place")
    return 10_000 if place is None else int(place)


def _shown_place(form: GoalForm) -> int:
    place = str(form["place"].value() or "")
    return int(place) if place.isdecimal() and len(place) < 6 else 10_000


def _unpacked(data: Any) -> Any:
    """Return the posted values: a script sends those of all goals as one, for hosts count them."""
    packed = data.get("goals-packed") if data is not None else None
    if not packed:
        return data
    try:
        values = json.loads(packed)
    except (ValueError, RecursionError):
        return data
    if not isinstance(values, dict):
        return data
    found = data.copy()
    for name, value in values.items():
        if name.startswith("goals-") and isinstance(value, str):
            found[name] = value
    return found
