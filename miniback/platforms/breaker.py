"""A host that does not answer is left alone for a while, so that nobody waits for it in vain."""

import threading
import time
from typing import Final, NamedTuple

from miniback.platforms.errors import HostDown

# Calls without an answer, one after another, until the host counts as down.
MAX_FAILURES: Final = 2
# For so long it is not called; then one call tries whether it is back.
DOWN_SECONDS: Final = 30.0


class _Host(NamedTuple):
    failures: int
    retry_at: float


class Breaker:
    """What this process knows of the hosts that it calls. Safe to share between threads.

    The pattern is "circuit breaker" (Michael Nygard, Release It!).
    """

    def __init__(self) -> None:
        self._hosts: dict[tuple[str, str], _Host] = {}
        self._lock = threading.Lock()

    def admit(self, host: tuple[str, str]) -> None:
        """Let a call through. Raises HostDown while the host is left alone."""
        now = time.monotonic()
        with self._lock:
            known = self._hosts.get(host)
            if known is None or known.failures < MAX_FAILURES:
                return
            if now < known.retry_at:
                raise HostDown(known.retry_at - now)
            # This call is the trial; others wait for how it ends.
            self._hosts[host] = known._replace(retry_at=now + DOWN_SECONDS)

    def succeeded(self, host: tuple[str, str]) -> None:
        """It answered, be it an error: it is there."""
        with self._lock:
            self._hosts.pop(host, None)

    def failed(self, host: tuple[str, str]) -> None:
        """It could not be reached, or did not answer in time."""
        retry_at = time.monotonic() + DOWN_SECONDS
        with self._lock:
            known = self._hosts.get(host)
            self._hosts[host] = _Host(known.failures + 1 if known else 1, retry_at)

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._hosts.clear()
