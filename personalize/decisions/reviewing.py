"""
PURE. What is wrong with a table as a whole: rows that collide, inputs that no row covers.

Called before a table is saved. Every example it names is one that was tried: both rows do hit it,
or no row does. Where the comparisons leave it open whether two rows can meet (texts that contain
something, whole conditions), it says so instead of guessing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from personalize.conditions import Field, Leaf, Problem
from personalize.decisions.columns import Column, Rows
from personalize.decisions.readings import some_values, texts_of
from personalize.decisions.samples import facts_of, say
from personalize.decisions.scales import NOTHING, UNREADABLE, Scale, scale_of
from personalize.decisions.table import CompiledTable
from personalize.decisions.types import HitPolicy

#: A point in time to try tables at; which one does not matter.
_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_MOST_REPORTED = 10
_MOST_STEPS = 20_000
_MOST_TRIES = 2_000
#: Comparisons of texts that hold for just the texts they name.
_NAMING = frozenset({"is", "is_one_of", "is_exactly"})


@dataclass(frozen=True)
class Review:
    """Problems stand in the way of saving; warnings are for a person to judge."""

    problems: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()


def review(compiled: CompiledTable) -> Review:
    """Look for rows that collide, rows that never hit, and inputs that nothing covers."""
    looking = Looking(compiled)
    problems, warnings = looking.collisions()
    warnings += looking.never_hit()
    gap = looking.gap()
    if not compiled.ranked:
        warnings.append(Problem("rows", "There is no row yet: the answer is always the defaults."))
    elif gap is not None:
        message = f"No row hits when {say(gap)}: the answer is then the defaults."
        warnings.append(Problem("rows", message))
    return Review(problems, warnings)


@dataclass
class _Dimension:
    """
    All columns on one field, together.

    samples: values to try, and the rows that hold for each. is_exact: the samples stand for
    every value there is. naming: rows that hold for no value but those that they name. untried:
    of these rows those that name more than was tried, each with the rows that name it too.
    """

    name: str
    samples: list[tuple[object, Rows]]
    is_exact: bool
    naming: Rows = 0
    untried: Mapping[Rows, Rows] = field(default_factory=dict)
    rows: Rows = field(init=False)
    held: Collection[Rows] = field(init=False)
    not_all_tried: Rows = field(init=False)

    def __post_init__(self) -> None:
        self.held = {rows for _value, rows in self.samples}
        self.rows = _union(self.held)
        self.not_all_tried = _union(self.untried)

    def sure(self, row: Rows) -> Rows:
        """Return the rows that hold together with this one for some sample."""
        return _union(rows for rows in self.held if rows & row)

    def unsure(self, row: Rows) -> Rows:
        """Return the rows of which the samples cannot say that they never hold with this one."""
        if self.is_exact:
            return 0
        if not row & self.naming:
            return ~self.naming | self.not_all_tried
        beside = self.untried.get(row, 0)
        return beside | ~self.naming if beside else 0

    def example(self, both: Rows) -> object:
        """Return a value for which these rows hold, one that is there if possible."""
        held = [value for value, rows in self.samples if rows & both == both]
        return next((value for value in held if value is not None), None)


class Looking:
    """One look at a table."""

    def __init__(self, compiled: CompiledTable) -> None:
        self.compiled = compiled
        self.everything = (1 << len(compiled.ranked)) - 1
        self.conditions = [column for column in compiled.columns if column.of_value is None]

    @cached_property
    def dimensions(self) -> list[_Dimension]:
        by_field: dict[str, list[Column]] = {}
        for column in self.compiled.columns:
            if column.input.field is not None and column.of_value is not None:
                by_field.setdefault(column.input.field.name, []).append(column)
        return [_dimension(name, columns) for name, columns in by_field.items()]

    # --- collisions ---

    def collisions(self) -> tuple[list[Problem], list[Problem]]:
        """Return rows that do collide, and rows that may."""
        problems: list[Problem] = []
        warnings: list[Problem] = []
        if self.compiled.table.policy not in (HitPolicy.UNIQUE, HitPolicy.ANY):
            return problems, warnings
        tries = iter(range(_MOST_TRIES))
        for first, second, is_sure in self.pairs():
            is_tried = is_sure and next(tries, None) is not None
            example = self.example(first, second) if is_tried else None
            if example is not None:
                problems.append(self.collide(first, second, say(example)))
            elif len(warnings) < _MOST_REPORTED:
                warnings.append(self.may_collide(first, second))
            if len(problems) == _MOST_REPORTED:
                break
        return problems, warnings

    def pairs(self) -> Iterator[tuple[int, int, bool]]:
        """Yield the bits of rows that hit together, or may, and whether that is sure."""
        for first in range(len(self.compiled.ranked)):
            row = 1 << first
            sure = possible = self.everything & ~((row << 1) - 1) & ~self.alike(first)
            for dimension in self.dimensions:
                together = dimension.sure(row)
                sure &= together
                possible &= together | dimension.unsure(row)
            for column in self.conditions:
                sure &= column.free if column.free & row else 0
            while possible:
                lowest = possible & -possible
                possible ^= lowest
                yield first, lowest.bit_length() - 1, bool(sure & lowest)

    def alike(self, first: int) -> Rows:
        """Return the rows that may hit together with this one, for they answer alike."""
        if self.compiled.table.policy is not HitPolicy.ANY:
            return 0
        return self.same_answers[self.compiled.answers[first]]

    @cached_property
    def same_answers(self) -> dict[str, Rows]:
        found: dict[str, Rows] = {}
        for bit, answer in enumerate(self.compiled.answers):
            found[answer] = found.get(answer, 0) | 1 << bit
        return found

    def example(self, first: int, second: int) -> dict[str, object] | None:
        """Return facts that both rows do hit, or None when what seemed to fit does not."""
        both = 1 << first | 1 << second
        stated = {
            dimension.name: dimension.example(both)
            for dimension in self.dimensions
            if both & ~self.free_of(dimension)
        }
        return stated if self.hit(stated) & both == both else None

    def free_of(self, dimension: _Dimension) -> Rows:
        """Return the rows that ask nothing of this field."""
        found = self.everything
        for column in self.compiled.columns:
            if column.input.field is not None and column.input.field.name == dimension.name:
                found &= column.free
        return found

    def hit(self, stated: dict[str, object]) -> Rows:
        return self.compiled.rows(facts_of(stated, now=_MOMENT))

    def collide(self, first: int, second: int, example: str) -> Problem:
        at, one, other = self.names(first, second)
        policy = self.compiled.table.policy
        remedy = (
            "UNIQUE lets one row hit: narrow one of them, or choose FIRST."
            if policy is HitPolicy.UNIQUE
            else "ANY lets rows that hit together answer alike only: narrow one of them, make "
            "their answers equal, or choose FIRST."
        )
        return Problem(at, f"Rows {one} and {other} both hit when {example}. {remedy}")

    def may_collide(self, first: int, second: int) -> Problem:
        at, one, other = self.names(first, second)
        policy = self.compiled.table.policy
        return Problem(
            at,
            f"Rows {one} and {other} may both hit: their conditions do not rule it out. If they "
            f"do, {policy} has no answer, and the defaults are given.",
        )

    def names(self, first: int, second: int) -> tuple[str, int, int]:
        one, other = sorted(self.compiled.ranked[bit].number for bit in (first, second))
        return f"rows[{other - 1}]", one, other

    # --- rows without a use, inputs without a row ---

    def never_hit(self) -> list[Problem]:
        """Return the rows whose own cells contradict each other."""
        able = self.everything
        for dimension in self.dimensions:
            if dimension.is_exact:
                able &= dimension.rows
        numbers = [
            row.number for bit, row in enumerate(self.compiled.ranked) if not able >> bit & 1
        ]
        return [
            Problem(
                f"rows[{number - 1}]", f"Row {number} can never hit: its conditions exclude it."
            )
            for number in sorted(numbers)[:_MOST_REPORTED]
        ]

    def gap(self) -> dict[str, object] | None:
        """Return known facts that no row hits; None when there are none, or none was found."""
        catch_all = self.everything
        for column in self.compiled.columns:
            catch_all &= column.free
        if catch_all:
            return None
        choices = [(d.name, _kinds(d)) for d in self.dimensions]
        steps = iter(range(_MOST_STEPS))

        def search(at: int, rows: Rows, stated: dict[str, object]) -> dict[str, object] | None:
            if not rows or at == len(choices):
                return stated if not self.hit(stated) else None
            name, kinds = choices[at]
            for value, held in kinds:
                if next(steps, None) is None:
                    return None
                found = search(at + 1, rows & held, {**stated, name: value})
                if found is not None:
                    return found
            return None

        return search(0, self.everything, {})


def _kinds(dimension: _Dimension) -> list[tuple[object, Rows]]:
    """Return one known value for each set of rows it leaves, the smallest sets first."""
    kinds: dict[Rows, object] = {}
    for value, rows in dimension.samples:
        if value is not None:
            kinds.setdefault(rows, value)
    return sorted(((value, rows) for rows, value in kinds.items()), key=_size)


def _size(kind: tuple[object, Rows]) -> int:
    return kind[1].bit_count()


def _dimension(name: str, columns: Sequence[Column]) -> _Dimension:
    leaves = [leaf for column in columns for leaf in column.leaves if leaf is not None]
    scale = scale_of(leaves)
    if scale is not None:
        values = _possible_values(columns[0].input.field, scale)
    else:
        values = some_values(leaves)
    samples = [(value, _rows(columns, value)) for value in values]
    if scale is not None:
        return _Dimension(name, samples, is_exact=True)
    naming = _Naming(columns)
    return _Dimension(name, samples, False, naming.rows, naming.untried(values))


def _rows(columns: Sequence[Column], value: object) -> Rows:
    found = -1
    for column in columns:
        found &= column.of_value(value) if column.of_value else -1
    return found


def _possible_values(known: Field | None, scale: Scale) -> list[object]:
    """Return None for a missing value, and a value of every class that can be there."""
    values = [value for value in scale.classes[UNREADABLE + 1 :] if value is not NOTHING]
    if known is not None and known.choices:
        return [None, *known.choices]
    if known is not None and known.is_count:
        numbers = [value for value in values if isinstance(value, int | float)]
        return [None, 0, *(int(number) for number in numbers if number > 0 and number % 1 == 0)]
    return [None, *values]


class _Naming:
    """The rows that hold for just the texts they name, by each of these texts."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.spellings: set[str] = set()
        self.by_text: dict[str, Rows] = {}
        for column in columns:
            for bit, leaf in enumerate(column.leaves):
                if leaf is not None and _only_names(leaf):
                    self._add(1 << bit, texts_of(leaf))

    def _add(self, row: Rows, texts: Sequence[str]) -> None:
        self.spellings.update(texts)
        for text in {text.casefold() for text in texts}:
            self.by_text[text] = self.by_text.get(text, 0) | row

    @property
    def rows(self) -> Rows:
        return _union(self.by_text.values())

    def untried(self, values: Sequence[object]) -> dict[Rows, Rows]:
        """Return the rows that name texts which are not among these values, with all that do."""
        tried = {value for value in values if isinstance(value, str)}
        found: dict[Rows, Rows] = {}
        for text in {spelling.casefold() for spelling in self.spellings - tried}:
            together = self.by_text[text]
            for row in _each(together):
                found[row] = found.get(row, 0) | together
        return found


def _union(many: Iterable[Rows]) -> Rows:
    found = 0
    for rows in many:
        found |= rows
    return found


def _each(rows: Rows) -> Iterator[Rows]:
    while rows:
        lowest = rows & -rows
        yield lowest
        rows ^= lowest


def _only_names(leaf: Leaf) -> bool:
    is_plain = not leaf.field.has_alternatives
    return is_plain and leaf.operator.type == "text" and leaf.operator.name in _NAMING
