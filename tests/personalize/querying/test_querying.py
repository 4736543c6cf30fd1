import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from django.db import connections
from hypothesis import given
from hypothesis import strategies as st

from personalize import conditions, querying
from personalize.querying import bounds, folding
from tests.conftest import Database
from tests.factories import GuestFactory
from tracking import clients
from tracking.models import Client, Event, Guest
from tracking.types import ClientConfig

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Tree = dict[str, Any]


def leaf(field: str, operator: str, value: object = None) -> Tree:
    return {"field": field, "operator": operator, "value": value}


def config(shop: Client) -> ClientConfig:
    found = clients.by_id(shop.pk)
    assert found is not None
    return found


def narrowed(shop: Client, tree: Tree) -> querying.Narrowed:
    return querying.matching(conditions.compile(tree), config(shop), now=NOW)


def names(shop: Client, tree: Tree) -> list[str]:
    ids = list(querying.guest_ids(narrowed(shop, tree)))
    assert querying.count(narrowed(shop, tree)) == len(ids)
    return [Guest.objects.get(pk=pk).first_name for pk in ids]


def event(guest: Guest, data: object, *, days: float = 1, type: str = "ADD") -> None:
    at = NOW - timedelta(days=days)
    Event.objects.create(
        ref=f"00000000-0000-7000-8000-{Event.objects.count():012}",
        client=guest.client,
        type=type,
        dialect="test",
        message_id=str(Event.objects.count()),
        occurred_at=at,
        received_at=at,
        recorded_at=at,
        guest=guest,
        channel="WEB",
        data=data,
    )


# Who is found


def test_guest_ids__everybody__leaves_out_bots_the_merged_and_other_clients(
    database: Database, shop: Client
) -> None:
    ann = GuestFactory.create(client=shop, first_name="Ann")
    GuestFactory.create(client=shop, first_name="Crawler", type="BOT")
    GuestFactory.create(client=shop, first_name="Merged", type="RETIRED", root=ann)
    GuestFactory.create(first_name="Stranger", client__key="other", client__token="other")

    assert names(shop, {}) == ["Ann"]


def test_guest_ids__what_a_merged_guest_did__counts_for_the_survivor(
    database: Database, shop: Client
) -> None:
    ann = GuestFactory.create(client=shop, first_name="Ann")
    merged = GuestFactory.create(client=shop, type="RETIRED", root=ann)
    event(merged, {"price": 5})
    event(ann, {"price": 7})

    tree = {"event": "ADD", "within": "ever", "measure": "sum", "of": "price"}
    assert names(shop, tree | {"operator": "is", "value": 12}) == ["Ann"]
    assert names(shop, {"event": "ADD", "within": {"days": 1}}) == []


@pytest.mark.parametrize(
    ("operator", "value", "found"),
    [
        ("is", "strasse", ["Straße", "STRASSE"]),
        ("is_exactly", "Straße", ["Straße"]),
        ("starts_with", "stras", ["Straße", "STRASSE"]),
        ("ends_with", "SE", ["Straße", "STRASSE"]),
        ("does_not_contain", "ß", ["Kelvin"]),
        ("is", "kelvin", ["Kelvin"]),
        ("matches_glob", "*RASS*", ["Straße", "STRASSE"]),
        ("matches_regex", "^.{6}$", ["Straße", "Kelvin"]),
        ("is_missing", None, [""]),
    ],
)
def test_guest_ids__text_beyond_ascii__is_compared_by_its_case_folding(
    database: Database, shop: Client, operator: str, value: str | None, found: list[str]
) -> None:
    for name in ("Straße", "STRASSE", "\u212aelvin", ""):
        GuestFactory.create(client=shop, first_name=name)

    answer = names(shop, leaf("guest.firstName", operator, value))

    assert [name.replace("\u212a", "K") for name in answer] == found


def test_count__text_that_sql_compares_for_itself__takes_one_query(
    on_postgres: Database, shop: Client, django_assert_max_num_queries: Any
) -> None:
    GuestFactory.create(client=shop, attributes={"color": "Bleu", "size": 5.5})
    GuestFactory.create(client=shop, attributes={"color": "blé", "size": "6"})
    tree = {
        "all": [
            leaf("guest.attributes.color", "is", "BLÉ"),
            {"not": leaf("guest.attributes.size", "less_than", 6)},
        ]
    }
    asked = narrowed(shop, tree)

    assert asked.is_exact
    assert asked.guests.count() == 1


def test_guest_ids__only_python_can_tell__asks_it_about_the_undecided_alone(
    database: Database, shop: Client
) -> None:
    for name in ("Ann", "Bob"):
        GuestFactory.create(client=shop, first_name=name, attributes={"plan": "gold"})
    GuestFactory.create(client=shop, first_name="Abe", attributes={"plan": "tin"})
    tree = {
        "all": [
            leaf("guest.firstName", "matches_regex", "^a"),
            leaf("guest.attributes.plan", "is", "gold"),
        ]
    }

    asked = narrowed(shop, tree)

    assert not asked.is_exact
    assert sorted(asked.guests.values_list("first_name", flat=True)) == ["Ann", "Bob"]
    assert names(shop, tree) == ["Ann"]


def test_matching__its_queryset__can_be_part_of_another_query(
    database: Database, shop: Client
) -> None:
    ann = GuestFactory.create(client=shop, first_name="Ann")
    event(ann, {"items": [{"sku": "x"}]})
    tree = {"event": "ADD", "within": "ever", "where": [leaf("items.*.sku", "is", "X")]}

    asked = narrowed(shop, {"all": [tree, leaf("guest.firstName", "is", "ann")]})

    assert asked.is_exact
    rows = Event.objects.filter(guest__in=asked.guests)
    assert rows.values_list("guest__first_name", flat=True).get() == "Ann"


@pytest.mark.parametrize("group", ["all", "any", "not"])
def test_matching__the_largest_trees__are_no_more_than_a_database_takes(
    database: Database, shop: Client, group: str
) -> None:
    GuestFactory.create(client=shop, first_name="Ann")
    deep = leaf("a.0.*.b.0.*.c.0", "excludes", "straße")
    tree: Tree = {
        "event": "ADD",
        "within": {"days": 30},
        "measure": "sum",
        "of": "a.0.b",
        "operator": "is_not",
        "value": 5.5,
        "where": [deep, deep],
    }
    for level in range(7):
        kind = group if level % 2 else "all"
        tree = {"not": tree} if kind == "not" else {kind: [tree, deep | _ATTRIBUTE]}

    assert names(shop, tree) in ([], ["Ann"])
    wide = {"any": [leaf("guest.firstName", "is_one_of", [f"n{n}" for n in range(999)])] * 100}
    assert names(shop, wide) == []


_ATTRIBUTE = {"field": "guest.attributes.a.0.*.b.0.*.c.0"}


# What is refused


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (leaf("page", "is", "/"), "Page (page) is of a call or a visit"),
        (leaf("session.views", "at_least", 3), "Session views (session.views)"),
        (leaf("time.hour", "at_least", 3), "Hour of the day (time.hour)"),
        ({"event": "ADD"}, "what is done in this session (ADD)"),
    ],
)
def test_matching__a_condition_about_a_call__is_refused_by_name(
    on_sqlite: Database, shop: Client, tree: Tree, words: str
) -> None:
    with pytest.raises(querying.NotOfAGuest) as caught:
        narrowed(shop, {"not": tree})

    assert words in str(caught.value)


# How far it has to look


@pytest.mark.parametrize(
    "tree",
    [
        {"event": "ADD", "within": "ever"},
        {"event": "ADD", "within": {"days": 3}, "at_most": 0},
        {"event": "ADD", "within": "ever", "where": [leaf("price", "at_least", 5)], "at_least": 2},
        {"event": "ADD", "within": "ever", "where": [leaf("name", "matches_regex", "a")]},
        {"saw": "hero", "within": "ever"},
        {
            "event": "ADD",
            "within": "ever",
            "measure": "last",
            "operator": "in_last_days",
            "value": 3,
        },
        leaf("orders.revenue", "at_least", 5),
        leaf("cart.products", "includes", "a"),
        leaf("guest.identifiers", "includes", "CRM"),
        leaf("guest.segments", "includes", "vip"),
        {"converted": "hero", "goal": "Won", "within": {"days": 3}},
    ],
    ids=str,
)
def test_matching__what_guests_did__is_found_by_the_index_of_guests(
    on_postgres: Database, shop: Client, tree: Tree
) -> None:
    with connections[on_postgres.alias].cursor() as cursor:
        # Tables of a few rows are always read as a whole, or joined in any way. What another test
        # has let the planner know of their size outlives that test's transaction.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "UPDATE pg_class SET reltuples = -1, relpages = 0 "
            "WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace"
        )
        plan = narrowed(shop, tree).guests.explain()

    steps = plan.split("->")
    read = [step for step in steps if any(f" on {table} " in step for table in _OF_GUESTS)]
    assert read
    assert all("guest_id = " in step for step in read), plan


_OF_GUESTS = (
    "tracking_event",
    "tracking_order",
    "tracking_cart",
    "tracking_identifier",
    "personalize_segmentmembership",
    "personalize_guestgoal",
)


# What is thought out beside


texts = st.text(
    alphabet=st.one_of(
        st.sampled_from("sSkKiIfFß\u1e9e\u017f\u212aİıﬁﬃσςΣéÉŉǰΐῼ日 "), st.characters(codec="utf-8")
    ),
    max_size=8,
)


@given(texts, texts.filter(bool))
def test_replacements__any_texts__compare_as_case_folding_does(text: str, operand: str) -> None:
    wanted = operand.casefold()
    spelled = "".join(char.lower() if char.isascii() else char for char in text)
    for source, target in folding.replacements([wanted]):
        spelled = spelled.replace(source, target)

    folded = text.casefold()
    assert (spelled == wanted) is (folded == wanted)
    assert (wanted in spelled) is (wanted in folded)
    assert spelled.startswith(wanted) is folded.startswith(wanted)
    assert spelled.endswith(wanted) is folded.endswith(wanted)


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**320), 10**320)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=20), numbers)
def test_bounds__any_decimal__is_at_least_a_number_as_its_float_is(
    stored: Decimal, operand: float
) -> None:
    _check_bounds(stored, operand)


@given(st.floats(-(2.0**60), 2.0**60))
def test_bounds__halfway_between_two_floats__is_read_as_the_even_one(first: float) -> None:
    after = math.nextafter(first, math.inf)
    with localcontext() as context:
        context.prec = 2000
        halfway = (Decimal(first) + Decimal(after)) / 2

        _check_bounds(halfway, after)
        _check_bounds(halfway, first)


def _check_bounds(stored: Decimal, operand: float) -> None:
    for begin, holds in (
        (bounds.at_least(operand), float(stored) >= operand),
        (bounds.more_than(operand), float(stored) > operand),
    ):
        if isinstance(begin, bool):
            assert begin is holds
            continue
        relation, decimal = begin
        first = Decimal(decimal)
        assert (stored >= first if relation == ">=" else stored > first) is holds
