"""
PURE. Where numbers begin to be at least, or more than, an operand, as exact decimals.

A database compares decimals; Python compares the floats that they are read as.
"""

import math
import struct
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Final

#: From here on a decimal is read as infinite.
OVERFLOW: Final = str(2**1024 - 2**970)
_INT64: Final = range(-(2**63), 2**63)


def decimal(value: int | float) -> str:
    """Write a number with all its digits."""
    return _written(Fraction(value))


def at_least(value: int | float) -> tuple[str, str] | bool:
    """
    Return how a decimal compares when the float that it is read as is at least this.

    Either (">=" or ">", decimal), or the same answer for all that are finite.
    """
    return _from(_float_from(value))


def more_than(value: int | float) -> tuple[str, str] | bool:
    """Return the same for floats that are greater than this."""
    first = _float_from(value)
    return _from(math.nextafter(first, math.inf) if first == value else first)


def first_whole(value: int | float, *, above: bool) -> int | bool:
    """
    Return the first whole number that is at least, or above, this.

    True or false where all numbers of 64 bits are, or none.
    """
    first = math.floor(value) + 1 if above else math.ceil(value)
    if first in _INT64:
        return first
    return first < 0


def minor_units(value: int | float, exponent: int) -> tuple[int, int] | None:
    """
    Return the whole minor units next to an amount, (at most, at least): equal if it is whole.

    None where floats no longer tell a thousandth of a minor unit.
    """
    if abs(value) >= 2**40:
        return None
    exact = Decimal(repr(value)).scaleb(exponent)
    if abs(exact) >= 2**40:
        return None
    return int(exact.to_integral_value(ROUND_FLOOR)), int(exact.to_integral_value(ROUND_CEILING))


def _float_from(value: int | float) -> float:
    try:
        nearest = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    return math.nextafter(nearest, math.inf) if nearest < value else nearest


def _from(first: float) -> tuple[str, str] | bool:
    """Return from which decimal on this float, or a larger one, is read."""
    before = math.nextafter(first, -math.inf)
    if math.isinf(first) or math.isinf(before):
        return first < 0
    halfway = (Fraction(before) + Fraction(first)) / 2
    # Halfway between two floats the even one is read.
    is_even = struct.pack(">d", first)[-1] % 2 == 0
    return ">=" if is_even else ">", _written(halfway)


def _written(exact: Fraction) -> str:
    places = exact.denominator.bit_length() - 1
    return f"{exact.numerator * 5**places}e-{places}"
