"""Long work of the back office: begun by a request, done by `run_jobs`, watched on a page."""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile, File

from miniback.core.clock import database_now
from miniback.core.due import within_budget
from miniback.core.errors import DomainError
from miniback.core.models import Task, random_id
from miniback.core.tables import UnreadableFile, write_table

logger = logging.getLogger(__name__)

# Whoever does it says that often that it lives, and shows how far it is.
PULSE_SECONDS = 1.0
LEASE = timedelta(seconds=30)
TRIES = 5
# What a result may be written as: a task's parameter "format".
CSV, XLSX = "csv", "xlsx"
KEPT, BATCH = timedelta(days=30), 500
ENDED = ["due_at", "finished_at", "last_error", "report", "total", "done", "counts"]

Row = list[Any]
# Does a task, yielding rows of its report, or an empty one after a step without any. It may be begun
# again from the start after a crash, so what it did before must stand as it is.
Handler = Callable[[Task], Iterator[Row]]


def prepare_task(
    kind: str, *, user: Any, params: Mapping[str, Any] | None = None, source: bytes = b""
) -> Task:
    """A task that nobody does before `begin_task`. ``source`` is the table it reads: CSV or XLSX."""
    task = Task(kind=kind, user=user, params=dict(params or {}))
    if source:
        # By what it is: people rename files.
        name = f"tasks/{random_id()}{'.xlsx' if source.startswith(b'PK') else '.csv'}"
        task.source.save(name, ContentFile(source), save=False)
    task.save()
    return task


def begin_task(task: Task) -> bool:
    """Leave it to the jobs; false if it was begun before."""
    fresh = Task.objects.filter(pk=task.pk, due_at=None, finished_at=None)
    return bool(fresh.update(due_at=database_now()))


def forget_old_files() -> None:
    """Delete the files of tasks that are a month old: exports name people."""
    old = Task.objects.filter(created_at__lt=database_now() - KEPT).exclude(source="", report="")
    for task in within_budget(old.order_by("pk")[:BATCH]):
        for file in (task.source, task.report):
            if file:
                file.delete(save=False)
        task.save(update_fields=["source", "report"])


def run_due_tasks(handlers: Mapping[str, Handler]) -> None:
    """Do what is due, one after the other; a task of a runner that died is begun again."""
    for task in Task.objects.claim(lease=LEASE, limit=1):
        try:
            _run(task, handlers[task.kind])
        except (DomainError, UnreadableFile) as error:
            _end(task, str(getattr(error, "detail", error))[:300])
        except Exception as error:
            logger.exception("task %s failed", task.pk)
            told = f"{type(error).__name__}: {error}"[:300]
            if task.attempts >= TRIES:
                _end(task, told)
            else:
                task.due_at, task.last_error = task.next_try_at(database_now()), told
                task.save(update_fields=["due_at", "last_error"])


def _run(task: Task, handler: Handler) -> None:
    task.done, task.counts = 0, {}
    pulse = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"report.{task.params.get('format', CSV)}"
        with write_table(path) as write:
            for row in handler(task):
                if row:
                    write(row)
                if time.monotonic() - pulse > PULSE_SECONDS:
                    pulse = time.monotonic()
                    task.due_at = database_now() + LEASE
                    task.save(update_fields=["due_at", "done", "total", "counts"])
        with path.open("rb") as report:
            task.report.save(f"tasks/{random_id()}{path.suffix}", File(report), save=False)
    _end(task, "")


def _end(task: Task, error: str) -> None:
    task.due_at, task.finished_at, task.last_error = None, database_now(), error
    # Not what was asked, where a step writes how far it came, and nobody else's claim.
    task.save(update_fields=ENDED)
