"""Shapes of core's own resources, and number fields with bounds for every app."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from django.core.handlers.wsgi import get_bytes_from_wsgi
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.request import Request

from miniback.core.models import Upload, UploadPurpose
from miniback.core.money import MAX_FEN

MAX_ID = 2**63 - 1
MAX_QUANTITY = 999


@cache
def _made_once(kind: Callable[[], Any]) -> Any:
    return kind()


def as_json(kind: type[serializers.BaseSerializer[Any]], row: Any) -> dict[str, Any]:
    """What ``kind(row).data`` gives, without building the fields anew for every row.

    Building them costs several times what reading a row does; they hold nothing of the row.
    """
    return dict(_made_once(kind).to_representation(row))  # type: ignore[arg-type]


def as_json_list(
    kind: type[serializers.BaseSerializer[Any]], rows: Iterable[Any]
) -> list[dict[str, Any]]:
    return [as_json(kind, row) for row in rows]


def parse(kind: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """What ``kind(data=data).validated_data`` gives, without building the fields anew.

    Raises ValidationError.
    """
    return dict(_made_once(kind).run_validation(data))


def parse_query(kind: type[serializers.Serializer[Any]], request: Request) -> Mapping[str, Any]:
    """The same for a request's query, of which a shop's pages have few: each is read once.

    Raises ValidationError.
    """
    return _parsed_query(kind, get_bytes_from_wsgi(request.META, "QUERY_STRING", ""))


@lru_cache(maxsize=1000)
def _parsed_query(
    kind: type[serializers.Serializer[Any]], query_string: bytes
) -> Mapping[str, Any]:
    return MappingProxyType(parse(kind, QueryDict(query_string)))


class StrictIntegerField(serializers.IntegerField):
    """A JSON number, or ASCII digits in a query: not "1e3", not 1.0, not full-width digits."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_value", MAX_ID)
        kwargs.setdefault("min_value", 0)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> int:
        is_number = isinstance(data, int) and not isinstance(data, bool)
        if not is_number and not (isinstance(data, str) and data.isascii() and data.isdigit()):
            self.fail("invalid")
        return int(super().to_internal_value(data))


class IdField(StrictIntegerField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, **kwargs)


class FenInputField(StrictIntegerField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_value=MAX_FEN, **kwargs)


class QuantityField(StrictIntegerField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=MAX_QUANTITY, **kwargs)


class UploadInput(serializers.Serializer):
    file = serializers.FileField()
    purpose = serializers.ChoiceField(choices=UploadPurpose.choices)


class UploadSerializer(serializers.ModelSerializer):
    url = serializers.CharField(read_only=True)

    class Meta:
        model = Upload
        fields = ["id", "url", "width", "height"]
