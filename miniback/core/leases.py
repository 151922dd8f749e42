"""Runs background jobs when they are due, each on one machine at a time."""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.utils import timezone

from miniback.core.models import JobLease

logger = logging.getLogger(__name__)

# What a killed runner delays. A job that takes longer is merely run by two at once, which is safe.
LEASE = timedelta(minutes=1)
# No job finished for so long: nobody runs them.
SILENCE = timedelta(minutes=2)


class Job(NamedTuple):
    name: str
    run: Callable[[], None]
    every_seconds: float


def run_due(jobs: Iterable[Job]) -> int:
    """Run each job whose time has come and which nobody else runs. Return how many ran.

    A job that raises is logged, noted on its row, and runs again at its next time.
    """
    by_name = {job.name: job for job in jobs}
    _add_missing(by_name)
    count = 0
    for lease in JobLease.objects.filter(name__in=by_name).claim(lease=LEASE):
        _run(by_name[lease.name], lease)
        count += 1
    return count


def are_silent() -> bool:
    """Say whether no job has finished lately (nobody runs ``manage.py run_jobs``)."""
    return not JobLease.objects.filter(finished_at__gt=timezone.now() - SILENCE).exists()


def _add_missing(by_name: dict[str, Job]) -> None:
    known = set(JobLease.objects.values_list("name", flat=True))
    for name in by_name.keys() - known:
        try:
            with transaction.atomic():
                JobLease.objects.create(name=name, due_at=timezone.now())
        except IntegrityError:
            logger.debug("another runner added %s", name)


def _run(job: Job, lease: JobLease) -> None:
    lease.started_at, lease.last_error = timezone.now(), ""
    try:
        job.run()
    except Exception as error:
        logger.exception("job %s failed", job.name)
        lease.last_error = f"{type(error).__name__}: {error}"[:300]
    lease.finished_at = timezone.now()
    lease.due_at = lease.finished_at + timedelta(seconds=job.every_seconds)
    lease.save(update_fields=["started_at", "finished_at", "due_at", "last_error"])
