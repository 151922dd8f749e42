"""What every call of a merchant has: a signature, a body that is checked, a signed answer."""

import functools
import json
import re
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from miniback.sandbox.keys import Merchant
from miniback.sandbox.signing import SignatureRefused, sign_response, verify_request

View = Callable[..., HttpResponse]


class PayError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message


def merchant_only(method: str) -> Callable[[View], View]:
    """Verify the request's signature; sign the answer, or say what is wrong."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                if request.method != method:
                    raise PayError(405, "INVALID_REQUEST", "method not allowed")
                request.META["sandbox.merchant"] = verify_request(request)
                with transaction.atomic():
                    answer = view(request, *args, **kwargs)
            except SignatureRefused as error:
                return JsonResponse({"code": "SIGN_ERROR", "message": str(error)}, status=401)
            except PayError as error:
                body = {"code": error.code, "message": error.message}
                return JsonResponse(body, status=error.status)
            return sign_response(request, answer)

        return wrapper

    return decorate


def merchant_of(request: HttpRequest) -> Merchant:
    """Whoever signed the request."""
    merchant: Merchant = request.META["sandbox.merchant"]
    return merchant


def read_object(body: bytes, allowed: set[str]) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except ValueError as error:
        raise PayError(400, "PARAM_ERROR", "the body is not JSON") from error
    if not isinstance(given, dict):
        raise PayError(400, "PARAM_ERROR", "the body is not an object")
    if extra := given.keys() - allowed:
        raise PayError(400, "PARAM_ERROR", f"illegal extra parameter {sorted(extra)[0]}")
    if None in given.values():
        raise PayError(400, "PARAM_ERROR", "null is not a value")
    return given


def part(given: dict[str, Any], name: str) -> dict[str, Any]:
    part = given.get(name)
    if not isinstance(part, dict):
        raise PayError(400, "PARAM_ERROR", name)
    return part


def need(is_good: bool, name: str) -> None:
    if not is_good:
        raise PayError(400, "PARAM_ERROR", name)


def is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest


def is_fen(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def matches(value: Any, pattern: str) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None
