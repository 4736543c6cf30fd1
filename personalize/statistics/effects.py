"""
How a treatment differs from the control: by how much, relatively, and how sure that is.

Called by `comparisons`. What is shown of an effect (`fixed`, `sequences`, `bayes`) starts here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from personalize.statistics.samples import Sample
from personalize.statistics.types import Interval, Reason

#: Below this share of a variance, what is left of it is rounding.
_ROUNDING = 1e-12
#: A variant's own variance counts as much as everybody's once so many have converted.
_TRUSTED_CONVERSIONS = 50.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A variant's mean, the variance of that mean (spread), and the guests it is of."""

    mean: float
    spread: float
    n: int


@dataclass(frozen=True, slots=True)
class Pair:
    """
    The two means that a lift is of. shared: variance that both of them share.

    `bounds` answers Fieller's interval (1954, J. R. Stat. Soc. B 16): each lift L that goes with
    (D - L m_c)^2 <= reach^2 (v_t + (1 + L)^2 v_c + L^2 shared), D = m_t - m_c. It has 0 in it
    exactly where D's own interval has, which the delta method's would not: of a control with few
    conversions that one stays wide however large the difference is. None where the control's mean
    may be 0, and the lift anything.
    """

    control: Estimate
    treatment: Estimate
    shared: float = 0.0

    @property
    def score(self) -> float:
        error = math.sqrt(self.control.spread + self.treatment.spread)
        return (self.treatment.mean - self.control.mean) / error

    def bounds(self, reach: float) -> tuple[float, float] | None:
        c, t, squared = self.control, self.treatment, reach * reach
        difference = t.mean - c.mean
        # A L^2 - 2 B L + C = 0 at both ends.
        a = c.mean * c.mean - squared * (c.spread + self.shared)
        if a <= 0:
            return None
        b = difference * c.mean + squared * c.spread
        root = reach * math.sqrt(max(0.0, self._discriminant(squared)))
        # The end that is farther out comes first: subtracting would cost the other its digits.
        far = b + math.copysign(root, b)
        constant = difference * difference - squared * (c.spread + t.spread)
        ends = sorted((far / a, constant / far if far else 0.0))
        return (ends[0], ends[1]) if c.mean > 0 else (-ends[1], -ends[0])

    def _discriminant(self, squared: float) -> float:
        # (B^2 - A C) / reach^2, worked out: B^2 and A C are huge and almost the same.
        c, t = self.control, self.treatment
        spread = c.spread + t.spread
        means = c.mean * c.mean * t.spread + t.mean * t.mean * c.spread
        common = self.shared * ((t.mean - c.mean) ** 2 - squared * spread)
        return means + common - squared * c.spread * t.spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """
    An estimate with its standard error, of `n` guests of both variants.

    freedom: Welch's degrees of freedom; None: so many that t is normal. pair: what a lift is of.
    cautious: the same with the error to go by while few have converted; None: it is this one.
    Where error is None, `reason` says why, and nothing but the estimate can be said, if that.
    """

    n: int
    estimate: float | None = None
    error: float | None = None
    freedom: float | None = None
    pair: Pair | None = None
    cautious: Effect | None = None
    reason: Reason | None = None

    @property
    def score(self) -> float | None:
        """How many standard errors from no effect; a lift is as far as its difference."""
        if self.estimate is None or self.error is None:
            return None
        return self.pair.score if self.pair else self.estimate / self.error

    def interval(self, *, reach: float, p_value: float) -> Interval:
        """Return all that is within so many standard errors."""
        if self.estimate is None or self.error is None:
            return Interval(reason=self.reason)
        if self.pair is None:
            low, high = self.estimate - reach * self.error, self.estimate + reach * self.error
            return Interval(low=low, high=high, p_value=p_value)
        bounds = self.pair.bounds(reach)
        if bounds is None:
            return Interval(p_value=p_value, reason=Reason.CONTROL_NEAR_ZERO)
        return Interval(low=bounds[0], high=bounds[1], p_value=p_value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """
    A treatment against the control.

    control, treatment: the means as they are. difference and lift: adjusted by CUPED where there
    is anything to adjust by. saved: the share of the difference's variance that this took away.
    """

    control: float | None
    treatment: float | None
    difference: Effect
    lift: Effect
    saved: float


def compare(*, control: Sample, treatment: Sample, uses_cuped: bool = True) -> Contrast:
    """
    Compare two variants.

    Difference: m_t - m_c, variance s_t^2/n_t + s_c^2/n_c, degrees of freedom by Welch (1947).
    Lift: the difference by |m_c|, variance by the delta method for a ratio of independent means,
    (v_t + v_c m_t^2/m_c^2) / m_c^2 (Deng, Knoblich & Lu 2018); its intervals are Fieller's.
    CUPED (Deng, Xu, Kohavi & Walker 2013): each mean gives way to m - theta (mean of x - mean of
    everybody's x) with theta = cov(y, x) / var(x) of both variants together; of a ratio, with its
    linearized values in y's place.

    A variant in which nobody has converted yet has no variance, as if its mean were known: so
    much is wrong of variances while conversions are few, and a variant with a small share of the
    traffic has few for long. The cautious effects shrink each variance s^2 towards everybody's,
    s_p^2, where that is more: to s^2 + (s_p^2 - s^2) k / (k + conversions), with k = 50.
    """
    plain = _estimate(control), _estimate(treatment)
    n = control.n + treatment.n
    means = {"control": control.mean, "treatment": treatment.mean}
    if plain[0] is None or plain[1] is None:
        nothing = Effect(n=n, reason=_why_not(control, treatment))
        return Contrast(**means, difference=nothing, lift=nothing, saved=0.0)
    spread = plain[0].spread + plain[1].spread
    pooled = control + treatment
    theta = _theta(pooled) if uses_cuped else 0.0
    adjusted = (
        _adjusted(plain[0], control, theta, pooled.x_mean),
        _adjusted(plain[1], treatment, theta, pooled.x_mean),
    )
    left = adjusted[0].spread + adjusted[1].spread
    # The mean of everybody's x moves both means alike, which a lift feels and a difference not.
    shared = theta * theta * pooled.x_variance / n
    everybody = _estimate(pooled)
    assert everybody is not None, "the guests of both are more than those of one"
    everybody = _adjusted(everybody, pooled, theta, pooled.x_mean)
    cautious = [
        # Of a ratio, what denominators vary by everywhere, for as many as there are here.
        shrunk(own, usual=everybody.spread * pooled.d / sample.d, conversions=sample.conversions)
        for own, sample in zip(adjusted, (control, treatment), strict=True)
    ]
    return Contrast(
        **means,
        difference=replace(difference(*adjusted), cautious=difference(*cautious)),
        lift=replace(lift(*adjusted, shared=shared), cautious=lift(*cautious, shared=shared)),
        saved=max(0.0, 1.0 - left / spread) if spread else 0.0,
    )


def _estimate(sample: Sample) -> Estimate | None:
    mean, variance = sample.mean, sample.variance
    if mean is None or variance is None:
        return None
    return Estimate(mean, variance / sample.n, sample.n)


def _why_not(control: Sample, treatment: Sample) -> Reason:
    is_few = control.n < 2 or treatment.n < 2
    return Reason.TOO_FEW_GUESTS if is_few else Reason.NO_DENOMINATOR


def _theta(pooled: Sample) -> float:
    spread = pooled.x_variance
    return pooled.x_covariance / spread if spread else 0.0


def _adjusted(found: Estimate, sample: Sample, theta: float, baseline: float) -> Estimate:
    if not theta:
        return found
    taken = theta * (2.0 * sample.x_covariance - theta * sample.x_variance) / sample.n
    left = found.spread - taken
    if left < found.spread * _ROUNDING:
        left = 0.0
    return Estimate(found.mean - theta * (sample.x_mean - baseline), left, found.n)


def shrunk(found: Estimate, *, usual: float, conversions: float) -> Estimate:
    """Shrink an estimate's spread towards what it usually is, where that is more (`compare`)."""
    doubt = _TRUSTED_CONVERSIONS / (_TRUSTED_CONVERSIONS + conversions)
    return replace(found, spread=found.spread + max(0.0, usual - found.spread) * doubt)


def difference(control: Estimate, treatment: Estimate) -> Effect:
    """Subtract the control's mean from the treatment's (see `compare`)."""
    return _effect(
        control,
        treatment,
        estimate=treatment.mean - control.mean,
        variance=treatment.spread + control.spread,
    )


def lift(control: Estimate, treatment: Estimate, *, shared: float = 0.0) -> Effect:
    """Return the difference by the control's mean. shared: variance that both means share."""
    if not control.mean:
        return Effect(n=control.n + treatment.n, reason=Reason.CONTROL_IS_ZERO)
    base = abs(control.mean)
    change = (treatment.mean - control.mean) / base
    ratio = treatment.mean / control.mean
    own = treatment.spread + control.spread * ratio * ratio
    return _effect(
        control,
        treatment,
        # By the size of the control's mean: of losses, too, more is a lift above 0.
        estimate=change,
        variance=(own + shared * change * change) / (base * base),
        pair=Pair(control, treatment, shared),
    )


def _effect(
    control: Estimate,
    treatment: Estimate,
    *,
    estimate: float,
    variance: float,
    pair: Pair | None = None,
) -> Effect:
    n = control.n + treatment.n
    # A treatment of 0 throughout leaves a lift of -1 without any error, but not the difference.
    if not (variance > 0 and control.spread + treatment.spread > 0):
        return Effect(n=n, estimate=estimate, reason=Reason.NO_VARIANCE)
    return Effect(
        n=n,
        estimate=estimate,
        error=math.sqrt(variance),
        freedom=_welch(control, treatment),
        pair=pair,
    )


def _welch(control: Estimate, treatment: Estimate) -> float:
    whole = control.spread + treatment.spread
    # By shares, since squares of tiny variances are 0.
    c, t = control.spread / whole, treatment.spread / whole
    return 1.0 / (c * c / (control.n - 1) + t * t / (treatment.n - 1))
