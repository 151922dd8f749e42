"""Request bodies: strict JSON, and files up to a size."""

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, MultiPartParser

from miniback.core.errors import PayloadTooLarge

# Under this much nesting nothing in the API's input is lost.
MAX_DEPTH = 20
MAX_UPLOAD_BYTES = 10 * 1024 * 1024


def refuse_larger_than(limit: int, context: Mapping[str, Any] | None) -> None:
    length = (context or {})["request"].META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > limit:
        raise PayloadTooLarge


class StrictJSONParser(BaseParser):
    """JSON as RFC 8259 means it: UTF-8, no NaN, no key twice, no lone surrogate, no NUL, not deep."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        refuse_larger_than(settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0, parser_context)
        body = stream.read()
        try:
            value = json.loads(
                body.decode(), object_pairs_hook=_object, parse_constant=_no_constant
            )
        except (ValueError, RecursionError) as error:
            raise ParseError(_("The body is not valid JSON.")) from error
        _check(value)
        return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _check(value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise ParseError(_("The body is nested too deeply."))
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise ParseError(_("The body contains text that cannot be stored."))
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)


class UploadParser(MultiPartParser):
    """multipart/form-data, refused by its announced size before a byte is read."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        # The form around the file is small.
        refuse_larger_than(MAX_UPLOAD_BYTES + 64 * 1024, parser_context)
        return super().parse(stream, media_type, parser_context)
