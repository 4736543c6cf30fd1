"""todo"""

from tests.benchmarks.run import Run


def measure(run: Run) -> None: ...
