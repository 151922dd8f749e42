"""Refuses requests that no part of the shop can mean."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

GetResponse = Callable[[HttpRequest], HttpResponse]


class RefuseMalformedRequests:
    """400 for a NUL byte in path, query or header; 411 for a body of unknown length.

    PostgreSQL answers a NUL with an error of its own, and WSGI reads a chunked body without a
    length as an empty one, so that half a request would be processed.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        meta = request.META
        query = meta.get("QUERY_STRING", "")
        if (
            "\0" in request.path_info
            or "\0" in query
            or "%00" in query
            or any("\0" in v for k, v in meta.items() if k.startswith("HTTP_"))
        ):
            return self.refuse(400, "invalid", _("The request contains a NUL byte."))
        if "HTTP_TRANSFER_ENCODING" in meta and not meta.get("CONTENT_LENGTH"):
            return self.refuse(411, "length_required", _("Send a Content-Length."))
        return self.get_response(request)

    def refuse(self, status: int, code: str, detail: str) -> HttpResponse:
        return JsonResponse({"code": code, "detail": detail}, status=status)
