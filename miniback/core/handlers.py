"""The one place where a refusal becomes an HTTP answer, in the shape of the API contract."""

import math
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

from miniback.core.errors import (
    DomainError,
    Forbidden,
    NotFound,
    PayloadTooLarge,
    Refused,
    Throttled,
    Unauthenticated,
    Unavailable,
)
from miniback.core.transactions import is_transient


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Render every refusal in the shape of the API contract; anything else is a bug (500)."""
    if isinstance(exc, OperationalError | InterfaceError) and is_transient(exc):
        exc = Unavailable(retry_after=1)
    if isinstance(exc, RequestDataTooBig):
        exc = PayloadTooLarge()
    if isinstance(exc, DomainError):
        response = Response(exc.as_dict(), status=exc.status)
        if exc.retry_after is not None:
            response["Retry-After"] = str(exc.retry_after)
        return response
    answer = drf_exception_handler(exc, context)
    if answer is not None:
        answer.data = _body(exc)
    return answer


def _body(exc: Exception) -> dict[str, Any]:
    """The contract's body for an exception of DRF or Django."""
    match exc:
        case exceptions.ValidationError():
            fields = (
                exc.detail if isinstance(exc.detail, dict) else {"non_field_errors": exc.detail}
            )
            return {"code": "invalid", "detail": str(DomainError.detail), "fields": fields}
        case exceptions.Throttled():
            wait = math.ceil(getattr(exc, "wait", None) or 1)
            return {"code": "throttled", "detail": str(Throttled.detail), "retry_after": wait}
        case exceptions.ParseError():
            return {"code": "invalid", "detail": str(exc.detail)}
        case Http404() | exceptions.NotFound():
            return {"code": "not_found", "detail": str(NotFound.detail)}
        case PermissionDenied() | exceptions.PermissionDenied():
            return {"code": "permission_denied", "detail": str(Forbidden.detail)}
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return {"code": "not_authenticated", "detail": str(Unauthenticated.detail)}
        case exceptions.APIException():
            return {"code": exc.default_code, "detail": str(exc.detail)}
    raise exc


# Outside the API's views: unknown paths, refused hosts, and the last resort.


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    status = 413 if isinstance(exception, RequestDataTooBig) else 400
    error: DomainError = PayloadTooLarge() if status == 413 else Refused()
    return JsonResponse(error.as_dict(), status=status)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return JsonResponse(NotFound().as_dict(), status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    detail = str(_("Something went wrong on our side."))
    return JsonResponse({"code": "server_error", "detail": detail}, status=500)
