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
    """Kill this process before its ``at``-th statement."""
    count = 0

    def tick(execute: Any, *args: Any) -> Any:
        nonlocal count
        count += 1
        if count == at:
            die()
        return execute(*args)

    with connection.execute_wrapper(tick):
        yield


def with_bomb(shop: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """``X-Kill-At``: a number, or "answer": after the commit, before anybody hears of it."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        at = environ.get("HTTP_X_KILL_AT", "")
        with bomb(int(at) if at.isdigit() else 0):
            answer = shop(environ, start_response)
        if at == AFTER_EVERYTHING:
            die()
        return answer

    return application


if __name__ == "__main__":
    django.setup()
    with bomb(int(sys.argv[2])):
        import_string(sys.argv[1])()
else:
    application = with_bomb(get_wsgi_application())
