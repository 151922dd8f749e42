"""Transactions that are run again when they were rolled back, and not when nobody knows."""

import functools
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ParamSpec, TypeVar

from django.db import Error, InterfaceError, OperationalError, connection, transaction

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 5
# The database says itself that it has rolled the transaction back: nothing of it has happened.
MYSQL_ROLLED_BACK = {1205, 1213}  # lock wait, deadlock
POSTGRES_ROLLED_BACK = {"40001", "40P01", "55P03"}  # serialization, deadlock, lock
# The connection is gone, and with it the answer to the last statement.
MYSQL_LOST = {2002, 2003, 2006, 2013, 2055, 1053, 1927}  # ..., shutdown, connection killed
POSTGRES_LOST = {"57P01", "57P02", "57P03"}  # shutdown, crash, starting up


class OutcomeUnknown(OperationalError):
    """COMMIT was sent and not answered: the transaction may have happened or not."""


class InsideTransaction(RuntimeError):
    """A platform was about to be called inside a database transaction."""


def is_rolled_back(error: Error) -> bool:
    """Say whether the database has rolled the transaction back because of a collision."""
    if getattr(error.__cause__, "sqlstate", None) in POSTGRES_ROLLED_BACK:
        return True
    if error.args and error.args[0] in MYSQL_ROLLED_BACK:
        return True
    return "is locked" in str(error).lower()


def is_lost(error: Error) -> bool:
    """Say whether the connection broke, so that nothing is known of the last statement."""
    if isinstance(error, OutcomeUnknown | InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    cause: Any = error.__cause__
    if hasattr(cause, "sqlstate"):
        # Without a state the error is the client's own: nothing came from the server.
        state = cause.sqlstate
        return state is None or state in POSTGRES_LOST or state.startswith("08")
    return bool(error.args) and error.args[0] in MYSQL_LOST


def is_transient(error: Error) -> bool:
    """Say whether the same request may succeed when its sender repeats it."""
    return is_rolled_back(error) or is_lost(error)


def retry(act: Callable[[], T], *, is_keyed: bool = False) -> T:
    """Run ``act`` in a transaction, up to five times while the database rolls it back.

    ``act`` must have no effects outside the database. A COMMIT whose answer is lost may have
    happened, so ``act`` is not run again after it: raises OutcomeUnknown. With ``is_keyed`` it is:
    ``act`` promises that a row it writes in this transaction makes a repeat find what was done.
    """
    for attempt in range(1, ATTEMPTS + 1):
        is_at_commit = False
        try:
            with transaction.atomic(durable=True):
                result = act()
                is_at_commit = True
            return result
        except (OperationalError, InterfaceError) as error:
            is_unknown = is_at_commit and not is_rolled_back(error)
            may_repeat = is_keyed if is_unknown else is_transient(error)
            if attempt == ATTEMPTS or not may_repeat:
                if is_unknown:
                    raise OutcomeUnknown(*error.args) from error
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
    part = transaction.atomic(savepoint=False)(service)

    @functools.wraps(service)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        if in_transaction():
            return part(*args, **kwargs)
        return retry(lambda: service(*args, **kwargs))

    return wrapper


def in_transaction() -> bool:
    """Say whether a transaction is open, the one around a test case apart."""
    blocks = connection.atomic_blocks
    return bool(blocks) and not getattr(blocks[-1], "_from_testcase", False)


def savepoint() -> AbstractContextManager[object]:
    """Return a block whose refusal leaves the transaction around it intact, where there is one."""
    return transaction.atomic() if in_transaction() else nullcontext()


def assert_no_transaction() -> None:
    """Refuse to call a platform while a transaction is open: a rollback would forget the call."""
    if in_transaction():
        raise InsideTransaction("A platform must not be called inside a database transaction.")
