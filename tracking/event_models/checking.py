"""
Whether an event's data fits its model, and what does not, in the caller's terms.

The catalog compiles a model once, sifting checks each event with it, and the
admin tries a model on events that were seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from tracking.event_models import paths
from tracking.event_models.fields import Field, fits, kind_of, shown

#: More would say no more: whoever sent that many has one mistake in all of them.
MOST_PROBLEMS: Final = 10
_MOST_LISTED: Final = 10


@dataclass(slots=True)
class Node:
    """What a model says of one place, and of the places below it. Built by `compiled`."""

    own: Field | None = None
    children: dict[str, Node] = field(default_factory=dict)
    items: Node | None = None
    #: Children that may not be missing, each with the paths to name then.
    required: dict[str, list[str]] = field(default_factory=dict)


def compiled(fields: Sequence[Field]) -> Node:
    """Return a model as a tree, in which an event is checked in one pass over what it has."""
    root = Node()
    for each in fields:
        node = root
        for step in paths.read(each.path):
            if step is None:
                node.items = node.items or Node()
                node = node.items
            else:
                node = node.children.setdefault(step, Node())
        node.own = each
    _require(root)
    return root


def _require(node: Node) -> list[str]:
    """Note what is required below a node. Returns the paths that are missing if it is."""
    missing: list[str] = []
    for name, child in node.children.items():
        below = _require(child)
        is_required = child.own is not None and child.own.required
        named = below or ([""] if is_required else [])
        if named:
            node.required[name] = [paths.after(name) + rest for rest in named]
            missing += node.required[name]
    if node.items is not None:
        # Of a list that is not there, no item can miss anything.
        _require(node.items)
    return missing


def check(data: Mapping[str, Any], model: Node) -> list[str]:
    """Say what does not fit, MOST_PROBLEMS at most. What no field names is no problem."""
    return list(islice(_below(data, model, ""), MOST_PROBLEMS))


def _problems(value: Any, node: Node, path: str) -> Iterator[str]:
    if node.own is not None:
        problem = _problem(value, node.own)
        if problem:
            yield f"{path} {problem}"
            return
    if node.children:
        if isinstance(value, Mapping):
            yield from _below(value, node, path)
        elif not node.items:
            yield f"{path} {_misfit(value, 'object')}"
    if node.items is not None:
        if isinstance(value, list):
            yield from _inside(value, node.items, path)
        elif not node.children:
            yield f"{path} {_misfit(value, 'list')}"


def _below(value: Mapping[str, Any], node: Node, path: str) -> Iterator[str]:
    for name, missing in node.required.items():
        if value.get(name) is None:
            for rest in missing:
                yield f"{_joined(path, rest)} is missing; the event model requires it."
    # Whichever is shorter: an event may have far more keys than its model, or far fewer.
    names = node.children if len(node.children) < len(value) else value
    for name in names:
        child, item = node.children.get(name), value.get(name)
        if child is not None and item is not None:
            yield from _problems(item, child, _joined(path, paths.after(name)))


def _inside(value: list[Any], node: Node, path: str) -> Iterator[str]:
    is_required = node.own is not None and node.own.required
    for index, item in enumerate(value):
        if item is not None:
            yield from _problems(item, node, f"{path}[{index}]")
        elif is_required:
            yield f"{path}[{index}] is null; the event model requires a value."


def _problem(value: Any, wanted: Field) -> str:
    if not fits(wanted.type, value):
        return _misfit(value, wanted.type)
    if wanted.allowed_values and value not in wanted.allowed_values:
        listed = ", ".join(shown(each) for each in wanted.allowed_values[:_MOST_LISTED])
        more = ", …" if len(wanted.allowed_values) > _MOST_LISTED else ""
        return f"is {shown(value)}; the event model allows {listed}{more}."
    return ""


def _misfit(value: Any, wanted: str) -> str:
    kind = kind_of(value)
    said = shown(value) if kind in ("list", "object") else f"{shown(value)}, of type {kind}"
    return f"is {said}; the event model says {wanted}."


def _joined(path: str, rest: str) -> str:
    return path + rest if path else rest.removeprefix(".")
