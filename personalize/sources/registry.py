"""
The sources that a site has registered, and their fields in the language of conditions.

Mistakes in a registration are a ValueError at once; what takes the models to know is `problems`,
which the system checks report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar, get_args

from personalize.conditions import Field, default_registry
from personalize.conditions.operators import FieldType
from personalize.conditions.registry import MAX_NAME
from personalize.sources.columns import SourceField
from personalize.sources.functions import FunctionSource, OfMany, OfOne
from personalize.sources.rows import MakeQuerySet, RowSource

Source = RowSource | FunctionSource
F = TypeVar("F", bound=OfOne | OfMany)

_NAME = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)*", re.ASCII)
_TYPES = get_args(FieldType)
#: What the names of built-in fields begin with, and of what is no field.
_RESERVED = frozenset(
    {"page", "request", "time", "guest", "session", "orders", "cart", "event", "segment"}
)

_sources: dict[str, Source] = {}


def register_field(
    name: str,
    *,
    label: str,
    type: FieldType = "text",
    choices: Sequence[str] = (),
    group: str = "",
    many: bool = False,
    client_key: str = "",
) -> Callable[[F], F]:
    """
    Let conditions read what a function says of a guest: `shop.loyaltyTier`.

    The function takes a SiteGuest; with `many` a list of them, and answers with a dict by their
    ids: so that many guests cost one query. It answers with plain values, dates or decimals, or
    None: not known. A name that ends in a dot is that of an object, in which conditions name a
    path. `group` is what it stands under in lists of fields; `client_key` limits it to one
    client's guests. Raises ValueError.
    """
    _check(name.removesuffix("."), name, label)
    field = _field(name, label, type, tuple(choices), source=name, group=group)

    def add(function: F) -> F:
        _add(FunctionSource(name, label, function, many, client_key), [field])
        return function

    return add


def register_source(
    name: str,
    *,
    label: str,
    provider: str,
    match: str,
    fields: Mapping[str, SourceField],
    newest: str = "pk",
    client_key: str = "",
) -> Callable[[MakeQuerySet], MakeQuerySet]:
    """
    Let conditions read rows of a model: `fields` says what is made of those of a guest.

    The function returns a queryset. A row belongs to the guest whose identifier of `provider`
    stands in its column `match`; the row with the largest `newest` is the newest one. Fields are
    named `<name>.<field>`. Raises ValueError.
    """
    _check(name, name, label)
    if not provider or not match or not newest:
        raise ValueError(f"the source {name!r} needs a provider, and the column that has its ids")
    if not fields:
        raise ValueError(f"the source {name!r} offers no fields")
    declared = []
    for key, value in fields.items():
        if not isinstance(value, SourceField):
            raise ValueError(f"the field {key!r} of {name!r} is to be count(...), total(...), ...")
        whole = f"{name}.{key}"
        _check(whole, whole, value.label)
        declared.append(
            _field(
                whole,
                value.label,
                value.type,
                value.choices,
                source=name,
                group=label,
                is_count=value.kind == "count",
            )
        )

    def add(make: MakeQuerySet) -> MakeQuerySet:
        source = RowSource(name, label, make, provider, match, newest, dict(fields), client_key)
        _add(source, declared)
        return make

    return add


def unregister(name: str) -> None:
    """Take a source and its fields out again: for tests, and for hosts that reload."""
    if _sources.pop(name, None) is not None:
        for field in default_registry.fields():
            if field.source == name:
                default_registry.unregister(field.name)


def find(name: str) -> Source | None:
    """Return the source of this name, or None."""
    return _sources.get(name)


def problems() -> Iterator[tuple[str, str]]:
    """Yield what is wrong with sources: the name, and a sentence."""
    for name, source in sorted(_sources.items()):
        for problem in source.problems():
            yield name, problem


def _add(source: Source, fields: Sequence[Field]) -> None:
    if source.name in _sources:
        raise ValueError(f"a source called {source.name!r} is already registered")
    taken = [field.name for field in fields if _is_taken(field.name)]
    if taken:
        raise ValueError(f"a field called {taken[0]!r} is already registered")
    _sources[source.name] = source
    for field in fields:
        default_registry.register(field)


def _is_taken(name: str) -> bool:
    known = {field.name for field in default_registry.fields()}
    return name in known or default_registry.resolve(name.removesuffix(".")) is not None


def _check(name: str, given: str, label: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise ValueError(f"{given!r} is no name: use letters and digits, such as shop.loyaltyTier")
    if name.partition(".")[0] in _RESERVED:
        raise ValueError(f"{given!r} begins like a built-in field: choose another first part")
    if not label:
        raise ValueError(f"{given!r} needs a label, which marketers read")


def _field(
    name: str,
    label: str,
    type: FieldType,
    choices: tuple[str, ...],
    *,
    source: str,
    group: str,
    is_count: bool = False,
) -> Field:
    if type not in _TYPES:
        raise ValueError(f"the type of {name!r} is one of {', '.join(_TYPES)}, not {type!r}")
    if not all(isinstance(choice, str) and choice for choice in choices):
        raise ValueError(f"the choices of {name!r} are texts, none of them empty")
    if choices and type not in ("text", "list"):
        raise ValueError(f"{name!r} has choices, so its type is text or list")
    return Field(
        name=name,
        label=label,
        type=type,
        needs="site",
        choices=choices,
        source=source,
        group=group,
        is_count=is_count,
    )
