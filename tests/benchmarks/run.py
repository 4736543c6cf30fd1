"""One run: how long it may measure, and the servers it measures."""

from contextlib import ExitStack
from dataclasses import dataclass, replace

from tests.benchmarks import cluster as clusters
from tests.benchmarks import seeding
from tests.benchmarks.cluster import Cluster, Sites


@dataclass(frozen=True)
class Run:
    """`rounds` of slices of `seconds` each; `guests` is the size of the large databases."""

    stack: ExitStack
    cluster: Cluster
    sites: Sites
    rounds: int
    seconds: int
    guests: int
    is_quick: bool

    def within(self, stack: ExitStack) -> "Run":
        """Return this run with its servers ending when the stack closes."""
        return replace(self, stack=stack, sites=self.sites.within(stack))

    def database(self, guests: int, name: str = "measured") -> str:
        """Make a fresh database with this many guests; this process works on it from now on."""
        template = seeding.guests_template(self.cluster, guests)
        url = self.cluster.copy(template, f"{name}_{guests}")
        clusters.use(url)
        return url
