"""
A client's event models as a JSON document: written and read by `manage.py event_models`.

One document for the same models, to the byte, so that it can be kept under version control.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from tracking.event_models import fields
from tracking.event_models.fields import MOST_EXTENSION, Field

VERSION: Final = 1
Mode: TypeAlias = Literal["OBSERVE", "WARN", "REJECT"]


class InvalidFile(ValueError):
    """The document cannot be taken; `faults` says where and why, a line each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class ModelDocument(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """The model of one type of event."""

    type: str
    mode: Mode = "OBSERVE"
    description: str = ""
    fields: tuple[Field, ...] = ()


class _Shape(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A document whose models are not read yet, so that each is judged alone."""

    version: Annotated[int, Meta(ge=1)]
    event_models: list[dict[str, Any]]


def write(models: Iterable[ModelDocument]) -> str:
    """Return the document of these models: sorted by type, fields in their order."""
    listed = sorted(models, key=lambda model: model.type)
    document = {"version": VERSION, "eventModels": listed}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def read(raw: bytes, *, most_extension: int = MOST_EXTENSION) -> list[ModelDocument]:
    """Read a document. Raises InvalidFile with all that is wrong, by model and field."""
    try:
        shape = msgspec.json.decode(raw, type=_Shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFile([f"This is no document of event models: {error}."]) from None
    if shape.version != VERSION:
        raise InvalidFile([f"The document's version is {shape.version}; this reads {VERSION}."])
    models: list[ModelDocument] = []
    faults: list[str] = []
    for position, given in enumerate(shape.event_models):
        try:
            models.append(_model(given, most_extension))
        except (msgspec.ValidationError, fields.InvalidModel) as error:
            named = given.get("type")
            where = f"model {position + 1}" + (f" ({named})" if isinstance(named, str) else "")
            said = error.faults if isinstance(error, fields.InvalidModel) else [f"{error}."]
            faults += [f"{where}: {each}" for each in said]
    faults += _repeated(models)
    if faults:
        raise InvalidFile(faults)
    return models


def _model(given: dict[str, Any], most_extension: int) -> ModelDocument:
    # First its fields: their own words for what is wrong name the field.
    parsed = fields.parse(given.get("fields", []), most_extension=most_extension)
    model = msgspec.convert({**given, "fields": fields.plain(parsed)}, ModelDocument)
    fault = fields.type_fault(model.type)
    if fault:
        raise fields.InvalidModel([fields.Fault(None, "type", fault)])
    return model


def _repeated(models: Sequence[ModelDocument]) -> list[str]:
    types = [model.type for model in models]
    return [f"{type} has several models." for type in sorted(set(types)) if types.count(type) > 1]
