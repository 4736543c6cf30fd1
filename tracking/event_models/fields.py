"""
The fields of an event model: path, type, whether required, which values are allowed.

The admin's form, the files and the command read them with `parse`; checking
compiles them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from tracking.event_models import paths
from tracking.event_models.paths import Steps
from tracking.types import SERVER_TYPES

Type: TypeAlias = Literal["string", "integer", "float", "boolean", "object", "list", "any"]
TYPES: Final[tuple[Type, ...]] = get_args(Type)
#: Types whose values can be listed.
LISTABLE: Final = frozenset({"string", "integer", "float", "boolean"})

MOST_FIELDS: Final = 150
MOST_ALLOWED: Final = 100
#: Attributes that an event's `ext` has at most, as its doors count them.
MOST_EXTENSION: Final = 50
_LONGEST_ALLOWED: Final = 200
_LONGEST_DESCRIPTION: Final = 500
_LONGEST_TYPE: Final = 200

Scalar: TypeAlias = str | int | float | bool


class Field(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True,
    forbid_unknown_fields=True,
):  # fmt: skip
    """
    One property of an event. Without `allowed_values` every value of the type will do.

    A field below a list is required of each item that there is.
    """

    path: str
    type: Type
    required: bool = False
    allowed_values: tuple[Scalar, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a model: at which field, in which of its parts; None: in the whole."""

    position: int | None
    part: str
    message: str

    def __str__(self) -> str:
        return (
            self.message if self.position is None else f"field {self.position + 1}: {self.message}"
        )


class InvalidModel(ValueError):
    """The fields make no model; `faults` says where and why."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(" ".join(fault.message for fault in faults))
        self.faults = faults


def parse(document: object, *, most_extension: int = MOST_EXTENSION) -> tuple[Field, ...]:
    """Read a list of JSON objects as the fields of one model. Raises InvalidModel."""
    if not isinstance(document, list | tuple):
        raise InvalidModel([Fault(None, "", "The fields are a list.")])
    found: list[Field] = []
    for position, item in enumerate(document):
        try:
            found.append(msgspec.convert(item, Field))
        except msgspec.ValidationError as error:
            raise InvalidModel([Fault(position, "", f"{error}.")]) from None
    faults = list(faults_of(found, most_extension=most_extension))
    if faults:
        raise InvalidModel(faults)
    return tuple(found)


def plain(fields: Sequence[Field]) -> list[dict[str, Any]]:
    """Return the fields as JSON objects, as `parse` reads them."""
    built: list[dict[str, Any]] = msgspec.to_builtins(list(fields))
    return built


def type_fault(event_type: str) -> str:
    """Say what is wrong with the name of an event's type; empty: nothing."""
    if not event_type or event_type != event_type.strip():
        return "An event's type has a name, without space around it."
    if len(event_type) > _LONGEST_TYPE:
        return f"An event's type has at most {_LONGEST_TYPE} characters."
    if event_type in SERVER_TYPES:
        return f"{event_type} events are the server's own: nobody sends them."
    return ""


def faults_of(fields: Sequence[Field], *, most_extension: int = MOST_EXTENSION) -> Iterator[Fault]:
    """Yield everything that is wrong with these fields."""
    if len(fields) > MOST_FIELDS:
        yield Fault(None, "", f"A model has at most {MOST_FIELDS} fields.")
    known: dict[Steps, Field] = {}
    for position, field in enumerate(fields):
        try:
            steps = paths.read(field.path)
        except paths.BadPath as error:
            yield Fault(position, "path", str(error))
            continue
        if steps in known:
            yield Fault(position, "path", f"{field.path} is in the model already.")
        known[steps] = field
        yield from _faults_in(field, position)
    yield from _faults_between(fields, known)
    if len(extension_of(known)) > most_extension:
        yield Fault(None, "", f"ext has at most {most_extension} attributes.")


def extension_of(places: Iterable[Steps]) -> set[str | None]:
    """Return the attributes of `ext` among the places, as the doors count them."""
    named = {steps[1] for steps in places if steps[0] == "ext" and len(steps) > 1}
    # SDKs count 50 and then add this one, so that it rides free.
    return named - {"pageVariantId"}


def _faults_in(field: Field, position: int) -> Iterator[Fault]:
    if len(field.description) > _LONGEST_DESCRIPTION:
        limit = f"A description has at most {_LONGEST_DESCRIPTION} characters."
        yield Fault(position, "description", limit)
    if not field.allowed_values:
        return
    for message in _faults_of_allowed(field):
        yield Fault(position, "allowedValues", message)


def _faults_of_allowed(field: Field) -> Iterator[str]:
    if field.type not in LISTABLE:
        yield f"Values can be listed for {', '.join(sorted(LISTABLE))} fields alone."
        return
    if len(field.allowed_values) > MOST_ALLOWED:
        yield f"At most {MOST_ALLOWED} values can be listed."
    for value in field.allowed_values:
        if not fits(field.type, value):
            yield f"{shown(value)} is not of the type {field.type}."
        elif isinstance(value, str) and len(value) > _LONGEST_ALLOWED:
            yield f"{shown(value)} has more than {_LONGEST_ALLOWED} characters."
        elif isinstance(value, str) and not (value.isprintable() and value == value.strip() != ""):
            yield f"{shown(value)} is empty, has space around it, or what cannot be typed."


def _faults_between(fields: Sequence[Field], known: Mapping[Steps, Field]) -> Iterator[Fault]:
    """Yield fields that others stand below of, though their own type holds none."""
    holders: dict[Steps, str] = {
        steps[:length]: "list" if steps[length] is None else "object"
        for steps in known
        for length in range(1, len(steps))
    }
    for position, field in enumerate(fields):
        try:
            needed = holders.get(paths.read(field.path))
        except paths.BadPath:
            continue
        if needed is not None and field.type not in (needed, "any"):
            message = f"{field.path} has fields below it, so its type is {needed}."
            yield Fault(position, "type", message)


def fits(type: Type, value: object) -> bool:
    """Say whether a JSON value is of the type. A whole float counts as an integer."""
    match type:
        case "any":
            return True
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "object":
            return isinstance(value, Mapping)
        case "list":
            return isinstance(value, list)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return type == "float" or isinstance(value, int) or value.is_integer()


def kind_of(value: object) -> str:
    """Name the type of a JSON value; "null" for None."""
    return _KINDS.get(type(value), "object")


_KINDS: Final = {
    type(None): "null",
    bool: "boolean",
    str: "string",
    int: "integer",
    float: "float",
    list: "list",
}


def shown(value: object, *, longest: int = 40) -> str:
    """Return a scalar as JSON writes it, cut where it is long; of others the type."""
    kind = kind_of(value)
    if kind in ("list", "object"):
        return f"a {kind}" if kind == "list" else f"an {kind}"
    if isinstance(value, str) and len(value) > longest:
        value = value[:longest] + "…"
    return msgspec.json.encode(value).decode()
