"""
How SQLite says it: it knows 64-bit integers exactly, and floats only nearly.

It reads decimals a hair differently than Python does, so near an operand it leaves them undecided.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import product

from personalize.querying.dialect import Bound, Number, Swaps, whole_bounds
from personalize.querying.sql import TRUE, UNDECIDED, Sql, inexact, param, sql
from tracking import db


class Sqlite:
    adds_exactly = False

    def folded(self, text: Sql, swaps: Swaps) -> Sql:
        if not swaps:
            return sql("lower({text})", text=text)
        # A loop, for the parser takes few nested calls. It ends where only ASCII is left.
        return sql(
            "(WITH RECURSIVE done(i, t) AS (SELECT 0, lower({text}) UNION ALL "
            "SELECT i + 1, replace(t, json_extract(value, '$[0]'), json_extract(value, '$[1]')) "
            "FROM done JOIN json_each({swaps}) ON key = i WHERE NOT {is_ascii}) "
            "SELECT t FROM done ORDER BY i DESC LIMIT 1)",
            text=text,
            swaps=param(json.dumps(swaps)),
            is_ascii=self.is_ascii(Sql("t")),
        )

    def among(self, text: Sql, words: Sequence[str]) -> Sql:
        if len(words) == 1:
            return sql("{text} = {word}", text=text, word=param(words[0]))
        listed = param(json.dumps(words))
        return sql("{text} IN (SELECT value FROM json_each({words}))", text=text, words=listed)

    def has(self, text: Sql, part: str) -> Sql:
        return sql("instr({text}, {part}) > 0", text=text, part=param(part))

    def begins(self, text: Sql, part: str) -> Sql:
        size = str(len(part))
        return sql("substr({text}, 1, {size}) = {part}", text=text, size=size, part=param(part))

    def ends(self, text: Sql, part: str) -> Sql:
        size = str(len(part))
        return sql("substr({text}, -{size}) = {part}", text=text, size=size, part=param(part))

    def like(self, text: Sql, parts: Sequence[str]) -> Sql:
        marks = str.maketrans({"[": "[[]", "*": "[*]", "?": "[?]"})
        pattern = "*".join(part.translate(marks) for part in parts)
        return sql("{text} GLOB {pattern}", text=text, pattern=param(pattern))

    def is_ascii(self, text: Sql) -> Sql:
        return sql("length({text}) = length(CAST({text} AS BLOB))", text=text)

    def has_year_first(self, text: Sql) -> Sql:
        return sql("{text} GLOB '[0-9][0-9][0-9][0-9]*'", text=text)

    # --- JSON ---------------------------------------------------------------------------

    def values(self, document: Sql, parts: Sequence[Sequence[str]]) -> Sql:
        rows: list[Sql] = []
        for part in parts[:-1]:
            at = f"z{len(rows)}"
            way = _way(document, _ways(part))
            rows.append(sql(f"json_each({{document}}, {{way}}) {at}", document=document, way=way))
            document = Sql(f"CASE WHEN {at}.type IN ('array', 'object') THEN {at}.value END")
        ways = [param(way) for way in _ways(parts[-1])]
        types = [sql("json_type({doc}, {way})", doc=document, way=way) for way in ways]
        found = [sql("json_extract({doc}, {way})", doc=document, way=way) for way in ways]
        if len(parts) > 1 and not parts[-1]:
            # What is no list and no object is no document either.
            last = f"z{len(rows) - 1}"
            types, found = [Sql(f"{last}.type")], [Sql(f"{last}.value")]
        row = sql("SELECT {type} AS type, {it} AS value", type=_first(types), it=_first(found))
        for number, source in enumerate(rows):
            word = "CROSS JOIN" if number else "FROM"
            row = sql(f"{{row}} {word} {{source}}", row=row, source=source)
        # Items of lists are numbered; of what is neither list nor object there is one without key.
        are_items = " AND ".join(
            f"(typeof(z{number}.key) = 'integer' OR z{number}.key = '*')"
            for number in range(len(rows))
        )
        return _row(Sql(f"{row.text} WHERE {are_items}", row.params) if rows else row)

    def items(self, at: str) -> Sql:
        return _row(
            Sql(
                "SELECT type, value FROM json_each("
                f"CASE WHEN {at}.k = 'array' THEN {at}.v ELSE '[]' END)"
            )
        )

    def text_of(self, at: str) -> Sql:
        return inexact(
            Sql(
                f"CASE WHEN {at}.k = 'boolean' THEN {at}.x WHEN {at}.k = 'string' THEN {at}.v "
                f"WHEN {at}.x = 'integer' THEN CAST({at}.v AS TEXT) END"
            )
        )

    def has_text(self, at: str) -> Sql:
        return TRUE

    def number_test(self, at: str, test: Callable[[Bound, Bound], Sql]) -> Sql:
        number, odd = self.number_of(at)
        return inexact(
            sql(
                "(SELECT CASE WHEN q.odd THEN NULL WHEN q.n IS NULL THEN FALSE "
                "WHEN typeof(q.n) = 'integer' THEN {of_integer} ELSE {of_real} END "
                "FROM (SELECT {number} AS n, {odd} AS odd) q)",
                of_integer=test(*whole_bounds(Sql("q.n"))),
                of_real=test(_real_bound, _real_bound),
                number=number,
                odd=odd,
            )
        )

    def number_of(self, at: str) -> tuple[Sql, Sql]:
        # Only of digits is a text seen to be a number; what has other marks of one may be.
        is_text = f"{at}.k = 'string' AND {at}.v <> ''"
        is_digits = f"{is_text} AND {at}.v NOT GLOB '*[^0-9]*' AND length({at}.v) <= 18"
        number = Sql(
            f"CASE WHEN {at}.k = 'number' THEN {at}.v "
            f"WHEN {is_digits} THEN CAST({at}.v AS INTEGER) END"
        )
        odd = Sql(f"({is_text} AND {at}.v NOT GLOB '*[^-+0-9.eE]*' AND NOT ({is_digits}))")
        return number, odd

    def is_whole(self, number: str) -> Sql:
        return Sql(f"typeof({number}) = 'integer'")

    def total(self, number: str) -> Sql:
        return Sql(f"TOTAL({number})")

    def entries_of(self, column: str) -> str:
        return f"CROSS JOIN json_each({column}) l"

    def entry(self, key: str) -> Sql:
        return Sql(f"json_extract(l.value, '$.{key}')")

    # --- Trees ----------------------------------------------------------------------------

    def goal_named(self, definition: str, measure: str, name: str) -> Sql:
        return sql(
            f"{measure} IN (SELECT replace(json_extract(goal.value, '$.ref'), '-', '') FROM "
            f"json_each({definition}, '$.goals') goal "
            "WHERE json_extract(goal.value, '$.name') = {name})",
            name=param(name),
        )

    def named(self, leaf: Sql, apart: dict[str, Sql]) -> Sql:
        # The parser takes only so much that is within another: leaves stand beside their tree.
        name = f"leaf{len(apart)}"
        apart[name] = leaf
        return Sql(f"(SELECT v FROM {name})", is_exact=leaf.is_exact)

    def apart(self, tree: Sql, apart: dict[str, Sql]) -> Sql:
        if not apart:
            return tree
        leaves = ", ".join(f"{name}(v) AS (SELECT {leaf.text})" for name, leaf in apart.items())
        params = tuple(value for leaf in apart.values() for value in leaf.params)
        text = f"(WITH {leaves} SELECT {tree.text})"
        return Sql(text, params + tree.params, tree.is_exact)

    def rows_of_each(self, table: str, alias: str, where: Sql) -> Sql:
        # In a CROSS JOIN the left table leads.
        return sql(
            f"CROSS JOIN {table} {alias} WHERE {alias}.guest_id = who.id AND {{where}}", where=where
        )

    # --- Values -------------------------------------------------------------------------

    def moment(self, value: datetime) -> Sql:
        return param(db.stored(value))

    def real(self, value: Number) -> Sql:
        return param(_float(value))


def _row(rows: Sql) -> Sql:
    return sql(
        "(SELECT CASE type WHEN 'text' THEN 'string' WHEN 'integer' THEN 'number' "
        "WHEN 'real' THEN 'number' WHEN 'true' THEN 'boolean' WHEN 'false' THEN 'boolean' "
        "ELSE type END AS k, value AS v, type AS x FROM ({rows}) o)",
        rows=rows,
    )


def _ways(path: Sequence[str]) -> list[str]:
    """Return the paths that may lead there: a step of digits is a key, or the index of a list."""
    steps = [
        [f'."{step}"', f"[{int(step)}]"] if step.isdigit() else [f'."{step}"'] for step in path
    ]
    return ["$" + "".join(way) for way in product(*steps)]


def _way(document: Sql, ways: Sequence[str]) -> Sql:
    """Return which of the paths leads anywhere."""
    *others, last = ways
    found = param(last)
    for way in others:
        found = sql(
            "CASE WHEN json_type({document}, {way}) IS NULL THEN {found} ELSE {way} END",
            document=document,
            way=param(way),
            found=found,
        )
    return found


def _first(pieces: Sequence[Sql]) -> Sql:
    text = ", ".join(piece.text for piece in pieces)
    params = tuple(value for piece in pieces for value in piece.params)
    return Sql(f"COALESCE({text})" if len(pieces) > 1 else text, params)


def _float(value: Number) -> float:
    try:
        return float(value)
    except OverflowError:
        return 1e308 if value > 0 else -1e308


def _real_bound(operand: Number) -> Sql:
    near = _float(operand)
    if abs(near) > 1e300:
        return UNDECIDED
    margin = abs(near) * 1e-12 + 1e-300
    return inexact(
        sql(
            "CASE WHEN q.n > {above} THEN TRUE WHEN q.n < {below} THEN FALSE END",
            above=param(near + margin),
            below=param(near - margin),
        )
    )
