"""PURE. Output columns: reading their declarations, and values as their types take them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from uuid import UUID

from personalize.conditions.wording import show, show_choices
from personalize.decisions.types import Output, OutputType

MAX_TEXT = 4096
MAX_JSON = 16 * 1024
#: Templates take 32 levels: two of them are the outputs, and a list of what several rows answer.
MAX_DEPTH = 30
#: Within this, a thousand of them can be added up without leaving what JSON can say.
MAX_NUMBER = 10**15
MAX_NAME = 50

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
#: What no database or no writer of JSON takes: NUL, and halves of characters.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_INT64 = range(-(2**63), 2**63)
_TOO_DEEP = f"a JSON value of at most {MAX_DEPTH} levels"


class Unfit(ValueError):
    """A value is not of its type; the text completes the sentence "discount needs ..."."""


def prepare(type_: OutputType, value: object) -> object:
    """
    Return the value as it is answered: plain, for whatever type it is a subclass of.

    Raises Unfit. Never called with None: that is empty.
    """
    return _PREPARE[type_](value)


def _prepare_number(value: object) -> int | float:
    # A NaN compares with nothing, so it is out too.
    if isinstance(value, bool) or not (isinstance(value, int | float) and abs(value) <= MAX_NUMBER):
        raise Unfit(f"a number, at most {MAX_NUMBER:,}")
    return int(value) if isinstance(value, int) else float(value)


def _prepare_boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unfit("yes or no: true or false")
    return value


def _prepare_text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise Unfit(f"a text of at most {MAX_TEXT} characters")
    if _UNSTORABLE.search(value):
        raise Unfit("a text without NUL and half characters")
    return str.__str__(value)


def _prepare_offer(value: object) -> str:
    try:
        return str(UUID(value)) if isinstance(value, str) else _not_an_offer()
    except ValueError:
        return _not_an_offer()


def _not_an_offer() -> str:
    raise Unfit("the ref of an offer")


def _prepare_json(value: object) -> object:
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise Unfit("a JSON value") from None
    if len(text) > MAX_JSON:
        raise Unfit(f"a JSON value of at most {MAX_JSON // 1024} KiB")
    try:
        plain: object = json.loads(text)
    except RecursionError:
        raise Unfit(_TOO_DEEP) from None
    _check_json(plain, MAX_DEPTH)
    return plain


def _check_json(value: object, levels: int) -> None:
    """Refuse what JSON can say, and what reads or keeps it does not take."""
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise Unfit("a JSON value without NUL and half characters")
    elif isinstance(value, int):
        if value not in _INT64:
            raise Unfit("a JSON value whose whole numbers have 64 bits")
    elif isinstance(value, list | dict):
        if not levels:
            raise Unfit(_TOO_DEEP)
        for each in (*value, *value.values()) if isinstance(value, dict) else value:
            _check_json(each, levels - 1)


_PREPARE: dict[OutputType, Callable[[object], object]] = {
    OutputType.NUMBER: _prepare_number,
    OutputType.BOOLEAN: _prepare_boolean,
    OutputType.TEXT: _prepare_text,
    OutputType.OFFER: _prepare_offer,
    OutputType.JSON: _prepare_json,
}


def read_output(given: object) -> tuple[Output | None, list[str]]:
    """Return an output column as it was declared, and what is wrong with the declaration."""
    if not isinstance(given, Mapping):
        return None, ["An output is an object with a “name” and a “type”."]
    name, type_name, default = given.get("name"), given.get("type"), given.get("default")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        return None, [
            f"{show(name)} cannot be the name of an output: use letters, digits and "
            f"underscores, {MAX_NAME} at most, a letter first."
        ]
    if type_name not in OutputType.__members__:
        types = show_choices(OutputType.__members__)
        return None, [f"Output {show(name)}: there is no type {show(type_name)}; use {types}."]
    type_ = OutputType(str(type_name))
    if default is None:
        return Output(name, type_), []
    try:
        return Output(name, type_, prepare(type_, default)), []
    except Unfit as unfit:
        return Output(name, type_), [f"Output {show(name)}: its default needs {unfit}."]
