"""
Callers of the measured site: as many as fit (`saturate`), or so many a second (`paced`).

wrk makes the load where it is installed; threads do otherwise, which takes
more of the processor from the site. Both stop when their time is up.
"""

import functools
import http.client
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from tests.benchmarks.report import percentile

AGENT = "Mozilla/5.0 (X11; Linux x86_64) benchmark"
_LUA = Path(__file__).with_name("load.lua")


class LoadFailed(Exception):
    """The site refused calls that it should have answered: the figure would mean nothing."""


@dataclass(frozen=True)
class Target:
    """A door, and the bodies that callers send to it in turn; by GET, the ends of its address."""

    site: str
    path: str
    bodies: Sequence[bytes]
    headers: dict[str, str] = field(default_factory=dict)
    method: Literal["POST", "GET"] = "POST"

    def sent_to(self, path: str) -> "Target":
        return replace(self, path=path)


@dataclass(frozen=True)
class Rate:
    """What a saturated site did: requests answered, in how many seconds, and how fast."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def saturate(target: Target, *, clients: int, seconds: int) -> Rate:
    """Have this many clients call at once, each as fast as it is answered."""
    run = _wrk if shutil.which("wrk") else _threads
    rate, failed = run(target, clients, seconds)
    if failed:
        raise LoadFailed(f"{failed} of {rate.requests} calls of {target.path} failed")
    return rate


def _wrk(target: Target, clients: int, seconds: int) -> tuple[Rate, int]:
    with tempfile.NamedTemporaryFile("w", suffix=".hex") as bodies:
        bodies.writelines(body.hex() + "\n" for body in target.bodies)
        bodies.flush()
        command = ["wrk", "--threads", "1", "--connections", str(clients)]
        command += ["--duration", f"{seconds}s", "--timeout", "30s", "--script", str(_LUA)]
        command += [target.site + target.path, "--", bodies.name, target.method]
        for header in target.headers.items():
            command += header
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=seconds + 60
        )
    told = json.loads(done.stdout.strip().rpartition("\n")[2])
    rate = Rate(
        told["requests"], told["micros"] / 1e6, told["p50"] / 1000, told["p99"] / 1000
    )  # fmt: skip
    return rate, told["failed"]


def _threads(target: Target, clients: int, seconds: int) -> tuple[Rate, int]:
    began = time.perf_counter()
    deadline = began + seconds
    spent: list[float] = []
    failed: list[int] = []

    def call(offset: int) -> None:
        with Caller(target) as caller:
            at = offset
            while time.perf_counter() < deadline:
                told = target.bodies[at % len(target.bodies)]
                if target.method == "GET":
                    answer = caller.get(target.path + told.decode())
                else:
                    answer = caller.send(told)
                spent.append(answer.client_ms)
                if answer.status >= 400:
                    failed.append(answer.status)
                at += clients

    run_together(functools.partial(call, offset) for offset in range(clients))
    took = time.perf_counter() - began
    return Rate(len(spent), took, percentile(spent, 50), percentile(spent, 99)), len(failed)


@dataclass(frozen=True)
class Answer:
    """One answer: what it says, and its time as the client and as the server saw it."""

    status: int
    body: bytes
    client_ms: float
    server_ms: float


class Caller:
    """One client on one kept connection."""

    def __init__(self, target: Target) -> None:
        place = urlsplit(target.site)
        self._connection = http.client.HTTPConnection(
            place.hostname or "", place.port or 80, timeout=30
        )
        self._path = target.path
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": AGENT,
            **target.headers,
        }

    def send(self, body: bytes) -> Answer:
        return self._request("POST", self._path, body)

    def get(self, path: str) -> Answer:
        return self._request("GET", path, None)

    def _request(self, method: str, path: str, body: bytes | None) -> Answer:
        began = time.perf_counter()
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        content = response.read()
        spent = (time.perf_counter() - began) * 1000
        told = response.headers.get("Server-Timing", "app;dur=0")
        return Answer(response.status, content, spent, float(told.rpartition("=")[2]))

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._connection.close()


def paced(target: Target, *, per_second: int, seconds: int, clients: int = 8) -> list[Answer]:
    """
    Send calls at a steady pace, whether the earlier ones are answered or not.

    `client_ms` counts from when a call was due: a site that stalls cannot
    hide it by being asked less.
    """
    total = per_second * seconds
    began = time.perf_counter() + 0.1
    lock = threading.Lock()
    taken = iter(range(total))
    answers: list[Answer] = []

    def call() -> None:
        with Caller(target) as caller:
            while True:
                with lock:
                    number = next(taken, None)
                if number is None:
                    return
                due = began + number / per_second
                time.sleep(max(0.0, due - time.perf_counter()))
                answer = caller.send(target.bodies[number % len(target.bodies)])
                late = (time.perf_counter() - due) * 1000
                answers.append(Answer(answer.status, answer.body, late, answer.server_ms))

    run_together([call] * clients)
    failed = sum(answer.status >= 400 for answer in answers)
    if failed or len(answers) < total:
        raise LoadFailed(f"{total - len(answers) + failed} of {total} calls failed")
    return answers


def run_together(calls: Iterable[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
