"""A host that does not answer is left alone for half a minute."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from miniback.platforms import breaker as breaker_module
from miniback.platforms import http
from miniback.platforms.breaker import Breaker
from miniback.platforms.errors import HostDown, TryAgain

HOST = ("wechatpay", "api.mch.weixin.qq.com")


class Silence(NamedTuple):
    """A port that accepts connections; what it does with them is ``reply`` (b"": nothing)."""

    url: str
    calls: list[float]
    reply: list[bytes]


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[Silence]:
    monkeypatch.setattr(http, "READ_SECONDS", 0.2)
    listener = socket.create_server(("127.0.0.1", 0))
    host = Silence(f"http://127.0.0.1:{listener.getsockname()[1]}/", [], [b""])

    def serve() -> None:
        kept = []
        while True:
            try:
                line, _address = listener.accept()
            except OSError:
                return
            host.calls.append(time.monotonic())
            kept.append(line)
            if host.reply[0]:
                line.recv(65536)
                line.sendall(host.reply[0])
                line.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield host
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def call(host: Silence, service: str = "wechatpay") -> str:
    """Return the code of what was raised, or the status."""
    try:
        return str(http.call("GET", host.url, service=service).status)
    except TryAgain as error:
        return error.code


def test_a_host_that_hangs_twice_is_not_called_again(silence: Silence) -> None:
    assert [call(silence) for _ in range(4)] == ["NO_ANSWER", "NO_ANSWER", "HOST_DOWN", "HOST_DOWN"]
    assert len(silence.calls) == 2
    started = time.monotonic()
    call(silence)
    assert time.monotonic() - started < 0.1


def test_a_host_that_refuses_connections_is_down_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    host = Silence(f"http://127.0.0.1:{port}/", [], [])
    assert [call(host) for _ in range(3)] == ["NO_ANSWER", "NO_ANSWER", "HOST_DOWN"]


def test_another_service_on_the_same_host_is_called(silence: Silence) -> None:
    call(silence), call(silence)
    assert call(silence, "alipay") == "NO_ANSWER"


@pytest.mark.parametrize("status", [b"200 OK", b"500 Internal Server Error", b"429 Too Many"])
def test_an_answer_of_any_status_ends_the_count(silence: Silence, status: bytes) -> None:
    good = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert call(silence) == "NO_ANSWER"
    silence.reply[0] = good
    assert call(silence) == status[:3].decode()
    silence.reply[0] = b""
    assert [call(silence) for _ in range(2)] == ["NO_ANSWER", "NO_ANSWER"]
    assert call(silence) == "HOST_DOWN"


def test_one_trial_is_made_after_half_a_minute(monkeypatch: Any) -> None:
    now = [1000.0]
    monkeypatch.setattr(breaker_module.time, "monotonic", lambda: now[0])
    breaker = Breaker()
    breaker.failed(HOST)
    breaker.failed(HOST)
    now[0] += 29.9
    with pytest.raises(HostDown) as down:
        breaker.admit(HOST)
    assert (down.value.code, round(down.value.seconds, 1)) == ("HOST_DOWN", 0.1)

    now[0] += 0.2
    breaker.admit(HOST)
    with pytest.raises(HostDown):
        breaker.admit(HOST)
    breaker.failed(HOST)
    now[0] += 29.0
    with pytest.raises(HostDown):
        breaker.admit(HOST)
    now[0] += 1.1
    breaker.admit(HOST)
    breaker.succeeded(HOST)
    breaker.admit(HOST)
    breaker.admit(HOST)


def test_a_trial_is_given_to_one_thread_of_many(monkeypatch: Any) -> None:
    now = [1000.0]
    monkeypatch.setattr(breaker_module.time, "monotonic", lambda: now[0])
    breaker = Breaker()
    breaker.failed(HOST)
    breaker.failed(HOST)
    now[0] += 31
    admitted: list[int] = []

    def ask(number: int) -> None:
        try:
            breaker.admit(HOST)
        except HostDown:
            return
        admitted.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 1
