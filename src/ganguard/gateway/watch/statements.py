"""Statements that SQLAlchemy Core has for each database, but not for both."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

ROWS = 500  # that one transaction writes: sales wait for it


def put(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; a row with the same key is replaced."""
    if rows:
        statement = _insert(connection, table)
        other = {column: statement.excluded[column] for column in rows[0] if column not in table.primary_key}
        connection.execute(
            statement.on_conflict_do_update(index_elements=table.primary_key, set_=other), rows
        )


def count(connection: Connection, table: Table, column: str, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; if there is a row with the same key, add the number in `column` to it."""
    if rows:
        statement = _insert(connection, table)
        total = {column: table.c[column] + statement.excluded[column]}
        connection.execute(
            statement.on_conflict_do_update(index_elements=table.primary_key, set_=total), rows
        )


def add_all(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> set[tuple[Any, ...]]:
    """Insert rows unless there are some with the same keys, and return the keys of those inserted.

    They are inserted in the order of their keys, so that no two transactions wait for each other.
    """
    if not rows:
        return set()
    names = table.primary_key.columns.keys()
    rows = sorted(rows, key=lambda row: [row[name] for name in names])
    statement = _insert(connection, table).on_conflict_do_nothing()
    inserted = connection.execute(statement.returning(*table.primary_key.columns), rows)
    return {tuple(row) for row in inserted}


def _insert(connection: Connection, table: Table) -> Any:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
