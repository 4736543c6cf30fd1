"""By which rules a flow's results are judged: its goals and its plan, as statistics take them."""

from dataclasses import replace

from personalize import conf, sample_size
from personalize.goals.types import Goal
from personalize.models import Flow
from personalize.statistics.types import GoalRule, Prior, Settings


def settings_of(flow: Flow) -> Settings:
    """Return how a flow's results are judged."""
    deviation = conf.settings().LIFT_PRIOR_DEVIATION
    prior = Prior(deviation=deviation) if deviation > 0 else None
    return replace(sample_size.settings_of(flow.sample_size), prior=prior)


def rule_of(goal: Goal, *, is_primary: bool) -> GoalRule:
    """Return how a goal counts."""
    return GoalRule(
        ref=str(goal.ref),
        name=goal.name,
        is_primary=is_primary,
        is_guardrail=goal.is_guardrail,
        direction=goal.direction,
    )
