"""Goals on the page of an experience or experiment, and what saving them did."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from personalize import flows
from personalize.admin.flow_parts import FlowPartInline
from personalize.admin.goal_forms import GoalForm
from personalize.admin.goal_formset import GoalFormSet
from personalize.models import Goal


class GoalInline(FlowPartInline[Goal]):
    """The goals, the first of which is the primary one."""

    model = Goal
    form = GoalForm
    formset: Any = GoalFormSet
    fields = ("name",)
    extra = 1
    max_num = flows.MAX_GOALS
    validate_max = True
    template = "personalize/admin/goals.html"
    verbose_name_plural = _("goals: what success means")

    class Media:
        js = [
            "personalize/packing.js",
            "personalize/condition_lines.js",
            "personalize/goals.js",
        ]
        css = {"all": ["tracking/admin.css", "personalize/admin.css", "personalize/goals.css"]}


def tell(request: HttpRequest, formset: Any) -> None:
    """Say of goals that measure something else now that their numbers begin anew."""
    for goal in formset.renewed if isinstance(formset, GoalFormSet) else ():
        messages.info(
            request,
            gettext(
                "Goal “%(name)s” measures something else now: its numbers begin anew. Once that is "
                "published, those who have seen the flow so far are measured by it again."
            )
            % {"name": goal.name},
        )
