"""
PURE. Whose is each identifier, over time, given everything that was ever stated?

The identity step asks this with all statements of a connected set of
identifiers and stores the difference, so the answer never depends on the
order in which the statements arrived.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from tracking.types import USER_ID, IdentifierKey, Policy, StatedIdentifier, Statement

G = TypeVar("G", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A guest that the statements bring into the world, named by its first identifier."""

    key: IdentifierKey


@dataclass(frozen=True, slots=True)
class Merge(Generic[G]):
    """One guest retired into another, by one event."""

    retired: G | Newcomer
    survivor: G | Newcomer
    event_ref: UUID
    at: datetime


@dataclass(slots=True)
class Resolution(Generic[G]):
    """
    The whole answer.

    `owner` is whose each identifier is now, before merges; `root` who speaks
    for a merged guest; `moves` when an identifier changed hands and to whom;
    `refused` why an event did not join what it named; `latent` are guests who
    have done nothing yet, as far as the statements tell.
    """

    owner: dict[IdentifierKey, G | Newcomer]
    customers: set[G | Newcomer]
    root: dict[G | Newcomer, G | Newcomer] = field(default_factory=dict)
    by_event: dict[UUID, G | Newcomer] = field(default_factory=dict)
    moves: dict[IdentifierKey, list[tuple[datetime, G | Newcomer]]] = field(default_factory=dict)
    merges: list[Merge[G]] = field(default_factory=list)
    expiries: dict[IdentifierKey, datetime | None] = field(default_factory=dict)
    refused: dict[UUID, str] = field(default_factory=dict)
    providers: dict[G | Newcomer, set[str]] = field(default_factory=dict)
    latent: set[Newcomer] = field(default_factory=set)

    def find(self, guest: G | Newcomer) -> G | Newcomer:
        """Return who speaks for this guest."""
        while guest in self.root:
            guest = self.root[guest]
        return guest

    def owner_at(self, key: IdentifierKey, moment: datetime, born: G | Newcomer) -> G | Newcomer:
        """Return whose the identifier was at this moment; `born` is its guest before any move."""
        owner = born
        for at, guest in self.moves.get(key, ()):
            if at <= moment:
                owner = guest
        return owner


def resolve(
    statements: Iterable[Statement],
    *,
    births: Mapping[IdentifierKey, G],
    customers: Iterable[G] = (),
    rules: Sequence[str],
) -> Resolution[G]:
    """
    Resolve the statements in time order, each by the policy it was made under.

    By identity rules:

    1. The first stated identifier (in rule order) that somebody has decides:
       a visitor merges into that customer; another customer's browser moves
       to it, for one known person never merges into another.
    2. If nobody has any, a visitor becomes a customer with them.
    3. A customer that has no identifier of the first one's provider takes it.
    4. A customer that has another one of that provider stays as it is: a new
       guest begins, and the browser moves to it.

    By first identify it is the same but for 1 and 4: the browser stays whose
    it was, and the event alone is the other customer's. Under an alias the
    earlier id joins the user that is kept, be it a visitor's device, an id
    nobody knows yet, or both; two known users stay apart, and so does a known
    user's device. At a login, what the earlier id did since its last one
    joins the user, unless it is a known user's itself; then it is somebody
    new. A join makes the two guests of one id one, whoever they are.

    Identifiers nobody has yet then belong to the guest that was decided on.
    One past its expiry counts as nobody's. `births` are the guests that
    identifiers brought with them; `customers` the guests known to be
    customers on other grounds.
    """
    answer: Resolution[G] = Resolution(owner=dict(births), customers=set(customers))
    for key, guest in births.items():
        if key.provider in rules or key.provider == USER_ID:
            answer.customers.add(guest)
            answer.providers.setdefault(guest, set()).add(key.provider)
    for statement in sorted(statements, key=_in_time):
        _READERS[statement.policy](answer, statement)
    return answer


def _in_time(statement: Statement) -> tuple[datetime, str, UUID, bool]:
    # What an event says of its own comes before what follows from it.
    is_join = statement.policy is Policy.JOIN
    return (statement.at, statement.message_id, statement.event_ref, is_join)


def in_rule_order(
    stated: Iterable[StatedIdentifier], rules: Sequence[str]
) -> tuple[StatedIdentifier, ...]:
    """Keep the identifiers that a rule names, most trusted provider first, each once."""
    ranked = [item for item in stated if item.key.provider in rules]
    ranked.sort(key=lambda item: rules.index(item.key.provider))
    return tuple({item.key: item for item in ranked}.values())


def _apply(answer: Resolution[G], statement: Statement) -> None:
    speaker = statement.speaker
    current = answer.owner.get(speaker) if speaker is not None else None
    stated = [s for s in statement.stated if s.expires_at is None or s.expires_at > statement.at]
    if not stated:
        if current is not None:
            answer.by_event[statement.event_ref] = current
        return
    target = _target(answer, statement, [item.key for item in stated], current)
    answer.customers.add(target)
    for item in stated:
        if not _is_owned(answer, item.key, statement.at):
            _own(answer, item.key, target)
        answer.expiries[item.key] = item.expires_at
    if speaker is not None and speaker not in answer.owner:
        # An alias named the device before it spoke, so that no guest was born with it.
        _own(answer, speaker, target)
    owner = answer.owner[speaker] if speaker is not None else target
    stays = answer.find(owner) != answer.find(target)
    answer.by_event[statement.event_ref] = target if stays else owner


def _target(
    answer: Resolution[G],
    statement: Statement,
    keys: list[IdentifierKey],
    current: G | Newcomer | None,
) -> G | Newcomer:
    decisive = next((key for key in keys if _is_owned(answer, key, statement.at)), None)
    person = answer.find(current) if current is not None else None
    if decisive is not None:
        target = answer.find(answer.owner[decisive])
        if person is None or person == target:
            return target
        if person in answer.customers:
            _move(answer, statement, target)
        else:
            _merge(answer, statement, person, target)
        return target
    if person is not None and person not in answer.customers:
        return person
    if person is not None and keys[0].provider not in answer.providers.get(person, ()):
        return person
    newcomer = Newcomer(keys[0])
    _move(answer, statement, newcomer)
    return newcomer


def _fold(answer: Resolution[G], statement: Statement) -> None:
    """Read an alias: the first identifier is kept, the earlier id is the other two."""
    kept, device, user = (item.key for item in statement.stated)
    before, owner = _holder(answer, user), _holder(answer, device)
    target = _holder(answer, kept)
    if target is None:
        target = before
    if target is None and owner is not None and owner not in answer.customers:
        target = owner
    if target is None:
        target = Newcomer(kept)
    answer.customers.add(target)
    answer.by_event[statement.event_ref] = target
    if kept not in answer.owner:
        _own(answer, kept, target)
    if before is not None and before != target:
        answer.refused[statement.event_ref] = "The earlier id is another known user's."
        return
    if owner is not None and owner in answer.customers and owner != target:
        answer.refused[statement.event_ref] = "The earlier id is a device of another known user."
        return
    if before is None:
        _own(answer, user, target)
    if owner is None:
        _own(answer, device, target)
    elif owner != target:
        _merge(answer, statement, owner, target)


def _log_in(answer: Resolution[G], statement: Statement) -> None:
    """Read a login: the first identifier is the user, the other the id of until now."""
    user, source = (item.key for item in statement.stated)
    target = _take(answer, user)
    answer.by_event[statement.event_ref] = target
    if source not in answer.owner or answer.find(answer.owner[source]) == target:
        return
    person = answer.find(answer.owner[source])
    if person in answer.customers:
        answer.refused[statement.event_ref] = "The earlier id is another known user's."
        return
    _merge(answer, statement, person, target)
    # Named by the login that it begins with, so that it is the same in every walk.
    nobody_yet = Newcomer(IdentifierKey(source.provider, f"{source.value}\n{statement.message_id}"))
    answer.latent.add(nobody_yet)
    answer.owner[source] = nobody_yet
    answer.moves.setdefault(source, []).append((statement.at, nobody_yet))


def _join(answer: Resolution[G], statement: Statement) -> None:
    """Read a join: the first identifier in clear, the other its hash."""
    clear, hashed = (item.key for item in statement.stated)
    before = _holder(answer, hashed)
    if clear not in answer.owner and before is not None:
        _own(answer, clear, before)
    target = _take(answer, clear)
    answer.by_event.setdefault(statement.event_ref, target)
    if before is None:
        _own(answer, hashed, target)
    elif before != target:
        _merge(answer, statement, before, target)


def _take(answer: Resolution[G], key: IdentifierKey) -> G | Newcomer:
    """Return the customer that this identifier names, who may begin with it."""
    target = _holder(answer, key)
    if target is None:
        target = Newcomer(key)
        _own(answer, key, target)
    answer.customers.add(target)
    return target


def _holder(answer: Resolution[G], key: IdentifierKey) -> G | Newcomer | None:
    return answer.find(answer.owner[key]) if key in answer.owner else None


def _own(answer: Resolution[G], key: IdentifierKey, guest: G | Newcomer) -> None:
    answer.owner[key] = guest
    answer.providers.setdefault(guest, set()).add(key.provider)


def _merge(
    answer: Resolution[G], statement: Statement, visitor: G | Newcomer, target: G | Newcomer
) -> None:
    answer.root[visitor] = target
    answer.merges.append(Merge(visitor, target, statement.event_ref, statement.at))


def _move(answer: Resolution[G], statement: Statement, target: G | Newcomer) -> None:
    if statement.speaker is not None and statement.policy is Policy.SITECORE:
        answer.owner[statement.speaker] = target
        answer.moves.setdefault(statement.speaker, []).append((statement.at, target))


def _is_owned(answer: Resolution[G], key: IdentifierKey, at: datetime) -> bool:
    expiry = answer.expiries.get(key)
    return key in answer.owner and (expiry is None or expiry > at)


_READERS: Final[Mapping[Policy, Callable[[Resolution[Any], Statement], None]]] = {
    Policy.SITECORE: _apply,
    Policy.SEGMENT: _apply,
    Policy.ALIAS: _fold,
    Policy.LOGIN: _log_in,
    Policy.JOIN: _join,
}
