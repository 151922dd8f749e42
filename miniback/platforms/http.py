"""HTTP to the platforms: bounded in time and size, no redirects, one pool a thread."""

import threading
import time
from typing import NamedTuple
from urllib.parse import urlsplit

import requests

from miniback.platforms.breaker import Breaker
from miniback.platforms.errors import TryAgain

CONNECT_SECONDS = 3.0
READ_SECONDS = 3.0
# A server that sends a byte now and then is cut off here.
TOTAL_SECONDS = 5.0
MAX_BYTES = 1024 * 1024
# A day's bill of a large shop, which only a job waits for.
FILE_SECONDS, FILE_BYTES = 120.0, 64 * 1024 * 1024

_local = threading.local()
breaker = Breaker()


class Answer(NamedTuple):
    status: int
    headers: requests.structures.CaseInsensitiveDict[str]
    body: bytes


def _session() -> requests.Session:
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
        # A proxy of the environment would see the keys; .netrc has no business here.
        _local.session.trust_env = False
    session: requests.Session = _local.session
    return session


def call(
    method: str,
    url: str,
    *,
    service: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    params: dict[str, str] | None = None,
    seconds: float = TOTAL_SECONDS,
    max_bytes: int = MAX_BYTES,
) -> Answer:
    """Return the platform's whole answer, whatever its status. Raises TryAgain for anything less.

    ``service`` names who is called. After two calls without an answer its host is not called for
    half a minute, and HostDown is raised at once.
    """
    host = (service, urlsplit(url).netloc)
    breaker.admit(host)
    request = requests.Request(method, url, headers=headers, params=params, data=body)
    try:
        answer = _send(request, seconds, max_bytes)
    except requests.RequestException as error:
        breaker.failed(host)
        # Not str(error): it may contain the query, and so a secret.
        raise TryAgain("NO_ANSWER", type(error).__name__) from error
    except TryAgain:
        # What came is no whole answer, but somebody is there.
        breaker.succeeded(host)
        raise
    breaker.succeeded(host)
    return answer


def _send(request: requests.Request, seconds: float, max_bytes: int) -> Answer:
    session, deadline = _session(), time.monotonic() + seconds
    with session.send(
        session.prepare_request(request),
        timeout=(CONNECT_SECONDS, READ_SECONDS),
        allow_redirects=False,
        stream=True,
    ) as response:
        content = bytearray()
        for chunk in response.iter_content(16 * 1024):
            content += chunk
            if time.monotonic() > deadline:
                raise requests.ReadTimeout("it goes on too long")
            if len(content) > max_bytes:
                raise TryAgain("ANSWER_TOO_LONG", request.url)
        _refuse_cut_off(response, len(content))
        return Answer(response.status_code, response.headers, bytes(content))


def _refuse_cut_off(response: requests.Response, received: int) -> None:
    """requests takes a body shorter than its Content-Length for whole."""
    announced = response.headers.get("Content-Length", "")
    is_plain = "Content-Encoding" not in response.headers
    if is_plain and announced.isdigit() and int(announced) != received:
        raise TryAgain("ANSWER_CUT_OFF")
