"""What of a request decides an answer that is the same for everybody, and whether an answer is that."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.utils.translation import get_language_from_request

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
Key = tuple[str, str, str, bool]

PUBLIC = "public"
# An answer that depends on anything else is not kept. CorsMiddleware says Origin, which is stripped.
KNOWN_VARY = {"accept-language", "accept-encoding", "origin"}
# A longer query is nobody's page; a larger answer is nobody's list.
MAX_QUERY = 1000
MAX_BODY = 512 * 1024


def question(environ: Environ) -> Key | None:
    """What decides the answer to a public request; None for what only Django can answer."""
    query = environ.get("QUERY_STRING", "")
    if (
        environ.get("REQUEST_METHOD") != "GET"
        or len(query) > MAX_QUERY
        or not is_our_host(environ.get("HTTP_HOST", ""))
    ):
        return None
    language = language_of(environ.get("HTTP_ACCEPT_LANGUAGE", ""))
    return environ["PATH_INFO"], normalised(query) if query else "", language, is_secure(environ)


def run(application: Application, environ: Environ) -> tuple[str, Headers, bytes]:
    """Call a WSGI application to its end."""
    started: list[Any] = []

    def start_response(status: str, headers: Headers, exc_info: Any = None) -> None:
        started[:] = [status, headers]

    parts = application(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        if close := getattr(parts, "close", None):
            close()
    status, headers = started
    return status, headers, body


def anonymous(environ: Environ, key: Key) -> Environ:
    """The request as a stranger would make it: the key, the host, and nothing else that was sent."""
    path, query, language, secure = key
    kept = {name: value for name, value in environ.items() if not name.startswith("HTTP_")}
    kept |= {
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_HOST": environ.get("HTTP_HOST", ""),
        "HTTP_ACCEPT_LANGUAGE": language,
        "CONTENT_LENGTH": "0",
        "wsgi.input": BytesIO(),
    }
    if secure and settings.SECURE_PROXY_SSL_HEADER:
        name, value = settings.SECURE_PROXY_SSL_HEADER
        kept[name] = value
    return kept


def is_for_everybody(status: str, headers: Headers, body: bytes) -> bool:
    said: dict[str, str] = {}
    for name, value in headers:
        said[name.lower()] = f"{said.get(name.lower(), '')},{value}"
    vary = {word.strip().lower() for word in said.get("vary", "").split(",") if word.strip()}
    return (
        status.startswith("200")
        and PUBLIC in said.get("cache-control", "")
        and "set-cookie" not in said
        and "content-encoding" not in said
        and vary <= KNOWN_VARY
        and len(body) <= MAX_BODY
    )


def is_secure(environ: Environ) -> bool:
    if settings.SECURE_PROXY_SSL_HEADER:
        name, value = settings.SECURE_PROXY_SSL_HEADER
        return bool(environ.get(name) == value)
    return bool(environ.get("wsgi.url_scheme") == "https")


@lru_cache(maxsize=1000)
def is_our_host(host: str) -> bool:
    """As Django's own check: what it would refuse is left to it."""
    domain, _port = split_domain_port(host)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


@lru_cache(maxsize=1000)
def language_of(accept_language: str) -> str:
    request = HttpRequest()
    request.META["HTTP_ACCEPT_LANGUAGE"] = accept_language
    return get_language_from_request(request)


@lru_cache(maxsize=1000)
def normalised(query: str) -> str:
    """The same for the same question: sorted, and of a name that stands twice the last, as Django."""
    return urlencode(sorted(dict(parse_qsl(query, keep_blank_values=True)).items()))
