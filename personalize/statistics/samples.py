"""
A variant's guests as exact sums, and the moments that follow from them.

Made by analytics from its rows, or by `Sample.of` from values; read by every comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Values are counted in millionths, so that sums are whole numbers and never lose anything.
MICRO = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """
    Sums over a variant's guests, as whole numbers.

    n: guests. y: what the goal counts, d: what it is counted per (1 for a mean per guest), x: the
    guest's own y before the first exposure. Sums of y, d, x are in 1e-6, of products in 1e-12.
    Raises ValueError for sums that no guests can have, TypeError for any that is not an int.
    """

    n: int
    y: int
    yy: int
    d: int
    dd: int
    yd: int
    x: int
    xx: int
    xy: int
    xd: int

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not isinstance(getattr(self, name), int):
                # A database's decimal would carry on, and round where nobody looks.
                raise TypeError(f"{name} is a whole number, not {getattr(self, name)!r}")
        pairs = ((self.y, self.yy), (self.d, self.dd), (self.x, self.xx))
        # Cauchy and Schwarz; with no guests, it leaves sums of 0 alone.
        if self.n < 0 or any(self.n * square < total * total for total, square in pairs):
            raise ValueError(f"no {self.n} guests can have these sums: {self}")

    @classmethod
    def of(
        cls,
        ys: Sequence[float],
        ds: Sequence[float] | None = None,
        xs: Sequence[float] | None = None,
    ) -> Sample:
        """Add up values, one of each a guest, rounded to millionths."""
        y = [round(value * MICRO) for value in ys]
        d = [round(value * MICRO) for value in ds] if ds is not None else [MICRO] * len(y)
        x = [round(value * MICRO) for value in xs] if xs is not None else [0] * len(y)
        return cls(
            n=len(y),
            y=sum(y),
            yy=_dot(y, y),
            d=sum(d),
            dd=_dot(d, d),
            yd=_dot(y, d),
            x=sum(x),
            xx=_dot(x, x),
            xy=_dot(x, y),
            xd=_dot(x, d),
        )

    def __add__(self, other: Sample) -> Sample:
        """Take two groups of guests together."""
        return Sample(
            n=self.n + other.n,
            y=self.y + other.y,
            yy=self.yy + other.yy,
            d=self.d + other.d,
            dd=self.dd + other.dd,
            yd=self.yd + other.yd,
            x=self.x + other.x,
            xx=self.xx + other.xx,
            xy=self.xy + other.xy,
            xd=self.xd + other.xd,
        )

    @property
    def is_ratio(self) -> bool:
        """Say whether it is counted per anything but guests."""
        return self.dd * self.n != self.d * self.d or self.d != self.n * MICRO

    @property
    def is_binary(self) -> bool:
        """Say whether each guest either converted or did not."""
        return not self.is_ratio and self.yy == self.y * MICRO

    @property
    def mean(self) -> float | None:
        """The sum of y by the sum of d; None where there is no d."""
        return self.y / self.d if self.d else None

    @property
    def variance(self) -> float | None:
        """
        How much one guest's share in the mean varies; the mean's own variance is this by n.

        The delta method for a ratio of means, clustered on guests (Deng, Knoblich & Lu 2018,
        eq. 3): the sample variance of z = (y - R d) / mean(d), with R the mean. Where d is 1 for
        everybody, that is the sample variance of y. Taken in whole numbers until one division.
        """
        if self.n < 2 or not self.d:
            return None
        squares = (
            self.yy * self.d * self.d - 2 * self.y * self.d * self.yd + self.y * self.y * self.dd
        )
        return (squares * self.n * self.n) / ((self.n - 1) * self.d**4)

    @property
    def x_mean(self) -> float:
        return self.x / (self.n * MICRO) if self.n else 0.0

    @property
    def x_variance(self) -> float:
        """The sample variance of x."""
        if self.n < 2:
            return 0.0
        return (self.n * self.xx - self.x * self.x) / (self.n * (self.n - 1) * MICRO * MICRO)

    @property
    def x_covariance(self) -> float:
        """The sample covariance of x with z (see `variance`)."""
        if self.n < 2 or not self.d:
            return 0.0
        products = (self.xy * self.d - self.y * self.xd) * self.n
        return products / (self.d * self.d * (self.n - 1) * MICRO)

    @property
    def conversions(self) -> float:
        """
        How many guests make up the sum of y: Kish's effective number, (sum of y)^2 / sum of y^2.

        Sums cannot tell how many are not 0. This is their number where each counts 1, and less
        where few of them make up the most.
        """
        return self.y * self.y / self.yy if self.yy else 0.0


def _dot(left: Sequence[int], right: Sequence[int]) -> int:
    return sum(a * b for a, b in zip(left, right, strict=True))
