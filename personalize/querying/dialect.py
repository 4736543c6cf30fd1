"""
What a database has to know how to say; `postgres` and `sqlite` say it.

A JSON value is read as a row (k, v, x) of a source in FROM: its kind (string, number, boolean,
array, object, null; NULL: it is not there), its text, and what the dialect itself reads it by.
What is stored came through the doors: no NUL, no half surrogate pair, integers of 64 bits, floats
that are finite.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Protocol

from personalize.conditions.facts import ANY_ITEM
from personalize.querying import bounds
from personalize.querying.sql import FALSE, TRUE, Sql, all_of, any_of, negated, param, sql

Swaps = Sequence[tuple[str, str]]
Number = int | float
#: Says whether a number is at least, or more than, an operand.
Bound = Callable[[Number], Sql]

#: Two databases and Python follow these steps of a path alike. A number is an index, or a key.
PLAIN_STEP: Final = re.compile(r"[0-9]{1,9}|(?![0-9]+$)[A-Za-z0-9_$][A-Za-z0-9_$ .:/-]*")
MAX_INDEXES: Final = 3
MAX_STARS: Final = 2


class Dialect(Protocol):
    """How one database says it."""

    def folded(self, text: Sql, swaps: Swaps) -> Sql:
        """Lower the ASCII of a text, and replace characters."""

    def among(self, text: Sql, words: Sequence[str]) -> Sql: ...

    def has(self, text: Sql, part: str) -> Sql: ...

    def begins(self, text: Sql, part: str) -> Sql: ...

    def ends(self, text: Sql, part: str) -> Sql: ...

    def like(self, text: Sql, parts: Sequence[str]) -> Sql:
        """Test whether a text is just these parts, in this order, with anything between them."""

    def is_ascii(self, text: Sql) -> Sql: ...

    def has_year_first(self, text: Sql) -> Sql: ...

    def values(self, document: Sql, parts: Sequence[Sequence[str]]) -> Sql:
        """
        Return the source of what is at a path, whose parts stand between its stars.

        Between two parts it is any item of a list; of an object, the value that is called *.
        """

    def items(self, at: str) -> Sql:
        """Return the source of the items of the list that the source `at` has; else of none."""

    def text_of(self, at: str) -> Sql:
        """Return what text, boolean or number is as text; NULL where only Python can tell."""

    def has_text(self, at: str) -> Sql:
        """Test whether a number can be written as text."""

    def number_test(self, at: str, test: Callable[[Bound, Bound], Sql]) -> Sql:
        """Test a number, or a text that spells one; else false."""

    def number_of(self, at: str) -> tuple[Sql, Sql]:
        """Return a number, or NULL, and whether only Python can tell if there is one."""

    def is_whole(self, number: str) -> Sql:
        """Test whether such a number is surely a whole one."""

    def total(self, number: str) -> Sql:
        """Add up such numbers; 0 where there are none."""

    def moment(self, value: datetime) -> Sql: ...

    def real(self, value: Number) -> Sql:
        """Return a parameter to reckon with: a decimal, or the nearest float."""

    def entries_of(self, column: str) -> str:
        """Return what joins the objects of a list in a column to its row."""

    def entry(self, key: str) -> Sql:
        """Return the text or number that such an object has under a key."""

    def goal_named(self, definition: str, measure: str, name: str) -> Sql:
        """Test whether a published flow's goal of this name is kept by a measure."""

    def named(self, leaf: Sql, apart: dict[str, Sql]) -> Sql:
        """Set a leaf apart under a name, and return that; or just return the leaf."""

    def apart(self, tree: Sql, apart: dict[str, Sql]) -> Sql:
        """Return a tree together with what was set apart."""

    def rows_of_each(self, table: str, alias: str, where: Sql) -> Sql:
        """Return what joins to each `who` its rows of a table, by the table's index of guests."""

    @property
    def adds_exactly(self) -> bool:
        """Whether sums of large integers are exact."""


def is_plain(path: Sequence[str]) -> bool:
    """Say whether a database can follow this path as Python does."""
    if sum(step.isdigit() for step in path) > MAX_INDEXES or path.count(ANY_ITEM) > MAX_STARS:
        return False
    return all(step == ANY_ITEM or PLAIN_STEP.fullmatch(step) for step in path)


def values_at(document: Sql, path: Sequence[str], dialect: Dialect) -> Sql:
    """Return the source of all values at a path: of one, unless there is a * in it."""
    parts: list[list[str]] = [[]]
    for step in path:
        if step == ANY_ITEM:
            parts.append([])
        else:
            parts[-1].append(step)
    return dialect.values(document, parts)


def number_relation(name: str, operand: object, at_least: Bound, more_than: Bound) -> Sql | None:
    """Put an operator on numbers in terms of two of them; None: it is not one of these."""
    if isinstance(operand, tuple):
        low, high = operand
        return all_of([at_least(low), negated(more_than(high))]) if name == "between" else None
    if not isinstance(operand, int | float):
        return None
    relations: Mapping[str, Callable[[Number], Sql]] = {
        "is": lambda x: all_of([at_least(x), negated(more_than(x))]),
        "is_not": lambda x: any_of([negated(at_least(x)), more_than(x)]),
        "greater_than": more_than,
        "at_least": at_least,
        "less_than": lambda x: negated(at_least(x)),
        "at_most": lambda x: negated(more_than(x)),
    }
    relation = relations.get(name)
    return relation(operand) if relation else None


def whole_bounds(number: Sql) -> tuple[Bound, Bound]:
    """Return what says whether a whole number of 64 bits is at least, or more than, an operand."""

    def bound(operand: Number, *, above: bool) -> Sql:
        first = bounds.first_whole(operand, above=above)
        if isinstance(first, bool):
            return TRUE if first else FALSE
        return sql("{number} >= {first}", number=number, first=param(first))

    return partial(bound, above=False), partial(bound, above=True)
