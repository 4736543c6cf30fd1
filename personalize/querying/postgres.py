"""How PostgreSQL says it: with exact decimals, so nearly all of it without Python."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from personalize.querying import bounds
from personalize.querying.dialect import Bound, Number, Swaps
from personalize.querying.sql import FALSE, TRUE, Sql, inexact, param, sql

#: What `as_number` takes for a number; of digits alone it makes an integer.
_NUMBER: Final = r"^[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?$"
_INTEGER: Final = r"^[+-]?[0-9]+$"
#: A decimal with so few digits that Python writes it with just these.
_SHORT: Final = r"^-?(0|[1-9][0-9]{0,7})\.[0-9]{1,7}$"


class Postgres:
    adds_exactly = True

    def folded(self, text: Sql, swaps: Swaps) -> Sql:
        # By the collation C lower() changes ASCII only, and what is alike is the same.
        done = sql('lower({text} COLLATE "C")', text=text)
        single = [swap for swap in swaps if len(swap[1]) == 1]
        if single:
            sources, targets = ("".join(chars) for chars in zip(*single, strict=True))
            done = sql(
                "translate({done}, {sources}, {targets})",
                done=done,
                sources=param(sources, "text"),
                targets=param(targets, "text"),
            )
        for source, target in swaps:
            if len(target) > 1:
                done = sql(
                    "replace({done}, {source}, {target})",
                    done=done,
                    source=param(source, "text"),
                    target=param(target, "text"),
                )
        return done

    def among(self, text: Sql, words: Sequence[str]) -> Sql:
        if len(words) == 1:
            return sql('{text} COLLATE "C" = {word}', text=text, word=param(words[0], "text"))
        return sql(
            '{text} COLLATE "C" = ANY({words})', text=text, words=param(tuple(words), "text[]")
        )

    def has(self, text: Sql, part: str) -> Sql:
        return sql('strpos({text} COLLATE "C", {part}) > 0', text=text, part=param(part, "text"))

    def begins(self, text: Sql, part: str) -> Sql:
        return sql(
            'left({text}, {size}) COLLATE "C" = {part}',
            text=text,
            size=str(len(part)),
            part=param(part, "text"),
        )

    def ends(self, text: Sql, part: str) -> Sql:
        return sql(
            'right({text}, {size}) COLLATE "C" = {part}',
            text=text,
            size=str(len(part)),
            part=param(part, "text"),
        )

    def like(self, text: Sql, parts: Sequence[str]) -> Sql:
        pattern = "%".join(
            part.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") for part in parts
        )
        return sql('{text} COLLATE "C" LIKE {pattern}', text=text, pattern=param(pattern, "text"))

    def is_ascii(self, text: Sql) -> Sql:
        return sql("octet_length({text}) = char_length({text})", text=text)

    def has_year_first(self, text: Sql) -> Sql:
        return sql("{text} ~ {pattern}", text=text, pattern=param("^[0-9]{4}", "text"))

    # --- JSON ---------------------------------------------------------------------------

    def values(self, document: Sql, parts: Sequence[Sequence[str]]) -> Sql:
        rows: list[Sql] = []
        for part in parts[:-1]:
            at = f"z{len(rows)}"
            listed = sql("{document} #> {steps}", document=document, steps=_steps(part))
            rows.append(
                sql(
                    f"LATERAL (SELECT {{listed}} AS x) {at}_all CROSS JOIN LATERAL ("
                    "SELECT value AS x FROM jsonb_array_elements("
                    f"CASE WHEN jsonb_typeof({at}_all.x) = 'array' THEN {at}_all.x ELSE '[]' END) "
                    f"UNION ALL SELECT {at}_all.x -> '*' WHERE jsonb_typeof({at}_all.x) = 'object'"
                    f") {at}",
                    listed=listed,
                )
            )
            document = Sql(f"{at}.x")
        found = sql("SELECT {document} #> {path} AS x", document=document, path=_steps(parts[-1]))
        for number, row in enumerate(rows):
            word = "CROSS JOIN" if number else "FROM"
            found = sql(f"{{found}} {word} {{row}}", found=found, row=row)
        return _unfolded(found)

    def items(self, at: str) -> Sql:
        each = (
            f"SELECT value AS x FROM jsonb_array_elements("
            f"CASE WHEN {at}.k = 'array' THEN {at}.x ELSE '[]' END)"
        )
        return _unfolded(Sql(each))

    def text_of(self, at: str) -> Sql:
        return inexact(
            sql(
                f"CASE WHEN {at}.k <> 'number' OR strpos({at}.v, '.') = 0 THEN {at}.v "
                f"WHEN {at}.v ~ {{short}} AND NOT abs(CAST({at}.v AS numeric)) BETWEEN 1e-30 "
                f"AND 0.0000999999999 THEN rtrim(rtrim({at}.v, '0'), '.') END",
                short=param(_SHORT, "text"),
            )
        )

    def has_text(self, at: str) -> Sql:
        # An integer of more digits is not.
        return Sql(f"(strpos({at}.v, '.') > 0 OR length(ltrim({at}.v, '-')) <= 30)")

    def number_test(self, at: str, test: Callable[[Bound, Bound], Sql]) -> Sql:
        number, is_float = self._number(at)
        return sql(
            "(SELECT CASE WHEN q.n IS NULL THEN FALSE "
            "WHEN q.f THEN abs(q.n) < {overflow} AND ({of_float}) ELSE {of_integer} END "
            "FROM (SELECT {number} AS n, {is_float} AS f) q)",
            overflow=param(bounds.OVERFLOW, "numeric"),
            of_float=test(_float_bound(bounds.at_least), _float_bound(bounds.more_than)),
            of_integer=test(_integer_bound(">="), _integer_bound(">")),
            number=number,
            is_float=is_float,
        )

    def number_of(self, at: str) -> tuple[Sql, Sql]:
        number, _ = self._number(at)
        return number, FALSE

    def is_whole(self, number: str) -> Sql:
        return Sql(f"trunc({number}) = {number}")

    def total(self, number: str) -> Sql:
        return Sql(f"COALESCE(SUM({number}), 0)")

    def _number(self, at: str) -> tuple[Sql, Sql]:
        """Return the exact decimal, or NULL, and whether Python reads a float."""
        number = sql(
            f"CASE WHEN {at}.k = 'number' OR {at}.k = 'string' AND {at}.v ~ {{number}} "
            f"THEN CAST({at}.v AS numeric) END",
            number=param(_NUMBER, "text"),
        )
        return number, sql(f"{at}.v !~ {{integer}}", integer=param(_INTEGER, "text"))

    def entries_of(self, column: str) -> str:
        return f"CROSS JOIN LATERAL jsonb_array_elements({column}) AS l(entry)"

    def entry(self, key: str) -> Sql:
        return Sql(f"(l.entry ->> '{key}')")

    # --- Trees ----------------------------------------------------------------------------

    def goal_named(self, definition: str, measure: str, name: str) -> Sql:
        return sql(
            f"{measure} IN (SELECT CAST(goal->>'ref' AS uuid) FROM "
            f"jsonb_array_elements({definition}->'goals') goal WHERE goal->>'name' = {{name}})",
            name=param(name, "text"),
        )

    def named(self, leaf: Sql, apart: dict[str, Sql]) -> Sql:
        return leaf

    def apart(self, tree: Sql, apart: dict[str, Sql]) -> Sql:
        return tree

    def rows_of_each(self, table: str, alias: str, where: Sql) -> Sql:
        # OFFSET keeps the planner from any other way than by the index, for each guest again.
        return sql(
            f"CROSS JOIN LATERAL (SELECT * FROM {table} {alias} "
            f"WHERE {alias}.guest_id = who.id AND {{where}} OFFSET 0) {alias} WHERE TRUE",
            where=where,
        )

    # --- Values -------------------------------------------------------------------------

    def moment(self, value: datetime) -> Sql:
        return param(value, "timestamptz")

    def real(self, value: Number) -> Sql:
        return param(bounds.decimal(value), "numeric")


def _steps(path: Sequence[str]) -> Sql:
    return param(tuple(path), "text[]")


def _unfolded(rows: Sql) -> Sql:
    return sql(
        "(SELECT jsonb_typeof(o.x) AS k, o.x #>> '{{}}' AS v, o.x FROM ({rows}) o)", rows=rows
    )


def _float_bound(begin: Callable[[Number], tuple[str, str] | bool]) -> Bound:
    def bound(operand: Number) -> Sql:
        found = begin(operand)
        if isinstance(found, bool):
            return TRUE if found else FALSE
        relation, decimal = found
        return sql("q.n {relation} {decimal}", relation=relation, decimal=param(decimal, "numeric"))

    return bound


def _integer_bound(relation: str) -> Bound:
    return lambda operand: sql(
        "q.n {relation} {decimal}",
        relation=relation,
        decimal=param(bounds.decimal(operand), "numeric"),
    )
