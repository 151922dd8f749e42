"""Runs background jobs when they are due, each on one machine at a time."""

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import IntegrityError, transaction

from miniback.core.clock import clock_offset, database_now, is_clock_off
from miniback.core.models import JobLease, Lane

logger = logging.getLogger(__name__)

# What a killed runner delays. A job that takes longer is merely run by two at once, which is safe.
LEASE = timedelta(minutes=1)
# No job finished for so long: nobody runs them.
SILENCE = timedelta(minutes=2)
# After an error; a job that runs twice a day is not to lose half a day.
RETRY_SECONDS: Final = 60.0
COMPLAIN_SECONDS: Final = 60.0

_complained: dict[str, float] = {}


class Job(NamedTuple):
    """Jobs of one lane run one after the other; lanes run side by side."""

    name: str
    run: Callable[[], None]
    every_seconds: float
    lane: str = Lane.SHOP


def run_due(jobs: Iterable[Job]) -> int:
    """Run each job whose time has come and which nobody else runs. Return how many ran.

    A job that raises is logged, noted on its row, and runs again after a minute at the latest. On a
    machine whose clock is off none runs, and the log says why.
    """
    if _is_clock_off():
        return 0
    by_name = {job.name: job for job in jobs}
    _add_missing(by_name)
    count = 0
    for lease in JobLease.objects.filter(name__in=by_name).claim(lease=LEASE):
        _run(by_name[lease.name], lease)
        count += 1
    return count


def are_silent() -> bool:
    """Say whether no job has finished lately (nobody runs ``manage.py run_jobs``)."""
    return not JobLease.objects.filter(finished_at__gt=database_now() - SILENCE).exists()


def _is_clock_off() -> bool:
    offset = clock_offset()
    if not is_clock_off(offset):
        return False
    # The lanes ask every second; the log hears of it once a minute.
    if time.monotonic() - _complained.get("clock", -COMPLAIN_SECONDS) >= COMPLAIN_SECONDS:
        _complained["clock"] = time.monotonic()
        logger.error(
            "no jobs run here: this machine's clock is off by %.0f s", offset.total_seconds()
        )
    return True


def _add_missing(by_name: dict[str, Job]) -> None:
    """Let every job have its row, due at once; and no row be due later than it can be."""
    now = database_now()
    rows = JobLease.objects.filter(name__in=by_name)
    known: dict[str, datetime | None] = dict(rows.values_list("name", "due_at"))
    for name, job in by_name.items():
        latest = now + timedelta(seconds=job.every_seconds) + LEASE
        if name not in known:
            _add(name, now)
        elif (due_at := known[name]) is None or due_at > latest:
            # A runner with a wrong clock wrote it.
            JobLease.objects.filter(name=name, due_at=due_at).update(due_at=now)


def _add(name: str, now: datetime) -> None:
    try:
        with transaction.atomic():
            JobLease.objects.create(name=name, due_at=now)
    except IntegrityError:
        logger.debug("another runner added %s", name)


def _run(job: Job, lease: JobLease) -> None:
    started_at, error, pause = database_now(), "", job.every_seconds
    try:
        job.run()
    except Exception as raised:
        logger.exception("job %s failed", job.name)
        error, pause = f"{type(raised).__name__}: {raised}"[:300], min(pause, RETRY_SECONDS)
    finished_at = database_now()
    # Of one that was stopped for longer than its lease, another runner knows more by now.
    JobLease.objects.filter(name=lease.name, due_at=lease.due_at).update(
        started_at=started_at,
        finished_at=finished_at,
        due_at=finished_at + timedelta(seconds=pause),
        last_error=error,
    )
