"""
A model made from what was seen: called by the admin's button, changed by people, then saved.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from tracking.event_models import paths
from tracking.event_models.fields import (
    LISTABLE,
    MOST_EXTENSION,
    MOST_FIELDS,
    Field,
    Type,
    extension_of,
)
from tracking.event_models.paths import Steps

#: Of fewer events nobody can tell whether a property always comes.
ENOUGH_EVENTS: Final = 20
#: What every event has by itself: a model need not say it.
_GIVEN: Final = frozenset({"type"})


@dataclass(frozen=True, slots=True)
class SeenPath:
    """A path, and in how many events which JSON type was found there."""

    path: str
    kinds: Mapping[str, int]

    @property
    def count(self) -> int:
        """Events that have a value there; null is none. At least so many, where types mix."""
        return max((n for kind, n in self.kinds.items() if kind != "null"), default=0)

    def share_of(self, events: int) -> float:
        """Return which share of the events has a value there: 0 to 1."""
        total = sum(count for kind, count in self.kinds.items() if kind != "null")
        return min(total / events, 1.0) if events else 0.0


def propose(
    seen: Iterable[SeenPath],
    *,
    events: int,
    known: Sequence[Field] = (),
    most_extension: int = MOST_EXTENSION,
) -> tuple[Field, ...]:
    """
    Return the fields of a model that all that was seen fits, the most frequent first.

    An integer that is sometimes a float is a float; a property of several
    types may be of any. One is required if each of at least ENOUGH_EVENTS
    events has it. Objects and lists show by what they hold. With `known`,
    the fields that a model has, only what it lacks and what goes with it; no
    more than a model can have.
    """
    model = {paths.read(field.path): field.type for field in known}
    holders = {above for steps in model for above in _above(steps)}
    room = MOST_FIELDS - len(model)
    proposed: list[Field] = []
    for steps, each in _leaves(seen, events):
        extension = extension_of([*model, steps])
        if len(proposed) >= room or len(extension) > max(most_extension, len(extension_of(model))):
            continue
        if steps not in holders and _goes_with(steps, model):
            model[steps] = _type(each)
            proposed.append(
                Field(path=each.path, type=_type(each), required=_is_required(each, events))
            )
    return tuple(proposed)


def _leaves(seen: Iterable[SeenPath], events: int) -> list[tuple[Steps, SeenPath]]:
    """Return what was seen that holds nothing, or nothing that can be told; frequent ones first."""
    found = sorted(
        (each for each in seen if each.count and each.path not in _GIVEN),
        key=lambda each: (-each.share_of(events), each.path),
    )
    places = [(paths.read(each.path), each) for each in found]
    # Below what is sometimes a text and sometimes an object, nothing can be said.
    mixed = {steps for steps, each in places if _type(each) == "any"}
    places = [(steps, each) for steps, each in places if not mixed & _above(steps)]
    holders = {above for steps, _ in places for above in _above(steps)}
    return [(steps, each) for steps, each in places if steps not in holders]


def _goes_with(steps: Steps, model: Mapping[Steps, Type]) -> bool:
    """Say whether the model lacks the place, and has nothing above it that says otherwise."""
    return steps not in model and all(
        model.get(steps[:length], "any") in ("any", "list" if steps[length] is None else "object")
        for length in range(1, len(steps))
    )


def _above(steps: Steps) -> set[Steps]:
    return {steps[:length] for length in range(1, len(steps))}


def _type(seen: SeenPath) -> Type:
    kinds = {kind for kind, count in seen.kinds.items() if count and kind != "null"}
    if len(kinds) == 1:
        return cast(Type, kinds.pop())
    return "float" if kinds == {"integer", "float"} else "any"


def _is_required(seen: SeenPath, events: int) -> bool:
    # Of a list's items the counts do not say whether each of them has it.
    return (
        events >= ENOUGH_EVENTS
        and "[]" not in seen.path
        and not seen.kinds.get("null")
        and _type(seen) in LISTABLE
        and seen.count >= events
    )
