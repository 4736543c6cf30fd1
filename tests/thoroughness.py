"""
How thorough a run is: in full where CI=true, or THOROUGH=1 says so.

Else property tests search for a counterexample a fifth as long; and where all tests are run, each
that is for both databases takes one of them (`conftest`).
"""

import os
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")

THOROUGH = os.environ.get("THOROUGH", "1" if os.environ.get("CI") == "true" else "0") == "1"


def searches(examples: int) -> int:
    """Return how many examples to try, of those that a thorough run tries."""
    return examples if THOROUGH else max(1, examples // 5)


def searched(cases: Iterable[T]) -> list[T]:
    """Return the cases to try, of all there are: every one, or every fifth."""
    return list(cases)[:: 1 if THOROUGH else 5]
