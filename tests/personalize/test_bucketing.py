from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalize.bucketing import Split, Traffic, allocated, assign, bucket

CASES = json.loads((Path(__file__).parents[1] / "cases" / "bucketing.json").read_text("utf-8"))
REFS = [f"guest-{number}" for number in range(20_000)]


def halves(**changes: Any) -> Traffic:
    splits = (Split(variant_ref="a"), Split(variant_ref="b"))
    return Traffic(**{"salt": "flow-1", "splits": splits, **changes})


@pytest.mark.parametrize("case", CASES["buckets"], ids=lambda case: f"{case['salt']}-{case['ref']}")
def test_bucket__golden_cases__never_change(case: dict[str, Any]) -> None:
    assert bucket(case["salt"], case["ref"]) == case["bucket"]


@pytest.mark.parametrize(
    "case", CASES["assignments"], ids=lambda case: f"{case['name']}-{case['bucketRef']}"
)
def test_assign__golden_cases__never_change(case: dict[str, Any]) -> None:
    splits = [
        Split(variant_ref=split["variantRef"], weight=split["weight"]) for split in case["splits"]
    ]
    traffic = Traffic(salt=case["salt"], percent=case["percent"], splits=splits)

    answer = assign(traffic=traffic, bucket_ref=case["bucketRef"])

    assert case["expected"] == {
        "allocated": answer.allocated,
        "variantRef": answer.variant_ref,
        "reason": answer.reason,
    }


@given(st.text(), st.text())
def test_bucket__any_text__is_at_least_zero_and_below_one(salt: str, ref: str) -> None:
    assert 0 <= bucket(salt, ref) < 1


def test_bucket__the_largest_hash__is_below_one() -> None:
    assert float((2**64 - 1) >> 11) / float(1 << 53) < 1.0


def test_bucket__many_refs__fall_evenly() -> None:
    counts = Counter(int(bucket("flow-1:split", ref) * 100) for ref in REFS)

    expected = len(REFS) / 100
    chi_square = sum((counts[cell] - expected) ** 2 / expected for cell in range(100))

    # 99 degrees of freedom: 0.1 % of fair hashes go above 148, 0.1 % below 60.
    assert 60 < chi_square < 148


def test_bucket__two_salts__are_independent() -> None:
    same = sum((bucket("a", ref) < 0.5) == (bucket("b", ref) < 0.5) for ref in REFS)

    # Three standard deviations of a fair coin thrown 20,000 times.
    assert abs(same - len(REFS) / 2) < 3 * math.sqrt(len(REFS)) / 2


@pytest.mark.parametrize(("percent", "expected"), [(0, 0), (100, len(REFS))])
def test_allocated__nobody_or_everybody__is_exact(percent: float, expected: int) -> None:
    assert sum(allocated("flow-1", ref, percent) for ref in REFS) == expected


def test_assign__widened_allocation__moves_nobody() -> None:
    before = {ref: assign(traffic=halves(percent=20), bucket_ref=ref) for ref in REFS}
    after = {ref: assign(traffic=halves(percent=60), bucket_ref=ref) for ref in REFS}

    let_in = [ref for ref in REFS if before[ref].allocated]
    assert 0.19 < len(let_in) / len(REFS) < 0.21
    assert all(after[ref].variant_ref == before[ref].variant_ref for ref in let_in)


def test_assign__a_narrow_allocation__still_splits_evenly() -> None:
    answers = [assign(traffic=halves(percent=10), bucket_ref=ref).variant_ref for ref in REFS]

    counts = Counter(answers)
    assert 0.45 < counts["a"] / (counts["a"] + counts["b"]) < 0.55


def test_assign__weights__are_relative_to_each_other() -> None:
    tens = halves(splits=[Split(variant_ref="a", weight=10), Split(variant_ref="b", weight=30)])
    parts = halves(splits=[Split(variant_ref="a", weight=1), Split(variant_ref="b", weight=3)])

    for ref in REFS[:1000]:
        assert assign(traffic=tens, bucket_ref=ref) == assign(traffic=parts, bucket_ref=ref)


@given(
    st.lists(st.floats(min_value=0, max_value=1000, allow_nan=False), min_size=2, max_size=8),
    st.text(max_size=20),
)
def test_assign__any_weights__gives_a_variant_that_has_a_share(
    weights: list[float], ref: str
) -> None:
    splits = [Split(variant_ref=str(n), weight=weight) for n, weight in enumerate(weights)]

    answer = assign(traffic=halves(splits=splits), bucket_ref=ref)

    if any(weights):
        assert answer.variant_ref is not None
        assert weights[int(answer.variant_ref)] > 0
    else:
        assert answer.reason == "NO_VARIANT"


@pytest.mark.parametrize("percent", [-1, 101, math.nan, math.inf])
def test_traffic__an_impossible_percent__is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="percent"):
        halves(percent=percent)


@pytest.mark.parametrize("weight", [-1, math.nan, math.inf])
def test_traffic__an_impossible_weight__is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        halves(splits=[Split(variant_ref="a", weight=weight)])
