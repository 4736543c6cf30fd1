"""What a decision model's page says around its form: state, checks, users and changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext

from personalize import decision_models
from personalize.admin import decision_words, history
from personalize.models import DecisionModel, ExitCount, Flow, Offer
from personalize.types import Reason

_WINDOW = timedelta(days=7)


def checks(model: DecisionModel) -> dict[str, Any]:
    """Return what a person should judge of the draft, and which of its tests fail."""
    broken = decision_models.broken(model)
    # As it is stored: the form may show what was posted and refused.
    stored = DecisionModel.objects.values_list("draft", flat=True).get(pk=model.pk)
    try:
        _document, review = decision_models.check(model.client_id, stored)
    except decision_models.DecisionError as error:
        return {"broken": broken, "problems": [problem.message for problem in error.problems]}
    failed = decision_models.test(stored, now=timezone.now())
    return {
        "broken": broken,
        "warnings": [warning.message for warning in review.warnings],
        "tests_count": len(stored.get("tests") or []),
        "failed": [failure.message for failure in failed],
    }


def users(model: DecisionModel) -> list[tuple[Flow, int]]:
    """Return the flows that name the model, and how often it failed for each lately."""
    flows = decision_models.users_of(model)
    since = (timezone.now() - _WINDOW).date()
    counted = ExitCount.objects.filter(
        flow__in=[flow.pk for flow in flows], reason=Reason.DECISION_FAILED, day__gt=since
    )
    failed = dict(counted.values_list("flow").annotate(Sum("count")))
    return [(flow, failed.get(flow.pk, 0)) for flow in flows]


def has_changes(model: DecisionModel) -> bool:
    return model.published is None or model.published.document != model.draft


def shown_state(model: DecisionModel) -> tuple[str, str]:
    """Return the code and the words of a model's state."""
    if model.published is None:
        return "DRAFT", gettext("Draft")
    return "LIVE", gettext("In production")


def changes(model: DecisionModel, before: Any, after: Any) -> list[history.Change]:
    if before == after:
        return []
    offers = offer_names(model)
    old = decision_words.lines(before, offers) if before is not None else ""
    lines = history.diff(old, decision_words.lines(after, offers))
    return [history.Change(gettext("Decision"), lines=lines)]


def offer_names(model: DecisionModel) -> dict[str, str]:
    rows = Offer.objects.filter(client=model.client_id).values_list("ref", "name")
    return {str(ref): name for ref, name in rows}
