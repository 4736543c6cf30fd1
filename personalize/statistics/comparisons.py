"""
One variant against the control by one goal, in every view there is.

Made by `report`; what `verdicts` judges, and what is shown in a row of results.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from personalize.statistics.bayes import Posterior, posterior
from personalize.statistics.corrections import benjamini_hochberg
from personalize.statistics.effects import Contrast, Effect, compare
from personalize.statistics.fixed import fixed
from personalize.statistics.quantiles import Quantile, compare_quantiles
from personalize.statistics.reweighting import Period, compare_reweighted, pooled
from personalize.statistics.samples import Sample
from personalize.statistics.sequences import sequence
from personalize.statistics.types import Direction, GoalRule, Interval, Reason, Settings

#: What is known of a variant by a goal.
Measured = Sample | Quantile

Outcome = Literal["BETTER", "WORSE", "UNCLEAR"]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """An effect, as the default view has it (sequential), the classical one, and the Bayesian."""

    effect: Effect
    sequential: Interval
    fixed: Interval
    posterior: Posterior


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    A variant's difference from the control, and its lift over it, by a goal.

    Both have the same p-values. adjusted_p_value and adjusted_fixed_p_value: these, by Benjamini
    and Hochberg over all variants and goals. saved: the share of variance that CUPED took away.
    is_enough: there are guests and conversions enough to say anything.
    """

    variant: str
    goal: GoalRule
    control_mean: float | None
    mean: float | None
    difference: View
    lift: View
    saved: float
    alpha: float
    is_enough: bool
    adjusted_p_value: float | None = None
    adjusted_fixed_p_value: float | None = None

    @property
    def is_relative(self) -> bool:
        """Say whether the lift is shown; where it may be anything, the difference is."""
        return self.lift.sequential.low is not None

    @property
    def shown(self) -> View:
        return self.lift if self.is_relative else self.difference

    @property
    def chance_to_win(self) -> float | None:
        """
        The chance that the variant is the better one: by the difference.

        The lift's own is the less sure of the two where the control has few conversions.
        """
        return self.difference.posterior.chance_to_win

    @property
    def outcome(self) -> Outcome:
        """
        What the default view says: better, worse, or not yet clear.

        Of a goal that nothing was planned by, one of many that are looked at, by its corrected
        p-value. A guardrail is to be heard at once.
        """
        return self._outcome(self.difference.sequential, self.adjusted_p_value)

    @property
    def fixed_outcome(self) -> Outcome:
        """What the classical view says."""
        return self._outcome(self.difference.fixed, self.adjusted_fixed_p_value)

    def _outcome(self, interval: Interval, corrected: float | None) -> Outcome:
        if interval.low is None or interval.high is None or not self.is_enough:
            return "UNCLEAR"
        is_one_of_many = not (self.goal.is_primary or self.goal.is_guardrail)
        if is_one_of_many and corrected is not None and corrected > self.alpha:
            return "UNCLEAR"
        is_up = self.goal.direction is Direction.INCREASE
        if interval.low > 0:
            return "BETTER" if is_up else "WORSE"
        if interval.high < 0:
            return "WORSE" if is_up else "BETTER"
        return "UNCLEAR"


def comparison(
    *,
    variant: str,
    goal: GoalRule,
    control: Measured,
    treatment: Measured,
    settings: Settings,
    variants: int = 1,
) -> Comparison:
    """
    Compare a variant with the control. variants: so many are compared with it.

    By the primary goal, which may name a winner, intervals of the default view allow for that
    number; those of other goals stand for themselves.
    """
    contrast = _contrast(control, treatment, settings)
    scale = abs(control.mean or 0.0)
    is_enough = has_enough([control, treatment], settings)
    return _viewed(variant, goal, contrast, settings, variants, scale, is_enough)


def reweighted_comparison(
    *,
    variant: str,
    goal: GoalRule,
    control: Sequence[Period],
    treatment: Sequence[Period],
    settings: Settings,
    variants: int = 1,
) -> Comparison:
    """Compare a variant with the control as `comparison` does, where their weights moved."""
    contrast = compare_reweighted(control=control, treatment=treatment)
    scale = abs(contrast.control or 0.0)
    is_enough = has_enough([pooled(control), pooled(treatment)], settings)
    return _viewed(variant, goal, contrast, settings, variants, scale, is_enough)


def corrected(comparisons: Iterable[Comparison]) -> tuple[Comparison, ...]:
    """Correct the p-values for all that are looked at together: these."""
    comparisons = tuple(comparisons)
    always = benjamini_hochberg([each.difference.sequential.p_value for each in comparisons])
    once = benjamini_hochberg([each.difference.fixed.p_value for each in comparisons])
    return tuple(
        replace(each, adjusted_p_value=p, adjusted_fixed_p_value=fixed_p)
        for each, p, fixed_p in zip(comparisons, always, once, strict=True)
    )


def has_enough(measured: Sequence[Measured], settings: Settings) -> bool:
    """Say whether variants have guests and conversions enough to be compared."""
    guests = min(each.n for each in measured)
    return guests >= settings.min_guests and conversions_of(measured) >= settings.min_conversions


def conversions_of(measured: Sequence[Measured]) -> float:
    """
    Return how many conversions the smallest variant would have if it were like all of them.

    Its own say less: where the variants are alike, it has few by chance as well.
    """
    guests = sum(each.n for each in measured)
    share = min(each.n for each in measured) / guests if guests else 0.0
    return share * sum(each.conversions for each in measured)


def _viewed(
    variant: str,
    goal: GoalRule,
    contrast: Contrast,
    settings: Settings,
    variants: int,
    scale: float,
    is_enough: bool,
) -> Comparison:
    together = variants if goal.is_primary else 1
    return Comparison(
        variant=variant,
        goal=goal,
        control_mean=contrast.control,
        mean=contrast.treatment,
        difference=_view(contrast.difference, goal, settings, together, scale),
        lift=_view(contrast.lift, goal, settings, together, 1.0),
        saved=contrast.saved,
        alpha=settings.alpha,
        is_enough=is_enough,
    )


def _contrast(control: Measured, treatment: Measured, settings: Settings) -> Contrast:
    if isinstance(control, Quantile) and isinstance(treatment, Quantile):
        return compare_quantiles(control=control, treatment=treatment)
    if isinstance(control, Sample) and isinstance(treatment, Sample):
        return compare(control=control, treatment=treatment, uses_cuped=settings.uses_cuped)
    if control.n and treatment.n:
        raise ValueError("a goal is measured by sums, or by ranks, in all variants alike")
    nothing = Effect(n=control.n + treatment.n, reason=Reason.TOO_FEW_GUESTS)
    return Contrast(
        control=control.mean,
        treatment=treatment.mean,
        difference=nothing,
        lift=nothing,
        saved=0.0,
    )


def _view(effect: Effect, goal: GoalRule, settings: Settings, together: int, scale: float) -> View:
    return View(
        effect=effect,
        sequential=sequence(
            effect, alpha=settings.alpha, tuning=settings.tuning, comparisons=together
        ),
        fixed=fixed(effect, alpha=settings.alpha),
        posterior=posterior(
            effect,
            alpha=settings.alpha,
            prior=settings.prior,
            direction=goal.direction,
            scale=scale,
        ),
    )
