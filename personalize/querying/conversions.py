"""Leaves about goals that the guest reached, by the names that goals are published under."""

from datetime import datetime, timedelta

from personalize.conditions import Conversion
from personalize.querying import folding
from personalize.querying.dialect import Dialect
from personalize.querying.sql import FALSE, GUEST, TRUE, Sql, all_of, negated, param, sql


def part_of(leaf: Conversion, dialect: Dialect, *, now: datetime) -> Sql:
    """Return the test of a leaf about a goal: what the person has come to is kept by one guest."""
    if not folding.is_storable(leaf.flow) or not folding.is_storable(leaf.goal):
        return TRUE if leaf.is_never else FALSE
    reached = _reached(leaf, dialect, TRUE)
    if leaf.within.days is not None:
        # The first time tells, also where two goals have one name.
        since = dialect.moment(now - timedelta(days=leaf.within.days))
        lately = _reached(leaf, dialect, sql("q.reached_at > {since}", since=since))
        before = _reached(leaf, dialect, sql("q.reached_at <= {since}", since=since))
        reached = all_of([lately, negated(before)])
    return negated(reached) if leaf.is_never else reached


def _reached(leaf: Conversion, dialect: Dialect, when: Sql) -> Sql:
    return sql(
        "EXISTS (SELECT 1 FROM personalize_guestgoal q "
        "JOIN personalize_flow f ON f.id = q.flow_id "
        "JOIN personalize_flowrevision r ON r.id = f.published_id "
        f"WHERE q.guest_id = {GUEST}.id AND q.y <> 0 AND f.friendly_id = {{flow}} "
        "AND {when} AND {named})",
        flow=param(leaf.flow),
        when=when,
        named=dialect.goal_named("r.definition", "q.measure", leaf.goal),
    )
