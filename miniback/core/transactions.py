"""Transactions that are tried again when the database asks for it."""

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection, transaction

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 5
MYSQL_TRANSIENT = {1205, 1213, 2006, 2013}  # lock wait, deadlock, connection lost
POSTGRES_TRANSIENT = {"40001", "40P01", "55P03", "57P01"}  # serialization, deadlock, lock, shutdown


def is_transient(error: OperationalError) -> bool:
    """Say whether the same transaction may succeed when it is run again."""
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) in POSTGRES_TRANSIENT:
        return True
    if error.args and error.args[0] in MYSQL_TRANSIENT:
        return True
    words = str(error).lower()
    return "is locked" in words or "server closed the connection" in words


def retry(act: Callable[[], T]) -> T:
    """Run ``act``, a whole transaction, up to five times while the database reports a collision.

    Raises the last OperationalError; the API answers it with 503 and Retry-After. ``act`` must
    have no effects outside the database.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return act()
        except OperationalError as error:
            if attempt == ATTEMPTS or not is_transient(error):
                raise
            connection.close_if_unusable_or_obsolete()
            # Jitter, so that two that collided do not collide again.
            time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311
    raise AssertionError("unreachable")


def atomic(service: Callable[P, T]) -> Callable[P, T]:
    """Decorate a service: one transaction, tried again if it is the outermost and collides.

    Inside another service it adds no savepoint: a part that fails fails the whole. A caller that
    wants to survive a refusal wraps the call in ``transaction.atomic()``.
    """
    outermost = transaction.atomic(service)
    part = transaction.atomic(savepoint=False)(service)

    @functools.wraps(service)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        if in_transaction():
            return part(*args, **kwargs)
        return retry(lambda: outermost(*args, **kwargs))

    return wrapper


def in_transaction() -> bool:
    """Say whether a transaction is open, the one around a test case apart."""
    blocks = connection.atomic_blocks
    return bool(blocks) and not getattr(blocks[-1], "_from_testcase", False)


def assert_no_transaction() -> None:
    """Refuse to call a platform while a transaction is open: a rollback would forget the call."""
    if in_transaction():
        raise RuntimeError("A platform must not be called inside a database transaction.")
