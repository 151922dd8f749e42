"""Statements that are compiled once: on the hottest paths building SQL costs more than running it."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import DateTimeField, Field, Model, QuerySet
from django.db.models.query import get_related_populators  # type: ignore[attr-defined]
from django.db.models.sql import Query

M = TypeVar("M", bound=Model)
EXAMPLE = 700_000_000


def _connection() -> Any:
    """This thread's own: fields ask it a lot, and the proxy ``connection`` looks it up each time."""
    return connections[DEFAULT_DB_ALIAS]


class CompiledQuery(Generic[M]):
    """The rows of a queryset whose SQL does not depend on its values.

    ``build`` makes it from one value for each of ``fields``, in the order in which the SQL has them.
    What comes out is what the queryset itself would give, related rows of ``select_related``
    included (tests compare the two). Django offers no prepared queries: this leans on the compiler
    of the pinned 5.2 as `ModelIterable` does.
    """

    def __init__(
        self, build: Callable[..., QuerySet[M]], fields: Sequence["Field[Any, Any]"]
    ) -> None:
        self._build, self._fields = build, fields
        # A compiler belongs to its connection, and that to its thread.
        self._mine = threading.local()

    def first(self, *values: Any) -> M | None:
        return next(iter(self.all(*values)), None)

    def all(self, *values: Any) -> list[M]:
        here = _connection()
        here.ensure_connection()
        mine = self._mine
        if getattr(mine, "connection", None) is not here.connection:
            self._compile()
        written = list(mine.parameters)
        for places, field, value in zip(mine.places, self._fields, values, strict=True):
            prepared = field.get_db_prep_value(value, here)
            for place in places:
                written[place] = prepared
        with here.cursor() as cursor:
            cursor.execute(mine.sql, written)
            rows = cursor.fetchall()
        return [self._row(row) for row in mine.compiler.apply_converters(rows, mine.converters)]

    def _row(self, row: Sequence[Any]) -> M:
        found: M = self._mine.model.from_db(
            connection.alias, self._mine.names, row[self._mine.columns]
        )
        for related in self._mine.related:
            related.populate(row, found)
        return found

    def _compile(self) -> None:
        mine = self._mine
        # Values that no query has by itself, so that they are found again among its parameters.
        examples = [_example(field, n) for n, field in enumerate(self._fields)]
        query = self._build(*examples).query
        mine.compiler = query.get_compiler(connection=connection)
        mine.sql, parameters = mine.compiler.as_sql()
        mine.parameters = list(parameters)
        mine.places = [
            _places(mine.parameters, field.get_db_prep_value(example, connection))
            for field, example in zip(self._fields, examples, strict=True)
        ]
        columns = [column for column, _sql, _alias in mine.compiler.select]
        mine.converters = mine.compiler.get_converters(columns)
        self._note_shape(mine, query)
        mine.connection = connection.connection

    def _note_shape(self, mine: threading.local, query: Query) -> None:
        select, info = mine.compiler.select, mine.compiler.klass_info
        fields = info["select_fields"]
        mine.model, mine.columns = info["model"], slice(fields[0], fields[-1] + 1)
        mine.names = [column[0].target.attname for column in select[mine.columns]]
        mine.related = get_related_populators(info, select, connection.alias)


class CompiledValues(CompiledQuery[Any]):
    """The same for ``values()``: rows are dictionaries."""

    def all(self, *values: Any) -> list[Any]:
        return super().all(*values)

    def first(self, *values: Any) -> Any:
        return super().first(*values)

    def _row(self, row: Sequence[Any]) -> Any:
        return dict(zip(self._mine.names, row, strict=True))

    def _note_shape(self, mine: threading.local, query: Query) -> None:
        annotations = query.annotation_select
        mine.names = [*query.extra_select, *query.values_select, *annotations]


def _example(field: "Field[Any, Any]", number: int) -> Any:
    if isinstance(field, DateTimeField):
        return datetime(1907, 1, 1 + number, tzinfo=UTC)
    return field.to_python(EXAMPLE + number)


def _places(parameters: Sequence[Any], value: Any) -> list[int]:
    """Where a value stands: a cursor's does twice."""
    found = [place for place, parameter in enumerate(parameters) if parameter == value]
    if not found:
        raise LookupError(f"{value!r} is not among the parameters of the compiled query")
    return found


@cache
def _insert(model: type[Model], count: int) -> tuple[str, list[Any]]:
    """The statement that inserts ``count`` rows, and the fields in its order."""
    fields = [field for field in model._meta.local_concrete_fields if not field.primary_key]
    quote = connection.ops.quote_name
    marks = "(" + ", ".join(["%s"] * len(fields)) + ")"
    columns = ", ".join(quote(field.column) for field in fields)
    sql = (
        f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES {', '.join([marks] * count)}"  # noqa: S608
    )
    if connection.features.can_return_rows_from_bulk_insert:
        sql += f" RETURNING {quote(str(model._meta.pk.column))}"
    return sql, fields


def insert(*rows: M) -> list[M]:
    """Insert new rows of one model by one statement, as ``bulk_create`` does, and return them.

    They know their ids, except where the database tells none of many rows (MySQL). No signals.
    """
    here = _connection()
    sql, fields = _insert(type(rows[0]), len(rows))
    values = [
        field.get_db_prep_save(field.pre_save(row, True), here) for row in rows for field in fields
    ]
    with here.cursor() as cursor:
        cursor.execute(sql, values)
        if here.features.can_return_rows_from_bulk_insert:
            ids = [row_id for (row_id,) in cursor.fetchall()]
        else:
            ids = [cursor.lastrowid if len(rows) == 1 else None] * len(rows)
    for row, row_id in zip(rows, ids, strict=True):
        row.pk, row._state.adding, row._state.db = row_id, False, here.alias
    return list(rows)


@cache
def _update(model: type[Model], names: tuple[str, ...]) -> tuple[str, list[Any]]:
    """The statement that writes these columns of one row, and the fields in its order."""
    quote, key = connection.ops.quote_name, model._meta.pk
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    columns = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    sql = f"UPDATE {quote(model._meta.db_table)} SET {columns} WHERE {quote(str(key.column))} = %s"  # noqa: S608
    return sql, [*fields, key]


def update(row: Model, *names: str) -> None:
    """Write these columns of a row that is there, as ``save(update_fields=names)`` does. No signals."""
    here = _connection()
    sql, fields = _update(type(row), names)
    values = [field.get_db_prep_save(field.value_from_object(row), here) for field in fields]
    with here.cursor() as cursor:
        cursor.execute(sql, values)
