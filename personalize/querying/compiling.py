"""A condition as one test in SQL: the leaves are compiled beside, and joined here."""

from dataclasses import dataclass, field
from datetime import datetime

from personalize.conditions import Behaviour, Condition, Conversion, Leaf
from personalize.querying import behaviour, conversions, profiles, shopping
from personalize.querying.dialect import Dialect
from personalize.querying.postgres import Postgres
from personalize.querying.sql import UNDECIDED, Sql, all_of, any_of, negated, possible
from personalize.querying.sqlite import Sqlite
from tracking import db
from tracking.types import ClientConfig


class NotOfAGuest(ValueError):
    """A condition is about a call or a visit, and a guest who is not here has neither."""


@dataclass(frozen=True, slots=True)
class Test:
    """
    What SQL says of a guest. `whole`: true, false, or NULL where only Python can tell.

    `superset` is true of all for whom `whole` is not false, in a form that is easier to plan.
    """

    whole: Sql
    superset: Sql


def compiled(condition: Condition, client: ClientConfig, *, now: datetime) -> Test:
    """Return the test of a checked condition. Raises NotOfAGuest."""
    dialect: Dialect = Postgres() if db.is_postgres() else Sqlite()
    compiler = _Compiler(dialect, client, now)
    test = compiler.test_of(condition)
    return Test(
        dialect.apart(test.whole, compiler.apart), dialect.apart(test.superset, compiler.apart)
    )


@dataclass(frozen=True, slots=True)
class _Compiler:
    dialect: Dialect
    client: ClientConfig
    now: datetime
    #: The leaves that the tree only names, by their names.
    apart: dict[str, Sql] = field(default_factory=dict)

    def test_of(self, condition: Condition) -> Test:
        if isinstance(condition, Leaf | Behaviour | Conversion):
            leaf = self.dialect.named(self.leaf(condition), self.apart)
            return Test(leaf, possible(leaf))
        children = [self.test_of(child) for child in condition.children]
        if condition.kind == "not":
            whole = negated(children[0].whole)
            return Test(whole, possible(whole))
        join = any_of if condition.kind == "any" else all_of
        return Test(
            join(child.whole for child in children), join(child.superset for child in children)
        )

    def leaf(self, leaf: Leaf | Behaviour | Conversion) -> Sql:
        if isinstance(leaf, Conversion):
            return conversions.part_of(leaf, self.dialect, now=self.now)
        if isinstance(leaf, Behaviour):
            if leaf.within.in_session:
                what = f"what is done in this session ({leaf.event})"
                raise NotOfAGuest(f"A guest who is not here has no session: {what}.")
            return behaviour.part_of(leaf, self.dialect, now=self.now)
        group = leaf.field.needs
        if group in ("request", "session", "time"):
            raise NotOfAGuest(
                f"{leaf.field.label} ({leaf.field.name}) is of a call or a visit: "
                "a guest who is not here has none."
            )
        if group in ("guest", "segments"):
            return profiles.part_of(leaf, self.dialect, now=self.now)
        if group in ("orders", "cart"):
            return shopping.part_of(leaf, self.dialect, self.client, now=self.now)
        return UNDECIDED
