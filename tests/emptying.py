"""
Empties a database after a test that commits: tables with rows in them, but what migrations made.

`conftest` has Django's transactional tests call it. Their own flush truncates every table and makes
all permissions again, which on PostgreSQL takes longer than most tests.
"""

from functools import cache

from django.db import connections, transaction

#: Filled as the tables are made, and never by tests.
_KEPT = {"django_migrations", "django_content_type", "auth_permission"}


def empty(alias: str) -> None:
    """Delete all rows. Foreign keys are looked at once all are gone, so the order is any."""
    connection = connections[alias]
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        cursor.execute(_which_have_rows(alias))
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


@cache
def _which_have_rows(alias: str) -> str:
    connection = connections[alias]
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {connection.ops.quote_name(table)})"
        for table in tables
        if table not in _KEPT
    )
