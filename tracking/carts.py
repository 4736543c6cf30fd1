"""
Carts, made again from all that was done with them whenever one thing more is.

`shopping` calls `rebuild` with the carts that a batch of events touches, while
it holds their people; doors and admin read the rows.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from tracking import catalogue, conf, db, interactions
from tracking.commerce import folding
from tracking.commerce.folding import Deed
from tracking.commerce.vocabulary import CART_VERBS, Line, Verb
from tracking.models import Cart, Guest, Interaction
from tracking.types import ItemKey

#: Of one cart. Each thing done makes the cart again of all before it.
MOST_DEEDS = 5000

_NOTHING = Q(pk__in=())
_WRITTEN = (
    "guest", "session", "began_at", "changed_at", "lines", "values", "is_cleared", "is_bought",
    "deeds",
)  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class CartKey:
    """What a cart goes by: the sender's name for it, else a visit, else a guest without one."""

    client_id: int
    cart_id: str = ""
    session_id: int = 0
    guest_id: int = 0


def key_of(client_id: int, cart_id: str, session_id: int | None, guest_id: int) -> CartKey:
    """Say to which cart something done belongs."""
    if cart_id:
        return CartKey(client_id, cart_id=cart_id)
    if session_id:
        return CartKey(client_id, session_id=session_id)
    return CartKey(client_id, guest_id=guest_id)


def having(client_id: int, items: Iterable[ItemKey]) -> list[CartKey]:
    """Return the carts into which any of these items was ever put."""
    rows = Interaction.objects.filter(
        interactions.about(client_id, items), verb__in=CART_VERBS, guest__isnull=False
    )
    named = rows.values_list("cart_id", "session", "guest").distinct()
    return [key_of(client_id, *each) for each in named]


def near(people: Collection[int], *, first: datetime, last: datetime) -> list[CartKey]:
    """Return the carts of these people from which a purchase of then may have taken."""
    rows = Cart.objects.filter(
        guest__in=_members(people), began_at__lte=last, changed_at__gte=first - folding.REACH
    )
    return [_key(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What each checkout took out, by its event, and the guests whose the carts were."""

    taken: Mapping[UUID, tuple[Line, ...]] = field(default_factory=dict)
    owners: Collection[int] = ()


def rebuild(client_id: int, keys: Collection[CartKey]) -> Rebuilt:
    """
    Make one client's carts of what is recorded now, in a fixed number of queries.

    A cart with MOST_DEEDS stays as it is: no person fills one so, and whoever
    does costs no more.
    """
    known = {_key(row): row for row in _rows(keys)}
    owners = {row.guest_id for row in known.values()}
    done = _done(
        client_id, [key for key in keys if key not in known or known[key].deeds < MOST_DEEDS]
    )
    begun = _priced(client_id, {key: deeds for key, deeds in done.items() if deeds})
    bought = _bought([deed for deeds in begun.values() for deed in deeds])
    carts = {
        key: folding.fold_cart([*deeds, *_taking_from(deeds, bought)])
        for key, deeds in begun.items()
    }
    _store(known, carts, begun)
    taken = {ref: lines for cart in carts.values() for ref, lines in cart.taken.items()}
    return Rebuilt(taken, owners)


def _done(client_id: int, keys: Collection[CartKey]) -> dict[CartKey, list[Deed]]:
    rows = Interaction.objects.filter(verb__in=CART_VERBS).filter(_among(client_id, keys))
    found: dict[CartKey, list[Deed]] = {key: [] for key in keys}
    for deed in interactions.deeds(rows):
        key = key_of(client_id, deed.act.cart_id, deed.session_id, deed.guest_id)
        found.setdefault(key, []).append(deed)
    return found


def _priced(
    client_id: int, done: Mapping[CartKey, Sequence[Deed]]
) -> Mapping[CartKey, Sequence[Deed]]:
    """Let what nobody priced cost what the catalogue says, and be called so."""
    lines = [
        line
        for deeds in done.values()
        for deed in deeds
        if deed.act.verb is Verb.ADD
        for line in deed.act.lines
    ]
    found = catalogue.find(
        client_id, [line.item for line in lines if line.price is None or not line.name]
    )
    if not found:
        return done

    def known(line: Line) -> Line:
        item = found.get(line.item)
        if item is None:
            return line
        line = replace(line, name=line.name or item.name)
        if line.price is None and item.price is not None:
            line = replace(line, price=item.price, currency=item.currency)
        return line

    return {
        key: [
            replace(deed, act=replace(deed.act, lines=tuple(map(known, deed.act.lines))))
            if deed.act.verb is Verb.ADD
            else deed
            for deed in deeds
        ]
        for key, deeds in done.items()
    }


def _among(client_id: int, keys: Collection[CartKey]) -> Q:
    names = [key.cart_id for key in keys if key.cart_id]
    sessions = [key.session_id for key in keys if key.session_id]
    guests = [key.guest_id for key in keys if key.guest_id]
    asked = _NOTHING
    if names:
        asked |= Q(client=client_id, cart_id__in=names)
    if sessions:
        asked |= Q(session__in=sessions, cart_id="")
    if guests:
        asked |= Q(guest__in=guests, session__isnull=True, cart_id="")
    return asked


@dataclass(frozen=True, slots=True)
class _Bought:
    """Purchases of some people, and the visits in which these did anything with carts."""

    deeds: Sequence[Deed]
    visits: Collection[int | None]


def _bought(done: Sequence[Deed]) -> _Bought:
    if not done:
        return _Bought((), ())
    people = {deed.person for deed in done}
    times = [deed.at for deed in done]
    rows = Interaction.objects.filter(
        guest__in=_members(people),
        verb=Verb.BUY,
        occurred_at__gte=min(times),
        occurred_at__lte=max(times) + folding.REACH,
    )
    deeds = interactions.deeds(rows)
    visits = {deed.session_id for deed in deeds if deed.session_id}
    shopped = Interaction.objects.filter(session__in=visits, verb__in=CART_VERBS)
    return _Bought(deeds, set(shopped.values_list("session", flat=True)) if visits else ())


def _taking_from(done: Sequence[Deed], bought: _Bought) -> Iterable[Deed]:
    """
    Yield the purchases that take from a cart.

    Those that name it; those of a visit that did something with it; and those
    of its owner from a visit without any cart, soon after: whoever logs in on
    the way to the till has another visit there.
    """
    people = {deed.person for deed in done}
    visits = {deed.session_id for deed in done if deed.session_id}
    names = {deed.act.cart_id for deed in done}
    until = max(deed.at for deed in done) + folding.REACH
    for deed in bought.deeds:
        if deed.act.cart_id:
            takes = deed.act.cart_id in names
        elif deed.session_id in visits:
            takes = True
        else:
            takes = (
                deed.person in people and deed.session_id not in bought.visits and deed.at <= until
            )
        if takes:
            yield deed


def _store(
    known: Mapping[CartKey, Cart],
    carts: Mapping[CartKey, folding.Cart],
    done: Mapping[CartKey, Sequence[Deed]],
) -> None:
    new: list[Cart] = []
    changed: list[Cart] = []
    for key, cart in sorted(carts.items()):
        if cart.last is None or cart.began_at is None:
            continue
        row = known.get(key) or Cart(client_id=key.client_id)
        (changed if key in known else new).append(row)
        row.cart_id = key.cart_id
        row.guest_id, row.session_id = cart.last.guest_id, cart.last.session_id
        row.is_visits = bool(key.session_id)
        row.began_at, row.changed_at = cart.began_at, cart.changed_at or cart.began_at
        row.lines = [as_json(line) for line in cart.lines.values()]
        row.values = cart.values()
        row.is_cleared, row.is_bought = cart.is_cleared, cart.is_bought
        row.deeds = len(done[key])
    Cart.objects.bulk_create(new)
    Cart.objects.bulk_update(changed, _WRITTEN)


def _rows(keys: Collection[CartKey]) -> QuerySet[Cart]:
    asked = _NOTHING
    for key in keys:
        if key.cart_id:
            asked |= Q(client=key.client_id, cart_id=key.cart_id)
        elif key.session_id:
            asked |= Q(session=key.session_id, cart_id="", is_visits=True)
        else:
            asked |= Q(guest=key.guest_id, cart_id="", is_visits=False)
    return Cart.objects.filter(asked).select_for_update()


def _key(row: Cart) -> CartKey:
    if row.cart_id:
        return CartKey(row.client_id, cart_id=row.cart_id)
    if row.is_visits:
        return CartKey(row.client_id, session_id=row.session_id or 0)
    return CartKey(row.client_id, guest_id=row.guest_id)


def _members(people: Collection[int]) -> QuerySet[Guest]:
    return Guest.objects.filter(db.Among("pk", people) | db.Among("root", people))


def as_json(line: Line) -> dict[str, Any]:
    """Return a line as a cart keeps it: amounts in minor units, nothing that is not told."""
    told: dict[str, Any] = {
        "type": line.item.type,
        "id": line.item.id,
        "quantity": line.quantity,
        "price": line.price,
        "currency": line.currency,
        "name": line.name,
        "kind": line.kind,
        "lineId": line.line_id,
    }
    return {name: value for name, value in told.items() if value not in (None, "")}


def of_visits(visits: Collection[int]) -> dict[int, Cart]:
    """Return the cart of each visit that had one; of several the one changed last."""
    rows = Cart.objects.filter(session__in=visits).select_related("session")
    return {row.session_id or 0: row for row in rows.order_by("changed_at", "pk")}


def status(cart: Cart, *, now: datetime) -> Cart.Status:
    """Say what became of a cart; its session is read along."""
    return cart.status(now=now, pause=pause())


def pause() -> timedelta:
    """Return after how long without a change a cart of no visit is left behind."""
    return timedelta(minutes=conf.settings().SESSION_TIMEOUT_MINUTES)
