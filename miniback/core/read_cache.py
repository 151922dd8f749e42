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
from functools import partial

from django.conf import settings
from django.db import transaction
from prometheus_client import Counter

from miniback.core.public_requests import (
    Application,
    Environ,
    Headers,
    Key,
    StartResponse,
    anonymous,
    is_for_everybody,
    question,
    run,
)

ANSWERS = Counter("miniback_read_cache_answers", "Public answers, by how they came about.", ["how"])
HIT, MISS = ANSWERS.labels("hit"), ANSWERS.labels("miss")

FRESH_SECONDS = 1.0
MAX_ENTRIES = 10_000
MAX_BYTES = 64 * 1024 * 1024
WORTH_COMPRESSING = 1024
# A view puts what its answer is about here, such as "product:12"; clients do not see it.
TOPIC_HEADER = "X-Cache-Topic"
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
        key = question(environ) if self.is_public(environ.get("PATH_INFO", "")) else None
        if key is None:
            return self.application(environ, start_response)
        asked = time.monotonic()
        answer = self.answers.get(key)
        if answer is not None and answer.serves(asked):
            self.hits += 1
            return answer.send(environ, start_response, "hit")
        return self.fetch(key, asked, environ, start_response)

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
