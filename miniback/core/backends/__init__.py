"""Django's database backends, asking a connection less often whether it still lives."""

import time

from django.db.backends.base.base import BaseDatabaseWrapper

# A server that went away stays away for longer, and none ends a connection that idles so shortly.
TRUSTED_SECONDS = 1.0


class TrustsFreshConnections(BaseDatabaseWrapper):
    """CONN_HEALTH_CHECKS once a second: at every request it is a round trip before the first query.

    After an error Django asks at once, as ever.
    """

    answered_at = float("-inf")
    health_check_done: bool

    def close_if_health_check_failed(self) -> None:
        if self.health_check_done:
            return
        now = time.monotonic()
        if now - self.answered_at > TRUSTED_SECONDS:
            super().close_if_health_check_failed()
            self.answered_at = now
        self.health_check_done = True
