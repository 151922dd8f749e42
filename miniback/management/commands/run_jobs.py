"""Runs the background jobs of miniback/jobs.py."""

import signal
import threading
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from miniback.core.leases import Job, run_due
from miniback.jobs import JOBS, LONG_JOBS

PAUSE_SECONDS = 1.0


class Command(BaseCommand):
    help = (
        "Run the background jobs until told to stop. "
        "Several may run at once, on one machine or many."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="run what is due now, and stop")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            self.stdout.write(f"{run_due([*JOBS, *LONG_JOBS])} jobs ran")
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_signal: stop.set())
        # It ends with the process: a task that is cut off is begun again by whoever runs next.
        threading.Thread(target=self.run_until, args=(stop, LONG_JOBS), daemon=True).start()
        self.run_until(stop, JOBS)

    def run_until(self, stop: threading.Event, jobs: Sequence[Job]) -> None:
        while not stop.is_set():
            self.run_due(jobs)
            stop.wait(PAUSE_SECONDS)

    def run_due(self, jobs: Sequence[Job]) -> None:
        """Outlive a database that is restarted."""
        try:
            run_due(jobs)
        except Exception as error:
            self.stderr.write(f"jobs will be tried again: {error}")
        connection.close_if_unusable_or_obsolete()
