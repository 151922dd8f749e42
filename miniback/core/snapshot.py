"""One consistent, read-only look at a live database that blocks nobody."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

# Ends with the connection; each database says "everything as of now, and no writing" its own way.
BEGIN = {
    "sqlite": ["PRAGMA query_only = ON", "BEGIN DEFERRED"],
    "mysql": [
        # Of this connection only: groups of a large table stay in memory instead of a file.
        "SET SESSION tmp_table_size = 268435456, max_heap_table_size = 268435456,"
        " sort_buffer_size = 67108864",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ],
    "postgresql": [
        "SET statement_timeout = 0",
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    ],
}
LONGEST_QUERY_SECONDS = 3600


@contextmanager
def read_snapshot() -> Iterator[Any]:
    """Yield a cursor of a connection of its own. SQLite's usual IMMEDIATE would stop all writers."""
    own = connection.copy()
    if own.vendor == "mysql":
        own.settings_dict["OPTIONS"]["read_timeout"] = LONGEST_QUERY_SECONDS
    try:
        with own.cursor() as cursor:
            for statement in BEGIN[own.vendor]:
                cursor.execute(statement)
            yield cursor
            cursor.execute("ROLLBACK")
    finally:
        own.close()
