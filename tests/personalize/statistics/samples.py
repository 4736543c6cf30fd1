"""Samples for tests: of conversions, of values, and as Hypothesis makes them up."""

import math

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from personalize.statistics import MICRO, Sample

Floats = NDArray[np.float64]

#: Whole cents, as amounts of money are.
amounts = st.integers(-100_000, 100_000).map(lambda cents: cents / 100)
counts = st.integers(1, 50).map(float)


def converted(n: int, conversions: int) -> Sample:
    """So many guests, of whom so many converted; without a list of a hundred million."""
    square = MICRO * MICRO
    return Sample(
        n=n,
        y=conversions * MICRO,
        yy=conversions * square,
        d=n * MICRO,
        dd=n * square,
        yd=conversions * square,
        x=0,
        xx=0,
        xy=0,
        xd=0,
    )


def chance_of(share: float, *, runs: int) -> float:
    """How far from a true share so many runs may be: three standard errors."""
    return 3 * math.sqrt(share * (1 - share) / runs)


def measured(ys: Floats, ds: Floats | None = None, xs: Floats | None = None) -> Sample:
    """A sample of arrays."""
    return Sample.of(
        ys.tolist(), None if ds is None else ds.tolist(), None if xs is None else xs.tolist()
    )


@st.composite
def values(draw: st.DrawFn, min_size: int = 0) -> tuple[list[float], list[float], list[float]]:
    """Values of y, d and x, as many of each."""
    rows = draw(st.lists(st.tuples(amounts, counts, amounts), min_size=min_size, max_size=30))
    return [y for y, _, _ in rows], [d for _, d, _ in rows], [x for _, _, x in rows]
