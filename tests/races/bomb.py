"""The shop with a bomb in it: a request, or a job, names the statement before which its process is killed.

Served instead of miniback.wsgi; run as a program it is a job with a bomb:
``python -m tests.races.bomb orders.services.refunds.send_due_refunds 3``.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import Any

import django
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.utils.module_loading import import_string

AFTER_EVERYTHING = "answer"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def bomb(at: int) -> Any:
    """Kill this process before its ``at``-th statement; yields the count so far."""
    count = [0]

    def tick(execute: Any, *args: Any) -> Any:
        count[0] += 1
        if count[0] == at:
            die()
        return execute(*args)

    with connection.execute_wrapper(tick):
        yield count


def with_bomb(shop: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """``X-Kill-At``: a number, or "answer": after the commit, before anybody hears of it."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        at = environ.get("HTTP_X_KILL_AT", "")
        with bomb(int(at) if at.isdigit() else 0) as count:
            answer = shop(
                environ,
                lambda status, headers, *more: start_response(
                    status, [*headers, ("X-Statements", str(count[0]))], *more
                ),
            )
        if at == AFTER_EVERYTHING:
            die()
        return answer

    return application


if __name__ == "__main__":
    django.setup()
    with bomb(int(sys.argv[2])) as statements:
        import_string(sys.argv[1])()
    sys.stdout.write(str(statements[0]))
else:
    application = with_bomb(get_wsgi_application())
