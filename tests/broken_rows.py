"""A row that the database refuses to write, as a bug in one row's data would have it."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def refusing(table: str, column: str, value: int) -> Iterator[None]:
    """Meanwhile every UPDATE fails after which ``column`` would be ``value``."""
    on = f" ON {table}" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        for statement in _trigger(table, f"NEW.{column} = {value}"):
            cursor.execute(statement)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER broken{on}")


def _trigger(table: str, condition: str) -> list[str]:
    begin = f"CREATE TRIGGER broken BEFORE UPDATE ON {table}"
    match connection.vendor:
        case "sqlite":
            return [f"{begin} WHEN {condition} BEGIN SELECT RAISE(ABORT, 'broken'); END"]
        case "mysql":
            signal = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'broken'"
            return [f"{begin} FOR EACH ROW IF {condition} THEN {signal}; END IF"]
    body = "BEGIN RAISE EXCEPTION 'broken'; END"
    return [
        f"CREATE OR REPLACE FUNCTION broken() RETURNS trigger AS $$ {body} $$ LANGUAGE plpgsql",
        f"{begin} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION broken()",
    ]
