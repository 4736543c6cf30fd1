"""
PURE. The stored form of a decision, and the checks it passes before it is saved.

    {"hitPolicy": "FIRST", "aggregator": "LIST",
     "inputs": [{"field": "guest.country", "label": "Country"}, {"label": "Anything else"}],
     "outputs": [{"name": "discount", "type": "NUMBER", "default": 0}],
     "rows": [{"when": [{"operator": "is", "value": "IE"}, null],
               "then": {"discount": 10}, "priority": 0}],
     "tests": [{"name": "Irish", "facts": {"guest.country": "IE"}, "expected": {"discount": 10}}]}

    {"callable": "next_best_offer", "outputs": [...], "tests": [...]}

A cell is a comparison of the condition language without its field; in an input that has no field
it is a whole condition tree. `null`, `{}` and a cell that is not there hold for any value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from personalize.conditions import (
    Condition,
    ConditionError,
    Leaf,
    Problem,
    Registry,
    default_registry,
)
from personalize.conditions import parse as parse_condition
from personalize.conditions.wording import show, show_choices
from personalize.decisions.outputs import Unfit, prepare, read_output
from personalize.decisions.types import (
    NUMERIC,
    Aggregator,
    Call,
    DecisionInvalid,
    HitPolicy,
    Input,
    Output,
    OutputType,
    Row,
    Table,
)

MAX_ROWS = 1000
MAX_COLUMNS = 20
MAX_LABEL = 100
MAX_PRIORITY = 1_000_000
#: A document with more mistakes than these is not read on.
MAX_PROBLEMS = 50

Choice = TypeVar("Choice", bound=StrEnum)

_KEYS = frozenset({"hitPolicy", "aggregator", "inputs", "outputs", "rows", "tests"})
_CALL_KEYS = frozenset({"callable", "outputs", "tests"})
_ROW_KEYS = frozenset({"when", "then", "priority"})


def parse(document: object, registry: Registry = default_registry) -> Table | Call:
    """Return the checked table or call. Raises DecisionInvalid with every problem at once."""
    reading = _Reading(registry)
    found = reading.read(document)
    if reading.problems or found is None:
        raise DecisionInvalid(reading.problems)
    return found


def offers_in(document: object) -> frozenset[str]:
    """Return the refs of the offers that a document names, tests included; total."""
    if not isinstance(document, Mapping):
        return frozenset()
    outputs = [output for output in _list(document, "outputs") if isinstance(output, Mapping)]
    names = [output.get("name") for output in outputs if output.get("type") == OutputType.OFFER]
    given = [output.get("default") for output in outputs if output.get("name") in names]
    for key, row_key in (("rows", "then"), ("tests", "expected")):
        for row in _list(document, key):
            values = row.get(row_key) if isinstance(row, Mapping) else None
            given += [values.get(name) for name in names] if isinstance(values, Mapping) else []
    refs = [ref for value in given for ref in (value if isinstance(value, list) else [value])]
    return frozenset(_plain_ref(ref) for ref in refs if isinstance(ref, str))


def _plain_ref(text: str) -> str:
    try:
        return str(prepare(OutputType.OFFER, text))
    except Unfit:
        return text


def fallback(document: object) -> dict[str, object]:
    """Return what a document that cannot be used any more answers: its defaults, no offers."""
    if not isinstance(document, Mapping):
        return {}
    outputs = [read_output(given)[0] for given in _list(document, "outputs")]
    return {
        output.name: None if output.type is OutputType.OFFER else output.default
        for output in outputs
        if output is not None
    }


def _list(document: Mapping[str, object], key: str) -> list[object]:
    found = document.get(key)
    return found if isinstance(found, list) else []


class _Reading:
    """One pass over a document. Where something is wrong it notes it and reads on."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.problems: list[Problem] = []

    def note(self, path: str, message: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(path, message))

    def read(self, document: object) -> Table | Call | None:
        if not isinstance(document, Mapping) or not document:
            self.note("", "A decision needs “outputs” and “rows”, or a “callable”.")
            return None
        is_call = "callable" in document
        self.refuse_extra(document, _CALL_KEYS if is_call else _KEYS, path="")
        outputs = self.read_outputs(document.get("outputs"))
        if is_call:
            return self.read_call(document["callable"], outputs)
        policy = self.read_choice(document, "hitPolicy", HitPolicy, HitPolicy.FIRST)
        aggregator = self.read_choice(document, "aggregator", Aggregator, Aggregator.LIST)
        self.check_numbers(policy, aggregator, outputs)
        inputs = self.read_inputs(document.get("inputs", []))
        rows = self.read_rows(document.get("rows", []), inputs, outputs)
        read = tuple(column for column in inputs if column is not None)
        return Table(policy, aggregator, read, outputs, rows)

    def read_call(self, name: object, outputs: tuple[Output, ...]) -> Call | None:
        if not isinstance(name, str) or not name:
            self.note("callable", "“callable” needs the name of a registered callable.")
            return None
        return Call(name, outputs)

    def read_choice(
        self, document: Mapping[str, object], key: str, kind: type[Choice], default: Choice
    ) -> Choice:
        value = document.get(key)
        if value is None:
            return default
        if not isinstance(value, str) or value not in kind.__members__:
            choices = show_choices(kind.__members__)
            self.note(key, f"There is no {key} {show(value)}: use {choices}.")
            return default
        return kind(value)

    def check_numbers(
        self, policy: HitPolicy, aggregator: Aggregator, outputs: tuple[Output, ...]
    ) -> None:
        if policy is not HitPolicy.COLLECT or aggregator not in NUMERIC:
            return
        for at, output in enumerate(outputs):
            if output.type is not OutputType.NUMBER:
                self.note(
                    f"outputs[{at}]",
                    f"Output “{output.name}”: {aggregator} calculates with numbers. Make it a "
                    "NUMBER, or collect a LIST.",
                )

    # --- columns ---

    def read_outputs(self, given: object) -> tuple[Output, ...]:
        if not isinstance(given, list | tuple) or not given:
            self.note("outputs", "Add an output: the column of what is answered.")
            return ()
        if len(given) > MAX_COLUMNS:
            self.note("outputs", f"There are {len(given)} outputs; at most {MAX_COLUMNS}.")
        found: dict[str, Output] = {}
        for at, item in enumerate(given[:MAX_COLUMNS]):
            output, problems = read_output(item)
            for problem in problems:
                self.note(f"outputs[{at}]", problem)
            if output is None:
                continue
            if output.name in found:
                self.note(f"outputs[{at}]", f"Two outputs are called “{output.name}”: rename one.")
            found[output.name] = output
        return tuple(found.values())

    def read_inputs(self, given: object) -> list[Input | None]:
        """Return the columns; None stands for one whose cells cannot be read."""
        if not isinstance(given, list | tuple):
            self.note("inputs", "“inputs” needs a list of columns.")
            return []
        if len(given) > MAX_COLUMNS:
            self.note("inputs", f"There are {len(given)} inputs; at most {MAX_COLUMNS}.")
        return [self.read_input(at, item) for at, item in enumerate(given[:MAX_COLUMNS])]

    def read_input(self, at: int, item: object) -> Input | None:
        path = f"inputs[{at}]"
        if not isinstance(item, Mapping):
            self.note(path, "An input is an object with a “field”, a “label”, or both.")
            return None
        self.refuse_extra(item, frozenset({"field", "label"}), path=path)
        name, label = item.get("field"), item.get("label")
        field = self.registry.resolve(name) if isinstance(name, str) else None
        if name and field is None:
            self.note(path, f"There is no field {show(name)}: choose one of the fields listed.")
            return None
        shown = label if isinstance(label, str) and label.strip() else ""
        return Input((shown or (field.label if field else "Condition"))[:MAX_LABEL], field)

    # --- rows ---

    def read_rows(
        self, given: object, inputs: Sequence[Input | None], outputs: tuple[Output, ...]
    ) -> tuple[Row, ...]:
        if not isinstance(given, list | tuple):
            self.note("rows", "“rows” needs a list of rows.")
            return ()
        if len(given) > MAX_ROWS:
            self.note("rows", f"There are {len(given)} rows; at most {MAX_ROWS}.")
        return tuple(
            self.read_row(at, item, inputs, outputs) for at, item in enumerate(given[:MAX_ROWS])
        )

    def read_row(
        self, at: int, item: object, inputs: Sequence[Input | None], outputs: tuple[Output, ...]
    ) -> Row:
        number, path = at + 1, f"rows[{at}]"
        if not isinstance(item, Mapping):
            self.note(path, f"Row {number} has to be an object with “when” and “then”.")
            return Row(number, (None,) * len(inputs), {})
        self.refuse_extra(item, _ROW_KEYS, path=path, where=f"Row {number}: ")
        priority = item.get("priority", 0)
        whole = isinstance(priority, int) and not isinstance(priority, bool)
        if not whole or abs(priority) > MAX_PRIORITY:
            self.note(f"{path}.priority", f"Row {number}: the priority is a whole number.")
            priority = 0
        cells = self.read_cells(number, item.get("when"), inputs)
        return Row(number, cells, self.read_values(number, item.get("then"), outputs), priority)

    def read_cells(
        self, number: int, when: object, inputs: Sequence[Input | None]
    ) -> tuple[Condition | None, ...]:
        path = f"rows[{number - 1}].when"
        given = [] if when is None else when
        if not isinstance(given, list | tuple) or len(given) > len(inputs):
            self.note(path, f"Row {number}: “when” is a list of one cell for each input.")
            given = []
        cells = [self.read_cell(number, at, cell, inputs[at]) for at, cell in enumerate(given)]
        return (*cells, *[None] * (len(inputs) - len(cells)))

    def read_cell(
        self, number: int, at: int, cell: object, input: Input | None
    ) -> Condition | None:
        if input is None or cell is None or cell == {}:
            return None
        path = f"rows[{number - 1}].when[{at}]"
        where = f"Row {number}, “{input.label}”"
        tree = cell
        if input.field is not None:
            if not isinstance(cell, Mapping) or not cell.keys() <= {"operator", "value"}:
                self.note(path, f"{where}: a cell is an “operator” and a “value”, or null for any.")
                return None
            tree = {"field": input.field.name, **cell}
        try:
            condition = parse_condition(tree, self.registry)
        except ConditionError as error:
            for problem in error.problems:
                self.note(path, f"{where}: {problem.message}")
            return None
        is_empty = not isinstance(condition, Leaf) and not getattr(condition, "children", True)
        return None if is_empty else condition

    def read_values(
        self, number: int, then: object, outputs: tuple[Output, ...]
    ) -> dict[str, object]:
        path = f"rows[{number - 1}].then"
        if then is None:
            return {}
        if not isinstance(then, Mapping):
            self.note(path, f"Row {number}: “then” is an object of outputs and their values.")
            return {}
        known = {output.name: output for output in outputs}
        found: dict[str, object] = {}
        for name, value in then.items():
            output = known.get(name)
            if output is None:
                self.note(path, f"Row {number}: there is no output {show(name)}.")
            elif value is not None:
                try:
                    found[output.name] = prepare(output.type, value)
                except Unfit as unfit:
                    self.note(path, f"Row {number}, “{name}”: it needs {unfit}.")
        return found

    def refuse_extra(
        self, node: Mapping[str, object], known: frozenset[str], *, path: str, where: str = ""
    ) -> None:
        extra = [key for key in node if key not in known]
        if extra:
            self.note(path, f"{where}{show(extra[0])} means nothing here: remove it.")
