"""
Liquid with its doors closed: what a template may name, and how much it may use.

Templates are written by people who may not run code here, over data sent by people nobody
knows. So: plain data only, a list of tags and filters that are allowed, and a limit on
everything that can grow. python-liquid counts loops and output; what it leaves open is closed
here, each with the reason beside it.
"""

from __future__ import annotations

import gc
import math
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from liquid import Environment, Markup, RenderContext, Token, Undefined
from liquid.ast import Node
from liquid.builtin.expressions.primitive import Literal, RangeLiteral, StringLiteral
from liquid.builtin.tags.cycle_tag import CycleNode
from liquid.exceptions import (
    FilterArgumentError,
    LiquidError,
    LoopIterationLimitError,
    OutputStreamLimitError,
    ResourceLimitError,
)
from liquid.expression import Expression
from liquid.filter import with_context
from liquid.template import BoundTemplate
from liquid.undefined import UNDEFINED
from liquid.utils import ReadOnlyChainMap

TAGS = frozenset(
    {
        "assign", "break", "capture", "case", "comment", "continue", "cycle", "decrement", "echo",
        "for", "if", "increment", "unless", "#",
    }
)  # fmt: skip
INNER_TAGS = frozenset(
    {
        "else", "elsif", "when", "raw", "endraw", "endcapture", "endcase", "endcomment", "endfor",
        "endif", "endunless",
    }
)  # fmt: skip
LEXER_TAGS = frozenset({"content", "output", "illegal"})
FILTERS = frozenset(
    {
        "abs", "append", "at_least", "at_most", "base64_decode", "base64_encode",
        "base64_url_safe_decode", "base64_url_safe_encode", "capitalize", "ceil", "compact",
        "concat", "default", "divided_by", "downcase", "escape", "escape_once", "find",
        "find_index", "first", "floor", "has", "join", "last", "lstrip", "map", "minus", "modulo",
        "newline_to_br", "plus", "prepend", "reject", "remove", "remove_first", "remove_last",
        "replace", "replace_first", "replace_last", "reverse", "round", "rstrip", "size", "slice",
        "sort", "sort_natural", "split", "strip", "strip_newlines", "sum", "times",
        "truncate", "truncatewords", "upcase", "url_decode", "url_encode", "where",
    }
)  # fmt: skip

# These only put escaped text together. Any other filter could undo an escape
# (replace: "&lt;", "<"), so it is given plain text, which is escaped again.
KEEPS_MARKUP = frozenset(
    {"append", "concat", "default", "escape", "first", "join", "last", "newline_to_br", "prepend"}
)

MAX_VALUE = 1024 * 1024
NODE_WEIGHT = 16
MAX_LOCALS = 2 * MAX_VALUE
MAX_DATA_NODES = 100_000
MAX_DATA_TEXT = 4 * 1024 * 1024
MAX_DATA_DEPTH = 32
MAX_TAG_LENGTH = 2000
MAX_JOINTS = 100
MAX_FORMAT = 100

_OPENING = re.compile(r"\{\{|\{%")
_TAG_NAME = re.compile(r"-?\s*(#|\w*)")
_END_RAW = re.compile(r"\{%-?\s*endraw\s*-?%\}")
_LONG_SPACE = re.compile(r"\s{100}")
_JOINT = re.compile(r"\[|\b(?:and|or)\b")


class TemplateInvalid(ValueError):
    """A template is refused. `line` is where, from 1, or None when it is no one line."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f"Line {line}: {message}")
        self.message = message
        self.line = line


class RenderFailed(RuntimeError):
    """A template stopped while it ran; nothing of its output may be used."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class OverLimit(ResourceLimitError):
    def __init__(self, message: str) -> None:
        super().__init__(message, token=None)


@dataclass(frozen=True, kw_only=True)
class Limits:
    source_bytes: int = 256 * 1024
    output_bytes: int = 1024 * 1024
    seconds: float = 0.1
    loop_iterations: int = 10_000


class _CollectorTime(threading.local):
    """Seconds that Python's garbage collector has taken of the calling thread."""

    began = 0.0
    spent = 0.0

    def note(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "start":
            self.began = time.thread_time()
        else:
            self.spent += time.thread_time() - self.began


_collector = _CollectorTime()
gc.callbacks.append(_collector.note)


def _own_time() -> float:
    """Return the seconds that this thread has worked, but for the collector."""
    return time.thread_time() - _collector.spent


class Budget:
    """
    What one rendering has left. All parts of a JSON document share one.

    The time is the thread's own, without a garbage collection that happens to fall into it: a
    machine that stalls, or a process with much in memory, must not change what a guest sees.
    The wall clock is asked first, because it costs a tenth.
    """

    __slots__ = ("deadline", "limits", "output_left", "started")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.started = _own_time()
        self.deadline = time.perf_counter() + limits.seconds
        self.output_left = limits.output_bytes

    def tick(self) -> None:
        now = time.perf_counter()
        if now > self.deadline:
            left = self.limits.seconds - (_own_time() - self.started)
            if left <= 0:
                raise OverLimit(f"it took longer than {self.limits.seconds * 1000:.0f} ms")
            self.deadline = now + left

    def spend_output(self, size: int) -> None:
        self.output_left -= size
        if self.output_left < 0:
            raise OverLimit(f"its output is larger than {self.limits.output_bytes} bytes")


class SandboxContext(RenderContext):
    """The state of one rendering, where the limits that python-liquid lacks are enforced."""

    __slots__ = ("budget", "local_weights")

    def __init__(
        self, template: BoundTemplate, *, budget: Budget, data: Mapping[str, object]
    ) -> None:
        # Before the base class, whose constructor already asks for disabled_tags.
        self.budget = budget
        self.local_weights: dict[str, int] = {}
        super().__init__(template, globals=data)
        # Without the library's own `now` and `today`, which read the clock.
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)

    # Every node asks for this before it renders, so every node is a point where time is checked:
    # {% case 1 %}{% when 1, 1 %} nested thirty deep runs 2**30 times and calls nothing else.
    @property
    def disabled_tags(self) -> list[str]:
        self.budget.tick()
        return []

    @disabled_tags.setter
    def disabled_tags(self, value: list[str]) -> None:
        pass

    def get(
        self, path: list[object], *, token: Token | None, default: object = UNDEFINED
    ) -> object:
        self.budget.tick()
        return super().get(path, token=token, default=default)

    def assign(self, key: str, val: Any) -> None:
        # The library weighs a list by its own size, not by the texts in it.
        self.local_weights[key] = weigh(val)
        if sum(self.local_weights.values()) > MAX_LOCALS:
            raise OverLimit("its variables hold too much")
        self.locals[key] = val

    def filter(self, name: str, token: Token | None) -> Any:
        function = super().filter(name, token)

        def bounded(value: object, /, *args: object, **kwargs: object) -> object:
            self.budget.tick()
            if "context" in kwargs or "environment" in kwargs:
                raise FilterArgumentError(f"{name} has no such argument", token=token)
            operands = (value, *args, *kwargs.values())
            for operand in operands:
                weigh(operand)
            if name in ("join", "replace"):
                _refuse_growth(name, value, [*args, *kwargs.values()])
            if name not in KEEPS_MARKUP:
                value, args = _unmarked(value), tuple(_unmarked(arg) for arg in args)
            try:
                result = function(value, *args, **kwargs)
            except (LiquidError, ArithmeticError, LookupError, TypeError, ValueError):
                # Nothing comes of what is not there; a null is no more there than a gap.
                if any(operand is None or isinstance(operand, Undefined) for operand in operands):
                    return None
                raise
            weigh(result)
            return result

        return bounded


class SandboxTemplate(BoundTemplate):
    def make_partial_namespace(
        self, partial: bool, render_args: Mapping[str, object]
    ) -> Mapping[str, object]:
        # The library puts a variable called `partial` in front of the data's.
        return render_args


class BoundedRange(RangeLiteral):
    """
    A range no longer than a loop may be.

    Ranges are cheap until something walks them, and more than loops do: `contains`, `reversed`
    and every filter on lists.
    """

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> range:
        found = super().evaluate(context)
        limit = context.env.loop_iteration_limit or 0
        if found.stop - found.start > limit:
            raise LoopIterationLimitError(f"a range is longer than {limit}", token=self.token)
        return found


class PlainString(StringLiteral):
    """
    A text inside {{ }}, escaped like any other.

    The library trusts such texts as markup; {{ "<" | append: guest.name }} would then open a tag.
    """

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> str:
        return self.value


@lru_cache(maxsize=8)
def environment(*, autoescape: bool, limits: Limits) -> Environment:
    env = Environment(autoescape=autoescape, strict_filters=True)
    env.template_class = SandboxTemplate
    env.loop_iteration_limit = limits.loop_iterations  # type: ignore[misc]
    env.output_stream_limit = limits.output_bytes  # type: ignore[misc]
    env.local_namespace_limit = MAX_LOCALS  # type: ignore[misc]
    env.context_depth_limit = 40  # type: ignore[misc]
    env.block_nesting_limit = 20  # type: ignore[misc]
    # Or the spaces that keep two attributes apart would be in the template and not on the page.
    env.suppress_blank_control_flow_blocks = not autoescape
    env.tags = {name: tag for name, tag in env.tags.items() if name in TAGS | LEXER_TAGS}
    env.filters = {name: func for name, func in env.filters.items() if name in FILTERS}
    env.filters |= {
        "date": date_filter,
        "json": json_filter,
        "strip_html": strip_html_filter,
        "uniq": uniq_filter,
    }
    return env


def parse(source: str, *, autoescape: bool, limits: Limits) -> BoundTemplate:
    """Parse a template and take out what is not allowed. Raises TemplateInvalid."""
    env = environment(autoescape=autoescape, limits=limits)
    prescan(source)
    try:
        template = env.from_string(source)
    except LiquidError as error:
        raise TemplateInvalid(_sentence(error), error_line(error)) from error
    for name, spans in template.analyze(include_partials=False).filters.items():
        if name not in env.filters:
            raise TemplateInvalid(
                f"There is no filter “{name}” here.", line_of(source, spans[0].index)
            )
    for node in walk(template.nodes):
        if isinstance(node, CycleNode):
            _check_cycle(node, source)
        for expression in _expressions(node.expressions()):
            _tame(expression, autoescape=autoescape)
    return template


def variables(template: BoundTemplate) -> frozenset[str]:
    """The top-level names a template reads. Raises TemplateInvalid when one is computed."""
    found = set()
    for uses in template.analyze(include_partials=False).variables.values():
        for use in uses:
            if not isinstance(use.segments[0], str):
                raise TemplateInvalid("A variable has to begin with its name, not with [...].")
            found.add(use.segments[0])
    return frozenset(found)


def prescan(source: str) -> None:
    """
    Check every tag's outline in one pass. Raises TemplateInvalid.

    The lexer's patterns need quadratic time and more on tags that are never closed, empty, or
    full of spaces; after this it meets none of them.
    """
    position, comments = 0, 0
    while opening := _OPENING.search(source, position):
        is_tag = opening.group() == "{%"
        closing = source.find("%}" if is_tag else "}}", opening.end())
        inner = source[opening.end() : max(closing, 0)]
        position = closing + 2
        name = _TAG_NAME.match(inner)[1] if is_tag else ""  # type: ignore[index]
        comments += (name == "comment") - (name == "endcomment")
        problem = _outline_problem(opening.group(), inner, is_closed=closing >= 0)
        if problem is None and name == "raw":
            end = _END_RAW.search(source, position)
            position = end.end() if end else position
            problem = None if end else "“raw” is never closed by “endraw”."
        elif problem is None and is_tag and comments <= 0 and name not in TAGS | INNER_TAGS:
            problem = f"There is no tag “{name}” here."
        if problem is not None:
            raise TemplateInvalid(problem, line_of(source, opening.start()))


def _outline_problem(opening: str, inner: str, *, is_closed: bool) -> str | None:
    if not is_closed:
        return f"“{opening}” is never closed."
    if len(inner) > MAX_TAG_LENGTH:
        return f"A tag is longer than {MAX_TAG_LENGTH} characters."
    if _LONG_SPACE.search(inner):
        return "A tag holds 100 spaces in a row: take some out."
    # Each is a call inside a call, and how many of those fit depends on who renders.
    if len(_JOINT.findall(inner)) > MAX_JOINTS:
        return "A tag joins too many parts: split it up."
    if not inner.strip(" \t\r\n-"):
        return "There is nothing inside this tag."
    return None


def walk(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from walk(children(node))


def children(node: Node) -> Iterable[Node]:
    # Only nodes that load other templates look at the context, and there are none.
    return node.children(None, include_partials=False)  # type: ignore[arg-type]


def line_of(source: str, index: int) -> int:
    return source.count("\n", 0, index) + 1


def error_line(error: LiquidError) -> int | None:
    token = error.token
    if token is None or token.start_index < 0:
        return None
    return line_of(token.source, token.start_index)


def failure(error: Exception, limits: Limits) -> RenderFailed:
    """Say in a sentence why a rendering stopped."""
    if not isinstance(error, LiquidError):
        return RenderFailed(f"The template failed: {type(error).__name__}.")
    line = error_line(error)
    where = "" if line is None else f" in line {line}"
    if isinstance(error, OverLimit):
        return RenderFailed(f"The template was stopped{where}: {error.message}.")
    if isinstance(error, OutputStreamLimitError):
        return RenderFailed(
            f"The template was stopped{where}: its output is larger than "
            f"{limits.output_bytes} bytes."
        )
    if isinstance(error, LoopIterationLimitError):
        return RenderFailed(
            f"The template was stopped{where}: its loops or ranges go over more than "
            f"{limits.loop_iterations} items."
        )
    return RenderFailed(f"The template failed{where}: {str(error.message).rstrip('.')}.")


def weigh(value: object) -> int:
    """
    Return about how many characters a value holds, however often it holds the same ones.

    Raises OverLimit above MAX_VALUE, and for integers beyond 64 bits: repeated multiplication
    would grow them without end.
    """
    if isinstance(value, str):
        weight = len(value)
        if weight > MAX_VALUE:
            raise OverLimit("a text is too long")
        return weight
    weight, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        weight += NODE_WEIGHT
        if isinstance(item, str):
            weight += len(item)
        elif isinstance(item, int):
            if item.bit_length() > 64:
                raise OverLimit("a number is too large")
        elif isinstance(item, list | tuple):
            weight += NODE_WEIGHT * len(item)
            if weight <= MAX_VALUE:
                waiting.extend(item)
        elif isinstance(item, dict):
            weight += sum(map(len, item))
            waiting.extend(item.values())
        elif isinstance(item, range):
            weight += NODE_WEIGHT * len(item)
        if weight > MAX_VALUE:
            raise OverLimit("a value is too large")
    return weight


def plain_data(data: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    """
    Return the named entries as dicts, lists, texts, numbers, booleans and null.

    Decimals become numbers, dates ISO text, UUIDs text, tuples lists; numbers that JSON does not
    have become null, lone surrogates U+FFFD. Raises RenderFailed for any other object, and for
    more data than fits.
    """
    copying = _Copying()
    return {name: copying.copy(data[name], depth=0) for name in names if name in data}


class _Copying:
    def __init__(self) -> None:
        self.nodes_left = MAX_DATA_NODES
        self.text_left = MAX_DATA_TEXT

    def copy(self, value: object, *, depth: int) -> object:
        self.nodes_left -= 1
        self.check(fits=self.nodes_left >= 0 and depth <= MAX_DATA_DEPTH)
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            return self.copy_text(value)
        if isinstance(value, int):
            return int(value) if -(2**63) <= value < 2**63 else _finite(value)
        if isinstance(value, float | Decimal):
            return _finite(value)
        if isinstance(value, Mapping):
            return {
                self.copy_key(key): self.copy(item, depth=depth + 1) for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.copy(item, depth=depth + 1) for item in value]
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, UUID):
            return str(value)
        raise RenderFailed(f"Templates take plain data; {type(value).__name__} is not.")

    def check(self, *, fits: bool) -> None:
        if not fits:
            raise RenderFailed("The data handed to the template is too large or too deep.")

    def copy_key(self, key: object) -> str:
        if not isinstance(key, str):
            raise RenderFailed("Templates take plain data; its keys have to be texts.")
        return self.copy_text(key)

    def copy_text(self, text: str) -> str:
        self.text_left -= len(text)
        self.check(fits=self.text_left >= 0)
        if text.isascii():
            # Of exactly this type: a subclass could call itself escaped.
            return str.__str__(text)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def plain_result(value: object) -> object:
    """Return what an expression gave as JSON values of its own."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float | Decimal):
        return _finite(value)
    if isinstance(value, Undefined):
        return None
    if isinstance(value, Mapping):
        return {str(key): plain_result(value[key]) for key in value}
    if isinstance(value, list | tuple | range):
        return [plain_result(item) for item in value]
    return str(value) or None


def _finite(value: int | float | Decimal) -> int | float | None:
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        value = int(value) if abs(value) < 2**63 else value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _check_cycle(node: CycleNode, source: str) -> None:
    # The state of a cycle is kept under the text of all its arguments.
    arguments = [*node.args, *([node.group] if node.group else [])]
    if not all(isinstance(argument, Literal) for argument in arguments):
        raise TemplateInvalid(
            "“cycle” takes texts and numbers, not variables.",
            line_of(source, node.token.start_index),
        )


def _expressions(expressions: Iterable[Expression]) -> Iterator[Expression]:
    for expression in expressions:
        yield expression
        yield from _expressions(expression.children())


def _tame(expression: Expression, *, autoescape: bool) -> None:
    # The parser builds these itself and offers no other place to choose the class.
    if type(expression) is RangeLiteral:
        expression.__class__ = BoundedRange
    elif autoescape and type(expression) is StringLiteral:
        expression.__class__ = PlainString


def _sentence(error: LiquidError) -> str:
    text = str(error.message)
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def _unmarked(value: object) -> object:
    return str.__str__(value) if isinstance(value, Markup) else value


def _refuse_growth(name: str, value: object, arguments: list[object]) -> None:
    """A short text can be put into a long one very often: measure before it is done."""
    texts = [argument for argument in arguments if isinstance(argument, str)]
    if not texts:
        return
    if name == "replace":
        text = value if isinstance(value, str) else str(value)
        places = text.count(texts[0])
    else:
        places = _count(value)
    if places * len(texts[-1]) > MAX_VALUE:
        raise OverLimit("a text is too long")


def _count(value: object) -> int:
    if isinstance(value, list | tuple):
        return sum(_count(item) if isinstance(item, list | tuple) else 1 for item in value)
    return len(value) if isinstance(value, dict | range) else 1


@with_context
def date_filter(value: object, fmt: object = "%Y-%m-%d", *, context: RenderContext) -> object:
    """Format ISO text, epoch seconds or milliseconds (UTC), or "now": the data's `now`."""
    if isinstance(value, str) and value in ("now", "today"):
        value = context.resolve("now", default=None)
    moment = _moment(value)
    if moment is None:
        return value
    pattern = str(fmt)
    if len(pattern) > MAX_FORMAT or re.search(r"%[-_0^#]*\d", pattern):
        # The C library pads to any width: %999999999d.
        raise FilterArgumentError("date: the format is too long", token=None)
    return moment.strftime(pattern)


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value[:64])
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    seconds = value / 1000 if abs(value) >= 1e11 else value
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None


def json_filter(value: object) -> str:
    """Give a value as JSON in which nothing can end a script or an attribute."""
    text = msgspec.json.encode(plain_result(value)).decode()
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def strip_html_filter(value: object) -> str:
    """Take out everything between < and >. The library's parser is quadratic on some texts."""
    text = "" if value is None else str(value)
    parts, position = [], 0
    while True:
        start = text.find("<", position)
        end = text.find(">", start) if start >= 0 else -1
        if end < 0:
            parts.append(text[position:])
            return "".join(parts)
        parts.append(text[position:start])
        position = end + 1


def uniq_filter(value: object, key: object = None) -> object:
    """Drop repeated items. The library compares every item with every other."""
    if not isinstance(value, list | tuple | range):
        return [] if isinstance(value, Undefined) else value
    seen: set[bytes] = set()
    kept = []
    for item in value:
        subject = item.get(key) if key is not None and isinstance(item, dict) else item
        mark = msgspec.json.encode(plain_result(subject), order="deterministic")
        if mark not in seen:
            seen.add(mark)
            kept.append(item)
    return kept
