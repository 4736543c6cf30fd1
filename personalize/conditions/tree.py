"""
The stored condition tree, and the checks it passes before it is saved.

    {"all": [node, ...]}  {"any": [node, ...]}  {"not": node}
    {"field": "guest.email", "operator": "contains", "value": "@acme"}
    {"event": "ADD", "where": [{"field": "product.type", "operator": "is", "value": "shoes"}],
     "at_least": 1, "at_most": null, "within": "session"}
    {"event": "ADD", "measure": "sum", "of": "product.price", "operator": "at_least", "value": 100,
     "within": {"days": 30}}
    {"saw": "hero_banner", "variant": "B", "at_least": 1, "within": "ever"}
    {"converted": "hero_banner", "goal": "Signed up", "at_most": 0, "within": {"days": 30}}

`within` is "session", {"days": n} or "ever"; `measure` is sum, average or distinct of a property,
or first or last, which compare times. `saw` is about runs of experiences. `converted` is about
goals, reached ever or for the first time in the last days; with `at_most` 0, not reached.

In a path a `*` is any item of a list: `items.*.sku is x` holds if one of them is; `is not` and its
like hold if none is. Where no item has it, it is missing; sums and the like are of all items.

None, {} and {"all": []} match everybody. `not` is plain negation: a leaf about a missing value
is false, and `not` of it is true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from personalize.conditions.facts import ANY_ITEM, dotted_path
from personalize.conditions.operators import (
    MAX_DAYS,
    FieldType,
    Operator,
    Unfit,
    find_operators,
    operators_for,
    prepare_operand,
)
from personalize.conditions.registry import (
    MAX_NAME,
    MAX_SEGMENTS,
    Field,
    Registry,
    default_registry,
)
from personalize.conditions.wording import show, show_choices

MAX_DEPTH = 8
MAX_LEAVES = 100
MAX_COUNT = 10_000

GROUPS = ("all", "any", "not")
LEAF_KEYS = frozenset({"field", "operator", "value"})
COUNT_KEYS = frozenset({"at_least", "at_most", "within"})
MEASURE_KEYS = frozenset({"measure", "of", "operator", "value"})
BEHAVIOUR_KEYS = COUNT_KEYS | MEASURE_KEYS | {"event", "where"}
SAW_KEYS = COUNT_KEYS | {"saw", "variant"}
CONVERTED_KEYS = frozenset({"converted", "goal", "at_most", "within"})

#: Type of the event that an experience's run leaves, and where it says which it was.
RUN = "TRACKING"
RUN_FLOW, RUN_VARIANT = "flowExecution.flowFriendlyId", "decision.variant"


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a tree: where (`all[0].not`), and a sentence for the marketer."""

    path: str
    message: str


class ConditionError(ValueError):
    """A tree cannot be used. `problems` lists everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class Group:
    kind: Literal["all", "any", "not"]
    children: tuple[Condition, ...]


@dataclass(frozen=True)
class Leaf:
    """A comparison. `value` is as stored, `operand` as the operator takes it."""

    field: Field
    operator: Operator
    value: object
    operand: object


@dataclass(frozen=True)
class Window:
    """When something was done: in this session, in the last so many days, or ever: neither."""

    in_session: bool = False
    days: int | None = None


#: What a measure is called, and the type of what it gives.
MEASURES: Mapping[str, tuple[str, FieldType]] = {
    "sum": ("sum", "number"),
    "average": ("average", "number"),
    "distinct": ("number of different values", "number"),
    "first": ("first time", "datetime"),
    "last": ("last time", "datetime"),
}


@dataclass(frozen=True)
class Measure:
    """What is made of the events that are meant; `comparison` is asked of it."""

    kind: str
    of: tuple[str, ...]
    comparison: Leaf


@dataclass(frozen=True)
class Behaviour:
    """
    Did EVENT, where all of `where` hold of its data, between at_least and at_most times.

    With `measure` that decides, and not the number. `subject` is how the event reads.
    """

    event: str
    where: tuple[Leaf, ...]
    at_least: int
    at_most: int | None
    within: Window
    measure: Measure | None = None
    subject: str = ""


@dataclass(frozen=True)
class Conversion:
    """
    Reached a goal of a flow, ever or for the first time in the last days.

    flow: its friendly id. goal: its name. is_never: it is wanted that the guest did not.
    """

    flow: str
    goal: str
    within: Window
    is_never: bool = False


Condition: TypeAlias = Group | Leaf | Behaviour | Conversion

EVERYBODY = Group("all", ())


def parse(tree: object, registry: Registry = default_registry) -> Condition:
    """Return the checked tree. Raises ConditionError with every problem at once."""
    reading = _Reading(registry)
    condition = reading.read_root(tree)
    if reading.problems:
        raise ConditionError(reading.problems)
    return condition


def validate(tree: object, registry: Registry = default_registry) -> list[Problem]:
    """Return everything that is wrong with a tree, in its order; an empty list when it is fine."""
    reading = _Reading(registry)
    reading.read_root(tree)
    return reading.problems


class _Reading:
    """One pass over a tree. Where something is wrong it notes it and reads on."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.problems: list[Problem] = []
        self.leaves = 0

    def read_root(self, tree: object) -> Condition:
        if tree is None or tree == {}:
            return EVERYBODY
        condition = self.read(tree, path="", depth=0)
        if self.leaves > MAX_LEAVES:
            self.note("", f"There are {self.leaves} conditions; at most {MAX_LEAVES} fit together.")
        return condition

    def note(self, path: str, message: str) -> Condition:
        self.problems.append(Problem(path, message))
        return EVERYBODY

    def read(self, node: object, *, path: str, depth: int) -> Condition:
        if not isinstance(node, Mapping):
            return self.note(path, "A condition has to be an object.")
        if not node:
            return self.note(path, "This condition is empty: fill it in or remove it.")
        kinds = [kind for kind in GROUPS if kind in node]
        if kinds:
            return self.read_group(node, kinds[0], path=path, depth=depth + 1)
        if "event" in node:
            return self.read_behaviour(node, path=path)
        if "saw" in node:
            return self.read_saw(node, path=path)
        if "converted" in node:
            return self.read_converted(node, path=path)
        if "field" in node:
            self.leaves += 1
            return self.read_leaf(node, path=path)
        return self.note(
            path,
            "A condition needs “all”, “any” or “not”, or a “field”, an “event”, “saw” or "
            "“converted”.",
        )

    def read_group(
        self, node: Mapping[str, object], kind: str, *, path: str, depth: int
    ) -> Condition:
        if len(node) > 1:
            self.note(path, f"A group has one key: “{kind}” stands beside something else.")
        if depth > MAX_DEPTH:
            return self.note(path, f"Groups are nested more than {MAX_DEPTH} deep: flatten them.")
        here = f"{path}.{kind}" if path else kind
        members = node[kind]
        if kind == "not":
            return Group("not", (self.read(members, path=here, depth=depth),))
        if not isinstance(members, list | tuple):
            return self.note(here, f"“{kind}” needs a list of conditions.")
        if kind == "any" and not members:
            return self.note(here, "“any” of no conditions can never hold: add a condition.")
        children = tuple(
            self.read(member, path=f"{here}[{index}]", depth=depth)
            for index, member in enumerate(members)
        )
        return Group("all" if kind == "all" else "any", children)

    def read_leaf(self, node: Mapping[str, object], *, path: str) -> Condition:
        self.refuse_extra(node, LEAF_KEYS, path=path)
        name = node["field"]
        field = self.registry.resolve(name) if isinstance(name, str) else None
        if field is None:
            return self.note(
                path, f"There is no field {show(name)}: choose one of the fields listed."
            )
        return self.compare(field, node, path=path) or EVERYBODY

    def read_behaviour(self, node: Mapping[str, object], *, path: str) -> Condition:
        self.leaves += 1
        self.refuse_extra(node, BEHAVIOUR_KEYS, path=path)
        event = node["event"]
        if not isinstance(event, str) or not event or len(event) > MAX_NAME:
            self.note(path, "“event” needs the type of an event, such as VIEW or ADD.")
            event = ""
        within = self.read_window(node.get("within", "session"), path=path)
        at_least, at_most = self.read_counts(node, path=path)
        where = self.read_where(node.get("where"), path=path)
        measure = self.read_measure(node, within, path=path)
        return Behaviour(event, where, at_least, at_most, within, measure)

    def read_saw(self, node: Mapping[str, object], *, path: str) -> Condition:
        self.leaves += 1
        self.refuse_extra(node, SAW_KEYS, path=path)
        name, variant = node["saw"], node.get("variant")
        if not isinstance(name, str) or not name or len(name) > MAX_NAME:
            return self.note(path, "“saw” needs the friendly ID of an experience.")
        named = {RUN_FLOW: name}
        if variant is not None:
            if not isinstance(variant, str) or not variant or len(variant) > MAX_NAME:
                return self.note(path, "“variant” needs the name of a variant.")
            named[RUN_VARIANT] = variant
        where = tuple(
            leaf
            for field, value in named.items()
            if (
                leaf := self.read_property(
                    {"field": field, "operator": "is_exactly", "value": value}, path=path
                )
            )
        )
        at_least, at_most = self.read_counts(node, path=path)
        within = self.read_window(node.get("within", "ever"), path=path)
        subject = show(name) if variant is None else f"{show(name)}, variant {show(variant)},"
        return Behaviour(RUN, where, at_least, at_most, within, subject=subject)

    def read_converted(self, node: Mapping[str, object], *, path: str) -> Condition:
        self.leaves += 1
        self.refuse_extra(node, CONVERTED_KEYS, path=path)
        flow, goal = node["converted"], node.get("goal")
        if not isinstance(flow, str) or not flow or len(flow) > MAX_NAME:
            return self.note(path, "“converted” needs the friendly ID of an experience.")
        if not isinstance(goal, str) or not goal or len(goal) > MAX_NAME:
            return self.note(path, "“converted” needs “goal”: the name of one of its goals.")
        at_most = node.get("at_most")
        if at_most is not None and (isinstance(at_most, bool) or at_most != 0):
            self.note(path, "“converted” takes “at_most” 0 alone: a goal is reached, or is not.")
        within = self.read_window(node.get("within", "ever"), path=path)
        if within.in_session and node.get("within") == "session":
            self.note(path, "“converted” is “within” days or “ever”: visits are not told apart.")
        return Conversion(flow, goal, within, is_never=at_most is not None)

    def read_window(self, within: object, *, path: str) -> Window:
        if within == "session":
            return Window(in_session=True)
        if within == "ever":
            return Window()
        days = within.get("days") if isinstance(within, Mapping) and len(within) == 1 else None
        if isinstance(days, int) and not isinstance(days, bool) and 1 <= days <= MAX_DAYS:
            return Window(days=days)
        self.note(
            path,
            f"“within” {show(within)} is not possible: use “session”, “ever”, or "
            f"{{“days”: n}} with a whole number from 1 to {MAX_DAYS}.",
        )
        return Window(in_session=True)

    def read_measure(
        self, node: Mapping[str, object], within: Window, *, path: str
    ) -> Measure | None:
        given = [key for key in sorted(MEASURE_KEYS) if node.get(key) is not None]
        kind = node.get("measure")
        if not given:
            return None
        if not isinstance(kind, str) or kind not in MEASURES:
            self.note(path, f"“measure” is one of {show_choices(MEASURES)}.")
            return None
        if node.get("at_least") is not None or node.get("at_most") is not None:
            self.note(path, "“measure” decides instead of the number of times: remove one of them.")
        label, type_ = MEASURES[kind]
        of: tuple[str, ...] = ()
        if type_ == "number" and node.get("of") is None:
            self.note(path, f"“{kind}” needs “of”: the path of a property.")
        elif type_ == "number":
            of = self.read_path(node.get("of"), path=path)
        elif node.get("of") is not None:
            self.note(path, f"“{kind}” is a time: it is not “of” a property.")
        elif within.in_session:
            self.note(path, f"“{kind}” needs “within” days, or “ever”.")
        name = ".".join(of)
        field = Field(
            name=f"{kind}.{name}" if name else kind,
            label=f"{label} of {name}" if name else label,
            type=type_,
            needs="events",
        )
        leaf = self.compare(field, node, path=path)
        return None if leaf is None else Measure(kind, of, leaf)

    def read_counts(self, node: Mapping[str, object], *, path: str) -> tuple[int, int | None]:
        at_least, at_most = node.get("at_least"), node.get("at_most")
        for key, count in (("at_least", at_least), ("at_most", at_most)):
            if count is not None and not _is_count(count):
                self.note(path, f"“{key}” needs a whole number from 0 to {MAX_COUNT}.")
                return 1, None
        most = at_most if isinstance(at_most, int) else None
        # "At most twice" includes never; without any number, "did" means at least once.
        least = at_least if isinstance(at_least, int) else int(most is None)
        if least == 0 and most is None:
            self.note(path, "“at least 0 times” always holds: raise it, or set “at_most”.")
        if most is not None and most < least:
            self.note(path, f"At least {least} and at most {most} times can never both hold.")
        return least, most

    def read_where(self, where: object, *, path: str) -> tuple[Leaf, ...]:
        if where is None:
            return ()
        if not isinstance(where, list | tuple):
            self.note(path, "“where” needs a list of conditions on the event's properties.")
            return ()
        leaves = []
        for index, node in enumerate(where):
            self.leaves += 1
            leaf = self.read_property(
                node, path=f"{path}.where[{index}]" if path else f"where[{index}]"
            )
            if leaf is not None:
                leaves.append(leaf)
        return tuple(leaves)

    def read_property(self, node: object, *, path: str) -> Leaf | None:
        if not isinstance(node, Mapping) or "field" not in node:
            self.note(path, "A condition on an event needs a “field”: the path of a property.")
            return None
        self.refuse_extra(node, LEAF_KEYS, path=path)
        segments = self.read_path(node["field"], path=path)
        if not segments:
            return None
        name = ".".join(segments)
        has_items = ANY_ITEM in segments
        field = Field(
            name=name,
            label=name,
            type="any",
            needs="events",
            has_alternatives=has_items,
            has_items=has_items,
        )
        leaf = self.compare(field, node, path=path)
        if leaf is not None and leaf.operator.span is not None:
            self.note(path, f"{name}: “{leaf.operator.label}” is for dates of guests and orders.")
            return None
        return leaf

    def read_path(self, name: object, *, path: str) -> tuple[str, ...]:
        segments = dotted_path(name) if isinstance(name, str) and len(name) <= MAX_NAME else ()
        if not segments or not all(segments) or len(segments) > MAX_SEGMENTS:
            self.note(path, f"{show(name)} is not the path of a property.")
            return ()
        return segments

    def compare(self, field: Field, node: Mapping[str, object], *, path: str) -> Leaf | None:
        name, value = node.get("operator"), node.get("value")
        named = find_operators(name) if isinstance(name, str) else ()
        if not named:
            labels = show_choices(dict.fromkeys(op.name for op in operators_for(field.type)))
            self.note(path, f"{field.label}: there is no operator {show(name)}; use {labels}.")
            return None
        fitting = [op for op in named if op in operators_for(field.type)]
        if not fitting:
            self.note(
                path,
                f"{field.label}: “{named[0].label}” compares {_KINDS[named[0].type]}, "
                f"but this is {_A_KIND[field.type]}.",
            )
            return None
        operator, operand, unfit = _bind(fitting, value)
        if unfit is not None:
            self.note(path, f"{field.label}: “{operator.label}” needs {unfit}.")
            return None
        self.check_choices(field, operator, operand, path=path)
        return Leaf(field, operator, value, operand)

    def check_choices(
        self, field: Field, operator: Operator, operand: object, *, path: str
    ) -> None:
        if not field.choices or not operator.name.startswith("is_") and operator.name != "is":
            return
        known = {choice.casefold() for choice in field.choices}
        values = operand if isinstance(operand, tuple) else (operand,)
        for value in values:
            if isinstance(value, str) and value.casefold() not in known:
                self.note(
                    path,
                    f"{field.label} is never {show(value)}: use {show_choices(field.choices)}.",
                )

    def refuse_extra(self, node: Mapping[str, object], known: frozenset[str], *, path: str) -> None:
        extra = [key for key in node if key not in known]
        if extra:
            self.note(path, f"{show(extra[0])} means nothing here: remove it.")


_KINDS = {
    "text": "texts",
    "number": "numbers",
    "boolean": "yes/no values",
    "datetime": "dates",
    "list": "lists",
    "any": "anything",
}
_A_KIND = {
    "text": "a text",
    "number": "a number",
    "boolean": "a yes/no value",
    "datetime": "a date",
    "list": "a list",
    "any": "anything",
}


def _bind(operators: list[Operator], value: object) -> tuple[Operator, object, Unfit | None]:
    """
    Choose among operators of one name the one whose operand this is.

    On an untyped field `is` compares numbers when given a number and texts when given a text.
    """
    first_unfit: Unfit | None = None
    for operator in operators:
        try:
            return operator, prepare_operand(operator.operand, value), None
        except Unfit as unfit:
            first_unfit = first_unfit or unfit
    return operators[0], None, first_unfit


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT
