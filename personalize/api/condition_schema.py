"""
The condition language in the documentation's terms.

Made from the registry when the schema is asked for, so that it has every field there is, those
that a host registered included.
"""

from typing import Any, TypeAlias

from personalize.conditions import (
    MAX_DAYS,
    MAX_DEPTH,
    MAX_LEAVES,
    MEASURES,
    OPERATORS,
    Field,
    default_registry,
    operators_for,
)

Schema: TypeAlias = dict[str, Any]
REFERENCE = "#/components/schemas/ConditionTree"

_OPERANDS = {
    "none": "no value",
    "text": "a text",
    "pattern": "a text in which `*` stands for anything",
    "regex": "a regular expression of RE2's syntax",
    "texts": "a list of texts",
    "number": "a number",
    "range": "two numbers in a list",
    "datetime": "an ISO 8601 time",
    "days": "a number of days",
}

_DAYS = {
    "type": "object",
    "properties": {"days": {"type": "integer", "minimum": 1, "maximum": MAX_DAYS}},
    "required": ["days"],
    "additionalProperties": False,
}
_COUNT = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]}


def schemas() -> dict[str, Schema]:
    """Return the components that a condition is made of."""
    condition = {"$ref": "#/components/schemas/Condition"}
    conditions = {"type": "array", "items": condition}
    return {
        "ConditionTree": {
            "description": "One condition or a group of them; `{}` holds for everybody. At most "
            f"{MAX_LEAVES} conditions, in groups nested at most {MAX_DEPTH} deep.",
            "type": "object",
            "anyOf": [condition, {"type": "object", "maxProperties": 0}],
        },
        "Condition": {
            "description": "A comparison, something done, seen or reached, or a group.",
            "type": "object",
            "anyOf": [
                {"$ref": f"#/components/schemas/{name}"}
                for name in (
                    "AllCondition",
                    "AnyCondition",
                    "NotCondition",
                    "Comparison",
                    "DidEvent",
                    "SawExperience",
                    "ConvertedOnGoal",
                )
            ],
        },
        "AllCondition": _object("Holds when all of them hold.", {"all": conditions}),
        "AnyCondition": _object(
            "Holds when one of them holds.", {"any": {**conditions, "minItems": 1}}
        ),
        "NotCondition": _object("Holds when the other does not.", {"not": condition}),
        "Comparison": _object(
            "A fact compared with a value. Of a fact that is not known it is false, except for "
            "`is_missing`.",
            {"field": _field(), "operator": _operator(), "value": {}},
            required=["field", "operator"],
        ),
        "DidEvent": _did_event(),
        "SawExperience": _saw_experience(),
        "ConvertedOnGoal": _converted_on_goal(),
    }


def fields_as_markdown() -> str:
    """Return the fields as a table: name, meaning, and the operators that fit."""
    rows = [
        f"| `{_name(field)}` | {field.label}{_choices(field)} | {field.type} |"
        for field in default_registry.fields()
    ]
    kinds = dict.fromkeys(field.type for field in default_registry.fields())
    operators = [
        f"| {kind} | {', '.join(f'`{name}`' for name in _operator_names(kind))} |"
        for kind in kinds
        if kind != "any"
    ]
    return "\n".join(
        [
            '`pageTargeting` and `audience` are conditions: `{"all": [...]}`, '
            '`{"any": [...]}`, `{"not": ...}` over comparisons `{"field", '
            '"operator", "value"}` and did-event conditions `{"event": "ADD", '
            '"at_least": 1}` (in this session unless `within` says otherwise, and counting what '
            'was sent a moment ago). `{"saw": "hero_banner"}` holds for who has seen that, '
            '`{"converted": "hero_banner", "goal": "Signed up"}` for who reached that goal of it. '
            "In a path `*` is any item of a list: `items.*.sku`.",
            "",
            "| Field | Meaning | Type |",
            "|---|---|---|",
            *rows,
            "",
            "| Type | Operators |",
            "|---|---|",
            *operators,
            "",
            "A field of type any takes the operators of every type.",
        ]
    )


def _did_event() -> Schema:
    return _object(
        "The guest did it, as often as said; once or more unless said. With `measure` what counts "
        "is not how often, but the sum, average or number of different values of a property, or "
        "when it was first or last, compared by `operator` with `value`.",
        {
            "event": {
                "type": "string",
                "description": "The type of an event.",
                "examples": ["ADD"],
            },
            "where": {
                "type": "array",
                "description": "What has to hold of the event's own data.",
                "items": _object(
                    "A property of the event, compared.",
                    {
                        "field": {"type": "string", "examples": ["product.type"]},
                        "operator": _operator(),
                        "value": {},
                    },
                    required=["field", "operator"],
                ),
            },
            "measure": {
                "title": "ConditionMeasure",
                "type": "string",
                "enum": list(MEASURES),
                "description": "`first` and `last` compare times, and need days or `ever`.",
            },
            "of": {
                "type": "string",
                "description": "Which property; not of `first` and `last`.",
                "examples": ["product.price"],
            },
            "operator": _operator(),
            "value": {},
            **_times("session"),
        },
        required=["event"],
    )


def _saw_experience() -> Schema:
    return _object(
        "The guest has seen an experience, as often as said; once or more unless said.",
        {
            "saw": {
                "type": "string",
                "description": "Its friendly ID.",
                "examples": ["hero_banner"],
            },
            "variant": {"type": "string", "description": "The name of the variant."},
            **_times("ever"),
        },
        required=["saw"],
    )


def _converted_on_goal() -> Schema:
    return _object(
        "The guest reached a goal of an experience, which may be deleted by now; with `at_most` 0, "
        "did not.",
        {
            "converted": {
                "type": "string",
                "description": "The friendly ID of the experience.",
                "examples": ["hero_banner"],
            },
            "goal": {
                "type": "string",
                "description": "The name of the goal, as it is published.",
                "examples": ["Signed up"],
            },
            "at_most": {"anyOf": [{"type": "integer", "enum": [0]}, {"type": "null"}]},
            "within": {
                "anyOf": [
                    {"title": "ConversionWindow", "type": "string", "enum": ["ever"]},
                    _DAYS,
                ],
                "default": "ever",
                "description": "Ever, or for the first time in the last so many days.",
            },
        },
        required=["converted", "goal"],
    )


def _times(default: str) -> dict[str, Schema]:
    return {
        "at_least": _COUNT,
        "at_most": _COUNT,
        "within": {
            "anyOf": [
                {"title": "ConditionWindow", "type": "string", "enum": ["session", "ever"]},
                _DAYS,
            ],
            "default": default,
            "description": "In this session, in the last so many days, or ever.",
        },
    }


def _field() -> Schema:
    names = ", ".join(f"`{_name(field)}`" for field in default_registry.fields())
    return {"type": "string", "description": f"One of {names}.", "examples": ["guest.country"]}


def _operator() -> Schema:
    needed = dict.fromkeys(
        f"`{operator.name}` ({operator.type}: {_OPERANDS[operator.operand]})"
        for operator in OPERATORS
    )
    return {
        "type": "string",
        "enum": list(dict.fromkeys(operator.name for operator in OPERATORS)),
        "title": "ConditionOperator",
        "description": f"Which values it compares, and what `value` it needs: {', '.join(needed)}.",
    }


def _object(
    description: str, properties: dict[str, Schema], *, required: list[str] | None = None
) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


def _name(field: Field) -> str:
    return f"{field.name}<path>" if field.is_prefix else field.name


def _choices(field: Field) -> str:
    return f" ({', '.join(field.choices)})" if field.choices else ""


def _operator_names(kind: Any) -> list[str]:
    return list(dict.fromkeys(operator.name for operator in operators_for(kind)))
