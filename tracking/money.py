"""
PURE. Amounts of money: whole numbers of a currency's minor unit, and never floats.

Every reader of a price or a total calls this; so does whoever shows one.
"""

import re
from collections.abc import Mapping
from copy import copy
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from babel import Locale, UnknownLocaleError

#: The largest amount that is kept: that of a database's 64-bit integer.
MOST: Final = 2**63 - 1

_BY_EXPONENT: Final[Mapping[int, str]] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD
        CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP
        GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK
        LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO
        NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS
        SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST
        XAD XCD XCG YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
# Replaced since 2023: orders of before are in them still.
_REPLACED: Final = "ANG BGN HRK SLL"

#: Every currency of ISO 4217 that has a minor unit -> how many decimals that has.
EXPONENTS: Final[Mapping[str, int]] = {
    **{code: digits for digits, codes in _BY_EXPONENT.items() for code in codes.split()},
    **dict.fromkeys(_REPLACED.split(), 2),
}

# Longer is no price, and Decimal would take its time over it.
_LONGEST: Final = 40
_CLOSE: Final = re.compile(r"(?<=[A-Za-z])(?=[0-9])")
_DECIMAL: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_PRICED: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Z]{3})")


class NotMoney(ValueError):
    """What was given is no amount, or no currency: a sentence says why."""


def exponent(currency: str) -> int:
    """Return how many decimals the currency's minor unit has. Raises NotMoney."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise NotMoney(f"{currency[:20]} is not a currency of ISO 4217.") from None


def minor(value: str | int | float | Decimal, currency: str) -> int:
    """
    Return an amount of whole units (12.45) as one of minor units (1245).

    A float counts as the decimal that it is written as, and what is finer
    than the minor unit is rounded, halves up. Raises NotMoney.
    """
    scaled = _decimal(value).scaleb(exponent(currency))
    if abs(scaled) > MOST:
        raise NotMoney("The amount is larger than any that is kept.")
    return int(scaled.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def priced(text: str) -> tuple[int, str]:
    """Read an amount with its currency: 12.45EUR is (1245, "EUR"). Raises NotMoney."""
    found = _PRICED.fullmatch(text)
    if found is None:
        raise NotMoney(f"{text[:40]} is not a price such as 12.45EUR.")
    return minor(found[1], found[2]), found[2]


def major(amount: int, currency: str) -> Decimal:
    """Return an amount of minor units (1245) as one of whole units (12.45). Raises NotMoney."""
    return Decimal(amount).scaleb(-exponent(currency))


def told(amount: int, currency: str, *, locale: str = "en") -> str:
    """Write an amount of minor units as people of the locale do: €12.45, 12,45 €."""
    spoken = _locale(locale)
    pattern = copy(spoken.currency_formats["standard"])
    # As many decimals as the amount was kept with, where the locale's own table says others.
    pattern.frac_prec = (exponent(currency), exponent(currency))
    text = str(
        pattern.apply(major(amount, currency), spoken, currency=currency, currency_digits=False)
    )
    # CLDR sets a space between letters and digits, and Babel forgets it: CHF 12.00.
    return _CLOSE.sub("\xa0", text)


def _locale(name: str) -> Locale:
    try:
        return Locale.parse(name.replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        return Locale("en")


def _decimal(value: str | int | float | Decimal) -> Decimal:
    text = value.strip() if isinstance(value, str) else format(Decimal(str(value)), "f")
    if len(text) > _LONGEST or not _DECIMAL.fullmatch(text):
        raise NotMoney(f"{text[:40]} is not an amount: digits, and a point before decimals.")
    return Decimal(text)
