"""
Content: Liquid templates over plain data, with every limit set.

A template sees dicts, lists, texts, numbers, booleans and null: no object, no attribute, no
clock, no other template. What a template may not do is refused when it is saved, with the line;
what only shows when it runs (time, size, arithmetic) fails that one rendering.

application/json: the source is a JSON object. Every text in it is a template, keys are not. A
text that is exactly one {{ ... }} becomes that value with its type, and null when undefined; any
other text becomes text. Nothing is escaped: what leaves here is JSON, not HTML.

text/html: values are escaped, and so are texts written inside {{ }}. They may stand in text and
in quoted attributes; in scripts, styles, event handlers and tags they are refused. An address
that begins with a value turns into # when its scheme could run code. {{ guest | json }} fits a
data- attribute, where a script can read it.

Undefined variables are empty. `now` is what the caller passes as data["now"], never the clock,
so that the same data always renders the same.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec
from liquid import RenderContext
from liquid.ast import Node
from liquid.builtin.content import ContentNode
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.builtin.tags.case_tag import CaseNode
from liquid.builtin.tags.cycle_tag import CycleNode
from liquid.builtin.tags.decrement_tag import DecrementNode
from liquid.builtin.tags.for_tag import BreakNode, ContinueNode, ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.increment_tag import IncrementNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.expression import Expression
from liquid.output import LimitedStringIO
from liquid.stringify import to_liquid_string
from liquid.template import BoundTemplate

from personalize import html_context
from personalize.html_context import Misplaced, Place
from personalize.liquid_sandbox import (
    Budget,
    Limits,
    RenderFailed,
    SandboxContext,
    TemplateInvalid,
    children,
    failure,
    line_of,
    parse,
    plain_data,
    plain_result,
    variables,
)

__all__ = ["ContentType", "Limits", "RenderFailed", "Template", "TemplateInvalid",
           "compile_content"]  # fmt: skip

ContentType = Literal["application/json", "text/html"]
Content: TypeAlias = dict[str, Any] | str

MAX_DEPTH = 32
DEFAULT_LIMITS = Limits()

_Data: TypeAlias = Mapping[str, object]
_Build: TypeAlias = Callable[[_Data, Budget], Any]
_Parts: TypeAlias = tuple[frozenset[str], Limits, _Build]

_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"(\s*:)?')
_FIRST_BAD_INT = 2**63


@dataclass(frozen=True)
class Template:
    """
    Checked content, ready to render; safe to share between threads.

    variables: the top-level names it reads, so that the caller need not load others.
    """

    content_type: ContentType
    variables: frozenset[str]
    limits: Limits
    _build: _Build

    def render(self, data: Mapping[str, object]) -> Content:
        """
        Return a JSON object (application/json) or text (text/html).

        Entries of `data` that the template does not name are not even looked at. Raises
        RenderFailed, and nothing else.
        """
        budget = Budget(self.limits)
        try:
            content: Content = self._build(plain_data(data, self.variables), budget)
        except RenderFailed:
            raise
        # A template must never take its page down, whatever a filter trips over.
        except Exception as error:  # noqa: BLE001
            raise failure(error, self.limits) from error
        return content


def compile_content(content_type: str, source: str, *, limits: Limits = DEFAULT_LIMITS) -> Template:
    """Check content and make it ready to render. Raises TemplateInvalid."""
    if content_type not in ("application/json", "text/html"):
        raise TemplateInvalid(f"“{content_type}” is no content type: use JSON or HTML.")
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        line = line_of(source, error.start)
        raise TemplateInvalid("A character here is only half of one.", line) from error
    if size > limits.source_bytes:
        raise TemplateInvalid(f"The content is larger than {limits.source_bytes // 1024} KiB.")
    try:
        if content_type == "text/html":
            return Template("text/html", *_compile_html(source, limits))
        return Template("application/json", *_compile_json(source, limits))
    except RecursionError as error:
        raise TemplateInvalid(f"The content is more than {MAX_DEPTH} levels deep.") from error


# JSON


def _compile_json(source: str, limits: Limits) -> _Parts:
    document = _load(source)
    if not isinstance(document, dict):
        raise TemplateInvalid('The content has to be a JSON object, such as {"title": "Hi"}.')
    compiling = _JsonCompiling(source, limits)
    build = compiling.compile(document, depth=1)
    return frozenset(compiling.names), limits, build


def _load(source: str) -> object:
    try:
        return json.loads(
            source,
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_int=_read_int,
            parse_float=_read_float,
        )
    except json.JSONDecodeError as error:
        message = f"This is not valid JSON: {error.msg} at column {error.colno}."
        raise TemplateInvalid(message, error.lineno) from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise TemplateInvalid(f"“{twice}” stands twice in one object.")
    return found


def _refuse_constant(name: str) -> object:
    raise TemplateInvalid(f"{name} is not a number that JSON has.")


def _read_int(digits: str) -> int:
    number = int(digits) if len(digits) < 21 else _FIRST_BAD_INT
    if not -_FIRST_BAD_INT <= number < _FIRST_BAD_INT:
        raise TemplateInvalid(f"{digits[:21]} is too large a number.")
    return number


def _read_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise TemplateInvalid(f"{digits[:21]} is too large a number.")
    return number


class _JsonCompiling:
    """One walk over a document, in the order of its source."""

    def __init__(self, source: str, limits: Limits) -> None:
        self.limits = limits
        self.names: set[str] = set()
        self.lines = self.text_lines(source)

    def text_lines(self, source: str) -> Iterator[int]:
        """The lines of the texts that are values, in order. The source is known to be valid."""
        line, position = 1, 0
        for match in _JSON_STRING.finditer(source):
            if match.group(1) is None:
                line += source.count("\n", position, match.start())
                position = match.start()
                yield line

    def compile(self, value: object, *, depth: int) -> _Build:
        if depth > MAX_DEPTH:
            raise TemplateInvalid(f"The content is more than {MAX_DEPTH} levels deep.")
        if isinstance(value, dict):
            entries = [
                (self.check_text(key, None), self.compile(item, depth=depth + 1))
                for key, item in value.items()
            ]
            return lambda data, budget: {key: build(data, budget) for key, build in entries}
        if isinstance(value, list):
            items = [self.compile(item, depth=depth + 1) for item in value]
            return lambda data, budget: [build(data, budget) for build in items]
        if isinstance(value, str):
            line = next(self.lines)
            return self.compile_text(self.check_text(value, line), line)
        return lambda data, budget: value

    def check_text(self, text: str, line: int | None) -> str:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise TemplateInvalid("A \\u escape here is only half a character.", line) from error
        return text

    def compile_text(self, text: str, line: int) -> _Build:
        if "{{" not in text and "{%" not in text:
            return lambda data, budget: text
        try:
            template = parse(text, autoescape=False, limits=self.limits)
            self.names |= variables(template)
        except TemplateInvalid as error:
            # A JSON text is on one line, whatever line breaks it spells.
            raise TemplateInvalid(error.message, line) from error
        if len(template.nodes) == 1 and type(template.nodes[0]) is OutputNode:
            return _value_of(template, template.nodes[0].expression)
        return _text_of(template)


def _value_of(template: BoundTemplate, expression: Expression) -> _Build:
    def build(data: _Data, budget: Budget) -> object:
        budget.tick()
        value = plain_result(
            expression.evaluate(SandboxContext(template, budget=budget, data=data))
        )
        budget.spend_output(len(msgspec.json.encode(value)))
        return value

    return build


def _text_of(template: BoundTemplate) -> _Build:
    def build(data: _Data, budget: Budget) -> str:
        buffer = LimitedStringIO(limit=budget.output_left)
        context = SandboxContext(template, budget=budget, data=data)
        template.render_with_context(context, buffer)
        budget.spend_output(buffer.size)
        return buffer.getvalue()

    return build


# HTML


def _compile_html(source: str, limits: Limits) -> _Parts:
    template = parse(source, autoescape=True, limits=limits)
    names = variables(template)
    placing = _Placing(source)
    end = placing.follow_all(template.nodes, Place())
    if end != Place():
        raise TemplateInvalid("The HTML ends inside a tag, a comment or a script.")
    return names, limits, _text_of(template)


class _Placing:
    """Follows a page through its template and fits every value to the place where it stands."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.loops: list[Place] = []

    def follow_all(self, nodes: list[Node], place: Place) -> Place:
        for node in nodes:
            try:
                place = self.follow(node, place)
            except Misplaced as error:
                line = line_of(self.source, node.token.start_index)
                raise TemplateInvalid(str(error), line) from error
        return place

    def follow(self, node: Node, place: Place) -> Place:
        if isinstance(node, ContentNode):
            return self.follow_content(node, place)
        if isinstance(node, OutputNode):
            node.expression = _fit(node.expression, html_context.classify(place))
            return html_context.after_value(place)
        if isinstance(node, CycleNode | IncrementNode | DecrementNode):
            if html_context.classify(place) == "nothing":
                raise Misplaced("Take this tag out of the comment.")
            return html_context.after_value(place)
        if isinstance(node, IfNode | UnlessNode):
            ends = [self.follow_all([child], place) for child in children(node)]
            return html_context.join(ends if node.default else [place, *ends])
        if isinstance(node, CaseNode):
            # More than one branch may run, and one may run twice.
            return self.repeat(node, place)
        if isinstance(node, ForNode):
            self.loops.append(place)
            end = self.repeat(node, place)
            self.loops.pop()
            return end
        if isinstance(node, BreakNode | ContinueNode):
            return html_context.join([place, *self.loops[-1:]])
        if isinstance(node, CaptureNode):
            html_context.join([Place(), self.follow_all(list(children(node)), Place())])
            return place
        return self.follow_all(list(children(node)), place)

    def follow_content(self, node: ContentNode, place: Place) -> Place:
        return html_context.advance(place, node.text)

    def repeat(self, node: Node, place: Place) -> Place:
        return html_context.join(
            [place, *(self.follow_all([child], place) for child in children(node))]
        )


def _fit(expression: Expression, kind: html_context.Kind) -> Expression:
    if kind == "text":
        return expression
    return _FITTED[kind](expression)


class _Attribute(Expression):
    """A value inside an attribute: escaped again even if it was built as markup."""

    __slots__ = ("inner",)

    def __init__(self, inner: Expression) -> None:
        super().__init__(inner.token)
        self.inner = inner

    def __str__(self) -> str:
        return str(self.inner)

    def children(self) -> list[Expression]:
        return [self.inner]

    def evaluate(self, context: RenderContext) -> str:
        return str.__str__(to_liquid_string(self.inner.evaluate(context), autoescape=False))


class _Address(_Attribute):
    """A value that begins an address."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> str:
        return html_context.safe_url(super().evaluate(context))


class _Nothing(_Attribute):
    """A value inside a comment, where nobody reads it."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> str:
        return ""


_FITTED = {"attribute": _Attribute, "url": _Address, "nothing": _Nothing}
