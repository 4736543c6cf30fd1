"""Weights that follow results: what they are written as, and what counts as a move."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalize import weighting
from personalize.statistics.bandits import bandit_weights
from personalize.statistics.samples import Sample

VARIANTS = "abcdefghijkl"


@given(
    reached=st.lists(st.integers(0, 150), min_size=2, max_size=12),
    guests=st.integers(150, 400),
)
def test_weights__of_any_results__add_up_and_leave_each_a_hundredth(
    reached: list[int], guests: int
) -> None:
    samples = [Sample.of([1] * each + [0] * (guests - each)) for each in reached]
    shares = dict(zip(VARIANTS, bandit_weights([samples]), strict=False))

    weights = weighting.from_shares(shares)

    assert sum(weights.values()) == pytest.approx(100, abs=1e-9)
    assert min(weights.values()) >= 1
    for ref, share in shares.items():
        assert weights[ref] == pytest.approx(100 * share, abs=0.005 * len(weights))


@pytest.mark.parametrize(
    ("before", "after", "moves"),
    [
        ((0.5, 0.5), (50, 50), False),
        ((0.5, 0.5), (50.99, 49.01), False),
        ((0.5, 0.5), (51, 49), True),
        ((1 / 3, 2 / 3), (33.33, 66.67), False),
        ((0.01, 0.99), (1, 99), False),
        ((0.01, 0.99), (2, 98), True),
    ],
)
def test_move__is_of_a_point_or_more(
    before: tuple[float, float], after: tuple[float, float], moves: bool
) -> None:
    known = dict(zip("ab", before, strict=True))

    assert weighting.is_move(known, dict(zip("ab", after, strict=True))) is moves
