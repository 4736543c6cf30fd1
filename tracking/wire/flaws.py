"""What is wrong with one row of a file: readers of files answer it in the row's place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flaw:
    """A row that is refused: the line where it begins, from 1, and a sentence that says why."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"
