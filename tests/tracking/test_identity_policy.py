"""Whose is each identifier? The policy, by the known scenarios and by random histories."""

import random
import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tracking.identity_policy import Newcomer, Resolution, in_rule_order, resolve
from tracking.types import BROWSER, IdentifierKey, StatedIdentifier, Statement

START = datetime(2026, 1, 1, tzinfo=UTC)
RULES = ("EMAIL", "CUSTOMER_ID")


def browser(name: str) -> IdentifierKey:
    return IdentifierKey(BROWSER, name)


def email(name: str) -> IdentifierKey:
    return IdentifierKey("EMAIL", name)


def number(name: str) -> IdentifierKey:
    return IdentifierKey("CUSTOMER_ID", name)


def said(
    minute: int, speaker: IdentifierKey | None, *keys: IdentifierKey, rules: tuple[str, ...] = RULES
) -> Statement:
    stated = in_rule_order([StatedIdentifier(key) for key in keys], rules)
    at = START + timedelta(minutes=minute)
    return Statement(uuid.UUID(int=minute), f"m{minute:06d}", at, speaker, stated)


def births(*names: str) -> dict[IdentifierKey, str]:
    """Every browser b1 was born with a guest of its own, called B1."""
    return {browser(name): name.upper() for name in names}


def ask(*statements: Statement, **changes: object) -> Resolution[str]:
    options: dict[str, object] = {"births": births("b1", "b2", "b3"), "rules": RULES} | changes
    return resolve(statements, **options)  # type: ignore[arg-type]


def test_visitor__states_an_unknown_identifier__becomes_a_customer_and_keeps_their_ref() -> None:
    answer = ask(said(1, browser("b1"), email("a")))

    assert answer.owner[email("a")] == "B1"
    assert answer.customers == {"B1"}
    assert answer.merges == []


def test_visitor__states_a_known_identifier__merges_into_that_customer() -> None:
    answer = ask(said(1, browser("b1"), email("a")), said(2, browser("b2"), email("a")))

    assert answer.root == {"B2": "B1"}
    assert answer.find(answer.owner[browser("b2")]) == "B1"


def test_event__with_identifiers_of_two_customers__joins_the_first_rules_and_leaves_the_other() -> (
    None
):
    known = (said(1, browser("b1"), email("a")), said(2, browser("b2"), number("7")))
    both = (email("a"), number("7"))

    by_email = ask(*known, said(3, browser("b3"), *both))
    swapped = ("CUSTOMER_ID", "EMAIL")
    by_number = ask(*known, said(3, browser("b3"), *both, rules=swapped), rules=swapped)

    assert by_email.root == {"B3": "B1"}
    assert by_number.root == {"B3": "B2"}


def test_customers_browser__states_another_customers_identifier__moves_and_merges_nobody() -> None:
    answer = ask(
        said(1, browser("b1"), email("a")),
        said(2, browser("b2"), email("b")),
        said(3, browser("b1"), email("b")),
    )

    assert answer.root == {}
    assert answer.owner[browser("b1")] == "B2"
    assert answer.owner_at(browser("b1"), START + timedelta(minutes=2), "B1") == "B1"
    assert answer.owner[email("a")] == "B1"


def test_customers_browser__states_an_unknown_identifier_of_that_provider__begins_a_new_guest() -> (
    None
):
    answer = ask(said(1, browser("b1"), email("a")), said(2, browser("b1"), email("new")))

    assert answer.owner[browser("b1")] == Newcomer(email("new"))
    assert answer.owner[email("a")] == "B1"


def test_customer__states_an_identifier_of_another_provider__takes_it() -> None:
    answer = ask(said(1, browser("b1"), email("a")), said(2, browser("b1"), number("7")))

    assert answer.owner[number("7")] == "B1"
    assert answer.root == {}


def test_identifier__past_its_expiry__names_nobody() -> None:
    expiring = Statement(
        uuid.UUID(int=1),
        "m1",
        START,
        browser("b1"),
        (StatedIdentifier(email("a"), START + timedelta(minutes=5)),),
    )

    answer = ask(expiring, said(10, browser("b2"), email("a")))

    assert answer.root == {}
    assert answer.owner[email("a")] == "B2"


def test_server_event__with_unknown_identifiers__begins_a_guest_that_has_them_all() -> None:
    answer = ask(said(1, None, email("a"), number("7")))

    assert answer.owner[email("a")] == Newcomer(email("a"))
    assert answer.owner[number("7")] == Newcomer(email("a"))


names = st.sampled_from(["b1", "b2", "b3"])
keys = st.one_of(st.sampled_from("abc").map(email), st.sampled_from("123").map(number))
histories = st.lists(
    st.tuples(st.one_of(st.none(), names), st.lists(keys, min_size=1, max_size=3)), max_size=12
)


@given(histories, st.randoms(use_true_random=False))
def test_any_history__in_any_order__gives_the_same_answer(
    history: list[tuple[str | None, list[IdentifierKey]]], chance: random.Random
) -> None:
    statements = [
        said(minute, browser(name) if name else None, *stated)
        for minute, (name, stated) in enumerate(history)
    ]
    shuffled = statements.copy()
    chance.shuffle(shuffled)

    assert ask(*shuffled) == ask(*statements)


@given(histories)
def test_any_history__never_merges_one_known_person_into_another(
    history: list[tuple[str | None, list[IdentifierKey]]],
) -> None:
    answer = ask(
        *(
            said(minute, browser(name) if name else None, *stated)
            for minute, (name, stated) in enumerate(history)
        )
    )

    owned_by = {answer.owner[key] for key in answer.owner if key.provider != BROWSER}
    assert not owned_by & set(answer.root)
    for key, owner in answer.owner.items():
        assert answer.find(owner) not in answer.root, key
