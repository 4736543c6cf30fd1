"""
Kinds of values that a semantic event's properties have, and how what was sent is read as one.

A value of another type is taken where it can mean one thing only: SDKs' users
send numbers as texts, and ids as numbers.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final


def _(message: str) -> str:
    """Mark a text for translation. Whoever shows it translates it."""
    return message


@dataclass(frozen=True, slots=True)
class Remark:
    """What does not fit: a sentence to translate, whose `%(...)s` are filled by `values`."""

    sentence: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Kind:
    """
    What a property is. `type` is what the documentation calls it.

    fields: of an object, or of each object of a list. choices: all that it
    may be. misfit: says of a value that it is none of these.
    """

    name: str
    type: str
    misfit: str
    fields: Mapping[str, "Kind"] = field(default_factory=dict)
    choices: tuple[str, ...] = ()


TEXT: Final = Kind("text", "string", _("%(name)s is not a text."))
#: Names a thing to programs, and says nothing to people.
ID: Final = Kind("id", "string", _("%(name)s is not a text."))
URL: Final = Kind("url", "string", _("%(name)s is not a text."))
NUMBER: Final = Kind("number", "number", _("%(name)s is not a number."))
#: A number in the event's `currency`.
MONEY: Final = Kind("money", "number", _("%(name)s is not a number."))
PERCENT: Final = Kind("percent", "integer", _("%(name)s is not a number."))
INTEGER: Final = Kind("integer", "integer", _("%(name)s is not a whole number."))
BOOLEAN: Final = Kind("boolean", "boolean", _("%(name)s is neither true nor false."))
DATE: Final = Kind("date", "date", _("%(name)s is not an ISO 8601 date."))
CURRENCY: Final = Kind("currency", "currency code", _("%(name)s is not a code of three letters."))
#: A list of ids; one alone may come without the list.
IDS: Final = Kind("ids", "list of strings", _("%(name)s is not a list of texts."))
TEXTS: Final = Kind("texts", "list of strings", _("%(name)s is not a list of texts."))


def one_of(*choices: str) -> Kind:
    return Kind("choice", "string", _("%(name)s is none of %(choices)s."), choices=choices)


def having(fields: Mapping[str, Kind]) -> Kind:
    """An object with these fields."""
    return Kind("object", "object", _("%(name)s is not an object."), fields)


def list_of(fields: Mapping[str, Kind]) -> Kind:
    """A list of objects with these fields."""
    return Kind("objects", "objects", _("%(name)s is not a list of objects."), fields)


def read(kind: Kind, value: Any, name: str, remarks: list[Remark]) -> Any:
    """
    Return the value as its kind has it, None where there is none or it does not fit.

    What does not fit is added to `remarks` under its path: `products[1].price`.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        if kind.name in ("ids", "texts"):
            return _texts(value) or None
        if kind.name == "object":
            return _object(kind, value, name, remarks) or None
        if kind.name == "objects":
            return _objects(kind, value, name, remarks) or None
        if kind.name == "choice":
            return _choice(value, kind.choices)
        return _READERS[kind.name](value)
    except _Misfit:
        remarks.append(Remark(kind.misfit, {"name": name, "choices": ", ".join(kind.choices)}))
        return None


class _Misfit(ValueError):
    """The value is not of the kind."""


#: What is longer is no number that anybody means.
_MOST_DIGITS: Final = 40
_DECIMAL: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    number = _number(value)
    return str(int(number) if number == int(number) else number)


def _number(value: Any) -> int | float:
    if isinstance(value, str):
        digits = value.strip()
        if len(digits) > _MOST_DIGITS or not _DECIMAL.fullmatch(digits):
            raise _Misfit
        return float(digits) if "." in digits else int(digits)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Misfit
    # So asked, it holds of what is no number at all, too.
    if not abs(value) < 10**_MOST_DIGITS:
        raise _Misfit
    return value


def _integer(value: Any) -> int:
    number = _number(value)
    if number != int(number):
        raise _Misfit
    return int(number)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = _word(value).lower()
    if word not in ("true", "false"):
        raise _Misfit
    return word == "true"


def _date(value: Any) -> date:
    try:
        return datetime.fromisoformat(_word(value)).date()
    except ValueError:
        raise _Misfit from None


def _currency(value: Any) -> str:
    code = _word(value).upper()
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        raise _Misfit
    return code


def _choice(value: Any, choices: tuple[str, ...]) -> str:
    code = _word(value).lower()
    if code not in choices:
        raise _Misfit
    return code


def _texts(value: Any) -> list[str]:
    return [_text(item) for item in (value if isinstance(value, list) else [value])]


def _object(kind: Kind, value: Any, name: str, remarks: list[Remark]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _Misfit
    found = {
        key: read(inner, value.get(key), f"{name}.{key}", remarks)
        for key, inner in kind.fields.items()
    }
    return {key: typed for key, typed in found.items() if typed is not None}


def _objects(kind: Kind, value: Any, name: str, remarks: list[Remark]) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise _Misfit
    one = having(kind.fields)
    found = [read(one, item, f"{name}[{index}]", remarks) for index, item in enumerate(value)]
    return [item for item in found if item is not None]


def _word(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "text": _text,
    "id": _text,
    "url": _text,
    "number": _number,
    "money": _number,
    "integer": _integer,
    "boolean": _boolean,
    "date": _date,
    "currency": _currency,
}
