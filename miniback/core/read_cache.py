"""Public answers kept as bytes in front of Django, for at most a second.

A WSGI application around Django's. What a catalogue endpoint answered is given again to whoever
asks the same within a second of the beginning of its computation; of many who ask at once, one
makes it. Nothing personal can enter: an answer is computed from a request that has lost its token,
cookies and every other header except the language, and is kept only if its view said `public`.
"""

import gzip
import hashlib
import threading
import time
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.utils.translation import get_language_from_request
from prometheus_client import Counter

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
Key = tuple[str, str, str, bool]

ANSWERS = Counter("miniback_read_cache_answers", "Public answers, by how they came about.", ["how"])
HIT, MISS = ANSWERS.labels("hit"), ANSWERS.labels("miss")

FRESH_SECONDS = 1.0
MAX_ENTRIES = 10_000
MAX_BYTES = 64 * 1024 * 1024
# A longer query is nobody's page; a larger answer is nobody's list.
MAX_QUERY = 1000
MAX_BODY = 512 * 1024
WORTH_COMPRESSING = 1024
# A view puts what its answer is about here, such as "product:12"; clients do not see it.
TOPIC_HEADER = "X-Cache-Topic"
PUBLIC = "public"
# An answer that depends on anything else is not kept. CorsMiddleware says Origin, which is stripped.
KNOWN_VARY = {"accept-language", "accept-encoding", "origin"}
ANY_ORIGIN = ("Access-Control-Allow-Origin", "*")
OURS = {"vary", "cache-control", "content-length", "etag", TOPIC_HEADER.lower()}

# When this process last changed what an answer is about. "" is everything.
_changed: dict[str, float] = {"": 0.0}


def forget(topic: str = "") -> None:
    """Give no answer again whose computation began before now: of one topic, or of any."""
    now = time.monotonic()
    if len(_changed) > MAX_ENTRIES:
        # What is older than an answer can be decides nothing any more.
        for old in [name for name, at in _changed.items() if name and at < now - FRESH_SECONDS]:
            _changed.pop(old, None)
    _changed[topic] = now


def forget_on_commit(topic: str = "") -> None:
    """Forget as soon as the running transaction is seen by others."""
    transaction.on_commit(partial(forget, topic))


class Answer:
    """What Django said, when it began to compute it, and the forms in which it is sent."""

    def __init__(self, began: float, status: str, headers: Headers, body: bytes) -> None:
        self.began, self.status, self.body = began, status, body
        self.topic = dict(headers).get(TOPIC_HEADER, "")
        self.etag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        seconds = settings.CDN_SECONDS
        for_caches = f"s-maxage={seconds}, max-age=0" if seconds else "no-cache"
        self.headers = [(name, value) for name, value in headers if name.lower() not in OURS]
        self.headers += [
            ("Vary", "Accept-Language, Accept-Encoding"),
            ("Cache-Control", f"public, {for_caches}"),
            ("ETag", self.etag),
            ANY_ORIGIN,
        ]
        self._compressed: bytes | None = None

    @property
    def size(self) -> int:
        return len(self.body) + 2000

    def serves(self, asked: float) -> bool:
        """Whether it tells the truth of at most a second before ``asked``, and of our own changes."""
        began = self.began
        return (
            began >= asked - FRESH_SECONDS
            and began > _changed[""]
            and began > _changed.get(self.topic, 0.0)
        )

    def compressed(self) -> bytes:
        if self._compressed is None:
            self._compressed = gzip.compress(self.body, 5, mtime=0)
        return self._compressed

    def send(self, environ: Environ, start_response: StartResponse, how: str) -> list[bytes]:
        headers = [*self.headers, ("X-Cache", how)]
        asked = environ.get("HTTP_IF_NONE_MATCH")
        if asked and self.etag in asked:
            start_response("304 Not Modified", headers)
            return [b""]
        body = self.body
        if len(body) > WORTH_COMPRESSING and "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
            body = self.compressed()
            headers.append(("Content-Encoding", "gzip"))
        headers.append(("Content-Length", str(len(body))))
        start_response(self.status, headers)
        return [body]


class Flight:
    """A computation on its way, for those who ask the same meanwhile."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.landed = threading.Event()
        self.answer: Answer | None = None


class ReadCache:
    """``is_public`` says of a path whether its answers are the same for everybody."""

    def __init__(self, application: Application, is_public: Callable[[str], bool]) -> None:
        self.application, self.is_public = application, is_public
        self.answers: dict[Key, Answer] = {}
        self.flights: dict[Key, Flight] = {}
        self.bytes = 0
        self.hits = self.misses = self._told = 0
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        key = self.key(environ)
        if key is None:
            return self.application(environ, start_response)
        asked = time.monotonic()
        answer = self.answers.get(key)
        if answer is not None and answer.serves(asked):
            self.hits += 1
            return answer.send(environ, start_response, "hit")
        return self.fetch(key, asked, environ, start_response)

    def key(self, environ: Environ) -> Key | None:
        """What decides the answer; None for a request that is not ours to answer."""
        path, query = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
        if (
            environ.get("REQUEST_METHOD") != "GET"
            or not self.is_public(path)
            or len(query) > MAX_QUERY
            or not is_our_host(environ.get("HTTP_HOST", ""))
        ):
            return None
        language = language_of(environ.get("HTTP_ACCEPT_LANGUAGE", ""))
        return path, normalised(query) if query else "", language, is_secure(environ)

    def fetch(
        self, key: Key, asked: float, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Wait for whoever computes the same, or compute it."""
        with self._lock:
            flight = self.flights.get(key)
            leads = flight is None or flight.began < asked - FRESH_SECONDS
            if leads:
                flight = self.flights[key] = Flight(asked)
        assert flight is not None
        if not leads:
            flight.landed.wait()
            if flight.answer is not None and flight.answer.serves(asked):
                self.hits += 1
                return flight.answer.send(environ, start_response, "hit")
            # It was not to be kept, or was changed meanwhile: each for himself.
            return self.compute(key, environ, start_response, None)
        try:
            return self.compute(key, environ, start_response, flight)
        finally:
            with self._lock:
                if self.flights.get(key) is flight:
                    del self.flights[key]
            flight.landed.set()

    def compute(
        self, key: Key, environ: Environ, start_response: StartResponse, flight: Flight | None
    ) -> list[bytes]:
        self.count_miss()
        began = time.monotonic()
        status, headers, body = run(self.application, anonymous(environ, key))
        if not is_for_everybody(status, headers, body):
            # Computed for nobody, it may be read from anywhere too: a browser must see why it was refused.
            start_response(status, [*headers, ANY_ORIGIN, ("X-Cache", "pass")])
            return [body]
        answer = Answer(began, status, headers, body)
        if flight is not None:
            flight.answer = answer
            self.keep(key, answer)
        return answer.send(environ, start_response, "miss")

    def count_miss(self) -> None:
        """And tell of the hits before it: a counter that is shared by processes costs more than a hit."""
        with self._lock:
            self.misses += 1
            hits, self._told = self.hits - self._told, self.hits
        HIT.inc(hits)
        MISS.inc()

    def keep(self, key: Key, answer: Answer) -> None:
        """Put the answer at the end of the table; the oldest stand in front, and go first."""
        with self._lock:
            if old := self.answers.pop(key, None):
                self.bytes -= old.size
            self.answers[key] = answer
            self.bytes += answer.size
            stale = answer.began - FRESH_SECONDS
            while True:
                first = next(iter(self.answers))
                is_over = len(self.answers) > MAX_ENTRIES or self.bytes > MAX_BYTES
                if first == key or not (is_over or self.answers[first].began < stale):
                    break
                self.bytes -= self.answers.pop(first).size


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
