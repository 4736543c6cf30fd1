"""
Guests come, see three experiments, and some sign up: as a known lift says, and no other way.

A guest of the control signs up with the chance BASE_RATE, one of the challenger with BASE_RATE
times (1 + lift). In the experiment whose split is broken, some guests of the challenger leave
before it is shown, as behind a redirect that is slow.
"""

import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from personalize.models import Flow
from personalize.simulation.experiments import CHALLENGER, CONTROL, CONVERSION, Experiments
from personalize.simulation.sites import Site
from tracking.types import BROWSER, IdentifierKey, birth_ref

BASE_RATE: Final = 0.10
#: The share of the challenger's guests that the broken split loses.
LOST: Final = 0.15
#: So many guests come, and are heard of, at once.
AT_ONCE: Final = 1000

_CALLS_A_BATCH: Final = 100
_CALL_FLOWS, _BATCH = "personalize:call-flows", "tracking:track-batch"


@dataclass(slots=True)
class Played:
    """What was done: guests, calls of flows, events that were sent, and the truth of the lift."""

    guests: int = 0
    runs: int = 0
    events: int = 0
    seen: dict[str, int] = field(default_factory=lambda: {CONTROL: 0, CHALLENGER: 0})
    signed_up: dict[str, int] = field(default_factory=lambda: {CONTROL: 0, CHALLENGER: 0})


def play(
    experiments: Experiments,
    site: Site,
    *,
    guests: int,
    lift: float,
    seed: int,
    walk: Callable[[], object],
    progress: Callable[[int], None],
) -> Played:
    """
    Have guests go through the experiments; `walk` has what they did heard of, so many at a time.

    Raises sites.CallFailed.
    """
    chance = random.Random(seed)
    played = Played()
    for size in _sizes(guests):
        browsers = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(size)]
        _send(site, experiments, [_page(browser) for browser in browsers], played)
        walk()
        with site.together():
            signed_up = [
                browser
                for browser in browsers
                if _visit(site, experiments, browser, chance, played, lift=lift)
            ]
        # What somebody did comes after what they saw.
        walk()
        _send(site, experiments, [_sign_up(browser, chance) for browser in signed_up], played)
        walk()
        played.guests += size
        progress(size)
    return played


def _sizes(guests: int) -> Iterator[int]:
    while guests > 0:
        yield min(guests, AT_ONCE)
        guests -= AT_ONCE


def _visit(
    site: Site,
    experiments: Experiments,
    browser: str,
    chance: random.Random,
    played: Played,
    *,
    lift: float,
) -> bool:
    """Show a guest the experiments, and say whether they sign up."""
    variant = _run(site, experiments, experiments.lift, browser, played)
    _run(site, experiments, experiments.twin, browser, played)
    key = IdentifierKey(BROWSER, browser)
    ref = str(birth_ref(client_ref=experiments.client.ref, key=key))
    is_lost = chance.random() < LOST
    if not (is_lost and experiments.assigned(experiments.broken, ref) == CHALLENGER):
        _run(site, experiments, experiments.broken, browser, played)
    rate = BASE_RATE * (1 + lift) if variant == CHALLENGER else BASE_RATE
    signs_up = chance.random() < rate
    played.seen[variant] += 1
    played.signed_up[variant] += signs_up
    return signs_up


def _run(site: Site, experiments: Experiments, flow: Flow, browser: str, played: Played) -> str:
    answer = site.post(
        _CALL_FLOWS,
        {
            "clientKey": experiments.client.client_key,
            "channel": "WEB",
            "browserId": browser,
            "friendlyId": flow.friendly_id,
        },
    )
    played.runs += 1
    return str(answer["variant"])


def _page(browser: str) -> dict[str, Any]:
    return {"type": "page", "anonymousId": browser, "name": "Home"}


def _sign_up(browser: str, chance: random.Random) -> dict[str, Any]:
    value = round(chance.lognormvariate(3, 0.5), 2)
    properties = {"value": value}
    return {
        "type": "track", "event": CONVERSION, "anonymousId": browser, "properties": properties,
    }  # fmt: skip


def _send(
    site: Site, experiments: Experiments, calls: Sequence[dict[str, Any]], played: Played
) -> None:
    for start in range(0, len(calls), _CALLS_A_BATCH):
        batch = list(calls[start : start + _CALLS_A_BATCH])
        site.post(_BATCH, {"writeKey": experiments.client.client_key, "batch": batch})
        played.events += len(batch)
