from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalize.bucketing import (
    BucketRange,
    GroupPart,
    SiteHoldout,
    Split,
    Traffic,
    allocated,
    assign,
    bucket,
    universal_bucket,
)

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


@pytest.mark.parametrize("case", CASES["universal"], ids=lambda case: case["ref"])
def test_universal_bucket__golden_cases__never_change(case: dict[str, Any]) -> None:
    assert universal_bucket(case["ref"]) == case["bucket"]


@pytest.mark.parametrize(
    "case", CASES["traffic"]["cases"], ids=lambda case: f"{case['name']}-{case['bucketRef']}"
)
def test_assign__golden_cases_of_buckets_groups_and_holdouts__never_change(
    case: dict[str, Any],
) -> None:
    flow = CASES["traffic"]
    buckets, part = case.get("universal"), case.get("group")
    traffic = Traffic(
        salt=flow["salt"],
        splits=[
            Split(variant_ref=split["variantRef"], weight=split["weight"])
            for split in flow["splits"]
        ],
        universal=BucketRange(low=buckets[0], high=buckets[1]) if buckets else None,
        group=GroupPart(salt=flow["group"], name="A", low=part[0], high=part[1]) if part else None,
        holdout=case.get("holdout", 0),
    )

    answer = assign(traffic=traffic, bucket_ref=case["bucketRef"])

    assert case["expected"] == {
        "reason": answer.reason,
        "variantRef": answer.variant_ref,
        **answer.numbers,
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


# --- Unique: each flow by itself ----------------------------------------------------------------


GUESTS = REFS[:10_000]


def test_assign__a_quarter_of_ten_thousand_guests__is_let_in_and_keeps_its_variant() -> None:
    first = [assign(traffic=halves(percent=25), bucket_ref=ref) for ref in GUESTS]
    again = [assign(traffic=halves(percent=25), bucket_ref=ref) for ref in GUESTS]

    assert abs(sum(answer.allocated for answer in first) / len(GUESTS) - 0.25) < 0.015
    assert first == again


@pytest.mark.parametrize("holdout", [0, 10])
def test_assign__widened_allocation__moves_nobody_with_and_without_holdout(holdout: float) -> None:
    narrow, wide = halves(percent=20, holdout=holdout), halves(percent=60, holdout=holdout)
    before = {ref: assign(traffic=narrow, bucket_ref=ref) for ref in GUESTS}

    moved = [
        ref
        for ref, answer in before.items()
        if answer.allocated and assign(traffic=wide, bucket_ref=ref) != answer
    ]

    assert moved == []


def test_holdout__of_a_flow__is_independent_of_allocation_and_split() -> None:
    answers = [assign(traffic=halves(percent=50, holdout=20), bucket_ref=ref) for ref in REFS]
    everybody = [assign(traffic=halves(), bucket_ref=ref) for ref in REFS]

    let_in = [answer for answer in answers if answer.allocated]
    held = [answer.reason == "HELD_OUT" for answer in let_in]
    shown = Counter(answer.variant_ref for answer in answers if answer.variant_ref)
    # The variants that those who are held out would have had.
    missed = Counter(
        would.variant_ref
        for answer, would in zip(answers, everybody, strict=True)
        if answer.reason == "HELD_OUT"
    )
    assert abs(sum(held) / len(let_in) - 0.2) < 0.015
    for counts in (shown, missed):
        assert abs(counts["a"] / sum(counts.values()) - 0.5) < 0.025
    assert all(answer.variant_ref is None for answer in let_in if answer.reason == "HELD_OUT")


def test_holdout__raised__holds_out_more_and_moves_nobody_else() -> None:
    some, more = halves(holdout=5), halves(holdout=30)

    for ref in GUESTS[:2000]:
        before, after = (assign(traffic=traffic, bucket_ref=ref) for traffic in (some, more))
        assert after.reason == "HELD_OUT" or after.variant_ref == before.variant_ref
        assert before.reason != "HELD_OUT" or after.reason == "HELD_OUT"


def test_holdout__raised__takes_nothing_from_who_has_seen_a_variant_with_a_share() -> None:
    traffic = halves(holdout=30)
    ranges = halves(holdout=30, universal=BucketRange(low=1, high=120))

    for each in (traffic, ranges):
        for ref in GUESTS[:1000]:
            new = assign(traffic=each, bucket_ref=ref)
            seen = assign(traffic=each, bucket_ref=ref, kept={each.salt: "b"})
            gone = assign(traffic=each, bucket_ref=ref, kept={each.salt: "gone"})
            assert (seen.reason, seen.variant_ref) == ("ASSIGNED", "b")
            assert seen.kept == (None if new.variant_ref == "b" else "b")
            assert gone == new


# --- Universal: one bucket for all flows --------------------------------------------------------


def in_buckets(low: int, high: int, *weights: float, salt: str = "flow-1") -> Traffic:
    splits = [Split(variant_ref=str(at), weight=weight) for at, weight in enumerate(weights)]
    return Traffic(salt=salt, splits=splits, universal=BucketRange(low=low, high=high))


def test_universal_bucket__is_the_same_in_every_flow_and_one_of_120() -> None:
    for ref in GUESTS[:500]:
        numbers = {
            assign(traffic=in_buckets(1, 120, 1, 1, salt=salt), bucket_ref=ref).universal_bucket
            for salt in ("flow-1", "flow-2", "flow-3")
        }
        assert numbers == {universal_bucket(ref)}
    counts = Counter(universal_bucket(ref) for ref in REFS)
    assert set(counts) == set(range(1, 121))
    expected = len(REFS) / 120
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    # 119 degrees of freedom: 0.1 % of fair hashes go above 173, 0.1 % below 76.
    assert 76 < chi_square < 173


def test_universal__disjoint_ranges__never_have_a_guest_in_common() -> None:
    first, second = in_buckets(1, 60, 1, 1, salt="a"), in_buckets(61, 120, 1, 1, salt="b")

    entered = [
        [assign(traffic=traffic, bucket_ref=ref).allocated for traffic in (first, second)]
        for ref in GUESTS
    ]

    # Together they are everybody: each guest is in exactly one.
    assert all(sum(each) == 1 for each in entered)


@pytest.mark.parametrize("parts", [2, 3, 4, 5, 6, 8])
def test_ranges__of_equal_weights__are_exactly_equal(parts: int) -> None:
    ranges = in_buckets(1, 120, *[1.0] * parts).ranges.values()

    assert [each.size for each in ranges] == [120 // parts] * parts


@pytest.mark.parametrize(
    ("low", "high", "weights", "sizes"),
    [
        (1, 7, [1, 1], [4, 3]),
        (1, 10, [1, 1, 1], [4, 3, 3]),
        (1, 10, [50, 30, 20], [5, 3, 2]),
        (11, 20, [0.1, 0.1, 0.1], [4, 3, 3]),
        (1, 120, [80, 20], [96, 24]),
        (1, 120, [33.3, 33.3, 33.4], [40, 40, 40]),
        (5, 5, [1, 1], [1]),
        (1, 4, [0, 1, 3], [1, 3]),
    ],
)
def test_ranges__of_any_weights__give_what_is_left_to_the_largest_remainders(
    low: int, high: int, weights: list[float], sizes: list[int]
) -> None:
    ranges = in_buckets(low, high, *weights).ranges.values()

    assert [each.size for each in ranges] == sizes


@given(
    st.tuples(st.integers(1, 120), st.integers(1, 120)).map(sorted),
    st.lists(st.floats(0, 1000), min_size=2, max_size=8).filter(any),
)
def test_ranges__of_any_range_and_weights__fill_it_without_gaps(
    ends: list[int], weights: list[float]
) -> None:
    traffic = in_buckets(ends[0], ends[1], *weights)

    numbers = [n for each in traffic.ranges.values() for n in range(each.low, each.high + 1)]

    assert numbers == list(range(ends[0], ends[1] + 1))
    total = sum(weights)
    for ref, each in traffic.ranges.items():
        exact = (ends[1] - ends[0] + 1) * weights[int(ref)] / total
        assert abs(each.size - exact) < 1.000001


# --- Exclusion groups ---------------------------------------------------------------------------


def in_group(low: float, high: float, *, salt: str, **changes: Any) -> Traffic:
    part = GroupPart(salt="group", name="Checkout", low=low, high=high)
    return halves(salt=salt, group=part, **changes)


def test_group__of_parts_side_by_side__gives_each_guest_to_one_flow_at_most() -> None:
    flows = [in_group(low, low + 25, salt=f"flow-{low}") for low in (0, 25, 50, 75)]

    entered = [[assign(traffic=flow, bucket_ref=ref).allocated for flow in flows] for ref in GUESTS]

    assert all(sum(each) == 1 for each in entered)
    for at in range(4):
        assert abs(sum(each[at] for each in entered) / len(GUESTS) - 0.25) < 0.015


def test_group__allocation_and_split__apply_inside_its_part() -> None:
    answers = [
        assign(traffic=in_group(0, 50, salt="flow-1", percent=40), bucket_ref=ref) for ref in REFS
    ]

    shown = Counter(answer.variant_ref for answer in answers if answer.variant_ref)
    assert abs(sum(shown.values()) / len(REFS) - 0.2) < 0.01
    assert abs(shown["a"] / sum(shown.values()) - 0.5) < 0.025
    assert {answer.reason for answer in answers} == {"ASSIGNED", "NOT_ALLOCATED"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: BucketRange(low=0, high=5),
        lambda: BucketRange(low=5, high=121),
        lambda: BucketRange(low=6, high=5),
        lambda: GroupPart(salt="g", name="G", low=50, high=50),
        lambda: GroupPart(salt="g", name="G", low=0, high=101),
        lambda: halves(holdout=101),
    ],
)
def test_traffic__an_impossible_part__is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"percent|buckets"):
        make()


def test_site_holdout__of_a_client__holds_its_share_of_guests() -> None:
    holdout = SiteHoldout(salt="holdout", name="All", percent=10)

    assert abs(sum(holdout.holds(ref) for ref in GUESTS) / len(GUESTS) - 0.1) < 0.01
