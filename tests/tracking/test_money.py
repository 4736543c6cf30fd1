from decimal import Decimal

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking import money


def test_currencies__are_those_of_iso_4217_with_their_exponents() -> None:
    published = {each.code: each.exponent for each in iso4217.Currency if each.exponent is not None}

    assert published.items() <= money.EXPONENTS.items()
    assert money.EXPONENTS.keys() - published.keys() <= {"ANG", "BGN", "HRK", "SLL"}


@pytest.mark.parametrize(
    ("value", "currency", "amount"),
    [
        ("12.45", "EUR", 1245),
        (456, "JPY", 456),
        ("1.234", "TND", 1234),
        (19.99, "EUR", 1999),
        (1.005, "EUR", 101),
        (Decimal("0.1"), "EUR", 10),
        ("-5", "EUR", -500),
        ("12.5", "JPY", 13),
    ],
)
def test_minor__counts_in_the_unit_of_the_currency(
    value: str | int | float | Decimal, currency: str, amount: int
) -> None:
    assert money.minor(value, currency) == amount


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        ("12,45", "EUR"),
        ("1e3", "EUR"),
        ("", "EUR"),
        ("١٢", "EUR"),
        (float("nan"), "EUR"),
        (float("inf"), "EUR"),
        (2**63, "JPY"),
        (1e300, "EUR"),
        ("9" * 39, "EUR"),
        ("9" * 5000, "EUR"),
        ("12.45", "XXX"),
        ("12.45", "eur"),
        ("12.45", ""),
    ],
)
def test_minor__what_is_no_money__is_refused(value: str | float, currency: str) -> None:
    with pytest.raises(money.NotMoney):
        money.minor(value, currency)


@given(
    amount=st.integers(-money.MOST, money.MOST),
    currency=st.sampled_from(sorted(money.EXPONENTS)),
)
def test_minor__undoes_major(amount: int, currency: str) -> None:
    assert money.minor(money.major(amount, currency), currency) == amount


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "written"),
    [
        (1245, "EUR", "en", "€12.45"),
        (1245, "EUR", "de", "12,45\xa0€"),
        (123456, "JPY", "en-us", "¥123,456"),
        (1234, "IQD", "en", "IQD\xa01.234"),
        (-1245, "USD", "pt-br", "-US$\xa012,45"),
        (5, "EUR", "xx-yy", "€0.05"),
        (money.MOST, "EUR", "en", "€92,233,720,368,547,758.07"),
    ],
)
def test_told__writes_as_the_readers_do(
    amount: int, currency: str, locale: str, written: str
) -> None:
    assert money.told(amount, currency, locale=locale) == written


def test_priced__reads_an_amount_with_its_currency_and_nothing_else() -> None:
    assert money.priced("12.45EUR") == (1245, "EUR")
    assert money.priced("456JPY") == (456, "JPY")
    for text in ("12,45EUR", "12.45 EUR", "12.45", "EUR", "-1EUR", "1.EUR", "1EUROS", "1XXX"):
        with pytest.raises(money.NotMoney):
            money.priced(text)
