"""
Which database the app lives in, and the one way to write many rows at once.

Steps of the walk and the hot doors call this instead of naming a database:
a host's router decides, and one statement form serves PostgreSQL and SQLite.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from django.apps import apps
from django.db import OperationalError, connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models.expressions import RawSQL
from django.db.models.sql.compiler import SQLCompiler

T = TypeVar("T")
Row = Mapping[str, Any]

_TRIES = 5

_POSTGRES_TYPES = {
    "UUIDField": "uuid",
    "DateField": "date",
    "DateTimeField": "timestamptz",
    "JSONField": "jsonb",
    "BooleanField": "boolean",
    "BigAutoField": "bigint",
    "BigIntegerField": "bigint",
    "ForeignKey": "bigint",
    "FloatField": "double precision",
    "IntegerField": "integer",
    "PositiveIntegerField": "integer",
    "PositiveSmallIntegerField": "integer",
}


def alias() -> str:
    """Return the alias of the database that the router gives this app."""
    return router.db_for_write(_inbox())


@cache
def _inbox() -> type[models.Model]:
    # Any of the app's models would do; importing one here would be a circle.
    return apps.get_model("tracking", "InboxEntry")


def connection() -> BaseDatabaseWrapper:
    return connections[alias()]


def cursor() -> CursorWrapper:
    return connection().cursor()


def atomic(*, durable: bool = False) -> transaction.Atomic:
    return transaction.atomic(using=alias(), durable=durable)


def on_commit(call: Callable[[], None]) -> None:
    transaction.on_commit(call, using=alias(), robust=True)


def is_postgres() -> bool:
    return connection().vendor == "postgresql"


def stored(value: Any) -> Any:
    """Turn a parameter into what the database's raw statements take: SQLite has no UUID or time."""
    if not isinstance(value, UUID | datetime) or is_postgres():
        return value
    return value.hex if isinstance(value, UUID) else _sqlite_time(value)


def loaded_uuid(value: Any) -> UUID:
    """Read a UUID that a raw statement answered."""
    return value if isinstance(value, UUID) else UUID(value)


def loaded_time(value: Any) -> datetime:
    """Read an aware time that a raw statement answered."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    # SQLite keeps UTC without saying so.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def in_list(column: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
    """Return an SQL test that `column` is among `values`, with its one parameter, in any number."""
    if is_postgres():
        return f"{column} = ANY(%s)", [list(values)]
    text = msgspec.json.encode([stored(value) for value in values]).decode()
    return f"{column} IN (SELECT value FROM json_each(%s))", [text]


class Among(models.Func):
    """
    Filter for rows whose field is among any number of values: `filter(Among("guest", ids))`.

    They travel as one parameter. Django's own `__in` has one each, which for a thousand takes
    longer to prepare than the database takes to answer.
    """

    output_field = models.BooleanField()

    def __init__(self, name: str, values: Iterable[Any]) -> None:
        super().__init__(models.F(name))
        self.values = list(values)

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *args: Any, **extra: Any
    ) -> Any:
        column, params = compiler.compile(self.get_source_expressions()[0])
        test, values = in_list(column, self.values)
        return test, [*params, *values]


def first_of_each(
    rows: models.QuerySet[Any, Any],
    name: str,
    values: Iterable[int],
    columns: Sequence[str],
    *,
    limit: int,
) -> tuple[str, list[Any]]:
    """
    Return a statement that reads, of each value of a field, the first `limit` rows in their order.

    It comes with its parameters, and answers these columns, a value's rows in any order. No more
    is read than it answers where an index has the rows in their order; a window function would
    number all that there are.
    """
    table = f'"{rows.model._meta.db_table}"'
    read = [f'"{_field(rows.model, name).column}"' for name in columns]
    each = rows.filter(**{name: RawSQL("given.value", ())})
    if is_postgres():
        sql, params = _compiled(each.values_list(*columns)[:limit])
        given = "unnest(%s::bigint[]) AS given(value)"
        found = f"LATERAL ({sql}) AS found({', '.join(read)})"
        return f"SELECT found.* FROM {given} CROSS JOIN {found}", [list(values), *params]
    sql, params = _compiled(each.values_list(RawSQL(f"{table}.rowid", ()))[:limit])
    selected = ", ".join(f"{table}.{column}" for column in read)
    statement = (
        f"SELECT {selected} FROM json_each(%s) AS given CROSS JOIN {table} "
        f"WHERE {table}.rowid IN ({sql})"
    )
    return statement, [msgspec.json.encode(list(values)).decode(), *params]


def _compiled(rows: models.QuerySet[Any, Any]) -> tuple[str, Sequence[Any]]:
    compiled: tuple[str, Sequence[Any]] = rows.query.get_compiler(using=alias()).as_sql()
    return compiled


def insert_rows(
    model: type[models.Model],
    rows: Iterable[Row],
    *,
    ignore_conflicts: bool = False,
    on_conflict: str = "",
    returning: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """
    Insert rows (field attribute name -> value, every row the same keys) in one statement.

    The rows travel as one JSON document that the database unfolds: about four
    times faster than `bulk_create` for rows that carry JSON, and alike on
    both databases. `on_conflict` is the clause that says what to do with a
    row that is there already. Returns the `returning` columns of the rows
    really inserted.
    """
    rows = list(rows)
    if not rows:
        return []
    fields = [_field(model, name) for name in rows[0]]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    sql = f'INSERT INTO "{model._meta.db_table}" ({columns}) {_unfolded(_by_column(fields))}'
    if ignore_conflicts:
        sql += " ON CONFLICT DO NOTHING"
    elif on_conflict:
        sql += f" ON CONFLICT {on_conflict}"
    if returning:
        sql += " RETURNING " + ", ".join(f'"{_field(model, name).column}"' for name in returning)
    with cursor() as statement:
        statement.execute(sql, [_document(rows)])
        return list(statement.fetchall()) if returning else []


def overwrite(key: Sequence[str], names: Iterable[str]) -> str:
    """Return the `on_conflict` of rows that, where their key is known, say these columns anew."""
    sets = ", ".join(f'"{name}" = excluded."{name}"' for name in names)
    return f"({', '.join(key)}) DO UPDATE SET {sets}"


def update_rows(model: type[models.Model], rows: Iterable[Row], *, key: str, sets: str) -> None:
    """
    Update many rows in one statement.

    `sets` is the SET clause, written against the alias `new` for the given
    values and the table's own name for the old ones.
    """
    rows = list(rows)
    if not rows:
        return
    fields = [_field(model, name) for name in rows[0]]
    table = model._meta.db_table
    column = _field(model, key).column
    sql = (
        f'UPDATE "{table}" SET {sets} FROM ({_unfolded(_by_column(fields))}) AS new '
        f'WHERE "{table}"."{column}" = new."{column}"'
    )
    with cursor() as statement:
        statement.execute(sql, [_document(rows)])


def greatest(left: str, right: str) -> str:
    """Return the SQL of the larger of two never-null values."""
    return f"GREATEST({left}, {right})" if is_postgres() else f"MAX({left}, {right})"


def least(left: str, right: str) -> str:
    """Return the SQL of the smaller of two never-null values."""
    return f"LEAST({left}, {right})" if is_postgres() else f"MIN({left}, {right})"


def _field(model: type[models.Model], name: str) -> Any:
    return model._meta.get_field(name)


def table_of(
    model: type[models.Model], columns: Mapping[str, str], rows: Iterable[Row]
) -> tuple[str, str]:
    """
    Return SQL of a table of these rows, for joining, with its one parameter.

    `columns` names the field of the model that each of them is like.
    """
    fields = {column: _field(model, name) for column, name in columns.items()}
    return f"({_unfolded(fields)})", _document(list(rows))


def _by_column(fields: Sequence[Any]) -> dict[str, Any]:
    return {field.column: field for field in fields}


def _unfolded(fields: Mapping[str, Any]) -> str:
    if is_postgres():
        typed = ", ".join(f'"{column}" {_postgres_type(each)}' for column, each in fields.items())
        names = ", ".join(f'"{column}"' for column in fields)
        return f"SELECT {names} FROM jsonb_to_recordset(%s::jsonb) AS given({typed})"
    picked = ", ".join(f"json_extract(value, '$.{column}') AS \"{column}\"" for column in fields)
    # WHERE true keeps SQLite from reading a following ON CONFLICT as a join's ON.
    return f"SELECT {picked} FROM json_each(%s) WHERE true"


def _postgres_type(field: Any) -> str:
    target = field.target_field if field.is_relation else field
    return _POSTGRES_TYPES.get(target.get_internal_type(), "text")


def _document(rows: Sequence[Row]) -> str:
    if is_postgres():
        return msgspec.json.encode(rows).decode()
    return msgspec.json.encode([_sqlite_row(row) for row in rows]).decode()


def _sqlite_row(row: Row) -> dict[str, Any]:
    plain = dict(row)
    for name, value in row.items():
        if isinstance(value, UUID):
            plain[name] = value.hex
        elif isinstance(value, datetime):
            plain[name] = _sqlite_time(value)
    return plain


def _sqlite_time(value: datetime) -> str:
    # Django's own form of a naive UTC time; comparisons of the text follow time.
    naive = value.astimezone(UTC).replace(tzinfo=None)
    return naive.isoformat(sep=" ", timespec="auto")


def loaded_json(value: Any) -> Any:
    """Read a JSON column that a raw statement answered (as text, on both databases)."""
    return msgspec.json.decode(value) if isinstance(value, str | bytes) else value


def is_contention(error: OperationalError) -> bool:
    """Tell whether other transactions were in the way, so that doing it again may work."""
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    # Deadlock, failed serialization, lock not available; SQLite says it in words.
    return sqlstate in ("40P01", "40001", "55P03") or "database is locked" in str(error)


def hold(name: str, *, shared: bool = False) -> None:
    """
    Hold the lock of this name until the transaction ends: alone, or with others who share it.

    Who waits for it is waited for, so that none starves. SQLite needs none: transactions that
    `write` run one by one there.
    """
    if is_postgres():
        kind = "_shared" if shared else ""
        with cursor() as statement:
            statement.execute(
                f"SELECT pg_advisory_xact_lock{kind}(hashtextextended(%s, 0))", [name]
            )


@contextmanager
def write() -> Iterator[None]:
    """
    Open a transaction that begins with a write.

    SQLite refuses a transaction that read before another one wrote and then
    wants to write; one that begins with a write waits its turn instead.
    """
    with atomic():
        if not is_postgres():
            with cursor() as statement:
                statement.execute("DELETE FROM tracking_walknote WHERE id IS NULL")
        yield


def retried(work: Callable[[], T]) -> T:
    """Do it all in one transaction; where another one was in the way, from the start again."""
    for _ in range(_TRIES - 1):
        try:
            with write():
                return work()
        except OperationalError as error:
            if not is_contention(error):
                raise
    with write():
        return work()
