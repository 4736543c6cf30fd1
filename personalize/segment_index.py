"""
PURE. Which segments a change of guests can concern, and in which order they are judged.

Called by `memberships` with each batch: of five hundred segments it takes up the few that matter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from personalize.conditions import Compiled

#: Fields that any event of the guest may change.
_SEEN = frozenset({"guest.firstSeen", "guest.lastSeen"})


class Saved(Protocol):
    """What is read of a segment."""

    @property
    def friendly_id(self) -> str: ...

    @property
    def condition(self) -> Compiled: ...


S = TypeVar("S", bound=Saved)


@dataclass(frozen=True)
class Index(Generic[S]):
    """
    Segments by what they read.

    `ordered` has every segment after those that it names itself.
    """

    ordered: Sequence[S]
    _by_event: Mapping[str, frozenset[str]]
    _by_any_event: frozenset[str]
    _by_purchases: frozenset[str]
    _by_goals: frozenset[str]
    _by_forgetting: frozenset[str]
    _touched: Mapping[str, frozenset[str]]

    def by_events(self, types: Iterable[str]) -> frozenset[str]:
        """Return the friendly ids of those that events of these types can concern."""
        return self._by_any_event.union(
            *(self._by_event[type] for type in types if type in self._by_event)
        )

    def by_purchases(self) -> frozenset[str]:
        """Return the friendly ids of those that orders and carts can concern."""
        return self._by_purchases

    def by_goals(self) -> frozenset[str]:
        """Return the friendly ids of those that goals which were reached can concern."""
        return self._by_goals

    def by_forgetting(self) -> frozenset[str]:
        """Return the friendly ids of those that events and carts can concern by being deleted."""
        return self._by_forgetting

    def by_segments(self, names: Iterable[str]) -> frozenset[str]:
        """Return these, and the friendly ids of those that depend on them."""
        return frozenset[str]().union(
            *(self._touched[name] for name in names if name in self._touched)
        )

    def everything(self) -> frozenset[str]:
        """Return the friendly ids of all: a guest that is new or was merged may be in any."""
        return frozenset(segment.friendly_id for segment in self.ordered)


def index(segments: Iterable[S]) -> Index[S]:
    """Make the index of these segments, none of which depends on itself."""
    ordered = _in_order({segment.friendly_id: segment for segment in segments})
    # Who depends on whom, through any number of others: to judge one is to judge those.
    # Lists are judged by nobody, but are depended on.
    touched: dict[str, set[str]] = {}
    for segment in reversed(ordered):
        name = segment.friendly_id
        touched.setdefault(name, set()).add(name)
        for named in segment.condition.segments:
            touched.setdefault(named, set()).update(touched[name])

    def those(names: Iterable[str]) -> frozenset[str]:
        return frozenset[str]().union(*(touched[name] for name in names))

    events = {type for segment in ordered for type in segment.condition.needs.history}
    return Index(
        ordered=ordered,
        _by_event={
            type: those(s.friendly_id for s in ordered if type in s.condition.needs.history)
            for type in events
        },
        _by_any_event=those(s.friendly_id for s in ordered if _is_about_any_event(s.condition)),
        _by_purchases=those(
            s.friendly_id for s in ordered if s.condition.needs.orders or s.condition.needs.cart
        ),
        _by_goals=those(s.friendly_id for s in ordered if s.condition.needs.goals),
        _by_forgetting=those(
            s.friendly_id for s in ordered if s.condition.needs.history or s.condition.needs.cart
        ),
        _touched={name: frozenset(others) for name, others in touched.items()},
    )


def _is_about_any_event(condition: Compiled) -> bool:
    # Who did anything may have changed in the site's own tables too, which tell nobody.
    return bool(condition.fields & _SEEN or condition.needs.site)


def _in_order(segments: Mapping[str, S]) -> list[S]:
    ordered: dict[str, S] = {}

    def place(name: str, waiting: frozenset[str]) -> None:
        if name in ordered or name not in segments or name in waiting:
            return
        for named in sorted(segments[name].condition.segments):
            place(named, waiting | {name})
        ordered[name] = segments[name]

    for name in sorted(segments):
        place(name, frozenset())
    return list(ordered.values())


def circle(names: Mapping[str, Collection[str]], start: str) -> list[str]:
    """
    Return the way from a segment back to itself, or nothing when there is none.

    `names`: segment -> those that it names.
    """
    ways: list[list[str]] = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for named in sorted(names.get(way[-1], ())):
            if named == start:
                return [*way, start]
            if named not in seen:
                seen.add(named)
                ways.append([*way, named])
    return []
