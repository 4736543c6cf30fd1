"""`python -m tests.benchmarks [NAME...] [--quick]`: measure, and print each figure as a ratio."""

import argparse
import os
import platform
import tempfile
from contextlib import ExitStack
from pathlib import Path

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.settings"
os.environ.setdefault("SECRET_KEY", "benchmarks-only")
django.setup()

from tests.benchmarks import (  # noqa: E402
    accept,
    decisions,
    drain,
    flows,
    items,
    report,
    results,
    segments,
    visible,
)
from tests.benchmarks import cluster as clusters  # noqa: E402
from tests.benchmarks.run import Run  # noqa: E402

BENCHMARKS = {
    "accept": accept.measure,
    "decisions": decisions.measure,
    "drain": drain.measure,
    "flows": flows.measure,
    "items": items.measure,
    "results": results.measure,
    "segments": segments.measure,
    "visible": visible.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; none: all."
    )
    parser.add_argument("--quick", action="store_true", help="Fewer rounds, fewer guests.")
    parser.add_argument("--rounds", type=int, help="Rounds of each comparison (7; quick: 3).")
    parser.add_argument("--seconds", type=int, default=2, help="Length of a slice (2).")
    parser.add_argument("--guests", type=int, help="Guests of the large database (1,000,000).")
    parser.add_argument("--threads", type=int, default=8, help="Threads of the web server (8).")
    parser.add_argument(
        "--keep",
        type=Path,
        default=os.environ.get("BENCHMARK_DATA"),
        metavar="FOLDER",
        help="Keep the seeded databases here for the next run. Default: $BENCHMARK_DATA.",
    )
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    quick = options.quick
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-logs-")))
        run = Run(
            stack=stack,
            cluster=clusters.start(stack, options.keep),
            sites=clusters.Sites(stack, logs, threads=options.threads),
            rounds=options.rounds or (3 if quick else 7),
            seconds=1 if quick else options.seconds,
            guests=options.guests or (100_000 if quick else 1_000_000),
            is_quick=quick,
        )
        stack.callback(django.db.connections.close_all)
        report.say(
            f"Python {platform.python_version()}, Django {django.get_version()}, "
            f"{os.cpu_count()} processors; ratios are medians of {run.rounds} alternated rounds."
        )
        for name in options.names or BENCHMARKS:
            report.say(f"\n{name}")
            with ExitStack() as inner:
                BENCHMARKS[name](run.within(inner))


if __name__ == "__main__":
    main()
