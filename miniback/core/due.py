"""The loops of background jobs: bounded in time, and no row that fails stops the others."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, Final, TypeVar

from django.db.models import F, Model, QuerySet

from miniback.core.clock import database_now
from miniback.core.models import DueModel, DueQuerySet
from miniback.core.transactions import retry
from miniback.platforms.errors import HostDown, PlatformError

logger = logging.getLogger(__name__)

T = TypeVar("T")
D = TypeVar("D", bound=DueModel)
M = TypeVar("M", bound=Model)
Errors = tuple[type[Exception], ...]

# After so long a loop ends, and the other jobs of its lane have their turn.
BUDGET_SECONDS: Final = 5.0
# Of one statement: more would hold locks for long.
MAX_BATCH_SIZE: Final = 1000


def within_budget(rows: Iterable[T]) -> Iterator[T]:
    """Yield rows until the time of a run is used up. What is not yielded is not fetched, or claimed."""
    deadline = time.monotonic() + BUDGET_SECONDS
    for row in rows:
        yield row
        if time.monotonic() > deadline:
            logger.info("a job used up its time; the rest is for its next run")
            return


def try_due(
    rows: "DueQuerySet[D]",
    act: Callable[[D], object],
    *,
    lease: timedelta,
    expected: Errors = (PlatformError,),
) -> None:
    """Claim due rows one at a time and hand each to ``act``, which writes ``due_at`` when it succeeds.

    When ``act`` raises, the row keeps the error and is due again later, with growing pauses;
    the next row follows. Errors that are not ``expected`` are logged as bugs.
    """
    for row in within_budget(rows.claim(lease=lease)):
        try:
            act(row)
        except Exception as error:
            _log(row, error, expected)
            _put_off(row, error)


def try_each(
    rows: Iterable[M], act: Callable[[M], object], *, expected: Errors = (PlatformError,)
) -> None:
    """Hand each row to ``act``; one that raises is logged, and the next follows.

    Such rows have no due time. Give them in no order (``order_by("?")``), so that those which fail
    are not the first of every run. A host that is down ends the run: all rows ask the same one.
    """
    for row in within_budget(rows):
        try:
            act(row)
        except HostDown as error:
            logger.warning("%s %s and what follows: %s", row._meta.model_name, row, error)
            return
        except Exception as error:
            _log(row, error, expected)


def in_batches(rows: "QuerySet[Any]") -> Iterator["QuerySet[Any]"]:
    """Yield rows as querysets of at most 1,000, while the time lasts.

    Whoever takes one must delete its rows or change them, so that ``rows`` has them no more.
    """

    def batches() -> Iterator[QuerySet[Any]]:
        while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:MAX_BATCH_SIZE]):
            yield rows.model._default_manager.filter(pk__in=ids)

    return within_budget(batches())


def _log(row: Model, error: Exception, expected: Errors) -> None:
    if isinstance(error, expected):
        logger.warning("%s %s: %s", row._meta.model_name, row, error)
    else:
        logger.exception("%s %s failed", row._meta.model_name, row)


def _put_off(row: DueModel, error: Exception) -> None:
    """Unless ``act`` has settled it before it raised, or somebody else has it by now."""
    now = database_now()
    mine = type(row)._default_manager.filter(pk=row.pk, due_at=row.due_at)
    values: dict[str, Any] = {"due_at": row.next_try_at(now), "last_error": describe(error)}
    if isinstance(error, HostDown):
        # Nobody was called: this was no attempt.
        values |= {"due_at": now + timedelta(seconds=error.seconds), "attempts": F("attempts") - 1}
    retry(lambda: mine.update(**values))


def describe(error: Exception) -> str:
    """Return what ``last_error`` says of an error."""
    if isinstance(error, PlatformError):
        return str(error)[:300]
    return f"{type(error).__name__}: {error}"[:300]
