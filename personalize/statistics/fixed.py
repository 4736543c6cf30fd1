"""
The classical view of an effect: right once, at a moment that was chosen before the first look.

Called by `comparisons`; shown beside the default view for those who planned for it.
"""

from __future__ import annotations

from personalize.statistics.distributions import (
    normal_quantile,
    normal_survival,
    t_quantile,
    t_survival,
)
from personalize.statistics.effects import Effect
from personalize.statistics.types import Interval


def fixed(effect: Effect, *, alpha: float = 0.05) -> Interval:
    """
    Return estimate ± t(1 - alpha/2, v) error, and two-sided p = 2 P(T > |estimate / error|).

    Welch's t test (Welch 1947). Looked at again and again, it claims effects that are not there.
    """
    score = effect.score
    if score is None:
        return Interval(reason=effect.reason)
    if effect.freedom is None:
        reach, tail = normal_quantile(1 - alpha / 2), normal_survival(abs(score))
    else:
        reach = t_quantile(1 - alpha / 2, effect.freedom)
        tail = t_survival(abs(score), effect.freedom)
    return effect.interval(reach=reach, p_value=2.0 * tail)
