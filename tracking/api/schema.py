"""
What a door's documentation says, beside the code that answers; and the OpenAPI schema made of it.

The types named here are those that judge requests and word answers, so what is documented is
what is checked. drf-spectacular (the extra `openapi`) does the collecting; without it the doors
work the same, and nothing is generated.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from http import HTTPStatus
from typing import Any, Literal, TypeAlias, TypeVar
from uuid import UUID

import django_filters
import msgspec

from tracking.api.base import DoorViewSet, ErrorBody, JsonpViewSet

try:
    from drf_spectacular import drainage
    from drf_spectacular.extensions import OpenApiAuthenticationExtension
    from drf_spectacular.openapi import AutoSchema
    from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent
    from drf_spectacular.settings import spectacular_settings
except ImportError:
    HAS_OPENAPI = False
else:
    HAS_OPENAPI = True

Schema: TypeAlias = dict[str, Any]
#: A type that msgspec knows, or several of them for "one of these".
Kind: TypeAlias = Any
V = TypeVar("V", bound=type[DoorViewSet])

_REFERENCE = "#/components/schemas/{name}"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a request. With `is_json` its text is a JSON document of this type."""

    name: str
    description: str
    type: Kind = str
    location: Literal["query", "path", "header"] = "query"
    required: bool = False
    is_json: bool = False
    example: Any = None


@dataclass(frozen=True, kw_only=True)
class Example:
    """A request or an answer as it is really sent."""

    value: Any
    summary: str
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """
    One action of a viewset. Its summary is the first line of the action's docstring.

    id: the name that generated clients give the call.
    request, answer: types of the bodies. status: of the answer.
    errors: statuses of refusals, beside those that every door of the kind has.
    filters: the filter set that reads the query. headers: of the answer, name -> meaning.
    examples: of requests; answers: of answers.
    request_texts, answer_texts: bodies that are no JSON, media type -> what stands in it.
    description: may be a function, asked when the schema is made.
    """

    id: str
    request: Kind = None
    answer: Kind = None
    status: int = 200
    errors: Sequence[int] = ()
    parameters: Sequence[Parameter] = ()
    filters: type[django_filters.FilterSet] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, Example] = field(default_factory=dict)
    answers: Mapping[str, Example] = field(default_factory=dict)
    request_texts: Mapping[str, str] = field(default_factory=dict)
    answer_texts: Mapping[str, str] = field(default_factory=dict)
    description: str | Callable[[], str] = ""


@dataclass(frozen=True, kw_only=True)
class Refusals:
    """
    How the doors of one client family refuse.

    body: type of the answer. word: makes one of status, code and sentence.
    status: which one the family uses for another. headers: of a status.
    """

    name: str
    body: type
    word: Callable[[int, str, str], Any]
    status: Callable[[int], int]
    headers: Mapping[int, Mapping[str, str]]


_RETRY_AFTER = {503: {"Retry-After": "Seconds to wait."}}


def _standard(status: int, code: str, message: str) -> ErrorBody:
    return ErrorBody(
        status=status,
        code=status,
        error=code,
        message=message,
        developerMessage=message,
        error_msg=message,
        moreInfo=code,
    )


_STANDARD = Refusals(
    name="Refusal",
    body=ErrorBody,
    word=_standard,
    status=lambda status: status,
    headers={401: {"WWW-Authenticate": "How to say who you are: HTTP Basic."}} | _RETRY_AFTER,
)


@dataclass(frozen=True, kw_only=True)
class Documentation:
    """What a viewset documents. `parameters` are of every operation whose path has them."""

    tag: str
    operations: Mapping[str, Operation]
    refusals: Refusals
    parameters: Sequence[Parameter] = ()
    types: Sequence[type] = ()
    schemas: Callable[[], Mapping[str, Schema]] | None = None


def documented(
    tag: str,
    *,
    parameters: Sequence[Parameter] = (),
    refusals: Refusals = _STANDARD,
    types: Sequence[type] = (),
    schemas: Callable[[], Mapping[str, Schema]] | None = None,
    **operations: Operation,
) -> Callable[[V], V]:
    """
    Document a viewset's actions: `@documented("Events", create=Operation(...), ...)`.

    `parameters` are in the paths; `types` and `schemas` are components that others refer to;
    `refusals` is how the family refuses, where it is not as the REST API does.
    The whole class is documented at once, since a schema on a method would be built on
    whatever schema class the host has chosen.
    """
    documentation = Documentation(
        tag=tag,
        operations=operations,
        refusals=refusals,
        parameters=parameters,
        types=types,
        schemas=schemas,
    )

    def document(viewset: V) -> V:
        if HAS_OPENAPI:
            viewset.schema = DoorSchema(documentation)
        return viewset

    return document


#: What a refusal means, with a code and a sentence that such an answer may have.
_REFUSALS: Mapping[int, tuple[str, str, str]] = {
    400: ("The request is not valid; `error` says which rule it breaks.", "client_key_unknown",
          "client_key is not known."),
    401: ("The client key and the API token are missing, or do not fit together.",
          "not_authenticated", "Send the client key and an API token with HTTP Basic."),
    403: ("The page that calls is not of an origin that this client allows.", "origin_refused",
          "The origin https://elsewhere.example is not allowed."),
    404: ("There is nothing of this name.", "unknown", "There is nothing with this ref."),
    411: ("The body is sent in chunks, which this server cannot read.", "length_required",
          "Send a Content-Length: chunks cannot be read here."),
    413: ("The body is too large.", "body_too_large", "The body is larger than allowed."),
    414: ("The message in the query is too large.", "message_too_large",
          "message is larger than allowed."),
    415: ("The body is compressed in another way than gzip.", "encoding_unknown",
          "Content-Encoding may be gzip or absent."),
    503: ("Nothing can be stored now: send the same again, after the seconds of `Retry-After`.",
          "unavailable", "The server cannot store this now; send it again."),
}  # fmt: skip
_OF_BODIES = (400, 411, 413, 415)
_OF_ALL = (403, 503)
_CALLBACK = Parameter(
    name="callback",
    description="JSONP: wraps the answer into a call of this function. The answer is then a "
    "script, and its status 200 whatever became of the request.",
)


if HAS_OPENAPI:

    class ClientBasicScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
        """HTTP Basic with a client key and an API token, as the schema words it."""

        target_class = "tracking.api.authentication.ClientBasicAuthentication"
        name = "clientKeyAndToken"

        def get_security_definition(self, auto_schema: AutoSchema) -> Schema:
            return {
                "type": "http",
                "scheme": "basic",
                "description": "For servers. User name: the client key. Password: an API token.",
            }

    class CustomerBasicScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
        """HTTP Basic with a customer ID and a license key, as the schema words it."""

        target_class = "tracking.api.authentication.CustomerBasicAuthentication"
        name = "customerAndLicenseKey"

        def get_security_definition(self, auto_schema: AutoSchema) -> Schema:
            return {
                "type": "http",
                "scheme": "basic",
                "description": "For servers that speak Ibexa's protocol. User name: the client "
                "key. Password: a license key.",
            }

    class DoorSchema(AutoSchema):
        """Writes the OpenAPI operations of a viewset from its documentation."""

        def __init__(self, documentation: Documentation) -> None:
            super().__init__()
            self.documentation = documentation

        @property
        def door(self) -> Any:
            return self.view

        def get_operation(
            self,
            path: str,
            path_regex: str,
            path_prefix: str,
            method: str,
            registry: ComponentRegistry,
        ) -> Schema | None:
            self.path, self.path_regex, self.path_prefix = path, path_regex, path_prefix
            self.method, self.registry = method.upper(), registry
            if self.door.is_twin:
                return None
            operation = self.documentation.operations.get(self.door.action)
            if operation is None:
                drainage.warn(f"{self.door.action} of {type(self.door).__name__} has no operation")
                return None
            self.components = Components(registry)
            self.components.add(self.documentation)
            written = {
                "operationId": self._id(operation),
                "tags": [self.documentation.tag],
                **self._words(operation),
                "parameters": [self._parameter(item) for item in self._parameters(operation)],
                "requestBody": self._request(operation),
                "security": self.get_auth(),
                "responses": self._responses(operation),
            }
            return {name: value for name, value in written.items() if value or name == "responses"}

        def _id(self, operation: Operation) -> str:
            actions: Mapping[str, str] = self.door.action_map
            first = next(verb for verb, name in actions.items() if name == self.door.action)
            is_first = first.upper() == self.method
            return operation.id if is_first else f"{operation.id}By{self.method.capitalize()}"

        def _words(self, operation: Operation) -> Schema:
            said = inspect.getdoc(getattr(self.view, self.door.action)) or ""
            summary, _, rest = said.partition("\n")
            more = operation.description
            texts = (rest, more() if callable(more) else more)
            return {
                "summary": summary.rstrip(".").replace("`", ""),
                "description": "\n\n".join(text.strip() for text in texts if text.strip()),
            }

        def _parameters(self, operation: Operation) -> list[Parameter]:
            found = [item for item in self.documentation.parameters if _is_in(self.path, item)]
            found += operation.parameters
            if operation.filters:
                found += [_of_filter(*named) for named in operation.filters.base_filters.items()]
            if self.method == "GET" and isinstance(self.door, JsonpViewSet):
                found.append(_CALLBACK)
            return found

        def _parameter(self, parameter: Parameter) -> Schema:
            schema = self.components.schema(parameter.type)
            written: Schema = {
                "in": parameter.location,
                "name": parameter.name,
                "description": parameter.description,
                "required": parameter.required or parameter.location == "path",
            }
            if parameter.is_json:
                media: Schema = {"schema": schema}
                if parameter.example is not None:
                    media["example"] = parameter.example
                return {**written, "content": {"application/json": media}}
            if parameter.example is not None:
                written["example"] = parameter.example
            return {**written, "schema": schema}

        def _request(self, operation: Operation) -> Schema:
            if operation.request is None:
                return {}
            media = self._media(operation.request, operation.examples)
            content = {"application/json": media, **_texts(operation.request_texts)}
            return {"required": True, "content": content}

        def _responses(self, operation: Operation) -> Schema:
            statuses = {*operation.errors, *_OF_ALL}
            if operation.request is not None:
                statuses.update(_OF_BODIES)
            if self.door.authentication_classes:
                statuses.add(401)
            statuses = {self.documentation.refusals.status(status) for status in statuses}
            answers = {str(operation.status): self._answer(operation)}
            return answers | {str(status): self._refusal(status) for status in sorted(statuses)}

        def _answer(self, operation: Operation) -> Schema:
            answer: Schema = {"description": _meaning(operation)}
            if operation.headers:
                answer["headers"] = _headers(operation.headers)
            if operation.answer_texts:
                answer["content"] = _texts(operation.answer_texts)
            if operation.answer is None:
                return answer
            media = self._media(operation.answer, operation.answers)
            answer["content"] = {"application/json": media}
            if self.method == "GET" and isinstance(self.door, JsonpViewSet):
                script = {"schema": {"type": "string"}, "example": 'callback({"status":"OK"})'}
                answer["content"]["application/javascript"] = script
            return answer

        def _refusal(self, status: int) -> Schema:
            meaning, code, message = _REFUSALS[status]
            refusals = self.documentation.refusals
            media = {
                "schema": self.components.schema(refusals.body),
                "example": msgspec.to_builtins(refusals.word(status, code, message)),
            }
            answer: Schema = {"description": meaning, "content": {"application/json": media}}
            if status in refusals.headers:
                answer["headers"] = _headers(refusals.headers[status])
            return self.components.response(f"{refusals.name}{status}", answer)

        def _media(self, kind: Kind, examples: Mapping[str, Example]) -> Schema:
            media: Schema = {"schema": self.components.schema(kind)}
            if examples:
                media["examples"] = {name: _example(item) for name, item in examples.items()}
            return media

    class Components:
        """The schemas of types, in the words of the OpenAPI version that is asked for."""

        def __init__(self, registry: ComponentRegistry) -> None:
            self.registry = registry
            self.is_json_schema = spectacular_settings.OAS_VERSION.startswith("3.1")

        def add(self, documentation: Documentation) -> None:
            for kind in documentation.types:
                self.schema(kind)
            for name, schema in (documentation.schemas or dict)().items():
                self.register(name, self._written(schema))

        def schema(self, kind: Kind) -> Schema:
            """Return the schema of a type; those that it names become components."""
            if isinstance(kind, tuple):
                return {"anyOf": [self.schema(one) for one in kind]}
            (schema,), found = msgspec.json.schema_components((kind,), ref_template=_REFERENCE)
            for name, component in found.items():
                self.register(name, self._written({**component, "title": None}))
            written: Schema = self._written(schema)
            return written

        def response(self, name: str, answer: Schema) -> Schema:
            """Return a reference to an answer that many operations have."""
            self.register(name, answer, kind="responses")
            return {"$ref": f"#/components/responses/{name}"}

        def register(self, name: str, schema: Schema, *, kind: str = "schemas") -> None:
            component = ResolvedComponent(  # type: ignore[no-untyped-call]
                name=name, type=kind, schema=schema, object=name
            )
            if component not in self.registry:
                self.registry.register(component)
            elif self.registry[component].schema != schema:
                drainage.warn(f"there are two {kind} called {name}; only one is in the schema")

        def _written(self, schema: Any) -> Any:
            if isinstance(schema, list):
                return [self._written(item) for item in schema]
            if not isinstance(schema, dict):
                return schema
            written = {
                name: _each(value, self._property) if name == "properties" else self._written(value)
                for name, value in schema.items()
                if name not in _KEPT
            } | {name: schema[name] for name in _KEPT if name in schema}
            if written.get("default", "") is None or written.get("title", "") is None:
                # No value is what an absent one means anyway; a component has its name.
                written = {name: value for name, value in written.items() if value is not None}
            if written.get("required") == []:
                del written["required"]
            if "enum" in written:
                return self._enum(written)
            return written if self.is_json_schema else _as_of_3_0(written)

        def _property(self, schema: Any) -> Any:
            written = self._written(schema)
            if "enum" in written:
                # Wrapped, for a host's own schema: drf-spectacular makes a component of every
                # bare one, under a name that ours and the host's would quarrel about.
                inner = {name: written.pop(name) for name in ("type", "enum")}
                return {"allOf": [inner], **written}
            return written

        def _enum(self, schema: Schema) -> Schema:
            """Type a list of values; one with a title is a component of that name."""
            schema = {"type": "string", **schema}
            title = schema.pop("title", None)
            if title is None:
                return schema
            kept = {name: schema.pop(name) for name in ("default",) if name in schema}
            self.register(title, schema)
            reference = {"$ref": _REFERENCE.format(name=title)}
            return {"allOf": [reference], **kept} if kept else reference


#: Values, not schemas: they are copied as they are.
_KEPT = ("enum", "examples", "example", "default", "required")


def _as_of_3_0(schema: Schema) -> Schema:
    """Say in OpenAPI 3.0 what JSON Schema says with null types, examples, and keys beside $ref."""
    if examples := schema.pop("examples", None):
        schema["example"] = examples[0]
    choices = schema.get("anyOf")
    if choices and {"type": "null"} in choices:
        rest = [choice for choice in choices if choice != {"type": "null"}]
        del schema["anyOf"]
        inner = rest[0] if len(rest) == 1 else {"anyOf": rest}
        schema = {**inner, **schema, "nullable": True}
    if "$ref" in schema and len(schema) > 1:
        reference = {"$ref": schema.pop("$ref")}
        schema.pop("type", None)
        schema = {**schema, "allOf": [reference]}
    return schema


def _each(items: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: change(value) for name, value in items.items()}


def _example(example: Example) -> Schema:
    written = {"summary": example.summary, "value": example.value}
    return written | ({"description": example.description} if example.description else {})


def _meaning(operation: Operation) -> str:
    answer = operation.answer
    said = inspect.getdoc(answer) if isinstance(answer, type) else None
    if said and issubclass(answer, msgspec.Struct):
        return said.partition("\n")[0]
    return HTTPStatus(operation.status).phrase


def _texts(texts: Mapping[str, str]) -> Schema:
    return {
        media: {"schema": {"type": "string", "description": text}} for media, text in texts.items()
    }


def _headers(headers: Mapping[str, str]) -> Schema:
    return {
        name: {"description": meaning, "schema": {"type": "string"}}
        for name, meaning in headers.items()
    }


def _is_in(path: str, parameter: Parameter) -> bool:
    return parameter.location != "path" or f"{{{parameter.name}}}" in path


def _of_filter(name: str, filter: django_filters.Filter) -> Parameter:
    kind: Kind = str
    if isinstance(filter, django_filters.UUIDFilter):
        kind = UUID
    elif isinstance(filter, django_filters.IsoDateTimeFilter):
        kind = datetime
    elif isinstance(filter, django_filters.DateFilter):
        kind = date
    elif isinstance(filter, django_filters.NumberFilter):
        kind = int
    elif isinstance(filter, django_filters.ChoiceFilter):
        kind = Literal[tuple(value for value, _ in filter.extra["choices"])]
    return Parameter(name=name, description=str(filter.extra.get("help_text", "")), type=kind)
