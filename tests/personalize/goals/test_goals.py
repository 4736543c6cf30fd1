"""What a goal measures of a visit or a time, and what goals are refused: pure."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalize.goals import document, folding, measuring
from personalize.goals.document import GoalInvalid
from personalize.goals.folding import Exposure
from personalize.goals.types import MICROS, MOST, Amount, Goal, Happening, Purchase, Visit
from tests.thoroughness import searches

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
A, B = uuid.UUID(int=10), uuid.UUID(int=11)


def goal(kind: str, **parts: Any) -> Goal:
    return document.read({"ref": str(uuid.uuid4()), "name": "Goal", "kind": kind, **parts})


def did(type: str, minute: float = 0, **data: Any) -> Happening:
    return Happening(type, NOON + timedelta(minutes=minute), data)


def ordered(minute: float, amount: float | None) -> Purchase:
    at = NOON + timedelta(minutes=minute)
    return Purchase(at, None if amount is None else int(amount * MICROS))


def amount_of(
    goal: Goal,
    *happened: Happening,
    bought: tuple[Purchase, ...] = (),
    visit: Visit = Visit(),  # noqa: B008
) -> Amount:
    return measuring.measure(goal, happened, bought, visit).get(goal.ref, Amount())


THANKS = {"type": "VIEW", "where": [{"field": "page", "operator": "contains", "value": "thanks"}]}


def test_page_view__one_page_of_many__counts_once_and_says_when() -> None:
    thanks = goal("PAGE_VIEW", event=THANKS)

    found = amount_of(
        thanks,
        did("VIEW", 1, page="/cart"),
        did("VIEW", 9, page="/thanks"),
        did("VIEW", 5, page="/thanks"),
        did("ADD", 2, page="/thanks"),
    )

    assert found == Amount(MICROS, None, NOON + timedelta(minutes=5))
    assert amount_of(thanks, did("VIEW", page="/cart")) == Amount()


def test_count_and_sum__several_events__add_up_to_millionths() -> None:
    searches_made = goal("COUNT", event={"type": "SEARCH"})
    spent = goal("SUM", event={"type": "DONATE"}, value="gift.amount")
    gifts = [did("DONATE", gift={"amount": 1.5}), did("DONATE", gift={"amount": "2.25"})]

    assert amount_of(searches_made, did("SEARCH"), did("SEARCH"), did("VIEW")).y == 2 * MICROS
    assert amount_of(spent, *gifts, did("DONATE", gift={}), did("DONATE")).y == 3_750_000


def test_mean_and_ratio__divide_by_what_they_bring() -> None:
    rated = goal("MEAN", event={"type": "RATE"}, value="stars")
    opened = goal("RATIO", event={"type": "OPEN"}, base={"type": "SENT"})

    assert amount_of(rated, did("RATE", stars=5), did("RATE", stars=2), did("RATE")) == Amount(
        7 * MICROS, 2 * MICROS, NOON
    )
    assert amount_of(opened, did("SENT"), did("SENT"), did("OPEN")).over == 2 * MICROS


@pytest.mark.parametrize("odd", [1e305, "1e305", -1e305, pytest.param(10**400, id="long")])
def test_amount__that_is_out_of_all_bounds__counts_as_much_as_may_be(odd: object) -> None:
    spent = goal("SUM", event={"type": "DONATE"}, value="gift")

    found = amount_of(spent, did("DONATE", gift=odd), did("DONATE", gift=0.5))

    assert abs(found.y) == pytest.approx(MOST)
    assert abs(found.y) <= MOST


def test_orders__in_another_currency__convert_but_bring_no_revenue() -> None:
    orders = (ordered(1, 20), ordered(2, None), ordered(3, 10))

    assert amount_of(goal("CONVERSION"), bought=orders).y == MICROS
    assert amount_of(goal("REVENUE"), bought=orders).y == 30 * MICROS
    value = amount_of(goal("AVERAGE_ORDER_VALUE"), bought=orders)
    assert (value.y, value.over) == (30 * MICROS, 2 * MICROS)


def test_bounce__needs_exactly_one_view_at_close() -> None:
    bounce = goal("BOUNCE")

    assert amount_of(bounce, visit=Visit(1, is_over=False)).over is None
    assert amount_of(bounce, visit=Visit(1, is_over=True)) == Amount(MICROS, MICROS)
    assert amount_of(bounce, visit=Visit(2, is_over=True)) == Amount(0, MICROS)


def test_funnel__steps_out_of_order__stop_where_the_order_breaks() -> None:
    steps = [{"type": "VIEW"}, {"type": "ADD"}, {"type": "CHECKOUT"}]
    funnel = goal("FUNNEL", steps=steps)

    whole = measuring.measure(
        funnel, [did("CHECKOUT", 3), did("ADD", 2), did("VIEW", 1)], [], Visit()
    )
    broken = measuring.measure(
        funnel, [did("CHECKOUT", 1), did("ADD", 2), did("VIEW", 1)], [], Visit()
    )

    assert list(whole) == measuring.measures_of(funnel)
    assert list(broken) == measuring.measures_of(funnel)[:2]


def test_funnel__one_event_for_two_like_steps__is_one_step() -> None:
    twice = goal("FUNNEL", steps=[{"type": "VIEW"}, {"type": "VIEW"}])

    assert not amount_of(twice, did("VIEW")).y
    assert amount_of(twice, did("VIEW"), did("VIEW")).y == MICROS


events = st.builds(
    did, st.sampled_from(["VIEW", "ADD", "SEARCH"]), st.integers(0, 30), page=st.just("/thanks")
)
KINDS = [
    goal("PAGE_VIEW", event=THANKS),
    goal("COUNT", event={"type": "ADD"}),
    goal("RATIO", event={"type": "ADD"}, base={"type": "SEARCH"}),
    goal("FUNNEL", steps=[{"type": "SEARCH"}, {"type": "VIEW"}, {"type": "ADD"}]),
]


@settings(max_examples=searches(300))
@given(st.lists(events, max_size=8), st.randoms(use_true_random=False))
def test_measuring__whatever_order_events_come_in__gives_the_same(
    happened: list[Happening], chance: random.Random
) -> None:
    shuffled = chance.sample(happened, len(happened))
    for each in KINDS:
        assert measuring.measure(each, happened, [], Visit()) == measuring.measure(
            each, shuffled, [], Visit()
        )


# --- one person's total ------------------------------------------------------------------


def seen(variant: uuid.UUID, minute: float, **more: Any) -> Exposure:
    return Exposure(variant=variant, phase=1, at=NOON + timedelta(minutes=minute), **more)


def test_fold__two_visits_of_one_variant__add_up_by_the_goals_unit() -> None:
    of_visits = goal("EVENT", event={"type": "ADD"})
    of_guests = goal("EVENT", event={"type": "ADD"}, unit="GUEST")
    amounts = {of_visits.ref: Amount(MICROS), of_guests.ref: Amount(MICROS)}
    exposures = [seen(A, 0, amounts=amounts), seen(A, 90, amounts=amounts), seen(A, 200)]

    standing = folding.fold(
        exposures, [of_visits, of_guests], day=NOON.date(), in_time={}, before={}, known={}
    )

    assert (standing.variant, standing.visits, standing.is_mixed) == (A, 3, False)
    assert standing.totals[of_visits.ref].y == 2 * MICROS
    assert standing.totals[of_guests.ref].y == MICROS
    assert folding.divided_by(of_visits, standing.totals[of_visits.ref], 3) == 3 * MICROS


def test_fold__two_variants__counts_for_the_first_and_is_set_aside() -> None:
    standing = folding.fold(
        [seen(B, 5), seen(A, 4)], [], day=NOON.date(), in_time={}, before={}, known={}
    )

    assert standing.variant == A
    assert standing.is_mixed


def test_fold__a_cap__bounds_what_one_guest_counts_for() -> None:
    revenue = goal("REVENUE", cap={"value": 100})
    exposures = [seen(A, 0, amounts={revenue.ref: Amount(99 * MICROS)})] * 2

    standing = folding.fold(exposures, [revenue], day=NOON.date(), in_time={}, before={}, known={})

    assert standing.totals[revenue.ref].y == 100 * MICROS


def test_fold__visits_that_are_out_of_all_bounds__can_be_kept() -> None:
    ratio = goal("RATIO", event={"type": "OPEN"}, base={"type": "SENT"}, baseValue="number")
    visit = seen(A, 0, amounts={ratio.ref: Amount(MOST, MOST)})

    total = folding.fold(
        [visit] * 3, [ratio], day=NOON.date(), in_time={}, before={}, known={}
    ).totals[ratio.ref]

    assert (total.y, total.d) == (MOST, MOST)


# --- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"kind": "EVENT"}, "has to say which event"),
        ({"kind": "SUM", "event": {"type": "X"}}, "which property of the event is added up"),
        ({"kind": "REVENUE", "event": {"type": "X"}}, "does not use event"),
        ({"kind": "PAGE_VIEW", "event": {"type": "ADD"}}, "its event is VIEW"),
        ({"kind": "FUNNEL", "steps": [{"type": "X"}]}, "2 to 10 steps"),
        ({"kind": "BOUNCE", "unit": "GUEST"}, "a bounce is of a visit"),
        ({"kind": "RETENTION", "event": {"type": "VIEW"}, "days": [7, 1]}, "days go up"),
        ({"kind": "EVENT", "event": {"type": "X"}, "windowHours": 0}, "windowHours is more than"),
        ({"kind": "REVENUE", "cap": {}}, "either a value or a percentile"),
        ({"kind": "CONVERSION", "cap": {"value": 3}}, "can be capped"),
        ({"kind": "REVENUE", "quantile": 0.5}, "count it per guest"),
        ({"kind": "EVENT", "event": {"type": "X", "where": [{"field": "a"}]}}, "operator"),
        ({"kind": "HOPE"}, "Invalid enum value"),
        ({"kind": "EVENT", "event": {"type": "X"}, "hope": 1}, "unknown field"),
    ],
)
def test_goal__that_cannot_be_measured_by__is_refused_with_what_to_do(
    parts: dict[str, Any], said: str
) -> None:
    with pytest.raises(GoalInvalid, match=said):
        goal(parts.pop("kind"), **parts)


def test_goals__that_only_are_called_otherwise__measure_the_same() -> None:
    before = {"kind": "REVENUE", "direction": "INCREASE", "cap": {"percentile": 99}}

    assert document.measures_alike(before, {"kind": "REVENUE", "isGuardrail": True})
    assert not document.measures_alike(before, {**before, "cap": {"value": 9}})
    assert not document.measures_alike(before, {**before, "unit": "GUEST"})
