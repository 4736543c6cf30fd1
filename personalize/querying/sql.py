"""
Pieces of SQL that carry their parameters, and the expression that puts one into a queryset.

A piece that tests something answers true, false or NULL: NULL says that only Python can tell.
SQL's AND, OR and NOT then mean just what they should. Every other module here builds with these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from string import Formatter
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Expression, F
from django.db.models.expressions import Col
from django.db.models.sql.compiler import SQLCompiler

#: How a piece names the guest that it is about.
GUEST: Final = "@guest"


@dataclass(frozen=True, slots=True)
class Sql:
    """SQL with the parameters of its %s. `is_exact`: as a test, it is never NULL."""

    text: str
    params: tuple[Any, ...] = ()
    is_exact: bool = True


TRUE: Final = Sql("TRUE")
FALSE: Final = Sql("FALSE")
#: What SQL cannot tell.
UNDECIDED: Final = Sql("CAST(NULL AS boolean)", is_exact=False)


def sql(template: str, /, **pieces: Sql | str) -> Sql:
    """Fill the {names} of a template: `sql("{a} = {b}", a=..., b=...)`. Exact if all are."""
    text, params, is_exact = "", (), True
    for literal, name, _, _ in Formatter().parse(template):
        text += literal
        if name is None:
            continue
        piece = pieces[name]
        if isinstance(piece, str):
            text += piece
            continue
        text, params = text + piece.text, params + piece.params
        is_exact = is_exact and piece.is_exact
    return Sql(text, params, is_exact)


def param(value: object, cast: str = "") -> Sql:
    """Return a parameter; `cast` is what PostgreSQL should take it for."""
    return Sql(f"CAST(%s AS {cast})" if cast else "%s", (value,))


def inexact(test: Sql) -> Sql:
    """Mark a test that may be NULL by itself."""
    return Sql(test.text, test.params, is_exact=False)


def joined(word: str, tests: Iterable[Sql], *, of_none: Sql) -> Sql:
    """Join tests by AND or OR."""
    tests = list(tests)
    if len(tests) < 2:
        return tests[0] if tests else of_none
    params = tuple(value for test in tests for value in test.params)
    text = f" {word} ".join(f"({test.text})" for test in tests)
    return Sql(text, params, all(test.is_exact for test in tests))


def all_of(tests: Iterable[Sql]) -> Sql:
    return joined("AND", tests, of_none=TRUE)


def any_of(tests: Iterable[Sql]) -> Sql:
    return joined("OR", tests, of_none=FALSE)


def negated(test: Sql) -> Sql:
    return sql("NOT ({test})", test=test)


def possible(test: Sql) -> Sql:
    """Turn what Python has to tell into true."""
    return test if test.is_exact else Sql(f"({test.text}) IS NOT FALSE", test.params)


def certain(test: Sql) -> Sql:
    """Turn what Python has to tell into false."""
    return test if test.is_exact else Sql(f"({test.text}) IS TRUE", test.params)


def undecided(test: Sql) -> Sql:
    """Test whether Python has to tell."""
    return FALSE if test.is_exact else Sql(f"({test.text}) IS NULL", test.params)


class About(Expression):
    """A test of the guests that a queryset is about, whatever name their table has in it."""

    conditional = True

    def __init__(self, test: Sql) -> None:
        super().__init__(output_field=BooleanField())
        self.test = test
        self.guest: Any = F("pk")

    def get_source_expressions(self) -> list[Any]:
        return [self.guest]

    def set_source_expressions(self, exprs: list[Any]) -> None:  # type: ignore[override]
        (self.guest,) = exprs

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[Any, ...]]:
        guest: Col = self.guest
        alias = compiler.quote_name_unless_alias(guest.alias)
        # Lists are kept as tuples, for an expression has to be hashable.
        params = (list(each) if isinstance(each, tuple) else each for each in self.test.params)
        return f"({self.test.text.replace(GUEST, alias)})", tuple(params)
