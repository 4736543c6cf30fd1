"""PURE. Output columns: reading their declarations, and values as their types take them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from uuid import UUID

from personalize.conditions.wording import show, show_choices
from personalize.decisions.types import Output, OutputType

MAX_TEXT = 4096
MAX_JSON = 16 * 1024
#: Within this, a thousand of them can be added up without leaving what JSON can say.
MAX_NUMBER = 10**15
MAX_NAME = 50

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Unfit(ValueError):
    """A value is not of its type; the text completes the sentence "discount needs ..."."""


def prepare(type_: OutputType, value: object) -> object:
    """Return the value as it is answered. Raises Unfit. Never called with None: that is empty."""
    if type_ is OutputType.NUMBER:
        # A NaN compares with nothing, so it is out too.
        if isinstance(value, bool) or not (
            isinstance(value, int | float) and abs(value) <= MAX_NUMBER
        ):
            raise Unfit(f"a number, at most {MAX_NUMBER:,}")
    elif type_ is OutputType.BOOLEAN:
        if not isinstance(value, bool):
            raise Unfit("yes or no: true or false")
    elif type_ is OutputType.TEXT:
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise Unfit(f"a text of at most {MAX_TEXT} characters")
    elif type_ is OutputType.OFFER:
        return _prepare_offer(value)
    else:
        _check_json(value)
    return value


def _prepare_offer(value: object) -> str:
    try:
        return str(UUID(value)) if isinstance(value, str) else _not_an_offer()
    except ValueError:
        return _not_an_offer()


def _not_an_offer() -> str:
    raise Unfit("the ref of an offer")


def _check_json(value: object) -> None:
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise Unfit("a JSON value") from None
    if len(text) > MAX_JSON:
        raise Unfit(f"a JSON value of at most {MAX_JSON // 1024} KiB")


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
