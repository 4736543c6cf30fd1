"""Drawings of results: whatever the numbers are, they stay inside, in order, with few labels."""

from collections.abc import Sequence
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from personalize.admin import result_charts
from personalize.admin.result_charts import HEIGHT, WIDTH, Chart, Point
from personalize.statistics.types import Interval

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
DAY = date(2026, 1, 1)


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
    return Interval(low=low, high=high)


@given(st.lists(intervals(), min_size=1, max_size=8))
def test_bars__of_any_intervals__lie_within_the_drawing_and_say_where_they_go_on(
    given: Sequence[Interval],
) -> None:
    reach = result_charts.reach_of(given)

    for each in given:
        assert each.low is not None and each.high is not None
        bar = result_charts.bar((each.low + each.high) / 2, each, reach=reach)
        assert bar is not None
        left, width = float(bar.x), float(bar.width)
        assert left >= -0.1 and width >= 1 and left + width <= 201.1
        assert -0.1 <= float(bar.tick) <= 200.1
        assert bar.goes_on_left == (each.low < -reach)
        assert bar.goes_on_right == (each.high > reach)


def test_bar__without_bounds__is_not_drawn() -> None:
    assert result_charts.bar(0.1, Interval(), reach=1.0) is None
    assert result_charts.reach_of([Interval()]) == 1.0


@given(st.lists(intervals(), min_size=2, max_size=40), st.booleans())
def test_course__of_any_points__stays_within_the_chart(
    given: Sequence[Interval], share: bool
) -> None:
    points = [
        Point(DAY + timedelta(days=at), (each.low + each.high) / 2, each.low, each.high)
        for at, each in enumerate(given)
        if each.low is not None and each.high is not None
    ]

    chart = result_charts.over_time(points, share=share)

    assert chart is not None
    check_labels(chart)
    for pair in f"{chart.band} {chart.line}".split():
        x, y = map(float, pair.split(","))
        assert chart.left <= x <= chart.right and 0 <= y <= HEIGHT
    assert 0 <= float(chart.zero) <= HEIGHT


@given(
    st.integers(1, 3).flatmap(
        lambda variants: st.lists(
            st.lists(st.integers(0, 10**9), min_size=variants, max_size=variants),
            min_size=1,
            max_size=60,
        )
    )
)
def test_days__of_any_counts__stand_upon_each_other_within_the_chart(
    given: Sequence[Sequence[int]],
) -> None:
    days = {DAY + timedelta(days=at): counts for at, counts in enumerate(given)}

    chart = result_charts.by_day(days)

    assert chart is not None
    check_labels(chart)
    assert [len(bars) for bars in chart.bars] == [len(given)] * len(given[0])
    for of_day in zip(*chart.bars, strict=True):
        tops = [float(y) for _x, y, _width, _height in of_day]
        assert tops == sorted(tops, reverse=True)
        assert tops[-1] >= 0 and all(float(x) + float(w) <= WIDTH for x, _y, w, _h in of_day)


def check_labels(chart: Chart) -> None:
    assert 2 <= len(chart.levels) <= 8
    assert 1 <= len(chart.days) <= 8
