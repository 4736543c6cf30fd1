"""`manage.py simulate_experiment`: do the results say what is true? Guests whose truth is known."""

import json
import time
from contextlib import closing
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from personalize.analytics import results
from personalize.management.progress import Progress
from personalize.models import Flow
from personalize.simulation import experiments as trials
from personalize.simulation import playing
from personalize.simulation.playing import Played
from personalize.simulation.sites import CallFailed, LiveSite, OwnSite
from personalize.statistics.comparisons import Comparison
from personalize.statistics.report import Report
from personalize.statistics.verdicts import Code
from tracking import conf, tasks
from tracking.models import InboxEntry


class Command(BaseCommand):
    help = (
        "Send guests through a live experiment with a known lift, beside an A/A twin and one whose "
        "split is broken, and see whether the results find all three out. It makes a client of its "
        "own, and leaves it there to be looked at."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--guests", type=int, default=50_000, help="How many (50000).")
        parser.add_argument(
            "--lift", type=float, default=0.10, help="The true lift, relative (0.10)."
        )
        parser.add_argument("--seed", type=int, default=1, help="Of all chance (1).")
        parser.add_argument(
            "--url",
            metavar="URL",
            help="A live server of this site, on this database; unless given, calls go through "
            "the site's request handler in this process.",
        )
        parser.add_argument(
            "--json", action="store_true", help="End with one line: the report as an object."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        guests, lift = options["guests"], options["lift"]
        if guests < 1:
            raise CommandError("--guests is 1 or more.")
        if not -1 < lift <= 1 / playing.BASE_RATE - 1:
            raise CommandError("--lift is more than -1, and no chance is above 1.")
        progress = Progress(self.stderr)
        started, self._done = time.monotonic(), 0

        def came(count: int) -> None:
            self._done += count
            rate = self._done / (time.monotonic() - started)
            progress.show(f"{_bar(self._done, guests)} {self._done:,} of {guests:,} guests, "
                          f"{rate:,.0f} a second")  # fmt: skip

        try:
            # Nobody walks a request's events within it: they are heard of by thousands.
            with (
                conf.settings.changed(DISPATCH="worker"),
                closing(LiveSite(options["url"]) if options["url"] else OwnSite()) as site,
            ):
                found = trials.set_up(seed=options["seed"], now=timezone.now())
                played = playing.play(
                    found, site, guests=guests, lift=lift, seed=options["seed"],
                    walk=_walk, progress=came,
                )  # fmt: skip
        except CallFailed as error:
            raise CommandError(str(error)) from error
        progress.clear()
        seconds = time.monotonic() - started
        self._report(found, played, lift=lift, seconds=seconds, as_json=options["json"])

    def _report(
        self,
        found: trials.Experiments,
        played: Played,
        *,
        lift: float,
        seconds: float,
        as_json: bool,
    ) -> None:
        judged = {name: _judged(flow) for name, flow in _by_name(found).items()}
        main = judged["lift"]
        primary = _primary(main)
        interval = primary.lift.sequential
        low, high = interval.low, interval.high
        told = {
            "guests": played.guests,
            "true_lift": lift,
            "lift": primary.lift.effect.estimate,
            "interval": [low, high],
            "chance_to_win": primary.chance_to_win,
            "verdict": main.verdict.code.value,
            "srm_p": main.mismatch.p_value,
            "aa_verdict": judged["twin"].verdict.code.value,
            "broken_split_verdict": judged["broken"].verdict.code.value,
            "broken_split_srm_p": judged["broken"].mismatch.p_value,
            "seconds": round(seconds, 1),
        }
        self.stdout.write(
            f"{played.guests:,} guests, {played.runs:,} runs and {played.events:,} events in "
            f"{seconds:,.0f} s, as client “{found.client.name}”."
        )
        self.stdout.write(f"True lift {lift:+.1%}. {main.verdict.sentence}")
        self.stdout.write(f"A/A twin: {judged['twin'].verdict.sentence}")
        self.stdout.write(f"Broken split: {judged['broken'].verdict.sentence}")
        if as_json:
            self.stdout.write(json.dumps(told))
        problems = _problems(told, lift)
        if problems:
            raise CommandError(" ".join(problems))


def _by_name(found: trials.Experiments) -> dict[str, Flow]:
    """Return the three experiments by what they are."""
    return {"lift": found.lift, "twin": found.twin, "broken": found.broken}


def _walk() -> None:
    """Have everything heard of that waits, and all that follows from it."""
    while True:
        tasks.drain()
        if not InboxEntry.objects.exists():
            return


def _judged(flow: Flow) -> Report:
    judged = results.of(Flow.objects.get(pk=flow.pk), now=timezone.now()).report
    assert judged is not None
    return judged


def _primary(judged: Report) -> Comparison:
    return next(each for each in judged.comparisons if each.goal.is_primary)


def _problems(told: dict[str, Any], lift: float) -> list[str]:
    """Say what the results did not find out."""
    problems = []
    low, high = told["interval"]
    if low is not None and not low <= lift <= high:
        problems.append(f"The interval {low:+.1%} to {high:+.1%} misses the true lift {lift:+.1%}.")
    if told["aa_verdict"] in (Code.SHIP, Code.KEEP_CONTROL):
        problems.append("A winner was named where there is no difference.")
    # With a few hundred guests nobody could tell.
    if told["broken_split_verdict"] != Code.UNHEALTHY and told["guests"] >= 5000:
        problems.append("The broken split was not found.")
    return problems


def _bar(done: int, total: int, width: int = 30) -> str:
    filled = width * done // total
    return f"[{'#' * filled}{'.' * (width - filled)}]"
