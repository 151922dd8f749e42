"""Pages by keyset: any depth costs what the first page costs, and ties neither repeat nor end a list."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from miniback.core.errors import InvalidFields

DEFAULT_LIMIT = 20
MAX_LIMIT = 50


class KeysetPagination(BasePagination):
    """``?cursor=&limit=`` over the view's ``ordering``: one column or annotation, ties broken by id.

    ``ordering`` is a name such as ``-sales_count``; rows may be objects or ``values()`` dicts, and
    must contain the column and ``id``. The condition is written ``a <= x AND (a < x OR (a = x AND
    id < y))``: MariaDB makes no index range of ``(a, id) < (x, y)``, SQLite none of the OR alone.
    """

    def paginate_queryset(
        self, queryset: QuerySet[Any], request: Request, view: APIView | None = None
    ) -> list[Any]:
        self.ordering: str = getattr(view, "ordering", "-id")
        self.column = self.ordering.removeprefix("-")
        limit = _limit(request.query_params.get("limit"))
        cursor = request.query_params.get("cursor")
        key = self._decode(cursor, queryset) if cursor else None
        rows = self.fetch(queryset, key, limit + 1)
        self.has_next = len(rows) > limit
        self.page = rows[:limit]
        return self.page

    def fetch(self, queryset: QuerySet[Any], key: tuple[Any, Any] | None, count: int) -> list[Any]:
        """The first ``count`` rows after ``key``, or from the beginning."""
        return list(page(queryset, self.ordering, key, count))

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next_cursor": self._next_cursor()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next_cursor"],
            "properties": {
                "results": schema,
                "next_cursor": {"type": "string", "nullable": True, "example": "WzUsNV0"},
            },
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
        return [
            {
                "name": "cursor",
                "in": "query",
                "description": "`next_cursor` of the page before.",
                "schema": {"type": "string"},
            },
            {"name": "limit", "in": "query", "description": "Rows a page.", "schema": limit},
        ]

    def _decode(self, cursor: str, queryset: QuerySet[Any]) -> tuple[Any, Any]:
        """Read a cursor of ours; anything else is the client's mistake, whatever is in it."""
        try:
            value, row_id = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            meta = queryset.model._meta
            annotation = queryset.query.annotations.get(self.column)
            column = annotation.output_field if annotation else meta.get_field(self.column)
            key = column.to_python(value), meta.pk.to_python(row_id)
            if None in key:
                raise ValueError("an ordering column is never null")
            return key
        except (ValueError, TypeError, RecursionError, ValidationError) as error:
            raise InvalidFields(cursor=_("Use the next_cursor of the page before.")) from error

    def _next_cursor(self) -> str | None:
        if not self.has_next:
            return None
        last = self.page[-1]
        read = last.__getitem__ if isinstance(last, dict) else lambda name: getattr(last, name)
        return encode(read(self.column), read("id"))


def encode(value: Any, row_id: Any) -> str:
    """The cursor after a row."""
    return urlsafe_b64encode(orjson.dumps([value, row_id])).decode().rstrip("=")


def page(
    queryset: QuerySet[Any], ordering: str, key: tuple[Any, Any] | None, count: int
) -> QuerySet[Any]:
    """``queryset`` in this order, ties by id in the same direction, after ``key`` (value, id).

    Where the order is that of another table's index, the queryset annotates that table's copy of
    the id as ``tie_id``: SQLite does not see that both are the same, and would sort.
    """
    column, backwards = ordering.removeprefix("-"), ordering.startswith("-")
    tie = "tie_id" if "tie_id" in queryset.query.annotations else "id"
    than, by_id = ("lt", f"-{tie}") if backwards else ("gt", tie)
    queryset = queryset.order_by(*dict.fromkeys([ordering, by_id]))
    if key is not None:
        value, row_id = key
        after = Q(**{f"{tie}__{than}": row_id})
        if column != "id":
            further = Q(**{f"{column}__{than}": value}) | (Q(**{column: value}) & after)
            # The first half says nothing new, but is what all three databases begin to read at.
            after = Q(**{f"{column}__{than}e": value}) & further
        queryset = queryset.filter(after)
    return queryset[:count]


def _limit(raw: str | None) -> int:
    if raw is None:
        return DEFAULT_LIMIT
    if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw[:9]) <= MAX_LIMIT:
        raise InvalidFields(limit=_("Ask for 1 to 50 rows."))
    return int(raw)
