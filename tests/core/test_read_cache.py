"""The read cache around an application of our own, and around the shop."""

import gzip
import json
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import override_settings

from catalog.models import Sku
from catalog.services.stock import adjust_stock
from miniback.api import is_public
from miniback.core import read_cache
from miniback.core.public_requests import is_for_everybody
from miniback.core.read_cache import ReadCache
from miniback.wsgi import django_application
from tests.factories import make_access, make_customer, make_sku

PUBLIC = ("Cache-Control", "public")


class Origin:
    """An application that counts its calls and says what it saw."""

    def __init__(self, *headers: tuple[str, str], status: str = "200 OK", size: int = 0) -> None:
        self.headers, self.status, self.size = list(headers) or [PUBLIC], status, size
        self.calls: list[dict[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        self.calls.append(environ)
        self.gate.wait(5)
        seen = {k: v for k, v in environ.items() if isinstance(v, str)}
        body = json.dumps({"call": len(self.calls), "environ": seen}).encode() + b" " * self.size
        start_response(self.status, [*self.headers, ("Content-Length", str(len(body)))])
        return iter([body])


class Client:
    def __init__(self, origin: Any) -> None:
        self.cache = ReadCache(origin, lambda path: path.startswith("/public"))

    def get(
        self, path: str = "/public/", query: str = "", method: str = "GET", **headers: str
    ) -> Any:
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query,
            "wsgi.url_scheme": "http", "wsgi.input": BytesIO(), "HTTP_HOST": "testserver", "SERVER_NAME": "x",
            **{f"HTTP_{name}": value for name, value in headers.items()},
        }  # fmt: skip
        self.status, self.headers = "", {}

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> None:
            self.status, self.headers = status, dict(headers)

        return b"".join(self.cache(environ, start_response))

    def how(self, *args: Any, **kwargs: Any) -> str:
        self.get(*args, **kwargs)
        return self.headers.get("X-Cache", "-")


@pytest.fixture(autouse=True)
def _nothing_changed() -> Iterator[None]:
    read_cache._changed.clear()
    read_cache._changed[""] = 0.0
    yield


def test_the_second_of_two_is_a_hit() -> None:
    origin = Origin()
    client = Client(origin)
    first = client.get()
    assert client.headers["X-Cache"] == "miss"
    assert client.get() == first
    assert client.headers["X-Cache"] == "hit"
    assert (len(origin.calls), client.cache.hits, client.cache.misses) == (1, 1, 1)


class Clock:
    """Stands still until it is moved."""

    def __init__(self, monkeypatch: Any) -> None:
        self.now = 1000.0
        monkeypatch.setattr(read_cache.time, "monotonic", lambda: self.now)


def test_nothing_is_older_than_a_second(monkeypatch: Any) -> None:
    """Counted from the beginning of its computation."""
    client, clock = Client(Origin()), Clock(monkeypatch)
    client.get()
    clock.now += 1.0
    assert client.how() == "hit"
    clock.now += 0.001
    assert client.how() == "miss"


@pytest.mark.parametrize(
    ("path", "query", "method"),
    [
        ("/private/", "", "GET"),
        ("/public/", "", "POST"),
        ("/public/", "", "HEAD"),
        ("/public/", "q=" + "x" * 1000, "GET"),
    ],
)
def test_other_requests_pass_by(path: str, query: str, method: str) -> None:
    origin = Origin()
    client = Client(origin)
    assert client.how(path, query, method, AUTHORIZATION="Bearer x") == "-"
    assert origin.calls[0]["HTTP_AUTHORIZATION"] == "Bearer x"


def test_nobody_is_known_to_the_application() -> None:
    """A token, a cookie, an address: an answer cannot depend on what was not there."""
    origin = Origin()
    client = Client(origin)
    client.get(
        AUTHORIZATION="Bearer x",
        COOKIE="sessionid=x",
        ORIGIN="https://evil.example",
        X_FORWARDED_FOR="1.2.3.4",
    )
    seen = {name for name in origin.calls[0] if name.startswith("HTTP_")}
    assert seen == {"HTTP_HOST", "HTTP_ACCEPT_LANGUAGE"}
    assert client.headers["Access-Control-Allow-Origin"] == "*"
    assert client.how() == "hit"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([PUBLIC, ("Set-Cookie", "sessionid=x")], "200 OK"),
        ([PUBLIC, ("Vary", "Cookie")], "200 OK"),
        ([PUBLIC, ("Vary", "Accept-Language, Authorization")], "200 OK"),
        ([PUBLIC, ("Vary", "Origin"), ("Vary", "*")], "200 OK"),
        ([PUBLIC, ("Content-Encoding", "br")], "200 OK"),
        ([("Cache-Control", "private")], "200 OK"),
        ([("Content-Type", "text/plain")], "200 OK"),
        ([PUBLIC], "404 Not Found"),
        ([PUBLIC], "500 Internal Server Error"),
    ],
)
def test_what_may_be_personal_never_enters(headers: list[tuple[str, str]], status: str) -> None:
    origin = Origin(*headers, status=status)
    client = Client(origin)
    assert client.how() == client.how() == "pass"
    assert (len(origin.calls), client.cache.answers) == (2, {})
    assert client.status == status
    assert client.headers["Access-Control-Allow-Origin"] == "*"
    assert not is_for_everybody(status, headers, b"")


def test_languages_never_mix() -> None:
    client = Client(Origin())
    chinese = client.get(ACCEPT_LANGUAGE="zh-CN,zh;q=0.9")
    english = client.get(ACCEPT_LANGUAGE="en-US")
    assert json.loads(chinese)["environ"]["HTTP_ACCEPT_LANGUAGE"] == "zh-hans"
    assert json.loads(english)["environ"]["HTTP_ACCEPT_LANGUAGE"] == "en"
    assert client.get(ACCEPT_LANGUAGE="zh") == client.get(ACCEPT_LANGUAGE="xx") == chinese
    assert client.get(ACCEPT_LANGUAGE="en;q=0.9, zh;q=0.1") == english


def test_the_same_question_has_one_answer() -> None:
    origin = Origin()
    client = Client(origin)
    same = ["a=1&b=%E8%8C%B6", "b=茶&a=1", "a=9&b=%E8%8C%B6&a=1"]
    assert len({client.get(query=query) for query in same}) == 1
    assert len(origin.calls) == 1
    assert client.how(query="a=1") == client.how(query="a=1&b=") == "miss"


def test_a_client_that_has_it_gets_304() -> None:
    client = Client(Origin())
    client.get()
    etag = client.headers["ETag"]
    assert client.get(IF_NONE_MATCH=f'"x", {etag}') == b""
    assert client.status.startswith("304")
    assert client.headers["ETag"] == etag
    assert client.get(IF_NONE_MATCH='"x"')


def test_a_large_answer_is_compressed_once() -> None:
    client = Client(Origin(size=5000))
    plain = client.get()
    packed = client.get(ACCEPT_ENCODING="gzip, br")
    assert client.headers["Content-Encoding"] == "gzip"
    assert int(client.headers["Content-Length"]) == len(packed) < 2000
    assert gzip.decompress(packed) == plain
    assert "Accept-Encoding" in client.headers["Vary"]


def test_caches_ask_each_time_unless_told_otherwise() -> None:
    client = Client(Origin())
    client.get()
    assert client.headers["Cache-Control"] == "public, no-cache"
    with override_settings(CDN_SECONDS=30):
        client.get(query="a=1")
    assert client.headers["Cache-Control"] == "public, s-maxage=30, max-age=0"


@pytest.mark.parametrize("host", ["evil.example", "", "a b", "[::1"])
def test_a_foreign_host_is_left_to_django(host: str) -> None:
    """B12."""
    assert Client(Origin()).how(HOST=host) == "-"


def test_one_computes_for_all_who_ask_at_once() -> None:
    origin = Origin()
    origin.gate.clear()
    cache = Client(origin).cache
    answers: list[bytes] = []

    def ask() -> None:
        client = Client(origin)
        client.cache = cache
        answers.append(client.get())

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    while not origin.calls or cache.flights == {}:
        time.sleep(0.01)
    time.sleep(0.2)
    origin.gate.set()
    for thread in threads:
        thread.join()
    assert len(origin.calls) == 1
    assert len(set(answers)) == 1
    assert (cache.hits, cache.misses, cache.flights) == (19, 1, {})


def test_whoever_comes_more_than_a_second_later_does_not_wait() -> None:
    """A slow computation tells of a time that is too long ago for him."""
    origin = Origin()
    origin.gate.clear()
    cache = Client(origin).cache
    first = threading.Thread(target=lambda: ask(cache, origin))
    first.start()
    while not origin.calls:
        time.sleep(0.01)
    time.sleep(1.1)
    second = threading.Thread(target=lambda: ask(cache, origin))
    second.start()
    deadline = time.monotonic() + 5
    while len(origin.calls) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    origin.gate.set()
    first.join()
    second.join()
    assert len(origin.calls) == 2


def ask(cache: ReadCache, origin: Origin) -> bytes:
    client = Client(origin)
    client.cache = cache
    return bytes(client.get())


def test_an_application_that_fails_leaves_nobody_waiting() -> None:
    def broken(environ: Any, start_response: Any) -> Any:
        raise RuntimeError("no")

    client = Client(broken)
    for _try in range(2):
        with pytest.raises(RuntimeError):
            client.get()
    assert client.cache.flights == {}


def test_what_this_process_changed_is_not_given_again() -> None:
    client = Client(Origin(PUBLIC, (read_cache.TOPIC_HEADER, "product:1")))
    client.get()
    assert read_cache.TOPIC_HEADER not in client.headers
    read_cache.forget("product:2")
    assert client.how() == "hit"
    read_cache.forget("product:1")
    assert client.how() == "miss"
    read_cache.forget()
    assert client.how() == "miss"
    assert client.how() == "hit"


def test_what_was_computed_before_a_change_is_not_given_after_it() -> None:
    """It began to read before the change was there."""
    origin = Origin()
    origin.gate.clear()
    client = Client(origin)
    thread = threading.Thread(target=client.get)
    thread.start()
    while not origin.calls:
        time.sleep(0.01)
    read_cache.forget()
    origin.gate.set()
    thread.join()
    assert client.how() == "miss"


def test_memory_is_bounded_under_a_million_questions(monkeypatch: Any) -> None:
    """By number and by bytes; here on a scale of one to a hundred."""
    monkeypatch.setattr(read_cache, "MAX_ENTRIES", 100)
    monkeypatch.setattr(read_cache, "MAX_BYTES", 300_000)
    client = Client(Origin(size=1000))
    tracemalloc.start()
    for number in range(10_000):
        client.get(query=f"q={number}")
        assert len(client.cache.answers) <= 100
        assert client.cache.bytes <= 300_000
    size, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert client.cache.bytes == sum(answer.size for answer in client.cache.answers.values())
    # The origin keeps what it saw.
    assert size < 40_000_000


def test_topics_are_bounded_too(monkeypatch: Any) -> None:
    monkeypatch.setattr(read_cache, "MAX_ENTRIES", 10)
    clock = Clock(monkeypatch)
    for number in range(100):
        read_cache.forget(f"product:{number}")
        clock.now += 0.5
    assert len(read_cache._changed) <= 13


# Around the shop


@pytest.fixture
def shop(db: None) -> Iterator[Client]:
    client = Client(django_application)
    client.cache = ReadCache(django_application, is_public)
    # As Django's own test client: a test's transaction does not end with its first request.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield client
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize(
    "path",
    ["products/", "products/{id}/", "products/{id}/reviews/", "products/{id}/related/", "categories/",
     "brands/", "home/", "search/hot/"],
)  # fmt: skip
def test_the_shop_window_is_kept(shop: Client, path: str) -> None:
    path = "/api/v1/" + path.format(id=make_sku().product_id)
    assert [shop.how(path), shop.how(path)] == ["miss", "hit"]
    assert shop.headers["Content-Type"] == "application/json"


def test_what_is_the_customers_own_is_never_kept(shop: Client) -> None:
    user = make_customer()
    token = f"Bearer {make_access(user)}"
    for path in (
        "me/",
        "search/history/",
        "favourites/",
        "footprints/",
        "reviews/",
        "cart/",
        "orders/",
    ):
        assert shop.how(f"/api/v1/{path}", AUTHORIZATION=token) == "-", path
        assert shop.status.startswith("200"), path


def test_errors_are_not_kept(shop: Client) -> None:
    for path in ("/api/v1/products/999/", "/api/v1/products/x"):
        assert shop.how(path) == "pass"
    assert shop.how("/api/v1/products/", "limit=0") == "pass"
    assert shop.status.startswith("400")


@pytest.mark.django_db(transaction=True)
def test_a_change_of_stock_is_seen_at_once(shop: Client) -> None:
    sku = make_sku(stock=5)
    path = f"/api/v1/products/{sku.product_id}/"
    assert json.loads(shop.get(path))["skus"][0]["stock"] == 5
    adjust_stock(Sku.objects.get(), delta=-2, note="broken")
    assert json.loads(shop.get(path))["skus"][0]["stock"] == 3
