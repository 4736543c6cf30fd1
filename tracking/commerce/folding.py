"""
PURE. Carts and orders, made of what people did: the same whatever order it came in.

Called with all the deeds of a cart or an order, which are put in the order of
their times, then of their message ids.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from tracking import money
from tracking.commerce.vocabulary import CART_VERBS, Act, Facts, Line, Verb
from tracking.types import ItemKey

#: Purchases without an order's id that follow each other within this are one order.
PAUSE: Final = timedelta(minutes=10)
#: A purchase from elsewhere takes from a cart that its buyer began at most so long before.
REACH: Final = timedelta(hours=24)

PURCHASED: Final = "PURCHASED"
CANCELLED: Final = "CANCELLED"
REFUNDED: Final = "REFUNDED"
PARTIALLY_REFUNDED: Final = "PARTIALLY_REFUNDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """An act at its time. `person` is the guest who speaks for whoever did it."""

    act: Act
    at: datetime
    by: str
    event_ref: UUID
    session_id: int | None
    guest_id: int
    person: int

    @property
    def stamp(self) -> tuple[datetime, str]:
        return (self.at, self.by)


@dataclass(slots=True)
class Cart:
    """What is in a cart now, when it began, and what each checkout took out of it."""

    lines: dict[ItemKey, Line] = field(default_factory=dict)
    began_at: datetime | None = None
    changed_at: datetime | None = None
    is_cleared: bool = False
    is_bought: bool = False
    last: Deed | None = None
    taken: dict[UUID, tuple[Line, ...]] = field(default_factory=dict)
    _confirmed: set[ItemKey] = field(default_factory=set)

    @property
    def is_begun(self) -> bool:
        return self.began_at is not None

    def values(self) -> dict[str, int]:
        """Return what the lines come to, by currency, as far as their prices are known."""
        return totals(self.lines.values())

    def take(self, deed: Deed) -> None:
        """Let one deed change the cart."""
        verb = deed.act.verb
        if verb in CART_VERBS:
            self.began_at = self.began_at or deed.at
            self.last = deed
        if not self.is_begun:
            return
        self.changed_at = deed.at
        if verb is Verb.ADD:
            for line in deed.act.lines:
                self._add(line)
        elif verb is Verb.REMOVE:
            self._remove(deed.act.lines)
        elif verb is Verb.CLEAR:
            self.is_cleared = bool(self.lines) or self.is_cleared
            self.lines.clear()
            self._confirmed.clear()
        elif verb is Verb.CONFIRM:
            self._confirm(deed.act.lines)
        elif verb is Verb.CHECKOUT:
            self._check_out(deed)
        elif verb is Verb.BUY:
            self._buy(deed.act)

    def _add(self, line: Line) -> None:
        known = self.lines.get(line.item)
        if known is not None:
            priced = line if line.price is not None else known
            line = replace(
                line,
                quantity=known.quantity + line.quantity,
                price=priced.price,
                currency=priced.currency,
                is_currency_assumed=priced.is_currency_assumed,
                name=line.name or known.name,
                kind=line.kind or known.kind,
                line_id=line.line_id or known.line_id,
                categories=line.categories or known.categories,
            )
        if line.amount <= money.MOST:
            self.lines[line.item] = line
        self.is_cleared = False

    def _remove(self, lines: Iterable[Line]) -> bool:
        """Take so many of each out; say whether there was any."""
        found = False
        for line in lines:
            known = self.lines.get(line.item)
            if known is None:
                continue
            found = True
            left = known.quantity - line.quantity
            if left > 0:
                self.lines[line.item] = replace(known, quantity=left)
            else:
                del self.lines[line.item]
                self._confirmed.discard(line.item)
        return found

    def _confirm(self, named: Sequence[Line]) -> None:
        names = {line.line_id or line.item.id for line in named}
        self._confirmed |= {
            line.item
            for line in self.lines.values()
            if not named or line.line_id in names or line.item.id in names
        }

    def _check_out(self, deed: Deed) -> None:
        chosen = [line for line in self.lines.values() if line.item in self._confirmed]
        chosen = chosen or list(self.lines.values())
        self.taken[deed.event_ref] = tuple(chosen)
        for line in chosen:
            del self.lines[line.item]
        self._confirmed.clear()
        self.is_bought = True

    def _buy(self, act: Act) -> None:
        if act.lines:
            self.is_bought = self._remove(act.lines) or self.is_bought
        elif act.facts is not None:
            self.lines.clear()
            self.is_bought = True


def fold_cart(deeds: Iterable[Deed]) -> Cart:
    """Return the cart that these deeds left."""
    cart = Cart()
    for deed in sorted(deeds, key=lambda deed: deed.stamp):
        cart.take(deed)
    return cart


def totals(lines: Iterable[Line]) -> dict[str, int]:
    """Return what lines come to, by currency."""
    found: dict[str, int] = {}
    for line in lines:
        if line.price is not None:
            found[line.currency] = found.get(line.currency, 0) + line.amount
    return found


# --- orders ----------------------------------------------------------------------------


@dataclass(slots=True)
class OrderLine:
    line: Line
    refunded: int = 0


@dataclass(slots=True)
class Order:
    """
    An order as what was told of it leaves it.

    `lines` None: nobody told any. `refunded` is an amount of the order's currency.
    """

    facts: Facts = field(default_factory=Facts)
    lines: list[OrderLine] | None = None
    ordered_at: datetime | None = None
    status: str = PURCHASED
    is_paid: bool = False
    refunded: int = 0
    first: Deed | None = None
    is_refunded_whole: bool = False
    is_cancelled: bool = False

    @property
    def currency(self) -> str:
        named = next((each.line.currency for each in self.lines or () if each.line.currency), "")
        return self.facts.currency or named

    @property
    def total(self) -> int | None:
        """What was told, else what the lines in the order's currency come to; None: unknown."""
        if self.facts.total is not None:
            return self.facts.total
        sums = totals(each.line for each in self.lines or ())
        total = sums.get(self.currency)
        return total if total is not None and total <= money.MOST else None

    def take(self, deed: Deed, lines: Sequence[Line]) -> None:
        """Let one deed change the order; `lines` are its own, or those it took from a cart."""
        act = deed.act
        self.first = self.first or deed
        if act.verb in (Verb.BUY, Verb.CHECKOUT):
            self.ordered_at = self.ordered_at or deed.at
        if act.verb is Verb.REFUND:
            self._refund(act, lines)
            return
        if act.verb is Verb.CANCEL:
            self.is_cancelled = True
            return
        if act.verb is Verb.PAY:
            self.is_paid = True
        if act.facts is not None:
            self._state(act.facts)
            if lines:
                self.lines = [OrderLine(line) for line in lines]
        else:
            self._buy(lines)

    def _state(self, facts: Facts) -> None:
        """Let what is told replace what was, and leave the rest."""
        known = {name: getattr(self.facts, name) for name in Facts.__struct_fields__}
        told = {name: getattr(facts, name) for name in Facts.__struct_fields__}
        told = {name: value for name, value in told.items() if value not in (None, "", {})}
        if not facts.currency:
            told.pop("is_currency_assumed", None)
        self.facts = Facts(**{**known, **told})
        self.status = facts.status or self.status

    def _buy(self, lines: Sequence[Line]) -> None:
        """So many single purchases of an item at a price are one line of that many."""
        self.lines = self.lines or []
        for line in lines:
            for known in self.lines:
                same = (line.item, line.price, line.currency)
                if (known.line.item, known.line.price, known.line.currency) == same:
                    more = known.line.quantity + line.quantity
                    known.line = replace(known.line, quantity=more)
                    break
            else:
                self.lines.append(OrderLine(line))

    def _refund(self, act: Act, lines: Sequence[Line]) -> None:
        amount = act.facts.total if act.facts else None
        if not lines and (amount is None or amount >= (self.total or 0)):
            self.is_refunded_whole = True
            return
        back = 0
        for line in lines:
            known = next((each for each in self.lines or () if each.line.item == line.item), None)
            price = line.price if line.price is not None else known and known.line.price
            back += (price or 0) * line.quantity
            if known is not None:
                known.refunded = min(known.line.quantity, known.refunded + line.quantity)
        self.refunded += back if amount is None else amount

    def settle(self) -> None:
        """Decide the status, once all deeds are in: a refund may come before its order."""
        total, lines = self.total, self.lines or []
        if self.is_refunded_whole:
            for each in lines:
                each.refunded = each.line.quantity
            self.refunded = total or 0
        if total is not None:
            self.refunded = min(self.refunded, total)
        all_back = bool(lines) and all(each.refunded == each.line.quantity for each in lines)
        some_back = bool(self.refunded) or any(each.refunded for each in lines)
        if self.is_cancelled:
            self.status = CANCELLED
        elif self.is_refunded_whole or all_back or (total and self.refunded == total):
            self.status = REFUNDED
        elif some_back:
            self.status = PARTIALLY_REFUNDED


#: A deed of an order, and its lines: its own, or those that it took from a cart.
Statement = tuple[Deed, Sequence[Line]]
_BACK: Final = frozenset({Verb.REFUND, Verb.CANCEL})


def fold_order(statements: Iterable[Statement]) -> Order:
    """
    Return the order that was told of.

    What is given back counts after what was bought, whenever clocks say it
    was: nobody gives back what they have not got.
    """
    order = Order()
    for deed, lines in sorted(
        statements, key=lambda each: (each[0].act.verb in _BACK, each[0].stamp)
    ):
        order.take(deed, lines)
    order.settle()
    return order


def runs(deeds: Iterable[Deed]) -> list[list[Deed]]:
    """
    Group single purchases of one visit or person into orders.

    A run ends where something is done to the basket, or after a PAUSE.
    """
    found: list[list[Deed]] = []
    current: list[Deed] = []
    for deed in sorted(deeds, key=lambda deed: deed.stamp):
        if deed.act.verb in CART_VERBS:
            current = []
        elif is_single(deed.act):
            if not current or deed.at - current[-1].at > PAUSE:
                current = []
                found.append(current)
            current.append(deed)
    return found


def is_single(act: Act) -> bool:
    """Say whether an act is one purchase of several that make an order."""
    return act.verb is Verb.BUY and act.facts is None and not act.order_id


def told(facts: Facts) -> dict[str, object]:
    """Return facts as they are kept beside an act."""
    found: dict[str, object] = msgspec.to_builtins(facts)
    return found


def named(deed: Deed, number: str) -> Deed:
    """Return a deed as one of the order of this number."""
    return replace(deed, act=replace(deed.act, order_id=number))
