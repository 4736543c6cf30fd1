"""The rows of a guest and of everybody merged into it, which leaves about deeds begin with."""

from personalize.querying.dialect import Dialect
from personalize.querying.sql import GUEST, TRUE, Sql, sql

_MEMBERS = (
    f"(SELECT {GUEST}.id AS id UNION ALL "
    f"SELECT m.id FROM tracking_guest m WHERE m.root_id = {GUEST}.id) who"
)


def rows_of(table: str, alias: str, dialect: Dialect, where: Sql = TRUE) -> Sql:
    """Return the rows of a table that are theirs, up to a WHERE that more can be added to."""
    return sql(f"{_MEMBERS} {{rows}}", rows=dialect.rows_of_each(table, alias, where))
