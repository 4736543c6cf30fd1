"""
Statistics: whether an experiment's variants differ, how sure that is, and what to do about it.

`statistics.analyse(...)` is the whole of it, arithmetic alone. Called by analytics, by the chore
that shifts a bandit's traffic, and by simulations.
"""

from personalize.statistics.bandits import bandit_weights, chances_to_be_best
from personalize.statistics.bayes import Posterior, posterior
from personalize.statistics.capping import Capped, cap_rank
from personalize.statistics.comparisons import Comparison, Measured, Outcome, View
from personalize.statistics.corrections import benjamini_hochberg
from personalize.statistics.effects import Contrast, Effect, Estimate, compare
from personalize.statistics.fixed import fixed
from personalize.statistics.mismatch import Mismatch, mismatch
from personalize.statistics.planning import Plan, days_left, for_mean, for_rate
from personalize.statistics.quantiles import Quantile, Ranks, compare_quantiles, ranks
from personalize.statistics.report import Report, VariantData, analyse
from personalize.statistics.reweighting import Period, compare_reweighted, reweighted
from personalize.statistics.samples import MICRO, Sample
from personalize.statistics.sequences import sequence
from personalize.statistics.strata import stratified
from personalize.statistics.types import Direction, GoalRule, Interval, Prior, Reason, Settings
from personalize.statistics.verdicts import Code, Verdict

__all__ = [
    "MICRO",
    "Capped",
    "Code",
    "Comparison",
    "Contrast",
    "Direction",
    "Effect",
    "Estimate",
    "GoalRule",
    "Interval",
    "Measured",
    "Mismatch",
    "Outcome",
    "Period",
    "Plan",
    "Posterior",
    "Prior",
    "Quantile",
    "Ranks",
    "Reason",
    "Report",
    "Sample",
    "Settings",
    "VariantData",
    "Verdict",
    "View",
    "analyse",
    "bandit_weights",
    "benjamini_hochberg",
    "cap_rank",
    "chances_to_be_best",
    "compare",
    "compare_quantiles",
    "compare_reweighted",
    "days_left",
    "fixed",
    "for_mean",
    "for_rate",
    "mismatch",
    "posterior",
    "ranks",
    "reweighted",
    "sequence",
    "stratified",
]
