"""`manage.py replay_decisions`: do past decisions, made again, come out as they were recorded?"""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from personalize import replays
from personalize.replays import Tally

_MOST_TOLD = 100


class Command(BaseCommand):
    help = (
        "Make the decisions that are on record again, from the record and the revisions of then, "
        "and compare. Changes nothing. Exit status: 1 where one comes out otherwise."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--sample", type=_count, metavar="N", help="Only so many, at random.")
        parser.add_argument(
            "--json", action="store_true", help="Print one object as the last line, for machines."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.done = 0
        tally = replays.replay_stored(sample=options["sample"], progress=self._progress)
        if tally.checked:
            self.stderr.write("")
        if options["json"]:
            self.stdout.write(json.dumps(_document(tally)))
        else:
            self._tell(tally)
        if tally.differences:
            raise CommandError(f"{len(tally.differences)} decisions come out otherwise.")

    def _progress(self, count: int) -> None:
        self.done += count
        self.stderr.write(f"\r{self.done} records", ending="")

    def _tell(self, tally: Tally) -> None:
        self.stdout.write(f"{tally.checked} decisions made again, {tally.equal} are the same.")
        for ref, why in [*tally.not_replayable.items()][:_MOST_TOLD]:
            self.stdout.write(f"{ref}: not replayable. {' '.join(why)}")
        for ref, sentences in [*tally.differences.items()][:_MOST_TOLD]:
            self.stdout.write(self.style.ERROR(f"{ref}: {'; '.join(sentences)}"))


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("a sample has one record at least")
    return count


def _document(tally: Tally) -> dict[str, Any]:
    """Return the numbers, and of each kind the first hundred."""
    found = {"differences": tally.differences, "notReplayable": tally.not_replayable}
    return {
        "checked": tally.checked,
        "equal": tally.equal,
        **{
            name: [{"ref": str(ref), "what": said} for ref, said in [*by_ref.items()][:_MOST_TOLD]]
            for name, by_ref in found.items()
        },
    }
