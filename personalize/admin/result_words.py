"""Results in words: numbers as readers write them, and what each of the views means."""

from __future__ import annotations

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from personalize.analytics.types import Runs
from personalize.goals.types import RATES, Goal, Kind, Unit
from personalize.statistics.comparisons import Comparison
from personalize.statistics.types import Interval, Reason
from personalize.statistics.verdicts import Code, about

#: Code of a verdict -> color and words of its pill.
PILLS = {
    Code.COLLECTING: ("scheduled", gettext_lazy("Collecting")),
    Code.UNHEALTHY: ("error", gettext_lazy("Unhealthy")),
    Code.SHIP: ("live", gettext_lazy("Ship")),
    Code.KEEP_CONTROL: ("paused", gettext_lazy("Keep the control")),
    Code.NO_DIFFERENCE: ("archived", gettext_lazy("No difference")),
}
VIEWS = {
    "always": gettext_lazy(
        "Valid at any time: look as often as you like. Intervals are wider, so that nothing is "
        "claimed by looking until it shows."
    ),
    "fixed": gettext_lazy(
        "Classical intervals are right for one look, once the planned guests are there: read "
        "earlier or repeatedly, they claim differences that are none. The verdict above stays that "
        "of the view that is valid at any time."
    ),
}
_REASONS = {
    Reason.TOO_FEW_GUESTS: gettext_lazy("too few guests"),
    Reason.NO_DENOMINATOR: gettext_lazy("nothing to divide by yet"),
    Reason.NO_VARIANCE: gettext_lazy("all guests have the same"),
    Reason.CONTROL_IS_ZERO: gettext_lazy("the control has none"),
    Reason.CONTROL_NEAR_ZERO: gettext_lazy("the control has next to none"),
    Reason.TOO_FEW_VALUES: gettext_lazy("too few values"),
}
#: Kind of goal -> what it counts; who: visits or guests.
_KINDS = {
    Kind.PAGE_VIEW: gettext_lazy("%(who)s that viewed the page"),
    Kind.EVENT: gettext_lazy("%(who)s with the event"),
    Kind.CONVERSION: gettext_lazy("%(who)s with an order"),
    Kind.REVENUE: gettext_lazy("amounts of orders, by %(who)s"),
    Kind.AVERAGE_ORDER_VALUE: gettext_lazy("amounts of orders, by orders"),
    Kind.COUNT: gettext_lazy("how often the event happened, by %(who)s"),
    Kind.SUM: gettext_lazy("what a property adds up to, by %(who)s"),
    Kind.MEAN: gettext_lazy("the average of a property"),
    Kind.RATIO: gettext_lazy("one event by another"),
    Kind.FUNNEL: gettext_lazy("%(who)s that got to the end"),
    Kind.RETENTION: gettext_lazy("guests who came back"),
    Kind.BOUNCE: gettext_lazy("visits that left after one page"),
}


def count(value: float) -> str:
    """Write a whole number, or a sum with two decimals."""
    decimals = 0 if value == int(value) else 2
    return str(formats.number_format(round(value, decimals), decimals, force_grouping=True))


def about_goal(goal: Goal) -> str:
    """Say what a goal counts."""
    who = _("visits") if goal.unit is Unit.SESSION else _("guests")
    return str(_KINDS[goal.kind]) % {"who": who}


def mean(goal: Goal, value: float | None) -> str:
    """Write a rate as percents, and an amount with two decimals."""
    if value is None:
        return "–"
    if goal.kind in RATES:
        return _("%(number)s%%") % {"number": formats.number_format(value * 100, 2)}
    return str(formats.number_format(value, 2, force_grouping=True))


def effect(compared: Comparison, value: float | None) -> str:
    """Write an effect as it is shown: relative in percents, or in the goal's own units."""
    if value is None:
        return "–"
    if compared.is_relative:
        return f"{value:+.1%}"
    return f"{value:+.3g}"


def interval(compared: Comparison, found: Interval) -> str:
    """Write an interval, or why there is none."""
    if found.low is None or found.high is None:
        return str(_REASONS[found.reason]) if found.reason else "–"
    return _("%(low)s to %(high)s") % {
        "low": effect(compared, found.low),
        "high": effect(compared, found.high),
    }


def share(value: float | None) -> str:
    """Write a share from 0 to 1 as percents; what is nearly all or nothing says so."""
    if value is None:
        return "–"
    if value and value < 0.001:
        return "<0.1%"
    if value < 1 and value > 0.999:
        return ">99.9%"
    return f"{value:.1%}"


def p_value(value: float | None) -> str:
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def latency(runs: Runs, of_runs: float) -> str:
    """Write within how many milliseconds this share of the runs was done."""
    if not runs.executions:
        return "–"
    most = runs.latency(of_runs)
    return _("over 1,000 ms") if most is None else _("%(most)s ms") % {"most": count(most)}


def attribution(attributable: float | None) -> str:
    """Say how many of the runs belong to a visit, and why the others do not."""
    if attributable is None:
        return _("It has not run in these days.")
    return _(
        "%(share)s of the runs belong to a visit. What a guest does is counted within the visit "
        "that saw the flow; runs by e-mail address or identifier belong to none, so nothing is "
        "attributed to them."
    ) % {"share": share(attributable)}


def days_left(days: int | None) -> str:
    if days is None:
        return _("At this pace the planned guests never come.")
    if not days:
        return _("The planned guests are there.")
    if days == 1:
        return _("About one day left.")
    return _("About %(days)s days left.") % {"days": count(days)}


def guests_per_variant(guests: int) -> str:
    """Write a planned number of guests to three digits: it is no more precise."""
    return _("about %(guests)s guests per variant") % {"guests": about(guests)}
