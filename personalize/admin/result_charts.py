"""
Drawings of results: where each line, bar and tick stands, in the units of an SVG's view box.

Called by `result_shown`; the templates draw what it returns and count nothing themselves. Numbers
are texts with a point in them, whichever language the page is in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from personalize.statistics.types import Interval

#: An interval's bar is so wide; its middle is no effect.
_BAR: Final = 200.0
#: The charts: the whole, and what axis labels take.
WIDTH: Final = 640
HEIGHT: Final = 200
_LEFT: Final = 56.0
_RIGHT: Final = 24.0
_TOP: Final = 10.0
_BOTTOM: Final = 32.0
_MOST_DATES: Final = 7
#: Of a shorter span nothing could be told apart: it is one of 1.
_LEAST: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval around no effect. Arrows: it goes on beyond the drawing."""

    x: str
    width: str
    tick: str
    goes_on_left: bool
    goes_on_right: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """A label on an axis."""

    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """
    A chart over days. band, line: points of polygons and polylines; zero: where no effect is.

    bars: of each variant, (x, y, width, height) of its days.
    """

    days: Sequence[Tick]
    levels: Sequence[Tick]
    band: str = ""
    line: str = ""
    zero: str = ""
    bars: Sequence[Sequence[tuple[str, str, str, str]]] = ()
    width: int = WIDTH
    height: int = HEIGHT
    left: int = int(_LEFT)
    right: int = int(WIDTH - _RIGHT)


@dataclass(frozen=True, slots=True)
class Point:
    """An effect and its interval at the end of a day."""

    day: date
    effect: float
    low: float
    high: float


def reach_of(intervals: Sequence[Interval]) -> float:
    """Return how far a table's bars have to reach to either side: its intervals, within reason."""
    ends = sorted(
        max(abs(each.low), abs(each.high))
        for each in intervals
        if each.low is not None and each.high is not None
    )
    if not ends:
        return 1.0
    # One wide interval among narrow ones would make lines of these.
    middle = ends[len(ends) // 2]
    return _levels(0.0, min(ends[-1], 4 * middle) or 1.0)[-1]


def bar(effect: float, interval: Interval, *, reach: float) -> Bar | None:
    """Draw an interval between minus and plus reach; None where it has no bounds."""
    if interval.low is None or interval.high is None:
        return None
    low, high = max(interval.low, -reach), min(interval.high, reach)
    left, right = _at(min(low, reach), reach), _at(max(high, -reach), reach)
    return Bar(
        x=_number(left),
        width=_number(max(1.0, right - left)),
        tick=_number(_at(min(max(effect, -reach), reach), reach)),
        goes_on_left=interval.low < -reach,
        goes_on_right=interval.high > reach,
    )


def _at(value: float, reach: float) -> float:
    return _BAR / 2 * (1 + value / reach)


def over_time(points: Sequence[Point], *, share: bool) -> Chart | None:
    """Draw an effect and its interval, day by day. share: its labels are percents."""
    if len(points) < 2:
        return None
    # The first days say next to nothing, and would flatten all others.
    settled = points[len(points) // 4 :]
    low = min(0.0, *(point.low for point in settled))
    high = max(0.0, *(point.high for point in settled))
    levels = _levels(low, high)
    low, high = min(low, levels[0]), max(high, levels[-1])
    days = [point.day for point in points]

    def y(value: float) -> float:
        return _y((min(max(value, low), high) - low) / ((high - low) or 1.0))

    xs = [_x(number / (len(points) - 1)) for number in range(len(points))]
    upper = [_pair(x, y(point.high)) for x, point in zip(xs, points, strict=True)]
    lower = [_pair(x, y(point.low)) for x, point in zip(xs, points, strict=True)]
    return Chart(
        days=_dates(days, xs),
        levels=[Tick(_number(y(level)), _level(level, share=share)) for level in levels],
        band=" ".join([*upper, *reversed(lower)]),
        line=" ".join(_pair(x, y(point.effect)) for x, point in zip(xs, points, strict=True)),
        zero=_number(y(0.0)),
    )


def by_day(days: Mapping[date, Sequence[int]]) -> Chart | None:
    """Draw counts of each day as bars, one variant upon the other."""
    if not days:
        return None
    levels = _levels(0.0, float(max(sum(counts) for counts in days.values())))
    top = levels[-1] or 1.0
    step = (WIDTH - _LEFT - _RIGHT) / len(days)
    bars: list[list[tuple[str, str, str, str]]] = []
    for number, counts in enumerate(days.values()):
        below = 0.0
        for variant, count in enumerate(counts):
            if variant == len(bars):
                bars.append([])
            foot, head = _y(below / top), _y((below + count) / top)
            x, width = _LEFT + step * (number + 0.1), max(1.0, step * 0.8)
            bars[variant].append((_number(x), _number(head), _number(width), _number(foot - head)))
            below += count
    xs = [_LEFT + step * (number + 0.5) for number in range(len(days))]
    return Chart(
        days=_dates(list(days), xs),
        levels=[Tick(_number(_y(level / top)), f"{level:,.0f}") for level in levels],
        bars=bars,
    )


def _levels(low: float, high: float) -> list[float]:
    """Return round numbers from low to high or a little beyond: three to seven of them."""
    if high - low < _LEAST:
        high = low + 1.0
    span = high - low
    size = 10 ** math.floor(math.log10(span / 3))
    step = next(size * factor for factor in (1, 2, 5, 10) if span / (size * factor) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(first, last + 1)]


def _dates(days: Sequence[date], xs: Sequence[float]) -> list[Tick]:
    every = math.ceil(len(days) / _MOST_DATES)
    return [
        Tick(_number(x), f"{day:%m-%d}")
        for number, (day, x) in enumerate(zip(days, xs, strict=True))
        if number % every == 0
    ]


def _level(value: float, *, share: bool) -> str:
    if not value:
        return "0"
    if share:
        whole = abs(round(value * 100) - value * 100) < 1e-6
        return f"{value:+.0%}" if whole else f"{value:+.1%}"
    return f"{value:+.3g}"


def _x(share: float) -> float:
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return _TOP + (1 - share) * (HEIGHT - _TOP - _BOTTOM)


def _pair(x: float, y: float) -> str:
    return f"{_number(x)},{_number(y)}"


def _number(value: float) -> str:
    return f"{value:.1f}"
