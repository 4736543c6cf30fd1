"""
Statistics: whether an experiment's variants differ, how sure that is, and what to do about it.

`statistics.analyse(...)` is the whole of it, arithmetic alone. Called by analytics, by the chore
that shifts a bandit's traffic, and by simulations.
"""

from personalize.statistics.samples import MICRO, Sample

__all__ = [
    "MICRO",
    "Sample",
]
