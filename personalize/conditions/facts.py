"""What a condition may read, and the readers that fetch one value from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

Read = Callable[["Facts"], object]

UTM_ALIASES = ("utm.", "utm_")
#: The segment of a path that means any item of a list.
ANY_ITEM = "*"


# No slots: the page's path is worked out once per call, by whoever needs it first.
@dataclass(frozen=True, kw_only=True)
class Facts:
    """
    Everything one evaluation may read. Built by the caller, plain JSON values only.

    request: {"page": str, "params": {...} (see normalise_params), "channel", "language",
    "currency", "pointOfSale", "referrer", "device", "geo": {"city", "region", "country"}}.
    guest: {"type", "email", "firstName", "lastName", "gender", "country", "city", "language",
    "phone", "firstSeen", "lastSeen" (datetime or ISO text), "attributes": {...},
    "identifiers": [provider, ...], "segments": [friendly id, ...]}, or None when nobody is known.
    session: {"entryPage", "referrer", "utm": {...}, "views", "events", "durationSeconds",
    "isNew"}, or None when there is none.
    events: (type, data) of this session, in any order; only the types a tree's `needs` names
    have to be there. history: (type, data, when) of all that the guest did, likewise.
    orders: {"count", "revenue", "averageValue", "lastAt", "products", "categories"}, cart:
    {"value", "items", "products"}, or None when nobody is known.
    goals: those that the guest reached: friendly id of a flow -> name of the goal -> when first,
    or true where nothing tells when.
    site: values of the site's own, by the whole name of their field; site_faults: its sources
    that failed, whose values are missing, and why.
    time_zone: by whose clock it is Monday, a name of the IANA database.
    """

    now: datetime
    time_zone: str = "UTC"
    request: Mapping[str, object]
    guest: Mapping[str, object] | None = None
    session: Mapping[str, object] | None = None
    events: Sequence[tuple[str, Mapping[str, object]]] = ()
    history: Sequence[tuple[str, Mapping[str, object], datetime]] = ()
    orders: Mapping[str, object] | None = None
    cart: Mapping[str, object] | None = None
    goals: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    site: Mapping[str, object] = field(default_factory=dict)
    site_faults: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def local(self) -> datetime:
        """Now, as clocks where the site is show it."""
        return self.now.astimezone(ZoneInfo(self.time_zone))

    @cached_property
    def page(self) -> str | None:
        page = self.request.get("page") if isinstance(self.request, Mapping) else None
        return page if isinstance(page, str) else None

    @cached_property
    def page_path(self) -> str | None:
        """The path of the page: `/pricing` of `https://shop.example/pricing?x=1#top`."""
        if self.page is None:
            return None
        try:
            return urlsplit(self.page).path or "/"
        except ValueError:
            return None


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The facts a tree names, so that the caller loads those and no others."""

    guest: bool = False
    session: bool = False
    events: frozenset[str] = frozenset()
    #: Types of events of any visit -> how many days back; None: all there are.
    history: Mapping[str, int | None] = field(default_factory=dict)
    orders: bool = False
    cart: bool = False
    segments: bool = False
    #: Friendly ids of the flows whose goals are asked for.
    goals: frozenset[str] = frozenset()
    #: Names of the site's own sources.
    site: frozenset[str] = frozenset()


def joined(needs: Iterable[Needs]) -> Needs:
    """Return all that any of these trees names; of two windows the wider."""
    all_needs = list(needs)
    history: dict[str, int | None] = {}
    for each in all_needs:
        for event, days in each.history.items():
            known = history.get(event, 0)
            history[event] = None if days is None or known is None else max(days, known)
    return Needs(
        guest=any(each.guest for each in all_needs),
        session=any(each.session for each in all_needs),
        events=frozenset[str]().union(*(each.events for each in all_needs)),
        history=history,
        orders=any(each.orders for each in all_needs),
        cart=any(each.cart for each in all_needs),
        segments=any(each.segments for each in all_needs),
        goals=frozenset[str]().union(*(each.goals for each in all_needs)),
        site=frozenset[str]().union(*(each.site for each in all_needs)),
    )


def step_reader(path: tuple[str, ...]) -> Callable[[object], object]:
    """
    Return a function that follows `path` through nested dicts and lists.

    A segment made of digits is an index when it meets a list. Anything absent, and any step
    into something that is neither dict nor list, reads as None: facts are data, never objects.
    With a `*`, which is any item of a list, it returns a tuple of what its items have there,
    in any number but none: then it is None.
    """
    if ANY_ITEM in path:
        return _items_reader(path)
    steps = tuple(
        (key, int(key) if key.isascii() and key.isdigit() and len(key) < 10 else None)
        for key in path
    )

    def read(value: object) -> object:
        for key, index in steps:
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and index is not None:
                value = value[index] if index < len(value) else None
            elif isinstance(value, Mapping):
                value = value.get(key)
            else:
                return None
        return value

    return read


def _items_reader(path: tuple[str, ...]) -> Callable[[object], object]:
    at = path.index(ANY_ITEM)
    reach, follow = step_reader(path[:at]), values_reader(path[at + 1 :])

    def read(value: object) -> object:
        listed = reach(value)
        if isinstance(listed, Mapping):
            # Of an object it is a key like any other.
            listed = [listed.get(ANY_ITEM)]
        if not isinstance(listed, list):
            return None
        return tuple(found for item in listed for found in follow(item)) or None

    return read


def values_reader(path: tuple[str, ...]) -> Callable[[object], tuple[object, ...]]:
    """Return a function that finds all values at `path`: one at most, unless it has a `*`."""
    read, is_many = step_reader(path), ANY_ITEM in path

    def values(value: object) -> tuple[object, ...]:
        found = read(value)
        if found is None:
            return ()
        return found if is_many and isinstance(found, tuple) else (found,)

    return values


def values_at(path: str) -> Callable[[object], tuple[object, ...]]:
    """Return a function that finds all values at a dotted path of an event's data."""
    return values_reader(dotted_path(path))


def site_reader(name: str, path: tuple[str, ...] = ()) -> Read:
    """Return a reader of what the site's own source gave under this name, or at a path in it."""
    follow = step_reader(path)
    return lambda facts: follow(facts.site.get(name))


def fact_reader(path: tuple[str, ...]) -> Read:
    """Return a reader of `path`, whose first segment names a group of facts."""
    group, rest = path[0], path[1:]
    follow = step_reader(rest)
    if group == "request":
        return lambda facts: follow(facts.request)
    if group == "guest":
        return lambda facts: follow(facts.guest)
    if group == "session":
        return lambda facts: follow(facts.session)
    if group == "orders":
        return lambda facts: follow(facts.orders)
    if group == "cart":
        return lambda facts: follow(facts.cart)
    raise ValueError(f"no fact group is called {group!r}")


def normalise_params(params: object) -> dict[str, object]:
    """
    Return request params in which a UTM value has one place: params["utm"][key].

    Clients send `{"utm": {"source": x}}`, `{"utm.source": x}` and `{"utm_source": x}`; all three
    are one fact. Where they disagree the nested one wins, then the dotted one. A null counts as
    not sent. Anything that is not an object gives {}; the input is never changed.
    """
    if not isinstance(params, Mapping):
        return {}
    rest: dict[str, object] = {}
    utm: dict[str, object] = {}
    dotted: dict[str, object] = {}
    underscored: dict[str, object] = {}
    for key, value in params.items():
        if not isinstance(key, str):
            continue
        if key == "utm" and isinstance(value, Mapping):
            utm = {k: v for k, v in value.items() if isinstance(k, str)}
        elif key.startswith("utm.") and len(key) > 4:
            dotted[key[4:]] = value
        elif key.startswith("utm_") and len(key) > 4:
            underscored[key[4:]] = value
        else:
            rest[key] = value
    for source in (dotted, underscored):
        for key, value in source.items():
            if utm.get(key) is None:
                utm[key] = value
    return {**rest, "utm": utm} if utm else rest


def param_path(rest: str) -> tuple[str, ...]:
    """Split the part of a field name after `request.params.`; UTM spellings are one path."""
    for alias in UTM_ALIASES:
        if rest.startswith(alias) and len(rest) > len(alias):
            return ("utm", rest[len(alias) :])
    return dotted_path(rest)


def dotted_path(rest: str) -> tuple[str, ...]:
    return tuple(rest.split("."))
