"""
Leaves about what the guest did: how often, how much of it, when first and last.

Counts all that a guest ever did, where Python reads the newest 10,000 events.
"""

from datetime import datetime, timedelta
from functools import partial

from personalize.conditions import Behaviour, Leaf
from personalize.conditions.facts import ANY_ITEM
from personalize.conditions.tree import Measure
from personalize.querying.dialect import Dialect, Number, is_plain, number_relation
from personalize.querying.members import rows_of
from personalize.querying.sql import FALSE, TRUE, UNDECIDED, Sql, all_of, inexact, param, sql
from personalize.querying.values import moment_test, path_test, whole_test

#: Sums of numbers that are not whole are only near what Python gets, which adds up floats.
_NEAR = "1e-9"
_HUGE = "1e290"


def part_of(leaf: Behaviour, dialect: Dialect, *, now: datetime) -> Sql:
    """Return the test of a leaf about events of any visit."""
    meant = all_of(_property(each, dialect) for each in leaf.where)
    events = _events(leaf, dialect, now=now)
    if leaf.measure is None:
        return _counted(leaf, events, meant)
    if leaf.measure.kind in ("first", "last"):
        return _timed(leaf.measure, events, meant, dialect, now=now)
    if ANY_ITEM in leaf.measure.of or not is_plain(leaf.measure.of):
        return _of_nothing(leaf.measure, events)
    value = dialect.values(Sql("e.data"), [leaf.measure.of])
    if leaf.measure.kind == "distinct":
        return _distinct(leaf.measure, events, meant, value, dialect)
    return _summed(leaf.measure, events, meant, value, dialect)


def _property(leaf: Leaf, dialect: Dialect) -> Sql:
    return path_test(leaf, Sql("e.data"), leaf.field.name.split("."), dialect)


def _events(leaf: Behaviour, dialect: Dialect, *, now: datetime) -> Sql:
    """Return the guest's events of the leaf's type and time, as what stands behind FROM."""
    where = sql("e.type = {type}", type=param(leaf.event))
    if leaf.within.days is not None:
        since = dialect.moment(now - timedelta(days=leaf.within.days))
        where = sql("{where} AND e.occurred_at > {since}", where=where, since=since)
    return rows_of("tracking_event", "e", dialect, where)


def _counted(leaf: Behaviour, events: Sql, meant: Sql) -> Sql:
    if not meant.is_exact:
        return _counted_nearly(leaf, events, meant)
    if leaf.at_most is None and leaf.at_least == 1:
        return sql("EXISTS (SELECT 1 FROM {events} AND {meant})", events=events, meant=meant)
    # No more are counted than decide.
    enough = leaf.at_least if leaf.at_most is None else leaf.at_most + 1
    most = enough if leaf.at_most is None else leaf.at_most
    return sql(
        f"(SELECT COUNT(*) BETWEEN {leaf.at_least} AND {most} FROM "
        f"(SELECT 1 FROM {{events}} AND {{meant}} LIMIT {enough}) n)",
        events=events,
        meant=meant,
    )


def _counted_nearly(leaf: Behaviour, events: Sql, meant: Sql) -> Sql:
    """Count those that are meant for sure, and those that may be."""
    most = 2**62 if leaf.at_most is None else leaf.at_most
    return inexact(
        sql(
            "(WITH a(is_meant) AS (SELECT {meant} FROM {events}), "
            "n(sure, perhaps) AS (SELECT COUNT(CASE WHEN a.is_meant THEN 1 END), COUNT(*) "
            "FROM a WHERE a.is_meant IS NOT FALSE) "
            f"SELECT CASE WHEN n.sure >= {leaf.at_least} AND n.perhaps <= {most} THEN TRUE "
            f"WHEN n.perhaps < {leaf.at_least} OR n.sure > {most} THEN FALSE END FROM n)",
            events=events,
            meant=meant,
        )
    )


# --- When ------------------------------------------------------------------------------


def _timed(measure: Measure, events: Sql, meant: Sql, dialect: Dialect, *, now: datetime) -> Sql:
    name = measure.comparison.operator.name
    if name in ("exists", "is_missing"):
        test = Sql("n.moment IS NOT NULL" if name == "exists" else "n.moment IS NULL")
    else:
        compared = moment_test(measure.comparison, Sql("n.moment"), dialect, now=now)
        test = sql("CASE WHEN n.moment IS NULL THEN FALSE ELSE {it} END", it=compared)
    pick = "MIN" if measure.kind == "first" else "MAX"
    if meant.is_exact:
        picked = f"SELECT {pick}(e.occurred_at) AS moment FROM {{events}} AND {{meant}}"
        found = sql(f"(SELECT {{test}} FROM ({picked}) n)", test=test, events=events, meant=meant)
        return found
    # What may be meant decides nothing as long as it is not the one that is picked.
    return inexact(
        sql(
            "(WITH a(is_meant, moment) AS (SELECT {meant}, e.occurred_at FROM {events}), "
            f"n(sure, moment) AS (SELECT {pick}(CASE WHEN a.is_meant THEN a.moment END), "
            f"{pick}(a.moment) FROM a WHERE a.is_meant IS NOT FALSE) "
            "SELECT CASE WHEN n.moment IS NULL OR n.sure = n.moment THEN {test} END FROM n)",
            test=test,
            events=events,
            meant=meant,
        )
    )


# --- How much --------------------------------------------------------------------------


def _distinct(measure: Measure, events: Sql, meant: Sql, value: Sql, dialect: Dialect) -> Sql:
    text = dialect.text_of("j")
    # Only Python folds the case of what is not ASCII.
    is_odd = sql(
        "(SELECT j.k IN ('string', 'number', 'boolean') AND ({text} IS NULL OR NOT {is_ascii} "
        "OR j.k = 'number' AND NOT {has_text}) FROM {value} j)",
        text=text,
        is_ascii=dialect.is_ascii(text),
        has_text=dialect.has_text("j"),
        value=value,
    )
    scalar = "CASE WHEN j.k IN ('string', 'number', 'boolean') THEN {text} END"
    found = sql(f"(SELECT {scalar} FROM {{value}} j)", text=dialect.folded(text, ()), value=value)
    return inexact(
        sql(
            "(WITH {made}, n(number, odd) AS (SELECT COUNT(DISTINCT a.value), {odd} FROM a "
            "WHERE a.is_meant IS NOT FALSE) "
            "SELECT CASE WHEN n.odd = 1 THEN NULL ELSE {test} END FROM n)",
            test=whole_test(measure.comparison, Sql("n.number")),
            odd=_HAS_ODD,
            made=_made(events, meant, found, is_odd),
        )
    )


def _of_nothing(measure: Measure, events: Sql) -> Sql:
    """Leave it to Python, but for those who did nothing of the kind."""
    name = measure.comparison.operator.name
    test = whole_test(measure.comparison, Sql("0"))
    if measure.kind == "average":
        test = TRUE if name == "is_missing" else FALSE
    return inexact(
        sql(
            "CASE WHEN EXISTS (SELECT 1 FROM {events}) THEN NULL ELSE {test} END",
            events=events,
            test=test,
        )
    )


def _summed(measure: Measure, events: Sql, meant: Sql, value: Sql, dialect: Dialect) -> Sql:
    number, odd = dialect.number_of("j")
    is_average = measure.kind == "average"
    test = _sum_test(measure, is_average=is_average, dialect=dialect)
    if is_average:
        # Of nothing there is no average: it is missing.
        of_none = "TRUE" if measure.comparison.operator.holds_when_missing else "FALSE"
        test = sql(f"CASE WHEN n.number = 0 THEN {of_none} ELSE {{test}} END", test=test)
    return inexact(
        sql(
            "(WITH {made}, n(number, odd, total, size, whole) AS (SELECT COUNT(a.value), {odd}, "
            "{total}, {size}, MIN(CASE WHEN a.value IS NULL OR {is_whole} THEN 1 ELSE 0 END) "
            "FROM a WHERE a.is_meant IS NOT FALSE) SELECT "
            f"CASE WHEN n.odd = 1 OR n.size >= {_HUGE} THEN NULL ELSE {{test}} END FROM n)",
            test=test,
            odd=_HAS_ODD,
            total=dialect.total("a.value"),
            size=dialect.total("ABS(a.value + 0.0)"),
            is_whole=dialect.is_whole("a.value"),
            made=_made(
                events,
                meant,
                sql("(SELECT {number} FROM {value} j)", number=number, value=value),
                sql("(SELECT {odd} FROM {value} j)", odd=odd, value=value),
            ),
        )
    )


_HAS_ODD = "MAX(CASE WHEN a.is_odd OR a.is_meant IS NULL THEN 1 ELSE 0 END)"


def _made(events: Sql, meant: Sql, value: Sql, is_odd: Sql) -> Sql:
    """Return the rows of values that the events have, as what stands in WITH."""
    return sql(
        "a(is_meant, value, is_odd) AS (SELECT {meant}, {value}, {is_odd} FROM {events})",
        meant=meant,
        value=value,
        is_odd=is_odd,
        events=events,
    )


def _sum_test(measure: Measure, *, is_average: bool, dialect: Dialect) -> Sql:
    name = measure.comparison.operator.name
    if name in ("exists", "is_missing"):
        return Sql("TRUE" if name == "exists" else "FALSE")

    def bound(operand: Number, *, relation: str) -> Sql:
        if abs(operand) >= 1e290:
            return UNDECIDED
        # An average is compared as the sum that it would take.
        times = "n.number" if is_average else "1"
        wanted = sql(f"({{operand}} * {times})", operand=dialect.real(operand))
        # What is whole, and not too large, Python adds up and divides without rounding.
        is_whole = operand == int(operand) and abs(operand) < 2**31
        exact = f"n.whole = 1 AND n.size < {2**53} AND n.number < {2**22}" if is_whole else "FALSE"
        return inexact(
            sql(
                f"CASE WHEN {exact} THEN n.total {relation} {{wanted}} "
                f"WHEN n.total - {{wanted}} > (n.size + ABS({{wanted}})) * {_NEAR} THEN TRUE "
                f"WHEN {{wanted}} - n.total > (n.size + ABS({{wanted}})) * {_NEAR} THEN FALSE END",
                wanted=wanted,
            )
        )

    relation = number_relation(
        name,
        measure.comparison.operand,
        partial(bound, relation=">="),
        partial(bound, relation=">"),
    )
    return relation or UNDECIDED
