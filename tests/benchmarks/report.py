"""Shows how far a run is, and words its figures."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

_WIDTH = 30
_T = TypeVar("_T")


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Progress:
    """A bar on the terminal; where there is none, a line now and then."""

    def __init__(self, title: str, total: int) -> None:
        self.title = title
        self.total = total
        self.done = 0
        self._is_terminal = sys.stderr.isatty()
        self._shown_at = 0.0

    def step(self, what: str = "") -> None:
        """Count one step that is about to be done."""
        self.done += 1
        full = _WIDTH * min(self.done, self.total) // self.total
        bar = "#" * full + "." * (_WIDTH - full)
        line = f"{self.title} [{bar}] {self.done}/{self.total} {what}"
        if self._is_terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
        elif time.monotonic() - self._shown_at > 10 or self.done == self.total:
            self._shown_at = time.monotonic()
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def alternate(
    title: str, slices: Mapping[str, Callable[[], _T]], *, rounds: int
) -> dict[str, list[_T]]:
    """Run every slice once a round, A B A B, so that what the machine does meets all alike."""
    figures: dict[str, list[_T]] = {name: [] for name in slices}
    with Progress(title, rounds * len(slices)) as progress:
        for _ in range(rounds):
            for name, measure in slices.items():
                progress.step(name)
                figures[name].append(measure())
    return figures


@dataclass(frozen=True)
class Goal:
    """What a figure should be: at least or at most this."""

    value: float
    is_least: bool = True

    def is_met(self, figure: float) -> bool:
        return figure >= self.value if self.is_least else figure <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.is_least else '<='} {self.value:g}"


def ratio(
    name: str, figures: Sequence[float], floor: Sequence[float], *, to: str, goal: Goal | None
) -> float:
    """Print the median of the rounds' ratios with their range, and return it."""
    ratios = sorted(a / b for a, b in zip(figures, floor, strict=True))
    middle = statistics.median(ratios)
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
    say(_line(name, f"{middle:.2f}x", f"{to} ({spread})", middle, goal))
    return middle


def figure(name: str, value: float, unit: str, note: str = "", *, goal: Goal | None = None) -> None:
    """Print a figure that is measured against a time, not against a floor."""
    say(_line(name, f"{value:.2f} {unit}", note, value, goal))


def _line(name: str, value: str, note: str, number: float, goal: Goal | None) -> str:
    line = f"  {name:<46} {value:>10}  {note:<44}"
    if goal is not None:
        line += f" goal {goal}: {'met' if goal.is_met(number) else 'NOT MET'}"
    return line.rstrip()


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
