"""PURE. Facts written by field name: how tests, trials and examples state what is known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from personalize.conditions import Facts, Field, Registry, default_registry
from personalize.conditions.wording import show

#: `event.ADD`: how often the guest did ADD in this session.
EVENT = "event."
MAX_TIMES = 100
MAX_FACTS = 100


def check_facts(values: object, registry: Registry = default_registry) -> list[str]:
    """Return what is wrong with stated facts, in sentences."""
    if not isinstance(values, Mapping):
        return ["Facts are an object of fields and their values."]
    if len(values) > MAX_FACTS:
        return [f"There are {len(values)} facts; {MAX_FACTS} are enough."]
    problems = []
    for name, value in values.items():
        if str(name).startswith(EVENT) and len(str(name)) > len(EVENT):
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not 0 <= value <= MAX_TIMES:
                problems.append(f"{show(name)} needs how often it happened: 0 to {MAX_TIMES}.")
        elif (field := registry.resolve(str(name))) is None:
            problems.append(f"There is no field {show(name)}: choose one of the fields listed.")
        elif field.needs == "time":
            problems.append(f"{field.label} is what it is when it is tried: leave it out.")
    return problems


def facts_of(
    values: Mapping[str, object], *, now: datetime, registry: Registry = default_registry
) -> Facts:
    """
    Return the facts that these fields state: `{"guest.country": "IE", "event.ADD": 2}`.

    Names that are no fields are left out; a null is a value that is missing.
    """
    groups: dict[str, dict[str, Any]] = {
        "request": {}, "guest": {}, "session": {}, "orders": {}, "cart": {},
    }  # fmt: skip
    site: dict[str, object] = {}
    events: list[tuple[str, Mapping[str, object]]] = []
    for name, value in values.items():
        if name.startswith(EVENT):
            times = value if isinstance(value, int) else 0
            events += [(name.removeprefix(EVENT), {})] * min(times, MAX_TIMES)
            continue
        field = registry.resolve(name)
        if field is None or value is None:
            continue
        if field.needs == "site":
            _state(site, field, value)
            continue
        # The page's path is read from the page itself.
        path = ["request", "page"] if field.name.startswith("page") else field.name.split(".")
        if path[0] in groups and len(path) > 1:
            _put(groups[path[0]], path[1:], value)
    return Facts(
        now=now,
        events=events,
        request=groups["request"],
        guest=groups["guest"],
        session=groups["session"],
        orders=groups["orders"],
        cart=groups["cart"],
        site=site,
    )


def say(values: Mapping[str, object], registry: Registry = default_registry) -> str:
    """Return stated facts in words: `Guest country is “IE” and Session views is 3`."""
    parts = []
    for name, value in values.items():
        field = registry.resolve(name)
        label = field.label if field else name
        parts.append(f"{label} is missing" if value is None else f"{label} is {show(value)}")
    return " and ".join(parts) or "nothing is known"


def _state(site: dict[str, object], field: Field, value: object) -> None:
    """State a value of the site's own: below a prefix at its path, else as it is."""
    if not field.prefix:
        site[field.name] = value
        return
    below = site.setdefault(field.prefix, {})
    if isinstance(below, dict):
        _put(below, field.name.removeprefix(field.prefix).split("."), value)


def _put(group: dict[str, Any], path: list[str], value: object) -> None:
    for key in path[:-1]:
        below = group.setdefault(key, {})
        if not isinstance(below, dict):
            return
        group = below
    group[path[-1]] = value
