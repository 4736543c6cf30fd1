"""
The operators, per type of value, and what each does with a value that is not there.

Missing means absent or null. A missing value makes every leaf false, negative operators
included (`is_not`, `does_not_contain`, `excludes`, ...): nobody is targeted by what we do not
know. Only `is_missing` holds for it. A value of the wrong type counts as missing, except that
`exists` holds for anything that is there. An empty text is a value.

Text is compared without regard to case (Unicode case folding), except by `is_exactly`. Numbers
and booleans can be read as text ("5", "true"); text that spells a number can be read as one;
a boolean is never a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from personalize.conditions.globs import MAX_PATTERN, compile_glob
from personalize.conditions.patterns import PatternInvalid, compile_pattern

FieldType = Literal["text", "number", "boolean", "datetime", "list", "any"]
OperandKind = Literal[
    "none", "text", "pattern", "texts", "number", "range", "datetime", "days", "regex"
]
Test = Callable[[object], bool]

MAX_DAYS = 3650

MAX_TEXT = 4096
MAX_CHOICES = 1000

_NUMBER = re.compile(r"[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,3})?", re.ASCII)


class Unfit(ValueError):
    """An operand cannot be used; the text completes the sentence "“starts with” needs ..."."""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """
    One way to compare.

    type: which values it compares ("any" for those that fit every type).
    label: "contains"; wanted: the same inside "wanted it ...": "to contain".
    bind: operand (as `prepare_operand` returned it) -> test of one value that is there.
    negative: holds when the comparison does not; where a field offers several spellings of one
    value, all of them must pass.
    span: operand -> from when to before when a moment passes, as distances from now.
    """

    name: str
    type: FieldType
    label: str
    wanted: str
    operand: OperandKind
    bind: Callable[[Any], Test]
    negative: bool = False
    holds_when_missing: bool = False
    #: Of an operator that compares with now: the span of moments around it that pass.
    span: Callable[[Any], tuple[timedelta, timedelta]] | None = None


def as_text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**30 else None
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return None


def as_number(value: object) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value) if value.lstrip("+-").isdigit() else as_number(float(value))
    return None


def as_boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.casefold())
    return None


def as_datetime(value: object) -> datetime | None:
    """Read ISO 8601 text; without an offset it is UTC, without a time it is midnight."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


def as_texts(value: object) -> list[str] | None:
    if isinstance(value, list | tuple):
        return [text.casefold() for item in value if (text := as_text(item)) is not None]
    text = as_text(value)
    return None if text is None else [text.casefold()]


def prepare_operand(kind: OperandKind, value: object) -> object:
    """Return the stored value in the form `Operator.bind` takes. Raises Unfit."""
    return _PREPARE[kind](value)


def _prepare_none(value: object) -> None:
    if value not in (None, ""):
        raise Unfit("no value")


def _prepare_text(value: object) -> str:
    if not isinstance(value, str):
        raise Unfit("a text value")
    if not value:
        raise Unfit("a text that is not empty")
    if len(value) > MAX_TEXT:
        raise Unfit(f"a text of at most {MAX_TEXT} characters")
    return value


def _prepare_pattern(value: object) -> str:
    pattern = _prepare_text(value)
    if len(pattern) > MAX_PATTERN:
        raise Unfit(f"a pattern of at most {MAX_PATTERN} characters")
    return pattern


def _prepare_regex(value: object) -> str:
    pattern = _prepare_text(value)
    try:
        compile_pattern(pattern)
    except PatternInvalid as error:
        raise Unfit(str(error)) from None
    return pattern


def _prepare_texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise Unfit("a list with at least one value")
    if len(value) > MAX_CHOICES:
        raise Unfit(f"a list of at most {MAX_CHOICES} values")
    texts = [as_text(item) for item in value]
    if not all(texts):
        raise Unfit("a list of texts, none of them empty")
    return tuple(_prepare_text(text) for text in texts)


def _prepare_number(value: object) -> int | float:
    number = as_number(value)
    if number is None:
        raise Unfit("a number")
    return number


def _prepare_range(value: object) -> tuple[int | float, int | float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise Unfit("two numbers, the lower one first")
    low, high = as_number(value[0]), as_number(value[1])
    if low is None or high is None or low > high:
        raise Unfit("two numbers, the lower one first")
    return low, high


def _prepare_datetime(value: object) -> datetime:
    moment = as_datetime(value)
    if moment is None:
        raise Unfit("a date or time such as 2026-01-31 or 2026-01-31T12:00:00Z")
    return moment


def _prepare_days(value: object) -> timedelta:
    number = as_number(value)
    if number is None or not 0 < number <= MAX_DAYS:
        raise Unfit(f"a number of days, more than 0 and at most {MAX_DAYS}")
    return timedelta(days=number)


_PREPARE: dict[OperandKind, Callable[[object], object]] = {
    "none": _prepare_none,
    "text": _prepare_text,
    "pattern": _prepare_pattern,
    "regex": _prepare_regex,
    "texts": _prepare_texts,
    "number": _prepare_number,
    "range": _prepare_range,
    "datetime": _prepare_datetime,
    "days": _prepare_days,
}


def _on_text(compare: Callable[[str, str], bool]) -> Callable[[str], Test]:
    def bind(operand: str) -> Test:
        wanted = operand.casefold()

        def test(value: object) -> bool:
            text = value if isinstance(value, str) else as_text(value)
            return text is not None and compare(text.casefold(), wanted)

        return test

    return bind


def _is_exactly(operand: str) -> Test:
    return lambda value: as_text(value) == operand


def _among(*, negative: bool) -> Callable[[tuple[str, ...]], Test]:
    def bind(operand: tuple[str, ...]) -> Test:
        wanted = frozenset(text.casefold() for text in operand)

        def test(value: object) -> bool:
            text = as_text(value)
            return text is not None and (text.casefold() in wanted) is not negative

        return test

    return bind


def _matches_glob(operand: str) -> Test:
    match = compile_glob(operand.casefold())

    def test(value: object) -> bool:
        text = as_text(value)
        return text is not None and match(text.casefold())

    return test


def _matches_regex(operand: str) -> Test:
    match = compile_pattern(operand)

    def test(value: object) -> bool:
        text = as_text(value)
        return text is not None and match(text)

    return test


def _on_number(compare: Callable[[float, float], bool]) -> Callable[[float], Test]:
    def bind(operand: float) -> Test:
        def test(value: object) -> bool:
            number = value if type(value) is int else as_number(value)
            return number is not None and compare(number, operand)

        return test

    return bind


def _between(operand: tuple[float, float]) -> Test:
    low, high = operand

    def test(value: object) -> bool:
        number = as_number(value)
        return number is not None and low <= number <= high

    return test


def _boolean(*, wanted: bool) -> Callable[[object], Test]:
    return lambda _: lambda value: as_boolean(value) is wanted


def _on_datetime(compare: Callable[[datetime, datetime], bool]) -> Callable[[datetime], Test]:
    def bind(operand: datetime) -> Test:
        def test(value: object) -> bool:
            moment = as_datetime(value)
            return moment is not None and compare(moment, operand)

        return test

    return bind


def _includes(operand: str) -> Test:
    wanted = operand.casefold()

    def test(value: object) -> bool:
        texts = as_texts(value)
        return texts is not None and wanted in texts

    return test


def _includes_any(operand: tuple[str, ...]) -> Test:
    wanted = frozenset(text.casefold() for text in operand)

    def test(value: object) -> bool:
        texts = as_texts(value)
        return texts is not None and not wanted.isdisjoint(texts)

    return test


def _excludes(operand: str) -> Test:
    wanted = operand.casefold()

    def test(value: object) -> bool:
        texts = as_texts(value)
        return texts is not None and wanted not in texts

    return test


def _present(_: object) -> Test:
    return lambda value: value is not None


def _missing(_: object) -> Test:
    return lambda value: value is None


def _operator(
    type_: FieldType,
    name: str,
    label: str,
    wanted: str,
    operand: OperandKind,
    bind: Callable[[Any], Test],
    *,
    negative: bool = False,
    holds_when_missing: bool = False,
) -> Operator:
    return Operator(
        name=name,
        type=type_,
        label=label,
        wanted=wanted,
        operand=operand,
        bind=bind,
        negative=negative,
        holds_when_missing=holds_when_missing,
    )


# Longer than any calendar: from the beginning of time.
_EVER = timedelta(days=400_000)


def _relative(
    name: str, label: str, span: Callable[[timedelta], tuple[timedelta, timedelta]]
) -> Operator:
    """
    Compare a moment with now: it passes from the first end of the span to before the last.

    Both ends are distances from now; what `bind` gives is never asked.
    """
    return Operator(
        name=name,
        type="datetime",
        label=label,
        wanted=label.replace("is ", "to be ", 1),
        operand="days",
        bind=lambda operand: lambda value: False,
        span=span,
    )


OPERATORS: tuple[Operator, ...] = (
    _operator("text", "is", "is", "to be", "text", _on_text(lambda a, b: a == b)),
    _operator(
        "text",
        "is_not",
        "is not",
        "not to be",
        "text",
        _on_text(lambda a, b: a != b),
        negative=True,
    ),
    _operator("text", "is_exactly", "is exactly", "to be exactly", "text", _is_exactly),
    _operator("text", "is_one_of", "is one of", "to be one of", "texts", _among(negative=False)),
    _operator(
        "text",
        "is_not_one_of",
        "is not one of",
        "not to be one of",
        "texts",
        _among(negative=True),
        negative=True,
    ),
    _operator("text", "contains", "contains", "to contain", "text", _on_text(lambda a, b: b in a)),
    _operator(
        "text",
        "does_not_contain",
        "does not contain",
        "not to contain",
        "text",
        _on_text(lambda a, b: b not in a),
        negative=True,
    ),
    _operator(
        "text", "starts_with", "starts with", "to start with", "text", _on_text(str.startswith)
    ),
    _operator("text", "ends_with", "ends with", "to end with", "text", _on_text(str.endswith)),
    _operator("text", "matches_glob", "matches", "to match", "pattern", _matches_glob),
    _operator(
        "text",
        "matches_regex",
        "matches the expression",
        "to match the expression",
        "regex",
        _matches_regex,
    ),
    _operator("number", "is", "is", "to be", "number", _on_number(lambda a, b: a == b)),
    _operator(
        "number",
        "is_not",
        "is not",
        "not to be",
        "number",
        _on_number(lambda a, b: a != b),
        negative=True,
    ),
    _operator(
        "number",
        "greater_than",
        "is greater than",
        "to be greater than",
        "number",
        _on_number(lambda a, b: a > b),
    ),
    _operator(
        "number",
        "at_least",
        "is at least",
        "to be at least",
        "number",
        _on_number(lambda a, b: a >= b),
    ),
    _operator(
        "number",
        "less_than",
        "is less than",
        "to be less than",
        "number",
        _on_number(lambda a, b: a < b),
    ),
    _operator(
        "number",
        "at_most",
        "is at most",
        "to be at most",
        "number",
        _on_number(lambda a, b: a <= b),
    ),
    _operator("number", "between", "is between", "to be between", "range", _between),
    _operator("boolean", "is_true", "is true", "to be true", "none", _boolean(wanted=True)),
    _operator("boolean", "is_false", "is false", "to be false", "none", _boolean(wanted=False)),
    _operator(
        "datetime",
        "before",
        "is before",
        "to be before",
        "datetime",
        _on_datetime(lambda a, b: a < b),
    ),
    _operator(
        "datetime", "after", "is after", "to be after", "datetime", _on_datetime(lambda a, b: a > b)
    ),
    _relative("in_last_days", "is in the last … days", lambda days: (-days, timedelta())),
    _relative("longer_ago", "is longer ago than … days", lambda days: (-_EVER, -days)),
    _relative("in_next_days", "is in the next … days", lambda days: (timedelta(), days)),
    _operator("list", "includes", "includes", "to include", "text", _includes),
    _operator(
        "list", "includes_any", "includes any of", "to include any of", "texts", _includes_any
    ),
    _operator(
        "list", "excludes", "does not include", "not to include", "text", _excludes, negative=True
    ),
    _operator("any", "exists", "is present", "to be present", "none", _present),
    _operator(
        "any",
        "is_missing",
        "is missing",
        "to be missing",
        "none",
        _missing,
        holds_when_missing=True,
    ),
)


def operators_for(field_type: FieldType) -> tuple[Operator, ...]:
    """The operators a field of this type offers; an untyped field offers all of them."""
    return tuple(op for op in OPERATORS if field_type == "any" or op.type in (field_type, "any"))


def find_operators(name: str) -> tuple[Operator, ...]:
    """All operators of this name: `is` compares text or numbers."""
    return tuple(op for op in OPERATORS if op.name == name)
