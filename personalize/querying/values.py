"""
What the operators of conditions ask of a value, in SQL: of a text, a number, a moment, a list.

Only for values that are there. Each test is NULL where SQL cannot tell, as it is for regular
expressions; the compilers of leaves call these.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from personalize.conditions import Leaf, Operator
from personalize.conditions.facts import ANY_ITEM
from personalize.conditions.globs import MAX_SUBJECT
from personalize.querying import folding
from personalize.querying.dialect import (
    Bound,
    Dialect,
    is_plain,
    number_relation,
    values_at,
    whole_bounds,
)  # fmt: skip
from personalize.querying.sql import FALSE, TRUE, UNDECIDED, Sql, all_of, inexact, negated, sql

TextTest = Callable[[Sql], Sql]

_IS_THERE: Final = "COALESCE(j.k, 'null') <> 'null'"

_LISTS: Final[Mapping[str, str]] = {
    "includes": "is", "includes_any": "is_one_of", "excludes": "is_not",
}  # fmt: skip


# --- Text ------------------------------------------------------------------------------


def text_test(name: str, operand: object, dialect: Dialect, *, longest: int | None) -> TextTest:
    """
    Return the test that a text operator makes of a text.

    `longest`: how many characters there can be; None: any number.
    """
    words = _words(operand)
    if name == "matches_regex" or not all(map(folding.is_storable, words)):
        return lambda text: UNDECIDED
    if name == "is_exactly":
        return lambda text: dialect.among(text, words)
    folded = [word.casefold() for word in words]
    if name == "matches_glob":
        return _glob_test(folded[0], dialect, longest=longest)
    swaps = folding.replacements(folded)
    relation = {
        "contains": dialect.has,
        "does_not_contain": dialect.has,
        "starts_with": dialect.begins,
        "ends_with": dialect.ends,
    }.get(name)
    is_negative = name in ("is_not", "is_not_one_of", "does_not_contain")

    def test(text: Sql) -> Sql:
        spelled = dialect.folded(text, swaps)
        found = relation(spelled, folded[0]) if relation else dialect.among(spelled, folded)
        return negated(found) if is_negative else found

    return test


def _glob_test(pattern: str, dialect: Dialect, *, longest: int | None) -> TextTest:
    if "?" in pattern:
        # It stands for one character of the folded text, which may have more than the text.
        return lambda text: UNDECIDED
    parts = pattern.split("*")
    swaps = folding.replacements(parts)

    def test(text: Sql) -> Sql:
        found = dialect.like(dialect.folded(text, swaps), parts)
        if longest is not None and 3 * longest <= MAX_SUBJECT:
            return found
        # Folding makes three characters of one at most, and too long a text does not match.
        return inexact(
            sql(
                f"CASE WHEN length({{text}}) > {MAX_SUBJECT} THEN FALSE "
                f"WHEN length({{text}}) <= {MAX_SUBJECT // 3} OR {{is_ascii}} THEN {{found}} END",
                text=text,
                is_ascii=dialect.is_ascii(text),
                found=found,
            )
        )

    return test


def _words(operand: object) -> list[str]:
    given = operand if isinstance(operand, list | tuple) else (operand,)
    return [str(word) for word in given]


# --- Moments ---------------------------------------------------------------------------


def moment_test(leaf: Leaf, moment: Sql, dialect: Dialect, *, now: datetime) -> Sql:
    """Test a moment as `before`, `after` and the operators that compare with now do."""
    operator, operand = leaf.operator, leaf.operand
    if operator.span is not None:
        start, end = operator.span(operand)
        ends = [_after(moment, _shifted(now, each), dialect) for each in (start, end)]
        return all_of([ends[0], negated(ends[1])])
    if operator.name == "after" and isinstance(operand, datetime):
        return _after(moment, _utc(operand), dialect)
    if operator.name == "before" and isinstance(operand, datetime):
        return _before(moment, _utc(operand), dialect)
    return UNDECIDED


def _after(moment: Sql, other: datetime | bool, dialect: Dialect) -> Sql:
    """`other`: true where it lies before all times, false where it lies behind them."""
    if isinstance(other, bool):
        return TRUE if other else FALSE
    return sql("{moment} > {other}", moment=moment, other=dialect.moment(other))


def _before(moment: Sql, other: datetime | bool, dialect: Dialect) -> Sql:
    if isinstance(other, bool):
        return FALSE if other else TRUE
    return sql("{moment} < {other}", moment=moment, other=dialect.moment(other))


def _utc(moment: datetime) -> datetime | bool:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment.year == 1


def _shifted(moment: datetime, distance: timedelta) -> datetime | bool:
    try:
        return _utc(moment + distance)
    except OverflowError:
        return distance < timedelta()


# --- Values of JSON --------------------------------------------------------------------


def path_test(leaf: Leaf, document: Sql, path: Sequence[str], dialect: Dialect) -> Sql:
    """Test what is at a path of a document, or all that is there where it has a *."""
    if not is_plain(path):
        return UNDECIDED
    source = values_at(document, path, dialect)
    if ANY_ITEM not in path:
        return sql("(SELECT {test} FROM {source} j)", test=_json_test(leaf, dialect), source=source)
    test = _json_test(leaf, dialect)
    rows = sql("{source} j", source=source)
    if leaf.operator.name in ("exists", "is_missing"):
        exists = sql("EXISTS (SELECT 1 FROM {rows} WHERE {it})", rows=rows, it=Sql(_IS_THERE))
        return exists if leaf.operator.name == "exists" else negated(exists)
    # What is not there fails every other test.
    return all_of_rows(rows, test) if leaf.operator.negative else any_of_rows(rows, test)


def _json_test(leaf: Leaf, dialect: Dialect) -> Sql:
    """Test the value of the source that is called j: of any kind, or not there."""
    operator = leaf.operator
    if operator.name in ("exists", "is_missing"):
        is_there = Sql(_IS_THERE)
        return is_there if operator.name == "exists" else negated(is_there)
    if operator.type == "text":
        return _text_of_json(operator, leaf.operand, dialect, at="j")
    if operator.type == "list":
        return _list_of_json(operator, leaf.operand, dialect)
    if operator.type == "number":
        return _number_of_json(operator, leaf.operand, dialect)
    if operator.type == "boolean":
        return _boolean_of_json(operator, dialect)
    if operator.type == "datetime":
        # There are many ways to write a date; all of them begin with the year.
        return inexact(
            sql(
                "CASE WHEN j.k = 'string' AND {has_year} THEN NULL ELSE FALSE END",
                has_year=dialect.has_year_first(Sql("j.v")),
            )
        )
    return UNDECIDED


def _text_of_json(operator: Operator, operand: object, dialect: Dialect, *, at: str) -> Sql:
    return _scalar(operator.name, operand, dialect, at=at, is_negative=operator.negative)


def _scalar(name: str, operand: object, dialect: Dialect, *, at: str, is_negative: bool) -> Sql:
    test = text_test(name, operand, dialect, longest=None)
    return sql(
        f"CASE WHEN {at}.k = 'string' THEN {{of_string}} "
        f"WHEN {at}.k IN ('number', 'boolean') THEN {{of_other}} ELSE FALSE END",
        of_string=test(Sql(f"{at}.v")),
        of_other=_number_as_text(name, operand, test, dialect, at=at, is_negative=is_negative),
    )


def _number_as_text(
    name: str, operand: object, test: TextTest, dialect: Dialect, *, at: str, is_negative: bool
) -> Sql:
    text = test(dialect.text_of(at))
    is_known = name != "matches_regex" and all(
        folding.spells_no_number(word.replace("*", "").replace("?", "").casefold())
        if name == "matches_glob"
        else folding.spells_no_number(word if name == "is_exactly" else word.casefold())
        for word in _words(operand)
    )
    has_text = dialect.has_text(at)
    # A boolean's text is always known.
    of_boolean = Sql(text.text, text.params, is_exact=is_known)
    if is_known:
        return sql(
            f"CASE {at}.k WHEN 'boolean' THEN {{of_boolean}} ELSE {{of_number}} END",
            of_boolean=of_boolean,
            of_number=has_text if is_negative else FALSE,
        )
    return inexact(
        sql(
            f"CASE WHEN {at}.k = 'boolean' OR {{has_text}} THEN {{text}} ELSE FALSE END",
            has_text=has_text,
            text=text,
        )
    )


def _list_of_json(operator: Operator, operand: object, dialect: Dialect) -> Sql:
    name = _LISTS.get(operator.name)
    if name is None:
        return UNDECIDED
    found = "is" if name == "is_not" else name
    item = _scalar(found, operand, dialect, at="i", is_negative=False)
    in_list = any_of_rows(sql("{items} i", items=dialect.items("j")), item)
    return sql(
        "CASE WHEN j.k = 'array' THEN {of_list} ELSE {of_other} END",
        of_list=negated(in_list) if operator.negative else in_list,
        of_other=_scalar(name, operand, dialect, at="j", is_negative=operator.negative),
    )


def any_of_rows(rows: Sql, test: Sql) -> Sql:
    """Test whether any of the rows passes, where some may be undecided."""
    if test.is_exact:
        return sql("EXISTS (SELECT 1 FROM {rows} WHERE {test})", rows=rows, test=test)
    return sql(
        "(SELECT CASE MAX(CASE WHEN r.t THEN 2 WHEN r.t IS NULL THEN 1 ELSE 0 END) "
        "WHEN 2 THEN TRUE WHEN 1 THEN NULL ELSE FALSE END FROM (SELECT {test} AS t FROM {rows}) r)",
        rows=rows,
        test=test,
    )


def all_of_rows(rows: Sql, test: Sql) -> Sql:
    """Test whether there are any values j, and all of them pass."""
    return sql(
        "(SELECT CASE MIN(CASE WHEN NOT r.is_there THEN NULL WHEN r.t THEN 2 "
        "WHEN r.t IS NULL THEN 1 ELSE 0 END) WHEN 2 THEN TRUE WHEN 1 THEN NULL ELSE FALSE END "
        "FROM (SELECT {is_there} AS is_there, {test} AS t FROM {rows}) r)",
        is_there=_IS_THERE,
        rows=rows,
        test=test,
    )


def _number_of_json(operator: Operator, operand: object, dialect: Dialect) -> Sql:
    def test(at_least: Bound, more_than: Bound) -> Sql:
        return number_relation(operator.name, operand, at_least, more_than) or UNDECIDED

    return sql(
        "CASE WHEN j.k IN ('number', 'string') THEN {test} ELSE FALSE END",
        test=dialect.number_test("j", test),
    )


def _boolean_of_json(operator: Operator, dialect: Dialect) -> Sql:
    word = {"is_true": "true", "is_false": "false"}.get(operator.name)
    if word is None:
        return UNDECIDED
    test = text_test("is", word, dialect, longest=None)
    text = test(dialect.text_of("j"))
    return sql(
        "CASE WHEN j.k IN ('boolean', 'string') THEN {test} ELSE FALSE END",
        test=Sql(text.text, text.params),
    )


# --- Values that are made in SQL -------------------------------------------------------


def whole_test(leaf: Leaf, number: Sql) -> Sql:
    """Test a whole number that is never missing."""
    name = leaf.operator.name
    if name in ("exists", "is_missing"):
        return TRUE if name == "exists" else FALSE
    relation = number_relation(name, leaf.operand, *whole_bounds(number))
    return relation or UNDECIDED


def list_test(leaf: Leaf, rows: Sql, text: Sql, dialect: Dialect) -> Sql:
    """Test a list of texts, one a row, that is never missing."""
    name = leaf.operator.name
    if name in ("exists", "is_missing"):
        return TRUE if name == "exists" else FALSE
    wanted = _LISTS.get(name)
    if wanted is None:
        return UNDECIDED
    test = text_test("is" if wanted == "is_not" else wanted, leaf.operand, dialect, longest=None)
    found = any_of_rows(rows, test(text))
    return negated(found) if leaf.operator.negative else found
