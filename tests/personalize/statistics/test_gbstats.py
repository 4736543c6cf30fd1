"""
The same cases, answered by GrowthBook's gbstats 0.8.0 and by us.

We differ where it gives up: a variant without any variance beside one that has some; and in a
lift under CUPED, which it divides by the unadjusted mean.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personalize.statistics import (
    MICRO,
    Contrast,
    Direction,
    Effect,
    Prior,
    Reason,
    Sample,
    compare,
    fixed,
    mismatch,
    posterior,
    sequence,
)
from tests.packaging import hosts
from tests.personalize.statistics.samples import converted, measured

pytestmark = pytest.mark.slow

Case = dict[str, Any]
Pair = tuple[Sample, Sample]

PROGRAM = Path(__file__).with_name("gbstats_program.py")
PYTHON_MISSING = "gbstats 0.8.0 is compared on Python 3.11, of which there is no python3.11 here."

SETTINGS: list[Case] = [
    {"alpha": 0.05, "tuning": 5000, "prior": None, "inverse": False},
    {"alpha": 0.01, "tuning": 500, "prior": {"mean": 0.0, "deviation": 0.3}, "inverse": True},
    {"alpha": 0.2, "tuning": 80_000, "prior": {"mean": 0.05, "deviation": 0.1}, "inverse": False},
]


def means() -> list[Pair]:
    draw = np.random.default_rng(20)
    drawn = [
        (
            measured(draw.lognormal(1, spread, size=n).round(2)),
            measured(draw.lognormal(1.1, spread, size=m).round(2)),
        )
        for n, m, spread in [(2, 2, 1), (3, 40, 1), (500, 400, 2), (5000, 20, 0.5)]
    ]
    return [
        *drawn,
        (converted(100, 3), converted(100, 6)),
        (converted(5000, 100), converted(4900, 140)),
        (converted(10**8, 2 * 10**6), converted(10**8, 2 * 10**6 + 4000)),
        (Sample.of([5, 6, 7]), Sample.of([-5, 6, -7.5])),
        (Sample.of([0, 0, 0]), Sample.of([1, 2, 3])),
        (Sample.of([1, 1, 1]), Sample.of([1, 2, 3])),
        (Sample.of([1]), Sample.of([1, 2, 3])),
        (Sample.of([1, 2]), Sample.of([])),
    ]


def ratios() -> list[Pair]:
    draw = np.random.default_rng(21)

    def visits(n: int, rate: float) -> Sample:
        ds = draw.geometric(0.3, size=n).astype(np.float64)
        return measured(draw.binomial(ds.astype(int), rate).astype(np.float64), ds)

    sizes = [(5, 5), (50, 70), (400, 500), (1000, 30), (3000, 3000)]
    drawn = [(visits(n, 0.3), visits(m, rate)) for n, m in sizes for rate in (0.3, 0.36)]
    return [*drawn, (Sample.of([1, 2], [0, 0]), Sample.of([1, 2], [2, 1]))]


def foretold() -> list[Pair]:
    draw = np.random.default_rng(22)

    def guests(n: int, noise: float, lift: float) -> Sample:
        xs = draw.gamma(2, 5, size=n).round(2)
        return measured((xs * (1 + lift) + draw.normal(3, noise, size=n)).round(2), None, xs)

    sizes = [(10, 10), (200, 150), (2000, 2000), (500, 4000)]
    drawn = [
        (guests(n, noise, 0.0), guests(m, noise, lift))
        for n, m in sizes
        for noise, lift in [(1, 0.0), (10, 0.1), (40, 0.02)]
    ]
    return [*drawn, (Sample.of([1, 2, 3]), Sample.of([2, 3, 5]))]


def sums(sample: Sample) -> Case:
    second = {name: getattr(sample, name) / MICRO**2 for name in ("yy", "dd", "yd", "xx", "xy")}
    first = {name: getattr(sample, name) / MICRO for name in ("y", "d", "x")}
    return {"n": sample.n, **first, **second}


def cases(kind: str, pairs: list[Pair]) -> list[Case]:
    return [
        {
            "kind": kind,
            "control": sums(pair[0]),
            "treatment": sums(pair[1]),
            "relative": relative,
            **settings,
        }
        for pair in pairs
        for relative in (False, True)
        for settings in SETTINGS
    ]


@pytest.fixture(scope="session")
def gbstats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has it, in an environment of its own. Needs a package index."""
    python = hosts.find_python("python3.11")
    if python is None:
        pytest.skip(PYTHON_MISSING)
    folder = tmp_path_factory.mktemp("gbstats") / "venv"
    try:
        return hosts.install(folder, "gbstats==0.8.0", python=python, also=["pandas<2"])
    except hosts.HostFailed as failed:
        pytest.skip(f"gbstats 0.8.0 cannot be installed here: {failed}")


def ask(python: Path, asked: list[Case]) -> list[Case]:
    done = subprocess.run(
        [python, PROGRAM], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers: list[Case] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("kind", ["mean", "ratio", "cuped"])
def test_effects__of_whatever_shape__are_those_of_gbstats(kind: str, gbstats: Path) -> None:
    pairs = {"mean": means, "ratio": ratios, "cuped": foretold}[kind]()
    asked = cases(kind, pairs)
    assert len(asked) >= 60

    answers = ask(gbstats, asked)

    compared = 0
    for at, (case, answer) in enumerate(zip(asked, answers, strict=True)):
        control, treatment = pairs[at // (2 * len(SETTINGS))]
        contrast = compare(control=control, treatment=treatment, uses_cuped=kind == "cuped")
        if answer["error"]:
            agree_that_nothing_can_be_said(contrast, control, treatment, case["relative"])
        elif case["relative"] and kind == "cuped" and contrast.saved:
            assert contrast.lift.estimate == pytest.approx(answer["estimate"], rel=0.15, abs=0.02)
        else:
            compared += 1
            agree(contrast, case, answer)
    assert compared >= 30


def agree_that_nothing_can_be_said(
    contrast: Contrast, control: Sample, treatment: Sample, relative: bool
) -> None:
    reason = (contrast.lift if relative else contrast.difference).reason
    is_flat = not control.variance or not treatment.variance
    assert reason is not None or is_flat or control.mean == 0
    if relative and control.mean == 0:
        assert reason is Reason.CONTROL_IS_ZERO


def agree(contrast: Contrast, case: Case, answer: Case) -> None:
    effect = contrast.lift if case["relative"] else contrast.difference
    # Lifts have Fieller's interval of us; theirs is that of the same estimate and error.
    plain = Effect(n=effect.n, estimate=effect.estimate, error=effect.error, freedom=effect.freedom)
    assert plain.estimate == close(answer["estimate"])
    assert plain.error == close(answer["deviation"])
    once = fixed(plain, alpha=case["alpha"])
    assert [once.low, once.high, once.p_value] == close(answer["fixed"])
    always = sequence(plain, alpha=case["alpha"], tuning=case["tuning"])
    assert [always.low, always.high, always.p_value] == close(answer["sequential"])
    believed = posterior(
        plain,
        alpha=case["alpha"],
        prior=Prior(**case["prior"]) if case["prior"] else None,
        direction=Direction.DECREASE if case["inverse"] else Direction.INCREASE,
        scale=1.0 if case["relative"] else contrast.control or 0.0,
    )
    assert believed.chance_to_win == close(answer["chance"])
    assert [believed.low, believed.high] == close(answer["credible"])
    assert [believed.control_loss, believed.loss] == close(answer["risk"])


def close(expected: Any) -> Any:
    return pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_mismatch__at_one_look__is_gbstats_check(gbstats: Path) -> None:
    draw = np.random.default_rng(23)
    asked: list[Case] = [
        {
            "kind": "srm",
            "weights": weights,
            "counts": draw.multinomial(n, np.array(weights) / sum(weights)).tolist(),
        }
        for weights in ([1, 1], [9, 1], [0.5, 0.3, 0.2], [1] * 8)
        for n in (0, 1, 30, 1000, 10**5, 10**8, 10**9, 77)
    ]
    asked += [{"kind": "srm", "weights": [1, 1], "counts": counts} for counts in ([9, 1], [0, 80])]

    for case, answer in zip(asked, ask(gbstats, asked), strict=True):
        found = mismatch(weights=case["weights"], counts=case["counts"])
        assert found.p_value == pytest.approx(answer["p_value"], rel=1e-6, abs=1e-12)
