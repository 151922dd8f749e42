"""The OpenAPI schema: a description, examples and errors for every operation."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from django.utils.translation import override
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
)
from rest_framework import serializers

from miniback.core.errors import DomainError, InvalidFields, Unauthenticated

F = TypeVar("F", bound=Callable[..., Any])


class ErrorSerializer(serializers.Serializer):
    """Match on `code`; show `detail` to people."""

    code = serializers.CharField()
    detail = serializers.CharField()
    fields_ = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="Only with `invalid`: what is wrong, by field.",
    )
    retry_after = serializers.IntegerField(required=False, help_text="Seconds to wait.")

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        # A serializer's own attribute is called `fields`.
        fields["fields"] = fields.pop("fields_")
        return fields


class MinibackSchema(AutoSchema):
    """Names operations by their path, so that two viewsets of one model do not collide."""

    def get_operation_id(self) -> str:
        path = re.sub(r"^/api/v1/|[{}]", "", self.path).strip("/").replace("/", "_")
        return f"{path.replace('-', '_')}_{self.method.lower()}"

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").split("/")[0]]


def describe(
    summary: str,
    *,
    request: Any = None,
    answers: Mapping[int, Any] | None = None,
    errors: Iterable[type[DomainError]] = (),
    sends: Mapping[str, Any] | None = None,
    gives: Mapping[str, Any] | None = None,
    parameters: Iterable[Any] = (),
    public: bool = False,
) -> Callable[[F], F]:
    """Describe an operation. The docstring below it is its text; ``errors`` are its refusals.

    ``sends`` and ``gives`` are examples of the body and of the answer.
    """
    every = [*errors]
    if not public:
        every.append(Unauthenticated)
    if request is not None or parameters:
        every.append(InvalidFields)
    examples = []
    if sends is not None:
        examples.append(OpenApiExample("request", value=sends, request_only=True))
    if gives is not None:
        made = [str(status) for status in answers or {}]
        examples.append(
            OpenApiExample("answer", value=gives, response_only=True, status_codes=made)
        )
    return extend_schema(
        summary=summary,
        request=request,
        responses={**(answers or {}), **_error_responses(every)},
        examples=examples,
        parameters=list(parameters),
    )


def _error_responses(errors: Iterable[type[DomainError]]) -> dict[int, OpenApiResponse]:
    by_status: dict[int, list[type[DomainError]]] = defaultdict(list)
    for error in dict.fromkeys(errors):
        by_status[error.status].append(error)
    return {
        status: OpenApiResponse(
            ErrorSerializer,
            description=", ".join(f"`{kind.code}`" for kind in kinds),
            examples=[_example(kind) for kind in kinds],
        )
        for status, kinds in sorted(by_status.items())
    }


def path_id(name: str = "id", *, text: bool = False) -> OpenApiParameter:
    kind: Any = str if text else int
    return OpenApiParameter(name, kind, OpenApiParameter.PATH)


def idempotency_key(*, is_required: bool = False) -> OpenApiParameter:
    """The header by which a request that is sent again is known."""
    text = "The same for every try of one request; 8 to 64 visible ASCII characters."
    name = "Idempotency-Key"
    return OpenApiParameter(
        name, str, OpenApiParameter.HEADER, required=is_required, description=text
    )


def _example(kind: type[DomainError]) -> OpenApiExample:
    with override("en"):
        value: dict[str, Any] = {"code": kind.code, "detail": str(kind.detail)}
    if kind is InvalidFields:
        value["fields"] = {"quantity": ["Ensure this value is greater than or equal to 1."]}
    name = f"{kind.code} ({kind.__name__})" if kind.code in {"invalid", "not_found"} else kind.code
    return OpenApiExample(name, value=value, response_only=True, status_codes=[str(kind.status)])


def list_error_codes(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Append every code the API can answer to the schema's description."""
    rows = {(401, "not_authenticated"): "", (405, "method_not_allowed"): "Method not allowed."}
    with override("en"):
        for kind in _all_kinds(DomainError):
            rows.setdefault((kind.status, kind.code), str(kind.detail))
            rows[(kind.status, kind.code)] = rows[(kind.status, kind.code)] or str(kind.detail)
    lines = [f"| {status} | `{code}` | {text} |" for (status, code), text in sorted(rows.items())]
    table = "\n".join(
        ["", "", "## Error codes", "", "| status | code | meaning |", "| --- | --- | --- |", *lines]
    )
    result["info"]["description"] += table
    return result


def _all_kinds(kind: type[DomainError]) -> Iterable[type[DomainError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _all_kinds(child)
