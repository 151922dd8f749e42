"""All that a shop has written, in numbers: what one call adds can be compared with what another adds."""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.db import connection, models

from accounts.models import Session
from catalog.models import SearchToken
from miniback.core.models import JobLease

# A login that is repeated begins another session, and nobody holds the tokens of the one before.
APART: set[Any] = {Session, JobLease, SearchToken}
# How often something was tried.
UNCOUNTED = {"attempts"}
# The number of a row, where a plain integer holds it.
NUMBERS_OF_ROWS = {"open_key"}


def books() -> Counter[str]:
    """Rows of each table, sums of its numbers, rows by choice, by flag and by what is filled in."""
    found: Counter[str] = Counter()
    with connection.cursor() as cursor:
        for names, sql, values in _statements():
            cursor.execute(sql, values)
            for name, value in zip(names, cursor.fetchone(), strict=True):
                found[name] = int(value or 0)
    return found


def added(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


@cache
def _statements() -> list[tuple[list[str], str, list[Any]]]:
    """For each table what is counted, and by which statement; written once, as there are many calls."""
    made = []
    for model in _tables():
        counted = [("rows", "COUNT(*)", [])]
        for field in model._meta.concrete_fields:
            counted += _counted(field)
        names = [f"{model.__name__}.{name}" for name, _sql, _values in counted]
        columns = ", ".join(sql for _name, sql, _values in counted)
        values = [value for _name, _sql, values in counted for value in values]
        table = connection.ops.quote_name(model._meta.db_table)
        made.append((names, f"SELECT {columns} FROM {table}", values))
    return made


def _tables() -> list[Any]:
    ours = (apps.get_app_config(name) for name in ("core", "accounts", "catalog", "orders"))
    own = [model for app in ours for model in app.get_models() if not model._meta.proxy]
    return [*(model for model in own if model not in APART), LogEntry]


def _counted(field: Any) -> Iterator[tuple[str, str, list[Any]]]:
    name, column = field.name, connection.ops.quote_name(field.column)
    if field.primary_key or name in UNCOUNTED:
        return
    if field.choices:
        for value, _label in field.flatchoices:
            sql = f"SUM(CASE WHEN {column} = %s THEN 1 ELSE 0 END)"
            yield f"{name}={value}", sql, [value]
        return
    if isinstance(field, models.BooleanField):
        yield f"{name} true", f"SUM(CASE WHEN {column} THEN 1 ELSE 0 END)", []
        return
    is_amount = isinstance(field, models.IntegerField) and name not in NUMBERS_OF_ROWS
    if is_amount and not field.remote_field:
        yield f"{name} sum", f"SUM({column})", []
    if field.null:
        yield f"{name} there", f"COUNT({column})", []
