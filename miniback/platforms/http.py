"""HTTP to the platforms: bounded in time and size, no redirects, one pool a thread."""

import threading
import time
from typing import NamedTuple

import requests

from miniback.platforms.errors import TryAgain

CONNECT_SECONDS = 3.0
READ_SECONDS = 3.0
# A server that sends a byte now and then is cut off here.
TOTAL_SECONDS = 5.0
MAX_BYTES = 1024 * 1024
# A day's bill of a large shop, which only a job waits for.
FILE_SECONDS, FILE_BYTES = 120.0, 64 * 1024 * 1024

_local = threading.local()


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
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    params: dict[str, str] | None = None,
    seconds: float = TOTAL_SECONDS,
    max_bytes: int = MAX_BYTES,
) -> Answer:
    """Return the platform's whole answer, whatever its status. Raises TryAgain for anything less."""
    deadline = time.monotonic() + seconds
    try:
        with _session().request(
            method,
            url,
            data=body,
            headers=headers,
            params=params,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
            stream=True,
        ) as response:
            content = bytearray()
            for chunk in response.iter_content(16 * 1024):
                content += chunk
                if len(content) > max_bytes or time.monotonic() > deadline:
                    raise TryAgain("ANSWER_TOO_LONG", url)
            _refuse_cut_off(response, len(content))
            return Answer(response.status_code, response.headers, bytes(content))
    except requests.RequestException as error:
        # Not str(error): it may contain the query, and so a secret.
        raise TryAgain("NO_ANSWER", type(error).__name__) from error


def _refuse_cut_off(response: requests.Response, received: int) -> None:
    """requests takes a body shorter than its Content-Length for whole."""
    announced = response.headers.get("Content-Length", "")
    is_plain = "Content-Encoding" not in response.headers
    if is_plain and announced.isdigit() and int(announced) != received:
        raise TryAgain("ANSWER_CUT_OFF")
