"""
The goals of a flow on its page: in the order of their places, told apart by their names.

`goals` makes it part of the page; its template and its script ask what stands at the end.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.forms.models import BaseInlineFormSet
from django.utils.translation import gettext_lazy as _

from personalize.admin import condition_fields, condition_pickers, goal_inputs
from personalize.admin.goal_forms import GoalForm
from personalize.admin.goal_kinds import KINDS
from personalize.models import Flow, Goal

if TYPE_CHECKING:
    _GoalFormSet = BaseInlineFormSet[Goal, Flow, GoalForm]
else:
    _GoalFormSet = BaseInlineFormSet


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
