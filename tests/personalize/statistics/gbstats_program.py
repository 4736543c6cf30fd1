"""
Answers cases by GrowthBook's gbstats, JSON in and JSON out.

Run by test_gbstats.py in an environment of its own, without this project.
"""

import json
import sys
from typing import Any

from gbstats.bayesian.tests import EffectBayesianABTest, EffectBayesianConfig, GaussianPrior
from gbstats.frequentist.tests import (
    FrequentistConfig,
    SequentialConfig,
    SequentialTwoSidedTTest,
    TwoSidedTTest,
)
from gbstats.models.statistics import (
    RatioStatistic,
    RegressionAdjustedStatistic,
    SampleMeanStatistic,
)
from gbstats.utils import check_srm

Case = dict[str, Any]


def mean(arm: Case, name: str) -> Any:
    return SampleMeanStatistic(n=arm["n"], sum=arm[name], sum_squares=arm[name * 2])


def statistic(kind: str, arm: Case) -> Any:
    if kind == "ratio":
        return RatioStatistic(
            n=arm["n"],
            m_statistic=mean(arm, "y"),
            d_statistic=mean(arm, "d"),
            m_d_sum_of_products=arm["yd"],
        )
    if kind == "cuped":
        return RegressionAdjustedStatistic(
            n=arm["n"],
            post_statistic=mean(arm, "y"),
            pre_statistic=mean(arm, "x"),
            post_pre_sum_of_products=arm["xy"],
            theta=0,
        )
    return mean(arm, "y")


def answered(case: Case) -> Case:
    if case["kind"] == "srm":
        return {"p_value": float(check_srm(case["counts"], case["weights"]))}
    shape = "relative" if case["relative"] else "absolute"
    once = FrequentistConfig(difference_type=shape, alpha=case["alpha"])
    always = SequentialConfig(
        difference_type=shape,
        alpha=case["alpha"],
        sequential_tuning_parameter=case["tuning"],
    )
    prior = case["prior"] or {"mean": 0, "deviation": 1}
    believed = EffectBayesianConfig(
        difference_type=shape,
        alpha=case["alpha"],
        inverse=case["inverse"],
        prior_type="relative",
        prior_effect=GaussianPrior(
            mean=prior["mean"], variance=prior["deviation"] ** 2, proper=bool(case["prior"])
        ),
    )

    def arms() -> list[Any]:
        return [statistic(case["kind"], case[name]) for name in ("control", "treatment")]

    bayesian = EffectBayesianABTest(*arms(), believed).compute_result()
    if case["treatment"]["n"] == 0 or case["control"]["n"] == 0:
        return {"error": "nobody"}
    fixed = TwoSidedTTest(*arms(), once).compute_result()
    sequential = SequentialTwoSidedTTest(*arms(), always).compute_result()
    if fixed.error_message or bayesian.error_message:
        return {"error": fixed.error_message or bayesian.error_message}
    return {
        "error": None,
        "estimate": float(fixed.expected),
        "deviation": float(fixed.uplift.stddev),
        "fixed": [*map(float, fixed.ci), float(fixed.p_value)],
        "sequential": [*map(float, sequential.ci), float(sequential.p_value)],
        "chance": float(bayesian.chance_to_win),
        "credible": [float(end) for end in bayesian.ci],
        "risk": [float(risk) for risk in bayesian.risk],
    }


if __name__ == "__main__":
    json.dump([answered(case) for case in json.load(sys.stdin)], sys.stdout)
