"""One server with every subject of `bench-catalogue`: bare bytes, the shop without and with its cache."""

from collections.abc import Callable, Iterable
from typing import Any

from miniback.wsgi import application as cached
from miniback.wsgi import django_application

BODY = b'{"results": "' + b"x" * 2000 + b'"}'
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]
UNCACHED = "/uncached"


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/bare/":
        start_response("200 OK", HEADERS)
        return [BODY]
    if path.startswith(UNCACHED):
        environ["PATH_INFO"] = path.removeprefix(UNCACHED)
        return django_application(environ, start_response)
    return cached(environ, start_response)
